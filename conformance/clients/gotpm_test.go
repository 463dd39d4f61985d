package clients_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"math/big"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/emulatortest"
)

// attestationKey is the public area of a restricted signing key.
var attestationKey = tpm2.TPMTPublic{
	Type:    tpm2.TPMAlgECC,
	NameAlg: tpm2.TPMAlgSHA256,
	ObjectAttributes: tpm2.TPMAObject{
		FixedTPM: true, FixedParent: true, SensitiveDataOrigin: true,
		UserWithAuth: true, NoDA: true, Restricted: true, SignEncrypt: true,
	},
	Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &tpm2.TPMSECCParms{
		CurveID: tpm2.TPMECCNistP256,
		Scheme: tpm2.TPMTECCScheme{
			Scheme:  tpm2.TPMAlgECDSA,
			Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgECDSA, &tpm2.TPMSSigSchemeECDSA{HashAlg: tpm2.TPMAlgSHA256}),
		},
	}),
}

// object is a loaded object.
type object struct {
	tpm2.NamedHandle
	public *tpm2.TPMTPublic
}

// with authorizes the use of an object.
func (o object) with(session tpm2.Session) tpm2.AuthHandle {
	return tpm2.AuthHandle{Handle: o.Handle, Name: o.Name, Auth: session}
}

// primary makes a primary key for as long as the test runs.
func primary(t *testing.T, tpm transport.TPM, hierarchy tpm2.TPMHandle, template tpm2.TPMTPublic) object {
	t.Helper()
	rsp, err := tpm2.CreatePrimary{PrimaryHandle: hierarchy, InPublic: tpm2.New2B(template)}.Execute(tpm)
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := tpm2.FlushContext{FlushHandle: rsp.ObjectHandle}.Execute(tpm)
		assert.NoError(t, err)
	})
	public, err := rsp.OutPublic.Contents()
	require.NoError(t, err)
	name, err := tpm2.ObjectName(public)
	require.NoError(t, err)
	assert.Equal(t, *name, rsp.Name, "the TPM's name of the object is go-tpm's")
	return object{tpm2.NamedHandle{Handle: rsp.ObjectHandle, Name: rsp.Name}, public}
}

// ecdsaKey is a public area as crypto/ecdsa wants it.
func ecdsaKey(t *testing.T, public *tpm2.TPMTPublic) *ecdsa.PublicKey {
	t.Helper()
	key, err := tpm2.Pub(*public)
	require.NoError(t, err)
	require.IsType(t, &ecdsa.PublicKey{}, key)
	return key.(*ecdsa.PublicKey)
}

// signed takes an attestation apart, once the signature has been verified.
func signed(t *testing.T, key *ecdsa.PublicKey, attest tpm2.TPM2BAttest, signature tpm2.TPMTSignature) *tpm2.TPMSAttest {
	t.Helper()
	ecc, err := signature.Signature.ECDSA()
	require.NoError(t, err)
	digest := sha256.Sum256(attest.Bytes())
	r, s := new(big.Int).SetBytes(ecc.SignatureR.Buffer), new(big.Int).SetBytes(ecc.SignatureS.Buffer)
	assert.True(t, ecdsa.Verify(key, digest[:], r, s))
	contents, err := attest.Contents()
	require.NoError(t, err)
	assert.Equal(t, tpm2.TPMGeneratedValue, contents.Magic)
	return contents
}

var ecdsaSHA256 = tpm2.TPMTSigScheme{
	Scheme:  tpm2.TPMAlgECDSA,
	Details: tpm2.NewTPMUSigScheme(tpm2.TPMAlgECDSA, &tpm2.TPMSSchemeHash{HashAlg: tpm2.TPMAlgSHA256}),
}

