package swtpm

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"time"

	"github.com/swtpmd/swtpmd/transport/internal/socket"
)

// controlBuffer is the size of a control connection's buffer: a HASH_DATA
// request with 4,096 bytes of data. More data than that is streamed.
const controlBuffer = codeSize + 4 + 4096

// control is one control connection.
type control struct {
	s    *Server
	conn fdConn
	buf  [controlBuffer]byte
	// start and end are where in buf the bytes are that nobody took yet.
	start, end int
	// pipelines is set once the client has sent a request before it had the
	// reply to the one before: where such a client's segments end means
	// nothing. Nor does it mean anything where the buffer ends.
	pipelines bool
	fds       fdQueue // received and not claimed yet
	out       []byte  // reused for every reply
}

func (s *Server) openControl(conn net.Conn) (io.Closer, func(), error) {
	if s.opts.Polled {
		conn = s.gate(conn)
	}
	c := &control{s: s, conn: newFDConn(conn)}
	return conn, c.serve, nil
}

// serve answers requests in order until the client or the server ends.
func (c *control) serve() {
	c.s.log.Debug("control connection opened")
	err := c.requests()
	if errors.Is(err, errSuspended) {
		c.conn.gate.keep(Connection{Channel: ControlChannel, Unread: c.buf[c.start:c.end], Pipelines: c.pipelines, FDs: c.fds.all()})
		return
	}
	c.fds.drop()
	switch {
	case c.s.ended():
		return
	case errors.Is(err, io.EOF):
		c.s.log.Debug("control connection closed by the client")
	default:
		c.s.log.Warn("control connection closed", "cause", err)
	}
	if c.s.opts.TerminateWithControl {
		c.s.end(EndedByControl)
	}
}

func (c *control) requests() error {
	for {
		req, err := c.next()
		if err != nil {
			return err
		}
		c.conn.busy(true)
		result, err := c.execute(&req)
		c.conn.busy(false)
		if err != nil {
			return err
		}
		c.s.log.Debug("control request", "request", req.code.String(), "result", result.String())
		if err := c.answer(&req, result); err != nil {
			return err
		}
		if req.handsOver {
			c.s.handOver()
		}
		if req.last {
			return io.EOF
		}
		if req.ends != "" {
			c.s.end(req.ends)
			return nil
		}
	}
}

// next reads until there is a request. A request that has begun must be
// complete within the server's stall time.
func (c *control) next() (request, error) {
	var deadline time.Time
	for {
		req, used := decode(c.buf[c.start:c.end], c.open())
		if used > 0 {
			c.start += used
			c.pipelines = c.pipelines || req.body == 0 && c.start < c.end
			return req, nil
		}
		if c.end > c.start && deadline.IsZero() {
			wait := c.s.stall
			if req.row != nil && req.row.short == answersShort {
				wait = min(wait, c.s.piece) // swtpm does not wait at all
			}
			deadline = time.Now().Add(wait)
		}
		err := c.fill(deadline)
		if err == nil {
			continue
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return c.late(err)
		}
		return request{}, err
	}
}

func (c *control) open() bool { return c.pipelines || c.end == len(c.buf) }

// late decides about what is there of a request when its time is over.
func (c *control) late(timeout error) (request, error) {
	req, used := decode(c.buf[c.start:c.end], false)
	switch {
	case used > 0: // it was left open whether more belongs to it
		c.start += used
		return req, nil
	case req.row != nil && req.row.short == answersShort:
		c.start, c.end = 0, 0
		return req, nil
	}
	return req, timeout
}

// fill reads once. It may move what is in the buffer.
func (c *control) fill(deadline time.Time) error {
	if c.start > 0 {
		c.end = copy(c.buf[:], c.buf[c.start:c.end])
		c.start = 0
	}
	if err := c.conn.SetReadDeadline(deadline); err != nil {
		return err
	}
	if !deadline.IsZero() {
		socket.Acknowledge(c.conn.Conn)
	}
	n, err := c.conn.read(c.buf[c.end:], &c.fds)
	c.end += n
	if n > 0 {
		return nil
	}
	switch {
	case err == nil:
		return io.EOF
	case errors.Is(err, io.EOF) && c.end > 0:
		return io.ErrUnexpectedEOF
	}
	return err
}

// execute checks a request in swtpm's order (code, state of the TPM, length)
// and executes it. The error is one of the connection.
func (c *control) execute(req *request) (Result, error) {
	req.fds = &c.fds
	defer c.dropFDs()
	result := c.refusal(req)
	if req.body == 0 {
		req.data = func(func([]byte) error) error { return nil }
		if result == Success {
			result = req.row.do(c, req)
		}
		return result, nil
	}
	// The body is read whatever the verdict, so that the next request is
	// found after it.
	var broken error
	req.data = func(take func([]byte) error) error {
		var failed error
		failed, broken = c.body(req.body, take)
		return failed
	}
	if result == Success {
		result = req.row.do(c, req)
	} else {
		_ = req.data(func([]byte) error { return nil })
	}
	if continues(c.buf[c.start:c.end], c.open()) {
		c.pipelines = c.pipelines || c.start < c.end
	} else {
		c.start, c.end = 0, 0
	}
	return result, broken
}

// refusal says why a request is not executed, or Success.
func (c *control) refusal(req *request) Result {
	r := req.row
	switch {
	case r == nil || !r.supports(c.s.device, c.s.opts.Version):
		return BadOrdinal
	case r.run == running && !c.s.powered(), r.run == stopped && c.s.powered():
		return BadOrdinal
	case len(req.payload) < r.least, req.excess && r.excess == refusesExcess:
		return BadParameter
	}
	return Success
}

// body hands the next n bytes of the stream to take, in pieces. After take has
// failed, the rest is read for nothing. broken is an error of the connection.
func (c *control) body(n uint32, take func([]byte) error) (failed, broken error) {
	for n > 0 {
		if c.start == c.end {
			if err := c.fill(time.Now().Add(c.s.stall)); err != nil {
				return failed, err
			}
		}
		piece := c.buf[c.start:min(c.end, c.start+int(min(n, controlBuffer)))]
		c.start += len(piece)
		n -= uint32(len(piece))
		if failed == nil {
			failed = take(piece)
		}
	}
	return failed, nil
}

// answer writes the reply with one write: clients read it with one read.
// Only a success has more than the result word, but for GET_STATEBLOB.
func (c *control) answer(req *request, result Result) error {
	c.out = binary.BigEndian.AppendUint32(c.out[:0], uint32(result))
	if result == Success || req.always {
		c.out = append(c.out, req.reply...)
	}
	_, err := c.conn.Write(c.out)
	return err
}

// dropFDs closes descriptors that came with requests that are not SET_DATAFD.
// While bytes wait, one of them may still be the SET_DATAFD they belong to.
func (c *control) dropFDs() {
	if c.start == c.end {
		c.fds.drop()
	}
}
