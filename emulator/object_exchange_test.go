package emulator_test

import (
	"bytes"
	"crypto/rand"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
)

// What TPMs, and a TPM and an attester, exchange: every TPM with keys of its
// own, spoken to by go-tpm.

// authorized names an object with an empty authValue.
func authorized(h tpm2.TPMHandle, name tpm2.TPM2BName) tpm2.AuthHandle {
	return tpm2.AuthHandle{Handle: h, Name: name, Auth: tpm2.PasswordAuth(nil)}
}

// calculate is the digest of a policy.
func calculate(t *testing.T, p interface {
	Update(*tpm2.PolicyCalculator) error
}) tpm2.TPM2BDigest {
	t.Helper()
	c, err := tpm2.NewPolicyCalculator(tpm2.TPMAlgSHA256)
	require.NoError(t, err)
	require.NoError(t, p.Update(c))
	return tpm2.TPM2BDigest{Buffer: c.Hash().Digest}
}

// Data that one TPM has sealed is unsealed by another, after its object was
// duplicated to a storage key of that one.
func TestSealedDataMoves(t *testing.T) {
	t.Parallel()
	for name, template := range map[string]tpm2.TPMTPublic{"RSA": tpm2.RSASRKTemplate, "ECC": tpm2.ECCSRKTemplate} {
		from, to := et.New(t, et.WithSeed(1)), et.New(t, et.WithSeed(2))
		newParent := primary(t, to.Client(), tpm2.TPMRHOwner, template)
		select_ := tpm2.PolicyDuplicationSelect{NewParentName: newParent.Name}
		parent := primary(t, from.Client(), tpm2.TPMRHOwner, tpm2.ECCSRKTemplate)
		made, err := tpm2.Create{
			ParentHandle: authorized(parent.ObjectHandle, parent.Name),
			InPublic: tpm2.New2B(tpm2.TPMTPublic{Type: tpm2.TPMAlgKeyedHash, NameAlg: tpm2.TPMAlgSHA256,
				ObjectAttributes: tpm2.TPMAObject{UserWithAuth: true, EncryptedDuplication: true},
				AuthPolicy:       calculate(t, select_),
				Parameters:       tpm2.NewTPMUPublicParms(tpm2.TPMAlgKeyedHash, &tpm2.TPMSKeyedHashParms{})}),
			InSensitive: tpm2.TPM2BSensitiveCreate{Sensitive: &tpm2.TPMSSensitiveCreate{
				UserAuth: tpm2.TPM2BAuth{Buffer: []byte("auth")},
				Data:     tpm2.NewTPMUSensitiveCreate(&tpm2.TPM2BSensitiveData{Buffer: []byte("data")})}},
		}.Execute(from.Client())
		require.NoError(t, err, name)
		duplicate := duplicateTo(t, from, made, parent, newParent, select_)

		imported, err := tpm2.Import{
			ParentHandle:  authorized(newParent.ObjectHandle, newParent.Name),
			EncryptionKey: duplicate.EncryptionKeyOut, ObjectPublic: made.OutPublic, Duplicate: duplicate.Duplicate, InSymSeed: duplicate.OutSymSeed,
			Symmetric: aesWrapper,
		}.Execute(to.Client())
		require.NoError(t, err, name)
		loaded, err := tpm2.Load{ParentHandle: authorized(newParent.ObjectHandle, newParent.Name), InPrivate: imported.OutPrivate, InPublic: made.OutPublic}.Execute(to.Client())
		require.NoError(t, err, name)
		unsealed, err := tpm2.Unseal{ItemHandle: tpm2.AuthHandle{Handle: loaded.ObjectHandle, Name: loaded.Name, Auth: tpm2.PasswordAuth([]byte("auth"))}}.Execute(to.Client())
		require.NoError(t, err, name)
		assert.Equal(t, "data", string(unsealed.OutData.Buffer), name)
		_, err = tpm2.Load{ParentHandle: authorized(parent.ObjectHandle, parent.Name), InPrivate: imported.OutPrivate, InPublic: made.OutPublic}.Execute(from.Client())
		assert.ErrorIs(t, err, tpm2.TPMRCIntegrity, "below another parent")
	}
}

// aesWrapper is the algorithm of an inner wrapper.
var aesWrapper = tpm2.TPMTSymDef{Algorithm: tpm2.TPMAlgAES,
	KeyBits: tpm2.NewTPMUSymKeyBits(tpm2.TPMAlgAES, tpm2.TPMKeyBits(256)), Mode: tpm2.NewTPMUSymMode(tpm2.TPMAlgAES, tpm2.TPMAlgCFB)}

