package cases

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/conform"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// nullTicket is a null ticket of TPM2_Hash.
func nullTicket() join {
	return noTicket(tpm2.TPMSTHashCheck)
}

// scheme is a TPMT_SIG_SCHEME.
func scheme(ids ...tpm2.TPMAlgID) join { return algorithms(ids...) }

// message gets signed; digestOf returns its digest.
var message = []byte("message")

func digestOf(i int) []byte { return hashOf(hashes[i].hash, message) }

// hashedFor hashes the message, with a ticket of a hierarchy.
func hashedFor(hierarchy tpm2.TPMHandle, data []byte) conform.Step {
	return do(tpm2.TPMCCHash).With(with(data, tpm2.TPMAlgSHA256, hierarchy)...).Named("hashed")
}

// signCases are those of Part 3, chapter "Signing and Signature Verification".
func signCases() []conform.Case {
	sign, digest := tpm2.TPMCCSign, digestOf(1)
	ecdsa, rsassa := scheme(tpm2.TPMAlgECDSA, tpm2.TPMAlgSHA256), scheme(tpm2.TPMAlgRSASSA, tpm2.TPMAlgSHA256)
	cases := built(
		about(sign, "with an ECC key that only decrypts", on("@ecc decrypt"), with(digest, ecdsa, nullTicket()), h(1, tpm2.TPMRCKey)),
		about(sign, "with an RSA key that only decrypts", on("@rsa decrypt"), with(digest, rsassa, nullTicket()), h(1, tpm2.TPMRCKey)),
		about(sign, "with sealed data", on("@sealed"), with(digest, noScheme, nullTicket()), h(1, tpm2.TPMRCKey)),
		about(sign, "with a storage key", on("@storage"), with(digest, ecdsa, nullTicket()), h(1, tpm2.TPMRCKey)),
		about(sign, "with an AES key", on("@aes"), with(digest, noScheme, nullTicket()), h(1, tpm2.TPMRCKey)),
		about(sign, "with an ECC key in a scheme for RSA", on("@ecc"), with(digest, rsassa, nullTicket()), p(2, tpm2.TPMRCScheme)),
		about(sign, "with an RSA key in a scheme for ECC", on("@rsa"), with(digest, ecdsa, nullTicket()), p(2, tpm2.TPMRCScheme)),
		about(sign, "with an ECC key in the scheme for HMAC", on("@ecc"), with(digest, scheme(tpm2.TPMAlgHMAC, tpm2.TPMAlgSHA256), nullTicket()), p(2, tpm2.TPMRCScheme)),
		about(sign, "with an HMAC key in a scheme for ECC", on("@hmac"), with(digest, ecdsa, nullTicket()), p(2, tpm2.TPMRCScheme)),
		about(sign, "in another scheme than that of the key", on("@rsa sign"), with(digest, scheme(tpm2.TPMAlgRSAPSS, tpm2.TPMAlgSHA256), nullTicket()), p(2, tpm2.TPMRCScheme)),
		about(sign, "with another hash algorithm than that of the key", on("@ecc sign"), with(digestOf(0), scheme(tpm2.TPMAlgECDSA, tpm2.TPMAlgSHA1), nullTicket()), p(2, tpm2.TPMRCScheme)),
		about(sign, "in no scheme, with a key without one", on("@ecc"), with(digest, noScheme, nullTicket()), p(2, tpm2.TPMRCScheme)),
		about(sign, "in no scheme, with an RSA key without one", on("@rsa"), with(digest, noScheme, nullTicket()), p(2, tpm2.TPMRCScheme)),
		about(sign, "in a scheme for encryption", on("@rsa"), with(digest, scheme(tpm2.TPMAlgOAEP, tpm2.TPMAlgSHA256), nullTicket()), p(2, tpm2.TPMRCScheme)),
		about(sign, "in a scheme that there is not", on("@rsa"), with(digest, u16(0x7fff), nullTicket()), p(2, tpm2.TPMRCScheme)),
		about(sign, "with a hash algorithm that there is not", on("@rsa"), with(digest, tpm2.TPMAlgRSASSA, u16(0x7fff), nullTicket()), p(2, tpm2.TPMRCHash)),
		about(sign, "of a digest that is shorter than those of the scheme", on("@ecc sign"), with(digest[:31], noScheme, nullTicket()), p(1, tpm2.TPMRCSize)),
		about(sign, "of a digest of another hash algorithm", on("@rsa sign"), with(digestOf(0), noScheme, nullTicket()), p(1, tpm2.TPMRCSize)),
		about(sign, "of an empty digest", on("@ecc sign"), with(empty, noScheme, nullTicket()), p(1, tpm2.TPMRCSize)),
		about(sign, "with the public area of a key alone", on("@ecc public"), with(digest, ecdsa, nullTicket()), tpm2.TPMRCAuthUnavailable),
		about(sign, "with a wrong password", on("@ecc sign"), with(digest, noScheme, nullTicket()), s(1, tpm2.TPMRCBadAuth)).by(conform.Password("wrong")),
		about(sign, "without an authorization", on("@ecc sign"), with(digest, noScheme, nullTicket()), tpm2.TPMRCAuthMissing).unauthorized(),
		about(sign, "with a restricted key and no ticket", on("@attest"), with(digest, noScheme, nullTicket()), p(3, tpm2.TPMRCTicket)),
		about(sign, "with a restricted HMAC key and no ticket", on("@hmac attest"), with(digest, noScheme, nullTicket()), p(3, tpm2.TPMRCTicket)),
		about(sign, "with a restricted key and a ticket", on("@attest"), with(digest, noScheme, field{Of: "hashed", N: 2})).first(hashedFor(tpm2.TPMRHOwner, message)),
		about(sign, "with a restricted key and the ticket of a sequence", on("@attest"), with(digest, noScheme, field{Of: "hashed", N: 2})).
			first(hashSequence(tpm2.TPMAlgSHA256, "").Named("sequence"), do(tpm2.TPMCCSequenceComplete, handle("sequence")).With(with(message, owner)...).Named("hashed")),
		about(sign, "with a restricted key and a ticket that was changed", on("@attest"), with(digest, noScheme, changed(field{Of: "hashed", N: 2}, -1)), p(3, tpm2.TPMRCTicket)).
			first(hashedFor(tpm2.TPMRHOwner, message)),
		about(sign, "with a restricted key and the ticket of another digest", on("@attest"), with(digest, noScheme, field{Of: "hashed", N: 2}), p(3, tpm2.TPMRCTicket)).
			first(hashedFor(tpm2.TPMRHOwner, []byte("other"))),
		about(sign, "with an unrestricted key and the ticket of another digest", on("@ecc sign"), with(digest, noScheme, field{Of: "hashed", N: 2}), p(3, tpm2.TPMRCTicket)).
			first(hashedFor(tpm2.TPMRHOwner, []byte("other"))),
		about(sign, "with a restricted key of data that begin with TPM_GENERATED_VALUE", on("@attest"), with(field{Of: "hashed", N: 1}, noScheme, field{Of: "hashed", N: 2}), p(3, tpm2.TPMRCTicket)).
			first(hashedFor(tpm2.TPMRHOwner, []byte("\xffTCG attested"))),
		about(sign, "with a ticket of another kind", on("@ecc sign"), with(digest, noScheme, u16(uint16(tpm2.TPMSTVerified)), null, empty), p(3, tpm2.TPMRCTag)),
		about(sign, "with a key for certificates alone", on("key"), with(digest, noScheme, nullTicket()), h(1, tpm2.TPMRCAttributes)).
			first(external("p256", outside|wire.ObjectSign|wire.ObjectX509, eccSigns, "").Named("key")).in(since(159, section(sign))),
	)
	for _, by := range []struct {
		key string
		alg tpm2.TPMAlgID
	}{
		{"@rsa", tpm2.TPMAlgRSASSA}, {"@rsa", tpm2.TPMAlgRSAPSS}, {"@ecc", tpm2.TPMAlgECDSA}, {"@ecc", tpm2.TPMAlgECSchnorr}, {"@hmac any", tpm2.TPMAlgHMAC},
	} {
		for i, known := range hashes {
			cases = append(cases, built(
				about(sign, "by "+hashText(by.alg)+" with "+hashText(known.alg), on(by.key), with(digestOf(i), by.alg, known.alg, nullTicket())).
					check("gives a signature that verifies", signatureVerifies(by.alg, i)).
					next(do(tpm2.TPMCCVerifySignature, handle(by.key)).With(with(digestOf(i), field{Of: "asked", N: 1})...)),
			)...)
		}
	}
	return append(append(cases, built(
		about(sign, "in the scheme of the key, RSASSA", on("@rsa sign"), with(digest, noScheme, nullTicket())).check("gives a signature that verifies", signatureVerifies(tpm2.TPMAlgRSASSA, 1)),
		about(sign, "in the scheme of the key, RSAPSS", on("@rsa pss"), with(digest, noScheme, nullTicket())).check("gives a signature that verifies", signatureVerifies(tpm2.TPMAlgRSAPSS, 1)),
		about(sign, "in the scheme of the key, HMAC", on("@hmac"), with(digest, noScheme, nullTicket())).check("gives the HMAC of the digest", signatureVerifies(tpm2.TPMAlgHMAC, 1)),
		about(sign, "by ECDSA twice", on("@ecc sign"), with(digest, noScheme, nullTicket())).
			next(do(sign, handle("@ecc sign")).With(with(digest, noScheme, nullTicket())...).Checked(otherThan("asked", 1))).gives("gives two different signatures"),
		about(sign, "by RSASSA twice", on("@rsa sign"), with(digest, noScheme, nullTicket())).
			next(do(sign, handle("@rsa sign")).With(with(digest, noScheme, nullTicket())...).Checked(sameAs("asked", 1))).gives("gives the same signature"),
	)...), verifyCases()...)
}

