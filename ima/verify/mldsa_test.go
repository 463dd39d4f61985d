package verify_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"hash"
	"math/big"
	"testing"

	"filippo.io/mldsa"
	mldsax509 "filippo.io/mldsa/x509"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/verify"
)

// mldsaKeys are keys of every parameter set.
func mldsaKeys(t testing.TB) []*mldsa.PrivateKey {
	t.Helper()
	var keys []*mldsa.PrivateKey
	for _, set := range []mldsa.Parameters{mldsa.MLDSA44(), mldsa.MLDSA65(), mldsa.MLDSA87()} {
		key, err := mldsa.NewPrivateKey(set, bytes.Repeat([]byte{0xA1}, mldsa.PrivateKeySize))
		require.NoError(t, err)
		keys = append(keys, key)
	}
	return keys
}

// mldsaPublic is a TPMT_PUBLIC.
func mldsaPublic(set uint16, unique []byte) []byte {
	return cat(be16(0x00a1), be16(0x000b), be32(0x00050072), sized(nil), be16(set), []byte{0}, sized(unique))
}

// mldsaQuote is a quote of PCR 0 to 10 of sha256, as TPM2_Quote makes it of a key whose
// nameAlg has the hash.
func mldsaQuote(t testing.TB, key *mldsa.PrivateKey, pcrs ima.PCRs, h hash.Hash) *verify.Quote {
	t.Helper()
	for pcr := range 11 {
		h.Write(pcrs[ima.SHA256][pcr])
	}
	attest := attestOf(0xff544347, 0x8018, cat(be32(1), be16(0x000b), []byte{3, 0xff, 0x07, 0}), h.Sum(nil))
	signature, err := key.Sign(nil, attest, nil)
	require.NoError(t, err)
	return &verify.Quote{Attest: attest, Signature: cat(be16(0x00a1), sized(signature)), Key: key.PublicKey(), Nonce: nonce}
}

// A quote with ML-DSA verifies with the digest of the PCRs in any hash that a nameAlg
// may have, and with the signature in the TPM's structure or alone.
func TestMLDSAQuotes(t *testing.T) {
	t.Parallel()
	for _, key := range mldsaKeys(t) {
		for _, newHash := range []func() hash.Hash{sha256.New, sha512.New384, sha512.New} {
			for _, plain := range []bool{false, true} {
				e := newMachine(t).start(early, true).exec("/sbin/init").evidence()
				e.Vouched, e.Quote = false, mldsaQuote(t, key, e.PCRs, newHash())
				if plain {
					e.Quote.Signature = e.Quote.Signature[4:]
				}
				v := verdict(t, e)
				assert.True(t, v.Quote.Verified)
				assert.Equal(t, key.PublicKey().Parameters().String(), v.Quote.Scheme)
				assert.True(t, v.Has(verify.QuoteVerified))
			}
		}
	}
}

// Whatever is changed, it is found.
func TestChangedMLDSAQuotes(t *testing.T) {
	t.Parallel()
	keys := mldsaKeys(t)
	for name, tc := range map[string]struct {
		change func(q *verify.Quote)
		code   verify.Code
	}{
		"signature":              {func(q *verify.Quote) { q.Signature[100] ^= 1 }, verify.QuoteSignature},
		"signature's hint":       {func(q *verify.Quote) { q.Signature[len(q.Signature)-1] ^= 1 }, verify.QuoteSignature},
		"short signature":        {func(q *verify.Quote) { q.Signature = cat(be16(0x00a1), sized(q.Signature[4:3312])) }, verify.QuoteSignature},
		"digest":                 {func(q *verify.Quote) { q.Attest[len(q.Attest)-1] ^= 1 }, verify.QuoteSignature},
		"key":                    {func(q *verify.Quote) { q.Key = keys[0].PublicKey() }, verify.QuoteSignature},
		"kind of key":            {func(q *verify.Quote) { q.Key = readQuote(t, "ecdsa-p256-sha256").Key }, verify.QuoteSignature},
		"signature of ECDSA":     {func(q *verify.Quote) { q.Signature = readQuote(t, "ecdsa-p256-sha256").Signature }, verify.QuoteSignature},
		"nonce":                  {func(q *verify.Quote) { q.Nonce = []byte("another") }, verify.QuoteNonce},
		"digest of no size":      {func(q *verify.Quote) { resign(t, q, keys[1], nil) }, verify.QuoteDigest},
		"digest of another size": {func(q *verify.Quote) { resign(t, q, keys[1], make([]byte, 20)) }, verify.QuoteDigest},
		"digest of other PCRs":   {func(q *verify.Quote) { resign(t, q, keys[1], make([]byte, 32)) }, verify.QuoteDigest},
	} {
		e := newMachine(t).start(early, true).exec("/sbin/init").evidence()
		e.Vouched, e.Quote = false, mldsaQuote(t, keys[1], e.PCRs, sha256.New())
		tc.change(e.Quote)
		v, err := verify.Verify(e)
		require.NoError(t, err, name)
		assert.True(t, v.Has(tc.code), "%s: %v", name, codes(v))
		assert.False(t, v.Quote.Verified, name)
		assert.Equal(t, "reject reject reject", outcomes(t, v), name)
	}
}

