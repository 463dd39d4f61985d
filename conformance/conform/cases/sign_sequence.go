package cases

import (
	"bytes"
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/conform"
	signatures "github.com/swtpmd/swtpmd/conformance/differential/signature"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// signatureOf checks that the answer is the signature, in a scheme, of a message by the key
// with a label.
func signatureOf(key string, by tpm2.TPMAlgID, context, message []byte) func(*conform.Answer) error {
	return func(a *conform.Answer) error {
		in := a.Parsed()
		s := in.Signature()
		public, err := a.State.Public(key)
		switch {
		case err != nil:
			return err
		case !in.Done() || s.Scheme != by:
			return fmt.Errorf("the signature has the scheme %#x: %x", uint16(s.Scheme), a.Parameters)
		case by == tpm2.TPMAlgHMAC:
			return differ("the HMAC", s.Parts[0], hmacOf(1, message))
		case !signatures.OfMessage(public, context, message, s):
			return fmt.Errorf("%x does not verify with %x", s.Parts, public.Unique)
		}
		return nil
	}
}

// signing185 are the schemes of keys that sign messages.
func signing185() (all []scheme185) {
	all = []scheme185{
		{"RSASSA", "@rsa sign", tpm2.TPMAlgRSASSA, nil}, {"RSAPSS", "@rsa pss", tpm2.TPMAlgRSAPSS, nil},
		{"ECDSA", "@ecc sign", tpm2.TPMAlgECDSA, nil}, {"HMAC", "@hmac", tpm2.TPMAlgHMAC, nil},
	}
	for _, e := range hashSchemes {
		all = append(all, scheme185{e.name, e.label, e.alg, nil})
	}
	for set := uint16(1); set <= 3; set++ {
		for _, context := range [][]byte{nil, []byte("context"), octets(255)} {
			with := ""
			if len(context) > 0 {
				with = fmt.Sprintf(" with a context of %d octets", len(context))
			}
			all = append(all, scheme185{dsaSet(set).String() + with, "@mldsa " + dsaName(set), wire.AlgMLDSA, context},
				scheme185{"Hash" + dsaSet(set).String() + " and SHA256" + with, hashDSAName(set, "SHA256"), wire.AlgHashMLDSA, context})
		}
		for _, known := range dsaHashes[1:] {
			all = append(all, scheme185{"Hash" + dsaSet(set).String() + " and " + known.name, hashDSAName(set, known.name), wire.AlgHashMLDSA, nil})
		}
	}
	return all
}

// scheme185 is a key and the context with which it signs a message.
type scheme185 struct {
	what, key string
	by        tpm2.TPMAlgID
	context   []byte
}

// startRefusals are those that SignSequenceStart and VerifySequenceStart have in common. The
// parameters are those of an authorization value, hint and context.
func startRefusals(code tpm2.TPMCC, parameters func(auth, hint, context any) join, contextAt int) []conform.Case {
	plain := parameters(empty, empty, empty)
	tooMuch := anyNumber(tpm2.TPMRCSize, tpm2.TPMRCValue)
	cases := built(
		about(code, "with a key that only decrypts", on("@ecc decrypt"), plain, h(1, tpm2.TPMRCKey)),
		about(code, "with an RSA key that only decrypts", on("@rsa decrypt"), plain, h(1, tpm2.TPMRCKey)),
		about(code, "with a storage key", on("@storage"), plain, h(1, tpm2.TPMRCKey)),
		about(code, "with sealed data", on("@sealed"), plain, h(1, tpm2.TPMRCKey)),
		about(code, "with an ML-KEM key", on("@mlkem 768"), plain, h(1, tpm2.TPMRCKey)),
		about(code, "with an ECC key without a scheme", on("@ecc"), plain, h(1, tpm2.TPMRCScheme)),
		about(code, "with an RSA key without a scheme", on("@rsa"), plain, h(1, tpm2.TPMRCScheme)),
		about(code, "with an authorization value longer than any digest", on("@ecc sign"), parameters(octets(65), empty, empty), p(1, tpm2.TPMRCSize)),
		about(code, "with a context longer than that of any scheme", on("@mldsa 44"), parameters(empty, empty, octets(256)), p(contextAt, tpm2.TPMRCSize)),
	)
	for _, none := range []struct{ what, key string }{
		{"an ECC key", "@ecc sign"}, {"an RSA key", "@rsa sign"}, {"an HMAC key", "@hmac"}, {ed25519Hash.a, ed25519Hash.label}, {ed448Hash.a, ed448Hash.label},
	} {
		cases = append(cases, about(code, "with a context and "+none.what+", whose scheme has none", on(none.key), parameters(empty, empty, "context"), tooMuch...).build())
	}
	return cases
}

// signSequenceCases are those of sequences that sign.
func signSequenceCases() []conform.Case {
	start, complete := wire.CCSignSequenceStart, wire.CCSignSequenceComplete
	cases := startRefusals(start, func(auth, _, context any) join { return with(auth, context) }, 2)
	for _, k := range signing185() {
		cases = append(cases, built(
			about(complete, "by "+k.what, on("sequence", k.key), with(message)).first(signStart(k.key, k.context)).
				check("gives a signature that verifies", signatureOf(k.key, k.by, k.context, message)),
			about(complete, "by "+k.what+" of a message in three parts", on("sequence", k.key), with(octets(300)[200:])).
				first(signStart(k.key, k.context), update("sequence", octets(300)[:7]), update("sequence", octets(300)[7:200])).
				check("gives a signature that verifies", signatureOf(k.key, k.by, k.context, octets(300))),
		)...)
	}
	for set := uint16(1); set <= 3; set++ {
		key := "@mldsa " + dsaName(set)
		cases = append(cases, about(complete, "by "+dsaSet(set).String()+" of no message", on("sequence", key), with(empty)).first(signStart(key, nil)).
			check("gives a signature that verifies", signatureOf(key, wire.AlgMLDSA, nil, nil)).build())
	}
	cases = append(cases, about(start, "with a restricted HMAC key", on("@hmac attest"), with(empty, empty), anyNumber(tpm2.TPMRCKey, tpm2.TPMRCAttributes, tpm2.TPMRCScheme)...).build())
	return append(append(cases, edSequenceCases()...), signCompletions()...)
}

// edSequenceCases are those of EdDSA, which signs a message in one piece.
func edSequenceCases() []conform.Case {
	complete := wire.CCSignSequenceComplete
	var cases []conform.Case
	for _, e := range plainSchemes {
		key := e.label
		for _, n := range []int{0, 1, 64, 1024} {
			cases = append(cases, about(complete, fmt.Sprintf("by %s of %d octets", e.name, n), on("sequence", key), with(octets(n))).first(signStart(key, nil)).
				needing(inputAtLeast(1024)).check("gives a signature that verifies", signatureOf(key, e.alg, nil, octets(n))).build())
		}
		cases = append(cases, built(
			about(tpm2.TPMCCSequenceUpdate, "of a sequence that signs by "+e.name, on("sequence"), with("message"), anyNumber(wire.RCOneShotSignature)...).
				first(signStart(key, nil)).in(since185(complete)),
			about(complete, "by "+e.name+" twice", on("sequence", key), with(message)).first(signStart(key, nil)).gives("gives the same signature").
				next(signStart(key, nil), do(complete, handle("sequence"), handle(key)).With(with(message)...).Checked(sameAs("asked", 1))),
		)...)
	}
	return cases
}

// inputAtLeast needs a TPM2B_MAX_BUFFER of a size.
func inputAtLeast(size uint32) func(*conform.Needs) {
	return func(n *conform.Needs) {
		n.Other = func(f *conform.Features) string {
			if got := f.Properties[tpm2.TPMPTInputBuffer]; got < size {
				return fmt.Sprintf("TPM_PT_INPUT_BUFFER is %d, less than %d", got, size)
			}
			return ""
		}
	}
}

// signCompletions are those of what ends a sequence that signs.
func signCompletions() []conform.Case {
	start, complete := wire.CCSignSequenceStart, wire.CCSignSequenceComplete
	generated := []byte("\xffTCG attested")
	key, sequence := "@ecc sign", signStart("@ecc sign", nil)
	loaded := external("p256", outside|signs, eccSigns, "secret").Named("key")
	secretly := do(start, handle("key")).With(with("other", empty)...).Named("sequence").Giving("other")
	both := func(sequence, key string) []conform.Auth {
		return []conform.Auth{conform.Password(sequence), conform.Password(key)}
	}
	verified := func(of string, message []byte) func(*conform.Answer) error {
		return signatureOf(of, tpm2.TPMAlgECDSA, nil, message)
	}
	return built(
		about(complete, "with the passwords of sequence and key", on("sequence", "key"), with(message)).first(loaded, secretly).by(both("other", "secret")...).
			check("gives a signature that verifies", verified("key", message)),
		about(complete, "with the password of the key for the sequence", on("sequence", "key"), with(message), s(1, tpm2.TPMRCBadAuth)).first(loaded, secretly).by(both("secret", "secret")...),
		about(complete, "with the password of the sequence for the key", on("sequence", "key"), with(message), s(2, tpm2.TPMRCBadAuth)).first(loaded, secretly).by(both("other", "other")...),
		about(complete, "with another key than that of the start", on("sequence", "@rsa sign"), with(message), h(2, wire.RCSignContextKey)).first(sequence),
		about(complete, "with another key of the same kind than that of the start", on("sequence", "@attest"), with(message), h(2, wire.RCSignContextKey)).first(sequence),
		about(complete, "with the key of the start, loaded again", on("sequence", "again"), with(message)).
			first(external("p256", outside|signs, eccSigns, "").Named("key"), do(start, handle("key")).With(with(empty, empty)...).Named("sequence"), conform.Flush("key"),
				external("p256", outside|signs, eccSigns, "").Named("again")).
			check("gives a signature that verifies", verified("again", message)),
		about(complete, "of a sequence whose context was saved and loaded", on("again", key), with("b")).
			first(sequence, update("sequence", []byte("a")), do(tpm2.TPMCCContextSave, handle("sequence")).Named("saved"), conform.Flush("sequence"),
				do(tpm2.TPMCCContextLoad).With(field{Of: "saved", N: 1}).Named("again")).
			check("goes on with it", verified(key, []byte("ab"))),
		about(complete, "of an ML-DSA sequence whose context was saved and loaded", on("again", "@mldsa 44"), with("b")).
			first(signStart("@mldsa 44", []byte("context")), update("sequence", []byte("a")), do(tpm2.TPMCCContextSave, handle("sequence")).Named("saved"), conform.Flush("sequence"),
				do(tpm2.TPMCCContextLoad).With(field{Of: "saved", N: 1}).Named("again")).
			check("goes on with it", signatureOf("@mldsa 44", wire.AlgMLDSA, []byte("context"), []byte("ab"))),
		about(complete, "of a sequence", on("sequence", key), with(message)).first(sequence).gives("takes it away").
			next(update("sequence", nil).Fails(tpm2.TPMRCReferenceH0)),
		about(complete, "that fails", on("sequence", "@rsa sign"), with(message), h(2, wire.RCSignContextKey)).first(sequence, update("sequence", []byte("a"))).
			gives("leaves the sequence").
			next(do(complete, handle("sequence"), handle(key)).With(with("b")...).Checked(conform.Check{Says: "the signature is that of both parts", Test: verified(key, []byte("ab"))})),
		about(complete, "of a restricted key, of a message that begins with TPM_GENERATED_VALUE", on("sequence", "@attest"), with(generated), anyNumber(tpm2.TPMRCValue, tpm2.TPMRCTicket)...).
			first(signStart("@attest", nil)),
		about(complete, "of a restricted ML-DSA key, of a message that begins with TPM_GENERATED_VALUE", on("sequence", "@mldsa attest"), with(generated), anyNumber(tpm2.TPMRCValue, tpm2.TPMRCTicket)...).
			first(signStart("@mldsa attest", nil)),
		about(complete, "of a restricted key, of another message", on("sequence", "@attest"), with(message)).first(signStart("@attest", nil)).
			check("gives a signature that verifies", verified("@attest", message)),
		about(complete, "of a restricted ML-DSA key, of another message", on("sequence", "@mldsa attest"), with(message)).first(signStart("@mldsa attest", nil)).
			check("gives a signature that verifies", signatureOf("@mldsa attest", wire.AlgMLDSA, nil, message)),
		about(complete, "of an unrestricted key, of a message that begins with TPM_GENERATED_VALUE", on("sequence", key), with(generated)).first(sequence).
			check("gives a signature that verifies", verified(key, generated)),
		about(complete, "with more than a TPM2B_MAX_BUFFER", on("sequence", key), with(octets(1025)), p(1, tpm2.TPMRCSize)).needing(inputBuffer(1024)).first(sequence),
		about(complete, "with the public area of the key alone", on("sequence", "@ecc public signs"), with(message), tpm2.TPMRCAuthUnavailable).
			first(sequence),
		about(tpm2.TPMCCSequenceComplete, "of a sequence that signs", on("sequence"), with("data", null), h(1, tpm2.TPMRCMode)).first(sequence).in(since185(tpm2.TPMCCSequenceComplete)),
		about(tpm2.TPMCCEventSequenceComplete, "of a sequence that signs", on(tpm2.TPMRHNull, "sequence"), with("data"), h(2, tpm2.TPMRCMode)).first(sequence).in(since185(tpm2.TPMCCEventSequenceComplete)),
		about(tpm2.TPMCCReadPublic, "of a sequence that signs", on("sequence"), nil, tpm2.TPMRCSequence).first(sequence).in(since185(tpm2.TPMCCReadPublic)),
		about(start, "and a second one with the same key", on(key), with(empty, empty)).first(sequence, update("sequence", []byte("a"))).gives("starts one of its own").
			next(update("asked", []byte("x")), do(complete, handle("sequence"), handle(key)).With(with("b")...).Checked(conform.Check{Says: "the signature has nothing of the other", Test: verified(key, []byte("ab"))})),
	)
}

// verifySequenceCases are those of sequences that verify.
func verifySequenceCases() []conform.Case {
	start := wire.CCVerifySequenceStart
	hints := anyNumber(tpm2.TPMRCSize, tpm2.TPMRCValue)
	cases := startRefusals(start, func(auth, hint, context any) join { return with(auth, hint, context) }, 3)
	cases = append(cases, built(
		about(start, "with a hint and an ECC key, whose scheme has none", on("@ecc sign"), with(empty, octets(32), empty), hints...),
		about(start, "with a hint and an ML-DSA key, whose scheme has none", on("@mldsa 44"), with(empty, octets(32), empty), hints...),
		about(start, "with the public area of an HMAC key alone", on("key"), with(empty, empty, empty), anyNumber(tpm2.TPMRCKey, tpm2.TPMRCHandle)...).
			first(do(tpm2.TPMCCLoadExternal).With(empty, public(tpm2.TPMAlgKeyedHash, outside|signs, empty, hmacSHA256, conform.Bytes(octets(32))), null).Named("key")),
	)...)
	for _, e := range edSchemes {
		if e.hash != 0 {
			cases = append(cases, about(start, "with a hint and "+e.a+", whose scheme has none", on(e.clientKey()), with(empty, octets(e.size), empty), hints...).build())
			continue
		}
		cases = append(cases, about(start, "without a hint and with "+e.a, on(e.clientKey()), with(empty, empty, empty), hints...).build())
		for _, size := range []int{e.size - 1, e.size + 1, ed25519Plain.size, ed448Plain.size} {
			if size != e.size {
				cases = append(cases, about(start, fmt.Sprintf("with a hint of %d octets and %s", size, e.a), on(e.clientKey()), with(empty, octets(size), empty), hints...).build())
			}
		}
	}
	for _, v := range verifying185() {
		cases = append(cases, v.cases()...)
	}
	return append(cases, verifyCompletions()...)
}

// verifying185 are the signatures that the client makes.
func verifying185() []verification {
	all := []verification{{"ECDSA", ecdsaSigner}, {"RSASSA", rsaSigner}, {"HMAC", hmacSigner}}
	for _, e := range edSchemes {
		all = append(all, verification{e.name, e.signer()})
	}
	for set := uint16(1); set <= 3; set++ {
		name := dsaSet(set).String()
		all = append(all, verification{name, dsaSigner(set, nil)}, verification{name + " with a context", dsaSigner(set, []byte("context"))},
			verification{name + " with a context of 255 octets", dsaSigner(set, octets(255))},
			verification{"Hash" + name + " and SHA256 with a context", hashDSASigner(set, tpm2.TPMAlgSHA256, "SHA256", []byte("context"))})
		for _, known := range dsaHashes {
			all = append(all, verification{"Hash" + name + " and " + known.name, hashDSASigner(set, known.alg, known.name, nil)})
		}
	}
	return all
}

type verification struct {
	what string
	*signer
}

// start starts a sequence for the signature of a message.
func (v *verification) start(message []byte) conform.Step {
	if v.hint == nil {
		return verifyStart(v.key, v.context)
	}
	return verifyWith(v.key, lazily(func() []byte { return v.hint(message) }), v.context)
}

func (v *verification) cases() []conform.Case {
	complete := wire.CCVerifySequenceComplete
	q := func(what string, signature conform.Part, want ...tpm2.TPMRC) *question {
		return about(complete, fmt.Sprintf(what, v.what), on("sequence", v.key), with(signature), want...)
	}
	other := []byte("another message")
	list := []*question{
		q("of the client's signature by %s", v.signed(message)).first(v.start(message), update("sequence", message)),
		q("of the client's signature by %s of a message in three parts", v.signed(octets(300))).
			first(v.start(octets(300)), update("sequence", octets(300)[:7]), update("sequence", octets(300)[7:200]), update("sequence", octets(300)[200:])),
		q("of a signature by %s of another message", v.signed(message), p(1, tpm2.TPMRCSignature)).first(v.start(message), update("sequence", other)),
		q("of a signature by %s that was changed", changed(v.signed(message), -1), p(1, tpm2.TPMRCSignature)).first(v.start(message), update("sequence", message)),
	}
	if len(v.context) > 0 {
		list = append(list, q("of a signature by %s, with another context", v.signed(message), p(1, tpm2.TPMRCSignature)).
			first(verifyStart(v.key, []byte("contexT")), update("sequence", message)))
	}
	return built(list...)
}

// verifyCompletions are those of what ends a sequence that verifies.
func verifyCompletions() []conform.Case {
	complete := wire.CCVerifySequenceComplete
	signature := ecdsaSigner.signed(message)
	key, sequence := "@ecc sign", []conform.Step{verifyStart("@ecc sign", nil), update("sequence", message)}
	inOwner := publicOnly("p256", outside|signs, eccSigns, owner).Named("key")
	owned := []conform.Step{inOwner, verifyStart("key", nil), update("sequence", message)}
	hash44 := hashDSASigner(1, tpm2.TPMAlgSHA256, "SHA256", nil)
	cases := built(
		about(complete, "with another key than that of the start", on("sequence", "@rsa sign"), with(rsaSigner.signed(message)), h(2, wire.RCSignContextKey)).first(sequence...),
		about(complete, "with the key of the start, loaded again", on("sequence", "again"), with(signature)).
			first(external("p256", outside|signs, eccSigns, "").Named("key"), verifyStart("key", nil), update("sequence", message), conform.Flush("key"), external("p256", outside|signs, eccSigns, "").Named("again")),
		about(complete, "of a signature by RSASSA, with an ECC key", on("sequence", key), with(rsaSigner.signed(message)), p(1, tpm2.TPMRCScheme)).first(sequence...),
		about(complete, "of a signature by ECDSA, with an ML-DSA key", on("sequence", "@mldsa 44"), with(signature), p(1, tpm2.TPMRCScheme)).
			first(verifyStart("@mldsa 44", nil), update("sequence", message)),
		about(complete, "of a signature by HashML-DSA, with an ML-DSA key", on("sequence", "@mldsa 44"), with(hash44.signed(message)), p(1, tpm2.TPMRCScheme)).
			first(verifyStart("@mldsa 44", nil), update("sequence", message)),
		about(complete, "of a signature by ML-DSA, with a HashML-DSA key", on("sequence", hash44.key), with(dsaSigner(1, nil).signed(message)), p(1, tpm2.TPMRCScheme)).
			first(verifyStart(hash44.key, nil), update("sequence", message)),
		about(complete, "of a signature by HashML-DSA with another hash algorithm than that of the key", on("sequence", hash44.key),
			with(hashDSASigner(1, tpm2.TPMAlgSHA384, "SHA384", nil).signed(message)), p(1, tpm2.TPMRCScheme)).first(verifyStart(hash44.key, nil), update("sequence", message)),
		about(complete, "of a signature in a scheme that there is not", on("sequence", key), with(u16(0x7fff)), p(1, tpm2.TPMRCScheme)).first(sequence...),
		about(complete, "of a signature", on("sequence", key), with(signature)).first(sequence...).gives("takes the sequence away").
			next(update("sequence", nil).Fails(tpm2.TPMRCReferenceH0)),
		about(complete, "that fails", on("sequence", key), with(changed(signature, -1)), p(1, tpm2.TPMRCSignature)).first(sequence...).gives("leaves the sequence").
			next(do(complete, handle("sequence"), handle(key)).With(signature)),
		about(complete, "with a key of the null hierarchy", on("sequence", key), with(signature)).first(sequence...).
			check("gives a null ticket", func(a *conform.Answer) error {
				return ticketIs(a.Parsed(), wire.STMessageVerified, tpm2.TPMRHNull, false)
			}),
		about(complete, "with a key of the owner hierarchy", on("sequence", "key"), with(signature)).first(owned...).
			check("gives a ticket", func(a *conform.Answer) error {
				return ticketIs(a.Parsed(), wire.STMessageVerified, tpm2.TPMRHOwner, true)
			}),
		about(complete, "of the same message in other parts", on("sequence", "key"), with(signature)).first(owned...).gives("gives the same ticket").
			next(verifyStart("key", nil), update("sequence", message[:3]), update("sequence", message[3:]),
				do(complete, handle("sequence"), handle("key")).With(signature).Checked(sameAs("asked", 1))),
		about(complete, "of a sequence whose context was saved and loaded", on("again", key), with(signature)).
			first(verifyStart(key, nil), update("sequence", message[:3]), do(tpm2.TPMCCContextSave, handle("sequence")).Named("saved"), conform.Flush("sequence"),
				do(tpm2.TPMCCContextLoad).With(field{Of: "saved", N: 1}).Named("again"), update("again", message[3:])),
		about(complete, "with the password of the sequence", on("sequence", key), with(signature)).
			first(do(wire.CCVerifySequenceStart, handle(key)).With(with("secret", empty, empty)...).Named("sequence").Giving("secret"), update("sequence", message)),
		about(complete, "with a wrong password", on("sequence", key), with(signature), s(1, tpm2.TPMRCBadAuth)).
			first(do(wire.CCVerifySequenceStart, handle(key)).With(with("secret", empty, empty)...).Named("sequence").Giving("secret")).by(conform.Password("wrong")),
		about(tpm2.TPMCCSequenceComplete, "of a sequence that verifies", on("sequence"), with("data", null), h(1, tpm2.TPMRCMode)).first(sequence...).in(since185(tpm2.TPMCCSequenceComplete)),
	)
	for _, e := range edSchemes {
		key, signed := e.clientKey(), e.signer().signed(message)
		if e.hash != 0 {
			cases = append(cases, about(complete, "of a signature by "+e.name+" whose S is not reduced", on("sequence", key), with(conform.Computed(e.unreduced)), p(1, tpm2.TPMRCSignature)).
				first(verifyStart(key, nil), update("sequence", message)).build())
			continue
		}
		hint := func(message []byte) conform.Part { return lazily(func() []byte { return e.hint(message) }) }
		cases = append(cases, built(
			about(complete, "of a signature by "+e.name+" whose R is not the hint", on("sequence", key), with(signed), p(1, tpm2.TPMRCSignature)).
				first(verifyWith(key, hint([]byte("another")), nil), update("sequence", message)),
			about(complete, "of a signature by "+e.name+" whose S is not reduced", on("sequence", key), with(conform.Computed(e.unreduced)), p(1, tpm2.TPMRCSignature)).
				first(verifyWith(key, hint(message), nil), update("sequence", message)),
			about(complete, "of a signature by "+e.name+" without its last octet", on("sequence", key), with(conform.Computed(e.cut)), p(1, tpm2.TPMRCSignature), p(1, tpm2.TPMRCSize)).
				first(verifyWith(key, hint(message), nil), update("sequence", message)),
		)...)
	}
	return append(cases, authorizedMessages()...)
}

// authorizedMessages are policies whose approval is a ticket of version 185.
func authorizedMessages() []conform.Case {
	code, in := tpm2.TPMCCPolicyAuthorize, on("policy")
	approved := codePolicy(tpm2.TPMCCSign)
	approval := append(bytes.Clone(approved), "ref"...)
	name, proof := conform.Name{Of: handle("key")}, field{Of: "verified", N: 1}
	session := []conform.Step{policySession(), forCode(tpm2.TPMCCSign)}
	byMessage := append([]conform.Step{
		publicOnly("p256", outside|signs, eccSigns, owner).Named("key"), verifyStart("key", nil), update("sequence", approval),
		do(wire.CCVerifySequenceComplete, handle("sequence"), handle("key")).With(ecdsaSigner.signed(approval)).Named("verified"),
	}, session...)
	byDigest := append([]conform.Step{
		publicOnly("p256", outside|signs, eccSigns, owner).Named("key"),
		do(wire.CCVerifyDigestSignature, handle("key")).With(with(empty, hashOf(hashes[1].hash, approval), ecdsaSigner.signed(approval))...).Named("verified"),
	}, session...)
	dsa := dsaSigner(1, nil)
	byDSA := append([]conform.Step{
		do(tpm2.TPMCCLoadExternal).With(empty, dsaArea(wire.AlgMLDSA, 1, outside|signs, dsaDetails(1, false)), owner).Named("key"),
		verifyStart("key", nil), update("sequence", approval),
		do(wire.CCVerifySequenceComplete, handle("sequence"), handle("key")).With(dsa.signed(approval)).Named("verified"),
	}, session...)
	var cases []conform.Case
	for _, of := range []struct {
		what  string
		first []conform.Step
	}{{"the message", byMessage}, {"the digest", byDigest}, {"the message by ML-DSA-44", byDSA}} {
		cases = append(cases, built(
			about(code, "with a ticket of "+of.what, in, with(approved, "ref", name, proof)).first(of.first...).in(since185(code)).
				next(digestRight()).gives("makes the digest that the client computes"),
			about(code, "with a ticket of "+of.what+" that was changed", in, with(approved, "ref", name, changed(proof, -1)), invalidTicket()...).first(of.first...).in(since185(code)),
			about(code, "with a ticket of "+of.what+" and another policyRef", in, with(approved, "other", name, proof), invalidTicket()...).first(of.first...).in(since185(code)),
		)...)
	}
	return cases
}
