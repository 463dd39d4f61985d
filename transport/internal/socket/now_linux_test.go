package socket

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Calls of which Go's scheduler is not told do not sleep: the garbage collector would wait
// for them.
func TestNowIsNotLater(t *testing.T) {
	t.Parallel()
	near, far := polledPair(t, 0)
	late := time.AfterFunc(10*time.Second, func() { _ = far.Close() })
	defer late.Stop()
	n, err := near.receive(make([]byte, 8))
	assert.Zero(t, n)
	require.ErrorIs(t, err, unix.EAGAIN)

	sent := 0
	err = nil
	for room := make([]byte, 1<<16); err == nil; sent += n {
		n, err = near.send(room)
	}
	assert.Positive(t, sent)
	require.ErrorIs(t, err, unix.EAGAIN)

	require.NoError(t, far.Close())
	_, err = near.send([]byte{0})
	require.ErrorIs(t, err, unix.EPIPE)
}
