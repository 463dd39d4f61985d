//go:build !unix

package transporttest

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

// Conns returns two connections that are each other's peer. The caller closes
// them.
func Conns(t testing.TB) (net.Conn, net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	near, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	far, err := l.Accept()
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return near, far
}
