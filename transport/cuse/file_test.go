package cuse_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/cuse"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// write writes a command; the kernel is told that all of it was taken.
func (k *kernel) write(data []byte) {
	k.t.Helper()
	r := k.asks(opWrite, writeBody(data))
	require.Zero(k.t, r.code)
	require.Equal(k.t, u32(uint32(len(data)), 0), r.body)
}

// wait has the TPM hold commands until the test lets them go.
func wait(t *testing.T) (device *transporttest.TPM, came <-chan struct{}, let chan<- struct{}) {
	t.Helper()
	device = powered(t)
	arrived, letGo := make(chan struct{}, 8), make(chan struct{}, 8)
	device.Answer = func(ctx context.Context, _ uint8, _ []byte) ([]byte, error) {
		arrived <- struct{}{}
		select {
		case <-letGo:
			return transport.AppendResponse(nil, 0x123), nil
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return device, arrived, letGo
}

var held = transport.AppendResponse(nil, 0x123)

func TestACommandAndItsResponse(t *testing.T) {
	t.Parallel()
	device := powered(t)
	device.Answer = func(_ context.Context, _ uint8, command []byte) ([]byte, error) { return bytes.Clone(command), nil }
	k := opened(t, device)
	for range 2 {
		k.write(command(t))
		r := k.asks(opRead, readBody(10, 0))
		require.Equal(t, command(t)[:10], r.body, "in pieces")
		r = k.asks(opRead, readBody(4096, nonblock))
		require.Equal(t, command(t)[10:], r.body)
		require.Empty(t, k.asks(opRead, readBody(4096, 0)).body, "there is no more")
	}
}

func TestOneClient(t *testing.T) {
	t.Parallel()
	k := opened(t, powered(t))
	assert.EqualValues(t, -eBUSY, k.asks(opOpen, u32(2, 0)).code)
	assert.Zero(t, k.asks(opRelease, make([]byte, 24)).code)
	assert.Zero(t, k.asks(opOpen, u32(2, 0)).code)
}

func TestAReadWaitsForTheResponse(t *testing.T) {
	t.Parallel()
	device, came, let := wait(t)
	k := opened(t, device)
	k.write(command(t))
	transporttest.Receive(t, came)
	assert.EqualValues(t, -eBUSY, k.asks(opWrite, writeBody(command(t))).code)
	assert.EqualValues(t, -eAGAIN, k.asks(opRead, readBody(4096, nonblock)).code)
	unique := k.send(opRead, readBody(4096, 0))
	let <- struct{}{}
	r := k.reply()
	assert.Equal(t, reply{unique, 0, held}, r)
}

func TestASignalEndsARead(t *testing.T) {
	t.Parallel()
	device, came, let := wait(t)
	k := opened(t, device)
	k.write(command(t))
	transporttest.Receive(t, came)
	unique := k.send(opRead, readBody(4096, 0))
	k.send(opInterrupt, u32(uint32(unique), 0))
	assert.Equal(t, reply{unique, -eINTR, []byte{}}, k.reply())
	k.send(opInterrupt, u32(uint32(unique), 0)) // too late: no answer
	let <- struct{}{}
	unique = k.send(opRead, readBody(4096, 0))
	assert.Equal(t, reply{unique, 0, held}, k.reply())
}

func TestPoll(t *testing.T) {
	t.Parallel()
	device, came, let := wait(t)
	k := opened(t, device)
	events := func(r reply) uint32 { return native.Uint32(r.body) & (pollIn | pollOut) }
	assert.EqualValues(t, pollOut, events(k.asks(opPoll, pollBody(9, 0))))
	k.write(command(t))
	transporttest.Receive(t, came)
	assert.Zero(t, events(k.asks(opPoll, pollBody(9, 1))))
	let <- struct{}{}
	r := k.reply()
	assert.Equal(t, reply{0, 1, u32(9, 0)}, r, "the kernel is told that there is news")
	assert.EqualValues(t, pollIn|pollOut, events(k.asks(opPoll, pollBody(9, 1))))
}

// Nobody waits for what a client has asked that is gone, and the next one does not get
// its response.
func TestTheLastCloseEndsACommand(t *testing.T) {
	t.Parallel()
	device, came, _ := wait(t)
	k := opened(t, device)
	k.write(command(t))
	transporttest.Receive(t, came)
	assert.Zero(t, k.asks(opRelease, make([]byte, 24)).code)
	assert.Zero(t, k.asks(opOpen, u32(2, 0)).code)
	assert.Empty(t, k.asks(opRead, readBody(4096, nonblock)).body)
}

func TestWhatIsNoCommand(t *testing.T) {
	t.Parallel()
	k := opened(t, powered(t))
	for _, digits := range []string{"", "80", "8001 0000000D 0000017B 0008", "8001 00000009 0000017B"} {
		k.write(transporttest.Hex(t, digits))
		r := k.asks(opRead, readBody(4096, 0))
		assert.Equal(t, transport.AppendResponse(nil, transport.RCCommandSize), r.body, digits)
	}
	assert.EqualValues(t, -e2BIG, k.asks(opWrite, writeBody(make([]byte, 8193))).code)
	assert.EqualValues(t, -eNOSYS, k.asks(3, make([]byte, 16)).code)
}

func TestWithoutPower(t *testing.T) {
	t.Parallel()
	k := opened(t, new(transporttest.TPM))
	k.write(command(t))
	r := k.asks(opRead, readBody(4096, 0))
	assert.Equal(t, transport.AppendResponse(nil, transport.RCFailure), r.body)
}

// The end answers what waits for the TPM, and leaves nothing.
func TestEnd(t *testing.T) {
	t.Parallel()
	transporttest.NoLeaks(t, func() {
		device, came, _ := wait(t)
		k := newKernel(t)
		server, stop, done := k.serve(device)
		require.Zero(t, k.asks(opOpen, u32(2, 0)).code)
		k.write(command(t))
		transporttest.Receive(t, came)
		unique := k.send(opRead, readBody(4096, 0))
		stop()
		require.NoError(t, transporttest.Receive(t, done))
		r := k.reply()
		assert.Equal(t, reply{unique, 0, transport.AppendResponse(nil, transport.RCFailure)}, r)
		require.NoError(t, k.device.Close())
		require.NoError(t, server.Close(context.Background()))
	})
}

func TestMake(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		op, major uint32
	}{{opInit, 8}, {opOpen, 7}} {
		k := newKernel(t)
		made := make(chan error, 1)
		go func() { made <- k.device.Make() }()
		k.send(c.op, u32(c.major, 36, 0, 0))
		var failed *cuse.OpenError
		require.ErrorAs(t, transporttest.Receive(t, made), &failed)
	}
	k := newKernel(t)
	device := cuse.NewTest(k.line, cuse.Options{Name: "tpm0"}, func() bool { return true })
	made := make(chan error, 1)
	go func() { made <- device.Make() }()
	k.send(opInit, u32(7, 36, 0, 0))
	var taken *cuse.TakenError
	require.ErrorAs(t, transporttest.Receive(t, made), &taken)
	assert.ErrorContains(t, taken, "/dev/tpm0")
}

func TestNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", ".", "..", "a/b", "a b", "a\x00b", string(make([]byte, 65))} {
		_, err := cuse.Open(cuse.Options{Name: name})
		var wrong *cuse.NameError
		require.ErrorAs(t, err, &wrong, "%q", name)
	}
	for err, says := range map[error]string{syscall.ENOENT: "modprobe cuse", syscall.EACCES: "permission to read and write /dev/cuse"} {
		assert.ErrorContains(t, &cuse.OpenError{Err: &os.PathError{Op: "open", Path: cuse.ControllerPath, Err: err}}, says)
		assert.True(t, errors.Is(&cuse.OpenError{Err: err}, err))
	}
}