func extend(t *testing.T, tpm transport.TPM, pcr uint32, event string) {
	t.Helper()
	digest := sha256.Sum256([]byte(event))
	_, err := tpm2.PCRExtend{
		PCRHandle: tpm2.AuthHandle{Handle: tpm2.TPMHandle(pcr), Auth: tpm2.PasswordAuth(nil)},
		Digests:   tpm2.TPMLDigestValues{Digests: []tpm2.TPMTHA{{HashAlg: tpm2.TPMAlgSHA256, Digest: digest[:]}}},
	}.Execute(tpm)
	require.NoError(t, err)
}

func selection(pcrs ...uint) tpm2.TPMLPCRSelection {
	return tpm2.TPMLPCRSelection{PCRSelections: []tpm2.TPMSPCRSelection{{
		Hash: tpm2.TPMAlgSHA256, PCRSelect: tpm2.PCClientCompatible.PCRs(pcrs...),
	}}}
}

// pcrDigest is the digest of PCRs that a quote and a policy have.
func pcrDigest(t *testing.T, tpm transport.TPM, pcrs ...uint) []byte {
	t.Helper()
	rsp, err := tpm2.PCRRead{PCRSelectionIn: selection(pcrs...)}.Execute(tpm)
	require.NoError(t, err)
	require.Len(t, rsp.PCRValues.Digests, len(pcrs))
	h := sha256.New()
	for _, value := range rsp.PCRValues.Digests {
		h.Write(value.Buffer)
	}
	return h.Sum(nil)
}

// TestEndorsementKeys makes the keys of the TCG's templates twice.
func TestEndorsementKeys(t *testing.T) {
	each(t, func(t *testing.T, tpm *emulatortest.Channel) {
		for _, template := range []tpm2.TPMTPublic{tpm2.RSAEKTemplate, tpm2.ECCEKTemplate} {
			first := primary(t, tpm, tpm2.TPMRHEndorsement, template)
			rsp, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHEndorsement, InPublic: tpm2.New2B(template)}.Execute(tpm)
			require.NoError(t, err)
			assert.Equal(t, first.Name, rsp.Name)
			_, err = tpm2.FlushContext{FlushHandle: rsp.ObjectHandle}.Execute(tpm)
			require.NoError(t, err)
		}
	})
}

// TestSealToPCR seals to a PCR, unseals, and extends it.
func TestSealToPCR(t *testing.T) {
	each(t, func(t *testing.T, tpm *emulatortest.Channel) {
		extend(t, tpm, 16, "measured")
		policy, err := tpm2.NewPolicyCalculator(tpm2.TPMAlgSHA256)
		require.NoError(t, err)
		require.NoError(t, policy.Update(tpm2.TPMCCPolicyPCR, selection(16), pcrDigest(t, tpm, 16)))

		srk := primary(t, tpm, tpm2.TPMRHOwner, tpm2.ECCSRKTemplate)
		secret := []byte("the sealed bytes")
		created, err := tpm2.Create{
			ParentHandle: srk.with(tpm2.HMAC(tpm2.TPMAlgSHA256, 16, tpm2.AESEncryption(128, tpm2.EncryptInOut), tpm2.Salted(srk.Handle, *srk.public))),
			InSensitive: tpm2.TPM2BSensitiveCreate{Sensitive: &tpm2.TPMSSensitiveCreate{
				Data: tpm2.NewTPMUSensitiveCreate(&tpm2.TPM2BSensitiveData{Buffer: secret}),
			}},
			InPublic: tpm2.New2B(tpm2.TPMTPublic{
				Type: tpm2.TPMAlgKeyedHash, NameAlg: tpm2.TPMAlgSHA256,
				ObjectAttributes: tpm2.TPMAObject{FixedTPM: true, FixedParent: true, NoDA: true},
				AuthPolicy:       tpm2.TPM2BDigest{Buffer: policy.Hash().Digest},
			}),
		}.Execute(tpm)
		require.NoError(t, err)
		loaded, err := tpm2.Load{ParentHandle: srk.with(tpm2.PasswordAuth(nil)), InPrivate: created.OutPrivate, InPublic: created.OutPublic}.Execute(tpm)
		require.NoError(t, err)

		unseal := func() ([]byte, error) {
			assertion := func(tpm transport.TPM, session tpm2.TPMISHPolicy, _ tpm2.TPM2BNonce) error {
				_, err := tpm2.PolicyPCR{PolicySession: session, Pcrs: selection(16)}.Execute(tpm)
				return err
			}
			rsp, err := tpm2.Unseal{ItemHandle: tpm2.AuthHandle{
				Handle: loaded.ObjectHandle, Name: loaded.Name,
				Auth: tpm2.Policy(tpm2.TPMAlgSHA256, 16, assertion, tpm2.AESEncryption(128, tpm2.EncryptOut), tpm2.Salted(srk.Handle, *srk.public)),
			}}.Execute(tpm)
			if err != nil {
				return nil, err
			}
			return rsp.OutData.Buffer, nil
		}
		got, err := unseal()
		require.NoError(t, err)
		assert.Equal(t, secret, got)
		extend(t, tpm, 16, "something else")
		_, err = unseal()
		assert.ErrorIs(t, err, tpm2.TPMRCPolicyFail)
		_, err = tpm2.Unseal{ItemHandle: tpm2.AuthHandle{Handle: loaded.ObjectHandle, Name: loaded.Name, Auth: tpm2.PasswordAuth(nil)}}.Execute(tpm)
		assert.ErrorIs(t, err, tpm2.TPMRCAuthUnavailable)
		_, err = tpm2.FlushContext{FlushHandle: loaded.ObjectHandle}.Execute(tpm)
		require.NoError(t, err)
	})
}

