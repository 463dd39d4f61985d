package emulator_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

func init() { packetLists = append(packetLists, x509Packets) }

// der encodes with encoding/asn1.
func der(v any) []byte {
	b, err := asn1.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// tagged is an encoding with a tag of one octet.
func tagged(tag byte, parts ...[]byte) []byte {
	b := slices.Concat(parts...)
	return der(asn1.RawValue{Class: int(tag >> 6), IsCompound: tag&0x20 != 0, Tag: int(tag & 0x1F), Bytes: b})
}

// derSeq is a SEQUENCE.
func derSeq(parts ...[]byte) []byte { return tagged(0x30, parts...) }

// extension is one of a certificate.
func extension(critical bool, value []byte, id ...int) []byte {
	return der(pkix.Extension{Id: id, Critical: critical, Value: value})
}

// keyUsage is the extension with the bits, of which digitalSignature is the first.
func keyUsage(bits uint32) []byte { return extension(true, bitString(bits), 2, 5, 29, 15) }

// tpmAttributes is the extension in which a key's TPMA_OBJECT stands.
func tpmAttributes(bits uint32) []byte {
	return extension(false, bitString(bits), 2, 23, 133, 10, 1, 1, 1)
}

// bitString has as many bits as are needed.
func bitString(bits uint32) []byte {
	n := 32
	for n > 0 && bits>>(32-n)&1 == 0 {
		n--
	}
	return der(asn1.BitString{Bytes: et.U32(bits)[:(n+7)/8], BitLength: n})
}

// Bits of keyUsage.
const (
	digitalSignature, nonRepudiation, keyEncipherment = 1 << 31, 1 << 30, 1 << 29
	dataEncipherment, keyAgreement, keyCertSign       = 1 << 28, 1 << 27, 1 << 26
	crlSign, encipherOnly, decipherOnly               = 1 << 25, 1 << 24, 1 << 23
)

// Parts of the certificates of these tests.
var (
	issuer   = der(pkix.Name{CommonName: "issuer"}.ToRDNSequence())
	subject  = der(pkix.Name{CommonName: "subject"}.ToRDNSequence())
	validity = derSeq(der(time.Unix(1_700_000_000, 0).UTC()), der(time.Unix(1_900_000_000, 0).UTC()))
	signing  = extensions(keyUsage(digitalSignature))
)

// extensions is the [3] of a certificate.
func extensions(list ...[]byte) []byte { return tagged(0xA3, derSeq(list...)) }

// partial is a partialCertificate with the extensions.
func partial(extensions []byte) []byte { return derSeq(issuer, validity, subject, extensions) }

// certifyX509 is TPM2_CertifyX509 of an object by a signer.
func certifyX509(object, signer wire.Handle, s wire.Scheme, partial []byte) []byte {
	return et.Command(wire.CCCertifyX509, handles{object, signer}, [][]byte{nil, nil}, et.Sized(nil), schemeOf(s), et.Sized(partial))
}

func x509Packets() []packet {
	return []packet{{name: "CertifyX509", code: wire.CCCertifyX509, bytes: certifyX509(second, key, ecdsa256, partial(signing)),
		before: [][]byte{loadExternal(eccSigning()), loadExternal(eccKey(signKey, noSym, ecdsa256))}}}
}

// elements are the parts of a SEQUENCE.
func elements(t *testing.T, b []byte) [][]byte {
	t.Helper()
	var list []asn1.RawValue
	rest, err := asn1.Unmarshal(b, &list)
	require.NoError(t, err)
	require.Empty(t, rest)
	var out [][]byte
	for _, e := range list {
		out = append(out, e.FullBytes)
	}
	return out
}

// certificate puts the certificate together as somebody does who has asked for it
// (Part 3, section "TPM2_CertifyX509"): algorithm is nil if the TPM was to make it.
func certificate(t *testing.T, r *wire.Reader, algorithm, extensions []byte) (cert *x509.Certificate, digest []byte, s *wire.Signature) {
	t.Helper()
	added := elements(t, r.Sized(1024))
	digest = r.Digest()
	s = signature(t, r)
	require.Zero(t, r.Len())
	if algorithm == nil {
		require.Len(t, added, 4)
		algorithm = added[2]
	} else {
		require.Len(t, added, 3)
	}
	tbs := derSeq(added[0], added[1], algorithm, issuer, validity, subject, added[len(added)-1], extensions)
	raw := s.RSA
	if raw == nil {
		raw = derSeq(der(new(big.Int).SetBytes(s.R)), der(new(big.Int).SetBytes(s.S)))
	}
	cert, err := x509.ParseCertificate(derSeq(tbs, algorithm, der(asn1.BitString{Bytes: raw, BitLength: 8 * len(raw)})))
	require.NoError(t, err)
	require.Equal(t, tbs, cert.RawTBSCertificate)
	return cert, digest, s
}

// onCurve is an ECC signing key on a curve of the standard library, with numbers
// of so many octets.
func onCurve(id wire.Curve, curve ecdh.Curve, size int) testKey {
	k := eccSigning()
	k.sensitive.Data = append(make([]byte, size-32), eccSigning().sensitive.Data...)
	private, err := curve.NewPrivateKey(k.sensitive.Data)
	if err != nil {
		panic(err)
	}
	p := private.PublicKey().Bytes()
	k.public.Parms.Curve = id
	k.public.Point = wire.ECPoint{X: p[1 : 1+size], Y: p[1+size:]}
	return k
}

// crypto/x509 parses the certificate and finds its key and signature to be right,
// for every kind of signer and of key.
func TestCertifyX509(t *testing.T) {
	t.Parallel()
	keys := map[string]testKey{
		"RSA": rsaSigning(), "P-256": eccSigning(),
		"P-384": onCurve(wire.CurveNISTP384, ecdh.P384(), 48), "P-521": onCurve(wire.CurveNISTP521, ecdh.P521(), 66),
	}
	signers := map[wire.Scheme]x509.SignatureAlgorithm{
		hashScheme(wire.AlgRSASSA, wire.AlgSHA256): x509.SHA256WithRSA,
		hashScheme(wire.AlgRSASSA, wire.AlgSHA384): x509.SHA384WithRSA,
		hashScheme(wire.AlgRSASSA, wire.AlgSHA512): x509.SHA512WithRSA,
		hashScheme(wire.AlgRSAPSS, wire.AlgSHA256): x509.SHA256WithRSAPSS,
		hashScheme(wire.AlgRSAPSS, wire.AlgSHA384): x509.SHA384WithRSAPSS,
		hashScheme(wire.AlgRSAPSS, wire.AlgSHA512): x509.SHA512WithRSAPSS,
		hashScheme(wire.AlgECDSA, wire.AlgSHA256):  x509.ECDSAWithSHA256,
		hashScheme(wire.AlgECDSA, wire.AlgSHA384):  x509.ECDSAWithSHA384,
		hashScheme(wire.AlgECDSA, wire.AlgSHA512):  x509.ECDSAWithSHA512,
	}
	for name, k := range keys {
		for scheme, algorithm := range signers {
			what := fmt.Sprintf("%s by %v", name, algorithm)
			signer := rsaSigning()
			if scheme.Alg == wire.AlgECDSA {
				signer = eccSigning()
			}
			tpm := with(t, loadExternal(signer), loadExternal(k))
			r := answer(t, tpm, certifyX509(second, key, scheme, partial(signing)))
			cert, digest, _ := certificate(t, &r, nil, signing)
			assert.Equal(t, algorithm, cert.SignatureAlgorithm, what)
			parent := &x509.Certificate{PublicKey: signer.publicKey()}
			assert.NoError(t, parent.CheckSignature(algorithm, cert.RawTBSCertificate, cert.Signature), what)
			assert.Equal(t, hashOf(scheme.Hash, cert.RawTBSCertificate), digest, what)
			assert.Equal(t, 3, cert.Version, what)
			assert.Equal(t, x509.KeyUsageDigitalSignature, cert.KeyUsage, what)
			assert.Equal(t, "issuer", cert.Issuer.CommonName, what)
			assert.Equal(t, "subject", cert.Subject.CommonName, what)
			assert.Equal(t, k.publicKey(), cert.PublicKey, what)
		}
	}
}

// Signatures with SHA-1, which crypto/x509 does not take any more, and with the
// other exponent and curve that there is an identifier for.
func TestCertifyX509Algorithms(t *testing.T) {
	t.Parallel()
	null := []byte{5, 0}
	identifier := func(parameters []byte, id ...int) []byte { return derSeq(der(asn1.ObjectIdentifier(id)), parameters) }
	for name, tc := range map[string]struct {
		signer testKey
		scheme wire.Scheme
		want   []byte
	}{
		"RSASSA": {rsaSigning(), hashScheme(wire.AlgRSASSA, wire.AlgSHA1), identifier(null, 1, 2, 840, 113549, 1, 1, 5)},
		"RSAPSS": {rsaSigning(), hashScheme(wire.AlgRSAPSS, wire.AlgSHA1), identifier(derSeq(), 1, 2, 840, 113549, 1, 1, 10)},
		"ECDSA":  {eccSigning(), hashScheme(wire.AlgECDSA, wire.AlgSHA1), identifier(nil, 1, 2, 840, 10045, 4, 1)},
	} {
		r := answer(t, with(t, loadExternal(tc.signer), loadExternal(eccSigning())), certifyX509(second, key, tc.scheme, partial(signing)))
		added := elements(t, r.Sized(1024))
		assert.Equal(t, tc.want, added[2], name)
		digest := r.Digest()
		assert.True(t, signed(tc.signer, digest, signature(t, &r)), name)
		assert.Equal(t, digest, hashOf(wire.AlgSHA1, derSeq(added[0], added[1], added[2], issuer, validity, subject, added[3], signing)), name)
	}
	for _, e := range []uint32{257, 1<<31 + 11} {
		k := change(rsaSigning(), func(k *testKey) { k.public.Parms.Exponent = e })
		r := answer(t, with(t, loadExternal(eccSigning()), loadExternal(k)), certifyX509(second, key, ecdsa256, partial(signing)))
		cert, _, _ := certificate(t, &r, nil, signing)
		assert.Equal(t, k.publicKey(), cert.PublicKey, e)
	}
}

// The serial number is the start of a digest, with the signer's nameAlg, of the
// rest of the certificate and the Names of both keys, so that the same
// certificate has the same number and no other has.
func TestCertifyX509Serial(t *testing.T) {
	t.Parallel()
	for _, alg := range []wire.AlgID{wire.AlgSHA1, wire.AlgSHA256, wire.AlgSHA512} {
		signer := change(eccSigning(), func(k *testKey) { k.public.NameAlg = alg })
		tpm := with(t, loadExternal(signer), loadExternal(rsaSigning()))
		r := answer(t, tpm, certifyX509(second, key, ecdsa256, partial(signing)))
		cert, _, _ := certificate(t, &r, nil, signing)
		parts := elements(t, cert.RawTBSCertificate)
		want := hashOf(alg, slices.Concat(parts[2:]...), signer.name(), rsaSigning().name())
		assert.Equal(t, new(big.Int).SetBytes(want[:20]), cert.SerialNumber, alg)
	}
}

// Who asks may name the algorithm, and then the TPM need not know one: HMAC keys
// sign too.
func TestCertifyX509WithAlgorithm(t *testing.T) {
	t.Parallel()
	algorithm := derSeq(der(asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}))
	given := derSeq(algorithm, issuer, validity, subject, signing)
	r := answer(t, with(t, loadExternal(eccSigning()), loadExternal(rsaSigning())), certifyX509(second, key, ecdsa256, given))
	cert, _, _ := certificate(t, &r, algorithm, signing)
	parent := &x509.Certificate{PublicKey: eccSigning().publicKey()}
	assert.NoError(t, parent.CheckSignature(x509.ECDSAWithSHA256, cert.RawTBSCertificate, cert.Signature))

	tpm := with(t, loadExternal(hmacKey()), loadExternal(rsaSigning()))
	assert.Equal(t, wire.RCScheme.Handle(2), send(t, tpm, certifyX509(second, key, noScheme, partial(signing))), "no certificate is signed with HMAC")
	r = answer(t, tpm, certifyX509(second, key, noScheme, given))
	_, digest, s := certificate(t, &r, algorithm, signing)
	assert.True(t, signed(hmacKey(), digest, s))
}

