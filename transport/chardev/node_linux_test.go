package chardev_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/chardev"
	"github.com/swtpmd/swtpmd/transport/swtpm"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// kernel is the other end of a node.
type kernel struct {
	t    *testing.T
	file *os.File
}

// connect makes a node and its other end. A proxy has sockets that keep the bounds of
// messages, as the kernel's does.
func connect(t *testing.T, proxy bool) (*chardev.Node, *kernel) {
	t.Helper()
	kind := unix.SOCK_STREAM
	if proxy {
		kind = unix.SOCK_SEQPACKET
	}
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	fds, err := unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	require.NoError(t, unix.SetNonblock(fds[1], true)) // for deadlines
	k := &kernel{t, os.NewFile(uintptr(fds[1]), "kernel")}
	t.Cleanup(func() { _ = k.file.Close() })
	node, err := chardev.NewNode(fds[0], proxy)
	require.NoError(t, err)
	return node, k
}

// send sends bytes in hexadecimal digits.
func (k *kernel) send(digits string) {
	k.t.Helper()
	_, err := k.file.Write(transporttest.Hex(k.t, digits))
	require.NoError(k.t, err)
}

// hears reads what must come.
func (k *kernel) hears(digits string) {
	k.t.Helper()
	want := transporttest.Hex(k.t, digits)
	got := make([]byte, 8192)
	require.NoError(k.t, k.file.SetReadDeadline(time.Now().Add(time.Minute)))
	n, err := k.file.Read(got)
	require.NoError(k.t, err)
	require.Equal(k.t, want, got[:n])
}

const (
	selfTest  = "8001 0000000B 00000143 01"
	success   = "8001 0000000A 00000000"
	failure   = "8001 0000000A 00000101"
	wrongSize = "8001 0000000A 00000142"
	// setLocality is the kernel's first command for locality N (0 to 4).
	setLocality = "8002 0000000B 20001000 0"
)

// serve serves a node with swtpm's server in front of a device. The result comes when
// Serve has returned.
func serve(t *testing.T, node *chardev.Node, device transport.Device) (result <-chan error, stop func()) {
	t.Helper()
	server := swtpm.NewServer(device, swtpm.Options{AllowSetLocality: true})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- node.Serve(ctx, server, nil) }()
	t.Cleanup(func() {
		cancel()
		_ = node.Close()
		assert.NoError(t, server.Close(context.Background()))
	})
	return done, cancel
}

func running(t *testing.T) *transporttest.TPM {
	t.Helper()
	d := new(transporttest.TPM)
	require.NoError(t, d.Init())
	return d
}

func TestTheKernelsFirstCommands(t *testing.T) {
	t.Parallel()
	node, kernel := connect(t, true)
	device := running(t)
	done, stop := serve(t, node, device)
	kernel.send(setLocality + "0")
	kernel.hears(success)
	kernel.send(selfTest)
	kernel.hears(success)
	kernel.send(setLocality + "3")
	kernel.hears(success)
	kernel.send(selfTest)
	kernel.hears(success)
	kernel.send(setLocality + "5")
	kernel.hears("8001 0000000A 00000107")

	var localities []uint8
	for _, call := range device.Calls() {
		if call.Name == "send" {
			assert.Equal(t, transporttest.Hex(t, selfTest), call.Data)
			localities = append(localities, call.Locality)
		}
	}
	assert.Equal(t, []uint8{0, 3}, localities)
	stop()
	require.NoError(t, transporttest.Receive(t, done))
}

// A user of /dev/tpm0 may announce fewer bytes than a header has, and the kernel passes
// on as many.
func TestAMessageThatIsNoCommand(t *testing.T) {
	t.Parallel()
	node, kernel := connect(t, true)
	serve(t, node, running(t))
	for _, digits := range []string{"80", "8001 00000007 00", "8001 00000009 000000"} {
		kernel.send(digits)
		kernel.hears(wrongSize)
	}
	kernel.send(selfTest)
	kernel.hears(success)
}

func TestWithoutPower(t *testing.T) {
	t.Parallel()
	node, kernel := connect(t, true)
	serve(t, node, new(transporttest.TPM))
	kernel.send(selfTest)
	kernel.hears(failure)
}

// The kernel that sends another command has given up the last one.
func TestACommandThatTheKernelGivesUp(t *testing.T) {
	t.Parallel()
	device := running(t)
	came := make(chan struct{}, 1)
	device.Answer = func(ctx context.Context, _ uint8, command []byte) ([]byte, error) {
		if len(command) > transport.HeaderSize {
			return transport.AppendResponse(nil, transport.RCSuccess), nil
		}
		came <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}
	node, kernel := connect(t, true)
	serve(t, node, device)
	kernel.send("8001 0000000A 0000017E")
	transporttest.Receive(t, came)
	kernel.send(selfTest)
	kernel.hears(failure)
	kernel.hears(success)
	kernel.send(selfTest)
	kernel.hears(success)
}

func TestTheKernelHangsUp(t *testing.T) {
	t.Parallel()
	for _, proxy := range []bool{true, false} {
		node, kernel := connect(t, proxy)
		done, _ := serve(t, node, running(t))
		kernel.send(selfTest)
		kernel.hears(success)
		require.NoError(t, kernel.file.Close())
		require.ErrorIs(t, transporttest.Receive(t, done), chardev.ErrHungUp)
	}
}