// TestQuoteAndCertify verifies with crypto/ecdsa what a TPM says of its PCRs, its
// keys and its clock.
func TestQuoteAndCertify(t *testing.T) {
	each(t, func(t *testing.T, tpm *emulatortest.Channel) {
		ak := primary(t, tpm, tpm2.TPMRHEndorsement, attestationKey)
		key := ecdsaKey(t, ak.public)
		nonce := tpm2.TPM2BData{Buffer: []byte("nonce")}
		extend(t, tpm, 10, "measured")

		quote, err := tpm2.Quote{SignHandle: ak.with(tpm2.PasswordAuth(nil)), QualifyingData: nonce, InScheme: ecdsaSHA256, PCRSelect: selection(10, 16)}.Execute(tpm)
		require.NoError(t, err)
		attest := signed(t, key, quote.Quoted, quote.Signature)
		assert.Equal(t, nonce, attest.ExtraData)
		quoted, err := attest.Attested.Quote()
		require.NoError(t, err)
		assert.Equal(t, pcrDigest(t, tpm, 10, 16), quoted.PCRDigest.Buffer)

		srk := primary(t, tpm, tpm2.TPMRHOwner, tpm2.ECCSRKTemplate)
		certify, err := tpm2.Certify{
			ObjectHandle: srk.with(tpm2.PasswordAuth(nil)), SignHandle: ak.with(tpm2.HMAC(tpm2.TPMAlgSHA256, 16)), QualifyingData: nonce, InScheme: ecdsaSHA256,
		}.Execute(tpm)
		require.NoError(t, err)
		certified, err := signed(t, key, certify.CertifyInfo, certify.Signature).Attested.Certify()
		require.NoError(t, err)
		assert.Equal(t, srk.Name, certified.Name)

		time, err := tpm2.GetTime{PrivacyAdminHandle: tpm2.TPMRHEndorsement,
			SignHandle: ak.with(tpm2.PasswordAuth(nil)), QualifyingData: nonce, InScheme: ecdsaSHA256}.Execute(tpm)
		require.NoError(t, err)
		told, err := signed(t, key, time.TimeInfo, time.Signature).Attested.Time()
		require.NoError(t, err)
		clock, err := tpm2.ReadClock{}.Execute(tpm)
		require.NoError(t, err)
		assert.GreaterOrEqual(t, clock.CurrentTime.ClockInfo.Clock, told.Time.ClockInfo.Clock)
		assert.Equal(t, clock.CurrentTime.ClockInfo.ResetCount, told.Time.ClockInfo.ResetCount, "the endorsement hierarchy sees the counts as they are")
	})
}