// What a key is for must be true, as Part 3, section "TPM2_CertifyX509" has it.
func TestCertifyX509KeyUsage(t *testing.T) {
	t.Parallel()
	const signs, decrypts, fixed, restricted = wire.ObjectSignEncrypt, wire.ObjectDecrypt, wire.ObjectFixedTPM, wire.ObjectRestricted
	all := []wire.ObjectAttributes{signs, decrypts, signs | decrypts, signs | fixed, decrypts | restricted, signs | restricted | fixed, signs | decrypts | fixed}
	for usage, needs := range map[uint32]wire.ObjectAttributes{
		0: 0, digitalSignature: signs, keyCertSign: signs, crlSign: signs, dataEncipherment: decrypts, keyAgreement: decrypts,
		encipherOnly: decrypts, decipherOnly: decrypts, nonRepudiation: fixed, keyEncipherment: decrypts | restricted,
		digitalSignature | keyAgreement: signs | decrypts, digitalSignature | nonRepudiation: signs | fixed,
	} {
		for _, has := range all {
			tpm := with(t, loadExternal(eccSigning()))
			sym := noSym
			if has&restricted != 0 && has&decrypts != 0 {
				sym = aes128CFB
			}
			k := eccKey(userKey|has, sym, noScheme)
			want := wire.RCSuccess
			if has&needs != needs {
				want = wire.RCValue.Parameter(3)
			}
			place(t, tpm, k, wire.RHOwner)
			command := certifyX509(second, key, ecdsa256, partial(extensions(keyUsage(usage))))
			assert.Equal(t, want, send(t, tpm, command), "%b for a key with %#x", usage>>23, has)
		}
	}
}

