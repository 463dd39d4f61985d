package emulator_test

import (
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// pcr10 is IMA's PCR in the one bank that all profiles have.
var pcr10 = tpm2.TPMLPCRSelection{PCRSelections: []tpm2.TPMSPCRSelection{
	{Hash: tpm2.TPMAlgSHA256, PCRSelect: tpm2.PCClientCompatible.PCRs(10)}}}

// What Linux and an attester do goes with every profile: the null key with its
// saved context, a secret sealed to a PCR, a quote.
func TestProfilesServeLinux(t *testing.T) {
	t.Parallel()
	for _, name := range emulator.Profiles() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := emulator.ProfileByName(name)
			require.NoError(t, err)
			tpm := et.New(t, et.WithConfig(p.Config))
			c := tpm.Client()

			null := primary(t, c, tpm2.TPMRHNull, tpm2.ECCSRKTemplate)
			saved := saveContext(t, tpm, wire.Handle(null.ObjectHandle))
			assert.LessOrEqual(t, len(saved), int(property(t, tpm, wire.PTMaxObjectContext)))
			flush(t, tpm, wire.Handle(null.ObjectHandle))
			rc, h := loadContext(tpm, saved)
			require.Equal(t, wire.RCSuccess, rc)
			flush(t, tpm, h)

			sealToPCR(t, c)
			quoted(t, c)
		})
	}
}

func primary(t *testing.T, c transport.TPM, hierarchy tpm2.TPMHandle, template tpm2.TPMTPublic) *tpm2.CreatePrimaryResponse {
	t.Helper()
	rsp, err := tpm2.CreatePrimary{
		PrimaryHandle: tpm2.AuthHandle{Handle: hierarchy, Auth: tpm2.PasswordAuth(nil)},
		InPublic:      tpm2.New2B(template),
	}.Execute(c)
	require.NoError(t, err)
	return rsp
}

func forget(t *testing.T, c transport.TPM, h tpm2.TPMHandle) {
	t.Helper()
	_, err := tpm2.FlushContext{FlushHandle: h}.Execute(c)
	require.NoError(t, err)
}

// sealToPCR seals a secret to PCR 10 and takes it out again, until the PCR changes.
func sealToPCR(t *testing.T, c transport.TPM) {
	t.Helper()
	trial, done, err := tpm2.PolicySession(c, tpm2.TPMAlgSHA256, 16, tpm2.Trial())
	require.NoError(t, err)
	_, err = tpm2.PolicyPCR{PolicySession: trial.Handle(), Pcrs: pcr10}.Execute(c)
	require.NoError(t, err)
	policy, err := tpm2.PolicyGetDigest{PolicySession: trial.Handle()}.Execute(c)
	require.NoError(t, err)
	require.NoError(t, done())

	srk := primary(t, c, tpm2.TPMRHOwner, tpm2.ECCSRKTemplate)
	parent := tpm2.AuthHandle{Handle: srk.ObjectHandle, Name: srk.Name, Auth: tpm2.PasswordAuth(nil)}
	made, err := tpm2.Create{
		ParentHandle: parent,
		InSensitive: tpm2.TPM2BSensitiveCreate{Sensitive: &tpm2.TPMSSensitiveCreate{
			Data: tpm2.NewTPMUSensitiveCreate(&tpm2.TPM2BSensitiveData{Buffer: []byte("secret")})}},
		InPublic: tpm2.New2B(tpm2.TPMTPublic{
			Type: tpm2.TPMAlgKeyedHash, NameAlg: tpm2.TPMAlgSHA256,
			ObjectAttributes: tpm2.TPMAObject{FixedTPM: true, FixedParent: true}, AuthPolicy: policy.PolicyDigest,
		}),
	}.Execute(c)
	require.NoError(t, err)
	key, err := tpm2.Load{ParentHandle: parent, InPrivate: made.OutPrivate, InPublic: made.OutPublic}.Execute(c)
	require.NoError(t, err)
	unseal := func() ([]byte, error) {
		session := tpm2.Policy(tpm2.TPMAlgSHA256, 16, func(tpm transport.TPM, h tpm2.TPMISHPolicy, _ tpm2.TPM2BNonce) error {
			_, err := tpm2.PolicyPCR{PolicySession: h, Pcrs: pcr10}.Execute(tpm)
			return err
		})
		rsp, err := tpm2.Unseal{ItemHandle: tpm2.AuthHandle{Handle: key.ObjectHandle, Name: key.Name, Auth: session}}.Execute(c)
		if err != nil {
			return nil, err
		}
		return rsp.OutData.Buffer, nil
	}
	secret, err := unseal()
	require.NoError(t, err)
	assert.Equal(t, "secret", string(secret))
	_, err = tpm2.PCRExtend{PCRHandle: tpm2.AuthHandle{Handle: 10, Auth: tpm2.PasswordAuth(nil)},
		Digests: tpm2.TPMLDigestValues{Digests: []tpm2.TPMTHA{{HashAlg: tpm2.TPMAlgSHA256, Digest: make([]byte, 32)}}}}.Execute(c)
	require.NoError(t, err)
	_, err = unseal()
	assert.ErrorIs(t, err, tpm2.TPMRCPolicyFail)
	forget(t, c, key.ObjectHandle)
	forget(t, c, srk.ObjectHandle)
}

// quoted makes an attestation key and quotes PCR 10 with it.
func quoted(t *testing.T, c transport.TPM) {
	t.Helper()
	scheme := tpm2.TPMTECCScheme{Scheme: tpm2.TPMAlgECDSA, Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgECDSA, &tpm2.TPMSSigSchemeECDSA{HashAlg: tpm2.TPMAlgSHA256})}
	ak := primary(t, c, tpm2.TPMRHEndorsement, tpm2.TPMTPublic{
		Type: tpm2.TPMAlgECC, NameAlg: tpm2.TPMAlgSHA256,
		ObjectAttributes: tpm2.TPMAObject{FixedTPM: true, FixedParent: true, SensitiveDataOrigin: true, UserWithAuth: true, Restricted: true, SignEncrypt: true},
		Parameters:       tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &tpm2.TPMSECCParms{Scheme: scheme, CurveID: tpm2.TPMECCNistP256}),
	})
	rsp, err := tpm2.Quote{
		SignHandle:     tpm2.AuthHandle{Handle: ak.ObjectHandle, Name: ak.Name, Auth: tpm2.PasswordAuth(nil)},
		QualifyingData: tpm2.TPM2BData{Buffer: []byte("nonce")},
		InScheme:       tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgNull},
		PCRSelect:      pcr10,
	}.Execute(c)
	require.NoError(t, err)
	attest, err := rsp.Quoted.Contents()
	require.NoError(t, err)
	assert.Equal(t, []byte("nonce"), attest.ExtraData.Buffer)
	quote, err := attest.Attested.Quote()
	require.NoError(t, err)
	assert.Equal(t, pcr10, quote.PCRSelect)
	forget(t, c, ak.ObjectHandle)
}
