package socket

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A reader of the rest of a message has what came before acknowledged at once: the peer
// may not send the rest earlier.
func TestPartsAreAcknowledged(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	peer, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer peer.Close()
	accepted, err := l.Accept()
	require.NoError(t, err)
	raw, err := accepted.(*net.TCPConn).SyscallConn()
	require.NoError(t, err)
	require.NoError(t, raw.Control(func(fd uintptr) {
		require.NoError(t, unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 0))
	}))
	Acknowledge(accepted)
	conn, err := Adopt(accepted)
	require.NoError(t, err)
	defer conn.Close()
	fd := conn.(*blocking).fd

	room := make([]byte, 8)
	says := func(text string) {
		_, err := peer.Write([]byte(text))
		require.NoError(t, err)
		n, err := conn.Read(room)
		require.NoError(t, err)
		require.Equal(t, text, string(room[:n]))
	}
	atOnce := func() int {
		on, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_QUICKACK)
		require.NoError(t, err)
		return on
	}
	assert.Equal(t, 1, atOnce(), "asked for")
	require.NoError(t, unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_QUICKACK, 0))
	says("one")
	assert.Zero(t, atOnce(), "a whole message is acknowledged by its response")
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(time.Minute)))
	_, err = peer.Write([]byte("two"))
	require.NoError(t, err)
	n, err := conn.(*blocking).sleep(room)
	require.NoError(t, err)
	require.Equal(t, "two", string(room[:n]))
	assert.Equal(t, 1, atOnce(), "a part of a message is acknowledged before the reader sleeps")
}