// The other end that goes while a command is held ends the command.
func TestHangUpEndsAHeldCommand(t *testing.T) {
	t.Parallel()
	for _, proxy := range []bool{true, false} {
		device := running(t)
		came, ended := make(chan struct{}, 1), make(chan error, 1)
		device.Answer = func(ctx context.Context, _ uint8, command []byte) ([]byte, error) {
			came <- struct{}{}
			<-ctx.Done()
			ended <- ctx.Err()
			return nil, ctx.Err()
		}
		node, kernel := connect(t, proxy)
		done, _ := serve(t, node, device)
		kernel.send(selfTest)
		transporttest.Receive(t, came)
		require.NoError(t, kernel.file.Close())
		require.ErrorIs(t, transporttest.Receive(t, ended), context.Canceled)
		require.ErrorIs(t, transporttest.Receive(t, done), chardev.ErrHungUp)
	}
}

// Close and the end of the context end Serve wherever it is, and close the device.
func TestEnd(t *testing.T) {
	t.Parallel()
	transporttest.NoLeaks(t, func() {
		for _, byClose := range []bool{true, false} {
			node, kernel := connect(t, true)
			done, cancel := serve(t, node, running(t))
			kernel.send(selfTest)
			kernel.hears(success)
			if byClose {
				require.NoError(t, node.Close())
			} else {
				cancel()
			}
			require.NoError(t, transporttest.Receive(t, done))
			if !byClose {
				require.NoError(t, node.Close())
			}
			require.ErrorIs(t, node.Close(), os.ErrClosed)
			_, err := kernel.file.Read(make([]byte, 1))
			require.ErrorIs(t, err, io.EOF)
			require.NoError(t, node.Serve(context.Background(), nil, nil), "after Close")
		}
	})
}

// Each response to the kernel's driver sets the timer that ends its sleep; a stream has
// none.
func TestLookAfterResponse(t *testing.T) {
	t.Parallel()
	node, kernel := connect(t, true)
	serve(t, node, running(t))
	kernel.send(selfTest)
	kernel.hears(success)
	timer := []unix.PollFd{{Fd: int32(node.LookFD()), Events: unix.POLLIN}}
	n, err := unix.Poll(timer, 60_000)
	require.NoError(t, err)
	require.Equal(t, 1, n, "the timer runs out")

	stream, _ := connect(t, false)
	require.Equal(t, -1, stream.LookFD())
	require.NoError(t, stream.Close())
}

// A stream may come in any pieces.
func TestAStream(t *testing.T) {
	t.Parallel()
	node, kernel := connect(t, false)
	device := running(t)
	device.Answer = func(_ context.Context, _ uint8, command []byte) ([]byte, error) {
		return bytes.Clone(command), nil
	}
	serve(t, node, device)
	for range 3 {
		for _, piece := range []string{"80", "01 0000", "000B 000001", "43", "01"} {
			kernel.send(piece)
		}
		kernel.hears(selfTest)
	}
	kernel.send("8001 00000005 00000143")
	kernel.hears(wrongSize)
	kernel.send("8001 00002328 00000143")
	kernel.hears(wrongSize)
	_, err := kernel.file.Write(make([]byte, 9000-transport.HeaderSize))
	require.NoError(t, err)
	kernel.send(selfTest)
	kernel.hears(selfTest)
}

// Commands and responses of the largest buffers pass, from the kernel's driver and in a
// stream.
func TestTheLargestCommand(t *testing.T) {
	t.Parallel()
	for _, proxy := range []bool{true, false} {
		node, kernel := connect(t, proxy)
		device := running(t)
		device.Answer = func(_ context.Context, _ uint8, command []byte) ([]byte, error) {
			return bytes.Clone(command), nil
		}
		serve(t, node, device)
		command := transport.NewCommand(transport.TagNoSessions, 0x143, make([]byte, transport.LargestBuffer-transport.HeaderSize))
		_, err := kernel.file.Write(command)
		require.NoError(t, err)
		got := make([]byte, len(command))
		require.NoError(t, kernel.file.SetReadDeadline(time.Now().Add(time.Minute)))
		_, err = io.ReadAtLeast(kernel.file, got, len(got))
		require.NoError(t, err, "proxy %t", proxy)
		assert.Equal(t, command, got, "proxy %t", proxy)
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	for _, path := range []string{filepath.Join(t.TempDir(), "missing"), t.TempDir(), "/proc/self/stat"} {
		_, err := chardev.Open(path)
		var named *os.PathError
		require.ErrorAs(t, err, &named, path)
		assert.Equal(t, path, named.Path)
	}
}

// The errors name the remedy.
func TestProxyError(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err   chardev.ProxyError
		words string
	}{
		{chardev.ProxyError{Err: &os.PathError{Op: "open", Path: chardev.ControllerPath, Err: unix.ENOENT}}, "modprobe tpm_vtpm_proxy"},
		{chardev.ProxyError{Err: &os.PathError{Op: "open", Path: chardev.ControllerPath, Err: unix.EACCES}}, "permission to read and write /dev/vtpmx"},
		{chardev.ProxyError{Making: true, Err: unix.EPERM}, "CAP_SYS_ADMIN"},
	} {
		assert.ErrorContains(t, &c.err, c.words)
	}
	if _, err := os.Stat(chardev.ControllerPath); err != nil {
		_, err := chardev.OpenController()
		var none *chardev.ProxyError
		require.ErrorAs(t, err, &none)
	}
}
