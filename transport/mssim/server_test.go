package mssim_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/mssim"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

func TestCommandPort(t *testing.T) {
	t.Parallel()
	device := on(t)
	r := serve(t, device, mssim.Options{})
	p := r.dialCommand()
	play(t, p, [][2]string{
		{sent, answered},
		{"00000008 03 0000000C" + startup, answered},
		{"00000008 20 0000000C" + startup, answered},
		// There is no locality 5, and the TPM is not asked.
		{"00000008 05 0000000C" + startup, "0000000a" + "80010000000a00000907" + "00000000"},
		// The TPM judges what is no command.
		{"00000008 00 00000000", answered},
		{"00000008 00 00000003 800100", answered},
		{"00000005", ack},
		{"00000006 00000003 616263", ack},
		{"00000006 00000000", ack},
		{"00000007", ack},
		{"0000000F 00000001", "00000001" + "0000000d" + "00000000"},
		{"00000010 00000144", ack},
	})
	p.Say("00000005" + "00000007") // two requests in one piece
	heard := p.Hear()
	if heard == ack {
		heard += p.Hear()
	}
	require.Equal(t, ack+ack, heard)
	var sends []transporttest.Call
	var names []string
	for _, c := range device.Calls() {
		names = append(names, c.Name)
		if c.Name == "send" {
			sends = append(sends, c)
		}
	}
	require.Equal(t, []string{
		"init", "send", "send", "send", "send", "send",
		"hash start", "hash data", "hash end", "hash start", "hash end",
	}, names)
	assert.Equal(t, []uint8{0, 3, 32}, []uint8{sends[0].Locality, sends[1].Locality, sends[2].Locality})
	assert.Equal(t, transporttest.Hex(t, startup), sends[0].Data)
	assert.Empty(t, sends[3].Data)
	assert.Equal(t, transporttest.Hex(t, "800100"), sends[4].Data)
}

// What ends a connection to the command port, without an answer.
func TestCommandPortCloses(t *testing.T) {
	t.Parallel()
	r := serve(t, on(t), mssim.Options{StallTime: 20 * time.Millisecond})
	for name, request := range map[string]string{
		"unknown code":         "00000016",
		"platform request":     "00000001",
		"a bare command":       startup,
		"SESSION_END":          "00000014",
		"handshake without":    "0000000F 00000000",
		"more than 1 MiB":      "00000008 00 00100001",
		"more than 1 MiB hash": "00000006 00100001",
		"stall in the code":    "0000",
		"stall in the header":  "00000008 00 00",
		"stall in the command": "00000008 00 0000000C 8001",
		"stall after too much": "00000008 00 00002000 8001",
		"stall in hash data":   "00000006 00000003 61",
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, "closed", r.dialCommand().Ask(request))
		})
	}
	assert.Equal(t, answered, r.dialCommand().Ask(sent), "the others are served")
}

// A command that no buffer takes is answered as the TPM would, and the next one is found.
func TestCommandTooLarge(t *testing.T) {
	t.Parallel()
	r := serve(t, on(t), mssim.Options{})
	p := r.dialCommand()
	header := transporttest.Hex(t, "00000008 00 00100000")
	_, err := p.Write(append(header, make([]byte, 1<<20)...))
	require.NoError(t, err)
	require.Equal(t, "0000000a"+"80010000000a00000142"+ack, p.Hear())
	require.Equal(t, answered, p.Ask(sent))
}

