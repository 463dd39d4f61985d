package emulator_test

import (
	"encoding/binary"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

func TestLoadState(t *testing.T) {
	t.Parallel()
	first := busy(t)
	permanent, volatile, err := first.SaveState()
	require.NoError(t, err)
	want := probe(t, first)

	second := et.New(t, et.WithSeed(99))
	require.NoError(t, second.LoadState(permanent, volatile))
	assert.Equal(t, want, probe(t, second), "it goes on")

	require.ErrorIs(t, second.LoadState(permanent, nil), emulator.ErrPowered)
	require.NoError(t, second.PowerOff())
	require.NoError(t, second.LoadState(permanent, nil))
	require.NoError(t, second.Init())
	require.Equal(t, wire.RCSuccess, second.Startup(0, wire.SUClear), "it begins anew")
	require.Equal(t, wire.RCSuccess, first.Restart(wire.SUClear))
	indices := getCapability(wire.CapHandles, uint32(wire.NVIndexFirst), 100)
	assert.Equal(t, first.Execute(0, indices), second.Execute(0, indices))

	_, _, err = et.New(t, et.WithoutPower()).SaveState()
	assert.ErrorIs(t, err, emulator.ErrNoPower)
}

func TestLoadStateRefuses(t *testing.T) {
	t.Parallel()
	tpm := busy(t)
	succeed(t, tpm, setAudit(wire.AlgNull, []wire.CC{wire.CCGetRandom}, nil)) // with SHA-512
	permanent, volatile, err := tpm.SaveState()
	require.NoError(t, err)
	require.Equal(t, wire.RCSuccess, send(t, tpm, et.Command(wire.CCClearControl, handles{wire.RHPlatform}, et.NoAuth(), et.U8(1))))
	later, _, err := tpm.SaveState()
	require.NoError(t, err)
	before, err := tpm.Snapshot()
	require.NoError(t, err)
	for name, parts := range map[string][2][]byte{
		"damaged":            {permanent[1:], volatile},
		"damaged volatile":   {permanent, volatile[1:]},
		"permanent twice":    {permanent, permanent},
		"of another time":    {later, volatile},
		"exchanged":          {volatile[:len(volatile)-1], permanent},
		"damaged, alone":     {permanent[:len(permanent)-1], nil},
		"something else":     {[]byte("state"), nil},
		"and something else": {permanent, []byte("state")},
	} {
		var refused *emulator.SnapshotError
		assert.ErrorAs(t, tpm.LoadState(parts[0], parts[1]), &refused, name)
	}
	after, err := tpm.Snapshot()
	require.NoError(t, err)
	assert.Equal(t, before, after, "nothing has changed")

	// A TPM of another kind, and one whose Store takes nothing now.
	profile, err := emulator.ProfileByName("tiny")
	require.NoError(t, err)
	small := et.New(t, et.WithConfig(profile.Config), et.WithoutPower())
	var refused *emulator.StateError
	assert.ErrorAs(t, small.LoadState(permanent, nil), &refused)
	assert.Zero(t, small.Store.Commits())
	other := et.New(t, et.WithoutPower())
	other.Store.SetWritable(state.ErrUnavailable)
	assert.ErrorIs(t, other.LoadState(permanent, nil), state.ErrUnavailable)
	assert.Zero(t, other.Store.Commits())
}

// TestResume: a TPM goes on from volatile state with the permanent state that it has by
// then. What has become permanent since stays, and no counter goes back.
func TestResume(t *testing.T) {
	t.Parallel()
	store := &et.Store{}
	first := busy(t, et.WithStore(store))
	const index = tpm2.TPMHandle(0x01800077)
	owner := tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Auth: tpm2.PasswordAuth(nil)}
	_, err := tpm2.NVDefineSpace{AuthHandle: owner, PublicInfo: tpm2.New2B(tpm2.TPMSNVPublic{NVIndex: index, NameAlg: tpm2.TPMAlgSHA256, DataSize: 8,
		Attributes: tpm2.TPMANV{OwnerRead: true, OwnerWrite: true, NoDA: true, Orderly: true, NT: tpm2.TPMNTCounter}})}.Execute(first.Client())
	require.NoError(t, err)
	name := func(tpm *et.TPM) tpm2.NamedHandle {
		t.Helper()
		rsp, err := tpm2.NVReadPublic{NVIndex: index}.Execute(tpm.Client())
		require.NoError(t, err)
		return tpm2.NamedHandle{Handle: index, Name: rsp.NVName}
	}
	increment := func(tpm *et.TPM) {
		t.Helper()
		_, err := tpm2.NVIncrement{AuthHandle: owner, NVIndex: name(tpm)}.Execute(tpm.Client())
		require.NoError(t, err)
	}
	counter := func(tpm *et.TPM) uint64 {
		t.Helper()
		rsp, err := tpm2.NVRead{AuthHandle: owner, NVIndex: name(tpm), Size: 8}.Execute(tpm.Client())
		require.NoError(t, err)
		return binary.BigEndian.Uint64(rsp.Data.Buffer)
	}
	read := et.Command(wire.CCPCRRead, nil, nil, et.Selection(wire.AlgSHA256, 0, 10, 17))
	sessions := getCapability(wire.CapHandles, uint32(wire.HTHMACSession)<<24, 10)
	increment(first)
	pcrs, open := first.Execute(0, read), first.Execute(0, sessions)
	_, volatile, err := first.SaveState()
	require.NoError(t, err)
	increment(first)
	increment(first)
	value := counter(first)
	require.Equal(t, wire.RCSuccess, send(t, first, et.Command(wire.CCClearControl, handles{wire.RHPlatform}, et.NoAuth(), et.U8(1))))
	require.Equal(t, wire.RCSuccess, first.Shutdown(wire.SUState))
	require.NoError(t, first.PowerOff())
	require.ErrorIs(t, first.LoadState(nil, volatile), emulator.ErrNoPower)

	second := et.New(t, et.WithStore(store), et.WithSeed(99), et.WithoutStartup())
	require.NoError(t, second.LoadState(nil, volatile))
	assert.Equal(t, pcrs, second.Execute(0, read), "it goes on")
	assert.Equal(t, open, second.Execute(0, sessions))
	assert.Equal(t, wire.RCInitialize, second.Startup(0, wire.SUClear))
	assert.GreaterOrEqual(t, counter(second), value)
	assert.NotZero(t, property(t, second, wire.PTPermanent)&(1<<8), "disableClear")
	random := et.Command(wire.CCGetRandom, nil, nil, et.U16(32))
	once := second.Execute(0, random)
	require.NoError(t, second.LoadState(nil, volatile), "once more")
	assert.NotEqual(t, once, second.Execute(0, random), "what was random does not come again")

	// A power cut: the shutdown has been taken back.
	require.NoError(t, second.Init())
	assert.NotEqual(t, wire.RCSuccess, second.Startup(0, wire.SUState))
	require.Equal(t, wire.RCSuccess, second.Startup(0, wire.SUClear))

	var refused *emulator.SnapshotError
	before, err := second.Snapshot()
	require.NoError(t, err)
	for name, bytes := range map[string][]byte{"of another cycle": volatile, "damaged": volatile[1:], "none": []byte("state")} {
		assert.ErrorAs(t, second.LoadState(nil, bytes), &refused, name)
	}
	after, err := second.Snapshot()
	require.NoError(t, err)
	assert.Equal(t, before, after, "nothing has changed")
	assert.ErrorAs(t, et.New(t, et.WithSeed(7)).LoadState(nil, volatile), &refused, "of another TPM")
}

// FuzzResume: whatever stored volatile state is, the TPM goes on from it or refuses it,
// and answers then.
func FuzzResume(f *testing.F) {
	tpm := busy(f)
	good, err := tpm.Snapshot()
	require.NoError(f, err)
	all := seeds()
	for i := range all {
		f.Add(uint32(0), []byte{}, uint8(i))
	}
	f.Add(uint32(len(good)-200), []byte{1, 2, 3}, uint8(0))
	f.Fuzz(func(t *testing.T, at uint32, with []byte, which uint8) {
		target := et.New(t, et.Unchecked())
		require.NoError(t, target.Restore(good))
		b := append([]byte{}, good...)
		copy(b[min(int(at), len(b)-32):len(b)-32], with)
		if target.LoadState(nil, reseal(b)) != nil {
			after, err := target.Snapshot()
			require.NoError(t, err)
			require.Equal(t, good, after, "nothing has changed")
		}
		checkResponse(t, target.Execute(0, all[int(which)%len(all)].bytes))
	})
}
