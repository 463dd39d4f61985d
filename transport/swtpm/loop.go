package swtpm

import (
	"errors"

	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/internal/serve"
)

// Loop has one thread wait for the TPM commands of many clients, and execute there what
// takes a TPM some microseconds. It is for the Servers of many TPMs in one process
// (Options.Loop). Where the system has no epoll(7) it does nothing.
type Loop struct {
	loop *serve.Loop // nil: there is none
	gone serve.Hangups
}

// NewLoop returns a loop. Close ends it.
func NewLoop() (*Loop, error) {
	l, err := serve.NewLoop(loopRoom)
	if errors.Is(err, errors.ErrUnsupported) {
		return new(Loop), nil
	}
	if err != nil {
		return nil, err
	}
	return &Loop{loop: l}, nil
}

// Close ends the loop, whose Servers have been closed before.
func (l *Loop) Close() error {
	if l.loop == nil {
		return nil
	}
	return l.loop.Close()
}

const (
	// loopRoom is the size of the largest command that is executed in a loop, in bytes,
	// and one.
	loopRoom = transport.DefaultMaxCommand + 1
	// longStay is how many commands a client waits for by itself after one that has taken
	// too long for the loop.
	longStay = 100
)

// isQuick reports whether a TPM executes a command at once: it needs no key and changes
// nothing that is stored.
func isQuick(code wire.CC) bool {
	switch code {
	case wire.CCGetRandom, wire.CCPCRExtend, wire.CCPCRRead, wire.CCGetCapability, wire.CCReadClock,
		wire.CCReadPublic, wire.CCNVReadPublic, wire.CCNVRead, wire.CCGetTestResult, wire.CCPolicyPCR:
		return true
	}
	return false
}

// enter lets the connection wait in the server's loop, if it has one.
func (d *data) enter() (leave func()) {
	g, ok := d.conn.(*gate)
	if !ok || d.s.opts.Loop == nil || d.s.opts.Loop.loop == nil || d.s.opts.DisconnectData {
		return func() {}
	}
	raw, err := g.SyscallConn()
	if err != nil {
		return func() {} // net.Pipe has no descriptor
	}
	d.gate, d.waiter = g, d.s.opts.Loop.loop.Waiter(raw, d.inLoop)
	d.waiter.Panicked = d.s.opts.Panicked
	g.waiter.Store(d.waiter)
	return func() {
		g.waiter.Store(nil)
		d.waiter.Forget()
	}
}

// await has the loop execute commands until there is one that it does not take, or
// something else for the connection's goroutine. The error ends the connection.
func (d *data) await() error {
	switch {
	case d.waiter == nil, d.first && d.passed, len(d.in.Rest())+len(d.gate.unread)+len(d.gate.unsent) > 0:
		return nil
	case d.alone > 0:
		d.alone--
		return nil
	}
	if d.waiter.Wait(d.gate.suspended) {
		d.alone = longStay
	}
	d.gate.unread = d.waiter.Got
	left := d.left
	d.left = leftover{}
	switch {
	case left.err != nil:
		return left.err
	case left.answered:
		return d.answer(left.response, false)
	case len(d.waiter.Rest) > 0:
		_, err := d.conn.Write(d.waiter.Rest)
		return err
	}
	return nil
}

// leftover is what came of a command in the loop that only the connection's goroutine can
// deal with.
type leftover struct {
	err      error // of the connection
	response []byte
	answered bool
}

// inLoop executes what has come if that is one quick command, and its answer is to be
// written as it is.
func (d *data) inLoop(got []byte) (answer []byte, taken, stays bool) {
	h, ok := transport.ParseHeader(got)
	switch {
	case !ok, int(h.Size) != len(got), h.Tag != transport.TagNoSessions && h.Tag != transport.TagSessions,
		h.Size > d.s.maxCommand.Load(), !isQuick(wire.CC(h.Code)), d.s.opts.Quick != nil && !d.s.opts.Quick():
		return nil, false, false
	}
	d.first = false
	d.calls.Begin()
	response, err := d.s.respond(d.calls.Ctx, got)
	d.calls.End()
	if err != nil || len(response) == 0 || d.calls.Delivery != (transport.Delivery{}) {
		d.left = leftover{err, response, true}
		return nil, true, false
	}
	return response, true, true
}
