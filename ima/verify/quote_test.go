package verify_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/verify"
)

var nonce = []byte("nonce of a test")

// readQuote reads a quote that swtpm has made.
func readQuote(t testing.TB, name string) *verify.Quote {
	t.Helper()
	block, _ := pem.Decode(readFile(t, "quotes/"+name+".pem"))
	require.NotNil(t, block)
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	require.NoError(t, err)
	return &verify.Quote{
		Attest: readFile(t, "quotes/"+name+".attest"), Signature: readFile(t, "quotes/"+name+".sig"),
		Key: key, Nonce: nonce,
	}
}

// quoted is the evidence of the machine that was quoted.
func quoted(t testing.TB, name string) verify.Evidence {
	t.Helper()
	return verify.Evidence{
		List: open(t, readFile(t, "quotes/list.bin")), PCRs: readPCRs(t, "quotes/pcrs.json"),
		Quote: readQuote(t, name), EventLog: readFile(t, "quotes/eventlog.bin"),
		Build: verify.Build{Strategy: verify.StrategyLate, Measured: []verify.Measurement{{PCR: 9, Bank: ima.SHA256, Digest: kernelImage[:]}}},
	}
}

func TestQuotesOfATPM(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, scheme string
		sha1         bool // the quote covers sha1 PCR 10
	}{
		{"ecdsa-p256-sha256", "ECDSA sha256", false},
		{"ecdsa-p384-sha384", "ECDSA sha384", true},
		{"rsassa-sha256", "RSASSA sha256", true},
	} {
		v := verdict(t, quoted(t, c.name))
		assert.Empty(t, codes(v), c.name)
		assert.Equal(t, all, outcomes(t, v), c.name)
		require.NotNil(t, v.Quote)
		assert.True(t, v.Quote.Verified)
		assert.Equal(t, c.scheme, v.Quote.Scheme)
		assert.Equal(t, ima.Hex(nonce), v.Quote.ExtraData)
		require.Len(t, v.Replays, 2)
		assert.Equal(t, c.sha1, v.Replays[0].Quoted)
		assert.True(t, v.Replays[1].Quoted)
		assert.True(t, v.Has(verify.BuildBound) && v.Has(verify.OnTimeBound) && v.Has(verify.EventLogMatch))
	}
}

func TestPSSQuoteOfATPM(t *testing.T) {
	t.Parallel()
	pcrs := ima.PCRs{ima.SHA256: {}}
	for pcr := range 11 {
		pcrs[ima.SHA256][pcr] = make(ima.Hex, 32)
	}
	v := verdict(t, verify.Evidence{List: ima.Records(nil), PCRs: pcrs, Quote: readQuote(t, "rsapss-sha256-reset")})
	require.NotNil(t, v.Quote)
	assert.True(t, v.Quote.Verified)
	assert.Equal(t, "RSAPSS sha256", v.Quote.Scheme)
}

