//go:build unix

package swtpm_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/swtpm"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

func TestGetStateBlob(t *testing.T) {
	t.Parallel()
	device := running(t)
	device.Permanent, device.Volatile = []byte("seeds"), []byte("values")
	var broken atomic.Bool
	device.Fail = func(string) error {
		if broken.Load() {
			return assert.AnError
		}
		return nil
	}
	p := serve(t, device, swtpm.Options{}).dialControl()
	for _, c := range []struct{ kind, offset, hear string }{
		{"00000001", "00000000", "00000000 00000000 00000005 00000005 7365656473"},
		{"00000002", "00000000", "00000000 00000000 00000006 00000006 76616c756573"},
		{"00000002", "00000004", "00000000 00000000 00000002 00000002 6573"},
		{"00000002", "00000006", "00000000 00000000 00000000 00000000"},
		{"00000002", "ffffffff", "00000000 00000000 00000000 00000000"},
		{"00000003", "00000000", "00000800 00000000 00000000 00000000"},
		{"00000000", "00000000", "00000009 00000000 00000000 00000000"},
	} {
		want := hex.EncodeToString(transporttest.Hex(t, c.hear))
		assert.Equal(t, want, p.Ask("0000000C 00000001 "+c.kind+" "+c.offset), "%v", c)
	}
	broken.Store(true)
	assert.Equal(t, "00000009"+"000000000000000000000000", p.Ask("0000000C 00000001 00000001 00000000"))
}

// TestSetStateBlob: what is given goes to the device with the next INIT, in the
// order in which it can be taken, and is gone then.
func TestSetStateBlob(t *testing.T) {
	t.Parallel()
	const (
		permanent = "0000000D 00000000 00000001 00000002 5050"
		volatile  = "0000000D 00000000 00000002 00000001 56"
		start     = "00000002 00000001"
		done      = "00000000"
	)
	for name, c := range map[string]struct {
		say   []string
		calls []string
		fail  int // which call fails, from 1 on
		hear  string
		init  swtpm.Event
	}{
		"nothing":         {say: []string{}, calls: []string{"init"}},
		"permanent":       {say: []string{permanent}, calls: []string{"poweroff", "load state PP", "init"}},
		"both":            {say: []string{permanent, volatile}, calls: []string{"init", "load state PPV"}, init: swtpm.Event{Resumes: true}},
		"volatile alone":  {say: []string{volatile}, calls: []string{"init", "load state V"}, init: swtpm.Event{Resumes: true}},
		"the other first": {say: []string{volatile, permanent}, calls: []string{"init", "load state PPV"}, init: swtpm.Event{Resumes: true}},
		"taken back":      {say: []string{permanent, "0000000D 00000000 00000001 00000000"}, calls: []string{"init"}},
		"given again":     {say: []string{permanent, "0000000D 00000000 00000001 00000001 51"}, calls: []string{"poweroff", "load state Q", "init"}},
		"permanent bad":   {say: []string{permanent}, calls: []string{"poweroff", "load state PP"}, fail: 2, hear: "00000009"},
		"volatile bad": {say: []string{permanent, volatile}, calls: []string{"init", "load state PPV", "poweroff"},
			fail: 2, hear: "00000009", init: swtpm.Event{Resumes: true}},
	} {
		var n atomic.Int32
		device := &transporttest.TPM{Fail: func(string) error {
			if int(n.Add(1)) == c.fail {
				return assert.AnError
			}
			return nil
		}}
		events := make(chan swtpm.Event, 16)
		p := serve(t, device, swtpm.Options{Events: func(e swtpm.Event) { events <- e }}).dialControl()
		for _, say := range c.say {
			require.Equal(t, done, p.Ask(say), "%s: %s", name, say)
		}
		require.Empty(t, device.Names(), name)
		hear := done
		if c.hear != "" {
			hear = c.hear
		}
		assert.Equal(t, hear, p.Ask(start), name)
		var calls []string
		for _, call := range device.Calls() {
			calls = append(calls, call.Name+map[bool]string{true: " " + string(call.Data)}[len(call.Data) > 0])
		}
		assert.Equal(t, c.calls, calls, name)
		assert.Equal(t, c.init.Resumes, transporttest.Receive(t, events).Resumes, name)
		before := len(device.Calls())
		require.Equal(t, done, p.Ask("0000000E"))
		require.Equal(t, done, p.Ask(start))
		assert.Equal(t, []string{"poweroff", "init"}, device.Names()[before:], "%s: given once", name)
	}
}

