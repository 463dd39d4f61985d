package emulator_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/crypt"
	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

var getRandom = et.Command(wire.CCGetRandom, nil, nil, et.U16(32))

// The zero Platform and Config make a TPM that works.
func TestZeroValues(t *testing.T) {
	t.Parallel()
	tpm, err := emulator.New(emulator.Platform{}, emulator.Config{})
	require.NoError(t, err)
	require.NoError(t, tpm.Init())
	c := et.Client{TPM: tpm}
	_, err = tpm2.Startup{StartupType: tpm2.TPMSUClear}.Execute(c)
	require.NoError(t, err)
	rsp, err := tpm2.GetRandom{BytesRequested: 32}.Execute(c)
	require.NoError(t, err)
	assert.Len(t, rsp.RandomBytes.Buffer, 32)
	_, err = tpm2.Shutdown{ShutdownType: tpm2.TPMSUState}.Execute(c)
	require.NoError(t, err)
	require.NoError(t, tpm.Init())
	_, err = tpm2.Startup{StartupType: tpm2.TPMSUState}.Execute(c)
	require.NoError(t, err, "the default store keeps the state")
}

func TestPower(t *testing.T) {
	t.Parallel()
	tpm := et.New(t, et.WithoutPower())
	noPower := func() {
		assert.False(t, tpm.Powered())
		_, err := tpm.Send(context.Background(), 0, getRandom)
		assert.ErrorIs(t, err, emulator.ErrNoPower)
		assert.ErrorIs(t, tpm.HashStart(), emulator.ErrNoPower)
		assert.ErrorIs(t, tpm.HashData(nil), emulator.ErrNoPower)
		assert.ErrorIs(t, tpm.HashEnd(), emulator.ErrNoPower)
		assert.False(t, tpm.TPMEstablished())
		assert.NoError(t, tpm.Failure())
	}
	noPower()
	require.NoError(t, tpm.PowerOff())
	noPower()
	require.NoError(t, tpm.Init())
	assert.True(t, tpm.Powered())
	require.Equal(t, wire.RCSuccess, tpm.Startup(0, wire.SUClear))
	require.NoError(t, tpm.Init(), "Init resets a TPM that has power")
	assert.Equal(t, wire.RCInitialize, send(t, tpm, getRandom))
	require.NoError(t, tpm.PowerOff())
	require.NoError(t, tpm.PowerOff())
	noPower()
}

// A Store that cannot be read must not end in a new TPM over the old one.
func TestInitRefusesUnreadableStore(t *testing.T) {
	t.Parallel()
	store := &et.Store{}
	tpm := et.New(t, et.WithStore(store))
	blob, err := store.Load()
	require.NoError(t, err)

	store.FailLoad(et.ErrInjected)
	assert.ErrorIs(t, tpm.Init(), et.ErrInjected)
	assert.False(t, tpm.Powered())
	store.FailLoad(nil)
	require.NoError(t, tpm.Init())

	damaged := bytes.Clone(blob)
	damaged[100] ^= 1
	require.NoError(t, store.Memory.Commit(damaged))
	var bad *state.FormatError
	assert.ErrorAs(t, tpm.Init(), &bad)
	assert.False(t, tpm.Powered())
	now, _ := store.Load()
	assert.Equal(t, damaged, now, "nothing is overwritten")
}

func TestSendWithDoneContext(t *testing.T) {
	t.Parallel()
	tpm := et.New(t, et.WithSeed(1))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := tpm.Send(ctx, 0, getRandom)
	var not *emulator.NotStartedError
	require.ErrorAs(t, err, &not)
	assert.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, et.New(t, et.WithSeed(1)).Execute(0, getRandom), tpm.Execute(0, getRandom), "the TPM has not seen it")
}

// The response belongs to the caller.
func TestResponseIsNotShared(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	first := tpm.Execute(0, getRandom)
	saved := bytes.Clone(first)
	second := tpm.Execute(0, getRandom)
	assert.Equal(t, saved, first)
	assert.NotEqual(t, first, second)
	command := bytes.Clone(getRandom)
	tpm.Execute(0, command)
	assert.Equal(t, getRandom, command, "the command is not written to")
}

