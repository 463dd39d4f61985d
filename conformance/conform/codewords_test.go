package conform

import (
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"

	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

func TestCodeWords(t *testing.T) {
	t.Parallel()
	for code, want := range map[tpm2.TPMRC]string{
		ParameterRC(2, tpm2.TPMRCSize):       "TPM_RC_SIZE (parameter 2)",
		ParameterRC(1, wire.RCParms):         "TPM_RC_PARMS (parameter 1)",
		HandleRC(2, wire.RCSignContextKey):   "TPM_RC_SIGN_CONTEXT_KEY (handle 2)",
		ParameterRC(10, wire.RCExtMu):        "TPM_RC_EXT_MU (parameter 10)",
		SessionRC(1, tpm2.TPMRCBadAuth):      "TPM_RC_BAD_AUTH (session 1)",
		HandleRC(1, wire.RCOneShotSignature): "TPM_RC_ONE_SHOT_SIGNATURE (handle 1)",
		tpm2.TPMRCCommandCode:                "TPM_RC_COMMAND_CODE",
		0x1e:                                 "TPM_RC_BAD_TAG",
	} {
		assert.Equal(t, want, CodeWords(code))
	}
	assert.Equal(t, "TPM_RC_SIGN_CONTEXT_KEY (handle 2), 0x2ad", CodeName(HandleRC(2, wire.RCSignContextKey)))
	assert.Equal(t, []string{"1.16", "1.84", "185"}, []string{Section{}.Revision(), Section{Since: 184}.Revision(), Section{Since: 185}.Revision()})
	assert.Equal(t, "ML-DSA-87", ParameterSet{wire.AlgMLDSA, 3}.String())
}
