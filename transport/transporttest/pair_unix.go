//go:build unix

package transporttest

import (
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Pair returns the two ends of a unix stream socket pair: a connection, which
// is closed at the end of the test, and a descriptor, which is the caller's.
func Pair(t testing.TB) (*Peer, int) {
	t.Helper()
	fds := socketpair(t)
	return NewPeer(t, connOf(t, fds[0])), fds[1]
}

// Conns returns two connections that are each other's peer. The caller closes
// them.
func Conns(t testing.TB) (net.Conn, net.Conn) {
	t.Helper()
	fds := socketpair(t)
	return connOf(t, fds[0]), connOf(t, fds[1])
}

// socketpair makes sockets that no process started beside the test inherits,
// which would keep them open after the test has closed them.
func socketpair(t testing.TB) [2]int {
	t.Helper()
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	require.NoError(t, err)
	unix.CloseOnExec(fds[0])
	unix.CloseOnExec(fds[1])
	return fds
}

func connOf(t testing.TB, fd int) net.Conn {
	t.Helper()
	file := os.NewFile(uintptr(fd), "socketpair")
	conn, err := net.FileConn(file)
	require.NoError(t, err)
	require.NoError(t, file.Close())
	return conn
}

// SayWith writes bytes and passes copies of descriptors along with them. It
// closes the descriptors.
func (p *Peer) SayWith(digits string, fds ...int) {
	p.t.Helper()
	conn, ok := p.Conn.(*net.UnixConn)
	require.True(p.t, ok, "descriptors go over unix sockets only")
	_, _, err := conn.WriteMsgUnix(Hex(p.t, digits), unix.UnixRights(fds...), nil)
	for _, fd := range fds {
		require.NoError(p.t, unix.Close(fd))
	}
	require.NoError(p.t, err)
}
