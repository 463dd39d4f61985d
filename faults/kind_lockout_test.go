package faults_test

import (
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// sealed is an object that dictionary attack protection protects.
func sealed(t *testing.T, tpm emulatortest.Client) tpm2.AuthHandle {
	t.Helper()
	created, err := tpm2.CreatePrimary{
		PrimaryHandle: tpm2.TPMRHOwner,
		InSensitive: tpm2.TPM2BSensitiveCreate{Sensitive: &tpm2.TPMSSensitiveCreate{
			UserAuth: tpm2.TPM2BAuth{Buffer: []byte("secret")},
			Data:     tpm2.NewTPMUSensitiveCreate(&tpm2.TPM2BSensitiveData{Buffer: []byte("data")}),
		}},
		InPublic: tpm2.New2B(tpm2.TPMTPublic{
			Type: tpm2.TPMAlgKeyedHash, NameAlg: tpm2.TPMAlgSHA256,
			ObjectAttributes: tpm2.TPMAObject{FixedTPM: true, FixedParent: true, UserWithAuth: true},
		}),
	}.Execute(tpm)
	require.NoError(t, err)
	return tpm2.AuthHandle{Handle: created.ObjectHandle, Name: created.Name, Auth: tpm2.PasswordAuth([]byte("secret"))}
}

// byLockout sends a command with the lockout authorization, one that go-tpm does not have.
func byLockout(t *testing.T, tpm emulatortest.Client, code wire.CC, parameters ...[]byte) {
	t.Helper()
	response, err := tpm.Send(emulatortest.Command(code, []wire.Handle{wire.RHLockout}, emulatortest.NoAuth(), parameters...))
	require.NoError(t, err)
	require.Equal(t, wire.RCSuccess, emulatortest.ResponseCode(response))
}

func TestLockoutIsReal(t *testing.T) {
	t.Parallel()
	tpm := emulatortest.New(t)
	client, journal := faulty(t, tpm, "Unseal#2-3: lockout")
	object := sealed(t, client)
	unseal := func() error {
		_, err := tpm2.Unseal{ItemHandle: object}.Execute(client)
		return err
	}
	require.NoError(t, unseal())
	for range 3 { // with the second command, and as long as nothing ends it
		require.ErrorIs(t, unseal(), tpm2.TPMRCLockout)
	}
	assert.Equal(t, []string{
		"lockout passed: 3 failed authorizations, and the TPM is in lockout",
		"lockout passed: the TPM was in lockout",
	}, journal.details())
	assert.Equal(t, uint32(2), available(t, client, wire.PTHRTransientAvail), "nothing is left of the object that was used")

	byLockout(t, client, wire.CCDictionaryAttackLockReset)
	require.NoError(t, unseal())
}

func TestLockoutOutlivesAReset(t *testing.T) {
	t.Parallel()
	tpm := emulatortest.New(t)
	client, _ := faulty(t, tpm, "GetRandom: lockout")
	getRandomBytes(t, client)
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	object := sealed(t, client)
	_, err := tpm2.Unseal{ItemHandle: object}.Execute(client)
	require.ErrorIs(t, err, tpm2.TPMRCLockout)
}

// A TPM whose failures do not count cannot be locked out, and the journal says so.
func TestATPMThatForgetsFailuresIsNotLockedOut(t *testing.T) {
	t.Parallel()
	client, journal := faulty(t, emulatortest.New(t), "GetRandom: lockout")
	byLockout(t, client, wire.CCDictionaryAttackParameters, emulatortest.U32(3), emulatortest.U32(0), emulatortest.U32(0))
	getRandomBytes(t, client)
	assert.Equal(t, []string{"lockout passed: 256 failed authorizations, then the TPM is not in lockout: its recoveryTime is 0, or it allows more"}, journal.details())
}

func TestLockoutTakesNoValue(t *testing.T) {
	t.Parallel()
	spells(t, "lockout")
	refused(t, "lockout", []string{"3"})
}