func TestBufferSize(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	size, low, high := tpm.BufferSize()
	assert.EqualValues(t, 4096, size)
	assert.EqualValues(t, 4096, high)
	got, err := tpm.SetBufferSize(3968)
	assert.ErrorIs(t, err, emulator.ErrPowered)
	assert.EqualValues(t, 4096, got)
	require.NoError(t, tpm.PowerOff())
	for ask, want := range map[uint32]uint32{0: low, low - 1: low, low: low, 3968: 3968, high + 1: high, 1 << 31: high} {
		got, err := tpm.SetBufferSize(ask)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	_, err = tpm.SetBufferSize(3968)
	require.NoError(t, err)
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	assert.EqualValues(t, 3968, property(t, tpm, wire.PTMaxCommandSize))
	assert.EqualValues(t, 3968, property(t, tpm, wire.PTMaxResponseSize))
	assert.Equal(t, wire.RCCommandSize, send(t, tpm, resize(append(bytes.Clone(getRandom), make([]byte, 3957)...))))
	assert.Equal(t, wire.RCSize, send(t, tpm, resize(append(bytes.Clone(getRandom), make([]byte, 3956)...))))
}

// cancelClock cancels the command that asks it for the time.
type cancelClock struct{ tpm *emulator.TPM }

func (c *cancelClock) Now() time.Duration {
	if c.tpm != nil {
		c.tpm.Cancel()
	}
	return 0
}

func TestCancel(t *testing.T) {
	t.Parallel()
	clock := &cancelClock{}
	tpm, err := emulator.New(emulator.Platform{Clock: clock}, emulator.Config{CheckErrors: true})
	require.NoError(t, err)
	require.NoError(t, tpm.Init())
	c := func(command []byte) wire.RC {
		rsp, err := tpm.Send(context.Background(), 0, command)
		require.NoError(t, err)
		return et.ResponseCode(rsp)
	}
	require.Equal(t, wire.RCSuccess, c(et.Command(wire.CCStartup, nil, nil, et.U16(0))))
	selfTest := et.Command(wire.CCSelfTest, nil, nil, et.U8(1))
	tpm.Cancel()
	assert.Equal(t, wire.RCSuccess, c(selfTest), "no command was in execution")
	clock.tpm = tpm
	assert.Equal(t, wire.RCCanceled, c(selfTest))
	assert.Equal(t, wire.RCSuccess, c(getRandom), "a command that is finished first wins")
	clock.tpm = nil
	assert.Equal(t, wire.RCSuccess, c(selfTest), "only the command in execution is canceled")

	tpm.SetCancel(true)
	for range 2 {
		assert.Equal(t, wire.RCCanceled, c(selfTest), "the signal came before the command")
	}
	tpm.SetCancel(false)
	assert.Equal(t, wire.RCSuccess, c(selfTest))
}

// The same entropy, clock and commands give the same bytes, responses and state.
func TestDeterminism(t *testing.T) {
	t.Parallel()
	run := func(seed uint64) (log []byte) {
		store := &et.Store{}
		tpm := et.New(t, et.WithSeed(seed), et.WithStore(store))
		for _, p := range packets() {
			tpm.Clock.Advance(777 * time.Millisecond)
			if p.bytes != nil {
				log = append(log, tpm.Execute(0, p.bytes)...)
			}
			log = append(log, tpm.Execute(0, hashCommand([]byte("x"), wire.AlgSHA1, wire.RHOwner))...)
			log = append(log, tpm.Execute(0, getRandom)...)
		}
		tpm.Restart(wire.SUClear)
		blob, _ := store.Load()
		return append(append(log, blob...), tpm.Execute(0, getRandom)...)
	}
	one, again, other := run(1), run(1), run(2)
	assert.True(t, bytes.Equal(one, again))
	assert.False(t, bytes.Equal(one, other))
}

// Many TPMs in one process know nothing of each other.
func TestHundredTPMs(t *testing.T) {
	t.Parallel()
	want := make([]string, 2)
	for seed := range want {
		want[seed] = string(et.New(t, et.WithSeed(uint64(seed))).Execute(0, getRandom))
	}
	var wg sync.WaitGroup
	errs := make(chan error, 200)
	tpms := make([]*et.TPM, 100)
	for i := range tpms {
		tpm := et.New(t, et.WithSeed(uint64(i%2)), et.Unchecked())
		tpms[i] = tpm
		wg.Go(func() {
			// Not by Execute, which may only fail the test in its own goroutine.
			if got, err := tpm.Send(t.Context(), 0, getRandom); err != nil || string(got) != want[i%2] {
				errs <- fmt.Errorf("TPM %d: other random bytes (%v)", i, err)
			}
			for n := range 20 {
				pcr := wire.Handle((i + n) % 16)
				if _, err := tpm.Send(t.Context(), 0, extend(pcr, ha(wire.AlgSHA256, byte(i)))); err != nil {
					errs <- fmt.Errorf("TPM %d: extend: %w", i, err)
					return
				}
			}
		})
	}
	transporttest.Wait(t, &wg)
	close(errs)
	require.NoError(t, errors.Join(collect(errs)...))
	for i, tpm := range tpms {
		require.Equal(t, uint32(40), updateCounter(t, tpm), "TPM %d", i)
	}
}

func collect(errs chan error) (list []error) {
	for err := range errs {
		list = append(list, err)
	}
	return list
}

// One TPM takes everything from many goroutines at once.
func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	tpm := et.New(t, et.Unchecked())
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				_, err := tpm.Send(t.Context(), 0, extend(1, ha(wire.AlgSHA1, 1)))
				assert.NoError(t, err)
				tpm.Cancel()
				tpm.Powered()
				tpm.TPMEstablished()
				tpm.BufferSize()
				assert.NoError(t, tpm.HashStart())
				assert.NoError(t, tpm.HashEnd())
			}
		})
	}
	transporttest.Wait(t, &wg)
	want := make([]byte, 20)
	for range 160 {
		crypt.Extend(wire.AlgSHA1, want, ha(wire.AlgSHA1, 1).Digest)
	}
	assert.Equal(t, want, readPCR(t, tpm, wire.AlgSHA1, 1))
}

