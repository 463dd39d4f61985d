package verify_test

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/verify"
)

type publicKey interface {
	crypto.PublicKey
	Equal(crypto.PublicKey) bool
}

func parseKey(t testing.TB, b []byte) publicKey {
	t.Helper()
	key, err := verify.ParseKey(b)
	require.NoError(t, err)
	return key.(publicKey)
}

func pemBlock(t testing.TB, name string) []byte {
	t.Helper()
	block, _ := pem.Decode(readFile(t, name))
	require.NotNil(t, block)
	return block.Bytes
}

// A key is the same in all forms in which tpm2-tools and OpenSSL write it.
func TestKeyForms(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"rsa", "ecc"} {
		want := parseKey(t, readFile(t, "tpm2-tools/ak-"+kind+".pem"))
		template := &x509.Certificate{SerialNumber: big.NewInt(1)}
		issuer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		require.NoError(t, err)
		certificate, err := x509.CreateCertificate(rand.Reader, template, template, want, issuer)
		require.NoError(t, err)
		public := readFile(t, "tpm2-tools/ak-"+kind+".tpm2b")
		tss2, err := asn1.Marshal(struct {
			Type            asn1.ObjectIdentifier
			EmptyAuth       bool `asn1:"explicit,tag:0"`
			Parent          int64
			Public, Private []byte
		}{asn1.ObjectIdentifier{2, 23, 133, 10, 1, 3}, true, 0x81000001, public, []byte{0, 0}})
		require.NoError(t, err)
		encode := func(kind string, b []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}) }
		forms := map[string][]byte{
			"TPM2B_PUBLIC":         public,
			"TPMT_PUBLIC":          readFile(t, "tpm2-tools/ak-"+kind+".tpmt"),
			"DER":                  pemBlock(t, "tpm2-tools/ak-"+kind+".pem"),
			"certificate":          encode("CERTIFICATE", certificate),
			"certificate in DER":   certificate,
			"TSS2":                 encode("TSS2 PRIVATE KEY", tss2),
			"TSS2 in DER":          tss2,
			"behind another block": append(encode("EC PARAMETERS", []byte{6, 0}), encode("CERTIFICATE", certificate)...),
		}
		if key, ok := want.(*rsa.PublicKey); ok {
			forms["PKCS #1"] = encode("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(key))
			forms["PKCS #1 in DER"] = x509.MarshalPKCS1PublicKey(key)
		}
		for name, form := range forms {
			assert.True(t, want.Equal(parseKey(t, form)), "%s %s", kind, name)
		}
	}
	// The keys that tpm2_encodeobject has written.
	assert.Equal(t, elliptic.P256(), parseKey(t, readFile(t, "tpm2-tools/tss2-ecc.pem")).(*ecdsa.PublicKey).Curve)
	assert.Equal(t, 2048, parseKey(t, readFile(t, "tpm2-tools/tss2-rsa.pem")).(*rsa.PublicKey).N.BitLen())
}

// A TPM may leave out zeros in front of a coordinate.
func TestShortCoordinate(t *testing.T) {
	t.Parallel()
	for i := range byte(255) {
		for j := range byte(8) {
			private, err := ecdh.P256().NewPrivateKey(append(make([]byte, 30), j, i+1))
			require.NoError(t, err)
			point := private.PublicKey().Bytes()
			if point[1] != 0 {
				continue
			}
			area := cat([]byte{0, 0x23, 0, 0x0b, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0x18, 0, 0x0b, 0, 3, 0, 0x10, 0, 31}, point[2:33], []byte{0, 32}, point[33:])
			want, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
			require.NoError(t, err)
			assert.True(t, want.Equal(parseKey(t, area)))
			return
		}
	}
	require.Fail(t, "no such point")
}

