package cases

import (
	"bytes"
	"crypto/sha3"
	"errors"
	"fmt"
	"slices"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/conform"
	"github.com/swtpmd/swtpmd/conformance/differential/lattice"
	signatures "github.com/swtpmd/swtpmd/conformance/differential/signature"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// clientSecret returns a secret that the client has encapsulated to its ML-KEM key.
func clientSecret(set uint16) (shared, ciphertext []byte) {
	key := kemKeys()[set-1]
	return key.shared, bytes.Clone(key.ciphertext)
}

// clientCiphertext is the ciphertext of it.
func clientCiphertext(set uint16) conform.Computed {
	return lazily(func() []byte {
		_, ciphertext := clientSecret(set)
		return ciphertext
	})
}

// encapsulated checks the answer of Encapsulate: the client finds the secret in the
// ciphertext.
func encapsulated(decapsulate func(ciphertext []byte) ([]byte, error)) func(*conform.Answer) error {
	return func(a *conform.Answer) error {
		in := a.Parsed()
		shared, ciphertext := in.Sized(), in.Sized()
		if !in.Done() {
			return fmt.Errorf("the parameters are %x", a.Parameters)
		}
		want, err := decapsulate(ciphertext)
		if err != nil {
			return err
		}
		return differ("sharedSecret", shared, want)
	}
}

// byKEM finds the secret in a ciphertext for the client's ML-KEM key.
func byKEM(set uint16) func([]byte) ([]byte, error) {
	return func(ciphertext []byte) ([]byte, error) {
		kem := lattice.NewMLKEM(set)
		if len(ciphertext) != kem.CiphertextSize() {
			return nil, fmt.Errorf("the ciphertext has %d octets, not %d", len(ciphertext), kem.CiphertextSize())
		}
		shared := kem.Decapsulate(kemSeed, ciphertext)
		if bytes.Equal(shared, rejected(ciphertext)) {
			return nil, errors.New("the ciphertext is none for the key")
		}
		return shared, nil
	}
}

// rejected is the secret of a ciphertext that is none (FIPS 203, algorithm 18, line 7).
func rejected(ciphertext []byte) []byte {
	return sha3.SumSHAKE256(slices.Concat(kemSeed[32:], ciphertext), 32)
}

// is checks that the only parameter is a TPM2B of bytes that are computed then.
func is(want func() []byte) func(*conform.Answer) error {
	return func(a *conform.Answer) error {
		in := a.Parsed()
		got := in.Sized()
		if !in.Done() {
			return fmt.Errorf("the parameters are %x", a.Parameters)
		}
		return differ("the parameter", got, want())
	}
}

// encapsulationCases are those of TPM2_Encapsulate and TPM2_Decapsulate.
func encapsulationCases() []conform.Case {
	encapsulate, decapsulate := wire.CCEncapsulate, wire.CCDecapsulate
	someCiphertext := octets(1088)
	var cases []conform.Case
	for _, other := range []struct{ what, key string }{
		{"an RSA key", "@rsa decrypt"}, {"an ECC key without a KDF", "@ecc decrypt"}, {"an ECC key for ECDH without a KDF", "@ecc ecdh"}, {"an ECC key that signs", "@ecc sign"},
		{"an HMAC key", "@hmac"}, {"an AES key", "@aes"}, {"sealed data", "@sealed"}, {"an ECC storage key", "@storage"}, {"a derivation parent", "@derivation"},
		{"an ML-DSA key", "@mldsa 44"}, {"a HashML-DSA key", "@hash mldsa 44 SHA256"}, {"an EdDSA key", "@eddsa"}, {"an Ed448 key", "@ed448"},
	} {
		cases = append(cases, built(
			about(encapsulate, "to "+other.what, on(other.key), nil, h(1, tpm2.TPMRCKey)),
			about(decapsulate, "with "+other.what, on(other.key), with(someCiphertext), h(1, tpm2.TPMRCKey)),
		)...)
	}
	for set := uint16(1); set <= 3; set++ {
		cases = append(cases, kemCases(set)...)
	}
	for i := range dhkemKeys() {
		cases = append(cases, dhkemCases(&dhkemKeys()[i])...)
	}
	storage := "@mlkem storage"
	return append(cases, built(
		about(encapsulate, "to a restricted ML-KEM key", on(storage), nil).check("gives a secret of 32 octets and a ciphertext", func(a *conform.Answer) error {
			in := a.Parsed()
			if shared, ciphertext := in.Sized(), in.Sized(); !in.Done() || len(shared) != 32 || len(ciphertext) != 1088 {
				return fmt.Errorf("%d and %d octets", len(shared), len(ciphertext))
			}
			return nil
		}),
		about(decapsulate, "with a restricted ML-KEM key", on(storage), with(someCiphertext), h(1, tpm2.TPMRCAttributes)),
		about(decapsulate, "with a wrong password", on("key"), with(someCiphertext), s(1, tpm2.TPMRCBadAuth)).first(secretKEM()).by(conform.Password("wrong")),
		about(decapsulate, "with the password of the key", on("key"), with(clientCiphertext(2))).first(secretKEM()),
		about(decapsulate, "of more than any ciphertext", on("@mlkem 1024"), with(octets(1569)), p(1, tpm2.TPMRCSize)),
		about(decapsulate, "in a session that encrypts both", on("@mlkem 768"), with(clientCiphertext(2))).
			first(conform.StartCipher(wire.SessionHMAC).Named("cipher")).by(conform.In(handle("cipher"), wire.AttributeDecrypt|wire.AttributeEncrypt)).
			check("gives the client's secret", is(func() []byte { shared, _ := clientSecret(2); return shared })),
		about(encapsulate, "in a session that encrypts the secret", on("@mlkem 768"), nil).
			first(conform.StartCipher(wire.SessionHMAC).Named("cipher")).by(conform.In(handle("cipher"), wire.AttributeEncrypt)).
			check("gives one that the client finds in the ciphertext", encapsulated(byKEM(2))),
	)...)
}

// secretKEM loads the client's ML-KEM-768 key with an authorization value.
func secretKEM() conform.Step {
	private := sized{alg(wire.AlgMLKEM), conform.Text("secret"), empty, conform.Bytes(kemSeed)}
	return loading(private, kemArea(2, outside|decrypts, generalKEM(2))).Named("key").Giving("secret")
}

// kemCases are those of a parameter set of ML-KEM.
func kemCases(set uint16) []conform.Case {
	encapsulate, decapsulate := wire.CCEncapsulate, wire.CCDecapsulate
	key, name := "@mlkem "+kemName(set), kemSet(set).String()
	size := lattice.NewMLKEM(set).CiphertextSize()
	wrongSize := anyNumber(tpm2.TPMRCSize, tpm2.TPMRCValue)
	secret := func() []byte { shared, _ := clientSecret(set); return shared }
	wrong := octets(size)
	changedCiphertext := func() []byte {
		_, ciphertext := clientSecret(set)
		ciphertext[0] ^= 1
		return ciphertext
	}
	return built(
		about(encapsulate, "to a key of "+name, on(key), nil).check("gives a secret that the client finds in the ciphertext", encapsulated(byKEM(set))),
		about(encapsulate, "to the public area of a key of "+name, on(key+" public"), nil).check("gives a secret that the client finds in the ciphertext", encapsulated(byKEM(set))),
		about(encapsulate, "to a key of "+name+" twice", on(key), nil).gives("gives two secrets and two ciphertexts").
			next(do(encapsulate, handle(key)).Checked(otherThan("asked", 1), otherThan("asked", 2))),
		about(decapsulate, "of the client's ciphertext for "+name, on(key), with(clientCiphertext(set))).check("gives the client's secret", is(secret)),
		about(decapsulate, "of the client's ciphertext for "+name+" twice", on(key), with(clientCiphertext(set))).gives("gives the same secret").
			next(do(decapsulate, handle(key)).With(clientCiphertext(set)).Checked(sameAs("asked", 1))),
		about(decapsulate, "of what Encapsulate has given for "+name, on(key), with(field{Of: "made", N: 2})).
			first(do(encapsulate, handle(key)).Named("made")).gives("gives the same secret").
			next(do(decapsulate, handle(key)).With(field{Of: "made", N: 2}).Checked(sameAs("made", 1))),
		about(decapsulate, "of octets that are no ciphertext for "+name, on(key), with(wrong)).
			check("gives the secret of the implicit rejection", is(func() []byte { return rejected(wrong) })),
		about(decapsulate, "of a ciphertext for "+name+" with a flipped bit", on(key), with(lazily(changedCiphertext))).
			check("gives the secret of the implicit rejection", is(func() []byte { return rejected(changedCiphertext()) })),
		about(decapsulate, "with the public area of a key of "+name, on(key+" public"), with(clientCiphertext(set)), tpm2.TPMRCAuthUnavailable),
		about(decapsulate, "of a ciphertext for "+name+" without its last octet", on(key), with(octets(size-1)), wrongSize...),
		about(decapsulate, "of a ciphertext for "+name+" with an octet more", on(key), with(octets(size+1)), wrongSize...),
		about(decapsulate, "of an empty ciphertext for "+name, on(key), with(empty), wrongSize...),
	)
}

// dhkemCases are those of a curve with DHKEM.
func dhkemCases(k *dhkemKey) []conform.Case {
	encapsulate, decapsulate := wire.CCEncapsulate, wire.CCDecapsulate
	key := "@dhkem " + k.name
	wrong := anyNumber(tpm2.TPMRCSize, tpm2.TPMRCValue, tpm2.TPMRCECCPoint)
	ciphertext := lazily(func() []byte { _, b, _ := k.encapsulate(); return b })
	none, what := make([]byte, len(k.scalar)), "of a point whose product is zero for DHKEM with " // of low order
	if !signatures.Montgomery(k.id) {
		none, what = append([]byte{4}, octets(2*len(k.scalar))...), "of a point that is not on the curve for DHKEM with "
	}
	longer := lazily(func() []byte { _, b, _ := k.encapsulate(); return append(b, 0) })
	return built(
		about(encapsulate, "to a key for DHKEM with "+k.name, on(key), nil).check("gives a secret that the client finds in the ciphertext", encapsulated(k.decapsulate)),
		about(encapsulate, "to the public area of a key for DHKEM with "+k.name, on(key+" public"), nil).check("gives a secret that the client finds in the ciphertext", encapsulated(k.decapsulate)),
		about(encapsulate, "to a key for DHKEM with "+k.name+" twice", on(key), nil).gives("gives two secrets and two ciphertexts").
			next(do(encapsulate, handle(key)).Checked(otherThan("asked", 1), otherThan("asked", 2))),
		about(decapsulate, "of the client's ciphertext for DHKEM with "+k.name, on(key), with(ciphertext)).
			check("gives the client's secret", is(func() []byte { shared, _, _ := k.encapsulate(); return shared })),
		about(decapsulate, "of what Encapsulate has given for DHKEM with "+k.name, on(key), with(field{Of: "made", N: 2})).
			first(do(encapsulate, handle(key)).Named("made")).gives("gives the same secret").
			next(do(decapsulate, handle(key)).With(field{Of: "made", N: 2}).Checked(sameAs("made", 1))),
		about(decapsulate, "with the public area of a key for DHKEM with "+k.name, on(key+" public"), with(ciphertext), tpm2.TPMRCAuthUnavailable),
		about(decapsulate, what+k.name, on(key), with(none), wrong...),
		about(decapsulate, "of half a point for DHKEM with "+k.name, on(key), with(none[:len(none)/2]), wrong...),
		about(decapsulate, "of a point with an octet more for DHKEM with "+k.name, on(key), with(longer), wrong...),
		about(decapsulate, "of nothing for DHKEM with "+k.name, on(key), with(empty), wrong...),
	)
}