// duplicateTo loads an object and duplicates it to a key of another TPM.
func duplicateTo(t *testing.T, tpm *et.TPM, made *tpm2.CreateResponse, parent, newParent *tpm2.CreatePrimaryResponse, select_ tpm2.PolicyDuplicationSelect) *tpm2.DuplicateResponse {
	t.Helper()
	loaded, err := tpm2.Load{ParentHandle: authorized(parent.ObjectHandle, parent.Name), InPrivate: made.OutPrivate, InPublic: made.OutPublic}.Execute(tpm.Client())
	require.NoError(t, err)
	other, err := tpm2.LoadExternal{InPublic: newParent.OutPublic, Hierarchy: tpm2.TPMRHNull}.Execute(tpm.Client())
	require.NoError(t, err)
	policy := func(tpm transport.TPM, session tpm2.TPMISHPolicy, _ tpm2.TPM2BNonce) error {
		select_.PolicySession, select_.ObjectName = session, loaded.Name
		_, err := select_.Execute(tpm)
		return err
	}
	rsp, err := tpm2.Duplicate{
		ObjectHandle:    tpm2.AuthHandle{Handle: loaded.ObjectHandle, Name: loaded.Name, Auth: tpm2.Policy(tpm2.TPMAlgSHA256, 16, policy)},
		NewParentHandle: tpm2.NamedHandle{Handle: other.ObjectHandle, Name: other.Name},
		Symmetric:       aesWrapper,
	}.Execute(tpm.Client())
	require.NoError(t, err)
	for _, h := range []tpm2.TPMHandle{loaded.ObjectHandle, other.ObjectHandle} {
		_, err = tpm2.FlushContext{FlushHandle: h}.Execute(tpm.Client())
		require.NoError(t, err)
	}
	return rsp
}

// An attester convinces itself that a key is in the TPM with an endorsement key:
// only there the credential that it makes for both opens.
func TestCredentialOfAttester(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		template  tpm2.TPMTPublic
		elsewhere tpm2.TPMRC
	}{"RSA": {tpm2.RSAEKTemplate, tpm2.TPMRCValue}, "ECC": {tpm2.ECCEKTemplate, tpm2.TPMRCIntegrity}} {
		template := tc.template
		tpm := et.New(t)
		ek := primary(t, tpm.Client(), tpm2.TPMRHEndorsement, template)
		key := primary(t, tpm.Client(), tpm2.TPMRHOwner, tpm2.ECCSRKTemplate)
		public, err := ek.OutPublic.Contents()
		require.NoError(t, err)
		attested, err := tpm2.ImportEncapsulationKey(public)
		require.NoError(t, err)
		blob, secret, err := tpm2.CreateCredential(rand.Reader, attested, key.Name.Buffer, credential)
		require.NoError(t, err)
		rsp, err := activateByPolicy(tpm, ek, key, blob, secret)
		require.NoError(t, err, name)
		assert.Equal(t, credential, rsp.CertInfo.Buffer, name)

		other := et.New(t, et.WithSeed(3))
		otherEK := primary(t, other.Client(), tpm2.TPMRHEndorsement, template)
		if modulus := rsaModulus(t, otherEK); modulus != nil && bytes.Compare(secret, modulus) >= 0 {
			tc.elsewhere = tpm2.TPMRCSize // it is no cipher text of that key at all
		}
		_, err = activateByPolicy(other, otherEK, primary(t, other.Client(), tpm2.TPMRHOwner, tpm2.ECCSRKTemplate), blob, secret)
		assert.ErrorIs(t, err, tc.elsewhere, name)
	}
}

// rsaModulus is the modulus of an RSA key, nil of another key.
func rsaModulus(t *testing.T, key *tpm2.CreatePrimaryResponse) []byte {
	t.Helper()
	public, err := key.OutPublic.Contents()
	require.NoError(t, err)
	if public.Type != tpm2.TPMAlgRSA {
		return nil
	}
	unique, err := public.Unique.RSA()
	require.NoError(t, err)
	return unique.Buffer
}

// activateByPolicy activates a credential with an endorsement key, whose policy
// is the secret of the endorsement hierarchy.
func activateByPolicy(tpm *et.TPM, ek, key *tpm2.CreatePrimaryResponse, blob, secret []byte) (*tpm2.ActivateCredentialResponse, error) {
	policy := func(tpm transport.TPM, session tpm2.TPMISHPolicy, nonce tpm2.TPM2BNonce) error {
		_, err := tpm2.PolicySecret{AuthHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHEndorsement, Auth: tpm2.PasswordAuth(nil)}, PolicySession: session, NonceTPM: nonce}.Execute(tpm)
		return err
	}
	return tpm2.ActivateCredential{
		ActivateHandle: authorized(key.ObjectHandle, key.Name),
		KeyHandle:      tpm2.AuthHandle{Handle: ek.ObjectHandle, Name: ek.Name, Auth: tpm2.Policy(tpm2.TPMAlgSHA256, 16, policy)},
		CredentialBlob: tpm2.TPM2BIDObject{Buffer: blob},
		Secret:         tpm2.TPM2BEncryptedSecret{Buffer: secret},
	}.Execute(tpm.Client())
}