func TestConfigErrors(t *testing.T) {
	t.Parallel()
	limits := func(f func(*emulator.Limits)) emulator.Config {
		l := emulator.DefaultLimits()
		f(&l)
		return emulator.Config{Limits: l}
	}
	banks := func(list ...emulator.Bank) emulator.Config { return emulator.Config{Banks: list} }
	for name, tc := range map[string]struct {
		c     emulator.Config
		field string
	}{
		"manufacturer":    {emulator.Config{Identity: emulator.Identity{Manufacturer: "12345"}}, "Identity.Manufacturer"},
		"day":             {emulator.Config{Identity: emulator.Identity{DayOfYear: 400}}, "Identity.DayOfYear"},
		"platform's day":  {emulator.Config{Identity: emulator.Identity{PSDayOfYear: 367}}, "Identity.PSDayOfYear"},
		"vendor":          {emulator.Config{Identity: emulator.Identity{Vendor: "12345678901234567"}}, "Identity.Vendor"},
		"small buffer":    {limits(func(l *emulator.Limits) { l.Buffer = 1024 }), "Limits.Buffer"},
		"large buffer":    {limits(func(l *emulator.Limits) { l.Buffer = 4097 }), "Limits.Buffer"},
		"input buffer":    {limits(func(l *emulator.Limits) { l.InputBuffer = 4096 }), "Limits.InputBuffer"},
		"small index":     {limits(func(l *emulator.Limits) { l.NVIndexSize = 63 }), "Limits.NVIndexSize"},
		"large index":     {limits(func(l *emulator.Limits) { l.NVIndexSize = 1 << 16 }), "Limits.NVIndexSize"},
		"small NV buffer": {limits(func(l *emulator.Limits) { l.NVBuffer = 63 }), "Limits.NVBuffer"},
		"large NV buffer": {limits(func(l *emulator.Limits) { l.NVBuffer = 3657 }), "Limits.NVBuffer"},
		"NV memory":       {limits(func(l *emulator.Limits) { l.NVMemory = 1<<18 + 1 }), "Limits.NVMemory"},
		"orderly memory":  {limits(func(l *emulator.Limits) { l.NVOrderlyMemory = 1<<18 + 1 }), "Limits.NVOrderlyMemory"},
		"few slots":       {limits(func(l *emulator.Limits) { l.Transient = 2 }), "Limits.Transient"},
		"many slots":      {limits(func(l *emulator.Limits) { l.Transient = 257 }), "Limits.Transient"},
		"persistent":      {limits(func(l *emulator.Limits) { l.Persistent = 257 }), "Limits.Persistent"},
		"loaded sessions": {limits(func(l *emulator.Limits) { l.LoadedSessions = 2 }), "Limits.LoadedSessions"},
		"active sessions": {limits(func(l *emulator.Limits) { l.ActiveSessions = 2 }), "Limits.ActiveSessions"},
		"bank twice":      {banks(emulator.Bank{Alg: wire.AlgSHA1}, emulator.Bank{Alg: wire.AlgSHA1}), "Banks"},
		"no hash":         {banks(emulator.Bank{Alg: wire.AlgRSA}), "Banks"},
		"unknown hash":    {banks(emulator.Bank{Alg: wire.AlgSM3_256}), "Banks"},
		"none allocated":  {banks(emulator.Bank{Alg: wire.AlgSHA1, Unallocated: true}), "Banks"},
		"nine banks":      {banks(make([]emulator.Bank, 9)...), "Banks"},
	} {
		_, err := emulator.New(emulator.Platform{}, tc.c)
		var bad *emulator.ConfigError
		if assert.ErrorAs(t, err, &bad, name) {
			assert.Equal(t, tc.field, bad.Field, name)
			assert.Contains(t, bad.Error(), tc.field)
		}
	}
	_, err := emulator.New(emulator.Platform{}, banks(emulator.Bank{Alg: wire.AlgSM3_256}))
	var un *crypt.UnsupportedError
	assert.ErrorAs(t, err, &un)
}

