package swtpm_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/swtpm"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// serveControlTCP serves control connections on a TCP port and returns it.
func serveControlTCP(t *testing.T, server *swtpm.Server) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- server.ServeControl(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		assert.NoError(t, server.Close(ctx))
		assert.NoError(t, transporttest.Receive(t, served))
	})
	return l.Addr().String()
}

// holding returns a device with power that keeps commands until it is told to
// let go, and a channel that tells of each command that is kept.
func holding(t *testing.T) (*transporttest.TPM, <-chan struct{}) {
	t.Helper()
	device := running(t)
	held := make(chan struct{}, 16)
	device.Answer = func(ctx context.Context, _ uint8, _ []byte) ([]byte, error) {
		held <- struct{}{}
		<-ctx.Done()
		if errors.Is(context.Cause(ctx), transporttest.ErrCanceled) {
			return transport.AppendResponse(nil, 0x909), nil
		}
		return nil, context.Cause(ctx)
	}
	return device, held
}

// TestControlWhileACommandRuns: every request that ends a stall gets through
// it, and the command is answered.
func TestControlWhileACommandRuns(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ request, answer string }{
		"CANCEL_TPM_CMD": {"00000009", rcCanceled},
		"INIT":           {"00000002 00000000", rcFailure},
		"STOP":           {"0000000E", rcFailure},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			device, held := holding(t)
			r := serve(t, device, swtpm.Options{})
			control, data := r.dialControl(), r.dialData()
			data.Say(startup)
			transporttest.Receive(t, held)
			for _, request := range [][2]string{
				{"00000001", "000000000001ffff"}, {"00000004", "0000000000000000"},
				{"00000005 01", "00000000"}, {"0000000F", "0000000000000000"},
				{"00000006", "00000000"}, {"00000007 00000001 61", "00000000"}, {"00000008", "00000000"},
				{"00000011 00000000", "000000000000100000000b5000001000"},
			} {
				require.Equal(t, request[1], control.Ask(request[0]), request[0])
			}
			assert.Equal(t, "00000000", control.Ask(c.request))
			assert.Equal(t, c.answer, data.Hear())
		})
	}
}

func TestShutdownWhileACommandRuns(t *testing.T) {
	t.Parallel()
	device, held := holding(t)
	r := serve(t, device, swtpm.Options{})
	r.dialData().Say(startup)
	transporttest.Receive(t, held)
	assert.Equal(t, "00000000", r.dialControl().Ask("00000003"))
	assert.Equal(t, swtpm.EndedByShutdown, r.ended())
	assert.False(t, device.Powered())
}

// TestCloseWhileACommandRuns: the end of the server ends the command too, and
// leaves the power alone.
func TestCloseWhileACommandRuns(t *testing.T) {
	t.Parallel()
	device, held := holding(t)
	r := serve(t, device, swtpm.Options{})
	r.dialData().Say(startup)
	transporttest.Receive(t, held)
	near, far := net.Pipe() // has no descriptor
	var wg sync.WaitGroup
	wg.Go(func() { assert.NoError(t, r.ServeDataConn(far)) })
	transporttest.NewPeer(t, near).Say(startup)
	transporttest.Receive(t, held)
	r.close()
	transporttest.Wait(t, &wg)
	assert.Equal(t, swtpm.EndedByOwner, r.Reason())
	assert.True(t, device.Powered())
}

// TestEvents: the owner hears of a change of power before the device does and
// before the client is answered.
func TestEvents(t *testing.T) {
	t.Parallel()
	device := &transporttest.TPM{}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	type seen struct {
		event swtpm.Event
		calls int
	}
	var events []seen
	r := serve(t, device, swtpm.Options{
		Now:    func() time.Time { return now },
		Events: func(e swtpm.Event) { events = append(events, seen{e, len(device.Calls())}) },
	})
	play(t, r.dialControl(), [][2]string{
		{"0000000E", "00000000"},
		{"00000002 00000000", "00000000"},
		{"00000002 00000001", "00000000"},
		{"0000000E", "00000000"},
		{"0000000E", "00000000"},
		{"00000003", "00000000"},
	})
	r.ended()
	assert.Equal(t, []seen{
		{swtpm.Event{Kind: swtpm.EventInit, Time: now}, 1},
		{swtpm.Event{Kind: swtpm.EventInit, Time: now, DeleteVolatile: true}, 2},
		{swtpm.Event{Kind: swtpm.EventStop, Time: now}, 3},
		{swtpm.Event{Kind: swtpm.EventShutdown, Time: now}, 5},
	}, events)
	assert.Equal(t, "INIT STOP SHUTDOWN unknown event", strings.Join([]string{
		swtpm.EventInit.String(), swtpm.EventStop.String(), swtpm.EventShutdown.String(),
		swtpm.EventKind(99).String(),
	}, " "))
}

