package cases

import (
	"bytes"
	"math/big"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/conform"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// sealedBelow creates sealed data below the storage key.
func sealedBelow(auth string) conform.Step {
	return do(tpm2.TPMCCCreate, handle("@storage")).With(creating(auth, "data", sealedArea(sealing))...).Named("made")
}

var madePrivate, madePublic = field{Of: "made", N: 1}, field{Of: "made", N: 2}

// loadCases are those about objects that are loaded.
func loadCases() []conform.Case {
	load, external := tpm2.TPMCCLoad, tpm2.TPMCCLoadExternal
	other := createPrimary(null, "", public(tpm2.TPMAlgECC, storage, empty, eccStorage, with("other", ""))).Named("other")
	cases := built(
		about(load, "of a private area that was changed", on("@storage"), with(changed(madePrivate, -1), madePublic), p(1, tpm2.TPMRCIntegrity)).first(sealedBelow("")),
		about(load, "of a private area whose integrity value was changed", on("@storage"), with(changed(madePrivate, 10), madePublic), p(1, tpm2.TPMRCIntegrity)).first(sealedBelow("")),
		about(load, "with a public area whose attributes were changed", on("@storage"), with(madePrivate, conform.Computed(weakened)), p(1, tpm2.TPMRCIntegrity)).first(sealedBelow("")),
		about(load, "below another parent", on("other"), with(madePrivate, madePublic), p(1, tpm2.TPMRCIntegrity)).first(sealedBelow(""), other),
		about(load, "of an empty private area", on("@storage"), with(empty, madePublic), p(1, tpm2.TPMRCSize)).first(sealedBelow("")),
		about(load, "with an empty public area", on("@storage"), with(madePrivate, empty), p(2, tpm2.TPMRCSize)).first(sealedBelow("")),
		about(load, "below a key that signs", on("@attest"), with(madePrivate, madePublic), h(1, tpm2.TPMRCType)).first(sealedBelow("")),
		about(load, "below a derivation parent", on("@derivation"), with(madePrivate, madePublic), h(1, tpm2.TPMRCType)).first(sealedBelow("")),
		about(load, "with TPM_ALG_NULL as nameAlg", on("@storage"), with(madePrivate, sized{alg(tpm2.TPMAlgKeyedHash), noAlg, u32(sealing), empty, noAlg, empty}), p(2, tpm2.TPMRCHash)).first(sealedBelow("")),
		about(load, "of an object with an authorization value", on("@storage"), with(madePrivate, madePublic)).first(sealedBelow("auth")).
			next(do(tpm2.TPMCCUnseal, handle("asked")).By(conform.Password("auth"))).gives("gives one that the value authorizes"),
		about(load, "of an object with an authorization value and zeros after it", on("@storage"), with(madePrivate, madePublic)).first(sealedBelow("auth\x00\x00")).
			next(do(tpm2.TPMCCUnseal, handle("asked")).By(conform.Password("auth"))).gives("gives one that the value without zeros authorizes"),
		about(load, "twice of the same object", on("@storage"), with(madePrivate, madePublic)).first(sealedBelow("")).
			next(do(load, handle("@storage")).With(madePrivate, madePublic).Checked(sameAs("asked", 1))).gives("gives two with the same Name"),
		about(load, "without an authorization", on("@storage"), with(empty, empty), tpm2.TPMRCAuthMissing).unauthorized(),
	)
	ecc := publicArea("p256", outside|signs, eccSigns)
	refused := func(what string, private, area, hierarchy conform.Part, want ...tpm2.TPMRC) *question {
		return about(external, what, nil, with(private, area, hierarchy), want...)
	}
	cases = append(cases, built(
		refused("of both areas in the owner hierarchy", privateArea("p256", ""), ecc, owner, p(3, tpm2.TPMRCHierarchy)),
		refused("of both areas in the endorsement hierarchy", privateArea("p256", ""), ecc, endorsement, p(3, tpm2.TPMRCHierarchy)),
		refused("in a hierarchy that there is not", empty, ecc, u32(0x40000002), p(3, tpm2.TPMRCValue)),
		refused("of both areas with fixedTPM", privateArea("p256", ""), publicArea("p256", outside|signs|wire.ObjectFixedTPM, eccSigns), null, p(2, tpm2.TPMRCAttributes)),
		refused("of both areas with fixedParent", privateArea("p256", ""), publicArea("p256", outside|signs|wire.ObjectFixedParent, eccSigns), null, p(2, tpm2.TPMRCAttributes)),
		refused("of both areas with restricted", privateArea("p256", ""), publicArea("p256", outside|signs|restricted, eccSigns), null, p(2, tpm2.TPMRCAttributes)),
		refused("of a public area with a point that is not on the curve", empty, public(tpm2.TPMAlgECC, outside|signs, empty, eccSigns, with(octets(32), octets(32))), null, p(2, tpm2.TPMRCECCPoint)),
		refused("of a public area with a modulus that is too short", empty, public(tpm2.TPMAlgRSA, outside|signs, empty, rsaSigns, conform.Bytes(modulus().Bytes()[:255])), null, p(2, tpm2.TPMRCKey)),
		refused("of a public area with a modulus whose first bit is not set", empty, public(tpm2.TPMAlgRSA, outside|signs, empty, rsaSigns, conform.Bytes(bytes.Repeat([]byte{0x7f}, 256))), null, p(2, tpm2.TPMRCKey)),
		refused("of an ECC key with the private area of another", privateArea("p256", ""), public(tpm2.TPMAlgECC, outside|signs, empty, eccSigns, raw(otherPoint())), null, anyNumber(tpm2.TPMRCBinding)...),
		refused("of an RSA key with the private area of another", privateArea("rsa", ""), public(tpm2.TPMAlgRSA, outside|signs, empty, rsaSigns, conform.Bytes(otherModulus())), null, anyNumber(tpm2.TPMRCBinding)...),
		refused("of an HMAC key with the unique of another", privateArea("hmac", ""), public(tpm2.TPMAlgKeyedHash, outside|signs, empty, hmacSHA256, conform.Bytes(octets(32))), null, anyNumber(tpm2.TPMRCBinding)...),
		refused("of an AES key with the unique of another", privateArea("aes128", ""), public(tpm2.TPMAlgSymCipher, outside|signs|decrypts, empty, aesDetails(tpm2.TPMAlgCFB), conform.Bytes(octets(32))), null, anyNumber(tpm2.TPMRCBinding)...),
		refused("of an ECC key with the private area of an HMAC key", privateArea("hmac", ""), ecc, null, anyNumber(tpm2.TPMRCType)...),
		refused("of a private area of a type that there is not", sized{alg(tpm2.TPMAlgAES), empty, empty, empty}, ecc, null, p(1, tpm2.TPMRCType)),
		refused("of a private area with an octet after it", sized{privateArea("p256", "")[0], empty, empty, conform.Bytes(conversation.KeyNamed("p256").Secret), u8(0)}, ecc, null, p(1, tpm2.TPMRCSize)),
		refused("with an authorization value longer than the digests of nameAlg", sized{alg(tpm2.TPMAlgECC), zerosBut(33), empty, conform.Bytes(conversation.KeyNamed("p256").Secret)}, ecc, null, anyNumber(tpm2.TPMRCSize)...),
		refused("of both areas with a policy of 31 octets", privateArea("p256", ""), public(tpm2.TPMAlgECC, outside|signs, zeros(31), eccSigns, raw(conversation.KeyNamed("p256").Unique())), null, p(2, tpm2.TPMRCSize)),
		refused("of a public storage key without a symmetric algorithm", empty, publicArea("p256", outside|parental, eccAny), null, p(2, tpm2.TPMRCSymmetric)),
		refused("of a public signing key with a scheme for encryption", empty, publicArea("rsa", outside|signs, rsaOAEP), null, p(2, tpm2.TPMRCScheme)),
		refused("with an empty public area", empty, empty, null, p(2, tpm2.TPMRCSize)),
		refused("with an octet after the public area", empty, sized{alg(tpm2.TPMAlgECC), alg(tpm2.TPMAlgSHA256), u32(outside | signs), empty, eccSigns, raw(conversation.KeyNamed("p256").Unique()), u8(0)}, null, p(2, tpm2.TPMRCSize)),
		refused("of an AES key that is too short", sized{alg(tpm2.TPMAlgSymCipher), empty, zeros(32), zeros(15)}, public(tpm2.TPMAlgSymCipher, outside|signs|decrypts, empty, aesDetails(tpm2.TPMAlgCFB), zeros(32)), null, anyNumber(tpm2.TPMRCKeySize)...),
	)...)
	for _, loaded := range []struct {
		what                     string
		private, area, hierarchy conform.Part
	}{
		{"of both areas of an ECC key", privateArea("p256", ""), ecc, null},
		{"of both areas of an RSA key", privateArea("rsa", ""), publicArea("rsa", outside|signs, rsaSigns), null},
		{"of both areas of an HMAC key", privateArea("hmac", ""), publicArea("hmac", outside|signs, hmacSHA256), null},
		{"of both areas of an AES key", privateArea("aes128", ""), publicArea("aes128", outside|signs|decrypts, aesDetails(tpm2.TPMAlgCFB)), null},
		{"of both areas of sealed data", privateArea("sealed", ""), publicArea("sealed", outside, noScheme), null},
		{"of a public ECC key in the owner hierarchy", empty, ecc, owner},
		{"of a public ECC key in the endorsement hierarchy", empty, ecc, endorsement},
		{"of a public ECC key in the null hierarchy", empty, ecc, null},
		{"of a public RSA key", empty, publicArea("rsa", outside|signs, rsaSigns), owner},
		{"of a public restricted key", empty, publicArea("p256", outside|signs|restricted, eccSigns), owner},
		{"of a public key with fixedTPM and fixedParent", empty, publicArea("p256", outside|fixed|signs|restricted, eccSigns), owner},
		{"of a public storage key", empty, publicArea("p256", outside|parental, eccStorage), owner},
		{"of the public area of an HMAC key", empty, publicArea("hmac", outside|signs, hmacSHA256), null},
	} {
		cases = append(cases, refused(loaded.what, loaded.private, loaded.area, loaded.hierarchy).
			next(do(tpm2.TPMCCReadPublic, handle("asked"))).gives("gives the Name that the client computes, and ReadPublic the area").build())
	}
	return append(append(cases, refused("without a nameAlg", empty, sized{alg(tpm2.TPMAlgECC), noAlg, u32(outside | signs), empty, eccSigns, raw(conversation.KeyNamed("p256").Unique())}, null).
		check("gives an empty Name", firstIs(nil)).build()), useCases()...)
}

// weakened is the public area with adminWithPolicy flipped.
func weakened(s *conform.State) ([]byte, error) {
	b, err := s.Field("made", 2)
	if err != nil {
		return nil, err
	}
	b = bytes.Clone(b)
	b[2+2+2+3] ^= wire.ObjectAdminWithPolicy
	return b, nil
}

// zerosBut is a TPM2B of n octets that are not zero.
func zerosBut(n int) raw { return conform.Bytes(bytes.Repeat([]byte{1}, n)) }

// otherPoint is the point of P-256 with the other sign, as TPMS_ECC_POINT.
func otherPoint() []byte {
	unique := bytes.Clone(conversation.KeyNamed("p256").Unique())
	y := new(big.Int).SetBytes(unique[len(unique)-32:])
	copy(unique[len(unique)-32:], y.Sub(curves()[1].curve.Params().P, y).FillBytes(make([]byte, 32)))
	return unique
}

// otherModulus is one that the client's prime does not divide.
func otherModulus() []byte {
	return new(big.Int).Add(modulus(), new(big.Int).SetInt64(2)).Bytes()
}

// gone makes an object and flushes it.
func gone() []conform.Step {
	return []conform.Step{publicOnly("p256", outside|signs, eccSigns, null).Named("gone"), conform.Flush("gone")}
}

// useCases are those about objects that are used and changed.
func useCases() []conform.Case {
	read, unseal, change := tpm2.TPMCCReadPublic, tpm2.TPMCCUnseal, tpm2.TPMCCObjectChangeAuth
	other := createPrimary(null, "", public(tpm2.TPMAlgECC, storage, empty, eccStorage, with("other", ""))).Named("other")
	loaded := []conform.Step{sealedBelow("auth"), load(handle("@storage"), "made", "auth").Named("object")}
	strict := []conform.Step{
		do(tpm2.TPMCCCreate, handle("@storage")).With(creating("", "data", public(tpm2.TPMAlgKeyedHash, sealing|wire.ObjectAdminWithPolicy, zeros(32), noScheme, empty))...).Named("made"),
		load(handle("@storage"), "made", "").Named("object"),
	}
	return built(
		about(read, "of a primary object", on("@storage"), nil).gives("gives what CreatePrimary gave"),
		about(read, "of an object that was flushed", on("gone"), nil, tpm2.TPMRCReferenceH0).first(gone()...),
		about(read, "of a persistent object that is not there", on(conform.Persistent(14)), nil, h(1, tpm2.TPMRCHandle)),
		about(read, "of a PCR", on(16), nil, h(1, tpm2.TPMRCValue)),
		about(read, "of a hierarchy", on(tpm2.TPMRHOwner), nil, h(1, tpm2.TPMRCValue)),
		about(read, "of a session", on("session"), nil, h(1, tpm2.TPMRCValue)).first(conform.Start(wire.SessionHMAC).Named("session")),
		about(read, "of the public area of a key alone", on("@ecc public"), nil).gives("gives what was loaded"),
		about(unseal, "of sealed data", on("@sealed"), nil).check("gives them", firstIs([]byte("what nobody should know"))),
		about(unseal, "of an ECC key", on("@ecc"), nil, h(1, tpm2.TPMRCType)),
		about(unseal, "of an AES key", on("@aes"), nil, h(1, tpm2.TPMRCType)),
		about(unseal, "of an HMAC key", on("@hmac"), nil, h(1, tpm2.TPMRCAttributes)),
		about(unseal, "of a keyed hash that signs and decrypts", on("@hmac any"), nil, h(1, tpm2.TPMRCAttributes)),
		about(unseal, "with a wrong password", on("@sealed"), nil, s(1, tpm2.TPMRCBadAuth)).by(conform.Password("wrong")),
		about(unseal, "without an authorization", on("@sealed"), nil, tpm2.TPMRCAuthMissing).unauthorized(),
		about(unseal, "of the public area of sealed data", on("key"), nil, tpm2.TPMRCAuthUnavailable).
			first(do(tpm2.TPMCCLoadExternal).With(empty, publicArea("sealed", outside, noScheme), null).Named("key")),
		about(unseal, "by password of data with userWithAuth CLEAR", on("object"), nil, tpm2.TPMRCAuthUnavailable).
			first(do(tpm2.TPMCCLoadExternal).With(privateArea("sealed", ""), publicArea("sealed", wire.ObjectNoDA, noScheme), null).Named("object")),
		about(change, "with the parent", on("object", "@storage"), with("new")).first(loaded...).
			next(do(tpm2.TPMCCLoad, handle("@storage")).With(field{Of: "asked", N: 1}, madePublic).Named("new").Giving("new"), do(unseal, handle("new"))).
			gives("gives a private area with the new value"),
		about(change, "with the parent", on("object", "@storage"), with("new")).first(loaded...).
			next(do(unseal, handle("object")).By(conform.Password("auth"))).gives("leaves the object that is loaded as it is"),
		about(change, "with another parent", on("object", "other"), with("new"), h(2, tpm2.TPMRCType)).
			first(sealedBelow(""), load(handle("@storage"), "made", "").Named("object"), other),
		about(change, "of a primary object", on("@attest", "@storage"), with("new"), h(2, tpm2.TPMRCType)),
		about(change, "to a value longer than the digests of nameAlg", on("object", "@storage"), with(bytes.Repeat([]byte{1}, 33)), p(1, tpm2.TPMRCSize)).first(loaded...),
		about(change, "of a sequence", on("sequence", "@storage"), with("new"), h(1, tpm2.TPMRCType)).first(hashSequence(tpm2.TPMAlgSHA256, "").Named("sequence")),
		about(change, "by password of an object with adminWithPolicy", on("object", "@storage"), with("new"), tpm2.TPMRCAuthType).first(strict...),
	)
}
