//go:build unix

package socket_test

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/transport/internal/socket"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// Peek shows the first bytes, however they come, and leaves them there.
func TestPeek(t *testing.T) {
	t.Parallel()
	near, far := transporttest.Conns(t)
	defer near.Close()
	defer far.Close()
	wrote := make(chan error, 1)
	go func() {
		var err error
		for _, piece := range []string{"a", "bc", "def"} {
			_, e := far.Write([]byte(piece))
			err = errors.Join(err, e)
		}
		wrote <- err
	}()
	b := make([]byte, 4)
	n, err := socket.Peek(near, b, time.Minute)
	require.NoError(t, err)
	assert.Equal(t, "abcd", string(b[:n]))
	require.NoError(t, transporttest.Receive(t, wrote))
	all := make([]byte, 6)
	_, err = io.ReadFull(near, all)
	require.NoError(t, err)
	assert.Equal(t, "abcdef", string(all))
}

func TestPeekEnds(t *testing.T) {
	t.Parallel()
	near, far := transporttest.Conns(t)
	defer near.Close()
	_, err := far.Write([]byte("ab"))
	require.NoError(t, err)
	b := make([]byte, 4)
	n, err := socket.Peek(near, b, time.Millisecond)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	assert.Equal(t, "ab", string(b[:n]))
	_, err = far.Write([]byte("cd"))
	require.NoError(t, err)
	n, err = socket.Peek(near, b, time.Minute)
	require.NoError(t, err, "the deadline is gone")
	assert.Equal(t, "abcd", string(b[:n]))

	require.NoError(t, far.Close())
	_, err = io.ReadFull(near, b)
	require.NoError(t, err)
	_, err = socket.Peek(near, b, time.Minute)
	require.ErrorIs(t, err, io.EOF)

	pipe, other := net.Pipe()
	defer pipe.Close()
	defer other.Close()
	_, err = socket.Peek(pipe, b, time.Minute)
	require.ErrorIs(t, err, errors.ErrUnsupported)
}
