package mssim_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/mssim"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

func dial(t *testing.T, r *rig) *mssim.TPM {
	t.Helper()
	tpm, err := mssim.Dial(t.Context(), "unix", r.command)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, tpm.Close()) })
	return tpm
}

func TestClient(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	device := new(simulated)
	r := serve(t, device, mssim.Options{})
	tpm := dial(t, r)
	assert.False(t, tpm.Powered())
	_, err := tpm.Send(ctx, 0, transporttest.Hex(t, startup))
	require.ErrorIs(t, err, mssim.ErrNoPower)

	require.NoError(t, tpm.Init())
	assert.True(t, tpm.Powered())
	require.NoError(t, tpm.Init(), "a reset")
	response, err := tpm.Send(ctx, 3, transporttest.Hex(t, startup))
	require.NoError(t, err)
	assert.Equal(t, transporttest.Hex(t, rcSuccess), response)
	response, err = tpm.Exchange(ctx, []byte("x"), 0, transporttest.Hex(t, startup))
	require.NoError(t, err)
	assert.Equal(t, append([]byte("x"), transporttest.Hex(t, rcSuccess)...), response)

	require.NoError(t, tpm.HashStart())
	require.NoError(t, tpm.HashData([]byte("abc")))
	require.NoError(t, tpm.HashData(nil))
	require.NoError(t, tpm.HashEnd())
	version, flags, err := tpm.Handshake(ctx)
	require.NoError(t, err)
	assert.EqualValues(t, 1, version)
	assert.Equal(t, mssim.PlatformAvailable|mssim.InRawMode|mssim.SupportsPP, flags)

	device.taken()
	tpm.SetNVAvailable(false)
	tpm.SetPresence(true)
	tpm.FailNextSelfTest()
	tpm.SetCancel(true)
	tpm.SetCancel(false)
	tpm.Cancel() // no command waits
	assert.Equal(t, []string{"nv off", "presence on", "failure on", "cancel on", "cancel off"}, device.taken())

	require.NoError(t, tpm.PowerOff())
	require.NoError(t, tpm.PowerOff())
	assert.False(t, tpm.Powered())
	assert.Equal(t, []string{"init", "poweroff", "init", "send", "send",
		"hash start", "hash data", "hash end", "poweroff"}, device.Names())
	assert.EqualValues(t, 3, device.Calls()[3].Locality)

	require.NoError(t, device.Init())
	assert.True(t, dial(t, r).Powered(), "asked when it connects")

	var refused *mssim.AckError
	require.ErrorAs(t, tpm.Signal(ctx, mssim.CmdSetFWHash), &refused)
	assert.Equal(t, mssim.CmdSetFWHash, refused.Code)
	require.NoError(t, dial(t, r).Stop())
	assert.Equal(t, mssim.EndedByStop, func() mssim.Reason { transporttest.Receive(t, r.Done()); return r.Reason() }())
}

// Cancel asserts the signal until the command has its response.
func TestClientCancels(t *testing.T) {
	t.Parallel()
	device := on(t)
	device.cancel = make(chan bool, 2)
	entered, asserted := make(chan struct{}), make(chan struct{})
	device.Answer = func(ctx context.Context, _ uint8, command []byte) ([]byte, error) {
		if command[9] != 0x44 {
			return transport.AppendResponse(nil, transport.RCSuccess), nil
		}
		close(entered)
		<-asserted
		return transport.AppendResponse(nil, 0x909), nil
	}
	tpm := dial(t, serve(t, device, mssim.Options{}))
	got := make(chan []byte, 1)
	command := transporttest.Hex(t, startup)
	go func() {
		response, err := tpm.Send(context.Background(), 0, command)
		assert.NoError(t, err)
		got <- response
	}()
	transporttest.Receive(t, entered)
	tpm.Cancel()
	tpm.Cancel()
	require.True(t, transporttest.Receive(t, device.cancel))
	close(asserted)
	require.Equal(t, transporttest.Hex(t, "80010000000a00000909"), transporttest.Receive(t, got))
	require.False(t, transporttest.Receive(t, device.cancel))
}

// A context that ends breaks the connection, because the response may still come.
func TestClientGivesUp(t *testing.T) {
	t.Parallel()
	device := on(t)
	entered := make(chan struct{})
	device.Answer = func(ctx context.Context, _ uint8, command []byte) ([]byte, error) {
		if command[9] == 0x44 {
			close(entered)
			<-ctx.Done()
		}
		return transport.AppendResponse(nil, transport.RCSuccess), nil
	}
	tpm := dial(t, serve(t, device, mssim.Options{}))
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-entered
		cancel()
	}()
	_, err := tpm.Send(ctx, 0, transporttest.Hex(t, startup))
	var lost *mssim.BrokenError
	require.ErrorAs(t, err, &lost)
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, mssim.CmdSendCommand, lost.Code)
	_, again := tpm.Send(t.Context(), 0, transporttest.Hex(t, startup))
	assert.Equal(t, err, again)
	assert.NoError(t, tpm.Signal(t.Context(), mssim.CmdNVOn), "the other port is another connection")
}

// What a server answers that is none.
func TestClientErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ answer, says string }{
		"nothing":         {"", "unexpected EOF"},
		"half a response": {"0000000a 8001", "unexpected EOF"},
		"no ack":          {"0000000a" + rcSuccess + "0000", "unexpected EOF"},
		"too much":        {"ffffffff" + rcSuccess, "more than 65536 are not taken"},
		"ack of failure":  {"0000000a" + rcSuccess + "00000001", "acknowledges it with 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tpm, far := against(t)
			answer := transporttest.Hex(t, c.answer)
			go func() {
				_, _ = io.ReadFull(far, make([]byte, 9+12))
				_, _ = far.Write(answer)
				_ = far.Close()
			}()
			_, err := tpm.Send(context.Background(), 0, transporttest.Hex(t, startup))
			require.ErrorContains(t, err, c.says)
		})
	}
}

// against returns a client and the other end of its connection to the command port. The
// TPM there has answered that it has power.
func against(t testing.TB) (*mssim.TPM, net.Conn) {
	t.Helper()
	command, far := transporttest.Conns(t)
	platform, other := transporttest.Conns(t)
	t.Cleanup(func() { _, _ = far.Close(), other.Close() })
	powered := transporttest.Hex(t, answered)
	go func() {
		_, _ = io.ReadFull(far, make([]byte, 9+10))
		_, _ = far.Write(powered)
	}()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	tpm, err := mssim.NewTPM(ctx, command, platform)
	require.NoError(t, err)
	t.Cleanup(func() { _ = tpm.Close() })
	return tpm, far
}

func Example() {
	device := new(transporttest.TPM)
	server := mssim.NewServer(device, mssim.Options{})
	ctx := context.Background()
	ports, err := mssim.ListenTCP(ctx, 0, "127.0.0.1")
	if err != nil {
		panic(err)
	}
	go func() { _ = server.ServeCommand(ports.Command[0]) }()
	go func() { _ = server.ServePlatform(ports.Platform[0]) }()
	defer func() { _ = server.Close(ctx) }()

	tpm, err := mssim.Dial(ctx, "tcp", ports.Command[0].Addr().String())
	if err != nil {
		panic(err)
	}
	defer tpm.Close()
	_ = tpm.Init()
	response, err := tpm.Send(ctx, 0, transport.NewCommand(transport.TagNoSessions, 0x144, []byte{0, 0}))
	if err != nil {
		panic(err)
	}
	fmt.Printf("%x\n", response)
	// Output:
	// 80010000000a00000000
}
