//go:build unix

package swtpm_test

import (
	"context"
	"errors"
	"sync"
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

// shared is a place for the state of a TPM that several servers have in turn.
type shared struct {
	mu       sync.Mutex
	owner    *part
	volatile []byte
	tried    int // locks that were refused
}

// part is the Storage of one of them.
type part struct {
	*shared
	loaded []bool // what Lock was told
}

var errHeld = errors.New("another server has it")

func (p *part) Lock(loaded bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.loaded = append(p.loaded, loaded)
	if p.owner != nil && p.owner != p {
		p.tried++
		return errHeld
	}
	p.owner = p
	return nil
}

func (p *part) Unlock() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.owner == p {
		p.owner = nil
	}
	return nil
}

func (p *part) keep(volatile []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.volatile = volatile
	return nil
}

func (p *part) StoreVolatile(volatile []byte) error { return p.keep(volatile) }
func (p *part) RemoveVolatile() error               { return p.keep(nil) }

func (p *part) LoadVolatile() ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.volatile, nil
}

// stored returns the volatile state that is kept.
func (s *shared) stored() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.volatile
}

// refusals is how many locks were refused.
func (s *shared) refusals() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tried
}

func (p *part) told() []bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.loaded
}

func (p *part) isOwner() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.owner == p
}

// TestHandOver: the lock goes from the server that a guest leaves to the one where it
// arrives, as QEMU moves a guest, and back if the guest stays after all.
func TestHandOver(t *testing.T) {
	t.Parallel()
	place := new(shared)
	from, to := &part{shared: place}, &part{shared: place}
	require.NoError(t, from.Lock(false))
	leaving := running(t)
	leaving.Permanent, leaving.Volatile = []byte("p"), []byte("v")
	source := serve(t, leaving, swtpm.Options{Storage: from, ReleaseLockOutgoing: true})
	arriving := &transporttest.TPM{}
	target := serve(t, arriving, swtpm.Options{Storage: to, IncomingMigration: true})

	out, in := source.dialControl(), target.dialControl()
	require.Equal(t, "00000000", in.Ask("00000002 00000000"), "INIT needs no lock")
	assert.Equal(t, "00000009", in.Ask("0000000A"), "what is the other's is not written")
	require.Equal(t, "00000000", in.Ask("0000000E"))
	assert.Equal(t, "00000009", in.Ask("00000013 00000002"))
	assert.Equal(t, 1+3, place.refusals(), "once, and two retries")
	for _, get := range []string{"0000000C 00000001 00000001 00000000", "0000000C 00000001 00000002 00000000"} {
		out.Ask(get)
		assert.True(t, from.isOwner())
	}
	assert.Equal(t, "00000800000000000000000000000000", out.Ask("0000000C 00000001 00000003 00000000"))
	// The next reply comes after the lock is away.
	require.Equal(t, "00000000"+"00000000", out.Ask("0000000F"))
	assert.False(t, from.isOwner())

	// It stays: QEMU asks for the lock, or a command needs it.
	require.Equal(t, "00000000", out.Ask("00000013 0000012C"))
	assert.True(t, from.isOwner())
	assert.Equal(t, []bool{false, false}, from.told(), "it comes back: what another TPM has written counts for nothing")
	require.Equal(t, "00000000", out.Ask("00000013 00000000"), "it is locked already")
	out.Ask("0000000C 00000001 00000003 00000000")
	out.Ask("0000000F")
	assert.Equal(t, rcSuccess, source.dialData().Ask(startup))
	assert.True(t, from.isOwner())
	assert.Equal(t, []bool{false, false, true}, from.told())

	// It goes.
	out.Ask("0000000C 00000001 00000003 00000000")
	out.Ask("0000000F")
	for _, request := range []string{
		"0000000D 00000000 00000001 00000001 70", "0000000D 00000000 00000002 00000001 76", "00000002 00000001",
	} {
		require.Equal(t, "00000000", in.Ask(request))
		assert.True(t, to.isOwner(), "since the first part of the state")
	}
	assert.Equal(t, rcSuccess, target.dialData().Ask(startup))
	assert.Equal(t, "00000009", out.Ask("00000013 00000000"))
	assert.Equal(t, "00000009", out.Ask("00000002 00000000"), "INIT of what is another server's")
	assert.False(t, leaving.Powered())
}

// TestNoLockNoCommand: a server without the lock executes nothing, and ends.
func TestNoLockNoCommand(t *testing.T) {
	t.Parallel()
	place := new(shared)
	require.NoError(t, (&part{shared: place}).Lock(false))
	for name, request := range map[string]string{"command": "", "state": "0000000D 00000000 00000001 00000001 70"} {
		device := &transporttest.TPM{}
		r := serve(t, device, swtpm.Options{Storage: &part{shared: place}, IncomingMigration: true})
		control := r.dialControl()
		if request == "" {
			assert.Equal(t, rcFailure, r.dialData().Ask(readClock), "no power, no lock")
			require.Equal(t, "00000000", control.Ask("00000002 00000000"))
			r.dialData().Say(startup)
		} else {
			control.Say(request)
		}
		assert.Equal(t, swtpm.EndedByLock, r.ended(), name)
		assert.NotContains(t, device.Names(), "send")
	}
}

// TestLockStorageByVersion: 0.7 does not know it.
func TestLockStorageByVersion(t *testing.T) {
	t.Parallel()
	for version, want := range map[swtpm.Version][2]string{
		swtpm.V0_10: {"000000000001ffff", "00000000"}, swtpm.V0_7: {"000000000000ffff", "0000000a"},
	} {
		p := serve(t, &transporttest.TPM{}, swtpm.Options{Version: version}).dialControl()
		assert.Equal(t, want[0], p.Ask("00000001"))
		assert.Equal(t, want[1], p.Ask("00000013 00000001"))
	}
}