func TestSetStateBlobRefusals(t *testing.T) {
	t.Parallel()
	device := &transporttest.TPM{}
	p := serve(t, device, swtpm.Options{}).dialControl()
	large := fmt.Sprintf("%08x %s", 512<<10+1, hex.EncodeToString(make([]byte, 512<<10+1)))
	for _, c := range [][2]string{
		{"0000000D 00000000 00000003 00000001 00", "00000003"},
		{"0000000D 00000000 00000000 00000001 00", "00000003"},
		{"0000000D 00000002 00000001 00000001 00", "0000000d"},
		{"0000000D 00000000 00000001 " + large, "00000009"},
	} {
		assert.Equal(t, c[1], p.Ask(c[0]), c[0][:min(len(c[0]), 50)])
	}
	require.Equal(t, "00000000", p.Ask("00000002 00000000"))
	assert.Equal(t, []string{"init"}, device.Names(), "nothing of it was kept")
	assert.Equal(t, "0000000a", p.Ask("0000000D 00000000 00000001 00000001 00"), "the TPM is running")
}

// TestMoveATPM: a TPM goes on in another server where it was in the first, and
// with its permanent state alone it starts anew.
func TestMoveATPM(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	first, second := newTPM(t), newTPM(t)
	from, to := dialServed(t, first), dialServed(t, second)
	require.NoError(t, from.Init(ctx, 0))
	send := func(d transport.Device, digits string) string {
		t.Helper()
		response, err := d.Send(ctx, 0, transporttest.Hex(t, digits))
		require.NoError(t, err)
		return hexOf(response)
	}
	const extend = "8002 00000041 00000182 00000010 00000009 40000009 0000 00 0000 00000001 000b 1111111111111111111111111111111111111111111111111111111111111111"
	const readPCR = "8001 00000014 0000017e 00000001 000b 03 000001"
	require.Equal(t, rcSuccess, send(first, startup))
	send(first, extend)
	value := send(first, readPCR)
	permanent, err := from.GetStateBlob(ctx, swtpm.StatePermanent, swtpm.BlobDecrypted)
	require.NoError(t, err)
	volatile, err := from.GetStateBlob(ctx, swtpm.StateVolatile, swtpm.BlobDecrypted)
	require.NoError(t, err)

	require.NoError(t, to.SetStateBlob(ctx, swtpm.StatePermanent, permanent))
	require.NoError(t, to.SetStateBlob(ctx, swtpm.StateVolatile, volatile))
	require.NoError(t, to.Init(ctx, swtpm.InitDeleteVolatile))
	assert.Equal(t, value, send(second, readPCR), "no TPM2_Startup is needed")
	require.NoError(t, to.Stop(ctx))

	require.NoError(t, to.SetStateBlob(ctx, swtpm.StatePermanent, permanent))
	require.NoError(t, to.Init(ctx, 0))
	assert.Equal(t, rcSuccess, send(second, startup), "it begins anew")
	require.NoError(t, to.Stop(ctx))

	// Another TPM's volatile state, damaged state, or none at all.
	other := newTPM(t)
	require.NoError(t, other.Init())
	foreign, _, err := other.SaveState()
	require.NoError(t, err)
	for name, blobs := range map[string][2][]byte{
		"foreign":       {foreign, volatile.Data},
		"damaged":       {append(bytes.Clone(permanent.Data[:40]), permanent.Data[41:]...), volatile.Data},
		"no permanent":  {nil, volatile.Data},
		"cut":           {permanent.Data, volatile.Data[:len(volatile.Data)-1]},
		"not volatile":  {permanent.Data, permanent.Data},
		"no state":      {[]byte("no state"), nil},
		"volatile only": {nil, []byte("no state")},
	} {
		require.NoError(t, to.SetStateBlob(ctx, swtpm.StatePermanent, &swtpm.Blob{Data: blobs[0]}))
		require.NoError(t, to.SetStateBlob(ctx, swtpm.StateVolatile, &swtpm.Blob{Data: blobs[1]}))
		assert.Equal(t, swtpm.Fail, refusal(t, to.Init(ctx, 0)), name)
		assert.False(t, second.Powered(), name)
	}
	require.NoError(t, to.Init(ctx, 0), "what was given is gone")
	kept, err := to.GetStateBlob(ctx, swtpm.StatePermanent, 0)
	require.NoError(t, err)
	assert.Equal(t, seeds(t, permanent.Data), seeds(t, kept.Data), "and nothing of it was stored")
}

func dialServed(t *testing.T, tpm *emulator.TPM) *swtpm.Client {
	t.Helper()
	c, err := swtpm.DialControl(context.Background(), "unix", serve(t, tpm, swtpm.Options{}).control)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// seeds are the primary seeds in a permanent state.
func seeds(t *testing.T, permanent []byte) [3]state.TPM2B {
	t.Helper()
	s, err := state.Decode(permanent)
	require.NoError(t, err)
	return [3]state.TPM2B{s.Persistent.EPSeed, s.Persistent.SPSeed, s.Persistent.PPSeed}
}