func TestPlatformPort(t *testing.T) {
	t.Parallel()
	device := new(simulated)
	var events []mssim.EventKind
	r := serve(t, device, mssim.Options{Events: func(e mssim.Event) { events = append(events, e.Kind) }})
	p := r.dialPlatform()
	ask := func(request, answer string, signals ...string) {
		t.Helper()
		require.Equal(t, answer, p.Ask(request), request)
		require.Equal(t, signals, device.taken(), request)
	}
	// Without power the requests have no effect.
	for _, request := range []string{powerOff, "00000011", "0000000B", "0000000C"} {
		ask(request, ack)
	}
	require.Equal(t, noPower, r.dialCommand().Ask(sent))
	require.Equal(t, ack, r.dialCommand().Ask("00000005"))
	require.Empty(t, device.Names())

	ask(powerOn, ack)
	ask(powerOn, ack)
	require.Equal(t, []string{"init"}, device.Names(), "POWER_ON of a TPM that has power")
	ask("0000000C", ack, "nv off")
	ask("0000000B", ack, "nv on")
	ask("00000003", ack, "presence on")
	ask("00000004", ack, "presence off")
	ask("00000009", ack, "cancel on")
	ask("0000000A", ack, "cancel off")
	ask("0000001E", ack, "failure on")
	for _, nothing := range []string{"0000000D", "0000000E", "00000012"} {
		ask(nothing, ack)
	}
	ask("0000001A 40000110", "00000000"+ack)
	ask("00000011", ack)
	require.Equal(t, []string{"init", "init"}, device.Names())
	// A reset takes the cancel signal back.
	ask("00000009", ack, "cancel on")
	ask("00000011", ack, "cancel off")
	ask(powerOff, ack)
	ask(powerOff, ack)
	require.Equal(t, []string{"init", "init", "init", "poweroff"}, device.Names())
	assert.Equal(t, []mssim.EventKind{mssim.EventPowerOn, mssim.EventReset, mssim.EventReset, mssim.EventPowerOff}, events)

	for _, unknown := range []string{"00000008", "00000023", "00000000", "80010000"} {
		p := r.dialPlatform()
		assert.Equal(t, "00000001", p.Ask(unknown), unknown)
		assert.Equal(t, "closed", p.Hear(), unknown)
	}
	p = r.dialPlatform()
	assert.Equal(t, "closed", p.Ask("00000014"))
	assert.Empty(t, r.Reason())
}

// A TPM that does not start is told, and the client can try again.
func TestPowerFails(t *testing.T) {
	t.Parallel()
	device := new(simulated)
	device.Fail = func(name string) error {
		if name == "init" {
			return errors.New("no such file")
		}
		return nil
	}
	r := serve(t, device, mssim.Options{})
	play(t, r.dialPlatform(), [][2]string{{powerOn, "00000001"}, {"0000000B", ack}, {powerOn, "00000001"}})
}

// GET_COMMAND_RESPONSE_SIZES gives the largest since it was asked last, numbers in the
// byte order of the machine.
func TestSizes(t *testing.T) {
	t.Parallel()
	device := on(t)
	device.Answer = func(_ context.Context, _ uint8, command []byte) ([]byte, error) {
		response := make([]byte, 10+len(command))
		transport.AppendResponse(response[:0], transport.RCSuccess)
		transport.SetSize(response)
		return response, nil
	}
	r := serve(t, device, mssim.Options{})
	p, c := r.dialPlatform(), r.dialCommand()
	require.Equal(t, "00000010"+"0000000000000000"+"0000000000000000"+ack, p.Ask("00000019"))
	require.NotEmpty(t, c.Ask(sent))
	require.NotEmpty(t, c.Ask("00000008 00 0000000A 80010000000A00000181"))
	const size12, size22 = "0c000000", "16000000"
	got := p.Ask("00000019")
	if transporttest.Hex(t, got[8:10])[0] == 0 {
		t.Skip("a big-endian machine")
	}
	require.Equal(t, "00000010"+size12+"00000144"+size22+"00000000"+ack, got)
	require.Equal(t, "00000010"+"0000000000000000"+"0000000000000000"+ack, p.Ask("00000019"))
}

// STOP on either port ends the server.
func TestStop(t *testing.T) {
	t.Parallel()
	for name, dial := range map[string]func(*rig) *transporttest.Peer{
		"command": (*rig).dialCommand, "platform": (*rig).dialPlatform,
	} {
		t.Run(name, func(t *testing.T) {
			r := serve(t, on(t), mssim.Options{})
			other := r.dialCommand()
			require.Equal(t, answered, other.Ask(sent))
			require.Equal(t, "closed", dial(r).Ask("00000015"))
			transporttest.Receive(t, r.Done())
			assert.Equal(t, mssim.EndedByStop, r.Reason())
			assert.Equal(t, "closed", other.Hear())
		})
	}
}