// TestCredentialActivation gives an attestation key a secret through the
// endorsement key, without a TPM on the giving side.
func TestCredentialActivation(t *testing.T) {
	each(t, func(t *testing.T, tpm *emulatortest.Channel) {
		ak := primary(t, tpm, tpm2.TPMRHEndorsement, attestationKey)
		for name, template := range map[string]tpm2.TPMTPublic{"RSA": tpm2.RSAEKTemplate, "ECC": tpm2.ECCEKTemplate} {
			t.Run(name, func(t *testing.T) {
				ek := primary(t, tpm, tpm2.TPMRHEndorsement, template)
				public, err := tpm2.ImportEncapsulationKey(ek.public)
				require.NoError(t, err)
				secret := []byte("a secret")
				credential, encrypted, err := tpm2.CreateCredential(rand.Reader, public, ak.Name.Buffer, secret)
				require.NoError(t, err)

				activate := func(credential []byte) ([]byte, error) {
					assertion := func(tpm transport.TPM, session tpm2.TPMISHPolicy, nonce tpm2.TPM2BNonce) error {
						_, err := tpm2.PolicySecret{
							AuthHandle:    tpm2.AuthHandle{Handle: tpm2.TPMRHEndorsement, Auth: tpm2.PasswordAuth(nil)},
							PolicySession: session, NonceTPM: nonce,
						}.Execute(tpm)
						return err
					}
					rsp, err := tpm2.ActivateCredential{
						ActivateHandle: ak.with(tpm2.PasswordAuth(nil)),
						KeyHandle:      ek.with(tpm2.Policy(tpm2.TPMAlgSHA256, 16, assertion)),
						CredentialBlob: tpm2.TPM2BIDObject{Buffer: credential},
						Secret:         tpm2.TPM2BEncryptedSecret{Buffer: encrypted},
					}.Execute(tpm)
					if err != nil {
						return nil, err
					}
					return rsp.CertInfo.Buffer, nil
				}
				got, err := activate(credential)
				require.NoError(t, err)
				assert.Equal(t, secret, got)
				broken := bytes.Clone(credential)
				broken[len(broken)-1] ^= 1
				_, err = activate(broken)
				assert.ErrorIs(t, err, tpm2.TPMRCIntegrity)
			})
		}
	})
}

