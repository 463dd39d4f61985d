package swtpm_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/transport/swtpm"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// running returns a device with power.
func running(t *testing.T) *transporttest.TPM {
	t.Helper()
	d := &transporttest.TPM{}
	require.NoError(t, d.Init())
	return d
}

// echo returns a device with power that answers a command with itself.
func echo(t *testing.T) *transporttest.TPM {
	t.Helper()
	d := running(t)
	d.Answer = func(_ context.Context, _ uint8, command []byte) ([]byte, error) {
		return bytes.Clone(command), nil
	}
	return d
}

// hears reads exactly what is expected.
func hears(t *testing.T, p *transporttest.Peer, digits string) {
	t.Helper()
	want := transporttest.Hex(t, digits)
	got := make([]byte, len(want))
	require.NoError(t, p.SetReadDeadline(time.Now().Add(time.Minute)))
	n, err := io.ReadFull(p, got)
	require.NoError(t, err, "after %d bytes", n)
	require.True(t, bytes.Equal(want, got), "expected %.100x\ngot      %.100x", want, got)
}

func TestDataWithoutPower(t *testing.T) {
	t.Parallel()
	device := &transporttest.TPM{}
	p := serve(t, device, swtpm.Options{}).dialData()
	assert.Equal(t, rcFailure, p.Ask(startup))
	require.NoError(t, device.Init())
	assert.Equal(t, rcSuccess, p.Ask(startup))
	require.NoError(t, device.PowerOff())
	assert.Equal(t, rcFailure, p.Ask(startup))
}

func TestDataDeviceError(t *testing.T) {
	t.Parallel()
	device := running(t)
	device.Fail = func(string) error { return errors.New("out of order") }
	p := serve(t, device, swtpm.Options{}).dialData()
	assert.Equal(t, rcFailure, p.Ask(startup))
	assert.Equal(t, rcFailure, p.Ask(startup), "the connection stays")
}

func TestDataSegments(t *testing.T) {
	t.Parallel()
	p := servePatiently(t, echo(t)).dialData()
	command := "8001 0000000E 00000144 0000 ABCD"
	for _, b := range transporttest.Hex(t, command) {
		_, err := p.Write([]byte{b})
		require.NoError(t, err)
	}
	hears(t, p, command)
	p.Say(command + readClock + command + "8001 0000")
	hears(t, p, command+readClock+command)
	p.Say("000A 00000181")
	hears(t, p, readClock)
	// TPM 1.2: QEMU asks so if the first question did not get through.
	hears2 := "00C1 0000000A 000000F1"
	assert.Equal(t, "00c10000000a000000f1", p.Ask(hears2))
}

// TestDataSizes: a size field that cannot be right is answered as by the TPM,
// and the connection goes on with the next command.
func TestDataSizes(t *testing.T) {
	t.Parallel()
	r := serve(t, echo(t), swtpm.Options{})
	dialled := r.dialData()
	small := []string{"8001 00000000", "8001 00000005", "8001 00000009 00000181", "0000 00000000 0000 0000 0000"}
	for _, command := range small {
		assert.Equal(t, rcSize, dialled.Ask(command), command)
		assert.Equal(t, "80010000000a00000181", dialled.Ask(readClock), "after %s", command)
	}
	// Larger than the buffer: discarded to the last byte, however it comes.
	dialled.Say("8001 00001001 00000181")
	hears(t, dialled, rcSize)
	rest := make([]byte, 4097-10)
	_, err := dialled.Write(rest[:2000])
	require.NoError(t, err)
	_, err = dialled.Write(append(rest[2000:], transporttest.Hex(t, readClock)...))
	require.NoError(t, err)
	hears(t, dialled, readClock)
}

// TestDataStall: a command that stops coming is answered as by swtpm, which takes it for
// one with a wrong size, and the connection goes on.
func TestDataStall(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string]swtpm.Options{"unix": {}, "tcp": {StallTime: 20 * time.Millisecond}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := serve(t, echo(t), opts)
			dial := r.dialData
			if name == "tcp" {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				require.NoError(t, err)
				served := make(chan error, 1)
				go func() { served <- r.ServeData(l) }()
				t.Cleanup(func() {
					r.close()
					assert.NoError(t, transporttest.Receive(t, served))
				})
				dial = func() *transporttest.Peer { return transporttest.Dial(t, "tcp", l.Addr().String()) }
			}
			p := dial()
			assert.Equal(t, "80010000000a00000181", p.Ask(readClock), "a connection may be idle")
			for _, c := range [][2]string{
				{"8001 0000000A 0000", rcSize},
				{"8001 00000100 00000181 0000", rcSize},
				{"80", rcSize},
				{"8001 FFFFFFFF 00000144", rcSize},
				{"00000008 00 0000000A", "0000000a" + rcSize + "00000000"},
				{"00000008 00 0000000A 8001", "0000000a" + rcSize + "00000000"},
			} {
				p := dial()
				assert.Equal(t, c[1], p.Ask(c[0]), c[0])
				if c[0] != "8001 FFFFFFFF 00000144" { // so many bytes are discarded first, if they come
					assert.Equal(t, "80010000000a00000181", p.Ask(readClock), "after %s", c[0])
				}
			}
		})
	}
}

