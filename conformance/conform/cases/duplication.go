package cases

import (
	"bytes"
	"crypto/sha256"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/conform"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// importing are the parameters of Import without wrappers.
func importing(area, private conform.Part) join {
	return with(empty, area, sized{private}, empty, tpm2.TPMAlgNull)
}

// importStorage makes a storage key below @storage of a key of the client.
func importStorage(name string, details conform.Part) []conform.Step {
	k := conversation.KeyNamed(name)
	private := sized{alg(k.Kind), empty, conform.Bytes(octets(32)), conform.Bytes(k.Secret)}
	area := publicArea(name, outside|parental, details)
	return []conform.Step{
		do(tpm2.TPMCCImport, handle("@storage")).With(importing(area, private)...).Named("imported"),
		do(tpm2.TPMCCLoad, handle("@storage")).With(field{Of: "imported", N: 1}, area).Named("key"),
	}
}

// policyOf is the digest of policies, each a command code and what it hashes besides.
func policyOf(assertions ...[]byte) []byte {
	digest := make([]byte, sha256.Size)
	for _, a := range assertions {
		sum := sha256.Sum256(append(bytes.Clone(digest), a...))
		digest = sum[:]
	}
	return digest
}

// asserted is a command code and what the policy hashes besides.
func asserted(code tpm2.TPMCC, parts ...[]byte) []byte {
	return append(wire.U32(uint32(code)), bytes.Join(parts, nil)...)
}

// codePolicy is the digest of a policy for one command.
func codePolicy(code tpm2.TPMCC) []byte {
	return policyOf(asserted(tpm2.TPMCCPolicyCommandCode, wire.U32(uint32(code))))
}

// policySession starts a policy session.
func policySession() conform.Step { return conform.Start(wire.SessionPolicy).Named("policy") }

// forCode asserts a command code.
func forCode(code tpm2.TPMCC) conform.Step {
	return do(tpm2.TPMCCPolicyCommandCode, handle("policy")).With(u32(uint32(code)))
}

// thatPolicy is the authorization with that session.
func thatPolicy() conform.Auth { return conform.InPolicy(handle("policy")) }

// movable is an HMAC key that can be duplicated by a policy, with attributes besides.
func movable(attributes uint32, code tpm2.TPMCC) conform.Step {
	return do(tpm2.TPMCCLoadExternal).With(privateArea("hmac", ""), movableArea(attributes, code), null).Named("object")
}

func movableArea(attributes uint32, code tpm2.TPMCC) sized {
	k := conversation.KeyNamed("hmac")
	unique := hashOf(hashes[1].hash, bytes.Repeat([]byte{0x5e}, 32), k.Secret)
	return public(k.Kind, outside|signs|attributes, conform.Bytes(codePolicy(code)), hmacSHA256, conform.Bytes(unique))
}

// duplicationCases are those of Part 3, chapter "Duplication Commands".
func duplicationCases() []conform.Case {
	duplicate := tpm2.TPMCCDuplicate
	aes := aesDetails(tpm2.TPMAlgCFB)
	ready := []conform.Step{movable(0, duplicate), policySession(), forCode(duplicate)}
	work := func(what string, key, sym conform.Part, parent any) *question {
		area := movableArea(0, duplicate)
		to, seed := on("object", parent), conform.Part(field{Of: "asked", N: 3})
		return about(duplicate, what, to, with(key, sym)).first(ready...).by(thatPolicy()).gives("gives what Import takes").
			next(conform.Flush("object"),
				do(tpm2.TPMCCImport, handle("@storage")).With(keyOf(key, sym), area, field{Of: "asked", N: 2}, seed, sym).Named("imported"),
				do(tpm2.TPMCCLoad, handle("@storage")).With(field{Of: "imported", N: 1}, area).Named("moved"),
				do(tpm2.TPMCCMAC, handle("moved")).With(with("data", tpm2.TPMAlgNull)...).Checked(conform.Check{Says: "the HMAC is that of the key", Test: firstIs(hmacOf(1, []byte("data")))}))
	}
	cases := built(
		about(duplicate, "by password", on("object", tpm2.TPMRHNull), with(empty, noAlg), tpm2.TPMRCAuthType).first(ready...),
		about(duplicate, "by another policy than that of the object", on("object", tpm2.TPMRHNull), with(empty, noAlg), s(1, tpm2.TPMRCPolicyFail)).
			first(movable(0, tpm2.TPMCCCertify), policySession(), forCode(duplicate)).by(thatPolicy()),
		about(duplicate, "by a policy for another command", on("object", tpm2.TPMRHNull), with(empty, noAlg), s(1, tpm2.TPMRCPolicyCC)).
			first(movable(0, tpm2.TPMCCCertify), policySession(), forCode(tpm2.TPMCCCertify)).by(thatPolicy()),
		about(duplicate, "by a policy that names no command", on("object", tpm2.TPMRHNull), with(empty, noAlg), s(1, tpm2.TPMRCPolicyFail)).
			first(do(tpm2.TPMCCLoadExternal).With(privateArea("sealed", ""), authValueArea(), null).Named("object"), policySession(), do(tpm2.TPMCCPolicyAuthValue, handle("policy"))).
			by(conform.In(handle("policy"), 0)),
		about(duplicate, "of an object with fixedParent", on("object", tpm2.TPMRHNull), with(empty, noAlg), h(1, tpm2.TPMRCAttributes)).
			first(do(tpm2.TPMCCCreatePrimary, null).With(creating("", "", public(tpm2.TPMAlgECC, signing, conform.Bytes(codePolicy(duplicate)), eccSigns, with("", "")))...).Named("object"), policySession(), forCode(duplicate)).by(thatPolicy()),
		about(duplicate, "to a key that signs", on("object", "@attest"), with(empty, noAlg), h(2, tpm2.TPMRCType)).first(ready...).by(thatPolicy()),
		about(duplicate, "to a key that is not restricted", on("object", "@ecc decrypt"), with(empty, noAlg), h(2, tpm2.TPMRCType)).first(ready...).by(thatPolicy()),
		about(duplicate, "of an object with encryptedDuplication, without a symmetric algorithm", on("object", "@storage"), with(empty, noAlg), p(2, tpm2.TPMRCSymmetric)).
			first(movable(wire.ObjectEncrypted, duplicate), policySession(), forCode(duplicate)).by(thatPolicy()),
		about(duplicate, "of an object with encryptedDuplication, to TPM_RH_NULL", on("object", tpm2.TPMRHNull), with(empty, aes), h(2, tpm2.TPMRCHierarchy)).
			first(movable(wire.ObjectEncrypted, duplicate), policySession(), forCode(duplicate)).by(thatPolicy()),
		about(duplicate, "with a key of 15 octets", on("object", tpm2.TPMRHNull), with(octets(15), aes), p(1, tpm2.TPMRCSize)).first(ready...).by(thatPolicy()),
		about(duplicate, "with a key and without an algorithm", on("object", tpm2.TPMRHNull), with(octets(16), noAlg), p(1, tpm2.TPMRCSize)).first(ready...).by(thatPolicy()),
		about(duplicate, "without wrappers", on("object", tpm2.TPMRHNull), with(empty, noAlg)).first(ready...).by(thatPolicy()).check("gives the sensitive area as it is", func(a *conform.Answer) error {
			in := a.Parsed()
			in.Sized() // encryptionKeyOut
			if err := differ("duplicate", in.Sized(), padded("hmac")); err != nil {
				return err
			}
			return differ("outSymSeed", in.Sized(), nil)
		}),
		work("with an outer wrapper", empty, with(tpm2.TPMAlgNull), "@storage"),
		work("with an inner wrapper", conform.Bytes(octets(16)), aes, tpm2.TPMRHNull),
		work("with an inner wrapper whose key the TPM draws", empty, aes, tpm2.TPMRHNull),
		work("with both wrappers", conform.Bytes(octets(16)), aes, "@storage"),
		work("with both wrappers and a key that the TPM draws", empty, aes, "@storage"),
	)
	return append(append(cases, rewrapCases()...), importCases()...)
}

// keyOf is the key of the inner wrapper: the given one, or what the TPM has drawn.
func keyOf(key, sym conform.Part) conform.Part {
	if r, ok := key.(raw); ok && len(r) == 2 {
		if s, err := sym.Append(nil, nil); err == nil && len(s) > 2 {
			return field{Of: "asked", N: 1}
		}
	}
	return key
}

// authValueArea is that of sealed data with the policy of PolicyAuthValue.
func authValueArea() sized {
	k := conversation.KeyNamed("sealed")
	unique := hashOf(hashes[1].hash, bytes.Repeat([]byte{0x5e}, 32), k.Secret)
	return public(k.Kind, outside, conform.Bytes(policyOf(asserted(tpm2.TPMCCPolicyAuthValue))), noScheme, conform.Bytes(unique))
}

// marshaled are the bytes of a part that depends on nothing.
func marshaled(part conform.Part) []byte {
	b, err := part.Append(nil, nil)
	if err != nil {
		panic("conform: " + err.Error())
	}
	return b
}

// padded is the TPM2B_SENSITIVE of a key, whose authorization value has zeros at its end
// up to the size of the digests of nameAlg, so that its length does not show (Part 2,
// "TPMT_SENSITIVE").
func padded(name string) []byte {
	return marshaled(privateArea(name, string(make([]byte, sha256.Size))))
}

func rewrapCases() []conform.Case {
	rewrap, duplicate := tpm2.TPMCCRewrap, tpm2.TPMCCDuplicate
	name := conform.Name{Of: handle("object")}
	area := movableArea(0, duplicate)
	other := conform.Computed(func(*conform.State) ([]byte, error) { return wire.Sized(octets(34)), nil })
	out := []conform.Step{
		movable(0, duplicate), policySession(), forCode(duplicate),
		do(duplicate, handle("object"), handle("@storage")).With(with(empty, noAlg)...).By(thatPolicy()).Named("out"),
	}
	blob, seed := field{Of: "out", N: 2}, field{Of: "out", N: 3}
	return built(
		about(rewrap, "with a seed and without oldParent", on(tpm2.TPMRHNull, "@storage"), with(blob, name, seed), h(1, tpm2.TPMRCHandle)).first(out...),
		about(rewrap, "with oldParent and without a seed", on("@storage", tpm2.TPMRHNull), with(blob, name, empty), h(1, tpm2.TPMRCHandle)).first(out...),
		about(rewrap, "from a key that signs", on("@attest", tpm2.TPMRHNull), with(octets(60), octets(34), octets(60)), h(1, tpm2.TPMRCType)),
		about(rewrap, "to a key that signs", on("@storage", "@attest"), with(blob, name, seed), h(2, tpm2.TPMRCType)).first(out...),
		about(rewrap, "of a duplicate that was changed", on("@storage", tpm2.TPMRHNull), with(changed(blob, -1), name, seed), p(1, tpm2.TPMRCIntegrity)).first(out...),
		about(rewrap, "with the Name of another object", on("@storage", tpm2.TPMRHNull), with(blob, other, seed), p(1, tpm2.TPMRCIntegrity)).first(out...),
		about(rewrap, "to TPM_RH_NULL", on("@storage", tpm2.TPMRHNull), with(blob, name, seed)).first(out...).
			check("gives the sensitive area as it is", firstIs(padded("hmac"))),
		about(rewrap, "to a storage key", on("@storage", "@storage"), with(blob, name, seed)).first(out...).gives("gives what Import takes").
			next(do(tpm2.TPMCCImport, handle("@storage")).With(with(empty, area, field{Of: "asked", N: 1}, field{Of: "asked", N: 2}, noAlg)...)),
		about(rewrap, "of a duplicate without an outer wrapper to a storage key", on(tpm2.TPMRHNull, "@storage"), with(sized{privateArea("hmac", "")}, name, empty)).
			first(movable(0, duplicate)).gives("gives what Import takes").
			next(do(tpm2.TPMCCImport, handle("@storage")).With(with(empty, area, field{Of: "asked", N: 1}, field{Of: "asked", N: 2}, noAlg)...)),
	)
}

func importCases() []conform.Case {
	imports := tpm2.TPMCCImport
	aes := aesDetails(tpm2.TPMAlgCFB)
	private, area := privateArea("hmac", ""), publicArea("hmac", outside|signs, hmacSHA256)
	ecc := publicArea("p256", outside|signs, eccSigns)
	refused := func(what string, area, private conform.Part, want ...tpm2.TPMRC) *question {
		return about(imports, what, on("@storage"), importing(area, private), want...)
	}
	encrypted := publicArea("hmac", outside|signs|wire.ObjectEncrypted, hmacSHA256)
	cases := built(
		refused("of an object with fixedTPM", publicArea("hmac", outside|signs|wire.ObjectFixedTPM, hmacSHA256), private, p(2, tpm2.TPMRCAttributes)),
		refused("of an object with fixedParent", publicArea("hmac", outside|signs|wire.ObjectFixedParent, hmacSHA256), private, p(2, tpm2.TPMRCAttributes)),
		refused("of an object without a nameAlg", sized{alg(tpm2.TPMAlgKeyedHash), noAlg, u32(outside | signs), empty, hmacSHA256, zeros(32)}, private, p(2, tpm2.TPMRCHash)),
		refused("of an object with a policy of 31 octets", public(tpm2.TPMAlgKeyedHash, outside|signs, zeros(31), hmacSHA256, zeros(32)), private, anyNumber(tpm2.TPMRCSize)...),
		refused("of an HMAC key with the private area of an ECC key", area, privateArea("p256", ""), anyNumber(tpm2.TPMRCType)...),
		refused("of an ECC key with the point of another", public(tpm2.TPMAlgECC, outside|signs, empty, eccSigns, raw(otherPoint())), privateArea("p256", ""), anyNumber(tpm2.TPMRCBinding)...),
		refused("of an RSA key with the modulus of another", public(tpm2.TPMAlgRSA, outside|signs, empty, rsaSigns, conform.Bytes(otherModulus())), privateArea("rsa", ""), anyNumber(tpm2.TPMRCBinding)...),
		refused("of an HMAC key with the unique of another", public(tpm2.TPMAlgKeyedHash, outside|signs, empty, hmacSHA256, zeros(32)), private, anyNumber(tpm2.TPMRCBinding)...),
		refused("of nothing", area, empty[:0], anyNumber(tpm2.TPMRCInsufficient, tpm2.TPMRCSize)...),
		refused("of a private area that is cut", area, raw(marshaled(private)[:20]), anyNumber(tpm2.TPMRCInsufficient, tpm2.TPMRCSize)...),
		refused("of an ECC key without a scheme for its use", publicArea("p256", outside|signs, eccExchange), privateArea("p256", ""), anyNumber(tpm2.TPMRCScheme)...),
		about(imports, "below a key that signs", on("@attest"), importing(area, private), h(1, tpm2.TPMRCType)),
		about(imports, "below a derivation parent", on("@derivation"), importing(area, private), h(1, tpm2.TPMRCType)),
		about(imports, "with a key and without an algorithm", on("@storage"), with(octets(16), area, sized{private}, empty, noAlg), p(1, tpm2.TPMRCSize)),
		about(imports, "with a key of 15 octets", on("@storage"), with(octets(15), area, sized{private}, empty, aes), p(1, tpm2.TPMRCSize)),
		about(imports, "with an algorithm and without a key", on("@storage"), with(empty, area, sized{private}, empty, aes), p(1, tpm2.TPMRCSize)),
		about(imports, "with encryptedDuplication and without an inner wrapper", on("@storage"), with(empty, encrypted, sized{private}, octets(60), noAlg), p(1, tpm2.TPMRCAttributes)),
		about(imports, "with encryptedDuplication and without an outer wrapper", on("@storage"), with(octets(16), encrypted, sized{private}, empty, aes), p(4, tpm2.TPMRCAttributes)),
		about(imports, "with an inner wrapper that does not fit", on("@storage"), with(octets(16), area, octets(100), empty, aes), anyNumber(tpm2.TPMRCIntegrity, tpm2.TPMRCSize, tpm2.TPMRCInsufficient)...),
		about(imports, "with a seed that is no point", on("@storage"), with(empty, area, sized{private}, sizedPoint(with(octets(32), octets(32))), noAlg), p(4, tpm2.TPMRCECCPoint)),
	)
	for _, o := range []struct {
		what          string
		area, private conform.Part
	}{
		{"of an HMAC key", area, private},
		{"of an ECC key", ecc, privateArea("p256", "")},
		{"of an RSA key", publicArea("rsa", outside|signs, rsaSigns), privateArea("rsa", "")},
		{"of an AES key", publicArea("aes128", outside|signs|decrypts, aes), privateArea("aes128", "")},
		{"of sealed data", publicArea("sealed", outside, noScheme), privateArea("sealed", "")},
	} {
		cases = append(cases, refused(o.what, o.area, o.private).gives("gives what Load loads").
			next(do(tpm2.TPMCCLoad, handle("@storage")).With(field{Of: "asked", N: 1}, o.area)).build())
	}
	return cases
}