// While a command runs the platform port answers, and ends it.
func TestPlatformPortWhileACommandRuns(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ request, answer string }{
		"POWER_OFF": {powerOff, noPower},
		"RESET":     {"00000011", "0000000a" + "80010000000a00000101" + ack},
	} {
		t.Run(name, func(t *testing.T) {
			device := on(t)
			entered := make(chan struct{})
			device.Answer = func(ctx context.Context, _ uint8, _ []byte) ([]byte, error) {
				close(entered)
				<-ctx.Done()
				return nil, context.Cause(ctx)
			}
			r := serve(t, device, mssim.Options{})
			p := r.dialCommand()
			p.Say(sent)
			transporttest.Receive(t, entered)
			require.Equal(t, ack, r.dialPlatform().Ask("0000000B"))
			require.Equal(t, ack, r.dialPlatform().Ask(c.request))
			require.Equal(t, c.answer, p.Hear())
		})
	}
}

// A client that has gone gives its command up, and its power changes stay.
func TestClientsThatGo(t *testing.T) {
	t.Parallel()
	device := new(simulated)
	entered, left := make(chan struct{}), make(chan error, 1)
	device.Answer = func(ctx context.Context, _ uint8, _ []byte) ([]byte, error) {
		close(entered)
		<-ctx.Done()
		left <- context.Cause(ctx)
		return nil, ctx.Err()
	}
	r := serve(t, device, mssim.Options{})
	platform := r.dialPlatform()
	require.Equal(t, ack, platform.Ask(powerOn))
	require.NoError(t, platform.Close())
	p := r.dialCommand()
	p.Say(sent)
	transporttest.Receive(t, entered)
	require.NoError(t, p.Close())
	require.ErrorIs(t, transporttest.Receive(t, left), context.Canceled)
	assert.True(t, device.Powered())
}

// Slow, half-closed, flooding and garbage clients get what they asked for or lose their
// connection, and others are served meanwhile.
func TestBadClients(t *testing.T) {
	t.Parallel()
	transporttest.NoLeaks(t, func() {
		t.Run("clients", func(t *testing.T) {
			device := on(t)
			r := serve(t, device, mssim.Options{MaxConnections: 4})

			slow := r.dialCommand()
			for _, b := range transporttest.Hex(t, sent) {
				slow.Say(hex.EncodeToString([]byte{b}))
			}
			assert.Equal(t, answered, slow.Hear())

			half := r.dialCommand()
			half.Say(sent)
			require.NoError(t, half.Conn.(*net.UnixConn).CloseWrite())
			assert.Equal(t, answered, half.Hear())
			assert.Equal(t, "closed", half.Hear())

			// It sends and never reads: its responses wait in the socket, and
			// then it does.
			request := transporttest.Hex(t, sent)
			deaf := r.dialCommand()
			require.NoError(t, deaf.SetWriteDeadline(time.Now().Add(time.Minute)))
			go func() {
				_, _ = io.Copy(deaf.Conn, endless(request))
			}()
			for range 8 {
				assert.Equal(t, answered, slow.Ask(sent))
			}

			// More connections than are taken: further ones are closed, the
			// others go on, and so do new ones when these have left.
			var flood []*transporttest.Peer
			for range 16 {
				flood = append(flood, r.dialCommand())
			}
			assert.Equal(t, answered, slow.Ask(sent))
			assert.Equal(t, ack, r.dialPlatform().Ask("0000000B"), "the other port is not full")
			for _, p := range flood {
				require.NoError(t, p.Close())
			}
			require.Eventually(t, func() bool {
				conn, err := net.Dial("unix", r.command)
				if err != nil {
					return false
				}
				defer conn.Close()
				_, err = conn.Write(request)
				got := make([]byte, 18)
				_, readErr := io.ReadFull(conn, got)
				return err == nil && readErr == nil
			}, time.Minute, time.Millisecond)
			require.NoError(t, deaf.Close())
			assert.Equal(t, answered, slow.Ask(sent))
		})
	})
}

