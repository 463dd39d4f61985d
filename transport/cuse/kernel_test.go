package cuse_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/transport/cuse"
	"github.com/swtpmd/swtpmd/transport/swtpm"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// Numbers of the FUSE protocol as the kernel has them (include/uapi/linux/fuse.h,
// include/uapi/asm-generic), written down once more.
const (
	opOpen, opRead, opWrite, opRelease, opInterrupt, opIoctl, opPoll, opInit = 14, 15, 16, 18, 36, 39, 40, 4096
	eINTR, eAGAIN, eBUSY, eNOTTY, e2BIG, eNOSYS                              = 4, 11, 16, 25, 7, 38
	nonblock                                                                 = 0o4000
	pollIn, pollOut                                                          = 1, 4
)

var native = binary.NativeEndian

// line is /dev/cuse in memory, one end of it: messages keep their bounds.
type line struct {
	in, out chan []byte
	closed  chan struct{}
	late    chan struct{} // closed by a read deadline
}

func (l *line) Read(p []byte) (int, error) {
	select {
	case m := <-l.in:
		return copy(p, m), nil
	case <-l.late:
		return 0, os.ErrDeadlineExceeded
	case <-l.closed:
		return 0, os.ErrClosed
	}
}

func (l *line) Write(p []byte) (int, error) {
	l.out <- slices.Clone(p)
	return len(p), nil
}

func (l *line) Close() error { close(l.closed); return nil }

func (l *line) SetReadDeadline(time.Time) error { close(l.late); return nil }

// kernel is the kernel's side of a device, with a client.
type kernel struct {
	t      *testing.T
	line   *line
	unique uint64
	device *cuse.Device
}

func newKernel(t *testing.T) *kernel {
	l := &line{make(chan []byte), make(chan []byte, 256), make(chan struct{}), make(chan struct{})}
	return &kernel{t: t, line: l, device: cuse.NewTest(l, cuse.Options{Name: "vtpm0"}, func() bool { return false })}
}

// request returns a request.
func (k *kernel) request(op uint32, body ...[]byte) []byte {
	all := slices.Concat(body...)
	k.unique += 2
	m := native.AppendUint32(nil, uint32(40+len(all)))
	m = native.AppendUint32(m, op)
	m = native.AppendUint64(m, k.unique)
	return append(append(m, make([]byte, 24)...), all...)
}

// send sends a request and returns its number.
func (k *kernel) send(op uint32, body ...[]byte) uint64 {
	k.t.Helper()
	m := k.request(op, body...)
	timer := time.NewTimer(time.Minute)
	defer timer.Stop()
	select {
	case k.line.in <- m:
	case <-timer.C:
		require.FailNow(k.t, "nobody reads the request")
	}
	return k.unique
}

// reply is one of the device.
type reply struct {
	unique uint64
	code   int32
	body   []byte
}

func (k *kernel) reply() reply {
	k.t.Helper()
	m := transporttest.Receive(k.t, k.line.out)
	require.GreaterOrEqual(k.t, len(m), 16)
	require.Equal(k.t, len(m), int(native.Uint32(m)), "the size that is announced")
	return reply{native.Uint64(m[8:]), int32(native.Uint32(m[4:])), m[16:]}
}

// asks sends a request and returns its reply, which must be the next one.
func (k *kernel) asks(op uint32, body ...[]byte) reply {
	k.t.Helper()
	unique := k.send(op, body...)
	r := k.reply()
	require.Equal(k.t, unique, r.unique)
	return r
}

func u32(values ...uint32) (b []byte) {
	for _, v := range values {
		b = native.AppendUint32(b, v)
	}
	return b
}

// structures of the operations; the file's number is not looked at.
func readBody(size, flags uint32) []byte { return u32(0, 0, 0, 0, size, 0, 0, 0, flags, 0) }
func writeBody(data []byte) []byte {
	return append(u32(0, 0, 0, 0, uint32(len(data)), 0, 0, 0, 0, 0), data...)
}
func ioctlBody(cmd uint32, in []byte, out uint32) []byte {
	return append(u32(0, 0, 0, cmd, 0, 0, uint32(len(in)), out), in...)
}
func pollBody(handle, flags uint32) []byte { return u32(0, 0, handle, 0, flags, 0) }

// ioctl makes an ioctl as the kernel does from its code, and returns the structure.
func (k *kernel) ioctl(cmd uint32, in []byte) []byte {
	k.t.Helper()
	size := cmd >> 16 & 0x3FFF
	if cmd>>30&1 == 1 { // _IOC_WRITE: the client's structure comes along
		in = append(in, make([]byte, int(size)-len(in))...)
	} else {
		in = nil
	}
	r := k.asks(opIoctl, ioctlBody(cmd, in, size))
	require.Zero(k.t, r.code)
	require.Len(k.t, r.body, 16+int(size))
	require.Equal(k.t, make([]byte, 16), r.body[:16], "the result of ioctl(2)")
	return r.body[16:]
}

// serve makes the device and serves it with swtpm's server in front of a TPM.
func (k *kernel) serve(device *transporttest.TPM) (server *swtpm.Server, stop func(), done <-chan error) {
	k.t.Helper()
	made := make(chan error, 1)
	go func() { made <- k.device.Make() }()
	r := k.asks(opInit, u32(7, 36, 0, 0))
	require.NoError(k.t, transporttest.Receive(k.t, made))
	require.Zero(k.t, r.code)
	require.Equal(k.t, "DEVNAME=vtpm0\x00", string(r.body[72:]))
	require.Equal(k.t, u32(7, 31), r.body[:8])

	server = swtpm.NewServer(device, swtpm.Options{AllowSetLocality: true})
	near, far := net.Pipe()
	var control = make(chan struct{})
	go func() { defer close(control); server.ServeControlConn(far) }()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- k.device.Serve(ctx, server, swtpm.NewClient(near), nil)
		close(ended)
	}()
	k.t.Cleanup(func() {
		cancel()
		transporttest.Receive(k.t, ended)
		assert.NoError(k.t, server.Close(context.Background()))
		transporttest.Receive(k.t, control)
	})
	return server, cancel, ended
}

// opened is serve with a client that has opened the device.
func opened(t *testing.T, device *transporttest.TPM) *kernel {
	t.Helper()
	k := newKernel(t)
	k.serve(device)
	require.Zero(t, k.asks(opOpen, u32(2, 0)).code)
	return k
}

// powered returns a TPM with power.
func powered(t *testing.T) *transporttest.TPM {
	t.Helper()
	d := new(transporttest.TPM)
	require.NoError(t, d.Init())
	return d
}

func command(t *testing.T) []byte { return transporttest.Hex(t, "8001 0000000C 0000017B 0008") }

var _ io.ReadWriteCloser = (*line)(nil)

func (r reply) String() string { return fmt.Sprintf("reply %d: %d, %x", r.unique, r.code, r.body) }
