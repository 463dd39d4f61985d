//go:build !unix

package swtpm

import (
	"net"

	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/internal/socket"
)

// canPassFD says that sockets carry no descriptors here: SET_DATAFD is not
// among the capabilities, and QEMU says that it misses it.
func canPassFD(transport.Device) bool { return false }

type fdQueue struct{ fds []int }

func (*fdQueue) drop()      {}
func (*fdQueue) all() []int { return nil }

type fdConn struct {
	net.Conn
	gate *gate // nil: it cannot be suspended
}

func newFDConn(conn net.Conn) fdConn {
	c := fdConn{Conn: conn}
	c.gate, _ = conn.(*gate)
	return c
}

func (c *fdConn) read(p []byte, _ *fdQueue) (int, error) { return c.Read(p) }

func (c *control) setDataFD(*request) Result { return BadOrdinal }

func peerClosed(socket.Conn) bool { return false }
