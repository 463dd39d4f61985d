//go:build unix

package swtpm_test

import (
	"context"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/swtpm"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// passData passes a data channel over a control connection.
func passData(t *testing.T, control *transporttest.Peer) *transporttest.Peer {
	t.Helper()
	data, fd := transporttest.Pair(t)
	control.SayWith("00000010", fd)
	require.Equal(t, "00000000", control.Hear())
	return data
}

func TestSetDataFD(t *testing.T) {
	// Not beside tests that start processes: a child has copies of all sockets
	// until it executes its program, and they keep a closed one alive.
	device := running(t)
	r := serve(t, device, swtpm.Options{})
	control := r.dialControl()
	first := passData(t, control)
	require.Equal(t, rcSuccess, first.Ask(startup))

	second, fd := transporttest.Pair(t)
	control.SayWith("00000010", fd)
	assert.Equal(t, "0000001f", control.Hear(), "one is alive")
	assert.Equal(t, "closed", second.Hear(), "the refused descriptor is closed")
	assert.Equal(t, rcSuccess, r.dialData().Ask(startup), "a listener beside it")

	// The next one is taken as soon as the client of the last one is gone,
	// whether or not the server has noticed yet.
	for range 50 {
		require.NoError(t, first.Close())
		first = passData(t, control)
		require.Equal(t, rcSuccess, first.Ask(startup))
	}
	require.NoError(t, control.Close())
	assert.Equal(t, rcSuccess, first.Ask(startup), "it outlives the control connection")
}

func TestSetDataFDWhileTheLastOneIsBusy(t *testing.T) { // alone, as TestSetDataFD is
	device := running(t)
	entered := make(chan struct{}, 1)
	device.Answer = func(ctx context.Context, _ uint8, _ []byte) ([]byte, error) {
		entered <- struct{}{}
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	r := serve(t, device, swtpm.Options{})
	control := r.dialControl()
	first := passData(t, control)
	first.Say(startup)
	transporttest.Receive(t, entered)
	require.NoError(t, first.Close())
	passData(t, control)
	assert.Equal(t, "00000000", control.Ask("0000000E"))
}

func TestSetDataFDRefusals(t *testing.T) {
	t.Parallel()
	r := serve(t, running(t), swtpm.Options{})
	control := r.dialControl()
	assert.Equal(t, "00000003", control.Ask("00000010"), "no descriptor")

	reader, writer, err := os.Pipe()
	require.NoError(t, err)
	defer reader.Close()
	control.SayWith("00000010", dup(t, writer))
	assert.Equal(t, "00000003", control.Hear(), "not a socket")

	// Descriptors beside the first are closed, and so are those that come
	// with another request, or too many.
	one, fd1 := transporttest.Pair(t)
	two, fd2 := transporttest.Pair(t)
	control.SayWith("00000010", fd1, fd2)
	assert.Equal(t, "00000000", control.Hear())
	assert.Equal(t, rcSuccess, one.Ask(startup))
	assert.Equal(t, "closed", two.Hear())
	var peers []*transporttest.Peer
	var fds []int
	for range 9 {
		p, fd := transporttest.Pair(t)
		peers, fds = append(peers, p), append(fds, fd)
	}
	control.SayWith("0000000F", fds...)
	assert.Equal(t, "0000000000000000", control.Hear())
	for _, p := range peers {
		assert.Equal(t, "closed", p.Hear())
	}
}

func dup(t *testing.T, f *os.File) int {
	t.Helper()
	defer f.Close()
	fd, err := dupFD(int(f.Fd()))
	require.NoError(t, err)
	return fd
}

func TestSetDataFDOverTCP(t *testing.T) {
	t.Parallel()
	server := swtpm.NewServer(running(t), swtpm.Options{})
	address := serveControlTCP(t, server)
	assert.Equal(t, "00000003", transporttest.Dial(t, "tcp", address).Ask("00000010"))
}

// TestProbe: QEMU's first question is answered in time, whatever the device
// does; only the first one, and only on a passed descriptor.
func TestProbe(t *testing.T) {
	t.Parallel()
	device := running(t)
	device.Answer = func(ctx context.Context, _ uint8, _ []byte) ([]byte, error) {
		if transport.IsProbe(ctx) {
			end, ends := ctx.Deadline()
			assert.True(t, ends)
			assert.Less(t, time.Until(end), 900*time.Millisecond, "QEMU gives it one second")
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return transport.AppendResponse(nil, transport.RCSuccess), nil
	}
	r := serve(t, device, swtpm.Options{})
	data := passData(t, r.dialControl())
	assert.Equal(t, rcFailure, data.Ask(readClock))
	assert.Equal(t, rcSuccess, data.Ask(readClock))
	assert.Equal(t, rcSuccess, r.dialData().Ask(readClock))
}

// TestPassedDataUnreadable: what a guest can make QEMU send must neither hang
// it nor cost the guest its TPM.
func TestPassedDataUnreadable(t *testing.T) {
	t.Parallel()
	r := serve(t, echo(t), swtpm.Options{StallTime: 20 * time.Millisecond})
	data := passData(t, r.dialControl())
	for _, command := range []string{
		"8001 00000005",
		"8001 00002000 00000181 0000", // size field beyond the buffer
		"8001 00000800 00000181 0000", // size field beyond what is sent
		"8001 00",
	} {
		assert.Equal(t, rcSize, data.Ask(command), command)
		assert.Equal(t, "80010000000a00000181", data.Ask(readClock), "after %s", command)
	}
}

// TestClientKilled: a command whose client is gone is given up, also while the
// device holds it.
func TestClientKilled(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells that a peer is gone")
	}
	device := running(t)
	entered, left := make(chan struct{}), make(chan error, 1)
	device.Answer = func(ctx context.Context, _ uint8, _ []byte) ([]byte, error) {
		close(entered)
		<-ctx.Done()
		left <- ctx.Err()
		return nil, ctx.Err()
	}
	r := serve(t, device, swtpm.Options{TerminateWithData: true})
	data := passData(t, r.dialControl())
	data.Say(startup)
	transporttest.Receive(t, entered)
	require.NoError(t, data.Close())
	require.ErrorIs(t, transporttest.Receive(t, left), context.Canceled)
	assert.Equal(t, swtpm.EndedByData, r.ended())
}

// TestDataBufferSize: the size set holds for connections that are there already.
func TestDataBufferSize(t *testing.T) {
	t.Parallel()
	r := serve(t, &transporttest.TPM{}, swtpm.Options{})
	control, p := r.dialControl(), r.dialData()
	require.Equal(t, rcFailure, p.Ask(startup), "the connection waits for the next command by now")
	play(t, control, [][2]string{
		{"00000011 00000F80", "0000000000000f8000000b5000001000"},
		{"00000002 00000000", "00000000"},
	})
	// QEMU's CRB sends at most its buffer, whatever the size field says.
	data := passData(t, control)
	command := make([]byte, 3968)
	for _, c := range [][2]string{
		{"8001 00000F81 00000181", rcSize}, {"8001 00000F80 00000181", rcSuccess},
	} {
		copy(command, transporttest.Hex(t, c[0]))
		_, err := data.Write(command)
		require.NoError(t, err)
		hears(t, data, c[1])
	}
	assert.Equal(t, rcSize, p.Ask("8001 00000F81 00000181"))
}