// TestStoreVolatile: what is stored is loaded by every INIT, of another server too,
// until one removes it.
func TestStoreVolatile(t *testing.T) {
	t.Parallel()
	place := new(shared)
	first := running(t)
	first.Volatile = []byte("v")
	p := serve(t, first, swtpm.Options{Storage: &part{shared: place}}).dialControl()
	require.Equal(t, "00000000", p.Ask("0000000A"))
	require.Equal(t, "00000000", p.Ask("00000003"))

	events := make(chan swtpm.Event, 8)
	var broken atomic.Bool
	second := &transporttest.TPM{Volatile: []byte("w"), Fail: func(name string) error {
		if name == "load state" && broken.Load() {
			return assert.AnError
		}
		return nil
	}}
	p = serve(t, second, swtpm.Options{Storage: &part{shared: place}, Events: func(e swtpm.Event) { events <- e }}).dialControl()
	require.Equal(t, "0000000a", p.Ask("0000000A"), "not before INIT")
	for i, c := range []struct {
		init    string
		resumes bool
	}{{"00000002 00000000", true}, {"00000002 00000001", true}, {"00000002 00000000", false}} {
		before := len(second.Calls())
		require.Equal(t, "00000000", p.Ask(c.init))
		names := []string{"init"}
		if c.resumes {
			names = append(names, "load state")
		}
		assert.Equal(t, names, second.Names()[before:], i)
		assert.Equal(t, c.resumes, transporttest.Receive(t, events).Resumes)
	}

	// Fetched state goes on elsewhere: nothing of it stays.
	require.Equal(t, "00000000", p.Ask("0000000A"))
	p.Ask("0000000C 00000001 00000001 00000000")
	assert.NotNil(t, place.stored())
	p.Ask("0000000C 00000001 00000002 00000000")
	assert.Nil(t, place.stored())

	// What does not fit stays where it is, and the TPM without power.
	require.Equal(t, "00000000", p.Ask("0000000A"))
	broken.Store(true)
	assert.Equal(t, "00000009", p.Ask("00000002 00000001"))
	assert.False(t, second.Powered())
	assert.Equal(t, []byte("w"), place.stored())
}

// keptTPM is a TPM whose state is in a store, with a server.
func keptTPM(t *testing.T, store state.Store, storage swtpm.Storage) (*emulator.TPM, *swtpm.Client) {
	t.Helper()
	tpm, err := emulator.New(emulator.Platform{Store: store}, emulator.Config{})
	require.NoError(t, err)
	c, err := swtpm.DialControl(context.Background(), "unix", serve(t, transport.NewOrderly(tpm), swtpm.Options{Storage: storage}).control)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return tpm, c
}

// TestResume: a TPM of another server goes on from stored volatile state, whatever
// TPM2_Shutdown came after it was stored; and not from that of another TPM.
func TestResume(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	place, store := new(shared), new(state.Memory)
	first, c := keptTPM(t, store, &part{shared: place})
	require.NoError(t, c.Init(ctx, 0))
	send := func(d transport.Device, digits string) string {
		t.Helper()
		response, err := d.Send(ctx, 0, transporttest.Hex(t, digits))
		require.NoError(t, err)
		return hexOf(response)
	}
	const extend = "8002 00000041 00000182 00000010 00000009 40000009 0000 00 0000 00000001 000b 1111111111111111111111111111111111111111111111111111111111111111"
	require.Equal(t, rcSuccess, send(first, startup))
	send(first, extend)
	value := pcrs(t, first)
	require.NoError(t, c.StoreVolatile(ctx))
	require.NoError(t, c.Shutdown(ctx))
	kept := place.stored()
	require.NotEmpty(t, kept)

	second, c := keptTPM(t, store, &part{shared: place})
	require.NoError(t, c.Init(ctx, 0))
	assert.Equal(t, value, pcrs(t, second), "no TPM2_Startup is needed")
	assert.NotEmpty(t, place.stored())
	require.NoError(t, c.Init(ctx, swtpm.InitDeleteVolatile), "again")
	assert.Equal(t, value, pcrs(t, second))
	assert.Empty(t, place.stored())
	require.NoError(t, c.Init(ctx, 0))
	assert.Equal(t, "80010000000a00000100", send(second, readClock), "a new power cycle")
	assert.Equal(t, rcSuccess, send(second, startup))

	for name, volatile := range map[string][]byte{"of another cycle": kept, "damaged": kept[1:], "no state": []byte("no state")} {
		require.NoError(t, (&part{shared: place}).keep(volatile))
		assert.Equal(t, swtpm.Fail, refusal(t, c.Init(ctx, swtpm.InitDeleteVolatile)), name)
		assert.False(t, second.Powered(), name)
		assert.Equal(t, volatile, place.stored(), "it stays")
	}
	_, c = keptTPM(t, new(state.Memory), &part{shared: place})
	require.NoError(t, (&part{shared: place}).keep(kept))
	assert.Equal(t, swtpm.Fail, refusal(t, c.Init(ctx, 0)), "of another TPM")
}

// TestStateIsThereFromINIT: a TPM that was made is kept before its first command.
func TestStateIsThereFromINIT(t *testing.T) {
	t.Parallel()
	store := new(state.Memory)
	_, c := keptTPM(t, store, &part{shared: new(shared)})
	blob, err := store.Load()
	require.NoError(t, err)
	require.Empty(t, blob)
	require.NoError(t, c.Init(context.Background(), 0))
	blob, err = store.Load()
	require.NoError(t, err)
	assert.NotEmpty(t, blob)
}
