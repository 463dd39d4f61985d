package faults_test

import (
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/faults"
)

// audited sends TPM2_GetRandom three times in one audit session, whose responses go-tpm
// checks, and returns which ones it took.
func audited(t *testing.T, rule string) (text string, journal told) {
	t.Helper()
	tpm := emulatortest.New(t)
	client := emulatortest.Client{TPM: wrap(t, tpm.TPM, faults.Plan{Rules: rules(t, rule), Journal: journal.tell})}
	session, end, err := tpm2.HMACSession(client, tpm2.TPMAlgSHA256, 16, tpm2.Audit())
	require.NoError(t, err)
	for range 3 {
		if _, err := (tpm2.GetRandom{BytesRequested: 8}).Execute(client, session); err == nil {
			text += "+"
		} else {
			text += "-"
		}
	}
	_ = end()
	return text, journal
}

func TestWrongHMAC(t *testing.T) {
	t.Parallel()
	taken, journal := audited(t, "GetRandom#2: hmac")
	assert.Equal(t, "+-+", taken)
	require.Len(t, journal, 1)
	assert.Equal(t, faults.Changed, journal[0].Outcome)
	assert.Equal(t, "1 wrong", journal[0].Detail)

	taken, _ = audited(t, "GetRandom#2: pass")
	assert.Equal(t, "+++", taken, "without a fault")
}

// A password session has no HMAC, and neither has a command without sessions.
func TestWrongHMACOfAPassword(t *testing.T) {
	t.Parallel()
	var journal told
	tpm := emulatortest.New(t)
	client := emulatortest.Client{TPM: wrap(t, tpm.TPM, faults.Plan{Rules: rules(t, "*: hmac"), Journal: journal.tell})}
	_, err := tpm2.PCRReset{PCRHandle: tpm2.AuthHandle{Handle: 16, Auth: tpm2.PasswordAuth(nil)}}.Execute(client)
	require.NoError(t, err)
	_, err = tpm2.GetRandom{BytesRequested: 8}.Execute(client)
	require.NoError(t, err)
	require.Len(t, journal, 2)
	for _, d := range journal {
		assert.Equal(t, faults.Passed, d.Outcome)
	}
}
