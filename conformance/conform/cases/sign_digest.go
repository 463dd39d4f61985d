package cases

import (
	"fmt"
	"slices"

	"filippo.io/mldsa/mldsacrypto"
	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/conform"
	"github.com/swtpmd/swtpmd/conformance/differential/lattice"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// withExternalMu needs a TPM that signs µ from outside, and withoutMu one that does not.
func withExternalMu(n *conform.Needs) {
	n.Other = func(f *conform.Features) string {
		if !f.ExternalMu() {
			return "it signs no µ from outside"
		}
		return ""
	}
}

// muOf is µ of a message with the client's ML-DSA key.
func muOf(set uint16, context, message []byte) []byte {
	return lattice.Mu(dsaKey(set).PublicKey().Bytes(), context, message)
}

// muOfMessage is µ of the message as TPM2B_DIGEST.
func muOfMessage(set uint16, context []byte) conform.Computed {
	return lazily(func() []byte { return muOf(set, context, message) })
}

// digestSchemes are the schemes that sign digests, with the hash algorithm of the digest.
func digestSchemes() (all []digestScheme) {
	all = []digestScheme{
		{"RSASSA", "@rsa sign", tpm2.TPMAlgRSASSA, tpm2.TPMAlgSHA256, nil, rsaSigner}, {"RSAPSS", "@rsa pss", tpm2.TPMAlgRSAPSS, tpm2.TPMAlgSHA256, nil, nil},
		{"ECDSA", "@ecc sign", tpm2.TPMAlgECDSA, tpm2.TPMAlgSHA256, nil, ecdsaSigner},
	}
	for _, e := range hashSchemes {
		all = append(all, digestScheme{e.name, e.label, e.alg, e.hash, nil, e.signer()})
	}
	for set := uint16(1); set <= 3; set++ {
		name := "Hash" + dsaSet(set).String()
		for _, known := range dsaHashes {
			all = append(all, digestScheme{name + " and " + known.name, hashDSAName(set, known.name), wire.AlgHashMLDSA, known.alg, nil, hashDSASigner(set, known.alg, known.name, nil)})
		}
		for _, context := range [][]byte{[]byte("context"), octets(255)} {
			all = append(all, digestScheme{fmt.Sprintf("%s and SHA256 with a context of %d octets", name, len(context)), hashDSAName(set, "SHA256"), wire.AlgHashMLDSA, tpm2.TPMAlgSHA256, context,
				hashDSASigner(set, tpm2.TPMAlgSHA256, "SHA256", context)})
		}
	}
	return all
}

type digestScheme struct {
	what, key string
	by, hash  tpm2.TPMAlgID
	context   []byte
	signer    *signer // nil if the client does not sign so
}

// digestCases are those of TPM2_SignDigest and TPM2_VerifyDigestSignature.
func digestCases() []conform.Case {
	var cases []conform.Case
	for _, k := range digestSchemes() {
		cases = append(cases, k.cases()...)
	}
	for set := uint16(1); set <= 3; set++ {
		cases = append(cases, muCases(set)...)
	}
	return slices.Concat(cases, signDigestRefusals(), verifyDigestRefusals())
}

func (k *digestScheme) cases() []conform.Case {
	sign, verify := wire.CCSignDigest, wire.CCVerifyDigestSignature
	digest := wire.Digest(k.hash, message)
	list := []*question{
		about(sign, "by "+k.what, on(k.key), with(k.context, digest, nullTicket())).check("gives a signature that verifies", signatureOf(k.key, k.by, k.context, message)),
		about(sign, "by "+k.what+" of a digest that is too short", on(k.key), with(k.context, digest[1:], nullTicket()), p(2, tpm2.TPMRCSize)),
		about(sign, "by "+k.what+" of an empty digest", on(k.key), with(k.context, empty, nullTicket()), p(2, tpm2.TPMRCSize)),
		about(verify, "of a signature by SignDigest and "+k.what, on(k.key), with(k.context, digest, field{Of: "made", N: 1})).
			first(do(sign, handle(k.key)).With(with(k.context, digest, nullTicket())...).Named("made")),
	}
	if s := k.signer; s != nil {
		other := wire.Digest(k.hash, []byte("another message"))
		list = append(list,
			about(verify, "of the client's signature by "+k.what, on(s.key), with(k.context, digest, s.signed(message))).
				check("gives a null ticket that names the hash algorithm, or none", digestTicket(tpm2.TPMRHNull, k.hash, false)),
			about(verify, "of a signature of another message by "+k.what, on(s.key), with(k.context, other, s.signed(message)), p(3, tpm2.TPMRCSignature)),
			about(verify, "of a signature that was changed by "+k.what, on(s.key), with(k.context, digest, changed(s.signed(message), -1)), p(3, tpm2.TPMRCSignature)),
			about(verify, "of a digest that is too short by "+k.what, on(s.key), with(k.context, digest[1:], s.signed(message)), p(2, tpm2.TPMRCSize)))
		if len(k.context) > 0 {
			list = append(list, about(verify, "of a signature with another context by "+k.what, on(s.key), with("contexT", digest, s.signed(message)), p(3, tpm2.TPMRCSignature)))
		}
	}
	return built(list...)
}

// digestTicket checks a TPMT_TK_VERIFIED with TPM_ST_DIGEST_VERIFIED, which has the hash
// algorithm before the HMAC. In a null ticket it may be TPM_ALG_NULL.
func digestTicket(hierarchy tpm2.TPMHandle, hash tpm2.TPMAlgID, digest bool) func(*conform.Answer) error {
	return func(a *conform.Answer) error {
		in := a.Parsed()
		tag, gotHierarchy, gotHash, got := tpm2.TPMST(in.U16()), tpm2.TPMHandle(in.U32()), in.Alg(), in.Sized()
		switch {
		case !in.Done() || tag != wire.STDigestVerified || gotHierarchy != hierarchy || (len(got) > 0) != digest:
			return fmt.Errorf("the ticket is %x", a.Parameters)
		case gotHash != hash && (digest || gotHash != tpm2.TPMAlgNull):
			return fmt.Errorf("the ticket names the hash algorithm %#x", uint16(gotHash))
		}
		return nil
	}
}

// muCases are those of µ with a parameter set.
func muCases(set uint16) []conform.Case {
	sign, verify := wire.CCSignDigest, wire.CCVerifyDigestSignature
	name, key := dsaSet(set).String(), "@mldsa "+dsaName(set)+" mu"
	context := []byte("context")
	bySigner := dsaSigner(set, context)
	byMu := conform.Computed(func(*conform.State) ([]byte, error) {
		b, err := dsaKey(set).Sign(nil, muOf(set, nil, message), mldsacrypto.MLDSAMu)
		return slices.Concat(alg(wire.AlgMLDSA), wire.Sized(b)), err
	})
	refused := anyNumber(tpm2.TPMRCAttributes, wire.RCExtMu, tpm2.TPMRCKey, tpm2.TPMRCScheme)
	q := func(code tpm2.TPMCC, what string, with join, want ...tpm2.TPMRC) *question {
		return about(code, "of µ with "+name+what, on(key), with, want...).needing(withExternalMu)
	}
	return built(
		q(sign, "", with(empty, muOfMessage(set, nil), nullTicket())).check("gives a signature of the message", signatureOf(key, wire.AlgMLDSA, nil, message)),
		q(sign, " of a message with a context", with(empty, muOfMessage(set, context), nullTicket())).
			check("gives a signature of the message with the context", signatureOf(key, wire.AlgMLDSA, context, message)),
		q(sign, " of 32 octets", with(empty, octets(32), nullTicket()), p(2, tpm2.TPMRCSize)),
		q(sign, " of 63 octets", with(empty, octets(63), nullTicket()), p(2, tpm2.TPMRCSize)),
		q(verify, " of the client's signature of a message", with(empty, muOfMessage(set, context), bySigner.signed(message))).
			check("gives a null ticket", func(a *conform.Answer) error {
				return digestTicket(tpm2.TPMRHNull, tpm2.TPMAlgNull, false)(a)
			}),
		q(verify, " of the client's signature of µ", with(empty, muOfMessage(set, nil), byMu)),
		q(verify, " of another message", with(empty, lazily(func() []byte { return muOf(set, nil, []byte("another")) }), byMu), p(3, tpm2.TPMRCSignature)),
		q(verify, " of a signature that was changed", with(empty, muOfMessage(set, nil), changed(byMu, -1)), p(3, tpm2.TPMRCSignature)),
		q(verify, " of 63 octets", with(empty, octets(63), byMu), p(2, tpm2.TPMRCSize)),
		about(sign, "with "+name+" and without allowExternalMu", on("@mldsa "+dsaName(set)), with(empty, muOfMessage(set, nil), nullTicket()), refused...),
		about(verify, "with "+name+" and without allowExternalMu", on("@mldsa "+dsaName(set)), with(empty, muOfMessage(set, nil), byMu), refused...),
	)
}

// signDigestRefusals are those of TPM2_SignDigest, and tickets.
func signDigestRefusals() []conform.Case {
	sign := wire.CCSignDigest
	digest := digestOf(1)
	plain := with(empty, digest, nullTicket())
	none := anyNumber(tpm2.TPMRCScheme, tpm2.TPMRCKey)
	tooMuch := anyNumber(tpm2.TPMRCSize, tpm2.TPMRCValue)
	hashed := field{Of: "hashed", N: 2}
	return built(
		about(sign, "with a key that only decrypts", on("@ecc decrypt"), plain, h(1, tpm2.TPMRCKey)),
		about(sign, "with a storage key", on("@storage"), plain, h(1, tpm2.TPMRCKey)),
		about(sign, "with sealed data", on("@sealed"), plain, h(1, tpm2.TPMRCKey)),
		about(sign, "with an ML-KEM key", on("@mlkem 768"), plain, h(1, tpm2.TPMRCKey)),
		about(sign, "with an ECC key without a scheme", on("@ecc"), plain, none...),
		about(sign, "with an HMAC key, which signs messages", on("@hmac"), plain, none...),
		about(sign, "with an EdDSA key, which signs messages", on("@eddsa"), with(empty, octets(64), nullTicket()), none...),
		about(sign, "with an Ed448 key, which signs messages", on("@ed448"), with(empty, octets(64), nullTicket()), none...),
		about(sign, "with the public area of a key alone", on("@ecc public signs"), plain, tpm2.TPMRCAuthUnavailable),
		about(sign, "with a key for certificates alone", on("key"), plain, h(1, tpm2.TPMRCAttributes)).first(external("p256", outside|signs|wire.ObjectX509, eccSigns, "").Named("key")),
		about(sign, "with a context and an ECC key, whose scheme has none", on("@ecc sign"), with("context", digest, nullTicket()), tooMuch...),
		about(sign, "with a context and an RSA key, whose scheme has none", on("@rsa sign"), with("context", digest, nullTicket()), tooMuch...),
		about(sign, "with a context and an Ed448ph key, whose scheme has none", on("@ed448ph"), with("context", octets(64), nullTicket()), tooMuch...),
		about(sign, "with a context longer than that of any scheme", on("@hash mldsa 44 SHA256"), with(octets(256), digest, nullTicket()), p(1, tpm2.TPMRCSize)),
		about(sign, "with a restricted key and no ticket", on("@attest"), plain, p(3, tpm2.TPMRCTicket)),
		about(sign, "with a restricted key and a ticket", on("@attest"), with(empty, digest, hashed)).first(hashedFor(tpm2.TPMRHOwner, message)).
			check("gives a signature that verifies", signatureOf("@attest", tpm2.TPMAlgECDSA, nil, message)),
		about(sign, "with a restricted key and a ticket that was changed", on("@attest"), with(empty, digest, changed(hashed, -1)), p(3, tpm2.TPMRCTicket)).first(hashedFor(tpm2.TPMRHOwner, message)),
		about(sign, "with a restricted key and the ticket of another digest", on("@attest"), with(empty, digest, hashed), p(3, tpm2.TPMRCTicket)).first(hashedFor(tpm2.TPMRHOwner, []byte("other"))),
		about(sign, "with an unrestricted key and the ticket of another digest", on("@ecc sign"), with(empty, digest, hashed), p(3, tpm2.TPMRCTicket)).first(hashedFor(tpm2.TPMRHOwner, []byte("other"))),
		about(sign, "with a restricted key of data that begin with TPM_GENERATED_VALUE", on("@attest"), with(empty, field{Of: "hashed", N: 1}, hashed), p(3, tpm2.TPMRCTicket)).
			first(hashedFor(tpm2.TPMRHOwner, []byte("\xffTCG attested"))),
		about(sign, "with a ticket of another kind", on("@ecc sign"), with(empty, digest, u16(uint16(tpm2.TPMSTVerified)), null, empty), p(3, tpm2.TPMRCTag)),
		about(sign, "in a session that encrypts the context", on("@hash mldsa 44 SHA256"), with("context", digest, nullTicket())).
			first(conform.StartCipher(wire.SessionHMAC).Named("cipher")).by(conform.In(handle("cipher"), wire.AttributeDecrypt)).
			check("gives a signature that verifies", signatureOf("@hash mldsa 44 SHA256", wire.AlgHashMLDSA, []byte("context"), message)),
	)
}

// verifyDigestRefusals are those of TPM2_VerifyDigestSignature.
func verifyDigestRefusals() []conform.Case {
	verify := wire.CCVerifyDigestSignature
	digest, signature := digestOf(1), ecdsaSigner.signed(message)
	none := append(anyNumber(tpm2.TPMRCScheme, tpm2.TPMRCKey), p(3, tpm2.TPMRCScheme))
	hash44 := hashDSASigner(1, tpm2.TPMAlgSHA256, "SHA256", nil)
	inOwner := publicOnly("p256", outside|signs, eccSigns, owner).Named("key")
	return built(
		about(verify, "of a signature by RSASSA, with an ECC key", on("@ecc sign"), with(empty, digest, rsaSigner.signed(message)), p(3, tpm2.TPMRCScheme)),
		about(verify, "of a signature by ECDSA, with an RSA key", on("@rsa sign"), with(empty, digest, signature), p(3, tpm2.TPMRCScheme)),
		about(verify, "of a signature by ECDSA, with a HashML-DSA key", on(hash44.key), with(empty, digest, signature), p(3, tpm2.TPMRCScheme)),
		about(verify, "of a signature by HashML-DSA with another hash algorithm than that of the key", on(hash44.key),
			with(empty, digest, hashDSASigner(1, tpm2.TPMAlgSHA384, "SHA384", nil).signed(message)), p(3, tpm2.TPMRCScheme)),
		about(verify, "of a signature in a scheme that there is not", on("@ecc sign"), with(empty, digest, u16(0x7fff)), p(3, tpm2.TPMRCScheme)),
		about(verify, "of an HMAC, which is of a message", on("@hmac"), with(empty, digest, hmacSigner.signed(message)), none...),
		about(verify, "of a signature by EdDSA, which is of a message", on("@eddsa public"), with(empty, octets(64), ed25519Plain.signer().signed(message)), none...),
		about(verify, "of a signature by Ed448, which is of a message", on("@ed448 public"), with(empty, octets(64), ed448Plain.signer().signed(message)), none...),
		about(verify, "with a context and an ECC key, whose scheme has none", on("@ecc sign"), with("context", digest, signature), anyNumber(tpm2.TPMRCSize, tpm2.TPMRCValue)...),
		about(verify, "with a context longer than that of any scheme", on(hash44.key), with(octets(256), digest, hash44.signed(message)), p(1, tpm2.TPMRCSize)),
		about(verify, "with the public area of a key", on("@ecc public signs"), with(empty, digest, signature)),
		about(verify, "with the public area of an EdDSA key of which the client has the private one", on("@hash eddsa public"), with(empty, wire.Digest(tpm2.TPMAlgSHA512, message), ed25519Hash.signer().signed(message))),
		about(verify, "with a key of the owner hierarchy", on("key"), with(empty, digest, signature)).first(inOwner).
			check("gives a ticket that names the hash algorithm", digestTicket(tpm2.TPMRHOwner, tpm2.TPMAlgSHA256, true)),
		about(verify, "twice", on("key"), with(empty, digest, signature)).first(inOwner).gives("gives the same ticket").
			next(do(verify, handle("key")).With(with(empty, digest, signature)...).Checked(sameAs("asked", 1))),
		about(verify, "of a HashEdDSA signature whose S is not reduced", on("@hash eddsa public"), with(empty, wire.Digest(ed25519Hash.hash, message), conform.Computed(ed25519Hash.unreduced)), p(3, tpm2.TPMRCSignature)),
		about(verify, "of an Ed448ph signature whose S is not reduced", on("@ed448ph public"), with(empty, wire.Digest(ed448Hash.hash, message), conform.Computed(ed448Hash.unreduced)), p(3, tpm2.TPMRCSignature)),
		about(verify, "of a signature by ECDSA, with an Ed448ph key", on("@ed448ph public"), with(empty, octets(64), signature), p(3, tpm2.TPMRCScheme)),
	)
}
