package emulator_test

import (
	"bytes"
	"crypto"
	"crypto/hmac"
	"crypto/mlkem"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"filippo.io/mldsa"
	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

const (
	madeHere = wire.ObjectSensitiveDataOrigin | wire.ObjectUserWithAuth // by its authValue, which is empty here
	ofOneTPM = wire.ObjectFixedTPM | wire.ObjectFixedParent
)

var (
	mlkemStorage = wire.PublicParms{
		Type: wire.AlgMLKEM, MLKEM: wire.MLKEM768,
		Sym: wire.SymDef{Alg: wire.AlgAES, KeyBits: 128, Mode: wire.AlgCFB},
	}
	// An endorsement key is a storage key: it takes credentials, salts and duplicates.
	endorsementKey = wire.Public{
		NameAlg: wire.AlgSHA256, Parms: mlkemStorage,
		Attributes: madeHere | ofOneTPM | wire.ObjectRestricted | wire.ObjectDecrypt,
	}
	// An attestation key signs what the TPM says, and no message that looks like it.
	attestationKey = wire.Public{
		NameAlg: wire.AlgSHA256, Parms: wire.PublicParms{Type: wire.AlgMLDSA, MLDSA: wire.MLDSA65},
		Attributes: madeHere | ofOneTPM | wire.ObjectRestricted | wire.ObjectSignEncrypt,
	}
	// A key that may leave its TPM by the command of its policy.
	movableKey = wire.Public{
		NameAlg: wire.AlgSHA256, Parms: wire.PublicParms{Type: wire.AlgMLDSA, MLDSA: wire.MLDSA65},
		Attributes: madeHere | wire.ObjectSignEncrypt,
	}
)

// template is a public area for go-tpm, which has no type for its parameters.
func template(p *wire.Public) tpm2.TPM2BPublic {
	var w wire.Writer
	w.Public(p)
	return tpm2.BytesAs2B[tpm2.TPMTPublic](w.Data())
}

// unique returns the end of a public area: the public key of FIPS 203 or FIPS 204.
func unique(public tpm2.TPM2BPublic, size int) []byte {
	area := public.Bytes()
	return area[len(area)-size:]
}

// kem768 is an ML-KEM-768 storage key outside of its TPM, for tpm2.CreateCredential,
// tpm2.CreateDuplicate and tpm2.CreateEncryptedSalt.
type kem768 struct{ public []byte }

// Encapsulate is the Labeled KEM of version 185 (Part 1, section 47.4).
func (k kem768) Encapsulate(_ io.Reader, label string) (secret, ciphertext []byte, err error) {
	key, err := mlkem.NewEncapsulationKey768(k.public)
	if err != nil {
		return nil, nil, err
	}
	shared, ciphertext := key.Encapsulate()
	return tpm2.KDFa(crypto.SHA256, shared, label, ciphertext, k.public, 256), ciphertext, nil
}

func (kem768) NameAlg() tpm2.TPMAlgID { return tpm2.TPMAlgSHA256 }

func (kem768) SymmetricParameters() *tpm2.TPMTSymDefObject {
	return &tpm2.TPMTSymDefObject{
		Algorithm: tpm2.TPMAlgAES,
		KeyBits:   tpm2.NewTPMUSymKeyBits(tpm2.TPMAlgAES, tpm2.TPMKeyBits(128)),
		Mode:      tpm2.NewTPMUSymMode(tpm2.TPMAlgAES, tpm2.TPMAlgCFB),
	}
}

// quoteInSession is TPM2_Quote in a session that is salted with an ML-KEM key. Whoever
// answers has that key: the response has an HMAC with what the salt came to.
func quoteInSession(tpm transport.TPM, saltKey tpm2.TPMHandle, kem kem768, quote tpm2.Quote) (attested, signature []byte, err error) {
	salt, encrypted, err := tpm2.CreateEncryptedSalt(rand.Reader, kem)
	if err != nil {
		return nil, nil, err
	}
	nonce := make([]byte, 16)
	rand.Read(nonce)
	session, err := tpm2.StartAuthSession{
		TPMKey: saltKey, EncryptedSalt: tpm2.TPM2BEncryptedSecret{Buffer: encrypted}, Bind: tpm2.TPMRHNull,
		NonceCaller: tpm2.TPM2BNonce{Buffer: nonce}, SessionType: tpm2.TPMSEHMAC,
		Symmetric: tpm2.TPMTSymDef{Algorithm: tpm2.TPMAlgNull}, AuthHash: tpm2.TPMAlgSHA256,
	}.Execute(tpm)
	if err != nil {
		return nil, nil, err
	}
	sessionKey := tpm2.KDFa(crypto.SHA256, salt, "ATH", session.NonceTPM.Buffer, nonce, 256)
	mac := func(hashed, newer, older []byte, attributes byte) []byte {
		digest := sha256.Sum256(hashed)
		m := hmac.New(sha256.New, sessionKey)
		m.Write(slices.Concat(digest[:], newer, older, []byte{attributes}))
		return m.Sum(nil)
	}

	command, err := tpm2.MarshalCommand(quote) // its code, the Name of its key, its parameters
	if err != nil {
		return nil, nil, err
	}
	parameters := command[4+len(quote.SignHandle.KnownName().Buffer):]
	response, err := tpm.Send(emulatortest.CommandWithSessions(wire.CCQuote,
		[]wire.Handle{wire.Handle(quote.SignHandle.HandleValue())},
		[]wire.AuthCommand{{Session: wire.Handle(session.SessionHandle), Nonce: nonce, HMAC: mac(command, nonce, session.NonceTPM.Buffer, 0)}},
		parameters))
	if err != nil {
		return nil, nil, err
	}
	if rc := emulatortest.ResponseCode(response); rc != wire.RCSuccess {
		return nil, nil, rc
	}
	parameters = emulatortest.Parameters(response, false)
	r := wire.NewReader(response[10+4+len(parameters):], nil)
	nonceTPM, attributes, hmacTPM := r.Sized(32), r.U8(), r.Sized(32)
	said := slices.Concat(emulatortest.U32(0), emulatortest.U32(uint32(wire.CCQuote)), parameters)
	if !hmac.Equal(hmacTPM, mac(said, nonceTPM, nonce, attributes)) {
		return nil, nil, errors.New("the response is not that of the TPM with the endorsement key")
	}
	r = wire.NewReader(parameters, nil)
	attested = r.Sized(len(parameters))
	alg := wire.AlgID(r.U16())
	signature = r.Sized(len(parameters))
	if alg != wire.AlgMLDSA || r.RC() != wire.RCSuccess {
		return nil, nil, errors.New("the response has no ML-DSA signature")
	}
	return attested, signature, nil
}

// A TPM proves with post-quantum keys what it has measured. Its endorsement key is of
// ML-KEM-768 and takes a credential for its attestation key, which is of ML-DSA-65 and signs
// a quote; then a key of another TPM is moved into it. The verifier uses go-tpm, crypto/mlkem
// and filippo.io/mldsa.
func Example_postQuantumAttestation() {
	t := &testing.T{} // in a test, its own t
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	profile, err := emulator.ProfileByName("v185")
	must(err)
	v185 := emulatortest.WithConfig(profile.Config)
	tpm := emulatortest.New(t, v185).Client()

	// The TPM has two keys, of which the verifier has the public areas.
	ek, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHEndorsement, InPublic: template(&endorsementKey)}.Execute(tpm)
	must(err)
	ak, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHEndorsement, InPublic: template(&attestationKey)}.Execute(tpm)
	must(err)
	kem := kem768{unique(ek.OutPublic, mlkem.EncapsulationKeySize768)}
	public, err := mldsa.NewPublicKey(mldsa.MLDSA65(), unique(ak.OutPublic, mldsa.MLDSA65().PublicKeySize()))
	must(err)

	// Only a TPM that has both keys reads the credential.
	blob, secret, err := tpm2.CreateCredential(rand.Reader, kem, ak.Name.Buffer, []byte("welcome"))
	must(err)
	credential, err := tpm2.ActivateCredential{
		ActivateHandle: tpm2.NamedHandle{Handle: ak.ObjectHandle, Name: ak.Name},
		KeyHandle:      tpm2.NamedHandle{Handle: ek.ObjectHandle, Name: ek.Name},
		CredentialBlob: tpm2.TPM2BIDObject{Buffer: blob}, Secret: tpm2.TPM2BEncryptedSecret{Buffer: secret},
	}.Execute(tpm)
	must(err)
	fmt.Printf("credential: %s\n", credential.CertInfo.Buffer)

	// The verifier asks for PCR 10 with a nonce, and checks signature, nonce and PCR.
	event := sha256.Sum256([]byte("/sbin/init"))
	_, err = tpm2.PCRExtend{
		PCRHandle: tpm2.AuthHandle{Handle: tpm2.TPMHandle(10), Auth: tpm2.PasswordAuth(nil)},
		Digests:   tpm2.TPMLDigestValues{Digests: []tpm2.TPMTHA{{HashAlg: tpm2.TPMAlgSHA256, Digest: event[:]}}},
	}.Execute(tpm)
	must(err)
	attested, signature, err := quoteInSession(tpm, ek.ObjectHandle, kem, tpm2.Quote{
		SignHandle:     tpm2.NamedHandle{Handle: ak.ObjectHandle, Name: ak.Name},
		QualifyingData: tpm2.TPM2BData{Buffer: []byte("nonce")},
		InScheme:       tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgNull}, // the key has one
		PCRSelect: tpm2.TPMLPCRSelection{PCRSelections: []tpm2.TPMSPCRSelection{
			{Hash: tpm2.TPMAlgSHA256, PCRSelect: tpm2.PCClientCompatible.PCRs(10)}}},
	})
	must(err)
	must(mldsa.Verify(public, attested, signature, nil)) // the message is the TPMS_ATTEST, not a digest of it
	attest, err := tpm2.Unmarshal[tpm2.TPMSAttest](attested)
	must(err)
	quote, err := attest.Attested.Quote()
	must(err)
	pcr10 := sha256.Sum256(append(make([]byte, 32), event[:]...))
	digest := sha256.Sum256(pcr10[:])
	fmt.Printf("quote: %d bytes of signature, for the %s, PCR 10 as expected: %t\n",
		len(signature), attest.ExtraData.Buffer, bytes.Equal(digest[:], quote.PCRDigest.Buffer))

	// Another TPM duplicates a key to the endorsement key, of which it has the public area.
	policy, err := tpm2.NewPolicyCalculator(tpm2.TPMAlgSHA256)
	must(err)
	byCommand := tpm2.PolicyCommandCode{Code: tpm2.TPMCCDuplicate}
	must(byCommand.Update(policy))
	movableKey.AuthPolicy = policy.Hash().Digest
	other := emulatortest.New(t, v185).Client()
	moved, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: template(&movableKey)}.Execute(other)
	must(err)
	parent, err := tpm2.LoadExternal{InPublic: ek.OutPublic, Hierarchy: tpm2.TPMRHNull}.Execute(other)
	must(err)
	duplicate, err := tpm2.Duplicate{
		ObjectHandle: tpm2.AuthHandle{Handle: moved.ObjectHandle, Name: moved.Name, Auth: tpm2.Policy(tpm2.TPMAlgSHA256, 16,
			func(tpm transport.TPM, session tpm2.TPMISHPolicy, _ tpm2.TPM2BNonce) error {
				_, err := tpm2.PolicyCommandCode{PolicySession: session, Code: tpm2.TPMCCDuplicate}.Execute(tpm)
				return err
			})},
		NewParentHandle: tpm2.NamedHandle{Handle: parent.ObjectHandle, Name: parent.Name},
		Symmetric:       tpm2.TPMTSymDef{Algorithm: tpm2.TPMAlgNull},
	}.Execute(other)
	must(err)
	imported, err := tpm2.Import{
		ParentHandle: tpm2.NamedHandle{Handle: ek.ObjectHandle, Name: ek.Name},
		ObjectPublic: moved.OutPublic, Duplicate: duplicate.Duplicate, InSymSeed: duplicate.OutSymSeed,
		Symmetric: tpm2.TPMTSymDef{Algorithm: tpm2.TPMAlgNull},
	}.Execute(tpm)
	must(err)
	loaded, err := tpm2.Load{
		ParentHandle: tpm2.NamedHandle{Handle: ek.ObjectHandle, Name: ek.Name},
		InPrivate:    imported.OutPrivate, InPublic: moved.OutPublic,
	}.Execute(tpm)
	must(err)
	fmt.Println("the key of the other TPM is here:", bytes.Equal(loaded.Name.Buffer, moved.Name.Buffer))
	// Output:
	// credential: welcome
	// quote: 3309 bytes of signature, for the nonce, PCR 10 as expected: true
	// the key of the other TPM is here: true
}
