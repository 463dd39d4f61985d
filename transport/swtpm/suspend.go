package swtpm

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/swtpmd/swtpmd/transport/internal/socket"
)

// A Server that is suspended executes nothing and loses nobody: its connections are values,
// which it serves again when it is resumed, or which another server serves in its place, in
// another process too.

// Channel says what a connection is for.
type Channel string

// The channels.
const (
	ControlChannel Channel = "control"
	DataChannel    Channel = "data"
	PassedChannel  Channel = "passed" // a data channel that came by SET_DATAFD
)

// Connection is a connection of a suspended server, between two requests.
type Connection struct {
	Channel Channel
	Conn    net.Conn
	// Unread is what the client has sent and the server has not executed.
	Unread []byte
	// Unsent is what the client has not got yet of the last response, because it does not
	// read.
	Unsent []byte
	// Asked reports whether a TPM command has come: the first one on a passed channel is
	// QEMU's question for a TPM.
	Asked bool
	// Pipelines reports whether a control client sends requests ahead of the replies.
	Pipelines bool
	// FDs are descriptors that came over a control channel with no whole request. They are
	// the receiver's to close.
	FDs []int
}

// Close closes the connection, and the descriptors that came over it.
func (c *Connection) Close() error {
	queue := fdQueue{fds: c.FDs}
	queue.drop()
	c.FDs = nil
	return c.Conn.Close()
}

// State is what a Server knows of its TPM besides the Device.
type State struct {
	Locality uint8 `json:"locality,omitempty"`
	// GivenPermanent and GivenVolatile are what SET_STATEBLOB has given for the next INIT.
	GivenPermanent []byte `json:"given_permanent,omitempty"`
	GivenVolatile  []byte `json:"given_volatile,omitempty"`
	// Stored is what STORE_VOLATILE has kept, of a server without Storage.
	Stored []byte `json:"stored,omitempty"`
}

// State returns what the server knows. It does not change while the server is suspended.
func (s *Server) State() State {
	s.switching.Lock()
	defer s.switching.Unlock()
	state := State{Locality: uint8(s.locality.Load()), GivenPermanent: s.given.permanent, GivenVolatile: s.given.volatile}
	if m, ok := s.opts.Storage.(*memory); ok {
		state.Stored, _ = m.LoadVolatile()
	}
	return state
}

// SetState has a server that serves nobody yet know what another one knew. It asks the
// Device anew how large commands may be.
func (s *Server) SetState(state State) {
	s.switching.Lock()
	defer s.switching.Unlock()
	s.locality.Store(uint32(state.Locality))
	s.given = givenState{state.GivenPermanent, state.GivenVolatile}
	if m, ok := s.opts.Storage.(*memory); ok && state.Stored != nil {
		m.keep(state.Stored)
	}
	s.learnMaxCommand()
}

// ErrNotPolled is why a server cannot be suspended: its connections wait in threads.
var ErrNotPolled = errors.New("a server without Options.Polled cannot be suspended")

// suspension is what a server knows of it.
type suspension struct {
	on atomic.Bool
	// serve is Server.Serve, which the table of requests may not name.
	serve func(Connection) error

	mu    sync.Mutex
	gates map[*gate]struct{}
	kept  []Connection
}

func (p *suspension) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.on.Store(true)
}

// end returns the connections that have ended in the suspension.
func (p *suspension) end() []Connection {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.on.Store(false)
	kept := p.kept
	p.kept = nil
	return kept
}

// keep reports whether the suspension goes on; it has the connection then.
func (p *suspension) keep(g *gate, c Connection) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	g.kept = true
	if p.on.Load() {
		p.kept = append(p.kept, c)
	}
	return p.on.Load()
}

// patience is how long a client may take to read its response before the rest of that is
// kept for it.
const patience = 200 * time.Millisecond

