package transport_test

import (
	"context"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// node returns a DeviceNode and the file of the kernel that answers it: sockets that
// keep messages apart, as a TPM's node does.
func node(t *testing.T) (*transport.DeviceNode, *os.File) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	require.NoError(t, err)
	d, err := transport.NewDeviceNode(os.NewFile(uintptr(fds[0]), "tpm"))
	require.NoError(t, err)
	require.True(t, d.Polled())
	kernel := os.NewFile(uintptr(fds[1]), "kernel")
	t.Cleanup(func() {
		require.NoError(t, d.Close())
		require.NoError(t, kernel.Close())
	})
	return d, kernel
}

func TestDeviceNode(t *testing.T) {
	t.Parallel()
	d, kernel := node(t)
	command := transport.NewCommand(transport.TagNoSessions, 0x17B, []byte{0, 4})
	response := transport.NewCommand(transport.TagNoSessions, 0, []byte{0, 4, 1, 2, 3, 4})
	asked := make(chan []byte, 1)
	go func() {
		buf := make([]byte, 100)
		n, _ := kernel.Read(buf)
		asked <- buf[:n]
		_, _ = kernel.Write(response)
	}()
	got, err := d.Send(context.Background(), 0, command)
	require.NoError(t, err)
	require.Equal(t, response, got)
	require.Equal(t, command, transporttest.Receive(t, asked))
}

// Responses of the largest buffers come whole.
func TestDeviceNodeTakesTheLargestResponse(t *testing.T) {
	t.Parallel()
	d, kernel := node(t)
	response := transport.NewCommand(transport.TagNoSessions, 0, make([]byte, transport.LargestBuffer-transport.HeaderSize))
	go func() {
		_, _ = kernel.Read(make([]byte, 100))
		_, _ = kernel.Write(response)
	}()
	got, err := d.Send(context.Background(), 0, transport.NewCommand(transport.TagNoSessions, 0x17B, []byte{0, 4}))
	require.NoError(t, err)
	require.Equal(t, response, got)
}

// The response to a command that was given up is not taken for that of the next one.
func TestDeviceNodeGivesUp(t *testing.T) {
	t.Parallel()
	d, kernel := node(t)
	ctx, cancel := context.WithCancel(context.Background())
	buf := make([]byte, 100)
	came := make(chan error, 1)
	go func() {
		_, err := kernel.Read(buf)
		came <- err
		cancel()
	}()
	late, right := transport.NewCommand(transport.TagNoSessions, 0x101), transport.NewCommand(transport.TagNoSessions, 0)
	_, err := d.Send(ctx, 0, late)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, transporttest.Receive(t, came))
	require.True(t, d.Owed())

	_, err = kernel.Write(late)
	require.NoError(t, err)
	go func() {
		_, _ = kernel.Read(make([]byte, 100))
		_, _ = kernel.Write(right)
	}()
	got, err := d.Send(context.Background(), 0, late)
	require.NoError(t, err)
	require.Equal(t, right, got)

	_, err = d.Send(ctx, 0, late)
	require.ErrorIs(t, err, context.Canceled, "nothing is sent")
	require.False(t, d.Owed())
}