// Whatever is changed in a quote, the verdict is not an acceptance.
func TestChangedQuotes(t *testing.T) {
	t.Parallel()
	const ecdsaQuote, rsaQuote = "ecdsa-p256-sha256", "rsassa-sha256"
	for _, c := range []struct {
		name, quote string
		change      func(t testing.TB, e *verify.Evidence)
		code        verify.Code
		outcomes    string
	}{
		{"PCR value", ecdsaQuote, func(t testing.TB, e *verify.Evidence) { e.PCRs[ima.SHA256][0][0] ^= 1 }, verify.QuoteDigest, "reject reject reject"},
		{"values missing", ecdsaQuote, func(t testing.TB, e *verify.Evidence) { delete(e.PCRs[ima.SHA256], 5) }, verify.QuotePCRsMissing, "cannot-tell cannot-tell cannot-tell"},
		{"nonce", ecdsaQuote, func(t testing.TB, e *verify.Evidence) { e.Quote.Nonce = []byte("another") }, verify.QuoteNonce, "reject reject reject"},
		{"nonce not known", ecdsaQuote, func(t testing.TB, e *verify.Evidence) { e.Quote.Nonce = nil }, verify.QuoteNonceUnchecked, "cannot-tell cannot-tell cannot-tell"},
		{"empty nonce asked for", ecdsaQuote, func(t testing.TB, e *verify.Evidence) { e.Quote.Nonce = []byte{} }, verify.QuoteNonce, "reject reject reject"},
		{"digest", ecdsaQuote, func(t testing.TB, e *verify.Evidence) { e.Quote.Attest[len(e.Quote.Attest)-1] ^= 1 }, verify.QuoteSignature, "reject reject reject"},
		{"signature", ecdsaQuote, func(t testing.TB, e *verify.Evidence) { e.Quote.Signature[len(e.Quote.Signature)-1] ^= 1 }, verify.QuoteSignature, "reject reject reject"},
		{"RSA signature", rsaQuote, func(t testing.TB, e *verify.Evidence) { e.Quote.Signature[len(e.Quote.Signature)-1] ^= 1 }, verify.QuoteSignature, "reject reject reject"},
		{"scheme", rsaQuote, func(t testing.TB, e *verify.Evidence) { e.Quote.Signature[1] = 0x16 }, verify.QuoteSignature, "reject reject reject"},
		{"hash", rsaQuote, func(t testing.TB, e *verify.Evidence) { e.Quote.Signature[3] = 0x0c }, verify.QuoteSignature, "reject reject reject"},
		{"weak hash", rsaQuote, func(t testing.TB, e *verify.Evidence) { e.Quote.Signature[3] = 0x04 }, verify.QuoteSignature, "reject reject reject"},
		{"key", ecdsaQuote, func(t testing.TB, e *verify.Evidence) { e.Quote.Key = readQuote(t, "ecdsa-p384-sha384").Key }, verify.QuoteSignature, "reject reject reject"},
		{"kind of key", ecdsaQuote, func(t testing.TB, e *verify.Evidence) { e.Quote.Key = readQuote(t, rsaQuote).Key }, verify.QuoteSignature, "reject reject reject"},
		{"kind of key, RSA scheme", rsaQuote, func(t testing.TB, e *verify.Evidence) { e.Quote.Key = readQuote(t, ecdsaQuote).Key }, verify.QuoteSignature, "reject reject reject"},
		{"old list", ecdsaQuote, func(t testing.TB, e *verify.Evidence) { e.List = firstRecords(t, e.List, 3) }, verify.ReplayMismatch, "reject reject reject"},
		{"not the quoted bank", ecdsaQuote, func(t testing.TB, e *verify.Evidence) {
			// The value quoted, of sha256, does not match; the one of sha1,
			// which anybody can have made, does, and does not count.
			e.List = firstRecords(t, e.List, 3)
			list := firstRecords(t, open(t, readFile(t, "quotes/list.bin")), 3)
			records, err := ima.ReadAll(list)
			require.NoError(t, err)
			e.PCRs[ima.SHA1][10] = extended(t, records...).PCRs[ima.SHA1][10]
		}, verify.ReplayMismatch, "reject reject reject"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := quoted(t, c.quote)
			c.change(t, &e)
			v, err := verify.Verify(e)
			require.NoError(t, err)
			assert.True(t, v.Has(c.code), "%v", codes(v))
			assert.Equal(t, c.outcomes, outcomes(t, v), "%v", codes(v))
		})
	}
}

func firstRecords(t testing.TB, list ima.RecordReader, n int) ima.RecordReader {
	t.Helper()
	records, err := ima.ReadAll(list)
	require.NoError(t, err)
	return ima.Records(records[:n])
}

// The value in a bank that the quote does not cover counts for nothing where
// the quote has one of another bank.
func TestUnquotedBankIsSetAside(t *testing.T) {
	t.Parallel()
	e := quoted(t, "ecdsa-p256-sha256")
	e.PCRs[ima.SHA1][10][0] ^= 1
	v := verdict(t, e)
	assert.Empty(t, codes(v))
	assert.Equal(t, verify.StateMismatch, v.Replays[0].State, "it is shown all the same")
	for _, f := range v.Findings {
		assert.False(t, f.Code == verify.ReplayMatch && f.Bank == ima.SHA1)
	}
}

