package mssim

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/internal/serve"
	"github.com/swtpmd/swtpmd/transport/swtpm"
)

// Options say how a Server behaves. The zero value behaves like the reference code's
// simulator.
type Options struct {
	// Swtpm, if set, serves the clients of both ports that speak swtpm's protocols. It
	// has the same Device, and Close closes it.
	//
	// On the command port the first four octets tell them apart: codes are below 256,
	// and commands begin with a tag. On the platform port a connection is swtpm's if its
	// first request is SET_LOCALITY, GET_CONFIG, SET_DATAFD, LOCK_STORAGE, or a HASH
	// request, which have codes of no request on the platform port, or INIT,
	// RESET_TPMESTABLISHED, GET_STATEBLOB, SET_STATEBLOB, SET_BUFFERSIZE or GET_INFO, which
	// are longer than the request with the same code. With that a connection is swtpm's or not
	// until it ends. Requests of swtpm with the code and the length of one on the
	// platform port (GET_CAPABILITY is POWER_ON, SHUTDOWN is PHYS_PRES_ON) have the
	// meaning of the latter where they come first.
	//
	// Where the system cannot look at bytes before it takes them, which is anywhere but
	// on Unix, Swtpm gets no clients.
	Swtpm *swtpm.Server
	// MaxConnections bounds the connections that listeners of a port accept at a time;
	// further ones are closed at once. 0 is 64.
	MaxConnections int
	// StallTime is how long a request that has begun may take to come in; 0 is 5 s.
	StallTime time.Duration
	// BusyPoll is how long the server looks for a client's next request before its thread
	// sleeps (Linux); 0 is not at all. See docs/performance.md for what it brings and costs.
	BusyPoll time.Duration
	// Events, if set, is told what happens to the TPM's power, before it happens and
	// before the client is answered. Events come one at a time.
	Events func(Event)
	// Now tells the time of events; nil is time.Now.
	Now func() time.Time
	// Logger gets platform requests at debug level, and at warning level what made a
	// client get less than a TPM's answer. Nil logs nothing.
	Logger *slog.Logger
}

// Event is a change of the TPM's power, asked for on the platform port. What would
// change nothing, such as POWER_ON of a TPM that has power, is none.
type Event struct {
	Kind EventKind
	Time time.Time
}

// EventKind is a kind of Event.
type EventKind uint8

// The kinds of events.
const (
	// EventPowerOn is POWER_ON of a TPM without power: the machine begins to boot.
	EventPowerOn EventKind = iota + 1
	// EventReset is RESET of a TPM with power: the machine begins to boot again.
	EventReset
	// EventPowerOff is POWER_OFF of a TPM with power.
	EventPowerOff
)

// String returns the name of the request that caused the event.
func (k EventKind) String() string {
	switch k {
	case EventPowerOn:
		return CmdPowerOn.String()
	case EventReset:
		return CmdReset.String()
	case EventPowerOff:
		return CmdPowerOff.String()
	}
	return "unknown event"
}

// Reason is why a Server has ended.
type Reason string

// The reasons.
const (
	EndedByStop  Reason = "STOP request"
	EndedByOwner Reason = "closed"
)

const (
	defaultMaxConnections = 64
	defaultStallTime      = 5 * time.Second
	// kindTime is how long the rest of a first request may take to come in where its
	// length tells which protocol it is of. Clients write a request in one piece.
	kindTime = 50 * time.Millisecond
)

// Server serves one TPM to any number of clients on a command port and a platform port.
type Server struct {
	device  transport.Device
	power   transport.Power // nil if the device has no switch
	options Options
	log     *slog.Logger
	flags   Endpoint

	life     *serve.Life[Reason]
	command  *serve.Group
	platform *serve.Group
	gone     serve.Hangups // of clients on the command port

	// switching is held while the power is switched, so that a change, the check before
	// it and its event are one.
	switching  sync.Mutex
	maxCommand uint32 // bytes of the largest command that the device takes
	largest    largest
	canceling  atomic.Bool // CANCEL_ON is in force
}

