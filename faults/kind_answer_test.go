package faults_test

import (
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/faults"
)

// What go-tpm makes of the codes that a TPM may answer to every command at any time.
func TestAnswersReachTheClient(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]tpm2.TPMRC{
		"TPM_RC_RETRY": tpm2.TPMRCRetry, "TPM_RC_YIELDED": tpm2.TPMRCYielded, "TPM_RC_TESTING": tpm2.TPMRCTesting,
		"TPM_RC_INITIALIZE": tpm2.TPMRCInitialize, "TPM_RC_LOCKOUT": tpm2.TPMRCLockout, "TPM_RC_NV_RATE": tpm2.TPMRCNVRate,
		"TPM_RC_NV_UNAVAILABLE": tpm2.TPMRCNVUnavailable, "TPM_RC_OBJECT_MEMORY": tpm2.TPMRCObjectMemory,
		"TPM_RC_SESSION_MEMORY": tpm2.TPMRCSessionMemory, "TPM_RC_CONTEXT_GAP": tpm2.TPMRCContextGap,
		"TPM_RC_REBOOT": tpm2.TPMRCReboot, "TPM_RC_CANCELED": tpm2.TPMRCCanceled, "TPM_RC_FAILURE": tpm2.TPMRCFailure,
		"TPM_RC_MEMORY": tpm2.TPMRCMemory, "TPM_RC_UPGRADE": tpm2.TPMRCUpgrade, "TPM_RC_NV_SPACE": tpm2.TPMRCNVSpace,
		"0x9A2": 0x9A2,
	} {
		var journal told
		tpm := emulatortest.New(t)
		client := emulatortest.Client{TPM: wrap(t, tpm.TPM, faults.Plan{Rules: rules(t, "GetRandom#2: rc="+name), Journal: journal.tell})}
		for n := range 3 {
			_, err := tpm2.GetRandom{BytesRequested: 8}.Execute(client)
			if n == 1 {
				require.ErrorIs(t, err, want, name)
			} else {
				require.NoError(t, err, name)
			}
		}
		require.Len(t, journal, 1)
		assert.Equal(t, faults.Answered, journal[0].Outcome)
		assert.EqualValues(t, want, journal[0].Code)
		if name[0] == 'T' {
			assert.Equal(t, "rc="+name, journal[0].Fault, "the name is that of the specification")
		}
	}
}
