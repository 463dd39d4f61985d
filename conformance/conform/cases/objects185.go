package cases

import (
	"fmt"
	"io"
	"slices"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/conform"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// kind185 is a kind of key of version 185.
type kind185 struct {
	what       string
	alg        tpm2.TPMAlgID
	attributes uint32
	details    join
}

// template is that of a key with attributes besides. The unique field of ECC has two parts.
func (k *kind185) template(attributes uint32, unique any) sized {
	parts := with(unique)
	if k.alg == tpm2.TPMAlgECC {
		parts = with(unique, empty)
	}
	return public(k.alg, attributes|k.attributes, empty, k.details, parts)
}

// kinds185 are those that version 185 brought.
func kinds185() []kind185 {
	var all []kind185
	for _, e := range edSchemes {
		all = append(all, kind185{e.a, tpm2.TPMAlgECC, signs, e.details()})
	}
	for _, e := range plainSchemes {
		all = append(all, kind185{e.restricted(), tpm2.TPMAlgECC, signs | restricted, e.details()})
	}
	for _, m := range montgomeryCurves {
		all = append(all, kind185{"an " + m.name + " key", tpm2.TPMAlgECC, decrypts, m.details()}, kind185{"an " + m.name + " storage key", tpm2.TPMAlgECC, parental, m.storageDetails()})
	}
	for _, k := range dhkemKeys() {
		all = append(all, kind185{"a key for DHKEM with " + k.name, tpm2.TPMAlgECC, decrypts, k.details()})
	}
	for set := uint16(1); set <= 3; set++ {
		kem, dsa := kemSet(set).String(), dsaSet(set).String()
		all = append(all,
			kind185{"an " + kem + " key", wire.AlgMLKEM, decrypts, generalKEM(set)}, kind185{"an " + kem + " storage key", wire.AlgMLKEM, parental, storageKEM(set)},
			kind185{"an " + dsa + " key", wire.AlgMLDSA, signs, dsaDetails(set, false)}, kind185{"a restricted " + dsa + " key", wire.AlgMLDSA, signs | restricted, dsaDetails(set, false)},
			kind185{"a Hash" + dsa + " key with SHA256", wire.AlgHashMLDSA, signs, hashDSADetails(set, tpm2.TPMAlgSHA256)},
			kind185{"a restricted Hash" + dsa + " key with SHA512", wire.AlgHashMLDSA, signs | restricted, hashDSADetails(set, tpm2.TPMAlgSHA512)})
	}
	return all
}

// objectCases185 are those of the creation of keys of version 185, of what is loaded, and of
// what old commands do with them.
func objectCases185() []conform.Case {
	var cases []conform.Case
	for _, k := range kinds185() {
		cases = append(cases, k.cases()...)
	}
	return slices.Concat(cases, templateCases185(), externalCases185(), secretCases185(), oldSignatureCases(), attestationCases185())
}

// cases are those of a kind of key that is made.
func (k *kind185) cases() []conform.Case {
	create, primary, loaded := tpm2.TPMCCCreate, tpm2.TPMCCCreatePrimary, tpm2.TPMCCCreateLoaded
	template := k.template(made, empty)
	cases := built(
		about(create, "of "+k.what, on("@storage"), with(sized(with("auth", "")), template, "outside", u32(0))).in(since185(create)).
			next(load(handle("@storage"), "asked", "auth").Named("object"), do(tpm2.TPMCCReadPublic, handle("object"))).gives("gives one that Load loads"),
		about(create, "twice of "+k.what, on("@storage"), creating("", "", template)).in(since185(create)).
			next(do(create, handle("@storage")).With(creating("", "", template)...).Checked(otherThan("asked", 2))).gives("gives two different keys"),
		about(primary, "twice of "+k.what, on(tpm2.TPMRHNull), creating("", "", template)).in(since185(primary)).
			next(do(primary, null).With(creating("", "", template)...).Checked(sameAs("asked", 1))).gives("gives the same key"),
		about(primary, "of "+k.what+" with another unique", on(tpm2.TPMRHNull), creating("", "", template)).in(since185(primary)).
			next(do(primary, null).With(creating("", "", k.template(made, octets(32)))...).Checked(otherThan("asked", 1))).gives("gives another key"),
		about(loaded, "of "+k.what, on("@storage"), with(sized(with("", "")), template)).in(since185(loaded)).
			next(do(tpm2.TPMCCLoad, handle("@storage")).With(field{Of: "asked", N: 1}, field{Of: "asked", N: 2})).gives("gives a key that Load loads again"),
		about(tpm2.TPMCCTestParms, "of "+k.what, nil, with(alg(k.alg), k.details)).in(since(185, testParms)),
	)
	if k.attributes == parental {
		cases = append(cases, about(create, "below "+k.what, on("parent"), creating("", "data", sealedArea(sealing))).in(since185(create)).
			first(createPrimary(null, "", template).Named("parent")).
			next(load(handle("parent"), "asked", "").Named("object"), do(tpm2.TPMCCUnseal, handle("object")).Checked(reads("data"))).gives("gives data that Unseal gives back").build())
	}
	return cases
}

// templateCases185 are templates that Create and CreatePrimary refuse alike.
func templateCases185() []conform.Case {
	kem := func(attributes uint32, details conform.Part) sized {
		return public(wire.AlgMLKEM, attributes, empty, details, empty)
	}
	dsa := func(attributes uint32, details conform.Part) sized {
		return public(wire.AlgMLDSA, attributes, empty, details, empty)
	}
	hashDSA := func(details conform.Part) sized { return public(wire.AlgHashMLDSA, signing, empty, details, empty) }
	decrypting := uint32(made | decrypts)
	var cases []conform.Case
	for _, r := range []struct {
		what     string
		data     any
		template sized
		want     []tpm2.TPMRC
	}{
		{"of an ML-KEM key of parameter set 0", "", kem(decrypting, with(tpm2.TPMAlgNull, u16(0))), codes(p(2, wire.RCParms))},
		{"of an ML-KEM key of parameter set 4", "", kem(decrypting, with(tpm2.TPMAlgNull, u16(4))), codes(p(2, wire.RCParms))},
		{"of an ML-DSA key of parameter set 0", "", dsa(signing, with(u16(0), false)), codes(p(2, wire.RCParms))},
		{"of an ML-DSA key of parameter set 4", "", dsa(signing, with(u16(4), false)), codes(p(2, wire.RCParms))},
		{"of a HashML-DSA key of parameter set 4", "", hashDSA(with(u16(4), tpm2.TPMAlgSHA256)), codes(p(2, wire.RCParms))},
		{"of an ML-KEM key that signs", "", kem(decrypting|signs, generalKEM(2)), codes(p(2, tpm2.TPMRCAttributes))},
		{"of an ML-KEM key that signs and does not decrypt", "", kem(signing, generalKEM(2)), codes(p(2, tpm2.TPMRCAttributes))},
		{"of an ML-KEM key that does nothing", "", kem(made, generalKEM(2)), codes(p(2, tpm2.TPMRCAttributes))},
		{"of an ML-DSA key that decrypts", "", dsa(signing|decrypts, dsaDetails(1, false)), codes(p(2, tpm2.TPMRCAttributes))},
		{"of an ML-DSA key that decrypts and does not sign", "", dsa(decrypting, dsaDetails(1, false)), codes(p(2, tpm2.TPMRCAttributes))},
		{"of an ML-DSA key that does nothing", "", dsa(made, dsaDetails(1, false)), codes(p(2, tpm2.TPMRCAttributes))},
		{"of an ML-DSA storage key", "", dsa(storage, dsaDetails(1, false)), codes(p(2, tpm2.TPMRCAttributes))},
		{"of an ML-KEM key from data", "data", kem(decrypting&^wire.ObjectOrigin, generalKEM(2)), codes(p(2, tpm2.TPMRCAttributes))},
		{"of an ML-DSA key from data", "data", dsa(signing&^wire.ObjectOrigin, dsaDetails(1, false)), codes(p(2, tpm2.TPMRCAttributes))},
		{"of an ML-KEM storage key without a symmetric algorithm", "", kem(storage, generalKEM(2)), codes(p(2, tpm2.TPMRCSymmetric))},
		{"of an unrestricted ML-KEM key with a symmetric algorithm", "", kem(decrypting, storageKEM(2)), codes(p(2, tpm2.TPMRCSymmetric))},
		{"of an ML-DSA key with an allowExternalMu of 2", "", dsa(signing, with(dsaSet(1), byte(2))), codes(p(2, tpm2.TPMRCValue))},
		{"of a HashML-DSA key without a hash algorithm", "", hashDSA(with(dsaSet(1), noAlg)), codes(p(2, tpm2.TPMRCHash))},
		{"of a HashML-DSA key with a hash algorithm that there is not", "", hashDSA(with(dsaSet(1), u16(0x7fff))), codes(p(2, tpm2.TPMRCHash))},
		{"of an ML-KEM key with a unique longer than any", "", public(wire.AlgMLKEM, decrypting, empty, generalKEM(2), conform.Bytes(octets(1569))), codes(p(2, tpm2.TPMRCSize))},
		{"of an ML-DSA key with a unique longer than any", "", public(wire.AlgMLDSA, signing, empty, dsaDetails(1, false), conform.Bytes(octets(2593))), codes(p(2, tpm2.TPMRCSize))},
		{"of a signing key of curve 25519 without a scheme", "", eccPublic(signing, with(tpm2.TPMAlgNull, tpm2.TPMAlgNull, tpm2.TPMECCCurve25519, tpm2.TPMAlgNull)), codes(p(2, tpm2.TPMRCScheme))},
		{"of a signing key of curve 25519 with ECDSA", "", eccPublic(signing, with(tpm2.TPMAlgNull, tpm2.TPMAlgECDSA, tpm2.TPMAlgSHA256, tpm2.TPMECCCurve25519, tpm2.TPMAlgNull)), codes(p(2, tpm2.TPMRCScheme))},
		{"of a signing key of curve 448 without a scheme", "", eccPublic(signing, with(tpm2.TPMAlgNull, tpm2.TPMAlgNull, tpm2.TPMECCCurve448, tpm2.TPMAlgNull)), codes(p(2, tpm2.TPMRCScheme))},
		{"of a signing key of curve 448 with ECDSA", "", eccPublic(signing, with(tpm2.TPMAlgNull, tpm2.TPMAlgECDSA, tpm2.TPMAlgSHA256, tpm2.TPMECCCurve448, tpm2.TPMAlgNull)), codes(p(2, tpm2.TPMRCScheme))},
		{"of a key of curve 25519 with EdDSA that decrypts", "", eccPublic(decrypting, ed25519Plain.details()), codes(p(2, tpm2.TPMRCScheme))},
		{"of a key of curve 448 with EdDSA that decrypts", "", eccPublic(decrypting, ed448Plain.details()), codes(p(2, tpm2.TPMRCScheme))},
		{"of a HashEdDSA key of P-256", "", eccPublic(signing, with(tpm2.TPMAlgNull, wire.AlgHashEdDSA, tpm2.TPMECCNistP256, tpm2.TPMAlgNull)), codes(p(2, tpm2.TPMRCScheme))},
		{"of an EdDSA key of P-256", "", eccPublic(signing, with(tpm2.TPMAlgNull, wire.AlgEdDSA, tpm2.TPMECCNistP256, tpm2.TPMAlgNull)), codes(p(2, tpm2.TPMRCScheme))},
		{"of a signing key with HKDF", "", eccPublic(signing, with(tpm2.TPMAlgNull, tpm2.TPMAlgECDSA, tpm2.TPMAlgSHA256, tpm2.TPMECCNistP256, wire.AlgHKDF, tpm2.TPMAlgSHA256)), codes(p(2, tpm2.TPMRCKDF))},
		{"of a storage key with HKDF", "", eccPublic(storage, with(aesDetails(tpm2.TPMAlgCFB), tpm2.TPMAlgNull, tpm2.TPMECCNistP256, wire.AlgHKDF, tpm2.TPMAlgSHA256)), codes(p(2, tpm2.TPMRCKDF))},
	} {
		create, primary := tpm2.TPMCCCreate, tpm2.TPMCCCreatePrimary
		list := []*question{
			about(create, r.what, on("@storage"), creating("", r.data, r.template), r.want...).in(since185(create)),
			about(primary, r.what, on(tpm2.TPMRHNull), creating("", r.data, r.template), r.want...).in(since185(primary)),
		}
		for _, q := range list {
			q.needing(tpm2.TPMAlgID(wire.Number(r.template[0].(raw))))
		}
		cases = append(cases, built(list...)...)
	}
	parms := since(185, testParms)
	noMu := func(n *conform.Needs) {
		n.Other = func(f *conform.Features) string {
			if f.ExternalMu() {
				return "it signs µ from outside"
			}
			return ""
		}
	}
	return append(cases, built(
		about(tpm2.TPMCCTestParms, "of ML-KEM of parameter set 4", nil, with(wire.AlgMLKEM, noAlg, u16(4)), p(1, wire.RCParms)).in(parms),
		about(tpm2.TPMCCTestParms, "of ML-DSA of parameter set 4", nil, with(wire.AlgMLDSA, u16(4), false), p(1, wire.RCParms)).in(parms),
		about(tpm2.TPMCCTestParms, "of HashML-DSA without a hash algorithm", nil, with(wire.AlgHashMLDSA, dsaSet(1), noAlg), p(1, tpm2.TPMRCHash)).in(parms),
		about(tpm2.TPMCCTestParms, "of ML-DSA with allowExternalMu", nil, with(alg(wire.AlgMLDSA), dsaDetails(1, true))).needing(withExternalMu).in(parms),
		about(tpm2.TPMCCTestParms, "of ML-DSA with allowExternalMu, which the TPM has not", nil, with(alg(wire.AlgMLDSA), dsaDetails(1, true)), p(1, wire.RCExtMu)).needing(noMu).in(parms),
		about(tpm2.TPMCCCreatePrimary, "of an ML-DSA key with allowExternalMu, which the TPM has not", on(tpm2.TPMRHNull), creating("", "", dsa(signing, dsaDetails(1, true))), p(2, wire.RCExtMu)).
			needing(noMu).in(since185(tpm2.TPMCCCreatePrimary)),
		about(tpm2.TPMCCCreatePrimary, "of a restricted ML-DSA key with allowExternalMu", on(tpm2.TPMRHNull), creating("", "", dsa(signing|restricted, dsaDetails(1, true))), anyNumber(tpm2.TPMRCAttributes, wire.RCExtMu)...).
			needing(withExternalMu).in(since185(tpm2.TPMCCCreatePrimary)),
	)...)
}

// externalCases185 are those of LoadExternal.
func externalCases185() []conform.Case {
	code := tpm2.TPMCCLoadExternal
	q := func(what string, private, area conform.Part, want ...tpm2.TPMRC) *question {
		return about(code, what, nil, with(private, area, null), want...).in(since185(code))
	}
	otherSeed := func(n int) []byte { return slices.Concat([]byte{0xff}, octets(n)[1:]) }
	cut := func(area sized, unique func() []byte) sized {
		return append(slices.Clone(area[:len(area)-1]), lazily(func() []byte { b := unique(); return b[:len(b)-1] }))
	}
	var cases []conform.Case
	for set := uint16(1); set <= 3; set++ {
		for _, k := range []struct {
			what   string
			alg    tpm2.TPMAlgID
			seed   []byte
			area   sized
			unique func() []byte
		}{
			{kemSet(set).String(), wire.AlgMLKEM, kemSeed, kemArea(set, outside|decrypts, generalKEM(set)), func() []byte { return kemPublic(set) }},
			{dsaSet(set).String(), wire.AlgMLDSA, dsaSeed, dsaArea(wire.AlgMLDSA, set, outside|signs, dsaDetails(set, false)), func() []byte { return dsaKey(set).PublicKey().Bytes() }},
			{"Hash" + dsaSet(set).String(), wire.AlgHashMLDSA, dsaSeed, dsaArea(wire.AlgHashMLDSA, set, outside|signs, hashDSADetails(set, tpm2.TPMAlgSHA256)),
				func() []byte { return dsaKey(set).PublicKey().Bytes() }},
		} {
			private := latticePrivate(k.alg, k.seed)
			read := do(tpm2.TPMCCReadPublic, handle("asked"))
			cases = append(cases, built(
				q("of both areas of a key of "+k.what, private, k.area).next(read).gives("gives the Name that the client computes, and ReadPublic the area"),
				q("of the public area of a key of "+k.what, empty, k.area).next(read).gives("gives the Name that the client computes, and ReadPublic the area"),
				q("of a public area of "+k.what+" without its last octet", empty, cut(k.area, k.unique), p(2, tpm2.TPMRCKeySize)),
				q("of a public area of "+k.what+" without a unique", empty, append(slices.Clone(k.area[:len(k.area)-1]), conform.Part(empty)), p(2, tpm2.TPMRCKeySize)),
				q("of a key of "+k.what+" with the seed of another", latticePrivate(k.alg, otherSeed(len(k.seed))), k.area, anyNumber(tpm2.TPMRCBinding)...),
				q("of a key of "+k.what+" with a seed that is too short", latticePrivate(k.alg, k.seed[1:]), k.area, anyNumber(tpm2.TPMRCSize, tpm2.TPMRCKeySize)...),
				q("of a key of "+k.what+" with the private area of an HMAC key", privateArea("hmac", ""), k.area, anyNumber(tpm2.TPMRCType)...),
			)...)
		}
	}
	restrictedDSA := dsaArea(wire.AlgMLDSA, 1, outside|signs|restricted, dsaDetails(1, false))
	return append(cases, built(
		q("of both areas of a restricted ML-DSA key", latticePrivate(wire.AlgMLDSA, dsaSeed), restrictedDSA, p(2, tpm2.TPMRCAttributes)),
		q("of the public area of a restricted ML-DSA key", empty, restrictedDSA),
		q("of the public area of an ML-KEM storage key", empty, kemArea(2, outside|parental, storageKEM(2))),
		q("of an ML-DSA key with the private area of a HashML-DSA key", latticePrivate(wire.AlgHashMLDSA, dsaSeed), dsaArea(wire.AlgMLDSA, 1, outside|signs, dsaDetails(1, false)), anyNumber(tpm2.TPMRCType)...),
		about(tpm2.TPMCCEvictControl, "of a public area", on(tpm2.TPMRHOwner, "key"), with(persistent(0))).in(since(185, evictControl)).
			first(publicOnly("p256", outside|signs, eccSigns, owner).Named("key")).next(do(tpm2.TPMCCReadPublic, persistent(0))).gives("makes it persistent"),
	)...)
}

// kemSender is an ML-KEM key in the TPM that go-tpm makes credentials and duplicates for.
type kemSender struct {
	public *wire.Public
}

// Encapsulate implements tpm2.LabeledEncapsulationKey.
func (k kemSender) Encapsulate(_ io.Reader, label string) (secret, ciphertext []byte, err error) {
	secret, ciphertext, ok := conversation.LabeledSecret(k.public, label, []byte("what is random"))
	if !ok {
		return nil, nil, fmt.Errorf("nothing can be sent to %x", k.public.Raw)
	}
	return secret, ciphertext, nil
}

// NameAlg implements tpm2.LabeledEncapsulationKey.
func (k kemSender) NameAlg() tpm2.TPMAlgID { return k.public.NameAlg }

// SymmetricParameters implements tpm2.LabeledEncapsulationKey.
func (k kemSender) SymmetricParameters() *tpm2.TPMTSymDefObject {
	return &tpm2.TPMTSymDefObject{
		Algorithm: tpm2.TPMAlgAES, KeyBits: tpm2.NewTPMUSymKeyBits(tpm2.TPMAlgAES, tpm2.TPMKeyBits(128)), Mode: tpm2.NewTPMUSymMode(tpm2.TPMAlgAES, tpm2.TPMAlgCFB),
	}
}

// sent are two TPM2Bs that the client makes for the parent with a label.
func sent(parent string, make func(key tpm2.LabeledEncapsulationKey, s *conform.State) (blob, secret []byte, err error)) conform.Computed {
	return func(s *conform.State) ([]byte, error) {
		public, err := s.Public(parent)
		if err != nil {
			return nil, err
		}
		blob, secret, err := make(kemSender{public}, s)
		return slices.Concat(wire.Sized(blob), wire.Sized(secret)), err
	}
}

// secretCases185 are those of credentials, duplicates and salts for ML-KEM keys.
func secretCases185() []conform.Case {
	makes, activate, duplicate, imports, start := tpm2.TPMCCMakeCredential, tpm2.TPMCCActivateCredential, tpm2.TPMCCDuplicate, tpm2.TPMCCImport, tpm2.TPMCCStartAuthSession
	parent := "@mlkem storage"
	name := conform.Name{Of: handle("@hmac")}
	credential := do(makes, handle(parent)).With(conform.Text("credential"), name).Named("credential")
	blob, secret := field{Of: "credential", N: 1}, field{Of: "credential", N: 2}
	byClient := sent(parent, func(key tpm2.LabeledEncapsulationKey, s *conform.State) ([]byte, []byte, error) {
		h, err := s.Handle("@hmac")
		if err != nil {
			return nil, nil, err
		}
		return tpm2.CreateCredential(nil, key, s.Name(h), []byte("credential"))
	})
	private, area := marshaled(privateArea("hmac", ""))[2:], publicArea("hmac", outside|signs, hmacSHA256)
	moved := sent(parent, func(key tpm2.LabeledEncapsulationKey, _ *conform.State) ([]byte, []byte, error) {
		return tpm2.CreateDuplicate(nil, key, wire.NameOf(tpm2.TPMAlgSHA256, marshaled(area)[2:]), private)
	})
	mac := func(label string) conform.Step {
		return do(tpm2.TPMCCMAC, handle(label)).With(with("data", tpm2.TPMAlgNull)...).Checked(conform.Check{Says: "the HMAC is that of the key", Test: firstIs(hmacOf(1, []byte("data")))})
	}
	movableNow := movableArea(0, duplicate)
	salted := func(salt conform.Part) join {
		return with("sixteen octets..", salt, byte(wire.SessionHMAC), tpm2.TPMAlgNull, tpm2.TPMAlgSHA256)
	}
	wrongSize := anyNumber(tpm2.TPMRCSize, tpm2.TPMRCValue)
	cases := built(
		about(makes, "for an ML-KEM key that is not restricted", on("@mlkem 768"), with("credential", name), h(1, tpm2.TPMRCType)),
		about(makes, "for an ML-DSA key", on("@mldsa 44"), with("credential", name), h(1, tpm2.TPMRCType)),
		about(activate, "of a credential for an ML-KEM key", on("@hmac", parent), with(blob, secret)).first(credential).check("gives what is in it", firstIs([]byte("credential"))),
		about(activate, "of a credential that the client has made for an ML-KEM key", on("@hmac", parent), with(byClient)).check("gives what is in it", firstIs([]byte("credential"))),
		about(activate, "of a credential with another ciphertext for an ML-KEM key", on("@hmac", parent), with(blob, octets(1088)), p(1, tpm2.TPMRCIntegrity)).first(credential),
		about(activate, "of a credential with half a ciphertext for an ML-KEM key", on("@hmac", parent), with(blob, octets(544)), wrongSize...).first(credential),
		about(imports, "of a duplicate that the client has made for an ML-KEM key", on(parent), with(empty, area, moved, noAlg)).gives("gives what Load loads").
			next(do(tpm2.TPMCCLoad, handle(parent)).With(field{Of: "asked", N: 1}, area).Named("moved"), mac("moved")),
		about(imports, "of a duplicate with another ciphertext for an ML-KEM key", on(parent), with(empty, area, octets(100), octets(1088), noAlg), anyNumber(tpm2.TPMRCIntegrity, tpm2.TPMRCSize)...),
		about(imports, "of a duplicate with half a ciphertext for an ML-KEM key", on(parent), with(empty, area, octets(100), octets(544), noAlg), wrongSize...),
		about(duplicate, "to an ML-KEM key", on("object", parent), with(empty, noAlg)).first(movable(0, duplicate), policySession(), forCode(duplicate)).by(thatPolicy()).gives("gives what Import takes").
			next(conform.Flush("object"), do(imports, handle(parent)).With(empty, movableNow, field{Of: "asked", N: 2}, field{Of: "asked", N: 3}, noAlg).Named("imported"),
				do(tpm2.TPMCCLoad, handle(parent)).With(field{Of: "imported", N: 1}, movableNow).Named("moved"), mac("moved")),
		about(start, "with a salt for an ML-KEM key", on(parent, tpm2.TPMRHNull), salted(conform.Salt("salt"))).gives("gives a session that the client can use").
			next(do(tpm2.TPMCCMAC, handle("@hmac")).With(with("data", tpm2.TPMAlgNull)...).By(conform.In(handle("asked"), 0))),
		about(start, "with a ciphertext that is none for an ML-KEM key", on(parent, tpm2.TPMRHNull), salted(conform.Bytes(octets(1088)))).gives("gives a session that nobody can use").
			next(do(tpm2.TPMCCMAC, handle("@hmac")).With(with("data", tpm2.TPMAlgNull)...).By(conform.In(handle("asked"), 0)).Fails(s(1, tpm2.TPMRCBadAuth), s(1, tpm2.TPMRCAuthFail))),
		about(start, "with half a ciphertext for an ML-KEM key", on(parent, tpm2.TPMRHNull), salted(conform.Bytes(octets(544))), wrongSize...),
		about(start, "with a salt for the public area of an ML-KEM key alone", on("@mlkem 768 public", tpm2.TPMRHNull), salted(clientCiphertext(2)), anyNumber(tpm2.TPMRCHandle)...),
		about(start, "with a salt for an ML-DSA key", on("@mldsa 44", tpm2.TPMRHNull), salted(conform.Bytes(octets(1088))), anyNumber(tpm2.TPMRCKey, tpm2.TPMRCAttributes)...),
	)
	for set := uint16(1); set <= 3; set++ {
		k := kind185{alg: wire.AlgMLKEM, attributes: parental, details: storageKEM(set)}
		cases = append(cases, about(start, "with a salt for a key of "+kemSet(set).String(), on("key", tpm2.TPMRHNull), salted(conform.Salt("salt"))).gives("gives a session that the client can use").
			first(createPrimary(null, "", k.template(made, empty)).Named("key")).
			next(do(tpm2.TPMCCMAC, handle("@hmac")).With(with("data", tpm2.TPMAlgNull)...).By(conform.In(handle("asked"), 0))).build())
	}
	for i := range cases {
		if cases[i].Section.Since = 185; cases[i].Section.Clause == "" {
			cases[i].Section = since(185, startAuthSession)
		}
	}
	return cases
}

// oldSignatureCases are those of Sign, VerifySignature and PolicySigned.
func oldSignatureCases() []conform.Case {
	sign, verify, signed := tpm2.TPMCCSign, tpm2.TPMCCVerifySignature, tpm2.TPMCCPolicySigned
	none := append(anyNumber(tpm2.TPMRCScheme, tpm2.TPMRCKey), tpm2.TPMRCAttributes)
	asserted := slices.Concat(wire.U32(0), []byte("ref"))
	var cases []conform.Case
	for _, v := range []struct {
		what string
		*signer
		scheme tpm2.TPMAlgID
	}{
		{"ML-DSA", dsaSigner(1, nil), wire.AlgMLDSA}, {"HashML-DSA", hashDSASigner(1, tpm2.TPMAlgSHA256, "SHA256", nil), wire.AlgHashMLDSA}, {"EdDSA", ed25519Plain.signer(), wire.AlgEdDSA}, {"HashEdDSA", ed25519Hash.signer(), wire.AlgHashEdDSA},
		{"Ed448", ed448Plain.signer(), wire.AlgEdDSA}, {"Ed448ph", ed448Hash.signer(), wire.AlgHashEdDSA},
	} {
		to := on(v.key, "policy")
		cases = append(cases, built(
			about(verify, "of a signature by "+v.what+", which is of a message", on(v.key), with(digestOf(1), v.signed(message)), none...),
			about(signed, "with a signature by "+v.what, to, with(secretly(empty, empty, "ref", 0), v.signed(asserted))).first(policySession()).next(digestRight()).gives("makes the digest that the client computes"),
			about(signed, "with a signature by "+v.what+" of another policyRef", to, with(secretly(empty, empty, "other", 0), v.signed(asserted)), p(5, tpm2.TPMRCSignature), tpm2.TPMRCPolicyFail).first(policySession()),
			about(signed, "with a signature by "+v.what+" that was changed", to, with(secretly(empty, empty, "ref", 0), changed(v.signed(asserted), -1)), p(5, tpm2.TPMRCSignature), tpm2.TPMRCPolicyFail).first(policySession()),
		)...)
	}
	cases = append(cases, built(
		about(sign, "with an ML-DSA key, which signs messages", on("@mldsa 44"), with(digestOf(1), noScheme, nullTicket()), none...),
		about(sign, "with an EdDSA key, which signs messages", on("@eddsa"), with(digestOf(1), noScheme, nullTicket()), none...),
		about(sign, "with an Ed448 key, which signs messages", on("@ed448"), with(digestOf(1), noScheme, nullTicket()), none...),
		about(sign, "with an ML-KEM key", on("@mlkem 768"), with(digestOf(1), noScheme, nullTicket()), h(1, tpm2.TPMRCKey)),
	)...)
	for i := range cases {
		cases[i].Section.Since = 185
	}
	return cases
}

// attestationCases185 are attestations by keys of version 185: what is signed is the
// TPMS_ATTEST, as the message.
func attestationCases185() []conform.Case {
	quote, certify, time := tpm2.TPMCCQuote, tpm2.TPMCCCertify, tpm2.TPMCCGetTime
	signedBy := func(key string, by tpm2.TPMAlgID) func(*conform.Answer) error {
		return func(a *conform.Answer) error {
			in := a.Parsed()
			attest := in.Sized()
			rest := *a
			rest.Parameters = in.Rest
			return signatureOf(key, by, nil, attest)(&rest)
		}
	}
	var cases []conform.Case
	for _, k := range kinds185() {
		if k.attributes != signs|restricted {
			continue
		}
		by := k.alg
		if k.alg == tpm2.TPMAlgECC {
			by = wire.AlgEdDSA
		}
		signer := createPrimary(null, "", k.template(made, empty)).Named("signer")
		q := func(code tpm2.TPMCC, what string, on []conform.Part, parameters join, want ...tpm2.TPMRC) *question {
			return about(code, what+k.what, on, parameters, want...).first(signer)
		}
		ecdsa := scheme(tpm2.TPMAlgECDSA, tpm2.TPMAlgSHA256)
		cases = append(cases, built(
			q(quote, "of PCRs by ", on("signer"), with("nonce", noScheme, oneBank(tpm2.TPMAlgSHA256, 0, 7))).needing(bank(tpm2.TPMAlgSHA256)).
				check("gives an attestation whose signature verifies", signedBy("signer", by)),
			q(quote, "of no PCRs by ", on("signer"), with("nonce", noScheme, u32(0))).check("attests the digest of nothing by nameAlg", quoted(nil)),
			q(quote, "in the scheme of the key by ", on("signer"), with("nonce", alg(by), u32(0))).check("gives an attestation whose signature verifies", signedBy("signer", by)),
			q(quote, "in another scheme by ", on("signer"), with("nonce", ecdsa, u32(0)), p(2, tpm2.TPMRCScheme)),
			q(certify, "by ", on("@hmac", "signer"), with("nonce", noScheme)).check("gives an attestation whose signature verifies", signedBy("signer", by)),
			q(certify, "in another scheme by ", on("@hmac", "signer"), with("nonce", ecdsa), p(2, tpm2.TPMRCScheme)),
			q(time, "by ", on(tpm2.TPMRHEndorsement, "signer"), with("nonce", noScheme)).check("gives an attestation whose signature verifies", signedBy("signer", by)),
		)...)
	}
	cases = append(cases, built(
		about(quote, "by TPM_RH_NULL in a scheme", on(tpm2.TPMRHNull), with("nonce", scheme(tpm2.TPMAlgECDSA, tpm2.TPMAlgSHA256), u32(0))).check("attests the digest of nothing by its hash algorithm", quoted(nil)),
		about(certify, "by an ML-KEM key", on("@hmac", "@mlkem 768"), with("nonce", noScheme), h(2, tpm2.TPMRCKey)),
		about(certify, "of an ML-KEM key", on("@mlkem 1024", "@attest"), with("nonce", noScheme)).check("attests its Name", attested(tpm2.TPMSTAttestCertify, func(s *conform.State, in *wire.Cursor) error {
			handle, err := s.Handle("@mlkem 1024")
			if err != nil {
				return err
			}
			name := in.Sized()
			in.Sized() // qualifiedName
			return differ("name", name, s.Name(handle))
		})),
	)...)
	for i := range cases {
		cases[i].Section.Since = 185
	}
	return cases
}