// signer makes quotes as a TPM does, of what the tests want.
type signer struct{ key *ecdsa.PrivateKey }

func newSigner(t testing.TB) *signer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return &signer{key: key}
}

// quote is of the PCRs given in selection order, all of sha256.
func (s *signer) quote(t testing.TB, pcrs ima.PCRs, selected ...int) *verify.Quote {
	t.Helper()
	h := sha256.New()
	bits := make([]byte, 3)
	for _, pcr := range selected {
		h.Write(pcrs[ima.SHA256][pcr])
		bits[pcr/8] |= 1 << (pcr % 8)
	}
	selection := cat(be32(1), be16(0x000b), []byte{3}, bits)
	if len(selected) == 0 {
		selection = be32(0)
	}
	return s.sign(t, attestOf(0xff544347, 0x8018, selection, h.Sum(nil)))
}

func attestOf(magic uint32, tag uint16, selection, digest []byte) []byte {
	return cat(be32(magic), be16(tag), sized([]byte("signer")), sized(nonce), make([]byte, 8), be32(7), be32(0), []byte{0}, make([]byte, 8), selection, sized(digest))
}

func (s *signer) sign(t testing.TB, attest []byte) *verify.Quote {
	t.Helper()
	digest := sha256.Sum256(attest)
	r, ss, err := ecdsa.Sign(rand.Reader, s.key, digest[:])
	require.NoError(t, err)
	return &verify.Quote{
		Attest: attest, Signature: cat(be16(0x0018), be16(0x000b), sized(r.Bytes()), sized(ss.Bytes())),
		Key: &s.key.PublicKey, Nonce: nonce,
	}
}

func be16(v uint16) []byte  { return binary.BigEndian.AppendUint16(nil, v) }
func be32(v uint32) []byte  { return binary.BigEndian.AppendUint32(nil, v) }
func sized(b []byte) []byte { return cat(be16(uint16(len(b))), b) }
func firstPCRs(n int) (l []int) {
	for i := range n {
		l = append(l, i)
	}
	return l
}

// What a quote does not cover, anybody can have made.
func TestQuoteHasToCoverWhatCounts(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	for _, c := range []struct {
		name   string
		quoted []int
		where  []string
	}{
		{"everything", firstPCRs(11), nil},
		{"no PCR 10", firstPCRs(10), []string{"sha1 PCR 10", "sha256 PCR 10"}},
		{"PCR 10 alone", []int{10}, []string{"sha256 PCR 0-9"}},
		{"no PCR 4", []int{0, 1, 2, 3, 5, 6, 7, 8, 9, 10}, []string{"sha256 PCR 4"}},
		{"nothing", nil, []string{"PCRs"}},
	} {
		m := newMachine(t).start(early, true).exec("/sbin/init")
		e := m.evidence()
		e.Vouched, e.Quote = false, s.quote(t, e.PCRs, c.quoted...)
		v := verdict(t, e)
		require.True(t, v.Quote.Verified, c.name)
		assert.True(t, v.Has(verify.QuoteClockUnsafe))
		var where []string
		for _, f := range v.Findings {
			if f.Code == verify.PCRsUnquoted {
				where = append(where, f.Where())
			}
		}
		assert.Equal(t, c.where, where, c.name)
	}
}

// A TPM signs what it attests to, and a key that is not restricted signs
// anything: both are no quotes.
func TestForeignQuotes(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	for _, c := range []struct {
		name  string
		magic uint32
		tag   uint16
		is    error
	}{
		{"made by no TPM", 0xff544348, 0x8018, verify.ErrNotGenerated},
		{"TPM2_Certify", 0xff544347, 0x8017, verify.ErrNotQuote},
	} {
		e := newMachine(t).start(early, true).evidence()
		e.Quote = s.sign(t, attestOf(c.magic, c.tag, be32(0), nil))
		v, err := verify.Verify(e)
		require.ErrorIs(t, err, c.is, c.name)
		assert.True(t, v.Has(verify.QuoteForeign))
		assert.Equal(t, "reject reject reject", outcomes(t, v), "vouched or not")
	}
}