// A TPM lives on in its directory when the process does not.
func TestDirectoryStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i := range uint32(3) {
		store, err := state.OpenDirectory(dir, state.DirectoryOptions{})
		require.NoError(t, err)
		tpm, err := emulator.New(emulator.Platform{Store: store}, emulator.Config{})
		require.NoError(t, err)
		require.NoError(t, tpm.Init())
		c := et.Client{TPM: tpm}
		_, err = tpm2.Startup{StartupType: tpm2.TPMSUClear}.Execute(c)
		require.NoError(t, err)
		rsp, err := tpm2.ReadClock{}.Execute(c)
		require.NoError(t, err)
		assert.Equal(t, i+1, rsp.CurrentTime.ClockInfo.ResetCount)
		require.NoError(t, store.Close())
	}
}

// The zero value is a TPM like any other.
func TestZeroTPM(t *testing.T) {
	t.Parallel()
	var tpm emulator.TPM
	_, err := tpm.Send(context.Background(), 0, et.Command(wire.CCStartup, nil, nil, et.U16(0)))
	assert.ErrorIs(t, err, emulator.ErrNoPower)
	assert.False(t, tpm.Powered())
	assert.NoError(t, tpm.Failure())
	assert.ErrorIs(t, tpm.HashStart(), emulator.ErrNoPower)
	require.NoError(t, tpm.PowerOff())
	require.NoError(t, tpm.Init())
	rsp, err := tpm.Send(context.Background(), 0, et.Command(wire.CCStartup, nil, nil, et.U16(0)))
	require.NoError(t, err)
	assert.Equal(t, wire.RCSuccess, et.ResponseCode(rsp))

	made := et.New(t)
	capabilities := getCapability(wire.CapCommands, 0, 256)
	rsp, err = tpm.Send(context.Background(), 0, capabilities)
	require.NoError(t, err)
	assert.Equal(t, made.Execute(0, capabilities), rsp)

	whole, err := made.Snapshot()
	require.NoError(t, err)
	permanent, _, err := made.SaveState()
	require.NoError(t, err)
	var restored, loaded, asked emulator.TPM
	assert.NoError(t, restored.Restore(whole))
	assert.NoError(t, loaded.LoadState(permanent, nil))
	size, _, _ := asked.BufferSize()
	assert.Equal(t, emulator.DefaultLimits().Buffer, size)
	_, err = new(emulator.TPM).SetBufferSize(size)
	assert.NoError(t, err)
}
