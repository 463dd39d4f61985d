package cases

import (
	"bytes"
	"crypto/sha256"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/conform"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// Attributes of objects, all without dictionary attack protection.
const (
	fixed   = wire.ObjectFixedTPM | wire.ObjectFixedParent
	made    = fixed | wire.ObjectOrigin | wire.ObjectUserWithAuth | wire.ObjectNoDA
	storage = made | wire.ObjectRestricted | wire.ObjectDecrypt
	signing = made | wire.ObjectSign
	sealing = fixed | wire.ObjectUserWithAuth | wire.ObjectNoDA
	// outside are those of an object that LoadExternal loads with its sensitive area.
	outside = wire.ObjectUserWithAuth | wire.ObjectNoDA
)

// Details of public areas (TPMU_PUBLIC_PARMS).
var (
	aes128CFB   = join{alg(tpm2.TPMAlgAES), u16(128), alg(tpm2.TPMAlgCFB)}
	noAlg       = alg(tpm2.TPMAlgNull)
	eccStorage  = join{aes128CFB, noAlg, conform.U16(tpm2.TPMECCNistP256), noAlg}
	eccAny      = join{noAlg, noAlg, conform.U16(tpm2.TPMECCNistP256), noAlg}
	ecdsaSHA256 = join{noAlg, alg(tpm2.TPMAlgECDSA), alg(tpm2.TPMAlgSHA256), conform.U16(tpm2.TPMECCNistP256), noAlg}
	rsaAny      = join{noAlg, noAlg, u16(2048), u32(0)}
	hmacSHA256  = join{alg(tpm2.TPMAlgHMAC), alg(tpm2.TPMAlgSHA256)}
)

// public is a TPM2B_PUBLIC with SHA-256 as nameAlg.
func public(kind tpm2.TPMAlgID, attributes uint32, policy conform.Part, details conform.Part, unique conform.Part) sized {
	return sized{alg(kind), alg(tpm2.TPMAlgSHA256), u32(attributes), policy, details, unique}
}

// eccPublic is a template of an ECC key without a policy.
func eccPublic(attributes uint32, details conform.Part) sized {
	return public(tpm2.TPMAlgECC, attributes, empty, details, join{empty, empty})
}

// sensitive is a TPM2B_SENSITIVE_CREATE.
func sensitive(auth, data string) sized { return sized{conform.Text(auth), conform.Text(data)} }

// createPrimary makes a primary object.
func createPrimary(hierarchy conform.Part, auth string, template conform.Part) conform.Step {
	return do(tpm2.TPMCCCreatePrimary, hierarchy).With(sensitive(auth, ""), template, empty, u32(0)).Giving(auth)
}

// create makes an object below a parent.
func create(parent conform.Part, auth, data string, template conform.Part) conform.Step {
	return do(tpm2.TPMCCCreate, parent).With(sensitive(auth, data), template, empty, u32(0))
}

// load loads the object that the step with a label has made.
func load(parent conform.Part, created, auth string) conform.Step {
	return do(tpm2.TPMCCLoad, parent).With(field{Of: created, N: 1}, field{Of: created, N: 2}).Giving(auth)
}

// external loads a key of the client with its sensitive area.
func external(name string, attributes uint32, details conform.Part, auth string) conform.Step {
	return externalWith(name, attributes, empty, details, auth)
}

// externalWith is external with a policy.
func externalWith(name string, attributes uint32, policy, details conform.Part, auth string) conform.Step {
	k := conversation.KeyNamed(name)
	seed, unique := []byte(nil), []byte(nil)
	if k.Asymmetric() {
		unique = k.Unique()
	} else {
		seed = bytes.Repeat([]byte{0x5e}, sha256.Size)
		digest := sha256.Sum256(append(bytes.Clone(seed), k.Secret...))
		unique = wire.Sized(digest[:])
	}
	private := sized{alg(k.Kind), conform.Text(auth), conform.Bytes(seed), conform.Bytes(k.Secret)}
	return do(tpm2.TPMCCLoadExternal).With(private, public(k.Kind, attributes, policy, details, raw(unique)), null).Giving(auth)
}

// signStart starts a sequence that signs with a key, and verifyStart one that verifies.
func signStart(key string, context []byte) conform.Step {
	return do(wire.CCSignSequenceStart, handle(key)).With(empty, conform.Bytes(context)).Named("sequence")
}

func verifyStart(key string, context []byte) conform.Step { return verifyWith(key, empty, context) }

// verifyWith is verifyStart with a hint.
func verifyWith(key string, hint conform.Part, context []byte) conform.Step {
	return do(wire.CCVerifySequenceStart, handle(key)).With(empty, hint, conform.Bytes(context)).Named("sequence")
}

// fixtures are objects that many cases use. All are in the null hierarchy, so that they
// need no authorization of an owner.
func fixtures() []conform.Fixture {
	return []conform.Fixture{
		// A parent.
		{Name: "@storage", Step: createPrimary(null, "", eccPublic(storage, eccStorage))},
		// Keys of the client.
		{Name: "@ecc", Step: external("p256", outside|wire.ObjectSign|wire.ObjectDecrypt, eccAny, "")},
		{Name: "@rsa", Step: external("rsa", outside|wire.ObjectSign|wire.ObjectDecrypt, rsaAny, "")},
		{Name: "@hmac", Step: external("hmac", outside|wire.ObjectSign, hmacSHA256, "")},
		{Name: "@aes", Step: external("aes128", outside|wire.ObjectSign|wire.ObjectDecrypt, aes128CFB, "")},
		// A key that attests, with a fixed scheme.
		{Name: "@attest", Step: createPrimary(null, "", eccPublic(signing|wire.ObjectRestricted, ecdsaSHA256))},
		// A key with an authorization value.
		{Name: "@secret", Step: external("hmac", outside|wire.ObjectSign, hmacSHA256, "secret")},
	}
}
