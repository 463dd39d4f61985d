package emulator_test

import (
	"bytes"
	"crypto/sha256"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

func hashSequence(t *testing.T, tpm *et.TPM, blocks ...string) {
	t.Helper()
	require.NoError(t, tpm.HashStart())
	for _, b := range blocks {
		require.NoError(t, tpm.HashData([]byte(b)))
	}
	require.NoError(t, tpm.HashEnd())
}

// extended is H(value | H(data)).
func extended(value []byte, data string) []byte {
	d := sha256.Sum256([]byte(data))
	v := sha256.Sum256(append(bytes.Clone(value), d[:]...))
	return v[:]
}

func TestHCRTM(t *testing.T) {
	t.Parallel()
	tpm := et.New(t, et.WithoutStartup())
	hashSequence(t, tpm, "boot ", "block")
	require.Equal(t, wire.RCSuccess, tpm.Startup(3, wire.SUClear))
	four := make([]byte, 32)
	four[31] = 4
	assert.Equal(t, extended(four, "boot block"), readPCR(t, tpm, wire.AlgSHA256, 0), "not the locality of Startup")
	assert.Equal(t, bytes.Repeat([]byte{0xFF}, 32), readPCR(t, tpm, wire.AlgSHA256, 17))
	assert.EqualValues(t, 20, updateCounter(t, tpm), "what the H-CRTM measures does not count")

	// Not even where the counter goes on, in a TPM Restart.
	require.Equal(t, wire.RCSuccess, tpm.Shutdown(wire.SUState))
	require.NoError(t, tpm.Init())
	hashSequence(t, tpm, "boot block")
	require.Equal(t, wire.RCSuccess, tpm.Startup(0, wire.SUClear))
	assert.EqualValues(t, 40, updateCounter(t, tpm))

	// A second one before Startup starts PCR 0 anew.
	tpm = et.New(t, et.WithoutStartup())
	hashSequence(t, tpm, "one")
	hashSequence(t, tpm, "two")
	require.Equal(t, wire.RCSuccess, tpm.Startup(0, wire.SUClear))
	assert.Equal(t, extended(four, "two"), readPCR(t, tpm, wire.AlgSHA256, 0))
}

func TestDRTM(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	require.Equal(t, wire.RCSuccess, send(t, tpm, extend(16, ha(wire.AlgSHA256, 1))))
	pcr16, counter := readPCR(t, tpm, wire.AlgSHA256, 16), updateCounter(t, tpm)
	hashSequence(t, tpm, "launch")
	assert.Equal(t, extended(make([]byte, 32), "launch"), readPCR(t, tpm, wire.AlgSHA256, 17))
	for _, pcr := range []int{18, 19, 20, 21, 22} {
		assert.Equal(t, make([]byte, 32), readPCR(t, tpm, wire.AlgSHA256, pcr), pcr)
	}
	assert.Equal(t, make([]byte, 32), readPCR(t, tpm, wire.AlgSHA256, 0))
	assert.Equal(t, pcr16, readPCR(t, tpm, wire.AlgSHA256, 16))
	assert.EqualValues(t, 1, clockInfo(t, tpm).Clock.RestartCount)
	assert.Equal(t, counter+4, updateCounter(t, tpm), "PCR 17 in four banks")
}

// TestDRTMAfterShutdown: a count that has been seen never comes again, not even
// when the state saved before the sequence is brought back.
func TestDRTMAfterShutdown(t *testing.T) {
	t.Parallel()
	for name, kind := range map[string]wire.SU{"resume": wire.SUState, "restart": wire.SUClear} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tpm := et.New(t)
			hashSequence(t, tpm, "first") // sets tpmEstablished, which is saved
			require.Equal(t, wire.RCSuccess, tpm.Shutdown(wire.SUState))
			hashSequence(t, tpm, "second")
			restarts, updates := clockInfo(t, tpm).Clock.RestartCount, updateCounter(t, tpm)
			require.EqualValues(t, 2, restarts)
			require.NoError(t, tpm.Init())
			require.Equal(t, wire.RCSuccess, tpm.Startup(0, kind))
			assert.Equal(t, restarts+1, clockInfo(t, tpm).Clock.RestartCount)
			assert.Greater(t, updateCounter(t, tpm), updates)
		})
	}
}

// TestCounterAfterShutdown: PCRs that TPM2_Shutdown does not save may change
// after it without undoing it.
func TestCounterAfterShutdown(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	require.Equal(t, wire.RCSuccess, tpm.Shutdown(wire.SUState))
	for range 10 { // more than TPM2_Startup counts by itself
		require.Equal(t, wire.RCSuccess, et.ResponseCode(tpm.Execute(2, extend(19, ha(wire.AlgSHA256, 1)))))
	}
	updates := updateCounter(t, tpm)
	require.NoError(t, tpm.Init())
	require.Equal(t, wire.RCSuccess, tpm.Startup(0, wire.SUState))
	assert.Greater(t, updateCounter(t, tpm), updates)
}

// Any command ends the sequence; data and end without one do nothing.
func TestDRTMAborted(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	ones := readPCR(t, tpm, wire.AlgSHA256, 17)
	require.NoError(t, tpm.HashData([]byte("x")))
	require.NoError(t, tpm.HashEnd())
	require.NoError(t, tpm.HashStart())
	require.NoError(t, tpm.HashData([]byte("x")))
	assert.EqualValues(t, 3, property(t, tpm, wire.PTHRTransientAvail), "the command gave its slot back")
	require.NoError(t, tpm.HashEnd())
	assert.Equal(t, ones, readPCR(t, tpm, wire.AlgSHA256, 17))
	assert.Zero(t, clockInfo(t, tpm).Clock.RestartCount)
}

// Without a free slot the first object has to go.
func TestDRTMTakesSlot(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	for range 3 {
		loadSequence(t, tpm, wire.AlgSHA1)
	}
	require.NoError(t, tpm.HashStart())
	require.NoError(t, tpm.HashEnd())
	assert.Equal(t, wire.RCReferenceH0, send(t, tpm, sequenceUpdate(wire.TransientFirst, pw, nil)))
	assert.Equal(t, wire.RCSuccess, send(t, tpm, sequenceUpdate(wire.TransientFirst+1, pw, nil)))
	assert.Equal(t, extended(make([]byte, 32), ""), readPCR(t, tpm, wire.AlgSHA256, 17))
}

func TestTPMEstablished(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	assert.False(t, tpm.TPMEstablished())
	require.NoError(t, tpm.HashStart())
	assert.True(t, tpm.TPMEstablished())
	require.NoError(t, tpm.HashEnd())
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	assert.True(t, tpm.TPMEstablished(), "it outlives _TPM_Init")
	for _, locality := range []uint8{0, 1, 2, 5, 255} {
		assert.ErrorIs(t, tpm.ResetTPMEstablished(locality), emulator.ErrLocality)
	}
	assert.True(t, tpm.TPMEstablished())
	require.NoError(t, tpm.ResetTPMEstablished(3))
	assert.False(t, tpm.TPMEstablished())
	require.NoError(t, tpm.ResetTPMEstablished(4))
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	assert.False(t, tpm.TPMEstablished())
	require.NoError(t, tpm.PowerOff())
	assert.ErrorIs(t, tpm.ResetTPMEstablished(4), emulator.ErrNoPower)
}

// tpmEstablished is in NV from _TPM_Hash_Start on.
func TestEstablishedSurvivesPowerCut(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	require.NoError(t, tpm.HashStart())
	require.NoError(t, tpm.Init())
	assert.True(t, tpm.TPMEstablished())
}
