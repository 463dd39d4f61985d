package emulator_test

import (
	"crypto/sha256"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// busy is a TPM with something in every table.
func busy(t testing.TB, opts ...et.Option) *et.TPM {
	tpm := et.New(t, opts...)
	loadSequence(t, tpm, wire.AlgNull)
	loadSequence(t, tpm, wire.AlgSHA256)
	defineAll(t, tpm)
	for _, kind := range []wire.SE{wire.SEHMAC, wire.SEPolicy} {
		require.Equal(t, wire.RCSuccess, send(t, tpm, startSession(kind)))
	}
	require.Equal(t, wire.RCSuccess, send(t, tpm, extend(10, ha(wire.AlgSHA256, 7))))
	return tpm
}

// probe is what tells two TPMs apart.
func probe(t *testing.T, tpm *et.TPM) []string {
	t.Helper()
	var answers []string
	for _, command := range [][]byte{
		et.Command(wire.CCReadClock, nil, nil),
		et.Command(wire.CCPCRRead, nil, nil, et.Selection(wire.AlgSHA256, 0, 10, 17)),
		startSession(wire.SEHMAC),
		et.Command(wire.CCGetRandom, nil, nil, et.U16(32)),
		et.Command(wire.CCEventSequenceComplete, handles{16, seq}, [][]byte{nil, pw}, et.Sized([]byte("abc"))),
		getCapability(wire.CapTPMProperties, uint32(wire.PTVar), 100),
		getCapability(wire.CapHandles, uint32(wire.NVIndexFirst), 100),
	} {
		answers = append(answers, string(tpm.Execute(0, command)))
	}
	return answers
}

// A TPM that is restored goes on as the other one would have, in this one and in
// another, now and after a power cut.
func TestSnapshotRestore(t *testing.T) {
	t.Parallel()
	tpm := busy(t)
	snapshot, err := tpm.Snapshot()
	require.NoError(t, err)
	want := probe(t, tpm)
	require.NotEqual(t, want, probe(t, tpm), "what is probed changes")

	require.NoError(t, tpm.Restore(snapshot))
	assert.Equal(t, want, probe(t, tpm))

	other := et.New(t, et.WithSeed(99), et.WithoutPower())
	require.NoError(t, other.Restore(snapshot))
	assert.True(t, other.Powered())
	again, err := other.Snapshot()
	require.NoError(t, err)
	assert.Equal(t, snapshot, again)
	assert.Equal(t, want, probe(t, other))

	require.NoError(t, other.Restore(snapshot))
	require.Equal(t, wire.RCSuccess, other.Restart(wire.SUClear))
	require.NoError(t, tpm.Restore(snapshot))
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	indices := getCapability(wire.CapHandles, uint32(wire.NVIndexFirst), 100)
	assert.Equal(t, tpm.Execute(0, indices), other.Execute(0, indices), "it was committed")
}

func TestSnapshotOfFailureMode(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	tpm.Store.DieAt(1)
	send(t, tpm, et.Command(wire.CCClearControl, handles{wire.RHPlatform}, et.NoAuth(), et.U8(1)))
	require.Error(t, tpm.Failure())
	snapshot, err := tpm.Snapshot()
	require.NoError(t, err)
	other := et.New(t)
	require.NoError(t, other.Restore(snapshot))
	var failure *emulator.FailureError
	require.ErrorAs(t, other.Failure(), &failure)
	assert.EqualValues(t, 2, failure.Code)
	require.Equal(t, wire.RCSuccess, other.Restart(wire.SUClear), "which Init leaves")
}

// What cannot be restored changes nothing.
func TestRestoreRefuses(t *testing.T) {
	t.Parallel()
	tpm := busy(t)
	good, err := tpm.Snapshot()
	require.NoError(t, err)
	limits := func(f func(*emulator.Limits)) et.Option {
		l := emulator.DefaultLimits()
		f(&l)
		return et.WithConfig(emulator.Config{Limits: l})
	}
	changed := func(f func(*state.State)) []byte {
		s, err := state.Decode(good)
		require.NoError(t, err)
		f(s)
		return s.EncodeSnapshot(nil)
	}
	for name, tc := range map[string]struct {
		snapshot []byte
		opt      et.Option
	}{
		"no bytes":           {snapshot: nil},
		"damage":             {snapshot: append([]byte{1}, good...)},
		"a stored state":     {snapshot: (&state.State{}).Encode(nil)},
		"other slots":        {good, limits(func(l *emulator.Limits) { l.Transient = 4 })},
		"other sessions":     {good, limits(func(l *emulator.Limits) { l.LoadedSessions = 4 })},
		"other handles":      {good, limits(func(l *emulator.Limits) { l.ActiveSessions = 65 })},
		"other banks":        {good, et.WithConfig(emulator.Config{Banks: []emulator.Bank{{Alg: wire.AlgSHA256}}})},
		"buffers":            {snapshot: changed(func(s *state.State) { s.Volatile.BufferSize = 1 << 20 })},
		"session without":    {snapshot: changed(func(s *state.State) { s.Reset.ActiveSessions[0] = state.ActiveSession{} })},
		"session elsewhere":  {snapshot: changed(func(s *state.State) { s.Reset.ActiveSessions[0].Slot = 3 })},
		"session hash":       {snapshot: changed(func(s *state.State) { s.Volatile.Sessions[0].AuthHash = wire.AlgRSA })},
		"session cipher":     {snapshot: changed(func(s *state.State) { s.Volatile.Sessions[0].Symmetric.Alg = wire.AlgRSA })},
		"policy digest":      {snapshot: changed(func(s *state.State) { s.Volatile.Sessions[1].Digest.Size = 20 })},
		"sequence hash":      {snapshot: changed(func(s *state.State) { s.Volatile.Objects[1].Hashes[0].Alg = wire.AlgSHA1 })},
		"sequence with none": {snapshot: changed(func(s *state.State) { s.Volatile.Objects[1].Hashes = nil })},
		"DRTM":               {snapshot: changed(func(s *state.State) { s.Volatile.DRTMSlot = 3 })},
		"object": {snapshot: changed(func(s *state.State) {
			s.Volatile.Objects[2] = state.Object{Kind: state.ObjectLoaded, Public: []byte{0, 1}, Flags: state.ObjectPublicOnly}
		})},
	} {
		opts := []et.Option{et.WithSeed(5)}
		if tc.opt != nil {
			opts = append(opts, tc.opt)
		}
		target := et.New(t, opts...)
		before, err := target.Snapshot()
		require.NoError(t, err)
		err = target.Restore(tc.snapshot)
		var refused *emulator.SnapshotError
		if assert.ErrorAs(t, err, &refused, name) {
			assert.Contains(t, refused.Error(), "restore TPM snapshot", name)
		}
		after, err := target.Snapshot()
		require.NoError(t, err)
		assert.Equal(t, before, after, name)
	}
	off := et.New(t, et.WithoutPower())
	_, err = off.Snapshot()
	assert.ErrorIs(t, err, emulator.ErrNoPower)
}

// FuzzRestore takes any bytes for a snapshot, with a right checksum, and has a
// TPM that takes them answer one of the packets: all of them would cost more than
// the restoring a hundred times.
func FuzzRestore(f *testing.F) {
	tpm := busy(f)
	good, err := tpm.Snapshot()
	require.NoError(f, err)
	all := seeds()
	for i := range all {
		f.Add(uint32(0), []byte{}, uint8(i))
	}
	f.Add(uint32(len(good)-200), []byte{1, 2, 3}, uint8(0))
	f.Fuzz(func(t *testing.T, at uint32, with []byte, which uint8) {
		b := append([]byte{}, good...)
		copy(b[min(int(at), len(b)-32):len(b)-32], with)
		target := et.New(t, et.Unchecked())
		if target.Restore(reseal(b)) != nil {
			return
		}
		if target.Powered() {
			checkResponse(t, target.Execute(0, all[int(which)%len(all)].bytes))
		}
	})
}

// reseal gives changed bytes a right checksum.
func reseal(b []byte) []byte {
	sum := sha256.Sum256(b[:len(b)-sha256.Size])
	return append(b[:len(b)-sha256.Size], sum[:]...)
}

// What is written to NV after a Restore goes on the restored state, not on what
// this TPM had committed before, also if the Store could not be written then.
func TestRestoreThenWriteNV(t *testing.T) {
	t.Parallel()
	first := et.New(t, et.WithSeed(1))
	require.Equal(t, wire.RCSuccess, send(t, first, defined(0)))
	snapshot, err := first.Snapshot()
	require.NoError(t, err)
	for name, writable := range map[string]error{"at once": nil, "later": state.ErrUnavailable} {
		second := et.New(t, et.WithSeed(2))
		require.Equal(t, wire.RCSuccess, send(t, second, defined(0)))
		require.Equal(t, wire.RCSuccess, send(t, second, nvWrite(nvFirst, nvFirst, nil, make([]byte, 8), 0)))
		second.Store.SetWritable(writable)
		require.NoError(t, second.Restore(snapshot), name)
		second.Store.SetWritable(nil)
		require.Equal(t, wire.RCSuccess, send(t, second, nvWrite(nvFirst, nvFirst, nil, []byte("restored"), 0)), name)
		blob, err := second.Store.Load()
		require.NoError(t, err)
		got, err := state.Decode(blob)
		require.NoError(t, err)
		want, err := state.Decode(snapshot)
		require.NoError(t, err)
		assert.Equal(t, want.Persistent, got.Persistent, name)
		assert.Equal(t, "restored", string(got.NV.Indices[0].Data[:8]), name)
	}
}

// A TPM takes its own snapshot in every state: before TPM2_Startup, with sessions
// that the one before has had, and in failure mode because it has no entropy.
func TestRestoreOwnSnapshot(t *testing.T) {
	t.Parallel()
	for name, to := range map[string]func(tpm *et.TPM){
		"after a shutdown": func(tpm *et.TPM) { require.Equal(t, wire.RCSuccess, tpm.Shutdown(wire.SUClear)) },
		"to be resumed":    func(tpm *et.TPM) { require.Equal(t, wire.RCSuccess, tpm.Shutdown(wire.SUState)) },
		"after a power cut": func(tpm *et.TPM) {
			succeed(t, tpm, changeAuth(wire.RHOwner, nil, []byte("x")))
		},
		"no entropy": func(tpm *et.TPM) { tpm.Entropy.Fail(true) },
		"no entropy to make it with": func(tpm *et.TPM) {
			require.NoError(t, tpm.Store.Commit(nil))
			tpm.Entropy.Fail(true)
		},
	} {
		tpm := et.New(t)
		succeed(t, tpm, startSession(wire.SEHMAC))
		to(tpm)
		require.NoError(t, tpm.Init(), name)
		whole, err := tpm.Snapshot()
		require.NoError(t, err, name)
		assert.NoError(t, tpm.Restore(whole), name)
		permanent, volatile, err := tpm.SaveState()
		require.NoError(t, err, name)
		assert.NoError(t, tpm.LoadState(permanent, volatile), name)
	}
}

// A snapshot with permanent state that the next _TPM_Init would refuse is refused.
func TestRestoreOfAnotherConfig(t *testing.T) {
	t.Parallel()
	banks := []emulator.Bank{{Alg: wire.AlgSHA256}}
	of := func(algs []wire.AlgID) *et.TPM {
		tpm := et.New(t, et.WithConfig(emulator.Config{Banks: banks, Algorithms: algs}))
		succeed(t, tpm, setAudit(wire.AlgSHA256, nil, nil))
		return tpm
	}
	tpm := of(nil)
	succeed(t, tpm, define(wire.RHOwner, nvPublic{alg: wire.AlgSHA384}, nil))
	whole, err := tpm.Snapshot()
	require.NoError(t, err)
	other := of(without(emulator.DefaultAlgorithms(), wire.AlgSHA384, wire.AlgSHA512))
	var refused *emulator.SnapshotError
	require.ErrorAs(t, other.Restore(whole), &refused)
	assert.NoError(t, other.Init())
}
