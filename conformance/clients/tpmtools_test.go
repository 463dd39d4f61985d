package clients_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"math/big"
	"testing"

	"github.com/google/go-tpm-tools/client"
	attestpb "github.com/google/go-tpm-tools/proto/attest"
	tpmpb "github.com/google/go-tpm-tools/proto/tpm"
	"github.com/google/go-tpm-tools/quote"
	legacy "github.com/google/go-tpm/legacy/tpm2"
	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/emulatortest"
)

// loaded hands a key of go-tpm-tools to a test, and closes it after it.
func loaded(t *testing.T) func(*client.Key, error) *client.Key {
	return func(key *client.Key, err error) *client.Key {
		t.Helper()
		require.NoError(t, err)
		t.Cleanup(key.Close)
		return key
	}
}

// TestToolsAttest has both kinds of attestation key sign all banks.
func TestToolsAttest(t *testing.T) {
	each(t, func(t *testing.T, tpm *emulatortest.Channel) {
		extend(t, tpm, 10, "measured")
		for name, make := range map[string]func() (*client.Key, error){
			"RSA": func() (*client.Key, error) { return client.AttestationKeyRSA(tpm) },
			"ECC": func() (*client.Key, error) { return client.AttestationKeyECC(tpm) },
		} {
			t.Run(name, func(t *testing.T) {
				ak := loaded(t)(make())
				nonce := []byte("nonce")
				attestation, err := ak.Attest(client.AttestOpts{Nonce: nonce, TCGEventLog: []byte("log"), SkipTeeAttestation: true})
				require.NoError(t, err)
				assert.Equal(t, []byte("log"), attestation.GetEventLog())
				verify(t, attestation, ak.PublicKey(), nonce)
			})
		}
	})
}

// verify is the part of an attestation service.
func verify(t *testing.T, attestation *attestpb.Attestation, key crypto.PublicKey, nonce []byte) {
	t.Helper()
	banks := map[tpmpb.HashAlgo]int{}
	for _, q := range attestation.GetQuotes() {
		banks[q.GetPcrs().GetHash()] = len(q.GetPcrs().GetPcrs())
		if q.GetPcrs().GetHash() == tpmpb.HashAlgo_SHA1 {
			continue // quote.Verify takes no SHA-1
		}
		assert.NoError(t, quote.Verify(q, key, nonce))
		assert.Error(t, quote.Verify(q, key, []byte("another nonce")))
		q.GetPcrs().GetPcrs()[10][0] ^= 1
		assert.Error(t, quote.Verify(q, key, nonce), "a changed PCR")
	}
	assert.Equal(t, 24, banks[tpmpb.HashAlgo_SHA256])
	assert.Equal(t, 24, banks[tpmpb.HashAlgo_SHA384])
}

// TestToolsSeal seals to PCRs, to their values of now and of later.
func TestToolsSeal(t *testing.T) {
	each(t, func(t *testing.T, tpm *emulatortest.Channel) {
		sel := legacy.PCRSelection{Hash: legacy.AlgSHA256, PCRs: []int{7, 16}}
		secret := []byte("secret password")
		srk := loaded(t)(client.StorageRootKeyECC(tpm))
		now, err := srk.Seal(secret, client.SealOpts{Current: sel})
		require.NoError(t, err)
		got, err := srk.Unseal(now, client.UnsealOpts{CertifyCurrent: sel})
		require.NoError(t, err)
		assert.Equal(t, secret, got)

		digest := sha256.Sum256([]byte("measured"))
		later := sha256.Sum256(append(make([]byte, sha256.Size), digest[:]...))
		target := &tpmpb.PCRs{Hash: tpmpb.HashAlgo_SHA256, Pcrs: map[uint32][]byte{16: later[:]}}
		then, err := srk.Seal(secret, client.SealOpts{Target: target})
		require.NoError(t, err)
		_, err = srk.Unseal(then, client.UnsealOpts{})
		assert.Error(t, err, "not yet")
		extend(t, tpm, 16, "measured")
		got, err = srk.Unseal(then, client.UnsealOpts{})
		require.NoError(t, err)
		assert.Equal(t, secret, got)
		_, err = srk.Unseal(now, client.UnsealOpts{})
		assert.ErrorContains(t, err, "a policy check failed")

		again, err := srk.Reseal(then, client.UnsealOpts{}, client.SealOpts{Current: sel})
		require.NoError(t, err)
		got, err = srk.Unseal(again, client.UnsealOpts{CertifyCurrent: sel})
		require.NoError(t, err)
		assert.Equal(t, secret, got)
	})
}

