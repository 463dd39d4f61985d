package wire_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

func TestResponseCodeNumbers(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		rc   wire.RC
		want uint32
		part wire.Part
		n    int
		text string
	}{
		{wire.RCValue, 0x084, wire.PartNone, 0, "TPM_RC_VALUE"},
		{wire.RCValue.Parameter(1), 0x1C4, wire.PartParameter, 1, "TPM_RC_VALUE, parameter 1"},
		{wire.RCValue.Parameter(15), 0xFC4, wire.PartParameter, 15, "TPM_RC_VALUE, parameter 15"},
		{wire.RCValue.Handle(1), 0x184, wire.PartHandle, 1, "TPM_RC_VALUE, handle 1"},
		{wire.RCHandle.Handle(7), 0x78B, wire.PartHandle, 7, "TPM_RC_HANDLE, handle 7"},
		{wire.RCBadAuth.Session(1), 0x9A2, wire.PartSession, 1, "TPM_RC_BAD_AUTH, session 1"},
		{wire.RCAuthFail.Session(1), 0x98E, wire.PartSession, 1, "TPM_RC_AUTH_FAIL, session 1"},
		{wire.RCSize.Session(4), 0xC95, wire.PartSession, 4, "TPM_RC_SIZE, session 4"},
		// What has a number keeps it.
		{wire.RCValue.Parameter(2).Session(1), 0x2C4, wire.PartParameter, 2, "TPM_RC_VALUE, parameter 2"},
		{wire.RCValue.Handle(2).Parameter(1), 0x284, wire.PartHandle, 2, "TPM_RC_VALUE, handle 2"},
		// Format zero takes none.
		{wire.RCInitialize.Parameter(1), 0x100, wire.PartNone, 0, "TPM_RC_INITIALIZE"},
		{wire.RCLocality.Handle(1), 0x907, wire.PartNone, 0, "TPM_RC_LOCALITY"},
		{wire.RCReferenceH0 + 2, 0x912, wire.PartNone, 0, "TPM_RC_REFERENCE_H2"},
		{wire.RCReferenceS0 + 1, 0x919, wire.PartNone, 0, "TPM_RC_REFERENCE_S1"},
		{wire.RCSuccess.Parameter(1), 0, wire.PartNone, 0, "TPM_RC_SUCCESS"},
		{wire.RCBadTag.Session(1), 0x1E, wire.PartNone, 0, "TPM_RC_BAD_TAG"},
		{wire.RC(0x1FF), 0x1FF, wire.PartParameter, 1, "TPM_RC, parameter 1"},
	} {
		assert.Equal(t, tc.want, uint32(tc.rc), tc.text)
		part, n := tc.rc.Part()
		assert.Equal(t, tc.part, part, tc.text)
		assert.Equal(t, tc.n, n, tc.text)
		assert.Equal(t, tc.text, tc.rc.String())
		assert.Equal(t, fmt.Sprintf("%s (0x%03X)", tc.text, tc.want), tc.rc.Error())
	}
}

func TestResponseCodeIs(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("wrapped: %w", wire.RCValue.Parameter(2))
	assert.True(t, errors.Is(err, wire.RCValue))
	assert.True(t, errors.Is(err, wire.RCValue.Parameter(2)))
	assert.False(t, errors.Is(err, wire.RCValue.Parameter(1)))
	assert.False(t, errors.Is(err, wire.RCSize))
	assert.False(t, errors.Is(wire.RCInitialize, errors.New("other")))
	assert.True(t, wire.RCRetry.Warning())
	assert.False(t, wire.RCValue.Parameter(9).Warning())
	assert.False(t, wire.RCInitialize.Warning())
}

// go-tpm decodes what it is about and which number in its own way.
func TestResponseCodeAsGoTPMReadsIt(t *testing.T) {
	t.Parallel()
	assert.True(t, errors.Is(tpm2.TPMRC(wire.RCHash.Parameter(3)), tpm2.TPMRCHash))
	assert.Contains(t, tpm2.TPMRC(wire.RCHash.Parameter(3)).Error(), "parameter 3")
	assert.Contains(t, tpm2.TPMRC(wire.RCHash.Handle(2)).Error(), "handle 2")
	assert.Contains(t, tpm2.TPMRC(wire.RCHash.Session(2)).Error(), "session 2")
	for _, pair := range []struct {
		ours   wire.RC
		theirs tpm2.TPMRC
	}{
		{wire.RCInitialize, tpm2.TPMRCInitialize}, {wire.RCFailure, tpm2.TPMRCFailure},
		{wire.RCAuthMissing, tpm2.TPMRCAuthMissing}, {wire.RCCommandCode, tpm2.TPMRCCommandCode},
		{wire.RCCommandSize, tpm2.TPMRCCommandSize}, {wire.RCAuthContext, tpm2.TPMRCAuthContext},
		{wire.RCNeedsTest, tpm2.TPMRCNeedsTest}, {wire.RCBadAuth, tpm2.TPMRCBadAuth},
		{wire.RCReservedBits, tpm2.TPMRCReservedBits}, {wire.RCInsufficient, tpm2.TPMRCInsufficient},
		{wire.RCLocality, tpm2.TPMRCLocality}, {wire.RCNVUnavailable, tpm2.TPMRCNVUnavailable},
		{wire.RCNVRate, tpm2.TPMRCNVRate}, {wire.RCLockout, tpm2.TPMRCLockout}, {wire.RCObjectMemory, tpm2.TPMRCObjectMemory},
	} {
		assert.Equal(t, uint32(pair.theirs), uint32(pair.ours), pair.ours)
	}
}

func TestRCByName(t *testing.T) {
	for _, name := range []string{"TPM_RC_RETRY", "RETRY", "tpm_rc_retry", "retry"} {
		rc, ok := wire.RCByName(name)
		assert.True(t, ok, name)
		assert.Equal(t, wire.RCRetry, rc, name)
	}
	for _, name := range []string{"", "TPM_RC_", "TPM_RC_RETRIED"} {
		_, ok := wire.RCByName(name)
		assert.False(t, ok, name)
	}
}