// TestNV defines, writes, reads and certifies an index, through an encrypting
// session bound to a key.
func TestNV(t *testing.T) {
	each(t, func(t *testing.T, tpm *emulatortest.Channel) {
		srk := primary(t, tpm, tpm2.TPMRHOwner, tpm2.ECCSRKTemplate)
		auth := []byte("index")
		bound := []tpm2.AuthOption{tpm2.Auth(auth), tpm2.Salted(srk.Handle, *srk.public), tpm2.Bound(srk.Handle, srk.Name, nil)}
		encrypting := tpm2.HMAC(tpm2.TPMAlgSHA256, 16, append(bound, tpm2.AESEncryption(128, tpm2.EncryptIn))...)
		decrypting := tpm2.HMAC(tpm2.TPMAlgSHA256, 16, append(bound, tpm2.AESEncryption(128, tpm2.EncryptOut))...)
		public := tpm2.TPMSNVPublic{
			NVIndex: 0x1500016, NameAlg: tpm2.TPMAlgSHA256, DataSize: 16,
			Attributes: tpm2.TPMANV{AuthRead: true, AuthWrite: true, NoDA: true, NT: tpm2.TPMNTOrdinary},
		}
		_, err := tpm2.NVDefineSpace{AuthHandle: tpm2.TPMRHOwner, Auth: tpm2.TPM2BAuth{Buffer: auth}, PublicInfo: tpm2.New2B(public)}.Execute(tpm)
		require.NoError(t, err)
		name := func() tpm2.TPM2BName {
			rsp, err := tpm2.NVReadPublic{NVIndex: public.NVIndex}.Execute(tpm)
			require.NoError(t, err)
			contents, err := rsp.NVPublic.Contents()
			require.NoError(t, err)
			want, err := tpm2.NVName(contents)
			require.NoError(t, err)
			assert.Equal(t, *want, rsp.NVName)
			return rsp.NVName
		}
		index := tpm2.NamedHandle{Handle: public.NVIndex, Name: name()}
		read := func(auth tpm2.Session) (*tpm2.NVReadResponse, error) {
			return tpm2.NVRead{AuthHandle: tpm2.AuthHandle{Handle: index.Handle, Name: index.Name, Auth: auth}, NVIndex: index, Size: 16}.Execute(tpm)
		}
		_, err = read(decrypting)
		assert.ErrorIs(t, err, tpm2.TPMRCNVUninitialized)
		data := []byte("sixteen bytes!!!")
		_, err = tpm2.NVWrite{AuthHandle: tpm2.AuthHandle{Handle: index.Handle, Name: index.Name, Auth: encrypting}, NVIndex: index, Data: tpm2.TPM2BMaxNVBuffer{Buffer: data}}.Execute(tpm)
		require.NoError(t, err)
		index.Name = name()
		got, err := read(decrypting)
		require.NoError(t, err)
		assert.Equal(t, data, got.Data.Buffer)
		_, err = read(tpm2.PasswordAuth([]byte("wrong")))
		assert.ErrorIs(t, err, tpm2.TPMRCBadAuth)

		ak := primary(t, tpm, tpm2.TPMRHEndorsement, attestationKey)
		certify, err := tpm2.NVCertify{
			SignHandle: ak.with(tpm2.PasswordAuth(nil)),
			AuthHandle: tpm2.AuthHandle{Handle: index.Handle, Name: index.Name, Auth: tpm2.PasswordAuth(auth)},
			NVIndex:    index, InScheme: ecdsaSHA256, Size: 5, Offset: 8,
		}.Execute(tpm)
		require.NoError(t, err)
		certified, err := signed(t, ecdsaKey(t, ak.public), certify.CertifyInfo, certify.Signature).Attested.NV()
		require.NoError(t, err)
		assert.Equal(t, data[8:13], certified.NVContents.Buffer)
		assert.Equal(t, index.Name, certified.IndexName)
	})
}

// TestAuditSession compares the TPM's digest of a session with go-tpm's own.
func TestAuditSession(t *testing.T) {
	each(t, func(t *testing.T, tpm *emulatortest.Channel) {
		ak := primary(t, tpm, tpm2.TPMRHEndorsement, attestationKey)
		session, end, err := tpm2.HMACSession(tpm, tpm2.TPMAlgSHA256, 16, tpm2.AuditExclusive())
		require.NoError(t, err)
		defer func() { assert.NoError(t, end()) }()
		audit, err := tpm2.NewAudit(tpm2.TPMAlgSHA256)
		require.NoError(t, err)
		for _, property := range []uint32{0x100, 0x105} {
			command := tpm2.GetCapability{Capability: tpm2.TPMCapTPMProperties, Property: property, PropertyCount: 1}
			rsp, err := command.Execute(tpm, session)
			require.NoError(t, err)
			require.NoError(t, tpm2.AuditCommand(audit, command, rsp))
		}
		rsp, err := tpm2.GetSessionAuditDigest{
			PrivacyAdminHandle: tpm2.TPMRHEndorsement,
			SignHandle:         ak.with(tpm2.PasswordAuth(nil)), SessionHandle: session.Handle(), InScheme: ecdsaSHA256,
		}.Execute(tpm)
		require.NoError(t, err)
		told, err := signed(t, ecdsaKey(t, ak.public), rsp.AuditInfo, rsp.Signature).Attested.SessionAudit()
		require.NoError(t, err)
		assert.Equal(t, audit.Digest(), told.SessionDigest.Buffer)
		assert.True(t, bool(told.ExclusiveSession))
	})
}