func TestCertifyX509Refuses(t *testing.T) {
	t.Parallel()
	const reserved, scheme, certificate = 1, 2, 3
	signer, certified := loadExternal(eccSigning()), loadExternal(eccKey(signKey, noSym, ecdsa256))
	var attributes = uint32(signKey)
	use := keyUsage(digitalSignature)
	size, value := wire.RCSize.Parameter(certificate), wire.RCValue.Parameter(certificate)
	long := slices.Concat([]byte{0x30, 0x81, byte(len(issuer) + len(validity) + len(subject) + len(signing))}, issuer, validity, subject, signing)
	require.Less(t, len(long), 128, "so that the length would fit into one octet")
	for name, tc := range map[string]struct {
		partial []byte
		want    wire.RC
	}{
		"empty":                  {nil, value},
		"no SEQUENCE":            {tagged(0x31, issuer, validity, subject, signing), size},
		"something behind it":    {append(partial(signing), 0), size},
		"cut":                    {partial(signing)[:80], size},
		"a tag":                  {[]byte{0x30}, size},
		"length for two octets":  {long, size},
		"length without end":     {slices.Concat([]byte{0x30, 0x80}, partial(signing)[2:], []byte{0, 0}), size},
		"two SEQUENCEs":          {derSeq(issuer, validity, signing), value},
		"five":                   {derSeq(issuer, validity, subject, issuer, issuer, signing), value},
		"no extensions":          {derSeq(issuer, validity, subject), value},
		"extensions twice":       {derSeq(issuer, validity, subject, signing, signing), value},
		"unique identifier":      {derSeq(issuer, validity, subject, tagged(0x81, []byte{0, 1}), signing), value},
		"constructed one":        {derSeq(issuer, validity, subject, tagged(0xA1, derSeq(use)), signing), value},
		"primitive extensions":   {derSeq(issuer, validity, subject, tagged(0x83, derSeq(use))), value},
		"no list":                {partial(tagged(0xA3, tagged(0x31, use))), value},
		"two lists":              {partial(tagged(0xA3, derSeq(use), derSeq(use))), value},
		"cut inside":             {derSeq(issuer, validity, subject, []byte{0x30, 5}), value},
		"extended tag":           {derSeq(issuer, validity, subject, []byte{0x3F, 0x21, 0}, signing), value},
		"empty list":             {partial(extensions()), value},
		"no key usage":           {partial(extensions(tpmAttributes(attributes))), value},
		"not an extension":       {partial(extensions(use, []byte{5, 0})), value},
		"key usage twice":        {partial(extensions(use, use)), value},
		"reserved use":           {partial(extensions(keyUsage(digitalSignature | 1<<22))), wire.RCReservedBits.Parameter(certificate)},
		"last reserved use":      {partial(extensions(keyUsage(1))), wire.RCReservedBits.Parameter(certificate)},
		"33 bits":                {partial(extensions(extension(true, der(asn1.BitString{Bytes: []byte{128, 0, 0, 0, 128}, BitLength: 33}), 2, 5, 29, 15))), value},
		"no BIT STRING":          {partial(extensions(extension(true, []byte{4, 2, 7, 128}, 2, 5, 29, 15))), value},
		"more than it":           {partial(extensions(extension(true, append(bitString(digitalSignature), 0), 2, 5, 29, 15))), value},
		"a zero behind the last": {partial(extensions(extension(true, []byte{3, 2, 6, 0x80}, 2, 5, 29, 15))), value},
		"unused bits":            {partial(extensions(extension(true, []byte{3, 2, 7, 0xC0}, 2, 5, 29, 15))), value},
		"no OCTET STRING":        {partial(extensions(derSeq(der(asn1.ObjectIdentifier{2, 5, 29, 15}), bitString(digitalSignature)))), value},
		"no value":               {partial(extensions(derSeq(der(asn1.ObjectIdentifier{2, 5, 29, 15})))), value},
		"attributes":             {partial(extensions(tpmAttributes(attributes^uint32(wire.ObjectNoDA)), use)), wire.RCAttributes.Handle(1)},
		"attributes before uses": {partial(extensions(keyUsage(1), tpmAttributes(0))), wire.RCAttributes.Handle(1)},
		"attributes, no bits":    {partial(extensions(extension(false, nil, 2, 23, 133, 10, 1, 1, 1), use)), value},
		"as they are":            {partial(extensions(tpmAttributes(attributes), use)), wire.RCSuccess},
		"critical ones":          {partial(extensions(extension(true, bitString(attributes), 2, 23, 133, 10, 1, 1, 1), use)), wire.RCSuccess},
		"others":                 {partial(extensions(extension(false, []byte{5, 0}, 2, 5, 29, 99), derSeq(), use)), wire.RCSuccess},
		"in another order":       {derSeq(signing, issuer, validity, subject), wire.RCSuccess},
		"too long":               {make([]byte, 1025), size},
	} {
		assert.Equal(t, tc.want, send(t, with(t, signer, certified), certifyX509(second, key, ecdsa256, tc.partial)), name)
	}
	nameless := loadExternal(change(eccSigning(), func(k *testKey) { k.public.NameAlg = wire.AlgNull }))
	good := partial(signing)
	for name, tc := range map[string]struct {
		signer, object []byte
		command        []byte
		want           wire.RC
	}{
		"reserved":        {signer, certified, et.Command(wire.CCCertifyX509, handles{second, key}, [][]byte{nil, nil}, et.Sized([]byte{0}), schemeOf(ecdsa256), et.Sized(good)), wire.RCSize.Parameter(reserved)},
		"no signer":       {signer, certified, certifyX509(second, wire.RHNull, ecdsa256, good), wire.RCKey.Handle(2)},
		"nameless":        {nameless, certified, certifyX509(second, key, ecdsa256, good), wire.RCKey.Handle(2)},
		"decrypts":        {loadExternal(eccECDH()), certified, certifyX509(second, key, ecdsa256, good), wire.RCKey.Handle(2)},
		"no scheme":       {signer, certified, certifyX509(second, key, noScheme, good), wire.RCScheme.Parameter(scheme)},
		"ECSchnorr":       {signer, certified, certifyX509(second, key, hashScheme(wire.AlgECSchnorr, wire.AlgSHA256), good), wire.RCScheme.Handle(2)},
		"HMAC key":        {signer, loadExternal(hmacKey()), certifyX509(second, key, ecdsa256, good), wire.RCAsymmetric.Handle(1)},
		"block cipher":    {signer, loadExternal(aesKey(wire.AlgCFB)), certifyX509(second, key, ecdsa256, good), wire.RCAsymmetric.Handle(1)},
		"BN curve":        {signer, loadExternal(eccKey(signKey, noSym, ecdaa256).onBN256()), certifyX509(second, key, ecdsa256, good), wire.RCAsymmetric.Handle(1)},
		"public only":     {signer, loadExternalPublic(eccSigning(), wire.RHNull), certifyX509(second, key, ecdsa256, good), wire.RCAuthUnavailable.Session(1)},
		"ECDAA, no r":     {loadExternal(eccKey(signKey, noSym, ecdaa256)), certified, certifyX509(second, key, ecdaaWith(1), derSeq(derSeq(), issuer, validity, subject, signing)), wire.RCValue},
		"order of both":   {loadExternal(eccECDH()), loadExternal(hmacKey()), certifyX509(second, key, ecdsa256, nil), wire.RCKey.Handle(2)},
		"order of checks": {signer, certified, certifyX509(second, key, hashScheme(wire.AlgECSchnorr, wire.AlgSHA256), derSeq(issuer, validity, subject)), value},
		"order of parts":  {signer, certified, certifyX509(second, key, hashScheme(wire.AlgECSchnorr, wire.AlgSHA256), partial(extensions())), wire.RCScheme.Handle(2)},
	} {
		assert.Equal(t, tc.want, send(t, with(t, tc.signer, tc.object), tc.command), name)
	}
	sequence := et.Command(wire.CCHashSequenceStart, nil, nil, noLabel, et.U16(uint16(wire.AlgSHA1)))
	assert.Equal(t, wire.RCAsymmetric.Handle(1), send(t, with(t, signer, sequence), certifyX509(second, key, ecdsa256, good)), "a sequence")
}

