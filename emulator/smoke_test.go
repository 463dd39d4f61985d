package emulator_test

import (
	"crypto/sha256"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/emulatortest"
)

// go-tpm is an independent client: what it decodes was encoded right.
func TestGoTPMClient(t *testing.T) {
	t.Parallel()
	c := emulatortest.New(t).Client()

	rnd, err := tpm2.GetRandom{BytesRequested: 16}.Execute(c)
	require.NoError(t, err)
	require.Len(t, rnd.RandomBytes.Buffer, 16)

	digest := sha256.Sum256([]byte("event"))
	_, err = tpm2.PCRExtend{
		PCRHandle: tpm2.AuthHandle{Handle: tpm2.TPMHandle(10), Auth: tpm2.PasswordAuth(nil)},
		Digests:   tpm2.TPMLDigestValues{Digests: []tpm2.TPMTHA{{HashAlg: tpm2.TPMAlgSHA256, Digest: digest[:]}}},
	}.Execute(c)
	require.NoError(t, err)

	read, err := tpm2.PCRRead{PCRSelectionIn: tpm2.TPMLPCRSelection{PCRSelections: []tpm2.TPMSPCRSelection{
		{Hash: tpm2.TPMAlgSHA256, PCRSelect: tpm2.PCClientCompatible.PCRs(10)}}}}.Execute(c)
	require.NoError(t, err)
	want := sha256.Sum256(append(make([]byte, 32), digest[:]...))
	require.Equal(t, want[:], read.PCRValues.Digests[0].Buffer)

	caps, err := tpm2.GetCapability{Capability: tpm2.TPMCapTPMProperties, Property: 0x100, PropertyCount: 256}.Execute(c)
	require.NoError(t, err)
	props, err := caps.CapabilityData.Data.TPMProperties()
	require.NoError(t, err)
	require.Len(t, props.TPMProperty, 46)
}
