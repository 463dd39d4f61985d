package faults_test

import (
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/faults"
)

// stir sends TPM2_StirRandom, which go-tpm does not have.
func stir(tpm emulatortest.Client) error {
	response, err := tpm.Send(emulatortest.Command(wire.CCStirRandom, nil, nil, emulatortest.Sized([]byte("more"))))
	if rc := emulatortest.ResponseCode(response); err == nil && rc != wire.RCSuccess {
		err = tpm2.TPMRC(rc)
	}
	return err
}

func getRandomBytes(t *testing.T, tpm emulatortest.Client) []byte {
	t.Helper()
	random, err := tpm2.GetRandom{BytesRequested: 16}.Execute(tpm)
	require.NoError(t, err)
	return random.RandomBytes.Buffer
}

func TestEntropyThatFailsPutsTheTPMInFailureMode(t *testing.T) {
	t.Parallel()
	for fault, detail := range map[string]string{
		"entropy=fail":  "reading entropy failed",
		"entropy=short": "8 of 48 octets of entropy",
	} {
		tpm := emulatortest.New(t)
		client, journal := faulty(t, tpm, "StirRandom#2: "+fault)
		require.NoError(t, stir(client))
		require.ErrorIs(t, stir(client), tpm2.TPMRCFailure)
		_, err := tpm2.GetRandom{BytesRequested: 8}.Execute(client)
		require.ErrorIs(t, err, tpm2.TPMRCFailure, "the TPM stays in failure mode")
		var failure *emulator.FailureError
		require.ErrorAs(t, tpm.Failure(), &failure)
		assert.Equal(t, []string{fault + " passed: " + detail}, journal.details())
		require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
		require.NoError(t, stir(client), "the fault is over")
	}
}

// What is stuck shows where everything else is the same: two TPMs with the same state
// give the same numbers after they have read entropy that differs.
func TestStuckEntropyMakesTwoTPMsAlike(t *testing.T) {
	t.Parallel()
	after := func(rule string, ahead int) []byte {
		tpm := emulatortest.New(t, emulatortest.WithSeed(1))
		client, _ := faulty(t, tpm, rule)
		_, _ = tpm.Entropy.Read(make([]byte, ahead))
		require.NoError(t, stir(client))
		return getRandomBytes(t, client)
	}
	assert.NotEqual(t, after("StirRandom: pass", 0), after("StirRandom: pass", 8))
	assert.Equal(t, after("StirRandom: entropy=stuck", 0), after("StirRandom: entropy=stuck", 8))
}

func TestEntropyFaultsThatAreNone(t *testing.T) {
	t.Parallel()
	spells(t, "entropy=fail", "entropy=short", "entropy=stuck")
	refuses(t, map[string]string{"entropy": "write entropy=", "entropy=low": `one of fail, short, stuck, and not "low"`})
	plan := faults.Plan{Rules: rules(t, "GetRandom: entropy=fail")}
	require.ErrorContains(t, plan.Validate(), "_TPM_Init alone do")
	plan.Rules = []faults.Rule{{Do: faults.EntropyFault(9)}}
	require.ErrorContains(t, plan.Validate(), "there is no fault")
}

func TestEntropyThatNobodyReadIsSaidSo(t *testing.T) {
	t.Parallel()
	client, journal := faulty(t, emulatortest.New(t), "*: entropy=fail")
	getRandomBytes(t, client)
	assert.Equal(t, []string{"entropy=fail passed: the TPM read no entropy"}, journal.details())
}