// NewServer returns a server for device. It never closes the device, and switches its
// power only when a client asks for that.
func NewServer(device transport.Device, options Options) *Server {
	if options.MaxConnections <= 0 {
		options.MaxConnections = defaultMaxConnections
	}
	if options.StallTime <= 0 {
		options.StallTime = defaultStallTime
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	s := &Server{
		device: device, options: options, log: options.Logger, flags: endpoint(device),
		life: serve.NewLife[Reason](), maxCommand: transport.DefaultMaxCommand,
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.command = serve.NewGroup(options.MaxConnections, s.full("command"))
	s.platform = serve.NewGroup(options.MaxConnections, s.full("platform"))
	s.power, _ = transport.As[transport.Power](device)
	if b, ok := transport.As[transport.BufferSize](device); ok {
		_, _, s.maxCommand = b.BufferSize()
	}
	return s
}

// endpoint returns what device makes of the platform port.
func endpoint(device transport.Device) Endpoint {
	flags := PlatformAvailable | InRawMode
	for _, f := range []struct {
		flag Endpoint
		set  bool
	}{
		{SupportsPP, has[transport.Presence](device)},
		{NoPowerControl, !has[transport.Power](device)},
		{NoNVControl, !has[transport.NVAvailability](device)},
		{NoForceFailure, !has[transport.FailureTest](device)},
		{NoHashControl, !has[transport.HashSequence](device)},
	} {
		if f.set {
			flags |= f.flag
		}
	}
	return flags
}

func has[T any](device transport.Device) bool {
	_, ok := transport.As[T](device)
	return ok
}

// full returns what tells that a port has as many clients as it takes.
func (s *Server) full(port string) func(limit int) {
	return func(limit int) {
		s.log.Warn("clients are refused until another one leaves", "port", port, "limit", limit)
	}
}

// ServeCommand accepts connections to the command port until the server ends, and closes
// l then. It returns nil at the end of the server.
func (s *Server) ServeCommand(l net.Listener) error {
	return s.command.Serve(l, opener(s.serveCommand))
}

// ServeCommandConn serves a connection to the command port that is there already. It
// returns when the connection or the server ends.
func (s *Server) ServeCommandConn(conn net.Conn) {
	c, run, _ := opener(s.serveCommand)(conn)
	s.command.Run(c, run)
}

// ServePlatform accepts connections to the platform port until the server ends, and
// closes l then. It returns nil at the end of the server.
func (s *Server) ServePlatform(l net.Listener) error {
	return s.platform.Serve(l, opener(s.servePlatform))
}

// ServePlatformConn serves a connection to the platform port that is there already. It
// returns when the connection or the server ends.
func (s *Server) ServePlatformConn(conn net.Conn) {
	c, run, _ := opener(s.servePlatform)(conn)
	s.platform.Run(c, run)
}

// opener returns how a serve.Group opens connections that f serves.
func opener(f func(*connection)) func(net.Conn) (io.Closer, func(), error) {
	return func(conn net.Conn) (io.Closer, func(), error) {
		c := &connection{accepted: conn, current: conn}
		return c, func() { f(c) }, nil
	}
}

// Done is closed when a client's STOP, or Close, has ended the server. The end of
// Options.Swtpm is for its owner to watch.
func (s *Server) Done() <-chan struct{} { return s.life.Done() }

// Reason returns why the server has ended, "" while it has not.
func (s *Server) Reason() Reason { return s.life.Reason() }

// Close ends the server, and Options.Swtpm, and waits until all their goroutines have
// ended. It leaves the device's power alone. The error is ctx's: a Device did not give
// up a command.
func (s *Server) Close(ctx context.Context) error {
	s.end(EndedByOwner)
	var err error
	if s.options.Swtpm != nil {
		err = s.options.Swtpm.Close(ctx)
	}
	return errors.Join(err, s.command.Wait(ctx), s.platform.Wait(ctx))
}

// end closes everything and does not wait: it is called by the server's own goroutines
// too.
func (s *Server) end(reason Reason) { s.life.End(reason, s.command, s.platform) }

// powered reports whether the TPM has power. Without a switch it always has.
func (s *Server) powered() bool { return s.power == nil || s.power.Powered() }

// closed logs the end of a connection.
func (s *Server) closed(port string, err error) {
	switch {
	case s.life.Ctx.Err() != nil:
	case errors.Is(err, io.EOF):
		s.log.Debug("connection closed by the client", "port", port)
	default:
		s.log.Warn("connection closed", "port", port, "cause", err)
	}
}
