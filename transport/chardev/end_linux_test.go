package chardev

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A context that ends when all is over writes to no file that has got the number of a
// descriptor. Other tests wait meanwhile: they would get the number.
func TestEndAfterClose(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(fds[1])
	node, err := newNode(fds[0], true)
	require.NoError(t, err)
	require.NoError(t, node.Close())
	other, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	require.NoError(t, err)
	if other != node.wake {
		require.NoError(t, unix.Dup3(other, node.wake, unix.O_CLOEXEC))
		defer unix.Close(node.wake)
	}
	defer unix.Close(other)
	node.end()
	_, err = unix.Read(other, make([]byte, 8))
	require.ErrorIs(t, err, unix.EAGAIN, "nobody has written")
}
