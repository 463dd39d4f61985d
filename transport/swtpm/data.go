package swtpm

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"time"

	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/internal/serve"
	"github.com/swtpmd/swtpmd/transport/internal/socket"
)

// probeTime is how long QEMU's question for a TPM may take in the device. QEMU
// itself waits 1 s (backends/tpm/tpm_util.c: tpm_util_request).
const probeTime = 500 * time.Millisecond

// pieceTime is how long the rest of a command may take on a channel whose clients send
// a command in one piece: a unix socket and a passed descriptor.
const pieceTime = 250 * time.Millisecond

// ccReadClock is TPM_CC_ReadClock.
const ccReadClock = 0x181

// data is one data connection.
type data struct {
	s    *Server
	conn socket.Conn
	in   *transport.FrameReader
	// calls has the context of the commands, which ends with the client.
	calls *serve.Calls
	// passed says that the descriptor came by SET_DATAFD: its client can
	// neither dial again nor be told anything but by a response.
	passed bool
	first  bool   // no command has come yet
	out    []byte // reused for responses that need framing
	unread []byte // a suspended connection goes on with it
}

func (s *Server) newData(conn socket.Conn, passed bool, stall time.Duration) *data {
	socket.BusyPoll(conn, s.opts.BusyPoll)
	return &data{
		s:      s,
		conn:   conn,
		in:     transport.NewFrameReader(conn, s.largestCommand, stall),
		passed: passed,
		first:  true,
	}
}

func (s *Server) openData(conn net.Conn) (io.Closer, func(), error) {
	stall := s.opts.StallTime
	if conn.LocalAddr().Network() == "unix" {
		stall = s.pieceTime()
	}
	if s.opts.Polled {
		c := s.gate(conn)
		if quick := socket.NewQuick(conn); quick != nil {
			c.stream = quick
		}
		return c, s.newData(c, false, stall).serve, nil
	}
	c, err := socket.Adopt(conn)
	if err != nil {
		_ = conn.Close()
		s.log.Warn("data connection refused", "cause", err)
		return nil, nil, err
	}
	return c, s.newData(c, false, stall).serve, nil
}

// serve executes commands in order until the client or the server ends.
func (d *data) serve() {
	d.s.log.Debug("data connection opened", "passed", d.passed)
	client := transport.ClientData
	if d.passed {
		client = transport.ClientPassed
	}
	d.calls = d.s.gone.Watch(transport.WithClient(d.s.life.Ctx, client), d.conn)
	err := d.commands()
	d.s.gone.Forget(d.calls)
	if errors.Is(err, errSuspended) {
		d.keep()
		return
	}
	switch {
	case d.s.ended():
		return
	case errors.Is(err, io.EOF):
		d.s.log.Debug("data connection closed by the client", "passed", d.passed)
	default:
		d.s.log.Warn("data connection closed", "passed", d.passed, "cause", err)
	}
	if d.s.opts.TerminateWithData {
		d.s.end(EndedByData)
	}
}

func (d *data) commands() error {
	for {
		head, prefixed, command, err := d.next()
		if errors.Is(err, errSuspended) {
			return d.interrupted(head, prefixed)
		}
		if err != nil {
			if err = d.unreadable(err, prefixed); err != nil {
				return err
			}
			continue
		}
		d.calls.Begin()
		response, err := d.respond(head, prefixed, command)
		d.calls.End()
		if err != nil {
			return err
		}
		d.dropStray()
		d.first = false
		if err := d.answer(response, prefixed); err != nil {
			return err
		}
		if d.s.opts.DisconnectData && !d.passed {
			return io.EOF
		}
	}
}

func (d *data) next() (head header, prefixed bool, command []byte, err error) {
	if g, ok := d.conn.(*gate); ok && g.suspended() {
		return head, false, nil, errSuspended // what is read already waits too
	}
	head, prefixed, err = d.prefix()
	// Only now: the size may have changed while the connection was idle.
	d.in.SetMax(d.s.maxCommand.Load())
	switch {
	case err != nil:
	case prefixed:
		command, err = d.in.Take(head.size)
	default:
		command, err = d.in.Next()
	}
	return head, prefixed, command, err
}

// respond returns the response to a command. The error is transport.ErrHangUp.
func (d *data) respond(head header, prefixed bool, command []byte) ([]byte, error) {
	if isStray(d.in.Rest()) {
		return transport.AppendResponse(nil, transport.RCCommandSize), nil
	}
	if prefixed {
		if code := d.accept(head, command); code != transport.RCSuccess {
			return transport.AppendResponse(nil, code), nil
		}
	}
	return d.execute(command)
}

// isStray reports whether what came with a command, after its end, is no beginning of
// another one: the size field of the first was too small then, and neither swtpm nor a
// TPM executes it.
func isStray(rest []byte) bool {
	switch {
	case len(rest) == 0:
		return false
	case rest[0] == 0x80: // a tag of TPM 2.0
		return len(rest) > 1 && rest[1] != 1 && rest[1] != 2
	case len(rest) >= codeSize && binary.BigEndian.Uint32(rest) == prefixCode:
		return false
	}
	return len(rest) < 2 || rest[0] != 0 || rest[1]&^3 != 0xC0 // a tag of TPM 1.2
}

