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

type fdQueue struct{}

func (*fdQueue) drop() {}

type fdConn struct{ net.Conn }

func newFDConn(conn net.Conn) fdConn { return fdConn{Conn: conn} }

func (c *fdConn) read(p []byte, _ *fdQueue) (int, error) { return c.Read(p) }

func (c *control) setDataFD(*request) Result { return BadOrdinal }

func peerClosed(socket.Conn) bool { return false }
