package cases

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/conform"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// Details of public areas that name what they need.
var (
	eccSigns    = eccDetails(tpm2.TPMECCNistP256, tpm2.TPMAlgECDSA, tpm2.TPMAlgSHA256)
	eccExchange = eccDetails(tpm2.TPMECCNistP256, tpm2.TPMAlgECDH, tpm2.TPMAlgSHA256)
	rsaSigns    = rsaDetails(tpm2.TPMAlgRSASSA, tpm2.TPMAlgSHA256)
	rsaPSS      = rsaDetails(tpm2.TPMAlgRSAPSS, tpm2.TPMAlgSHA256)
	rsaOAEP     = rsaDetails(tpm2.TPMAlgOAEP, tpm2.TPMAlgSHA256)
	rsaES       = rsaDetails(tpm2.TPMAlgRSAES)
	ecdaa       = with(tpm2.TPMAlgNull, tpm2.TPMAlgECDAA, tpm2.TPMAlgSHA256, u16(0), tpm2.TPMECCNistP256, tpm2.TPMAlgNull)
	derivation  = with(tpm2.TPMAlgXOR, tpm2.TPMAlgSHA256, tpm2.TPMAlgKDF1SP800108)
)

// eccDetails are the details of an ECC key with a scheme and its hash algorithm.
func eccDetails(curve tpm2.TPMECCCurve, scheme ...tpm2.TPMAlgID) join {
	return with(tpm2.TPMAlgNull, algorithms(scheme...), curve, tpm2.TPMAlgNull)
}

// rsaDetails are the details of an RSA key of 2,048 bits.
func rsaDetails(scheme ...tpm2.TPMAlgID) join {
	none := named{Raw: noAlg, algs: []tpm2.TPMAlgID{tpm2.TPMAlgRSA}}
	return with(none, algorithms(scheme...), u16(2048), u32(0))
}

// aesDetails are the details of an AES key of 128 bits.
func aesDetails(mode tpm2.TPMAlgID) join { return with(tpm2.TPMAlgAES, u16(128), mode) }

// algorithms is one algorithm after the other.
func algorithms(ids ...tpm2.TPMAlgID) join {
	parts := make(join, len(ids))
	for i, id := range ids {
		parts[i] = with(id)
	}
	return parts
}

// publicOnly loads the public area of a key of the client.
func publicOnly(name string, attributes uint32, details, hierarchy conform.Part) conform.Step {
	k := conversation.KeyNamed(name)
	return do(tpm2.TPMCCLoadExternal).With(empty, public(k.Kind, attributes, empty, details, raw(k.Unique())), hierarchy)
}

// keyFixtures are the keys of the cases about cryptography.
func keyFixtures() []conform.Fixture {
	return []conform.Fixture{
		{Name: "@ecc sign", Step: external("p256", outside|wire.ObjectSign, eccSigns, "")},
		{Name: "@ecc decrypt", Step: external("p256", outside|wire.ObjectDecrypt, eccDetails(tpm2.TPMECCNistP256, tpm2.TPMAlgNull), "")},
		{Name: "@ecc ecdh", Step: external("p256", outside|wire.ObjectDecrypt, eccExchange, "")},
		{Name: "@ecc public", Step: publicOnly("p256", outside|wire.ObjectSign|wire.ObjectDecrypt, eccAny, null)},
		{Name: "@ecdaa", Step: external("p256", outside|wire.ObjectSign, ecdaa, "")},
		{Name: "@rsa sign", Step: external("rsa", outside|wire.ObjectSign, rsaSigns, "")},
		{Name: "@rsa pss", Step: external("rsa", outside|wire.ObjectSign, rsaPSS, "")},
		{Name: "@rsa decrypt", Step: external("rsa", outside|wire.ObjectDecrypt, rsaDetails(tpm2.TPMAlgNull), "")},
		{Name: "@rsa oaep", Step: external("rsa", outside|wire.ObjectDecrypt, rsaOAEP, "")},
		{Name: "@rsa es", Step: external("rsa", outside|wire.ObjectDecrypt, rsaES, "")},
		{Name: "@rsa public", Step: publicOnly("rsa", outside|wire.ObjectSign|wire.ObjectDecrypt, rsaAny, null)},
		{Name: "@hmac any", Step: external("hmac", outside|wire.ObjectSign|wire.ObjectDecrypt, with(tpm2.TPMAlgNull), "")},
		{Name: "@aes any", Step: external("aes128", outside|wire.ObjectSign|wire.ObjectDecrypt, aesDetails(tpm2.TPMAlgNull), "")},
		{Name: "@aes decrypt", Step: external("aes128", outside|wire.ObjectDecrypt, aes128CFB, "")},
		{Name: "@sealed", Step: external("sealed", outside, with(tpm2.TPMAlgNull), "")},
		{Name: "@derivation", Step: createPrimary(null, "", public(tpm2.TPMAlgKeyedHash, storage, empty, derivation, empty))},
		{Name: "@hmac attest", Step: createPrimary(null, "", public(tpm2.TPMAlgKeyedHash, signing|wire.ObjectRestricted, empty, hmacSHA256, empty))},
	}
}

