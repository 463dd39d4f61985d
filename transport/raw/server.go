package raw

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/internal/serve"
	"github.com/swtpmd/swtpmd/transport/internal/socket"
)

// Options say how a Server behaves.
type Options struct {
	// Locality is the locality of every command.
	Locality uint8
	// MaxConnections bounds the connections that listeners accept at a time;
	// further ones are closed at once. 0 is 64.
	MaxConnections int
	// StallTime is how long a command that has begun may take to come in; 0
	// is 5 s.
	StallTime time.Duration
	// BusyPoll is how long the server looks for a client's next command before its thread
	// sleeps (Linux); 0 is not at all. See docs/performance.md for what it brings and costs.
	BusyPoll time.Duration
	// Logger is told at warning level what made a client get less than a
	// TPM's answer. Nil logs nothing.
	Logger *slog.Logger
}

const (
	defaultMaxConnections = 64
	defaultStallTime      = 5 * time.Second
)

// Server serves one TPM to any number of connections.
type Server struct {
	device transport.Device
	opts   Options
	log    *slog.Logger
	ctx    context.Context
	cancel context.CancelFunc
	conns  *serve.Group
	gone   serve.Hangups
}

// NewServer returns a server for device.
func NewServer(device transport.Device, opts Options) *Server {
	if opts.MaxConnections <= 0 {
		opts.MaxConnections = defaultMaxConnections
	}
	if opts.StallTime <= 0 {
		opts.StallTime = defaultStallTime
	}
	s := &Server{device: device, opts: opts, log: opts.Logger}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.conns = serve.NewGroup(opts.MaxConnections, func(limit int) {
		s.log.Warn("clients are refused until another one leaves", "limit", limit)
	})
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Serve accepts connections from l until Close, and closes l then. It returns
// nil after Close.
func (s *Server) Serve(l net.Listener) error { return s.conns.Serve(l, s.open) }

// ServeConn serves a connection that is there already. It returns when the
// connection or the server ends.
func (s *Server) ServeConn(conn net.Conn) error {
	c, run, err := s.open(conn)
	if err != nil {
		return err
	}
	s.conns.Run(c, run)
	return nil
}

// Close ends all connections and waits until their goroutines have ended. The
// error is ctx's: a Device did not give up a command.
func (s *Server) Close(ctx context.Context) error {
	s.cancel()
	s.conns.Stop()
	return s.conns.Wait(ctx)
}

func (s *Server) open(conn net.Conn) (io.Closer, func(), error) {
	c, err := socket.Adopt(conn)
	if err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	socket.BusyPoll(c, s.opts.BusyPoll)
	return c, func() {
		calls := s.gone.Watch(transport.WithClient(s.ctx, transport.ClientRaw), c)
		err := s.commands(c, calls)
		s.gone.Forget(calls)
		if s.ctx.Err() == nil && !errors.Is(err, io.EOF) {
			s.log.Warn("connection closed", "cause", err)
		}
	}, nil
}

func (s *Server) commands(conn socket.Conn, calls *serve.Calls) error {
	in := transport.NewFrameReader(conn, s.maxCommand(), s.opts.StallTime)
	for {
		command, err := in.Next()
		if err == nil {
			err = s.execute(calls, command)
		} else {
			err = s.refuse(conn, in, err)
		}
		if err != nil {
			return err
		}
	}
}

func (s *Server) execute(calls *serve.Calls, command []byte) error {
	calls.Begin()
	response, err := s.device.Send(calls.Ctx, s.opts.Locality, command)
	calls.End()
	switch {
	case errors.Is(err, transport.ErrHangUp):
		return err
	case err != nil:
		s.log.Warn("no answer from the TPM", "cause", err)
		response = transport.AppendResponse(nil, transport.RCFailure)
	}
	return calls.Write(response)
}

// refuse answers a command whose size field cannot be right as the TPM itself
// would, and looks for the next one. A size below a header's says nothing
// about where that begins: what came is dropped.
func (s *Server) refuse(conn socket.Conn, in *transport.FrameReader, err error) error {
	var size *transport.SizeError
	if !errors.As(err, &size) {
		return err
	}
	s.log.Warn("unreadable TPM command", "cause", size)
	if _, err := conn.Write(transport.AppendResponse(nil, transport.RCCommandSize)); err != nil {
		return err
	}
	if size.Size < transport.HeaderSize {
		in.Drop()
		return nil
	}
	return in.Discard(int64(size.Size))
}

func (s *Server) maxCommand() uint32 {
	if b, ok := transport.As[transport.BufferSize](s.device); ok {
		_, _, most := b.BufferSize()
		return most
	}
	return transport.DefaultMaxCommand
}
