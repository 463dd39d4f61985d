package cases

import (
	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/conform"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// templateOf is a TPM2B_TEMPLATE.
func templateOf(parts ...any) sized { return sized(with(parts...)) }

// derivedKey is the template of a derived key, whose unique is label and context.
func derivedKey(kind tpm2.TPMAlgID, attributes uint32, details conform.Part, label, context string) sized {
	return templateOf(alg(kind), alg(tpm2.TPMAlgSHA256), attributes, empty, details, label, context)
}

// createLoadedCases are those about TPM2_CreateLoaded.
func createLoadedCases() []conform.Case {
	create := tpm2.TPMCCCreateLoaded
	noData := sized(with("", ""))
	eccTemplate := func(attributes uint32, details conform.Part) sized {
		return templateOf(alg(tpm2.TPMAlgECC), alg(tpm2.TPMAlgSHA256), attributes, empty, details, "", "")
	}
	const derived = fixed | wire.ObjectUserWithAuth | wire.ObjectNoDA
	child := derivedKey(tpm2.TPMAlgECC, derived|signs, eccSigns, "label", "context")
	cases := built(
		about(create, "in the null hierarchy", on(tpm2.TPMRHNull), with(noData, eccTemplate(signing, eccSigns))).
			first(createPrimary(null, "", eccPublic(signing, eccSigns)).Named("primary")).
			next(do(create, null).With(noData, eccTemplate(signing, eccSigns)).Checked(conform.Check{Says: "the key is the one that CreatePrimary makes", Test: sameAsPrimary})).
			gives("gives the key that CreatePrimary gives"),
		about(create, "below a storage key", on("@storage"), with(noData, eccTemplate(signing, eccSigns))).
			next(do(tpm2.TPMCCLoad, handle("@storage")).With(field{Of: "asked", N: 1}, field{Of: "asked", N: 2})).gives("gives a key that Load loads again"),
		about(create, "below a storage key, of sealed data", on("@storage"), with(sized(with("auth", "data")), templateOf(alg(tpm2.TPMAlgKeyedHash), alg(tpm2.TPMAlgSHA256), u32(sealing), empty, noScheme, empty))).
			next(do(tpm2.TPMCCUnseal, handle("asked")).By(conform.Password("auth")).Checked(reads("data"))).gives("gives data that Unseal gives back"),
		about(create, "below a key that signs", on("@attest"), with(noData, eccTemplate(signing, eccSigns)), h(1, tpm2.TPMRCType)),
		about(create, "with an octet after the template", on("@storage"), with(noData, templateOf(alg(tpm2.TPMAlgECC), alg(tpm2.TPMAlgSHA256), u32(signing), empty, eccSigns, "", "", u8(0))), p(2, tpm2.TPMRCSize)),
		about(create, "with a template of a type that there is not", on("@storage"), with(noData, templateOf(alg(tpm2.TPMAlgAES), alg(tpm2.TPMAlgSHA256))), p(2, tpm2.TPMRCType)),
		about(create, "with a template that is cut", on("@storage"), with(noData, templateOf(alg(tpm2.TPMAlgECC), alg(tpm2.TPMAlgSHA256))), p(2, tpm2.TPMRCInsufficient)),
		about(create, "of an ECC key that neither signs nor decrypts", on("@storage"), with(noData, eccTemplate(made, eccAny)), p(2, tpm2.TPMRCAttributes)),
		about(create, "with fixedTPM and without fixedParent", on("@storage"), with(noData, eccTemplate(signing&^wire.ObjectFixedParent, eccSigns)), p(2, tpm2.TPMRCAttributes)),
		about(create, "of a storage key without a symmetric algorithm", on("@storage"), with(noData, eccTemplate(storage, eccAny)), p(2, tpm2.TPMRCSymmetric)),
		about(create, "with an authorization value longer than the digests of nameAlg", on("@storage"), with(sized(with(zerosBut(33), empty)), eccTemplate(signing, eccSigns)), p(1, tpm2.TPMRCSize)),
		about(create, "below a derivation parent", on("@derivation"), with(noData, child)).check("gives an empty private area", firstIs(nil)),
		about(create, "below a derivation parent, twice", on("@derivation"), with(noData, child)).
			next(do(create, handle("@derivation")).With(noData, child).Checked(sameAs("asked", 2))).gives("gives the same key"),
		about(create, "below a derivation parent, with another label", on("@derivation"), with(noData, child)).
			next(do(create, handle("@derivation")).With(noData, derivedKey(tpm2.TPMAlgECC, derived|signs, eccSigns, "other", "context")).Checked(otherThan("asked", 2))).gives("gives another key"),
		about(create, "below a derivation parent, with another context", on("@derivation"), with(noData, child)).
			next(do(create, handle("@derivation")).With(noData, derivedKey(tpm2.TPMAlgECC, derived|signs, eccSigns, "label", "other")).Checked(otherThan("asked", 2))).gives("gives another key"),
		about(create, "below a derivation parent, with label and context in the sensitive data", on("@derivation"), with(noData, child)).
			next(do(create, handle("@derivation")).With(sized{empty, sized(with("label", "context"))}, derivedKey(tpm2.TPMAlgECC, derived|signs, eccSigns, "", "")).Checked(sameAs("asked", 2))).
			gives("gives the same key as with both in the template"),
		about(create, "below a derivation parent, of an HMAC key", on("@derivation"), with(noData, derivedKey(tpm2.TPMAlgKeyedHash, derived|signs, hmacSHA256, "label", "context"))),
		about(create, "below a derivation parent, of an AES key", on("@derivation"), with(noData, derivedKey(tpm2.TPMAlgSymCipher, derived|signs|decrypts, aesDetails(tpm2.TPMAlgCFB), "label", "context"))),
		about(create, "below a derivation parent, of an RSA key", on("@derivation"), with(noData, derivedKey(tpm2.TPMAlgRSA, derived|signs, rsaSigns, "label", "context")), anyNumber(tpm2.TPMRCType)...),
		about(create, "below a derivation parent, with sensitiveDataOrigin", on("@derivation"), with(noData, derivedKey(tpm2.TPMAlgECC, signing, eccSigns, "label", "context")), anyNumber(tpm2.TPMRCAttributes)...),
		about(create, "below a derivation parent, without fixedParent", on("@derivation"), with(noData, derivedKey(tpm2.TPMAlgECC, outside|signs, eccSigns, "label", "context")), p(2, tpm2.TPMRCAttributes)),
	)
	for i := range cases {
		cases[i].Section.Since = 138
	}
	return cases
}

func sameAsPrimary(a *conform.Answer) error {
	primary, err := value(a.State, "primary", 1)
	if err != nil {
		return err
	}
	in := a.Parsed()
	in.Sized() // outPrivate
	return differ("outPublic", in.Sized(), primary)
}