// hashes are the hash algorithms that cases ask about one by one.
var hashes = []struct {
	alg  tpm2.TPMAlgID
	hash crypto.Hash
}{
	{tpm2.TPMAlgSHA1, crypto.SHA1}, {tpm2.TPMAlgSHA256, crypto.SHA256}, {tpm2.TPMAlgSHA384, crypto.SHA384}, {tpm2.TPMAlgSHA512, crypto.SHA512},
}

// hashText names an algorithm without its prefix.
func hashText(alg tpm2.TPMAlgID) string {
	if alg == tpm2.TPMAlgRSASSA {
		return "RSASSA"
	}
	if alg == tpm2.TPMAlgECDSA {
		return "ECDSA"
	}
	return strings.TrimPrefix(conform.AlgName(alg), "TPM_ALG_")
}

// hashOf is a digest.
func hashOf(hash crypto.Hash, parts ...[]byte) []byte {
	digest := hash.New()
	for _, part := range parts {
		digest.Write(part)
	}
	return digest.Sum(nil)
}

// octets are n different bytes.
func octets(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8 + 1)
	}
	return b
}

// differ says that bytes are not those that are expected, unless they are.
func differ(what string, got, want []byte) error {
	if bytes.Equal(got, want) {
		return nil
	}
	return fmt.Errorf("%s: %x, expected %x", what, got, want)
}

// firstIs checks the first TPM2B of an answer.
func firstIs(want []byte) func(*conform.Answer) error {
	return func(a *conform.Answer) error { return differ("the first parameter", a.Parsed().Sized(), want) }
}

// value is the contents of a field that is a TPM2B.
func value(s *conform.State, label string, n int) ([]byte, error) {
	b, err := s.Field(label, n)
	if err != nil {
		return nil, err
	}
	return (&wire.Cursor{Rest: b}).Sized(), nil
}

// changed is a part with a bit flipped, counted from the end if at is negative.
func changed(part conform.Part, at int) conform.Computed {
	return func(s *conform.State) ([]byte, error) {
		b, err := part.Append(nil, s)
		if err != nil {
			return nil, err
		}
		place := at // not at: the case may run on several TPMs
		if at < 0 {
			place += len(b)
		}
		if place < 0 || place >= len(b) {
			return nil, fmt.Errorf("%x has no byte %d to change", b, at)
		}
		b = bytes.Clone(b)
		b[place] ^= 1
		return b, nil
	}
}

// clientECDH is the client's key of P-256 for a key exchange.
func clientECDH() (*ecdh.PrivateKey, error) {
	return ecdh.P256().NewPrivateKey(conversation.KeyNamed("p256").Secret)
}

// clientPublic is the point of that key, uncompressed.
func clientPublic() []byte {
	unique := &wire.Cursor{Rest: conversation.KeyNamed("p256").Unique()}
	return slices.Concat([]byte{4}, unique.Sized(), unique.Sized())
}
