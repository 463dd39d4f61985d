package emulator_test

import (
	"testing"

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
		"no permanent":       {nil, volatile},
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
