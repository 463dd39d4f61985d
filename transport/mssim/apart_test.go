//go:build unix

package mssim_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/mssim"
	"github.com/swtpmd/swtpmd/transport/swtpm"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// both serves clients of both protocols.
func both(t *testing.T, device transport.Device, stall time.Duration) *rig {
	t.Helper()
	return serve(t, device, mssim.Options{
		StallTime: stall,
		Swtpm:     swtpm.NewServer(device, swtpm.Options{}),
	})
}

// What a client of the command port begins with tells which protocol it speaks, until its
// connection ends.
func TestCommandPortOfBoth(t *testing.T) {
	t.Parallel()
	r := both(t, on(t), 0)
	play(t, r.dialCommand(), [][2]string{
		{startup, rcSuccess},
		{"8002" + startup[4:], rcSuccess},
		{sent, answered}, // swtpm's prefix
	})
	assert.Equal(t, rcSuccess, r.dialCommand().Ask("00C1 0000000A 000000F1"))
	play(t, r.dialCommand(), [][2]string{
		{"0000000F 00000001", "00000001" + "0000000d" + "00000000"},
		{sent, answered},
		{startup, "closed"},
	})
	slow := r.dialCommand()
	slow.Say("80")
	slow.Say("01" + startup[4:])
	assert.Equal(t, rcSuccess, slow.Hear())
}

// Requests on the platform port are swtpm's where their code, or their length, is one
// that only swtpm has.
func TestPlatformPortOfBoth(t *testing.T) {
	t.Parallel()
	device := new(simulated)
	r := both(t, device, 0)
	play(t, r.dialPlatform(), [][2]string{
		{"00000005 00", ack},           // SET_LOCALITY, as tcti-swtpm begins
		{"0000000F", ack + "00000000"}, // GET_CONFIG
		{"00000002 00000001", ack},     // INIT
		{"00000004", ack + "00000000"}, // GET_TPMESTABLISHED
	})
	require.Equal(t, []string{"init"}, device.Names())
	for _, c := range []struct{ name, request, answer string }{
		{"INIT", "00000002 00000000", ack},
		{"GET_CONFIG", "0000000F", ack + "00000000"},
		{"HASH_START", "00000006", ack},
		{"HASH_END", "00000008", ack},
		{"SET_BUFFERSIZE", "00000011 00000000", ack + "00001000" + "00000b50" + "00001000"},
	} {
		assert.Equal(t, c.answer, r.dialPlatform().Ask(c.request), c.name)
	}
	swtpms := r.dialPlatform()
	swtpms.Say("00000013 00000000")
	assert.NotEqual(t, "00000001", swtpms.Hear(), "LOCK_STORAGE")
	assert.Len(t, swtpms.Ask("00000001"), 16, "GET_CAPABILITY of a connection that is swtpm's")
	device.taken()
	for _, c := range []struct{ name, request string }{
		{"POWER_ON", powerOn}, {"POWER_OFF", powerOff}, {"RESET", "00000011"}, {"CANCEL_ON", "00000009"},
		{"NV_ON", "0000000B"}, {"NV_OFF", "0000000C"}, {"KEY_CACHE_ON", "0000000D"}, {"RESTART", "00000012"},
		{"PHYS_PRES_ON", "00000003"},
	} {
		assert.Equal(t, ack, r.dialPlatform().Ask(c.request), c.name)
	}
	assert.Equal(t, "00000001", r.dialPlatform().Ask("00000063"), "a code of neither")
}

// A client that does not say enough is not waited for without end, and those that say
// nothing cost nothing.
func TestClientsOfNeither(t *testing.T) {
	t.Parallel()
	r := both(t, on(t), 20*time.Millisecond)
	var silent []*transporttest.Peer
	for range 8 {
		silent = append(silent, r.dialCommand(), r.dialPlatform())
	}
	for _, dial := range []func() *transporttest.Peer{r.dialCommand, r.dialPlatform} {
		assert.Equal(t, "closed", dial().Ask("8001"))
		p := dial()
		p.Say("80")
		require.NoError(t, p.Close())
	}
	assert.Equal(t, answered, silent[0].Ask(sent))
	assert.Equal(t, ack, silent[1].Ask("00000005 00"))
}