func TestDeviceFailures(t *testing.T) {
	t.Parallel()
	device := running(t)
	var broken atomic.Value
	broken.Store("")
	device.Fail = func(name string) error {
		if name == broken.Load() {
			return errors.New("out of order")
		}
		return nil
	}
	p := serve(t, device, swtpm.Options{}).dialControl()
	for _, c := range [][2]string{
		{"hash start", "00000006"}, {"hash data", "00000007 00000002 6162"}, {"hash end", "00000008"},
		{"reset established", "0000000B 03"}, {"init", "00000002 00000000"}, {"poweroff", "0000000E"},
	} {
		broken.Store(c[0])
		assert.Equal(t, "00000009", p.Ask(c[1]), c[0])
	}
	broken.Store("")
	require.Equal(t, "00000000", p.Ask("0000000E"))
	broken.Store("set buffer size")
	assert.Equal(t, "00000009", p.Ask("00000011 00001000"))
	broken.Store("poweroff")
	assert.Equal(t, "00000009", p.Ask("00000003"), "the client hears that it went wrong")
}

// TestPipelining: several requests in one segment are answered one after the
// other, also where a payload has two possible lengths.
func TestPipelining(t *testing.T) {
	t.Parallel()
	device := running(t)
	p := serve(t, device, swtpm.Options{}).dialControl()
	for _, c := range []struct{ say, hear string }{
		{"0000000F 00000001", "0000000000000000 000000000001FFFF"},
		{"00000005 01 0000000F", "00000000 0000000000000000"},
		{"00000005 01 00000001", "00000000 000000000001FFFF"},
		{"00000005 01000000 00000001", "00000000 000000000001FFFF"},
		{"00000005 01000000 00000005 02 00000005 03", "00000000 00000000 00000000"},
		{"00000006 00000007 00000003 616263 00000008", "00000000 00000000 00000000"},
		{"00000007 00000000 00000001", "00000000 000000000001FFFF"},
	} {
		p.Say(c.say)
		hears(t, p, c.hear)
	}
	const many = 5000
	go p.Say(strings.Repeat("00000005 01000000", many) + strings.Repeat("00000005 02", many) + "0000000F")
	hears(t, p, strings.Repeat("00000000", 2*many+2))
	assert.Equal(t, "00000000", p.Ask("00000009"))
}

// TestFragments: a request may come byte by byte.
func TestFragments(t *testing.T) {
	t.Parallel()
	device := running(t)
	p := servePatiently(t, device).dialControl()
	for _, request := range []string{"0000000F", "00000002 00000000", "00000007 00000002 6162", "00000011 00000000"} {
		for _, b := range transporttest.Hex(t, request) {
			_, err := p.Write([]byte{b})
			require.NoError(t, err)
		}
		assert.Equal(t, "00000000", p.Hear()[:8])
	}
}

// TestHashData: data of any length goes to the device in pieces of bounded
// size.
func TestHashData(t *testing.T) {
	t.Parallel()
	device := running(t)
	p := servePatiently(t, device).dialControl()
	data := make([]byte, 1<<20)
	for i := range data {
		data[i] = byte(i * 7 / 3)
	}
	message := transporttest.Hex(t, "00000006 00000007 00100000")
	message = append(append(message, data...), transporttest.Hex(t, "00000008 00000004")...)
	go func() { _, _ = p.Write(message) }()
	hears(t, p, "00000000 00000000 00000000 0000000001000000")
	var got []byte
	for _, call := range device.Calls() {
		if call.Name == "hash data" {
			assert.LessOrEqual(t, len(call.Data), 8192)
			got = append(got, call.Data...)
		}
	}
	assert.Equal(t, data, got)

	// Refused data is read all the same.
	require.NoError(t, device.PowerOff())
	go func() { _, _ = p.Write(message) }()
	hears(t, p, "0000000A 0000000A 0000000A 0000000A")
}

func TestSeveralControlClients(t *testing.T) {
	t.Parallel()
	r := serve(t, running(t), swtpm.Options{})
	idle := r.dialControl()
	half := r.dialControl()
	half.Say("0000")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			p := r.dialControl()
			for range 50 {
				if !assert.Equal(t, "000000000001ffff", p.Ask("00000001")) {
					return
				}
			}
		})
	}
	transporttest.Wait(t, &wg)
	assert.Equal(t, "000000000001ffff", idle.Ask("00000001"))
}