// resign signs a quote that has another digest of the PCRs.
func resign(t testing.TB, q *verify.Quote, key *mldsa.PrivateKey, digest []byte) {
	t.Helper()
	q.Attest = attestOf(0xff544347, 0x8018, cat(be32(1), be16(0x000b), []byte{3, 0xff, 0x07, 0}), digest)
	signature, err := key.Sign(nil, q.Attest, nil)
	require.NoError(t, err)
	q.Signature = cat(be16(0x00a1), sized(signature))
}

// A key is the same in all forms.
func TestMLDSAKeyForms(t *testing.T) {
	t.Parallel()
	issuer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	for i, private := range mldsaKeys(t) {
		want := private.PublicKey()
		der, err := mldsax509.MarshalPKIXPublicKey(want)
		require.NoError(t, err)
		area := mldsaPublic(uint16(i+1), want.Bytes())
		encode := func(kind string, b []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}) }
		certificate := certified(t, issuer, der)
		for name, form := range map[string][]byte{
			"PEM": encode("PUBLIC KEY", der), "DER": der, "TPMT_PUBLIC": area, "TPM2B_PUBLIC": sized(area),
			"certificate": encode("CERTIFICATE", certificate), "certificate in DER": certificate,
		} {
			assert.True(t, want.Equal(parseKey(t, form)), "%s %s", want.Parameters(), name)
		}
		for name, c := range map[string]struct {
			file []byte
			says string
		}{
			"set":        {mldsaPublic(4, want.Bytes()), "parameterSet: TPMI_MLDSA_PARAMETER_SET 0x0004; there are 1 to 3"},
			"size":       {mldsaPublic(uint16(i+1), want.Bytes()[1:]), "unique: it is no key of " + want.Parameters().String()},
			"cut":        {area[:len(area)-1], "unique: unexpected EOF"},
			"longer":     {append(bytes.Clone(area), 0), "end: 1 bytes follow"},
			"flag":       {func() []byte { b := bytes.Clone(area); b[12] = 2; return b }(), "allowExternalMu: 2 is neither"},
			"PEM":        {encode("PUBLIC KEY", spki(t, pkix.AlgorithmIdentifier{Algorithm: oidOf(i)}, want.Bytes()[1:])), "PEM PUBLIC KEY: "},
			"parameters": {spki(t, pkix.AlgorithmIdentifier{Algorithm: oidOf(i), Parameters: asn1.NullRawValue}, want.Bytes()), "illegal parameters"},
		} {
			_, err := verify.ParseKey(c.file)
			var wrong *verify.KeyFileError
			if assert.ErrorAs(t, err, &wrong, name) {
				assert.ErrorContains(t, err, c.says, name)
			}
		}
	}
}

// oidOf is the object identifier of a parameter set.
func oidOf(i int) asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, 17 + i}
}

func spki(t testing.TB, algorithm pkix.AlgorithmIdentifier, key []byte) []byte {
	t.Helper()
	der, err := asn1.Marshal(struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}{algorithm, asn1.BitString{Bytes: key, BitLength: 8 * len(key)}})
	require.NoError(t, err)
	return der
}

// certified is a certificate of a key that crypto/x509 cannot certify: that of another
// key, with the SubjectPublicKeyInfo exchanged. Nobody checks its signature here.
func certified(t testing.TB, issuer *ecdsa.PrivateKey, key []byte) []byte {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &issuer.PublicKey, issuer)
	require.NoError(t, err)
	var whole, body []asn1.RawValue
	_, err = asn1.Unmarshal(der, &whole)
	require.NoError(t, err)
	_, err = asn1.Unmarshal(whole[0].FullBytes, &body)
	require.NoError(t, err)
	const subjectPublicKeyInfo = 6 // after version, serialNumber, signature, issuer, validity, subject
	body[subjectPublicKeyInfo] = asn1.RawValue{FullBytes: key}
	whole[0].FullBytes, err = asn1.Marshal(body)
	require.NoError(t, err)
	der, err = asn1.Marshal(whole)
	require.NoError(t, err)
	return der
}
