package socket_test

import (
	"bytes"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/transport/internal/socket"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// quickPair returns a Quick on a connection, the connection, and its other end.
func quickPair(t *testing.T) (*socket.Quick, net.Conn, net.Conn) {
	t.Helper()
	l, err := net.Listen("unix", transporttest.SocketPath(t))
	require.NoError(t, err)
	defer l.Close()
	far, err := net.Dial("unix", l.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { far.Close() })
	near, err := l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { near.Close() })
	soon := time.Now().Add(time.Minute)
	require.NoError(t, near.SetDeadline(soon))
	require.NoError(t, far.SetDeadline(soon))
	q := socket.NewQuick(near)
	require.NotNil(t, q)
	return q, near, far
}

func TestQuickReads(t *testing.T) {
	t.Parallel()
	q, near, far := quickPair(t)
	buffer := make([]byte, 8)
	written := make(chan error, 1)
	go func() { // it may have to be waited for
		_, err := far.Write([]byte("command"))
		written <- err
	}()
	n, err := q.Read(buffer)
	require.NoError(t, err)
	assert.Equal(t, "command", string(buffer[:n]))
	require.NoError(t, transporttest.Receive(t, written))

	n, err = q.Read(nil)
	assert.Zero(t, n)
	require.NoError(t, err, "nothing is read into nothing")

	require.NoError(t, near.SetReadDeadline(time.Unix(1, 0)))
	_, err = q.Read(buffer)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.NoError(t, near.SetReadDeadline(time.Now().Add(time.Minute)))

	require.NoError(t, far.Close())
	_, err = q.Read(buffer)
	require.ErrorIs(t, err, io.EOF)
	require.NoError(t, near.Close())
	_, err = q.Read(buffer)
	require.ErrorIs(t, err, net.ErrClosed)
}

func TestQuickWrites(t *testing.T) {
	t.Parallel()
	q, near, far := quickPair(t)
	large := bytes.Repeat([]byte("response"), 1<<18) // more than a socket holds
	got := make(chan []byte, 1)
	go func() {
		all := make([]byte, len(large))
		_, _ = io.ReadFull(far, all)
		got <- all
	}()
	n, err := q.Write(large)
	require.NoError(t, err)
	assert.Equal(t, len(large), n)
	assert.True(t, bytes.Equal(large, transporttest.Receive(t, got)))

	require.NoError(t, near.SetWriteDeadline(time.Now().Add(20*time.Millisecond)))
	n, err = q.Write(large)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded, "nobody reads")
	assert.Positive(t, n)
	assert.Less(t, n, len(large))

	require.NoError(t, far.Close())
	require.NoError(t, near.SetWriteDeadline(time.Now().Add(time.Minute)))
	_, err = q.Write(large)
	require.ErrorIs(t, err, syscall.EPIPE)
}

func TestQuickNeedsASocket(t *testing.T) {
	t.Parallel()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	assert.Nil(t, socket.NewQuick(a))
}