func TestDamagedKeys(t *testing.T) {
	t.Parallel()
	public, area := readFile(t, "tpm2-tools/ak-ecc.tpm2b"), readFile(t, "tpm2-tools/ak-rsa.tpmt")
	edit := func(b []byte, offset int, value ...byte) []byte {
		b = bytes.Clone(b)
		copy(b[offset:], value)
		return b
	}
	text := readFile(t, "tpm2-tools/ak-ecc.pem")
	private, err := x509.MarshalPKCS8PrivateKey(must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)))
	require.NoError(t, err)
	for name, c := range map[string]struct {
		file []byte
		says string
	}{
		"empty":        {nil, "no public key: neither PEM"},
		"text":         {[]byte("ssh-rsa AAAA"), "no public key: neither PEM"},
		"a signature":  {readFile(t, "tpm2-tools/q-rsa-tss-values.sig"), "no public key: neither PEM"},
		"private":      {pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), "PEM PRIVATE KEY: a private key"},
		"PEM cut":      {text[:len(text)/2], "PEM: no block"},
		"PEM damaged":  {pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte{0x30, 3}}), "PEM PUBLIC KEY: "},
		"TSS2 damaged": {pem.EncodeToMemory(&pem.Block{Type: "TSS2 PRIVATE KEY", Bytes: []byte{0x30, 3}}), "PEM TSS2 PRIVATE KEY: "},
		"DER cut":      {pemBlock(t, "tpm2-tools/ak-rsa.pem")[:50], "DER: no public key, certificate"},
		"context":      {[]byte{0xba, 0xdc, 0xc0, 0xde, 0, 0}, "tpm2_readpublic -c FILE"},
		"name":         {append([]byte{0, 0x0b}, make([]byte, 32)...), "name of an object"},
		"2B cut":       {public[:len(public)-1], "TPM2B_PUBLIC, byte 0: size: 88 bytes, but 87 follow"},
		"2B longer":    {append(bytes.Clone(public), 0), "TPM2B_PUBLIC, byte 0: size: 88 bytes, but 89 follow"},
		"area cut":     {area[:100], "TPMT_PUBLIC, byte 24: modulus: unexpected EOF"},
		"area longer":  {append(bytes.Clone(area), 0), "TPMT_PUBLIC, byte 280: end: 1 bytes follow"},
		"key bits":     {edit(area, 16, 4, 0), "modulus: it is none of 1024 bits"},
		"exponent":     {edit(area, 18, 0, 0, 0, 2), "exponent: 2"},
		"curve":        {edit(public, 18, 0, 0x10), "curveID: TPM_ECC_CURVE 0x0010"},
		"point":        {edit(public, 24, 1, 2, 3), "it is not on the curve"},
		"policy":       {edit(area, 8, 0xff, 0xff), "authPolicy: 65535 bytes"},
		"too long":     {make([]byte, 1<<20+1), "1048577 bytes"},
	} {
		_, err := verify.ParseKey(c.file)
		var wrong *verify.KeyFileError
		if assert.ErrorAs(t, err, &wrong, name) {
			assert.ErrorContains(t, err, c.says, name)
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// toolsQuote is a quote that tpm2_quote has written.
func toolsQuote(t testing.TB, kind, form string) *verify.Quote {
	t.Helper()
	return &verify.Quote{
		Attest: readFile(t, "tpm2-tools/q-"+kind+"-"+form+"-values.msg"), Signature: readFile(t, "tpm2-tools/q-"+kind+"-"+form+"-values.sig"),
		Key: parseKey(t, readFile(t, "tpm2-tools/ak-"+kind+".tpm2b")), Nonce: []byte{0xc0, 0xff, 0xee},
	}
}

func quoteVerdict(t testing.TB, q *verify.Quote) (*verify.Verdict, error) {
	t.Helper()
	v, err := verify.Verify(verify.Evidence{List: ima.Records(nil), PCRs: toolsPCRs(t), Quote: q})
	require.NotNil(t, v)
	return v, err
}

// Signatures in the TPM's structure and plain ones verify alike.
func TestSignatureForms(t *testing.T) {
	t.Parallel()
	for kind, scheme := range map[string]string{"rsa": "RSASSA sha256", "ecc": "ECDSA sha256"} {
		for _, form := range []string{"tss", "plain"} {
			v, err := quoteVerdict(t, toolsQuote(t, kind, form))
			require.NoError(t, err)
			assert.True(t, v.Has(verify.QuoteVerified), "%s %s", kind, form)
			assert.Equal(t, scheme, v.Quote.Scheme)
		}
	}
	// A plain PSS signature is the bytes in the structure.
	q := readQuote(t, "rsapss-sha256-reset")
	s, err := verify.ParseSignature(q.Signature)
	require.NoError(t, err)
	q.Signature = s.RSA
	v, err := quoteVerdict(t, q)
	require.NoError(t, err)
	assert.Equal(t, "RSAPSS sha256", v.Quote.Scheme)
	assert.False(t, v.Has(verify.QuoteSignature), "the PCRs are others, the signature is right")
}

func TestWrongPlainSignatures(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"rsa", "ecc"} {
		for _, where := range []string{"signature", "quote"} {
			q := toolsQuote(t, kind, "plain")
			b := q.Signature
			if where == "quote" {
				b = q.Attest
			}
			b[len(b)-1] ^= 1
			v, err := quoteVerdict(t, q)
			require.NoError(t, err)
			assert.True(t, v.Has(verify.QuoteSignature), "%s, %s changed", kind, where)
			assert.False(t, v.Has(verify.QuoteVerified))
		}
	}
	for says, change := range map[string]func([]byte) []byte{
		"ECDSA signature in DER, byte 0: r and s": func(b []byte) []byte { return b[:len(b)-1] },
		"1 bytes follow":                 func(b []byte) []byte { return append(b, 0) },
		"not from 1 to the order":        func([]byte) []byte { return []byte{0x30, 6, 2, 1, 0, 2, 1, 1} },
		"TPMT_SIGNATURE, byte 0: sigAlg": func([]byte) []byte { return []byte{1, 2, 3, 4} },
	} {
		q := toolsQuote(t, "ecc", "plain")
		q.Signature = change(q.Signature)
		v, err := quoteVerdict(t, q)
		var at *verify.AttestError
		require.ErrorAs(t, err, &at, says)
		assert.ErrorContains(t, err, says)
		assert.True(t, v.Has(verify.QuoteUnreadable))
	}
}

func FuzzKey(f *testing.F) {
	for _, name := range []string{"ak-rsa.pem", "ak-ecc.tpm2b", "ak-rsa.tpmt", "ak-ecc.tpmt", "tss2-ecc.pem", "tss2-rsa.pem"} {
		f.Add(readFile(f, "tpm2-tools/"+name), []byte(nil))
	}
	f.Add(readFile(f, "tpm2-tools/ak-ecc.tpm2b"), readFile(f, "tpm2-tools/q-ecc-plain-values.sig"))
	f.Add(readFile(f, "tpm2-tools/ak-rsa.tpm2b"), readFile(f, "tpm2-tools/q-rsa-plain-values.sig"))
	f.Add(mldsaPublic(1, make([]byte, 1312)), cat(be16(0x00a1), sized(make([]byte, 2420))))
	attest, pcrs := readFile(f, "tpm2-tools/q-ecc-plain-values.msg"), toolsPCRs(f)
	f.Fuzz(func(t *testing.T, b, signature []byte) {
		key, err := verify.ParseKey(b)
		if err != nil {
			var wrong *verify.KeyFileError
			require.ErrorAs(t, err, &wrong)
			return
		}
		require.NotNil(t, key)
		v, err := verify.Verify(verify.Evidence{List: ima.Records(nil), PCRs: pcrs, Quote: &verify.Quote{Attest: attest, Signature: signature, Key: key}})
		if err != nil {
			var input *verify.InputError
			require.ErrorAs(t, err, &input)
			return
		}
		require.NotNil(t, v)
	})
}