// TestToolsImport has the endorsement keys import what was made for them.
func TestToolsImport(t *testing.T) {
	each(t, func(t *testing.T, tpm *emulatortest.Channel) {
		for name, make := range map[string]func() (*client.Key, error){
			"EK RSA":  func() (*client.Key, error) { return client.EndorsementKeyRSA(tpm) },
			"EK ECC":  func() (*client.Key, error) { return client.EndorsementKeyECC(tpm) },
			"SRK RSA": func() (*client.Key, error) { return client.StorageRootKeyRSA(tpm) },
		} {
			t.Run(name, func(t *testing.T) {
				key := loaded(t)(make())
				area, err := key.PublicArea().Encode()
				require.NoError(t, err)
				parent, err := tpm2.Unmarshal[tpm2.TPMTPublic](area)
				require.NoError(t, err)
				secret := []byte("wrapped elsewhere")
				public, duplicate, seed := wrapped(t, parent, secret)
				blob := &tpmpb.ImportBlob{PublicArea: tpm2.Marshal(public), Duplicate: duplicate, EncryptedSeed: seed}
				got, err := key.Import(blob)
				require.NoError(t, err)
				assert.Equal(t, secret, got)
				blob.Duplicate[0] ^= 1
				_, err = key.Import(blob)
				assert.Error(t, err)
			})
		}
	})
}

// TestToolsEndorsementCertificate finds the certificate of an endorsement key in
// its NV index, and the key itself persistent.
func TestToolsEndorsementCertificate(t *testing.T) {
	each(t, func(t *testing.T, tpm *emulatortest.Channel) {
		bare := loaded(t)(client.EndorsementKeyECC(tpm))
		assert.Nil(t, bare.Cert())
		der := certificate(t, bare.PublicKey())
		attributes := legacy.AttrOwnerRead | legacy.AttrOwnerWrite | legacy.AttrAuthRead
		require.NoError(t, legacy.NVDefineSpace(tpm, legacy.HandleOwner, 0x1c0000a, "", "", nil, attributes, uint16(len(der))))
		require.NoError(t, legacy.NVWrite(tpm, legacy.HandleOwner, 0x1c0000a, "", der, 0))

		ek := loaded(t)(client.EndorsementKeyECC(tpm))
		assert.Equal(t, der, ek.CertDERBytes())
		assert.Equal(t, client.EKECCReservedHandle, ek.Handle(), "the second time it is there already")
		handles, err := client.Handles(tpm, legacy.HandleTypePersistent)
		require.NoError(t, err)
		assert.Contains(t, handles, client.EKECCReservedHandle)
	})
}

// certificate is a certificate for a key, signed by nobody in particular.
func certificate(t *testing.T, key crypto.PublicKey) []byte {
	t.Helper()
	authority, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key, authority)
	require.NoError(t, err)
	return der
}

// TestToolsSigner signs through crypto.Signer.
func TestToolsSigner(t *testing.T) {
	each(t, func(t *testing.T, tpm *emulatortest.Channel) {
		key := loaded(t)(client.NewKey(tpm, legacy.HandleOwner, legacy.Public{
			Type: legacy.AlgECC, NameAlg: legacy.AlgSHA256,
			Attributes: legacy.FlagSign | legacy.FlagFixedTPM | legacy.FlagFixedParent | legacy.FlagSensitiveDataOrigin | legacy.FlagUserWithAuth,
			ECCParameters: &legacy.ECCParams{
				CurveID: legacy.CurveNISTP256, Sign: &legacy.SigScheme{Alg: legacy.AlgECDSA, Hash: legacy.AlgSHA256},
			},
		}))
		signer, err := key.GetSigner()
		require.NoError(t, err)
		digest := sha256.Sum256([]byte("message"))
		signature, err := signer.Sign(nil, digest[:], crypto.SHA256)
		require.NoError(t, err)
		assert.True(t, ecdsa.VerifyASN1(signer.Public().(*ecdsa.PublicKey), digest[:], signature))
	})
}
