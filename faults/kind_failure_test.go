package faults_test

import (
	"encoding/binary"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/faults"
)

// What a client sees of a TPM in failure mode.
func TestFailure(t *testing.T) {
	t.Parallel()
	testOnlyTests(t, "GetRandom#2: failure", tpm2.TPMRCFailure)
	refused(t, "failure", []string{"1", "x"})
}

// testOnlyTests asserts that from the second TPM2_GetRandom on a client gets a code, but for
// what it asks for the cause.
func testOnlyTests(t *testing.T, rule string, code tpm2.TPMRC) {
	t.Helper()
	var journal told
	tpm := emulatortest.New(t)
	client := emulatortest.Client{TPM: wrap(t, tpm.TPM, faults.Plan{Rules: rules(t, rule), Journal: journal.tell})}
	random := tpm2.GetRandom{BytesRequested: 8}
	result := func() tpm2.TPMRC {
		response, err := client.Send(unhex("80010000000a0000017c")) // TPM2_GetTestResult
		require.NoError(t, err)
		return tpm2.TPMRC(binary.BigEndian.Uint32(response[len(response)-4:]))
	}
	assert.Equal(t, tpm2.TPMRCSuccess, result())
	_, err := random.Execute(client)
	require.NoError(t, err)
	for range 2 {
		_, err = random.Execute(client)
		require.ErrorIs(t, err, code)
	}
	_, err = tpm2.ReadClock{}.Execute(client)
	require.ErrorIs(t, err, code)
	assert.Equal(t, code, result())
	_, err = tpm2.GetCapability{Capability: tpm2.TPMCapTPMProperties, Property: 0x105, PropertyCount: 1}.Execute(client)
	require.NoError(t, err)
	var outcomes []faults.Outcome
	for _, d := range journal {
		outcomes = append(outcomes, d.Outcome)
	}
	assert.Equal(t, []faults.Outcome{faults.Answered, faults.Answered, faults.Answered, faults.Changed, faults.Passed}, outcomes)
	assert.EqualValues(t, code, journal[2].Code)
}