// signatureVerifies checks a signature of the digest of the message.
func signatureVerifies(by tpm2.TPMAlgID, i int) func(*conform.Answer) error {
	return func(a *conform.Answer) error {
		in := a.Parsed()
		got := in.Signature()
		if !in.Done() || got.Scheme != by || got.Hash != hashes[i].alg {
			return fmt.Errorf("the signature has the scheme %#x and the hash algorithm %#x", uint16(got.Scheme), uint16(got.Hash))
		}
		key := &conversation.KeyNamed("rsa").RSA.PublicKey
		switch by {
		case tpm2.TPMAlgRSASSA:
			return rsa.VerifyPKCS1v15(key, hashes[i].hash, digestOf(i), got.Parts[0])
		case tpm2.TPMAlgRSAPSS:
			return rsa.VerifyPSS(key, hashes[i].hash, digestOf(i), got.Parts[0], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthAuto})
		case tpm2.TPMAlgHMAC:
			return differ("the HMAC", got.Parts[0], hmacOf(i, digestOf(i)))
		}
		return nil // the client verifies ECDSA of every answer, and the TPM ECSchnorr
	}
}

// signedRSA is a signature of the client's RSA key, as TPMT_SIGNATURE.
func signedRSA(by tpm2.TPMAlgID, i int) conform.Part {
	key, digest := conversation.KeyNamed("rsa").RSA, digestOf(i)
	var signature []byte
	var err error
	if by == tpm2.TPMAlgRSAPSS {
		signature, err = rsa.SignPSS(rand.Reader, key, hashes[i].hash, digest, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	} else {
		signature, err = rsa.SignPKCS1v15(nil, key, hashes[i].hash, digest)
	}
	if err != nil {
		panic("conform: " + err.Error()) // a constant is wrong
	}
	return with(by, hashes[i].alg, signature)
}

// signedECDSA is a signature of the client's ECC key, with SHA-256.
func signedECDSA() conform.Part {
	signature, ok := conversation.KeyNamed("p256").Sign(message)
	if !ok {
		panic("conform: the client's ECC key does not sign") // a constant is wrong
	}
	return join{with(tpm2.TPMAlgECDSA, tpm2.TPMAlgSHA256), raw(signature[4:])}
}

// signedHMAC is an HMAC of the client's key.
func signedHMAC(i int) conform.Part {
	return with(tpm2.TPMAlgHMAC, hashes[i].alg, raw(hmacOf(i, digestOf(i))))
}

func verifyCases() []conform.Case {
	verify, digest := tpm2.TPMCCVerifySignature, digestOf(1)
	inOwner := publicOnly("p256", outside|wire.ObjectSign, eccSigns, owner).Named("key")
	zero := with(tpm2.TPMAlgECDSA, tpm2.TPMAlgSHA256, make([]byte, 32), make([]byte, 32))
	cases := built(
		about(verify, "with a key that only decrypts", on("@ecc decrypt"), with(digest, signedECDSA()), h(1, tpm2.TPMRCAttributes)),
		about(verify, "with a storage key", on("@storage"), with(digest, signedECDSA()), h(1, tpm2.TPMRCAttributes)),
		about(verify, "with sealed data", on("@sealed"), with(digest, signedHMAC(1)), h(1, tpm2.TPMRCAttributes)),
		about(verify, "of a signature by ECDSA with an RSA key", on("@rsa"), with(digest, signedECDSA()), p(2, tpm2.TPMRCScheme)),
		about(verify, "of a signature by RSASSA with an ECC key", on("@ecc"), with(digest, signedRSA(tpm2.TPMAlgRSASSA, 1)), p(2, tpm2.TPMRCScheme)),
		about(verify, "of a signature by ECDSA with an HMAC key", on("@hmac"), with(digest, signedECDSA()), p(2, tpm2.TPMRCScheme)),
		about(verify, "of a signature without a scheme", on("@ecc"), with(digest, noScheme), p(2, tpm2.TPMRCScheme)),
		about(verify, "of a signature in a scheme that there is not", on("@ecc"), with(digest, u16(0x7fff)), p(2, tpm2.TPMRCScheme)),
		about(verify, "of a signature with a hash algorithm that there is not", on("@ecc"), with(digest, tpm2.TPMAlgECDSA, u16(0x7fff), octets(32), octets(32)), p(2, tpm2.TPMRCHash)),
		about(verify, "of a signature of zeros", on("@ecc"), with(digest, zero), p(2, tpm2.TPMRCSignature)),
		about(verify, "of a signature that was changed, by ECDSA", on("@ecc"), with(digest, changed(signedECDSA(), -1)), p(2, tpm2.TPMRCSignature)),
		about(verify, "of a signature that was changed, by RSASSA", on("@rsa"), with(digest, changed(signedRSA(tpm2.TPMAlgRSASSA, 1), -1)), p(2, tpm2.TPMRCSignature)),
		about(verify, "of a signature that was changed, by RSAPSS", on("@rsa"), with(digest, changed(signedRSA(tpm2.TPMAlgRSAPSS, 1), -1)), p(2, tpm2.TPMRCSignature)),
		about(verify, "of an HMAC that was changed", on("@hmac"), with(digest, changed(signedHMAC(1), -1)), p(2, tpm2.TPMRCSignature)),
		about(verify, "of another digest, by ECDSA", on("@ecc"), with(octets(32), signedECDSA()), p(2, tpm2.TPMRCSignature)),
		about(verify, "of another digest, by RSASSA", on("@rsa"), with(octets(32), signedRSA(tpm2.TPMAlgRSASSA, 1)), p(2, tpm2.TPMRCSignature)),
		about(verify, "of another digest, by HMAC", on("@hmac"), with(octets(32), signedHMAC(1)), p(2, tpm2.TPMRCSignature)),
		about(verify, "of a signature by RSASSA as one by RSAPSS", on("@rsa"), with(digest, retagged(signedRSA(tpm2.TPMAlgRSASSA, 1), tpm2.TPMAlgRSAPSS)), p(2, tpm2.TPMRCSignature)),
		about(verify, "of an HMAC with the public area of a key alone", on("key"), with(digest, signedHMAC(1)), anyNumber(tpm2.TPMRCHandle)...).
			first(do(tpm2.TPMCCLoadExternal).With(empty, public(tpm2.TPMAlgKeyedHash, outside|wire.ObjectSign, empty, hmacSHA256, conform.Bytes(octets(32))), null).Named("key")),
		about(verify, "with the public area of a key", on("@ecc public"), with(digest, signedECDSA())),
		about(verify, "with the public area of an RSA key", on("@rsa public"), with(digest, signedRSA(tpm2.TPMAlgRSASSA, 1))),
		about(verify, "with a key of the null hierarchy", on("@ecc"), with(digest, signedECDSA())).
			check("gives a null ticket", func(a *conform.Answer) error { return ticketIs(a.Parsed(), tpm2.TPMSTVerified, tpm2.TPMRHNull, false) }),
		about(verify, "with a key of the owner hierarchy", on("key"), with(digest, signedECDSA())).first(inOwner).
			check("gives a ticket", func(a *conform.Answer) error { return ticketIs(a.Parsed(), tpm2.TPMSTVerified, tpm2.TPMRHOwner, true) }),
		about(verify, "twice", on("key"), with(digest, signedECDSA())).first(inOwner).
			next(do(verify, handle("key")).With(with(digest, signedECDSA())...).Checked(sameAs("asked", 1))).gives("gives the same ticket"),
		about(verify, "by ECDSA", on("@ecc"), with(digest, signedECDSA())),
	)
	for i, known := range hashes {
		cases = append(cases, built(
			about(verify, "by RSASSA with "+hashText(known.alg), on("@rsa"), with(digestOf(i), signedRSA(tpm2.TPMAlgRSASSA, i))),
			about(verify, "by RSAPSS with "+hashText(known.alg), on("@rsa"), with(digestOf(i), signedRSA(tpm2.TPMAlgRSAPSS, i))),
			about(verify, "by HMAC with "+hashText(known.alg), on("@hmac any"), with(digestOf(i), signedHMAC(i))),
		)...)
	}
	return cases
}

// retagged is a signature in the name of another scheme.
func retagged(signature conform.Part, as tpm2.TPMAlgID) conform.Part {
	b, err := signature.Append(nil, nil)
	if err != nil {
		panic("conform: " + err.Error()) // it depends on nothing
	}
	return join{with(as), raw(bytes.Clone(b[2:]))}
}
