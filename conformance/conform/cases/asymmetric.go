package cases

import (
	"bytes"
	"crypto/elliptic"
	"errors"
	"fmt"
	"math/big"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/conform"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

const rsaBytes = 256

// modulus is that of the client's RSA key.
func modulus() *big.Int { return conversation.KeyNamed("rsa").RSA.N }

// rsaOverlong is the modulus itself, which is no message.
func rsaOverlong() []byte { return modulus().Bytes() }

// asymmetricCases are those of Part 3, chapter "Asymmetric Primitives", for RSA.
func asymmetricCases() []conform.Case {
	encrypt, decrypt := tpm2.TPMCCRSAEncrypt, tpm2.TPMCCRSADecrypt
	oaep := with(tpm2.TPMAlgOAEP, tpm2.TPMAlgSHA256)
	cases := built(
		about(encrypt, "to an ECC key", on("@ecc decrypt"), with("message", tpm2.TPMAlgNull, empty), h(1, tpm2.TPMRCKey)),
		about(encrypt, "to an HMAC key", on("@hmac"), with("message", tpm2.TPMAlgNull, empty), h(1, tpm2.TPMRCKey)),
		about(encrypt, "to a key that only signs", on("@rsa sign"), with("message", tpm2.TPMAlgNull, empty), h(1, tpm2.TPMRCAttributes)),
		about(encrypt, "with a label that does not end with a zero", on("@rsa decrypt"), with("message", oaep, "label"), p(3, tpm2.TPMRCValue)),
		about(encrypt, "in another scheme than that of the key", on("@rsa oaep"), with("message", tpm2.TPMAlgRSAES, empty), p(2, tpm2.TPMRCScheme)),
		about(encrypt, "with another hash algorithm than that of the key", on("@rsa oaep"), with("message", tpm2.TPMAlgOAEP, tpm2.TPMAlgSHA1, empty), p(2, tpm2.TPMRCScheme)),
		about(encrypt, "in a scheme for signatures", on("@rsa decrypt"), with("message", tpm2.TPMAlgRSASSA, tpm2.TPMAlgSHA256, empty), p(2, tpm2.TPMRCValue)),
		about(encrypt, "by OAEP with an unknown hash algorithm", on("@rsa decrypt"), with("message", tpm2.TPMAlgOAEP, uint16(0x7fff), empty), p(2, tpm2.TPMRCHash)),
		about(encrypt, "by OAEP with TPM_ALG_NULL as hash algorithm", on("@rsa decrypt"), with("message", tpm2.TPMAlgOAEP, tpm2.TPMAlgNull, empty), p(2, tpm2.TPMRCHash)),
		about(encrypt, "without a scheme of a number that is not less than the modulus", on("@rsa decrypt"), with(rsaOverlong(), tpm2.TPMAlgNull, empty), anyNumber(tpm2.TPMRCValue)...),
		about(encrypt, "by RSAES of a message that leaves no room for the padding", on("@rsa decrypt"), with(octets(rsaBytes-10), tpm2.TPMAlgRSAES, empty), anyNumber(tpm2.TPMRCValue)...),
		about(encrypt, "by OAEP of a message that leaves no room for the padding", on("@rsa decrypt"), with(octets(rsaBytes-2*32-1), oaep, empty), anyNumber(tpm2.TPMRCValue)...),
		about(encrypt, "without a scheme", on("@rsa decrypt"), with([]byte{1, 2, 3}, tpm2.TPMAlgNull, empty)).
			check("gives the message to the power of the exponent", rawRSA([]byte{1, 2, 3})),
		about(encrypt, "with the public area of a key alone", on("@rsa public"), with([]byte{1, 2, 3}, tpm2.TPMAlgNull, empty)).
			check("gives the message to the power of the exponent", rawRSA([]byte{1, 2, 3})),
		about(encrypt, "by OAEP twice", on("@rsa decrypt"), with("message", oaep, empty)).
			next(do(encrypt, handle("@rsa decrypt")).With(with("message", oaep, empty)...).Checked(otherThan("asked", 1))).gives("gives two different results"),
		about(decrypt, "with an ECC key", on("@ecc decrypt"), with(octets(rsaBytes), tpm2.TPMAlgNull, empty), h(1, tpm2.TPMRCKey)),
		about(decrypt, "with a key that only signs", on("@rsa sign"), with(octets(rsaBytes), tpm2.TPMAlgNull, empty), h(1, tpm2.TPMRCAttributes)),
		about(decrypt, "with the public area of a key alone", on("@rsa public"), with(octets(rsaBytes), tpm2.TPMAlgNull, empty), tpm2.TPMRCAuthUnavailable),
		about(decrypt, "with a label that does not end with a zero", on("@rsa decrypt"), with(octets(rsaBytes), oaep, "label"), p(3, tpm2.TPMRCValue)),
		about(decrypt, "in another scheme than that of the key", on("@rsa oaep"), with(octets(rsaBytes), tpm2.TPMAlgRSAES, empty), p(2, tpm2.TPMRCScheme)),
		about(decrypt, "in a scheme for signatures", on("@rsa decrypt"), with(octets(rsaBytes), tpm2.TPMAlgRSASSA, tpm2.TPMAlgSHA256, empty), p(2, tpm2.TPMRCValue)),
		about(decrypt, "of less than a modulus", on("@rsa decrypt"), with(octets(rsaBytes-1), tpm2.TPMAlgNull, empty), anyNumber(tpm2.TPMRCSize)...),
		about(decrypt, "of nothing", on("@rsa decrypt"), with(empty, tpm2.TPMAlgNull, empty), anyNumber(tpm2.TPMRCSize)...),
		about(decrypt, "of a number that is not less than the modulus", on("@rsa decrypt"), with(bytes.Repeat([]byte{0xff}, rsaBytes), tpm2.TPMAlgNull, empty), anyNumber(tpm2.TPMRCValue, tpm2.TPMRCSize)...),
		about(decrypt, "by OAEP of what is not padded so", on("@rsa decrypt"), with(octets(rsaBytes), oaep, empty), anyNumber(tpm2.TPMRCValue)...),
		about(decrypt, "by RSAES of what is not padded so", on("@rsa decrypt"), with(octets(rsaBytes), tpm2.TPMAlgRSAES, empty), anyNumber(tpm2.TPMRCValue)...),
		about(decrypt, "with a wrong password", on("@rsa decrypt"), with(octets(rsaBytes), tpm2.TPMAlgNull, empty), s(1, tpm2.TPMRCBadAuth)).by(conform.Password("wrong")),
		about(decrypt, "without an authorization", on("@rsa decrypt"), with(octets(rsaBytes), tpm2.TPMAlgNull, empty), tpm2.TPMRCAuthMissing).unauthorized(),
		about(decrypt, "with another label than that of the encryption", on("@rsa decrypt"), with(field{Of: "encrypted", N: 1}, oaep, "other\x00"), anyNumber(tpm2.TPMRCValue)...).
			first(do(encrypt, handle("@rsa decrypt")).With(with("message", oaep, "label\x00")...).Named("encrypted")),
		about(decrypt, "with another hash algorithm than that of the encryption", on("@rsa decrypt"), with(field{Of: "encrypted", N: 1}, tpm2.TPMAlgOAEP, tpm2.TPMAlgSHA1, empty), anyNumber(tpm2.TPMRCValue)...).
			first(do(encrypt, handle("@rsa decrypt")).With(with("message", oaep, empty)...).Named("encrypted")),
		about(decrypt, "with a restricted key", on("key"), with(octets(rsaBytes), tpm2.TPMAlgNull, empty), h(1, tpm2.TPMRCAttributes)).
			first(importStorage("rsa", with(aesDetails(tpm2.TPMAlgCFB), tpm2.TPMAlgNull, u16(2048), u32(0)))...),
	)
	for _, scheme := range []struct {
		name   string
		key    string
		scheme conform.Part
		label  string
	}{
		{"by RSAES", "@rsa decrypt", with(tpm2.TPMAlgRSAES), ""},
		{"by OAEP", "@rsa decrypt", oaep, ""},
		{"by OAEP with SHA-1", "@rsa decrypt", with(tpm2.TPMAlgOAEP, tpm2.TPMAlgSHA1), ""},
		{"by OAEP with SHA-384", "@rsa decrypt", with(tpm2.TPMAlgOAEP, tpm2.TPMAlgSHA384), ""},
		{"by OAEP with a label", "@rsa decrypt", oaep, "label\x00"},
		{"in the scheme of the key, OAEP", "@rsa oaep", with(tpm2.TPMAlgNull), ""},
		{"in the scheme of the key, RSAES", "@rsa es", with(tpm2.TPMAlgNull), ""},
		{"by OAEP as the key does", "@rsa oaep", oaep, ""},
	} {
		cases = append(cases, built(
			about(decrypt, "of what was encrypted "+scheme.name, on(scheme.key), with(field{Of: "encrypted", N: 1}, scheme.scheme, scheme.label)).
				first(do(encrypt, handle(scheme.key)).With(with("message", scheme.scheme, scheme.label)...).Named("encrypted")).
				check("gives the message", firstIs([]byte("message"))),
			about(decrypt, "of nothing that was encrypted "+scheme.name, on(scheme.key), with(field{Of: "encrypted", N: 1}, scheme.scheme, scheme.label)).
				first(do(encrypt, handle(scheme.key)).With(with("", scheme.scheme, scheme.label)...).Named("encrypted")).
				check("gives nothing", firstIs(nil)),
		)...)
	}
	return append(cases, built(
		about(decrypt, "without a scheme", on("@rsa decrypt"), with(field{Of: "encrypted", N: 1}, tpm2.TPMAlgNull, empty)).
			first(do(encrypt, handle("@rsa decrypt")).With(with([]byte{1, 2, 3}, tpm2.TPMAlgNull, empty)...).Named("encrypted")).
			check("gives a number as long as the modulus", firstIs(append(make([]byte, rsaBytes-3), 1, 2, 3))),
	)...)
}

// rawRSA checks a message that was encrypted without a scheme.
func rawRSA(message []byte) func(*conform.Answer) error {
	return func(a *conform.Answer) error {
		e := new(big.Int).Exp(new(big.Int).SetBytes(message), big.NewInt(wire.RSAExponent), modulus())
		return differ("outData", a.Parsed().Sized(), e.FillBytes(make([]byte, rsaBytes)))
	}
}

// clientPoint is a point of P-256.
func clientPoint() raw { return raw(conversation.KeyNamed("p256").Unique()) }

// sizedPoint is a TPM2B_ECC_POINT.
func sizedPoint(point conform.Part) sized { return sized{point} }

// offCurve is a point that is on no curve.
func offCurve() sized {
	return sizedPoint(with(octets(32), octets(32)))
}

// eccCases are those of Part 3, chapter "Asymmetric Primitives", for ECC.
func eccCases() []conform.Case {
	keyGen, zGen, twoPhase, parameters := tpm2.TPMCCECDHKeyGen, tpm2.TPMCCECDHZGen, tpm2.TPMCCZGen2Phase, tpm2.TPMCCECCParameters
	cases := built(
		about(keyGen, "for an RSA key", on("@rsa"), nil, h(1, tpm2.TPMRCKey)),
		about(keyGen, "for an HMAC key", on("@hmac"), nil, h(1, tpm2.TPMRCKey)),
		about(keyGen, "for an ECC key", on("@ecc"), nil).check("gives a point, and its product with the key", exchanged),
		about(keyGen, "for the public area of a key alone", on("@ecc public"), nil).check("gives a point, and its product with the key", exchanged),
		about(keyGen, "twice", on("@ecc"), nil).next(do(keyGen, handle("@ecc")).Checked(otherThan("asked", 2))).gives("gives two different points"),
		about(zGen, "with an RSA key", on("@rsa decrypt"), with(sizedPoint(clientPoint())), h(1, tpm2.TPMRCKey)),
		about(zGen, "with a key that only signs", on("@ecc sign"), with(sizedPoint(clientPoint())), h(1, tpm2.TPMRCAttributes)),
		about(zGen, "with a restricted key", on("@storage"), with(sizedPoint(clientPoint())), h(1, tpm2.TPMRCAttributes)),
		about(zGen, "with the public area of a key alone", on("@ecc public"), with(sizedPoint(clientPoint())), tpm2.TPMRCAuthUnavailable),
		about(zGen, "with a point that is not on the curve", on("@ecc decrypt"), with(offCurve()), p(1, tpm2.TPMRCECCPoint)),
		about(zGen, "without a point", on("@ecc decrypt"), with(empty), p(1, tpm2.TPMRCSize)),
		about(zGen, "with a point and an octet after it", on("@ecc decrypt"), with(sized{clientPoint(), u8(0)}), p(1, tpm2.TPMRCSize)),
		about(zGen, "with a key without a scheme", on("@ecc decrypt"), with(sizedPoint(clientPoint()))).check("gives the product of point and key", squared),
		about(zGen, "with a key for ECDH", on("@ecc ecdh"), with(sizedPoint(clientPoint()))).check("gives the product of point and key", squared),
		about(zGen, "with the point of ECDH_KeyGen", on("@ecc"), with(field{Of: "made", N: 2})).
			first(do(keyGen, handle("@ecc")).Named("made")).gives("gives the same secret").
			next(do(zGen, handle("@ecc")).With(field{Of: "made", N: 2}).Checked(sameAs("made", 1))),
		about(twoPhase, "with an RSA key", on("@rsa decrypt"), with(sizedPoint(clientPoint()), sizedPoint(clientPoint()), tpm2.TPMAlgECDH, u16(0)), h(1, tpm2.TPMRCKey)),
		about(twoPhase, "with a key that only signs", on("@ecc sign"), with(sizedPoint(clientPoint()), sizedPoint(clientPoint()), tpm2.TPMAlgECDH, u16(0)), h(1, tpm2.TPMRCAttributes)),
		about(twoPhase, "with a restricted key", on("@storage"), with(sizedPoint(clientPoint()), sizedPoint(clientPoint()), tpm2.TPMAlgECDH, u16(0)), h(1, tpm2.TPMRCAttributes)),
		about(twoPhase, "in another scheme than that of the key", on("@ecc ecdh"), with(sizedPoint(clientPoint()), sizedPoint(clientPoint()), tpm2.TPMAlgECMQV, u16(0)), p(3, tpm2.TPMRCScheme)),
		about(twoPhase, "in no scheme for it", on("@ecc decrypt"), with(sizedPoint(clientPoint()), sizedPoint(clientPoint()), tpm2.TPMAlgECDSA, u16(0)), p(3, tpm2.TPMRCScheme)),
		about(twoPhase, "with a static point that is not on the curve", on("@ecc decrypt"), with(offCurve(), sizedPoint(clientPoint()), tpm2.TPMAlgECDH, u16(0)), p(1, tpm2.TPMRCECCPoint)),
		about(twoPhase, "with an ephemeral point that is not on the curve", on("@ecc decrypt"), with(sizedPoint(clientPoint()), offCurve(), tpm2.TPMAlgECDH, u16(0)), p(2, tpm2.TPMRCECCPoint)),
		about(twoPhase, "with a number that was never given", on("@ecc decrypt"), with(sizedPoint(clientPoint()), sizedPoint(clientPoint()), tpm2.TPMAlgECDH, afterNext("made", 2)), p(4, tpm2.TPMRCValue)).
			first(do(tpm2.TPMCCECEphemeral).With(with(tpm2.TPMECCNistP256)...).Named("made")),
		about(twoPhase, "after EC_Ephemeral", on("@ecc decrypt"), with(sizedPoint(clientPoint()), sizedPoint(clientPoint()), tpm2.TPMAlgECDH, field{Of: "made", N: 2})).
			first(do(tpm2.TPMCCECEphemeral).With(with(tpm2.TPMECCNistP256)...).Named("made")).
			check("gives the two secrets of ECDH", twoSecrets),
		about(twoPhase, "a second time with the same number", on("@ecc decrypt"), with(sizedPoint(clientPoint()), sizedPoint(clientPoint()), tpm2.TPMAlgECDH, field{Of: "made", N: 2}), p(4, tpm2.TPMRCValue)).
			first(do(tpm2.TPMCCECEphemeral).With(with(tpm2.TPMECCNistP256)...).Named("made"),
				do(twoPhase, handle("@ecc decrypt")).With(with(sizedPoint(clientPoint()), sizedPoint(clientPoint()), tpm2.TPMAlgECDH, field{Of: "made", N: 2})...)),
		about(parameters, "of TPM_ECC_NONE", nil, with(u16(0)), p(1, tpm2.TPMRCCurve)),
		about(parameters, "of a curve that there is not", nil, with(u16(0x7fff)), p(1, tpm2.TPMRCCurve)),
	)
	for _, c := range curves() {
		cases = append(cases, about(parameters, "of "+c.name, nil, with(c.id)).check("gives the parameters of the curve", parametersOf(c.curve)).build())
	}
	return append(cases, eciesCases()...)
}

// namedCurve is a curve of NIST.
type namedCurve struct {
	name  string
	id    tpm2.TPMECCCurve
	curve elliptic.Curve
}

// curves are those that the standard library has.
func curves() []namedCurve {
	return []namedCurve{
		{"NIST P-224", tpm2.TPMECCNistP224, elliptic.P224()}, {"NIST P-256", tpm2.TPMECCNistP256, elliptic.P256()},
		{"NIST P-384", tpm2.TPMECCNistP384, elliptic.P384()}, {"NIST P-521", tpm2.TPMECCNistP521, elliptic.P521()},
	}
}

// pointOf reads a TPM2B_ECC_POINT of P-256, uncompressed.
func pointOf(in *wire.Cursor) ([]byte, error) {
	point := &wire.Cursor{Rest: in.Sized()}
	x, y := point.Sized(), point.Sized()
	if !point.Done() || len(x) > 32 || len(y) > 32 {
		return nil, fmt.Errorf("no point of P-256: %x, %x", x, y)
	}
	out := make([]byte, 65)
	out[0] = 4
	copy(out[33-len(x):33], x)
	copy(out[65-len(y):], y)
	return out, nil
}

// ecdhWith is the x coordinate of the product of the client's key and a point.
func ecdhWith(point []byte) ([]byte, error) {
	key, err := clientECDH()
	if err != nil {
		return nil, err
	}
	peer, err := key.Curve().NewPublicKey(point)
	if err != nil {
		return nil, fmt.Errorf("the point is not on the curve: %w", err)
	}
	return key.ECDH(peer)
}

// exchanged checks the two points of ECDH_KeyGen.
func exchanged(a *conform.Answer) error {
	in := a.Parsed()
	z, err := pointOf(in)
	if err != nil {
		return err
	}
	point, err := pointOf(in)
	if err != nil {
		return err
	}
	want, err := ecdhWith(point)
	if err != nil {
		return err
	}
	return differ("zPoint.x", z[1:33], want)
}

// squared checks the product of the client's key and its own point.
func squared(a *conform.Answer) error {
	z, err := pointOf(a.Parsed())
	if err != nil {
		return err
	}
	want, err := ecdhWith(clientPublic())
	if err != nil {
		return err
	}
	return differ("outPoint.x", z[1:33], want)
}

// twoSecrets checks the two points of ZGen_2Phase with the client's point for both of
// the other party's.
func twoSecrets(a *conform.Answer) error {
	in := a.Parsed()
	z1, err := pointOf(in)
	if err != nil {
		return err
	}
	z2, err := pointOf(in)
	if err != nil {
		return err
	}
	ephemeral, err := a.State.Field("made", 1)
	if err != nil {
		return err
	}
	q, err := pointOf(&wire.Cursor{Rest: ephemeral})
	if err != nil {
		return err
	}
	static, err := ecdhWith(clientPublic())
	if err != nil {
		return err
	}
	second, err := ecdhWith(q)
	if err != nil {
		return err
	}
	return errors.Join(differ("outZ1.x", z1[1:33], static), differ("outZ2.x", z2[1:33], second))
}

// afterNext is the number after the next one of a counter.
func afterNext(label string, n int) conform.Computed {
	return func(s *conform.State) ([]byte, error) {
		b, err := s.Field(label, n)
		if err != nil {
			return nil, err
		}
		return wire.U16(uint16(wire.Number(b)) + 2), nil
	}
}

// parametersOf checks a TPMS_ALGORITHM_DETAIL_ECC.
func parametersOf(curve elliptic.Curve) func(*conform.Answer) error {
	return func(a *conform.Answer) error {
		in, c := a.Parsed(), curve.Params()
		in.U16() // curve
		size := int(in.U16())
		if in.Alg() != tpm2.TPMAlgNull { // kdf
			in.Alg()
		}
		if in.Alg() != tpm2.TPMAlgNull { // sign
			in.Alg()
		}
		minusThree := new(big.Int).Sub(c.P, big.NewInt(3))
		for _, want := range []struct {
			name  string
			value *big.Int
		}{{"p", c.P}, {"a", minusThree}, {"b", c.B}, {"gX", c.Gx}, {"gY", c.Gy}, {"n", c.N}, {"h", big.NewInt(1)}} {
			if got := new(big.Int).SetBytes(in.Sized()); got.Cmp(want.value) != 0 {
				return fmt.Errorf("%s: %x, expected %x", want.name, got, want.value)
			}
		}
		if !in.Done() || size != c.BitSize {
			return fmt.Errorf("keySize %d, and %d octets are left", size, len(in.Rest))
		}
		return nil
	}
}

// eciesCases are those of TPM2_ECC_Encrypt and TPM2_ECC_Decrypt.
func eciesCases() []conform.Case {
	kdf2 := with(tpm2.TPMAlgKDF2, tpm2.TPMAlgSHA256)
	encrypted := do(ccECCEncrypt, handle("@ecc decrypt")).With(with("message", kdf2)...).Named("encrypted")
	cases := built(
		about(ccECCEncrypt, "to an RSA key", on("@rsa decrypt"), with("message", kdf2), h(1, tpm2.TPMRCKey)),
		about(ccECCEncrypt, "with TPM_ALG_NULL, to a key without a KDF", on("@ecc decrypt"), with("message", tpm2.TPMAlgNull), anyNumber(tpm2.TPMRCScheme)...),
		about(ccECCDecrypt, "with an RSA key", on("@rsa decrypt"), with(sizedPoint(clientPoint()), "message", octets(32), kdf2), h(1, tpm2.TPMRCKey)),
		about(ccECCDecrypt, "with a key that only signs", on("@ecc sign"), with(sizedPoint(clientPoint()), "message", octets(32), kdf2), h(1, tpm2.TPMRCAttributes)),
		about(ccECCDecrypt, "with a restricted key", on("@storage"), with(sizedPoint(clientPoint()), "message", octets(32), kdf2), h(1, tpm2.TPMRCAttributes)),
		about(ccECCDecrypt, "with a digest that does not fit", on("@ecc decrypt"), with(sizedPoint(clientPoint()), "message", octets(32), kdf2), anyNumber(tpm2.TPMRCValue)...),
		about(ccECCDecrypt, "with a point that is not on the curve", on("@ecc decrypt"), with(offCurve(), "message", octets(32), kdf2), anyNumber(tpm2.TPMRCECCPoint, tpm2.TPMRCNoResult)...),
		about(ccECCDecrypt, "of what was encrypted", on("@ecc decrypt"), with(field{Of: "encrypted", N: 1}, kdf2)).first(encrypted).check("gives the message", firstIs([]byte("message"))),
	)
	for i := range cases {
		cases[i].Section.Since = 183
	}
	return cases
}