// What is added must be a TPM2B_MAX_BUFFER.
func TestCertifyX509Buffer(t *testing.T) {
	t.Parallel()
	limits := emulator.DefaultLimits()
	limits.InputBuffer = 256
	tpm := et.New(t, et.WithConfig(emulator.Config{Limits: limits}))
	succeed(t, tpm, loadExternal(eccSigning()), loadExternal(rsaSigning()))
	assert.Equal(t, wire.RCKeySize.Handle(1), send(t, tpm, certifyX509(second, key, ecdsa256, partial(signing))))
	assert.Equal(t, wire.RCSuccess, send(t, tpm, certifyX509(key, key, ecdsa256, partial(signing))))
}

// FuzzPartialCertificate has the TPM certify a key that signs and nothing else.
// Whatever it has signed is no certificate, or one that crypto/x509 reads as the
// TPM does.
func FuzzPartialCertificate(f *testing.F) {
	use := keyUsage(digitalSignature)
	for _, seed := range [][]byte{
		partial(signing), derSeq(derSeq(), issuer, validity, subject, signing), derSeq(signing, issuer, validity, subject),
		partial(extensions(tpmAttributes(uint32(signKey)), use)), partial(extensions(use, use)),
		partial(extensions(keyUsage(digitalSignature|keyCertSign), extension(true, derSeq(), 2, 5, 29, 19))),
	} {
		f.Add(seed)
	}
	tpm := et.New(f)
	for _, command := range [][]byte{loadExternal(eccSigning()), loadExternal(eccKey(signKey, noSym, ecdsa256))} {
		require.Equal(f, wire.RCSuccess, send(f, tpm, command))
	}
	snapshot, err := tpm.Snapshot()
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, b []byte) {
		tpm := restored(t, []preparation{{snapshot, false}}, 0)
		rsp := tpm.Execute(0, certifyX509(second, key, ecdsa256, b))
		checkResponse(t, rsp)
		if et.ResponseCode(rsp) != wire.RCSuccess {
			return
		}
		r := wire.NewReader(et.Parameters(rsp, false), nil)
		added := elements(t, r.Sized(1024))
		var given, tail [][]byte
		for _, e := range elements(t, b) {
			if e[0] == 0xA3 {
				tail = append(tail, e)
			} else {
				given = append(given, e)
			}
		}
		if len(given) == 4 {
			added = slices.Insert(added, 2, given[0])
			given = given[1:]
		}
		algorithm := added[2]
		tbs := derSeq(slices.Concat(slices.Concat(added[:3]...), slices.Concat(given...), added[3], tail[0]))
		require.Equal(t, hashOf(wire.AlgSHA256, tbs), r.Digest(), "that is what it has signed")
		cert, err := x509.ParseCertificate(derSeq(tbs, algorithm, der(asn1.BitString{Bytes: []byte{0}, BitLength: 8})))
		if err != nil {
			return
		}
		require.Zero(t, cert.KeyUsage&^(x509.KeyUsageDigitalSignature|x509.KeyUsageCertSign|x509.KeyUsageCRLSign))
	})
}

// The point of a key without nameAlg is whatever was loaded: where it is none of
// the curve there is no public key to certify.
func TestCertifyX509PointOutsideCurve(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	signer := load(t, tpm, loadExternal(eccKey(signKey, noSym, ecdsa256)))
	for _, p := range []wire.ECPoint{{X: bytes.Repeat([]byte{0xFF}, 33), Y: []byte{1}}, {X: []byte{1}, Y: []byte{1}}, {}} {
		k := eccSigning()
		k.public.NameAlg, k.public.Point = wire.AlgNull, p
		o := load(t, tpm, loadExternal(k))
		assert.Equal(t, wire.RCAsymmetric.Handle(1), send(t, tpm, certifyX509(o, signer, noScheme, partial(signing))))
		succeed(t, tpm, et.Command(wire.CCFlushContext, nil, nil, et.U32(uint32(o))))
	}
}