func TestBrokenQuotes(t *testing.T) {
	t.Parallel()
	right := attestOf(0xff544347, 0x8018, cat(be32(1), be16(0x000b), []byte{3, 0, 4, 0}), make([]byte, 32))
	_, err := verify.ParseAttest(right)
	require.NoError(t, err)
	for n := range right {
		_, err := verify.ParseAttest(right[:n])
		var at *verify.AttestError
		require.ErrorAs(t, err, &at)
		assert.LessOrEqual(t, at.Offset, n)
	}
	for _, c := range []struct {
		attest []byte
		text   string
	}{
		{append(bytes.Clone(right), 0), "byte 100: end: 1 bytes follow"},
		{attestOf(0xff544347, 0x8018, be32(17), nil), "byte 56: pcrSelect: 17 banks, there can be 16"},
		{attestOf(0xff544347, 0x8018, cat(be32(1), be16(11), []byte{5}, make([]byte, 5)), nil), "byte 62: sizeofSelect: 5 bytes, there can be 4"},
		{attestOf(0xff544347, 0x8018, be32(0), make([]byte, 65)), "pcrDigest: 65 bytes, there can be 64"},
		{bytes.Replace(right, cat(be32(7), be32(0), []byte{0}), cat(be32(7), be32(0), []byte{2}), 1), "safe: 2 is neither"},
		{cat(be32(0xff544347), be16(0x8018), be16(67), make([]byte, 200)), "byte 6: qualifiedSigner: 67 bytes, there can be 66"},
	} {
		_, err := verify.ParseAttest(c.attest)
		assert.ErrorContains(t, err, c.text)
	}
	for _, c := range []struct {
		signature []byte
		text      string
	}{
		{nil, "TPMT_SIGNATURE, byte 0: sigAlg: unexpected EOF"},
		{be16(0x0005), "byte 0: sigAlg: scheme 0x0005; taken are RSASSA"},
		{cat(be16(0x0014), be16(0x000b), be16(513), make([]byte, 513)), "sig: 513 bytes, there can be 512"},
		{cat(be16(0x0018), be16(0x000b), be16(67), make([]byte, 67)), "signatureR: 67 bytes, there can be 66"},
		{cat(be16(0x0018), be16(0x000b), be16(0), be16(0), []byte{1}), "end: 1 bytes follow"},
	} {
		_, err := verify.ParseSignature(c.signature)
		var at *verify.AttestError
		require.ErrorAs(t, err, &at)
		assert.ErrorContains(t, err, c.text)
	}
}

func TestBrokenQuoteIsAnErrorAndAFinding(t *testing.T) {
	t.Parallel()
	for _, change := range []func(q *verify.Quote){
		func(q *verify.Quote) { q.Attest = q.Attest[:40] },
		func(q *verify.Quote) { q.Signature = nil },
	} {
		e := quoted(t, "ecdsa-p256-sha256")
		change(e.Quote)
		v, err := verify.Verify(e)
		var input *verify.InputError
		require.ErrorAs(t, err, &input)
		assert.Equal(t, verify.PartQuote, input.Part)
		assert.True(t, v.Has(verify.QuoteUnreadable))
		assert.Equal(t, 5, v.Records, "the list is read all the same")
		assert.Equal(t, "reject reject reject", outcomes(t, v))
	}
}

func TestKeysThatAreNotTaken(t *testing.T) {
	t.Parallel()
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	require.NoError(t, err)
	for _, c := range []struct {
		key  crypto.PublicKey
		text string
	}{
		{nil, "there is none"},
		{&p521.PublicKey, "ECDSA on P-521"},
		{rsa.PublicKey{}, "rsa.PublicKey; taken are"},
	} {
		e := quoted(t, "ecdsa-p256-sha256")
		e.Quote.Key = c.key
		v, err := verify.Verify(e)
		assert.Nil(t, v)
		var key *verify.KeyError
		require.ErrorAs(t, err, &key)
		assert.ErrorContains(t, err, c.text)
	}
}