// Suspend has the server accept nobody and execute nothing from now on. It returns when all
// commands that are in execution have been answered, with the connections as they are then;
// they are still the server's, and Resume serves them again. Clients wait meanwhile, and so
// do those who connect. If ctx ends before, the server is resumed, and the error is ctx's.
//
// A client that is in the middle of a command larger than the TPM's buffer loses its
// connection.
func (s *Server) Suspend(ctx context.Context) ([]Connection, error) {
	if !s.opts.Polled {
		return nil, ErrNotPolled
	}
	s.pause.begin()
	s.ctrl.Suspend()
	s.data.Suspend()
	s.interrupt(net.Conn.SetReadDeadline)
	late := time.AfterFunc(patience, func() {
		s.interrupt(func(c net.Conn, t time.Time) error {
			if !s.pause.on.Load() {
				return nil
			}
			return c.SetWriteDeadline(t)
		})
	})
	defer late.Stop()
	if err := errors.Join(s.ctrl.Quiet(ctx), s.data.Quiet(ctx)); err != nil {
		s.Resume()
		return nil, err
	}
	s.pause.mu.Lock()
	defer s.pause.mu.Unlock()
	return append([]Connection(nil), s.pause.kept...), nil
}

// interrupt has Read or Write of all connections return.
func (s *Server) interrupt(set func(net.Conn, time.Time) error) {
	s.pause.mu.Lock()
	defer s.pause.mu.Unlock()
	for g := range s.pause.gates {
		_ = set(g.Conn, past)
	}
}

// past is a deadline that is over.
var past = time.Unix(1, 0)

// Resume has a suspended server go on.
func (s *Server) Resume() {
	kept := s.pause.end()
	s.interrupt(func(c net.Conn, _ time.Time) error { return c.SetDeadline(time.Time{}) })
	s.ctrl.Resume()
	s.data.Resume()
	for _, c := range kept {
		_ = s.Serve(c) // which fails at the end of the server only
	}
}

// Serve serves a connection that a server has let go, from where it is, in a goroutine of
// its own. It fails, and closes the connection, if the server has ended.
func (s *Server) Serve(c Connection) error {
	if err := c.Conn.SetDeadline(time.Time{}); err != nil {
		return errors.Join(err, c.Close())
	}
	g := s.gate(c.Conn)
	g.unread, g.unsent = c.Unread, c.Unsent
	served := false
	switch c.Channel {
	case ControlChannel:
		control := &control{s: s, conn: newFDConn(g), pipelines: c.Pipelines}
		control.fds.fds = c.FDs
		served = s.ctrl.Adopt(g, control.serve)
	case PassedChannel:
		served = s.attachAs(g, c.Asked) == Success
	case DataChannel:
		d := s.newData(g, false, s.pieceTime())
		d.first = !c.Asked
		served = s.data.Adopt(g, d.serve)
	}
	if !served {
		return errors.Join(net.ErrClosed, c.Close())
	}
	return nil
}

// dropKept closes the connections of a server that has ended while it was suspended.
func (s *Server) dropKept() {
	s.pause.mu.Lock()
	defer s.pause.mu.Unlock()
	for i := range s.pause.kept {
		_ = s.pause.kept[i].Close()
	}
	s.pause.kept = nil
}

// errSuspended is why a connection reads no more, errDiscarding why it cannot be kept.
var (
	errSuspended  = errors.New("suspended")
	errDiscarding = errors.New("suspended in the middle of a command larger than the buffer")
)

// gate is a connection that can be suspended between two requests.
type gate struct {
	net.Conn
	// stream reads and writes for Conn.
	stream   io.ReadWriter
	s        *Server
	kept     bool      // Close leaves it open
	unread   []byte    // what Read gives first
	unsent   []byte    // what the client has to get first
	deadline time.Time // of Read
	// busy: a request is executed, which may read.
	busy atomic.Bool
}

// gate returns a connection as one that can be suspended.
func (s *Server) gate(conn net.Conn) *gate {
	g := &gate{Conn: conn, stream: conn, s: s}
	s.pause.mu.Lock()
	defer s.pause.mu.Unlock()
	if s.pause.gates == nil {
		s.pause.gates = make(map[*gate]struct{})
	}
	s.pause.gates[g] = struct{}{}
	return g
}