// dropStray throws away what follows a command and is none.
func (d *data) dropStray() {
	if isStray(d.in.Rest()) {
		n := d.in.Drop()
		d.s.log.Warn("unreadable TPM command", "passed", d.passed, "cause", "bytes follow it", "bytes", n)
	}
}

// answer writes the response, with one write if no fault wants more. A Device that answers nothing at
// all, and calls it no error, wants its client to get nothing.
func (d *data) answer(response []byte, prefixed bool) error {
	if len(response) == 0 {
		d.s.log.Warn("the TPM gave an empty answer, the client gets none")
		return nil
	}
	if prefixed {
		d.out = appendPrefixed(d.out[:0], response)
		response = d.out
	}
	return d.calls.Write(response)
}

// unreadable deals with a stream that has no command where one should be. It
// returns an error if the connection is over.
//
// A size field that cannot be right is answered with TPM_RC_COMMAND_SIZE, as
// by the TPM itself, and the connection stays. So is one that announces more than
// comes, at once where a client sends a command in one piece: swtpm, which takes
// nothing else, answers so, and bhyve ends when its connection does. What came is
// dropped; only of a command that is larger than the buffer are the bytes discarded
// that still come.
//
// A passed descriptor is QEMU's, which sends what it has in one piece, whatever the
// guest wrote into the size field: nothing more comes.
func (d *data) unreadable(err error, prefixed bool) error {
	var size *transport.SizeError
	var stall *transport.StallError
	if !errors.As(err, &size) && !errors.As(err, &stall) {
		return err
	}
	d.s.log.Warn("unreadable TPM command", "passed", d.passed, "cause", err)
	if err := d.answer(transport.AppendResponse(nil, transport.RCCommandSize), prefixed); err != nil {
		return err
	}
	if d.passed || stall != nil || size.Size < transport.HeaderSize {
		d.in.Drop()
		return nil
	}
	switch err := d.in.Discard(int64(size.Size)); {
	case errors.Is(err, errSuspended):
		return errDiscarding
	case !errors.As(err, &stall):
		return err
	}
	d.in.Drop()
	return nil
}

// execute executes a command: QEMU's probe, which comes first on a connection that was
// passed to the server, by probe, and any other one by respond.
func (d *data) execute(command []byte) ([]byte, error) {
	if !d.first || !d.passed || !isProbe(command) {
		return d.s.respond(d.calls.Ctx, command)
	}
	if !d.s.powered() { // QEMU asks for the TPM's version before it applies power
		return transport.AppendResponse(nil, transport.RCFailure), nil
	}
	return d.probe(command), nil
}

// Respond executes one TPM command that came on a way of the caller's own, a
// character device for one, as if it had come on a data connection: at the locality
// that is set, with the vendor command that sets it, and with TPM_RC_FAILURE for a
// TPM without power or one that gives no answer. It may be called from several
// goroutines. The response is the caller's; it is empty if the device wants its
// client to get nothing.
func (s *Server) Respond(ctx context.Context, command []byte) (response []byte) {
	response, err := s.respond(ctx, command)
	if err != nil { // there is no connection to close
		return transport.AppendResponse(nil, transport.RCFailure)
	}
	return response
}

// respond is Respond for a connection, which the error transport.ErrHangUp closes.
func (s *Server) respond(ctx context.Context, command []byte) ([]byte, error) {
	if response, ours := s.vendorSetLocality(command); ours {
		return response, nil
	}
	if !s.powered() {
		s.log.Warn("TPM command without power: no INIT has come on the control channel, or the last one failed; --flags=startup-clear needs none")
		return transport.AppendResponse(nil, transport.RCFailure), nil
	}
	if s.needLock() != nil {
		return transport.AppendResponse(nil, transport.RCFailure), nil
	}
	return s.send(ctx, command)
}

// send returns the device's response. The error is transport.ErrHangUp.
func (s *Server) send(ctx context.Context, command []byte) ([]byte, error) {
	response, err := s.device.Send(ctx, uint8(s.locality.Load()), command)
	switch {
	case errors.Is(err, transport.ErrHangUp):
		return nil, err
	case err != nil:
		s.log.Warn("no answer from the TPM", "cause", err)
		return transport.AppendResponse(nil, transport.RCFailure), nil
	}
	return response, nil
}

// isProbe recognizes TPM2_ReadClock without sessions, which QEMU sends first
// to see which version of a TPM there is.
func isProbe(command []byte) bool {
	h, ok := transport.ParseHeader(command)
	return ok && len(command) == transport.HeaderSize && h.Tag == transport.TagNoSessions && h.Code == ccReadClock
}

// probe answers QEMU's question in time, even if the device is busy: the tag
// of the response is all QEMU looks at.
func (d *data) probe(command []byte) []byte {
	ctx, cancel := context.WithTimeout(transport.WithProbe(d.calls.Ctx), probeTime)
	defer cancel()
	command = append([]byte(nil), command...) // it may outlast this call
	answer := make(chan []byte, 1)
	d.s.data.Background(func() {
		response, _ := d.s.send(ctx, command) // no rule decides about a probe
		answer <- response
	})
	select {
	case response := <-answer:
		if len(response) > 0 {
			return response
		}
	case <-ctx.Done():
		d.s.log.Warn("the TPM is busy, QEMU's version probe gets TPM_RC_FAILURE",
			"cause", os.ErrDeadlineExceeded)
	}
	return transport.AppendResponse(nil, transport.RCFailure)
}