// TestImport wraps bytes for a storage key without a TPM.
func TestImport(t *testing.T) {
	each(t, func(t *testing.T, tpm *emulatortest.Channel) {
		for name, template := range map[string]tpm2.TPMTPublic{"RSA": tpm2.RSASRKTemplate, "ECC": tpm2.ECCSRKTemplate} {
			t.Run(name, func(t *testing.T) {
				srk := primary(t, tpm, tpm2.TPMRHOwner, template)
				secret := []byte("wrapped elsewhere")
				public, duplicate, seed := wrapped(t, srk.public, secret)
				imported, err := tpm2.Import{
					ParentHandle: srk.with(tpm2.PasswordAuth(nil)), ObjectPublic: tpm2.New2B(public),
					Duplicate: tpm2.TPM2BPrivate{Buffer: duplicate}, InSymSeed: tpm2.TPM2BEncryptedSecret{Buffer: seed},
				}.Execute(tpm)
				require.NoError(t, err)
				loaded, err := tpm2.Load{ParentHandle: srk.with(tpm2.PasswordAuth(nil)), InPrivate: imported.OutPrivate, InPublic: tpm2.New2B(public)}.Execute(tpm)
				require.NoError(t, err)
				rsp, err := tpm2.Unseal{ItemHandle: tpm2.NamedHandle{Handle: loaded.ObjectHandle, Name: loaded.Name}}.Execute(tpm)
				require.NoError(t, err)
				assert.Equal(t, secret, rsp.OutData.Buffer)
				_, err = tpm2.FlushContext{FlushHandle: loaded.ObjectHandle}.Execute(tpm)
				require.NoError(t, err)

				duplicate[len(duplicate)-1] ^= 1
				_, err = tpm2.Import{
					ParentHandle: srk.with(tpm2.PasswordAuth(nil)), ObjectPublic: tpm2.New2B(public),
					Duplicate: tpm2.TPM2BPrivate{Buffer: duplicate}, InSymSeed: tpm2.TPM2BEncryptedSecret{Buffer: seed},
				}.Execute(tpm)
				assert.ErrorIs(t, err, tpm2.TPMRCIntegrity)
			})
		}
	})
}

// wrapped makes sealed bytes outside of a TPM, for the parent to import (Part 1,
// "Duplication").
func wrapped(t *testing.T, parent *tpm2.TPMTPublic, secret []byte) (public tpm2.TPMTPublic, duplicate, seed []byte) {
	t.Helper()
	obfuscation := make([]byte, sha256.Size)
	unique := sha256.Sum256(append(bytes.Clone(obfuscation), secret...))
	public = tpm2.TPMTPublic{
		Type: tpm2.TPMAlgKeyedHash, NameAlg: tpm2.TPMAlgSHA256,
		ObjectAttributes: tpm2.TPMAObject{UserWithAuth: true, NoDA: true},
		Parameters:       tpm2.NewTPMUPublicParms(tpm2.TPMAlgKeyedHash, &tpm2.TPMSKeyedHashParms{}),
		Unique:           tpm2.NewTPMUPublicID(tpm2.TPMAlgKeyedHash, &tpm2.TPM2BDigest{Buffer: unique[:]}),
	}
	sensitive := tpm2.TPMTSensitive{
		SensitiveType: tpm2.TPMAlgKeyedHash, SeedValue: tpm2.TPM2BDigest{Buffer: obfuscation},
		Sensitive: tpm2.NewTPMUSensitiveComposite(tpm2.TPMAlgKeyedHash, &tpm2.TPM2BSensitiveData{Buffer: secret}),
	}
	key, err := tpm2.ImportEncapsulationKey(parent)
	require.NoError(t, err)
	name, err := tpm2.ObjectName(&public)
	require.NoError(t, err)
	duplicate, seed, err = tpm2.CreateDuplicate(rand.Reader, key, name.Buffer, tpm2.Marshal(sensitive))
	require.NoError(t, err)
	return public, duplicate, seed
}
