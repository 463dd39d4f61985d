package swtpm

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/internal/serve"
)

// Options say how a Server behaves. The zero value behaves like swtpm without
// options.
type Options struct {
	// Version is the swtpm that the server imitates.
	Version Version
	// Description is what GET_INFO tells of the TPM. Without it Info makes the text, such
	// as another server's InfoText; without both GET_INFO answers SIZE.
	Description *Description
	Info        func(ctx context.Context, flags uint64) ([]byte, error)
	// Storage is where the Device's state is kept; nil: it ends with the server, and
	// volatile state with it.
	Storage Storage
	// IncomingMigration says that Storage may still be another server's: INIT does
	// not lock it, but SET_STATEBLOB, the first TPM command and LOCK_STORAGE do
	// (swtpm's --migration incoming).
	IncomingMigration bool
	// ReleaseLockOutgoing gives the lock of Storage away when all of the state has
	// been fetched, with GET_STATEBLOB of the third part (swtpm's --migration
	// release-lock-outgoing).
	ReleaseLockOutgoing bool
	// FileKey seals blobs of GET_STATEBLOB that are not asked for decrypted, as it
	// does the state that is kept (swtpm's --key); MigrationKey seals all blobs (swtpm's
	// --migration-key). Nil for none.
	FileKey, MigrationKey *state.Key
	// RejectLocality4 refuses locality 4 in SET_LOCALITY and in the vendor
	// command (swtpm's --locality reject-locality-4).
	RejectLocality4 bool
	// AllowSetLocality lets data clients choose their locality by the vendor
	// command 0x20001000 (swtpm's --locality allow-set-locality).
	AllowSetLocality bool
	// TerminateWithData ends the server when a data connection closes
	// (swtpm's --terminate).
	TerminateWithData bool
	// TerminateWithControl ends the server when a control connection closes
	// (swtpm's --ctrl …,terminate).
	TerminateWithControl bool
	// DisconnectData closes a data connection that a listener accepted after
	// one response (swtpm's --server …,disconnect).
	DisconnectData bool
	// HideCapabilities are bits that GET_CAPABILITY leaves out, to look like
	// an older swtpm; the requests work all the same.
	HideCapabilities Capability
	// MaxControl and MaxData bound the connections that listeners accept at
	// a time; further ones are closed at once. 0 is 32 and 64. A data connection
	// takes an operating system thread on Linux.
	MaxControl, MaxData int
	// StallTime is how long a TPM command that has begun may take to come in over
	// TCP; 0 is 5 s. Over unix sockets it is 0.25 s, or StallTime if that is less.
	StallTime time.Duration
	// BusyPoll is how long the server looks for a client's next command before its thread
	// sleeps (Linux); 0 is not at all. See docs/performance.md for what it brings and costs.
	BusyPoll time.Duration
	// Polled has data connections wait in Go's network poller, and not in a thread each
	// (Linux): slower for one client, and cheaper for hundreds. BusyPoll is for a thread.
	Polled bool
	// OutlivesShutdown has SHUTDOWN take the power and close its connection, and the
	// server go on for the client that comes next.
	OutlivesShutdown bool
	// Panicked, if set, is told what a goroutine of a connection has panicked with, and
	// its stack; the connection is closed then. Without it the process ends.
	Panicked func(value any, stack []byte)
	// Events, if set, is told what happens to the TPM's power, before it
	// happens and before the client is answered. Events come one at a time.
	Events func(Event)
	// Now tells the time of events; nil is time.Now.
	Now func() time.Time
	// Logger gets control requests at debug level, and at warning level what
	// made a client get less than a TPM's answer. Nil logs nothing.
	Logger *slog.Logger
}

// Event is a change of the TPM's power, asked for on the control channel.
type Event struct {
	Kind EventKind
	Time time.Time
	// DeleteVolatile is the flag of INIT: stored volatile state is to be
	// deleted after it has been loaded.
	DeleteVolatile bool
	// Resumes says of EventInit that the TPM goes on from volatile state that
	// SET_STATEBLOB has given or STORE_VOLATILE has stored: no machine begins to
	// boot.
	Resumes bool
}

// EventKind says what happens to the power.
type EventKind uint8

// The kinds of events.
const (
	// EventInit is INIT: power on, or a reset of a TPM that has power. The
	// machine begins to boot, unless it resumes.
	EventInit EventKind = iota + 1
	// EventStop is STOP of a TPM that has power.
	EventStop
	// EventShutdown is SHUTDOWN: power off, and the end of the server.
	EventShutdown
)

// String returns swtpm's name of the request that caused the event.
func (k EventKind) String() string {
	switch k {
	case EventInit:
		return "INIT"
	case EventStop:
		return "STOP"
	case EventShutdown:
		return "SHUTDOWN"
	}
	return "unknown event"
}

// Reason is why a Server has ended.
type Reason string

// The reasons.
const (
	EndedByShutdown Reason = "SHUTDOWN request"
	EndedByData     Reason = "data connection closed"
	EndedByControl  Reason = "control connection closed"
	EndedByLock     Reason = "the state storage is another server's"
	EndedByOwner    Reason = "closed"
)

const (
	defaultMaxControl = 32
	defaultMaxData    = 64
	defaultStallTime  = 5 * time.Second

	// stallTime is what swtpm gives a control request that has begun.
	stallTime = 500 * time.Millisecond
)

