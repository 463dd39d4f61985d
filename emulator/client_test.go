package emulator_test

import (
	"crypto/sha256"
	"errors"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
)

// What Linux sends while it probes and starts a TPM (drivers/char/tpm:
// tpm2_probe, tpm2_auto_startup, tpm2_pcr_extend), through an independent client.
func TestLinuxBoot(t *testing.T) {
	t.Parallel()
	c := et.New(t, et.WithoutStartup()).Client()
	_, err := tpm2.GetCapability{Capability: tpm2.TPMCapTPMProperties, Property: 0x129, PropertyCount: 1}.Execute(c)
	require.True(t, errors.Is(err, tpm2.TPMRCInitialize))
	_, err = tpm2.Startup{StartupType: tpm2.TPMSUClear}.Execute(c)
	require.NoError(t, err)

	caps, err := tpm2.GetCapability{Capability: tpm2.TPMCapTPMProperties, Property: 0x129, PropertyCount: 1}.Execute(c)
	require.NoError(t, err)
	props, err := caps.CapabilityData.Data.TPMProperties()
	require.NoError(t, err)
	total := props.TPMProperty[0].Value
	caps, err = tpm2.GetCapability{Capability: tpm2.TPMCapCommands, Property: 0x11F, PropertyCount: total}.Execute(c)
	require.NoError(t, err)
	ccs, err := caps.CapabilityData.Data.Command()
	require.NoError(t, err)
	assert.Len(t, ccs.CommandAttributes, int(total))
	assert.False(t, bool(caps.MoreData))

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
	assert.Equal(t, want[:], read.PCRValues.Digests[0].Buffer)

	_, err = tpm2.PCRExtend{PCRHandle: tpm2.AuthHandle{Handle: tpm2.TPMHandle(17), Auth: tpm2.PasswordAuth(nil)}}.Execute(c)
	assert.True(t, errors.Is(err, tpm2.TPMRCLocality))
	_, err = tpm2.PCRExtend{PCRHandle: tpm2.AuthHandle{Handle: tpm2.TPMHandle(1), Auth: tpm2.PasswordAuth([]byte("x"))}}.Execute(c)
	assert.True(t, errors.Is(err, tpm2.TPMRCBadAuth))
	assert.Contains(t, err.Error(), "session 1")
	_, err = tpm2.FlushContext{FlushHandle: tpm2.TPMHandle(0x80000000)}.Execute(c)
	assert.True(t, errors.Is(err, tpm2.TPMRCHandle))
	assert.Contains(t, err.Error(), "parameter 1")
}