// keep ends a gate, whose connection stays open as a value.
func (g *gate) keep(c Connection) {
	c.Conn, c.Unsent = g.Conn, g.unsent
	c.Unread = append(c.Unread, g.unread...)
	if !g.s.pause.keep(g, c) {
		_ = g.s.pause.serve(c) // the suspension is over already
	}
}

// Close closes the connection, unless it is kept.
func (g *gate) Close() error {
	g.s.pause.mu.Lock()
	defer g.s.pause.mu.Unlock()
	delete(g.s.pause.gates, g)
	if g.kept {
		return nil
	}
	return g.Conn.Close()
}

// suspended reports whether the connection has to stop.
func (g *gate) suspended() bool { return g.s.pause.on.Load() && !g.busy.Load() }

// SyscallConn lets the socket be asked whether its client is gone.
func (g *gate) SyscallConn() (syscall.RawConn, error) {
	if c, ok := g.Conn.(syscall.Conn); ok {
		return c.SyscallConn()
	}
	return nil, socket.ErrNotStream
}

// SetReadDeadline sets a deadline for Read, which a suspension comes before.
func (g *gate) SetReadDeadline(t time.Time) error {
	g.deadline = t
	err := g.Conn.SetReadDeadline(t)
	if g.suspended() {
		err = g.Conn.SetReadDeadline(past)
	}
	return err
}

// Read reads, but not in a suspension.
func (g *gate) Read(p []byte) (int, error) {
	return g.reading(p, g.stream.Read)
}

func (g *gate) reading(p []byte, read func([]byte) (int, error)) (int, error) {
	if err := g.catchUp(); err != nil {
		return 0, err
	}
	if g.suspended() {
		return 0, errSuspended
	}
	if len(g.unread) > 0 {
		n := copy(p, g.unread)
		g.unread = g.unread[n:]
		return n, nil
	}
	for {
		n, err := read(p)
		switch {
		case n > 0 || !errors.Is(err, os.ErrDeadlineExceeded):
			return n, err
		case g.suspended():
			return 0, errSuspended
		case !g.deadline.IsZero() && !time.Now().Before(g.deadline):
			return 0, err
		}
		// It was a suspension's, which is over or does not come before this.
		if err := g.Conn.SetReadDeadline(g.deadline); err != nil {
			return 0, err
		}
	}
}

// catchUp sends what the client has not got yet.
func (g *gate) catchUp() error {
	for len(g.unsent) > 0 && !g.suspended() {
		unsent := g.unsent
		g.unsent = nil
		if _, err := g.Write(unsent); err != nil {
			return err
		}
	}
	return nil
}

// Write writes. What a client does not read in a suspension it gets afterwards.
func (g *gate) Write(p []byte) (int, error) {
	if len(g.unsent) > 0 {
		g.unsent = append(g.unsent, p...)
		return len(p), nil
	}
	n, err := g.stream.Write(p)
	if err != nil && g.s.pause.on.Load() && errors.Is(err, os.ErrDeadlineExceeded) {
		g.unsent = append(g.unsent, p[n:]...)
		return len(p), nil
	}
	return n, err
}

// busy records that a request is executed, or no longer.
func (c *fdConn) busy(is bool) {
	if c.gate != nil {
		c.gate.busy.Store(is)
	}
}

// interrupted is the end of a connection in a suspension, which may have come between a
// prefix and its command: the prefix is unread then.
func (d *data) interrupted(head header, prefixed bool) error {
	if prefixed {
		d.unread = append(d.unread, 0, 0, 0, prefixCode, head.locality)
		d.unread = binary.BigEndian.AppendUint32(d.unread, head.size)
	}
	return errSuspended
}

// keep keeps the connection as a value. One that is in the middle of what it has to
// discard does not come here.
func (d *data) keep() {
	channel := DataChannel
	if d.passed {
		channel = PassedChannel
		d.s.detach(d.conn)
	}
	d.conn.(*gate).keep(Connection{Channel: channel, Unread: append(d.unread, d.in.Rest()...), Asked: !d.first})
}
