package mssim

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/internal/serve"
	"github.com/swtpmd/swtpmd/transport/internal/socket"
)

// commands is a connection to the command port.
type commands struct {
	requests
	s *Server
	// calls has the context of the commands, which ends with the client.
	calls *serve.Calls
	out   []byte // reused for every response
}

// commandTable has the requests of the command port.
var commandTable = map[Code]row{
	CmdHashStart:            {do: (*commands).hashStart},
	CmdHashData:             {payload: 4, do: (*commands).hashData},
	CmdHashEnd:              {do: (*commands).hashEnd},
	CmdSendCommand:          {payload: 5, do: (*commands).sendCommand},
	CmdRemoteHandshake:      {payload: 4, do: (*commands).handshake},
	CmdSetAlternativeResult: {payload: 4, do: (*commands).alternativeResult},
	CmdSessionEnd:           {do: func(*commands, []byte) error { return errSession }},
	CmdStop:                 {do: (*commands).stop},
}

// serveCommand executes the requests of a client until it or the server ends.
func (s *Server) serveCommand(c *connection) {
	if s.isSwtpm(c.accepted, speaksRaw) {
		if conn, err := c.release(); err == nil {
			_ = s.options.Swtpm.ServeDataConn(conn) // which logs
		}
		return
	}
	conn, err := c.adopt()
	if err != nil {
		s.closed("command", err)
		return
	}
	socket.BusyPoll(conn, s.options.BusyPoll)
	r := &commands{
		requests: requests{"command", transport.NewFrameReader(conn, s.maxCommand, s.options.StallTime)},
		s:        s, calls: s.gone.Watch(transport.WithClient(s.life.Ctx, transport.ClientMSSIM), conn),
	}
	defer s.gone.Forget(r.calls)
	s.closed("command", r.serve())
}

func (c *commands) serve() error {
	for {
		_, is, payload, err := c.next(commandTable)
		if err == nil {
			err = is.do(c, payload)
		}
		if err == nil {
			err = c.finish()
		}
		if err != nil {
			return err
		}
	}
}

// sendCommand is SEND_COMMAND: the locality in one byte, the command's length, and the
// command. What the command's own size field says is for the TPM to judge.
func (c *commands) sendCommand(payload []byte) error {
	locality, length := payload[0], binary.BigEndian.Uint32(payload[1:])
	switch {
	case length > maxLength:
		return &RequestError{"command", CmdSendCommand, fmt.Sprintf("a command of %d bytes: at most %d are taken", length, maxLength)}
	case length > c.s.maxCommand:
		c.s.log.Warn("unreadable TPM command", "bytes", length, "limit", c.s.maxCommand)
		if err := c.in.Discard(int64(length)); err != nil {
			return err
		}
		return c.respond(transport.AppendResponse(nil, transport.RCCommandSize))
	}
	command, err := c.command(int(length))
	if err != nil {
		return err
	}
	c.calls.Begin()
	response, err := c.execute(locality, command)
	c.calls.End()
	if err != nil {
		return err
	}
	c.s.largest.note(command, response)
	return c.respond(response)
}

// command takes the next n bytes. They are valid until the next request.
func (c *commands) command(n int) ([]byte, error) {
	if n >= transport.HeaderSize {
		return c.in.Take(uint32(n))
	}
	short, err := c.in.Peek(n)
	if err != nil {
		return nil, err
	}
	short = bytes.Clone(short)
	c.in.Skip(n)
	return short, c.finish()
}

// execute returns the response to a command, nil if there is no power. The error is
// transport.ErrHangUp.
func (c *commands) execute(locality uint8, command []byte) ([]byte, error) {
	switch {
	case locality > maxLocality && locality < firstExtended:
		return transport.AppendResponse(nil, transport.RCLocality), nil
	case !c.s.powered():
		c.s.log.Warn("TPM command without power: no POWER_ON has come, or it failed")
		return nil, nil
	}
	response, err := c.s.device.Send(c.calls.Ctx, locality, command)
	switch {
	case err == nil:
		return response, nil
	case errors.Is(err, transport.ErrHangUp):
		return nil, err
	case !c.s.powered():
		return nil, nil
	}
	c.s.log.Warn("no answer from the TPM", "cause", err)
	return transport.AppendResponse(nil, transport.RCFailure), nil
}

// respond writes a response between its length and the acknowledgment, with one write.
func (c *commands) respond(response []byte) error {
	c.out = binary.BigEndian.AppendUint32(c.out[:0], uint32(len(response)))
	c.out = append(c.out, response...)
	return c.acknowledge()
}

// acknowledge writes what is in out and the acknowledgment.
func (c *commands) acknowledge() error {
	c.out = binary.BigEndian.AppendUint32(c.out, ackOK)
	err := c.calls.Write(c.out)
	c.out = c.out[:0]
	return err
}

// handshake is REMOTE_HANDSHAKE: the client's version, which is not 0, for that of the
// server and the flags of its platform.
func (c *commands) handshake(payload []byte) error {
	if binary.BigEndian.Uint32(payload) == 0 {
		return &RequestError{"command", CmdRemoteHandshake, "there is no version 0"}
	}
	c.out = binary.BigEndian.AppendUint32(c.out, serverVersion)
	c.out = binary.BigEndian.AppendUint32(c.out, uint32(c.s.flags))
	return c.acknowledge()
}

// alternativeResult is SET_ALTERNATIVE_RESULT, which has no effect in the reference code
// either.
func (c *commands) alternativeResult([]byte) error { return c.acknowledge() }

// stop is STOP, which has no acknowledgment.
func (c *commands) stop([]byte) error {
	c.s.end(EndedByStop)
	return errSession
}

// hash sends a signal of the hash sequence to a TPM that has power; to another one it has
// no effect.
func (c *commands) hash(code Code, signal func(transport.HashSequence) error) {
	h, ok := transport.As[transport.HashSequence](c.s.device)
	if !ok || !c.s.powered() {
		return
	}
	if err := signal(h); err != nil {
		c.s.log.Warn("the TPM refused a signal", "request", code.String(), "cause", err)
	}
}

func (c *commands) hashStart([]byte) error {
	c.hash(CmdHashStart, transport.HashSequence.HashStart)
	return c.acknowledge()
}

func (c *commands) hashEnd([]byte) error {
	c.hash(CmdHashEnd, transport.HashSequence.HashEnd)
	return c.acknowledge()
}

// hashData is HASH_DATA: a length and so many bytes, which go to the TPM as they come.
func (c *commands) hashData(payload []byte) error {
	left := int(binary.BigEndian.Uint32(payload))
	if left > maxLength {
		return &RequestError{"command", CmdHashData, fmt.Sprintf("%d bytes: at most %d are taken", left, maxLength)}
	}
	for left > 0 {
		piece, err := c.in.Peek(min(left, int(c.s.maxCommand)))
		if err != nil {
			return err
		}
		c.hash(CmdHashData, func(h transport.HashSequence) error { return h.HashData(piece) })
		c.in.Skip(len(piece))
		left -= len(piece)
	}
	return c.acknowledge()
}