// TestChurn: clients that connect and go, with and without a word, leave
// nothing behind.
func TestChurn(t *testing.T) {
	t.Parallel()
	transporttest.NoLeaks(t, func() {
		device := running(t)
		r := serve(t, device, swtpm.Options{})
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				for range 40 {
					p := r.dialControl()
					if i%2 == 0 {
						assert.Equal(t, "000000000001ffff", p.Ask("00000001"))
					}
					assert.NoError(t, p.Close())
					d := r.dialData()
					if i%2 == 1 {
						assert.Equal(t, rcSuccess, d.Ask(startup))
					}
					assert.NoError(t, d.Close())
				}
			})
		}
		transporttest.Wait(t, &wg)
		// A client that says no more, but still listens.
		p := r.dialControl()
		p.Say("00000001 0000000F")
		require.NoError(t, p.Conn.(*net.UnixConn).CloseWrite())
		hears(t, p, "000000000001FFFF 0000000000000000")
		r.dialControl()
		r.dialData()
		r.close()
	})
}

// TestMaxConnections: clients beyond the limit are refused, with one line in the
// log for each channel.
func TestMaxConnections(t *testing.T) {
	t.Parallel()
	log := new(syncBuffer)
	r := serve(t, running(t), swtpm.Options{MaxControl: 1, MaxData: 1, Logger: slog.New(slog.NewTextHandler(log, nil))})
	for channel, dial := range map[string]func() *transporttest.Peer{"control": r.dialControl, "data": r.dialData} {
		request := map[string]string{"control": "0000000F", "data": startup}[channel]
		first := dial()
		require.NotEqual(t, "closed", first.Ask(request))
		for range 3 {
			second := dial()
			require.NoError(t, second.SetReadDeadline(time.Now().Add(20*time.Second)))
			_, err := second.Read(make([]byte, 1))
			require.ErrorIs(t, err, io.EOF)
			require.NoError(t, second.Close())
		}
		require.NotEqual(t, "closed", first.Ask(request), "who was there is served on")
		require.NoError(t, first.Close())
		assert.Equal(t, 1, strings.Count(log.String(), "clients are refused until another one leaves\" channel="+channel+" limit=1"), log.String())
	}
}

// syncBuffer is a log that a test reads while a server writes.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func TestTerminate(t *testing.T) {
	t.Parallel()
	t.Run("with data", func(t *testing.T) {
		t.Parallel()
		r := serve(t, running(t), swtpm.Options{TerminateWithData: true})
		require.NoError(t, r.dialControl().Close())
		p := r.dialData()
		require.Equal(t, rcSuccess, p.Ask(startup))
		require.Empty(t, r.Reason())
		require.NoError(t, p.Close())
		assert.Equal(t, swtpm.EndedByData, r.ended())
	})
	t.Run("with control", func(t *testing.T) {
		t.Parallel()
		r := serve(t, running(t), swtpm.Options{TerminateWithControl: true})
		p := r.dialData()
		require.Equal(t, rcSuccess, p.Ask(startup))
		require.NoError(t, p.Close())
		require.Empty(t, r.Reason())
		require.NoError(t, r.dialControl().Close())
		assert.Equal(t, swtpm.EndedByControl, r.ended())
	})
}

func TestServeAfterTheEnd(t *testing.T) {
	t.Parallel()
	s := swtpm.NewServer(running(t), swtpm.Options{})
	require.NoError(t, s.Close(context.Background()))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, s.ServeControl(l))
	_, err = net.Dial("tcp", l.Addr().String())
	require.Error(t, err, "the listener is closed")
}

// TestSingleConnections: connections that the owner has already.
func TestSingleConnections(t *testing.T) {
	t.Parallel()
	transporttest.NoLeaks(t, func() {
		s := swtpm.NewServer(running(t), swtpm.Options{})
		control, controlEnd := net.Pipe()
		data, dataEnd := net.Pipe()
		var wg sync.WaitGroup
		wg.Go(func() { s.ServeControlConn(controlEnd) })
		wg.Go(func() { assert.NoError(t, s.ServeDataConn(dataEnd)) })
		assert.Equal(t, "000000000001ffff", transporttest.NewPeer(t, control).Ask("00000001"))
		assert.Equal(t, rcSuccess, transporttest.NewPeer(t, data).Ask(startup))
		require.NoError(t, control.Close())
		require.NoError(t, s.Close(context.Background()))
		transporttest.Wait(t, &wg)
	})
}