// endless repeats a request without end.
func endless(request []byte) io.Reader {
	many := bytes.Repeat(request, 100)
	return readerFunc(func(p []byte) (int, error) { return copy(p, many), nil })
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestListenTCP(t *testing.T) {
	t.Parallel()
	ports, err := mssim.ListenTCP(t.Context(), 0, "127.0.0.1")
	require.NoError(t, err)
	command, platform := ports.Command[0].Addr().(*net.TCPAddr), ports.Platform[0].Addr().(*net.TCPAddr)
	assert.Equal(t, command.Port+1, platform.Port)
	assert.Equal(t, command.Port, ports.Port())
	_, err = mssim.ListenTCP(t.Context(), command.Port, "127.0.0.1")
	require.Error(t, err, "it is taken")
	require.NoError(t, ports.Close())
	for _, port := range []int{-1, 65535} {
		_, err = mssim.ListenTCP(t.Context(), port, "127.0.0.1")
		require.ErrorContains(t, err, "1 to 65534")
	}
}

// Whoever reaches the command port reaches the platform port.
func TestThePlatformPortIsThereFirst(t *testing.T) {
	t.Parallel()
	path := filepath.Join(transporttest.Dir(t), "tpm")
	var hosts []string
	for i := range 20 {
		hosts = append(hosts, fmt.Sprintf("127.0.0.%d", 70+i))
	}
	for _, c := range []struct {
		network, command string
		listen           func() (*mssim.Ports, error)
	}{
		{"unix", path, func() (*mssim.Ports, error) {
			return mssim.ListenUnix(t.Context(), path, transport.Access{Mode: 0o600})
		}},
		// No outgoing connection has this port. It takes a while to listen at many addresses.
		{"tcp", hosts[0] + ":20321", func() (*mssim.Ports, error) { return mssim.ListenTCP(t.Context(), 20321, hosts...) }},
	} {
		platform, err := mssim.PlatformAddress(c.network, c.command)
		require.NoError(t, err)
		for i := range 100 {
			reached := make(chan error, 1)
			go func() { reached <- reach(t.Context(), c.network, c.command, platform) }()
			ports, err := c.listen()
			if errors.Is(err, syscall.EADDRNOTAVAIL) {
				t.Log("this system has one loopback address: ", err)
				break
			}
			require.NoError(t, err)
			require.NoError(t, transporttest.Receive(t, reached), "%s, round %d", c.network, i)
			require.NoError(t, ports.Close())
		}
	}
}

// reach dials the command port until somebody listens there, and then the platform port.
func reach(ctx context.Context, network, command, platform string) error {
	var d net.Dialer
	for {
		c, err := d.DialContext(ctx, network, command)
		if err == nil {
			c.Close()
			break
		}
		if ctx.Err() != nil {
			return err
		}
	}
	c, err := d.DialContext(ctx, network, platform)
	if err == nil {
		c.Close()
	}
	return err
}

func TestPlatformAddress(t *testing.T) {
	t.Parallel()
	for _, c := range [][3]string{
		{"tcp", "localhost:2321", "localhost:2322"},
		{"tcp", "[::1]:2321", "[::1]:2322"},
		{"unix", "/run/tpm", "/run/tpm.ctrl"},
	} {
		got, err := mssim.PlatformAddress(c[0], c[1])
		require.NoError(t, err)
		assert.Equal(t, c[2], got)
	}
	for _, bad := range []string{"localhost", "localhost:65535", "localhost:x", "localhost:0"} {
		_, err := mssim.PlatformAddress("tcp", bad)
		assert.Error(t, err, bad)
	}
}

// A device can have its response written in pieces, and the connection closed.
func TestBadLine(t *testing.T) {
	t.Parallel()
	device := on(t)
	device.Answer = transporttest.BadLine
	p := serve(t, device, mssim.Options{}).dialCommand()
	start := time.Now()
	p.Say("00000008 00 0000000C" + startup)
	got := make([]byte, 18)
	_, err := io.ReadFull(p, got)
	require.NoError(t, err)
	assert.Equal(t, answered, hex.EncodeToString(got))
	assert.GreaterOrEqual(t, time.Since(start), 4*transporttest.BadLinePause)
	assert.Equal(t, "closed", p.Ask("00000008 01 0000000C"+startup))
}
