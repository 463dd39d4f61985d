//go:build unix

package swtpm

import (
	"io"
	"net"

	"golang.org/x/sys/unix"

	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/internal/socket"
)

// maxFDs bounds the descriptors taken from one message; the kernel closes the
// others.
const maxFDs = 4

// canPassFD says that unix sockets carry descriptors here.
func canPassFD(transport.Device) bool { return true }

// fdQueue holds received descriptors that no request has claimed.
type fdQueue struct{ fds []int }

// take returns the oldest descriptor.
func (q *fdQueue) take() (int, bool) {
	if len(q.fds) == 0 {
		return -1, false
	}
	fd := q.fds[0]
	q.fds = q.fds[1:]
	return fd, true
}

// all gives all of them away.
func (q *fdQueue) all() []int {
	fds := q.fds
	q.fds = nil
	return fds
}

// drop closes all of them.
func (q *fdQueue) drop() {
	for _, fd := range q.fds {
		_ = unix.Close(fd)
	}
	q.fds = nil
}

// fdConn is a connection that descriptors may come over.
type fdConn struct {
	net.Conn
	gate *gate         // nil: it cannot be suspended
	unix *net.UnixConn // nil over TCP
	oob  []byte
}

func newFDConn(conn net.Conn) fdConn {
	c := fdConn{Conn: conn}
	if c.gate, _ = conn.(*gate); c.gate != nil {
		conn = c.gate.Conn
	}
	if u, ok := conn.(*net.UnixConn); ok {
		c.unix = u
		c.oob = make([]byte, unix.CmsgSpace(maxFDs*4))
	}
	return c
}

// read reads once and adds descriptors that came along to q.
func (c *fdConn) read(p []byte, q *fdQueue) (int, error) {
	switch {
	case c.unix == nil:
		return c.Read(p)
	case c.gate == nil:
		return c.receive(p, q)
	}
	return c.gate.reading(p, func(p []byte) (int, error) { return c.receive(p, q) })
}

// receive reads from the socket.
func (c *fdConn) receive(p []byte, q *fdQueue) (int, error) {
	n, oobn, _, _, err := c.unix.ReadMsgUnix(p, c.oob)
	if oobn > 0 {
		q.receive(c.oob[:oobn])
	}
	if n == 0 && err == nil {
		err = io.EOF
	}
	return max(n, 0), err // n is -1 for some errors
}

// receive adds the descriptors of a message, up to maxFDs in all.
func (q *fdQueue) receive(oob []byte) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return
	}
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err == nil {
			q.fds = append(q.fds, fds...)
		}
	}
	for len(q.fds) > maxFDs {
		last := len(q.fds) - 1
		_ = unix.Close(q.fds[last])
		q.fds = q.fds[:last]
	}
}

// setDataFD makes the descriptor that came with the request a data channel.
// Others that came with it are closed. There is one at a time.
func (c *control) setDataFD(req *request) Result {
	fd, ok := req.fds.take()
	req.fds.drop()
	if !ok {
		return BadParameter
	}
	from := socket.FromFD
	if c.s.opts.Polled {
		from = socket.Polled
	}
	conn, err := from(fd)
	if err != nil {
		c.s.log.Warn("SET_DATAFD refused", "cause", err)
		return BadParameter
	}
	if c.s.opts.Polled {
		conn = c.s.gate(conn.(net.Conn))
	}
	return c.s.attach(conn)
}

// peerClosed reports whether a data connection has lost its client.
func peerClosed(conn socket.Conn) bool { return socket.PeerClosed(conn) }