// TestDataStray: bytes that follow a command and are no other one make it one with a
// wrong size, as for swtpm: it is not executed, and the next one is found.
func TestDataStray(t *testing.T) {
	t.Parallel()
	device := echo(t)
	p := serve(t, device, swtpm.Options{}).dialData()
	for _, stray := range []string{"00", "0000", "00000000", "00000009", "8003", "81", "FF", "00C4", "0000" + startup} {
		assert.Equal(t, rcSize, p.Ask(readClock+stray), stray)
		assert.Equal(t, "0000000a"+rcSize+"00000000", p.Ask("00000008 00 0000000A"+readClock+stray), stray)
		assert.Equal(t, "80010000000a00000181", p.Ask(readClock), "after %s", stray)
	}
	for _, call := range device.Calls()[1:] {
		assert.Equal(t, transporttest.Hex(t, readClock), call.Data)
	}
	assert.Len(t, device.Calls(), 10)
	// What may be the beginning of another command is waited for.
	p.Say(readClock + "8001")
	hears(t, p, readClock)
	p.Say("0000000A 00000181")
	hears(t, p, readClock)
}

func TestPrefix(t *testing.T) {
	t.Parallel()
	device := running(t)
	p := servePatiently(t, device).dialData()
	const answer = "0000000a" + rcSuccess + "00000000"
	assert.Equal(t, answer, p.Ask("00000008 03 0000000A"+readClock), "in one write")
	assert.Equal(t, rcSuccess, p.Ask(startup), "the next one is bare")
	p.Say("0000")
	p.Say("0008 04 0000")
	p.Say("000A 8001")
	p.Say("0000000A 00000181")
	hears(t, p, answer)

	tooShort := "0000000a" + rcSize + "00000000"
	assert.Equal(t, tooShort, p.Ask("00000008 02 00000009"+readClock))
	assert.Equal(t, tooShort, p.Ask("00000008 02 0000000A 8001 0000000C 00000181"), "sizes differ")
	assert.Equal(t, "0000000a80010000000a0000090700000000", p.Ask("00000008 1F 0000000A"+readClock))
	assert.Equal(t, answer, p.Ask("00000008 20 0000000A"+readClock), "an extended locality")

	var localities []uint8
	for _, call := range device.Calls() {
		if call.Name == "send" {
			localities = append(localities, call.Locality)
		}
	}
	assert.Equal(t, []uint8{3, 3, 4, 32}, localities, "the locality stays")
}

// TestPrefixLimits: the sizes that a prefix may announce.
func TestPrefixLimits(t *testing.T) {
	t.Parallel()
	p := serve(t, echo(t), swtpm.Options{}).dialData()
	command := make([]byte, 4096)
	copy(command, transporttest.Hex(t, "8001 00001000 00000181"))
	p.Say("00000008 00 00001000" + hex.EncodeToString(command))
	hears(t, p, "00001000"+hex.EncodeToString(command)+"00000000")
	p.Say("00000008 00 00001001" + hex.EncodeToString(command) + "00" + readClock)
	hears(t, p, "0000000a"+rcSize+"00000000"+readClock)
}

func TestVendorSetLocality(t *testing.T) {
	t.Parallel()
	const (
		set3  = "8002 0000000B 20001000 03"
		short = "8001 0000000A 20001000"
	)
	ask := func(opts swtpm.Options, command string) (string, uint8) {
		device := running(t)
		p := serve(t, device, opts).dialData()
		answer := p.Ask(command)
		require.Equal(t, rcSuccess, p.Ask(startup))
		calls := device.Calls()
		return answer, calls[len(calls)-1].Locality
	}
	allow := swtpm.Options{AllowSetLocality: true}
	for _, c := range []struct {
		name     string
		opts     swtpm.Options
		command  string
		answer   string
		locality uint8
	}{
		{"allowed", allow, set3, rcSuccess, 3},
		{"not allowed", swtpm.Options{}, set3, rcFailure, 0},
		{"short", allow, short, "80010000000a0000009a", 0},
		{"5", allow, "8001 0000000B 20001000 05", "80010000000a00000107", 0},
		{"4", allow, "8001 0000000B 20001000 04", rcSuccess, 4},
		{"4 rejected", swtpm.Options{AllowSetLocality: true, RejectLocality4: true},
			"8001 0000000B 20001000 04", "80010000000a00000107", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			answer, locality := ask(c.opts, c.command)
			assert.Equal(t, c.answer, answer)
			assert.Equal(t, c.locality, locality)
		})
	}
}

func TestRejectLocality4(t *testing.T) {
	t.Parallel()
	p := serve(t, running(t), swtpm.Options{RejectLocality4: true}).dialControl()
	assert.Equal(t, "0000003d", p.Ask("00000005 04"))
	assert.Equal(t, "00000000", p.Ask("00000005 03"))
}

func TestDataEmptyAnswer(t *testing.T) {
	t.Parallel()
	device := running(t)
	silent := true
	device.Answer = func(_ context.Context, _ uint8, command []byte) ([]byte, error) {
		if silent {
			silent = false
			return nil, nil
		}
		return bytes.Clone(command), nil
	}
	p := serve(t, device, swtpm.Options{}).dialData()
	p.Say(startup)
	assert.Equal(t, "80010000000a00000181", p.Ask(readClock))
}

// A device can have its response written in pieces, and the connection closed. Where
// there is no connection, its client gets TPM_RC_FAILURE.
func TestDataBadLine(t *testing.T) {
	t.Parallel()
	device := running(t)
	device.Answer = transporttest.BadLine
	r := serve(t, device, swtpm.Options{})
	p := r.dialData()
	start := time.Now()
	p.Say(startup)
	hears(t, p, rcSuccess)
	assert.GreaterOrEqual(t, time.Since(start), 2*transporttest.BadLinePause)
	require.Equal(t, "00000000", r.dialControl().Ask("00000005 01"), "locality 1")
	assert.Equal(t, "closed", p.Ask(startup))
	assert.Equal(t, rcFailure, hexOf(r.Respond(t.Context(), transporttest.Hex(t, startup))))
}
