package cases

import (
	"bytes"
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/conform"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// creating are the parameters of Create and CreatePrimary.
func creating(auth, data any, template conform.Part) join {
	return with(sized(with(auth, data)), template, empty, u32(0))
}

// sealedArea is a template of sealed data.
func sealedArea(attributes uint32) sized {
	return public(tpm2.TPMAlgKeyedHash, attributes, empty, noScheme, empty)
}

// keyedHash is a template of a keyed hash.
func keyedHash(attributes uint32, details conform.Part) sized {
	return public(tpm2.TPMAlgKeyedHash, attributes, empty, details, empty)
}

// rsaPublic is a template of an RSA key.
func rsaPublic(attributes uint32, details conform.Part) sized {
	return public(tpm2.TPMAlgRSA, attributes, empty, details, empty)
}

// cipherPublic is a template of a symmetric key.
func cipherPublic(attributes uint32, details conform.Part) sized {
	return public(tpm2.TPMAlgSymCipher, attributes, empty, details, empty)
}

// Uses of keys.
const (
	signs      = wire.ObjectSign
	decrypts   = wire.ObjectDecrypt
	restricted = wire.ObjectRestricted
	parental   = restricted | decrypts
)

func eccSHA384() conform.Join {
	return with(tpm2.TPMAlgNull, tpm2.TPMAlgECDSA, tpm2.TPMAlgSHA384, tpm2.TPMECCNistP256, tpm2.TPMAlgNull)
}

// templateRefusal is a template that Create refuses.
type templateRefusal struct {
	what       string
	auth, data any
	template   conform.Part
	want       []tpm2.TPMRC
}

// templateRefusals are templates that Create and CreatePrimary refuse alike.
func templateRefusals() []templateRefusal {
	return []templateRefusal{
		{"of sealed data with fixedTPM and without fixedParent", "", "data", sealedArea(sealing &^ wire.ObjectFixedParent), codes(p(2, tpm2.TPMRCAttributes))},
		{"of sealed data with fixedParent and without fixedTPM", "", "data", sealedArea(sealing &^ wire.ObjectFixedTPM), codes(p(2, tpm2.TPMRCAttributes))},
		{"of sealed data with fixedTPM and encryptedDuplication", "", "data", sealedArea(sealing | wire.ObjectEncrypted), codes(p(2, tpm2.TPMRCAttributes))},
		{"of sealed data with restricted", "", "data", sealedArea(sealing | restricted), codes(p(2, tpm2.TPMRCAttributes))},
		{"of sealed data without data", "", "", sealedArea(sealing), codes(p(2, tpm2.TPMRCAttributes))},
		{"of sealed data that the TPM is to make", "", "", sealedArea(made), codes(p(2, tpm2.TPMRCAttributes))},
		{"of an RSA key from data", "", "data", rsaPublic(sealing|signs, rsaDetails(tpm2.TPMAlgNull)), codes(p(2, tpm2.TPMRCAttributes))},
		{"of an ECC key from data", "", "data", eccPublic(sealing|signs, eccSigns), codes(p(2, tpm2.TPMRCAttributes))},
		{"of an ECC key that neither signs nor decrypts", "", "", eccPublic(made, eccDetails(tpm2.TPMECCNistP256, tpm2.TPMAlgNull)), codes(p(2, tpm2.TPMRCAttributes))},
		{"of an RSA key that neither signs nor decrypts", "", "", rsaPublic(made, rsaDetails(tpm2.TPMAlgNull)), codes(p(2, tpm2.TPMRCAttributes))},
		{"of an AES key that neither encrypts nor decrypts", "", "", cipherPublic(made, aesDetails(tpm2.TPMAlgCFB)), codes(p(2, tpm2.TPMRCAttributes))},
		{"of a restricted ECC key that signs and decrypts", "", "", eccPublic(made|signs|parental, eccStorage), codes(p(2, tpm2.TPMRCAttributes))},
		{"of a restricted keyed hash that signs and decrypts", "", "", keyedHash(made|signs|parental, noScheme), codes(p(2, tpm2.TPMRCAttributes))},
		{"with the reserved attribute 0", "", "data", sealedArea(sealing | 1<<0), codes(p(2, tpm2.TPMRCReservedBits))},
		{"with the reserved attribute 3", "", "data", sealedArea(sealing | 1<<3), codes(p(2, tpm2.TPMRCReservedBits))},
		{"with the reserved attribute 31", "", "data", sealedArea(sealing | 1<<31), codes(p(2, tpm2.TPMRCReservedBits))},
		{"with TPM_ALG_NULL as nameAlg", "", "data", sized{alg(tpm2.TPMAlgKeyedHash), noAlg, u32(sealing), empty, noAlg, empty}, codes(p(2, tpm2.TPMRCHash))},
		{"with a nameAlg that there is not", "", "data", sized{alg(tpm2.TPMAlgKeyedHash), u16(0x7fff), u32(sealing), empty, noAlg, empty}, codes(p(2, tpm2.TPMRCHash))},
		{"of a type that there is not", "", "data", sized{alg(tpm2.TPMAlgAES), alg(tpm2.TPMAlgSHA256), u32(sealing), empty, noAlg, empty}, codes(p(2, tpm2.TPMRCType))},
		{"with a policy of 31 octets", "", "data", public(tpm2.TPMAlgKeyedHash, sealing, zeros(31), noAlg, empty), codes(p(2, tpm2.TPMRCSize))},
		{"with a policy of 33 octets", "", "data", public(tpm2.TPMAlgKeyedHash, sealing, zeros(33), noAlg, empty), codes(p(2, tpm2.TPMRCSize))},
		{"with an authorization value longer than the digests of nameAlg", octets(33), "data", sealedArea(sealing), codes(p(1, tpm2.TPMRCSize))},
		{"of more than 128 octets of data", "", octets(129), sealedArea(sealing), codes(p(1, tpm2.TPMRCSize))},
		{"with an octet after the template", "", "data", sized{alg(tpm2.TPMAlgKeyedHash), alg(tpm2.TPMAlgSHA256), u32(sealing), empty, noAlg, empty, u8(0)}, codes(p(2, tpm2.TPMRCSize))},
		{"with an empty template", "", "data", empty, codes(p(2, tpm2.TPMRCSize))},
		{"of a storage key without a symmetric algorithm", "", "", eccPublic(storage, eccAny), codes(p(2, tpm2.TPMRCSymmetric))},
		{"of a signing key with a symmetric algorithm", "", "", eccPublic(signing, with(aesDetails(tpm2.TPMAlgCFB), tpm2.TPMAlgECDSA, tpm2.TPMAlgSHA256, tpm2.TPMECCNistP256, tpm2.TPMAlgNull)), codes(p(2, tpm2.TPMRCSymmetric))},
		{"of an unrestricted decryption key with a symmetric algorithm", "", "", eccPublic(made|decrypts, eccStorage), codes(p(2, tpm2.TPMRCSymmetric))},
		{"of a restricted signing ECC key without a scheme", "", "", eccPublic(signing|restricted, eccAny), codes(p(2, tpm2.TPMRCScheme))},
		{"of a restricted signing RSA key without a scheme", "", "", rsaPublic(signing|restricted, rsaDetails(tpm2.TPMAlgNull)), codes(p(2, tpm2.TPMRCScheme))},
		{"of an ECC decryption key with a scheme for signatures", "", "", eccPublic(made|decrypts, eccSigns), codes(p(2, tpm2.TPMRCScheme))},
		{"of an RSA decryption key with a scheme for signatures", "", "", rsaPublic(made|decrypts, rsaSigns), codes(p(2, tpm2.TPMRCScheme))},
		{"of an ECC signing key with a scheme for key exchange", "", "", eccPublic(signing, eccExchange), codes(p(2, tpm2.TPMRCScheme))},
		{"of an RSA signing key with a scheme for encryption", "", "", rsaPublic(signing, rsaOAEP), codes(p(2, tpm2.TPMRCScheme))},
		{"of an ECC key that signs and decrypts with a scheme", "", "", eccPublic(signing|decrypts, eccSigns), codes(p(2, tpm2.TPMRCScheme))},
		{"of an RSA key that signs and decrypts with a scheme", "", "", rsaPublic(signing|decrypts, rsaSigns), codes(p(2, tpm2.TPMRCScheme))},
		{"of a storage key with a scheme", "", "", eccPublic(storage, with(aesDetails(tpm2.TPMAlgCFB), tpm2.TPMAlgECDH, tpm2.TPMAlgSHA256, tpm2.TPMECCNistP256, tpm2.TPMAlgNull)), codes(p(2, tpm2.TPMRCScheme))},
		{"of a keyed hash that signs with XOR", "", "", keyedHash(signing, derivation), codes(p(2, tpm2.TPMRCScheme))},
		{"of a keyed hash that signs without a scheme", "", "", keyedHash(signing, noScheme), codes(p(2, tpm2.TPMRCScheme))},
		{"of a keyed hash that decrypts with HMAC", "", "", keyedHash(made|decrypts, hmacSHA256), codes(p(2, tpm2.TPMRCScheme))},
		{"of a keyed hash that signs and decrypts with HMAC", "", "", keyedHash(signing|decrypts, hmacSHA256), codes(p(2, tpm2.TPMRCScheme))},
		{"of sealed data with HMAC", "", "data", keyedHash(sealing, hmacSHA256), codes(p(2, tpm2.TPMRCScheme))},
		{"of an ECC key with a KDF", "", "", eccPublic(signing, with(tpm2.TPMAlgNull, tpm2.TPMAlgECDSA, tpm2.TPMAlgSHA256, tpm2.TPMECCNistP256, tpm2.TPMAlgKDF1SP80056A, tpm2.TPMAlgSHA256)), codes(p(2, tpm2.TPMRCKDF))},
		{"of an ECC key on a curve that there is not", "", "", eccPublic(signing, with(tpm2.TPMAlgNull, tpm2.TPMAlgECDSA, tpm2.TPMAlgSHA256, u16(0x7fff), tpm2.TPMAlgNull)), codes(p(2, tpm2.TPMRCCurve))},
		{"of an ECC key with a scheme for RSA", "", "", eccPublic(signing, with(tpm2.TPMAlgNull, tpm2.TPMAlgRSASSA, tpm2.TPMAlgSHA256, tpm2.TPMECCNistP256, tpm2.TPMAlgNull)), anyNumber(tpm2.TPMRCScheme, tpm2.TPMRCValue)},
		{"of an RSA key of 2,047 bits", "", "", rsaPublic(signing, with(tpm2.TPMAlgNull, tpm2.TPMAlgRSASSA, tpm2.TPMAlgSHA256, u16(2047), u32(0))), codes(p(2, tpm2.TPMRCValue))},
		{"of an RSA key with the exponent 4", "", "", rsaPublic(signing, with(tpm2.TPMAlgNull, tpm2.TPMAlgRSASSA, tpm2.TPMAlgSHA256, u16(2048), u32(4))), anyNumber(tpm2.TPMRCRange, tpm2.TPMRCValue)},
		{"of an AES key of 100 bits", "", "", cipherPublic(signing|decrypts, with(tpm2.TPMAlgAES, u16(100), tpm2.TPMAlgCFB)), anyNumber(tpm2.TPMRCValue, tpm2.TPMRCKeySize)},
		{"of an AES key in a mode that there is not", "", "", cipherPublic(signing|decrypts, with(tpm2.TPMAlgAES, u16(128), u16(0x7fff))), codes(p(2, tpm2.TPMRCMode))},
		{"of an AES key from 15 octets", "", octets(15), cipherPublic(outside|signs|decrypts, aesDetails(tpm2.TPMAlgCFB)), anyNumber(tpm2.TPMRCKeySize)},
		{"of an HMAC key from more octets than a block of the hash algorithm", "", octets(65), keyedHash(outside|signs, hmacSHA256), anyNumber(tpm2.TPMRCSize, tpm2.TPMRCKeySize)},
	}
}

// codes are response codes.
func codes(want ...tpm2.TPMRC) []tpm2.TPMRC { return want }

// createCases are those about the creation of objects.
func createCases() []conform.Case {
	var cases []conform.Case
	for _, r := range templateRefusals() {
		cases = append(cases, built(
			about(tpm2.TPMCCCreate, r.what, on("@storage"), creating(r.auth, r.data, r.template), r.want...),
			about(tpm2.TPMCCCreatePrimary, r.what, on(tpm2.TPMRHNull), creating(r.auth, r.data, r.template), r.want...),
		)...)
	}
	create := tpm2.TPMCCCreate
	cases = append(cases, built(
		about(create, "of sealed data from data that the TPM is to make", on("@storage"), creating("", "data", sealedArea(made)), p(2, tpm2.TPMRCAttributes)),
		about(create, "of an HMAC key from data that the TPM is to make", on("@storage"), creating("", "data", keyedHash(signing, hmacSHA256)), p(2, tpm2.TPMRCAttributes)),
		about(create, "below a key that signs", on("@attest"), creating("", "data", sealedArea(sealing)), h(1, tpm2.TPMRCType)),
		about(create, "below a key that is not restricted", on("@ecc decrypt"), creating("", "data", sealedArea(sealing)), h(1, tpm2.TPMRCType)),
		about(create, "below a derivation parent", on("@derivation"), creating("", "data", sealedArea(sealing)), h(1, tpm2.TPMRCType)),
		about(create, "below sealed data", on("@sealed"), creating("", "data", sealedArea(sealing)), h(1, tpm2.TPMRCType)),
		about(create, "below the public area of a storage key", on("parent"), creating("", "data", sealedArea(sealing)), anyNumber(tpm2.TPMRCType, tpm2.TPMRCAuthUnavailable)...).
			first(publicOnly("p256", storage&^wire.ObjectOrigin, eccStorage, owner).Named("parent")),
		about(create, "with more octets than a TPM2B_SENSITIVE_CREATE has", on("@storage"), with(sized{empty, conform.Text("data"), u8(0)}, sealedArea(sealing), empty, u32(0)), p(1, tpm2.TPMRCSize)),
		about(create, "with an empty inSensitive", on("@storage"), with(empty, sealedArea(sealing), empty, u32(0)), p(1, tpm2.TPMRCSize)),
		about(create, "with outsideInfo that is too long", on("@storage"), with(sized(with("", "data")), sealedArea(sealing), octets(500), u32(0)), p(3, tpm2.TPMRCSize)),
		about(create, "with 17 banks in creationPCR", on("@storage"), with(sized(with("", "data")), sealedArea(sealing), empty, u32(17)), p(4, tpm2.TPMRCSize)),
		about(create, "with a bank in creationPCR that there is not", on("@storage"), with(sized(with("", "data")), sealedArea(sealing), empty, selection(0x7fff, 0)), p(4, tpm2.TPMRCHash)),
		about(create, "with a selection of 255 octets in creationPCR", on("@storage"), with(sized(with("", "data")), sealedArea(sealing), empty, u32(1), tpm2.TPMAlgSHA256, u8(255)), p(4, tpm2.TPMRCValue)),
		about(create, "of a storage key that cannot be duplicated, with another nameAlg than its parent", on("@storage"),
			creating("", "", sized{alg(tpm2.TPMAlgECC), with(tpm2.TPMAlgSHA384), u32(storage), empty, eccStorage, empty, empty}), p(2, tpm2.TPMRCHash)),
		about(create, "of a storage key that cannot be duplicated, with another symmetric key size than its parent", on("@storage"),
			creating("", "", eccPublic(storage, with(tpm2.TPMAlgAES, u16(256), tpm2.TPMAlgCFB, tpm2.TPMAlgNull, tpm2.TPMECCNistP256, tpm2.TPMAlgNull))), p(2, tpm2.TPMRCSymmetric), p(2, tpm2.TPMRCValue)),
		about(create, "of a storage key that can be duplicated, with another nameAlg than its parent", on("@storage"),
			creating("", "", sized{alg(tpm2.TPMAlgECC), with(tpm2.TPMAlgSHA384), u32(storage &^ fixed), empty, eccStorage, empty, empty})),
		about(create, "below a parent that can be duplicated, of an object with fixedTPM", on("parent"), creating("", "data", sealedArea(sealing)), p(2, tpm2.TPMRCAttributes)).
			first(movableParent()...),
		about(create, "below a parent that can be duplicated, of an object with encryptedDuplication, which the parent has not", on("parent"),
			creating("", "data", sealedArea(outside|wire.ObjectEncrypted)), p(2, tpm2.TPMRCAttributes)).first(movableParent()...),
		about(create, "below a parent that can be duplicated, of an object with fixedParent", on("parent"), creating("", "data", sealedArea(outside|wire.ObjectFixedParent))).first(movableParent()...),
	)...)
	for _, object := range objects() {
		cases = append(cases, about(create, object.what, on("@storage"), with(sized(with("auth", object.data)), object.template, "outside", u32(0))).
			next(load(handle("@storage"), "asked", "auth").Named("object"), do(tpm2.TPMCCReadPublic, handle("object"))).
			gives("gives one that Load loads").build())
	}
	return append(cases, built(
		about(create, "with a selection of PCRs", on("@storage"), with(sized(with("", "data")), sealedArea(sealing), empty, selection(uint16(tpm2.TPMAlgSHA256), 16, 23))).
			first(do(tpm2.TPMCCPCRRead).With(selection(uint16(tpm2.TPMAlgSHA256), 16, 23)).Named("pcrs")).needing(bank(tpm2.TPMAlgSHA256)).
			check("has the digest of their values in creationData", creationPCRs),
		about(create, "at locality 0", on("@storage"), creating("", "data", sealedArea(sealing))).check("has locality 0 in creationData", creationLocality(1)),
		about(create, "at locality 2", on("@storage"), creating("", "data", sealedArea(sealing))).check("has locality 2 in creationData", creationLocality(4)).at(2),
		about(create, "twice of the same key", on("@storage"), creating("", "", eccPublic(signing, eccSigns))).
			next(do(create, handle("@storage")).With(creating("", "", eccPublic(signing, eccSigns))...).Checked(otherThan("asked", 2))).gives("gives two different keys"),
		about(tpm2.TPMCCCreatePrimary, "twice of the same key", on(tpm2.TPMRHNull), creating("", "", eccPublic(signing, eccSigns))).
			next(do(tpm2.TPMCCCreatePrimary, null).With(creating("", "", eccPublic(signing, eccSigns))...).Checked(sameAs("asked", 1))).gives("gives the same key"),
		about(tpm2.TPMCCCreatePrimary, "with another unique", on(tpm2.TPMRHNull), creating("", "", eccPublic(signing, eccSigns))).
			next(do(tpm2.TPMCCCreatePrimary, null).With(creating("", "", public(tpm2.TPMAlgECC, signing, empty, eccSigns, with("other", "")))...).Checked(otherThan("asked", 1))).
			gives("gives another key"),
		about(tpm2.TPMCCCreatePrimary, "with other data", on(tpm2.TPMRHNull), creating("", "one", eccPublic(signing, eccSigns))).
			next(do(tpm2.TPMCCCreatePrimary, null).With(creating("", "two", eccPublic(signing, eccSigns))...).Checked(otherThan("asked", 1))).gives("gives another key"),
		about(tpm2.TPMCCCreatePrimary, "with another authorization value", on(tpm2.TPMRHNull), creating("one", "", eccPublic(signing, eccSigns))).
			next(do(tpm2.TPMCCCreatePrimary, null).With(creating("two", "", eccPublic(signing, eccSigns))...).Checked(sameAs("asked", 1))).gives("gives the same key"),
	)...)
}

// created is what Create makes an object of.
type created struct {
	what     string
	data     any
	template conform.Part
}

// objects are those that can be made below a parent.
func objects() []created {
	return []created{
		{"of sealed data", "data", sealedArea(sealing)},
		{"of 128 octets of sealed data", octets(128), sealedArea(sealing)},
		{"of sealed data with a policy", "data", public(tpm2.TPMAlgKeyedHash, sealing, zeros(32), noScheme, empty)},
		{"of a storage key", "", eccPublic(storage, eccStorage)},
		{"of an ECC key that signs", "", eccPublic(signing, eccSigns)},
		{"of an ECC key that signs, without a scheme", "", eccPublic(signing, eccAny)},
		{"of an ECC key with another hash algorithm in its scheme", "", eccPublic(signing, eccSHA384())},
		{"of an ECC key on P-384", "", eccPublic(signing, eccDetails(tpm2.TPMECCNistP384, tpm2.TPMAlgECDSA, tpm2.TPMAlgSHA256))},
		{"of a restricted ECC key that signs", "", eccPublic(signing|restricted, eccSigns)},
		{"of an ECC key for key exchange", "", eccPublic(made|decrypts, eccExchange)},
		{"of an ECC key that signs and decrypts", "", eccPublic(signing|decrypts, eccAny)},
		{"of an HMAC key", "", keyedHash(signing, hmacSHA256)},
		{"of an HMAC key from data", "key", keyedHash(outside|fixed|signs, hmacSHA256)},
		{"of a keyed hash that decrypts", "", keyedHash(made|decrypts, derivation)},
		{"of a derivation parent", "", keyedHash(storage, derivation)},
		{"of an AES key", "", cipherPublic(signing|decrypts, aesDetails(tpm2.TPMAlgCFB))},
		{"of an AES key from data", octets(16), cipherPublic(outside|fixed|signs|decrypts, aesDetails(tpm2.TPMAlgCFB))},
		{"of a symmetric storage key", "", cipherPublic(storage, aesDetails(tpm2.TPMAlgCFB))},
		{"of sealed data that only a policy authorizes", "data", public(tpm2.TPMAlgKeyedHash, sealing&^wire.ObjectUserWithAuth, zeros(32), noScheme, empty)},
	}
}

// movableParent makes a storage key that can be duplicated.
func movableParent() []conform.Step {
	return []conform.Step{
		do(tpm2.TPMCCCreate, handle("@storage")).With(creating("", "", eccPublic(storage&^fixed, eccStorage))...).Named("made"),
		load(handle("@storage"), "made", "").Named("parent"),
	}
}

// creation reads the TPMS_CREATION_DATA of Create.
func creation(a *conform.Answer) *wire.Cursor {
	in := a.Parsed()
	in.Sized() // outPrivate
	in.Sized() // outPublic
	return &wire.Cursor{Rest: in.Sized()}
}

func creationPCRs(a *conform.Answer) error {
	values, err := a.State.Field("pcrs", 1)
	if err != nil {
		return err
	}
	_, digests := pcrValues(values)
	in := creation(a)
	in.Take(4 + 2 + 1 + 3)
	return differ("pcrDigest", in.Sized(), hashOf(hashes[1].hash, digests...))
}

func creationLocality(want byte) func(*conform.Answer) error {
	return func(a *conform.Answer) error {
		in := creation(a)
		in.U32()   // no PCRs
		in.Sized() // pcrDigest
		if got := in.U8(); got != want {
			return fmt.Errorf("TPMA_LOCALITY %#x, expected %#x", got, want)
		}
		return nil
	}
}

// privateArea is a TPM2B_SENSITIVE of the client's key.
func privateArea(name, auth string) sized {
	k := conversation.KeyNamed(name)
	var seed []byte
	if !k.Asymmetric() {
		seed = bytes.Repeat([]byte{0x5e}, 32)
	}
	return sized{alg(k.Kind), conform.Text(auth), conform.Bytes(seed), conform.Bytes(k.Secret)}
}

// publicArea is the TPM2B_PUBLIC that goes with privateArea.
func publicArea(name string, attributes uint32, details conform.Part) sized {
	k := conversation.KeyNamed(name)
	if k.Asymmetric() {
		return public(k.Kind, attributes, empty, details, raw(k.Unique()))
	}
	unique := hashOf(hashes[1].hash, bytes.Repeat([]byte{0x5e}, 32), k.Secret)
	return public(k.Kind, attributes, empty, details, conform.Bytes(unique))
}