// Server serves one TPM to any number of control and data connections.
//
// Locality is a property of the TPM, not of a connection, as in swtpm:
// whichever way it is set, it holds for every command on every data
// connection until it is set again, across INIT too.
type Server struct {
	device transport.Device
	power  transport.Power // nil if the device has no switch
	opts   Options
	log    *slog.Logger
	caps   Capability

	life *serve.Life[Reason]
	ctrl *serve.Group
	data *serve.Group
	gone serve.Hangups // of data clients

	stall time.Duration // of control requests: stallTime
	piece time.Duration // of TPM commands that come in one piece: pieceTime

	// switching is held while the power is switched, so that a change, the
	// check before it and its event are one.
	switching sync.Mutex
	sealing   sealing
	given     givenState // for the next INIT; switching is held
	lock      lock       // of opts.Storage
	locality  atomic.Uint32
	// maxCommand is the largest command the device takes now, in bytes,
	// largestCommand what any buffer size allows.
	maxCommand     atomic.Uint32
	largestCommand uint32

	dataFD dataFD
	pause  suspension
}

// NewServer returns a server for device. It never closes the device and takes
// its power only when a client asks for that.
func NewServer(device transport.Device, opts Options) *Server {
	if opts.MaxControl <= 0 {
		opts.MaxControl = defaultMaxControl
	}
	if opts.MaxData <= 0 {
		opts.MaxData = defaultMaxData
	}
	if opts.StallTime <= 0 {
		opts.StallTime = defaultStallTime
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Storage == nil {
		opts.Storage = new(memory)
		opts.IncomingMigration = false
	}
	s := &Server{
		device: device,
		opts:   opts,
		log:    opts.Logger,
		caps:   capabilities(device, opts.Version) &^ opts.HideCapabilities,
		life:   serve.NewLife[Reason](),
		stall:  stallTime,
		piece:  pieceTime,
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.ctrl = serve.NewGroup(opts.MaxControl, s.full("control"))
	s.data = serve.NewGroup(opts.MaxData, s.full("data"))
	s.ctrl.Panicked, s.data.Panicked = opts.Panicked, opts.Panicked
	s.power, _ = transport.As[transport.Power](device)
	s.maxCommand.Store(transport.DefaultMaxCommand)
	s.largestCommand = transport.DefaultMaxCommand
	if b, ok := transport.As[transport.BufferSize](device); ok {
		_, _, s.largestCommand = b.BufferSize()
	}
	s.learnMaxCommand()
	s.pause.serve = s.Serve
	s.lock.incoming = opts.IncomingMigration
	s.lock.locked.Store(!opts.IncomingMigration)
	return s
}

// ServeControl accepts control connections until the server ends, and closes
// l then. It returns nil at the end of the server.
func (s *Server) ServeControl(l net.Listener) error {
	return s.ctrl.Serve(l, s.openControl)
}

// ServeControlConn serves a control connection that is there already (swtpm's
// --ctrl …,clientfd=). It returns when the connection or the server ends.
func (s *Server) ServeControlConn(conn net.Conn) {
	c, run, _ := s.openControl(conn)
	s.ctrl.Run(c, run)
}

// ServeData accepts data connections until the server ends, and closes l
// then. It returns nil at the end of the server.
func (s *Server) ServeData(l net.Listener) error {
	return s.data.Serve(l, s.openData)
}

// ServeDataConn serves a data connection that is there already (swtpm's
// --fd). It returns when the connection or the server ends.
func (s *Server) ServeDataConn(conn net.Conn) error {
	c, run, err := s.openData(conn)
	if err != nil {
		return err
	}
	s.data.Run(c, run)
	return nil
}

// Clients returns how many control and data connections there are, passed ones included.
func (s *Server) Clients() (control, data int) { return s.ctrl.Clients(), s.data.Clients() }

// Done is closed when the server ends; Reason says why.
func (s *Server) Done() <-chan struct{} { return s.life.Done() }

// Reason says why the server has ended, "" while it has not.
func (s *Server) Reason() Reason { return s.life.Reason() }

// Close ends the server if it has not ended, and waits until all its
// goroutines have. It leaves the device's power alone. The error is ctx's: a
// Device did not give up a command.
func (s *Server) Close(ctx context.Context) error {
	s.end(EndedByOwner)
	err := errors.Join(s.ctrl.Wait(ctx), s.data.Wait(ctx))
	s.dropKept()
	return err
}

// end closes everything and does not wait: it is called by the server's own
// goroutines too.
func (s *Server) end(reason Reason) { s.life.End(reason, s.ctrl, s.data) }

// pieceTime is how long the rest of a command may take that should come in one piece.
func (s *Server) pieceTime() time.Duration { return min(s.piece, s.opts.StallTime) }

func (s *Server) ended() bool { return s.Reason() != "" }

// powered reports whether the TPM is running. Without a switch it always is.
func (s *Server) powered() bool { return s.power == nil || s.power.Powered() }

// learnMaxCommand asks the device for the size of its buffer, which changes
// with INIT only.
func (s *Server) learnMaxCommand() {
	if b, ok := transport.As[transport.BufferSize](s.device); ok {
		size, _, _ := b.BufferSize()
		s.maxCommand.Store(size)
	}
}

// full returns what tells that a channel has as many clients as it takes.
func (s *Server) full(channel string) func(limit int) {
	return func(limit int) {
		s.log.Warn("clients are refused until another one leaves", "channel", channel, "limit", limit)
	}
}
