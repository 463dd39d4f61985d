package emulator_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/crypt"
	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

func init() { packetLists = append(packetLists, signPackets) }

// noTicket is the NULL ticket of a digest that the TPM has not computed.
var noTicket = ticketOf(wire.Ticket{Tag: wire.STHashCheck, Hierarchy: wire.RHNull})

func ticketOf(k wire.Ticket) []byte {
	var w wire.Writer
	w.Ticket(&k)
	return w.Data()
}

// schemeOf is a TPMT_SIG_SCHEME.
func schemeOf(s wire.Scheme) []byte {
	var w wire.Writer
	w.Scheme(&s)
	return w.Data()
}

// signatureOf is a TPMT_SIGNATURE.
func signatureOf(s wire.Signature) []byte {
	var w wire.Writer
	w.Signature(&s)
	return w.Data()
}

// sign is TPM2_Sign of a digest, with key and without a ticket.
func sign(digest []byte, s wire.Scheme) []byte { return signWith(key, digest, s, noTicket) }

func signWith(k wire.Handle, digest []byte, s wire.Scheme, ticket []byte) []byte {
	return et.Command(wire.CCSign, handles{k}, et.NoAuth(), et.Sized(digest), schemeOf(s), ticket)
}

// verify is TPM2_VerifySignature with key.
func verify(digest []byte, s wire.Signature) []byte {
	return et.Command(wire.CCVerifySignature, handles{key}, nil, et.Sized(digest), signatureOf(s))
}

// digest256 is the SHA-256 digest that tests sign.
var digest256 = hashOf(wire.AlgSHA256, []byte("message"))

// hmacSignature is the signature of a digest by the HMAC key.
func hmacSignature(alg wire.AlgID, digest []byte) wire.Signature {
	return wire.Signature{Alg: wire.AlgHMAC, Hash: alg, HMAC: crypt.HMAC(alg, hmacKey().sensitive.Data, digest)}
}

// macKey is an HMAC key. Without scheme it must be for both uses.
func macKey(s wire.Scheme) testKey {
	if s.Alg == wire.AlgNull {
		return keyedHash(userKey|bothUses, s, hmacKey().sensitive.Data)
	}
	return keyedHash(signKey, s, hmacKey().sensitive.Data)
}

func signPackets() []packet {
	return []packet{
		{name: "Sign", code: wire.CCSign, bytes: sign(digest256, ecdsa256), before: [][]byte{loadExternal(eccSigning())}},
		{name: "VerifySignature", code: wire.CCVerifySignature, bytes: verify(digest256, hmacSignature(wire.AlgSHA256, digest256)), before: [][]byte{loadExternal(hmacKey())}},
	}
}

// signature takes a TPMT_SIGNATURE from a response.
func signature(t *testing.T, r *wire.Reader) *wire.Signature {
	t.Helper()
	var s wire.Signature
	r.Signature(&s, true)
	require.Equal(t, wire.RCSuccess, r.RC())
	return &s
}

// Every scheme with every hash, whether key, command or both name it, gives a
// signature that the standard library verifies and the TPM takes for one.
func TestSign(t *testing.T) {
	t.Parallel()
	kinds := []struct {
		algs []wire.AlgID
		key  func(wire.Scheme) testKey
	}{
		{[]wire.AlgID{wire.AlgRSASSA, wire.AlgRSAPSS}, func(s wire.Scheme) testKey { return rsaKey(signKey, noSym, s) }},
		{[]wire.AlgID{wire.AlgECDSA, wire.AlgECSchnorr}, func(s wire.Scheme) testKey { return eccKey(signKey, noSym, s) }},
		{[]wire.AlgID{wire.AlgHMAC}, macKey},
	}
	for _, kind := range kinds {
		for _, alg := range kind.algs {
			for hash := range stdHash {
				s := hashScheme(alg, hash)
				digest := hashOf(hash, []byte("message"))
				for _, own := range []wire.Scheme{s, noScheme} {
					for _, asked := range []wire.Scheme{s, noScheme} {
						if own.Alg == asked.Alg && own.Alg == wire.AlgNull {
							continue
						}
						k := kind.key(own)
						what := fmt.Sprintf("%v with %v: key %v, command %v", alg, hash, own.Alg, asked.Alg)
						tpm := with(t, loadExternal(k))
						r := answer(t, tpm, sign(digest, asked))
						got := signature(t, &r)
						assert.Zero(t, r.Len(), what)
						assert.Equal(t, s, hashScheme(got.Alg, got.Hash), what)
						assert.True(t, signed(k, digest, got), what)
						assert.Equal(t, wire.RCSuccess, send(t, tpm, verify(digest, *got)), what)
					}
				}
			}
		}
	}
}

// go-tpm gets a signature that the standard library verifies.
func TestSignWithClient(t *testing.T) {
	t.Parallel()
	tpm := with(t, loadExternal(rsaSigning()))
	digest := hashOf(wire.AlgSHA512, []byte("message"))
	rsp, err := tpm2.Sign{
		KeyHandle:  tpm2.NamedHandle{Handle: tpm2.TPMHandle(key), Name: tpm2.TPM2BName{Buffer: rsaSigning().name()}},
		Digest:     tpm2.TPM2BDigest{Buffer: digest},
		InScheme:   tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgRSASSA, Details: tpm2.NewTPMUSigScheme(tpm2.TPMAlgRSASSA, &tpm2.TPMSSchemeHash{HashAlg: tpm2.TPMAlgSHA512})},
		Validation: tpm2.TPMTTKHashCheck{Tag: tpm2.TPMSTHashCheck, Hierarchy: tpm2.TPMRHNull},
	}.Execute(tpm.Client())
	require.NoError(t, err)
	s, err := rsp.Signature.Signature.RSASSA()
	require.NoError(t, err)
	assert.NoError(t, rsa.VerifyPKCS1v15(rsaSigning().rsaPublic(), crypto.SHA512, digest, s.Sig.Buffer))
}

// The signature of the same TPM is the same, that of another is not, where the
// scheme has random numbers.
func TestSignaturesAreDeterministic(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]wire.Scheme{"ECDSA": ecdsa256, "ECSchnorr": hashScheme(wire.AlgECSchnorr, wire.AlgSHA256)} {
		made := func(seed uint64) string {
			tpm := et.New(t, et.WithSeed(seed))
			succeed(t, tpm, loadExternal(eccSigning()))
			return string(tpm.Execute(0, sign(digest256, s)))
		}
		assert.Equal(t, made(1), made(1), name)
		assert.NotEqual(t, made(1), made(2), name)
	}
}

func TestSignRefuses(t *testing.T) {
	t.Parallel()
	const digest, scheme, ticket = 1, 2, 3
	sha1 := hashScheme(wire.AlgECDSA, wire.AlgSHA1)
	ecdsa := loadExternal(eccKey(signKey, noSym, ecdsa256))
	x509 := loadExternal(eccKey(signKey|wire.ObjectX509Sign, noSym, ecdsa256))
	madeUp := ticketOf(wire.Ticket{Tag: wire.STHashCheck, Hierarchy: wire.RHOwner, Digest: make([]byte, 64)})
	refuse(t, map[string]refusal{
		"sequence":              {nil, sign(digest256, ecdsa256), wire.RCKey.Handle(1)},
		"decrypts":              {loadExternal(eccECDH()), sign(digest256, ecdsa256), wire.RCKey.Handle(1)},
		"symmetric key":         {loadExternal(aesKey(wire.AlgCFB)), sign(digest256, hmac256), wire.RCKey.Handle(1)},
		"sealed data":           {loadExternal(sealed("data")), sign(digest256, hmac256), wire.RCKey.Handle(1)},
		"public only":           {loadExternalPublic(eccSigning(), wire.RHNull), sign(digest256, ecdsa256), wire.RCAuthUnavailable.Session(1)},
		"for certificates only": {x509, sign(digest256, ecdsa256), wire.RCAttributes.Handle(1)},
		"not to be decoded":     {ecdsa, et.Command(wire.CCSign, handles{key}, et.NoAuth(), et.Sized(digest256), et.U16(uint16(wire.AlgOAEP)), noTicket), wire.RCScheme.Parameter(scheme)},
		"hash of the scheme":    {ecdsa, sign(digest256, hashScheme(wire.AlgECDSA, wire.AlgAES)), wire.RCHash.Parameter(scheme)},
		"no scheme":             {loadExternal(eccSigning()), sign(digest256, noScheme), wire.RCScheme.Parameter(scheme)},
		"another hash":          {ecdsa, sign(digest256, sha1), wire.RCScheme.Parameter(scheme)},
		"another scheme":        {ecdsa, sign(digest256, hashScheme(wire.AlgECSchnorr, wire.AlgSHA256)), wire.RCScheme.Parameter(scheme)},
		"RSA scheme":            {loadExternal(eccSigning()), sign(digest256, ssa256), wire.RCScheme.Parameter(scheme)},
		"ECC scheme":            {loadExternal(rsaSigning()), sign(digest256, ecdsa256), wire.RCScheme.Parameter(scheme)},
		"HMAC with ECC":         {loadExternal(eccSigning()), sign(digest256, hmac256), wire.RCScheme.Parameter(scheme)},
		"ECDSA with HMAC key":   {loadExternal(hmacKey()), sign(digest256, ecdsa256), wire.RCScheme.Parameter(scheme)},
		"ECDAA without number":  {loadExternal(eccKey(signKey, noSym, ecdaa256)), sign(digest256, noScheme), wire.RCScheme.Parameter(scheme)},
		"digest size":           {ecdsa, sign(digest256[:20], ecdsa256), wire.RCSize.Parameter(digest)},
		"empty digest":          {ecdsa, sign(nil, ecdsa256), wire.RCSize.Parameter(digest)},
		"digest size, HMAC":     {loadExternal(hmacKey()), sign(digest256[:31], noScheme), wire.RCSize.Parameter(digest)},
		"digest too long":       {ecdsa, sign(make([]byte, 65), ecdsa256), wire.RCSize.Parameter(digest)},
		"ticket":                {ecdsa, signWith(key, digest256, ecdsa256, madeUp), wire.RCTicket.Parameter(ticket)},
		"ticket, digest size":   {ecdsa, signWith(key, digest256[:20], ecdsa256, madeUp), wire.RCTicket.Parameter(ticket)},
		"ticket of another tag": {ecdsa, signWith(key, digest256, ecdsa256, ticketOf(wire.Ticket{Tag: wire.STVerified, Hierarchy: wire.RHNull})), wire.RCTag.Parameter(ticket)},
		"ticket of no one":      {ecdsa, signWith(key, digest256, ecdsa256, ticketOf(wire.Ticket{Tag: wire.STHashCheck, Hierarchy: wire.RHLockout})), wire.RCValue.Parameter(ticket)},
		"no key":                {ecdsa, signWith(wire.RHNull, digest256, ecdsa256, noTicket), wire.RCValue.Handle(1)},
		"not committed":         {loadExternal(eccKey(signKey, noSym, ecdaa256)), sign(digest256, ecdaa256), wire.RCValue},
	})
}

// hashTicket is TPM2_Hash of a message, which gives a ticket.
func hashTicket(t *testing.T, tpm *et.TPM, message string, hierarchy wire.Handle) (digest, ticket []byte) {
	t.Helper()
	r := answer(t, tpm, et.Command(wire.CCHash, nil, nil, et.Sized([]byte(message)), et.U16(uint16(wire.AlgSHA256)), et.U32(uint32(hierarchy))))
	return r.Digest(), r.Rest()
}

// A restricted key signs what the TPM has hashed, and not what could pass for an
// attestation (Part 3, section "TPM2_Sign").
func TestRestrictedSign(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	for name, k := range map[string]testKey{
		"RSA": rsaKey(attestKey, noSym, ssa256), "ECC": eccKey(attestKey, noSym, ecdsa256), "HMAC": keyedHash(attestKey, hmac256, []byte("secret")),
	} {
		h := place(t, tpm, k, wire.RHOwner)
		try := func(digest, ticket []byte) wire.RC { return send(t, tpm, signWith(h, digest, noScheme, ticket)) }
		refused := wire.RCTicket.Parameter(3)
		digest, ticket := hashTicket(t, tpm, "message", wire.RHOwner)
		r := answer(t, tpm, signWith(h, digest, noScheme, ticket))
		assert.True(t, signed(k, digest, signature(t, &r)), name)
		assert.Equal(t, refused, try(digest, noTicket), name)
		assert.Equal(t, refused, try(hashOf(wire.AlgSHA256, []byte("another")), ticket), name)
		assert.Equal(t, refused, try(digest[:31], ticket), name)
		assert.Equal(t, wire.RCScheme.Parameter(2), send(t, tpm, signWith(h, digest, hashScheme(k.public.Parms.Scheme.Alg, wire.AlgSHA512), ticket)), name)

		platform, ticketP := hashTicket(t, tpm, "message", wire.RHPlatform)
		assert.Equal(t, wire.RCSuccess, try(platform, ticketP), "%s: the ticket of any hierarchy holds", name)
		assert.Equal(t, refused, try(platform, append(bytes.Clone(ticket[:6]), ticketP[6:]...)), "%s: but only of its own", name)

		digest, ticket = hashTicket(t, tpm, "\xffTCG and what an attestation says", wire.RHOwner)
		assert.Equal(t, noTicket, ticket)
		assert.Equal(t, refused, try(digest, ticket), name)
		_, ticket = hashTicket(t, tpm, "message", wire.RHNull)
		assert.Equal(t, noTicket, ticket)
		succeed(t, tpm, et.Command(wire.CCFlushContext, nil, nil, et.U32(uint32(h))))
	}
}

// Whoever brings a ticket wants it to be looked at, whatever the key.
func TestSignWithTicket(t *testing.T) {
	t.Parallel()
	tpm := with(t, loadExternal(eccSigning()))
	digest, ticket := hashTicket(t, tpm, "message", wire.RHOwner)
	assert.Equal(t, wire.RCSuccess, send(t, tpm, signWith(key, digest, ecdsa256, ticket)))
	assert.Equal(t, wire.RCTicket.Parameter(3), send(t, tpm, signWith(key, digest, hashScheme(wire.AlgECDSA, wire.AlgSHA1), ticket)), "the hash is another")
	succeed(t, tpm, et.Command(wire.CCClear, handles{wire.RHLockout}, et.NoAuth()))
	assert.Equal(t, wire.RCTicket.Parameter(3), send(t, tpm, signWith(key, digest, ecdsa256, ticket)), "the owner is another")
}

// commit is TPM2_Commit without points, which gives [r]G and the number of r.
func commit(t *testing.T, tpm *et.TPM, k wire.Handle) (e wire.ECPoint, count uint16) {
	t.Helper()
	none := []byte{0, 4, 0, 0, 0, 0}
	r := answer(t, tpm, et.Command(wire.CCCommit, handles{k}, et.NoAuth(), none, et.Sized(nil), et.Sized(nil)))
	var empty wire.ECPoint
	r.SizedPoint(&empty)
	r.SizedPoint(&empty)
	r.SizedPoint(&e)
	return e, r.U16()
}

// ecdaaWith is ECDAA with SHA-256 and the commitment of a number.
func ecdaaWith(count uint16) wire.Scheme {
	s := ecdaa256
	s.Count = count
	return s
}

// An ECDAA signature is one over what TPM2_Commit has committed to, once, on the
// curves for it and on others.
func TestECDAA(t *testing.T) {
	t.Parallel()
	k := eccKey(signKey, noSym, ecdaa256)
	for name, tc := range map[string]struct {
		key   testKey
		curve plane
	}{"P-256": {k, p256}, "BN P-256": {k.onBN256(), bn256}} {
		tpm := with(t, loadExternal(tc.key))
		first, one := commit(t, tpm, key)
		second, two := commit(t, tpm, key)
		require.Equal(t, one+1, two)
		for count, e := range map[uint16]wire.ECPoint{two: second, one: first} {
			r := answer(t, tpm, sign(digest256, ecdaaWith(count)))
			s := signature(t, &r)
			assert.Equal(t, e, tc.curve.commitment(tc.key.public.Point, s, digest256), name)
			assert.Equal(t, wire.RCValue, send(t, tpm, sign(digest256, ecdaaWith(count))), "%s: used up", name)
			assert.Equal(t, wire.RCScheme.Parameter(2), send(t, tpm, verify(digest256, *s)), "%s: the verifier needs more than the key", name)
		}
		assert.Equal(t, wire.RCValue, send(t, tpm, sign(digest256, ecdaaWith(two+1))), "%s: not committed to", name)
	}
}

// A commitment is used up for good: after TPM2_Shutdown(STATE) has saved it, the
// signature withdraws that shutdown, for which NV is needed.
func TestECDAAAfterShutdown(t *testing.T) {
	t.Parallel()
	tpm := with(t, loadExternal(eccKey(signKey, noSym, ecdaa256)))
	_, count := commit(t, tpm, key)
	require.Equal(t, wire.RCSuccess, tpm.Shutdown(wire.SUState))
	tpm.Store.SetWritable(state.ErrUnavailable)
	assert.Equal(t, wire.RCNVUnavailable, send(t, tpm, sign(digest256, ecdaaWith(count))))
	tpm.Store.SetWritable(nil)
	assert.Equal(t, wire.RCSuccess, send(t, tpm, sign(digest256, ecdaaWith(count))))
	assert.Equal(t, wire.RCValue.Parameter(1), tpm.Restart(wire.SUState), "there was no shutdown any more")
}

// A signature made elsewhere is verified with the public part alone, and the
// ticket says so in the name of the key's hierarchy.
func TestVerifySignature(t *testing.T) {
	t.Parallel()
	fixed, err := rsa.SignPKCS1v15(nil, rsaPrivate(), crypto.SHA256, digest256)
	require.NoError(t, err)
	s := wire.Signature{Alg: wire.AlgRSASSA, Hash: wire.AlgSHA256, RSA: fixed}
	for _, hierarchy := range []wire.Handle{wire.RHOwner, wire.RHEndorsement, wire.RHPlatform} {
		tpm := with(t, loadExternalPublic(rsaSigning(), hierarchy))
		r := answer(t, tpm, verify(digest256, s))
		p := snapshotOf(t, tpm).Persistent
		proof := map[wire.Handle]state.TPM2B{wire.RHOwner: p.SHProof, wire.RHEndorsement: p.EHProof, wire.RHPlatform: p.PHProof}[hierarchy]
		want := crypt.HMAC(wire.AlgSHA512, proof.Bytes(), append([]byte{0x80, 0x22}, append(bytes.Clone(digest256), rsaSigning().name()...)...))
		assert.Equal(t, ticketOf(wire.Ticket{Tag: wire.STVerified, Hierarchy: hierarchy, Digest: want}), r.Rest())
	}
	null := ticketOf(wire.Ticket{Tag: wire.STVerified, Hierarchy: wire.RHNull})
	nameless := change(rsaSigning(), func(k *testKey) { k.public.NameAlg = wire.AlgNull })
	for name, load := range map[string][]byte{
		"null hierarchy": loadExternal(rsaSigning()), "both areas": loadExternalPublic(rsaSigning(), wire.RHNull), "no Name": loadExternal(nameless),
		"restricted": loadExternalPublic(rsaKey(attestKey, noSym, ssa256), wire.RHNull),
		// What the key would sign with is no matter of the verifier's (Part 3, section
		// "TPM2_VerifySignature").
		"other scheme": loadExternalPublic(rsaKey(signKey, noSym, hashScheme(wire.AlgRSAPSS, wire.AlgSHA512)), wire.RHNull),
	} {
		r := answer(t, with(t, load), verify(digest256, s))
		assert.Equal(t, null, r.Rest(), name)
	}
}

// PSS salts of other sizes than the TPM's own are taken, up to the longest there
// is room for.
func TestVerifyAnyPSSSalt(t *testing.T) {
	t.Parallel()
	tpm := with(t, loadExternalPublic(rsaSigning(), wire.RHNull))
	for _, salt := range []int{20, rsa.PSSSaltLengthEqualsHash, rsa.PSSSaltLengthAuto} {
		b, err := rsa.SignPSS(rand.Reader, rsaPrivate(), crypto.SHA256, digest256, &rsa.PSSOptions{SaltLength: salt})
		require.NoError(t, err)
		s := wire.Signature{Alg: wire.AlgRSAPSS, Hash: wire.AlgSHA256, RSA: b}
		assert.Equal(t, wire.RCSuccess, send(t, tpm, verify(digest256, s)), salt)
		b[3] ^= 1
		assert.Equal(t, wire.RCSignature.Parameter(2), send(t, tpm, verify(digest256, s)), salt)
	}
}

// The salt is as long as the digest, or as there is room for (Part 1, annex
// "RSAPSS").
func TestPSSSaltThatFits(t *testing.T) {
	t.Parallel()
	var gen crypt.DRBGState
	gen.Instantiate(&[crypt.DRBGSeedSize]byte{2})
	private, err := crypt.GenerateRSA(&gen, 1024, crypt.RSAOptions{})
	require.NoError(t, err)
	k := rsaSigning()
	k.public.Parms.KeyBits, k.public.Unique, k.sensitive.Data = 1024, private.Modulus(), private.Prime()
	tpm := with(t, loadExternal(k))
	for alg, salt := range map[wire.AlgID]int{wire.AlgSHA1: 20, wire.AlgSHA384: 48, wire.AlgSHA512: 1024/8 - 64 - 2} {
		digest := hashOf(alg, nil)
		r := answer(t, tpm, sign(digest, hashScheme(wire.AlgRSAPSS, alg)))
		s := signature(t, &r)
		assert.Len(t, s.RSA, 1024/8, alg)
		assert.NoError(t, rsa.VerifyPSS(k.rsaPublic(), stdHash[alg], digest, s.RSA, &rsa.PSSOptions{SaltLength: salt}), alg)
		assert.Equal(t, wire.RCSuccess, send(t, tpm, verify(digest, *s)), alg)
	}
}

func TestVerifySignatureRefuses(t *testing.T) {
	t.Parallel()
	const signature = 2
	fixed, err := rsa.SignPKCS1v15(nil, rsaPrivate(), crypto.SHA256, digest256)
	require.NoError(t, err)
	ssa := func(change func([]byte) []byte) wire.Signature {
		return wire.Signature{Alg: wire.AlgRSASSA, Hash: wire.AlgSHA256, RSA: change(bytes.Clone(fixed))}
	}
	same := func(b []byte) []byte { return b }
	ecc := func(alg wire.AlgID, r, s []byte) wire.Signature {
		return wire.Signature{Alg: alg, Hash: wire.AlgSHA256, R: r, S: s}
	}
	one, n := []byte{1}, p256.n.Bytes()
	mac := hmacSignature(wire.AlgSHA256, digest256)
	rsaPublic, eccPublic, hmacBoth := loadExternalPublic(rsaSigning(), wire.RHOwner), loadExternalPublic(eccSigning(), wire.RHOwner), loadExternal(hmacKey())
	list := map[string]refusal{
		"sequence":          {nil, verify(digest256, mac), wire.RCAttributes.Handle(1)},
		"decrypts":          {loadExternalPublic(eccECDH(), wire.RHNull), verify(digest256, ecc(wire.AlgECDSA, one, one)), wire.RCAttributes.Handle(1)},
		"another digest":    {rsaPublic, verify(hashOf(wire.AlgSHA256, nil), ssa(same)), wire.RCSignature.Parameter(signature)},
		"digest size":       {rsaPublic, verify(digest256[:20], ssa(same)), wire.RCSignature.Parameter(signature)},
		"short":             {rsaPublic, verify(digest256, ssa(func(b []byte) []byte { return b[1:] })), wire.RCSignature.Parameter(signature)},
		"empty":             {rsaPublic, verify(digest256, ssa(func([]byte) []byte { return nil })), wire.RCSignature.Parameter(signature)},
		"flipped":           {rsaPublic, verify(digest256, ssa(func(b []byte) []byte { b[9] ^= 4; return b })), wire.RCSignature.Parameter(signature)},
		"modulus":           {rsaPublic, verify(digest256, ssa(func([]byte) []byte { return rsaKey2048().Modulus() })), wire.RCSignature.Parameter(signature)},
		"PSS":               {rsaPublic, verify(digest256, wire.Signature{Alg: wire.AlgRSAPSS, Hash: wire.AlgSHA256, RSA: fixed}), wire.RCSignature.Parameter(signature)},
		"hash":              {rsaPublic, verify(digest256, wire.Signature{Alg: wire.AlgRSASSA, Hash: wire.AlgSHA1, RSA: fixed}), wire.RCSignature.Parameter(signature)},
		"too long":          {rsaPublic, verify(digest256, ssa(func([]byte) []byte { return make([]byte, wire.MaxRSAKey+1) })), wire.RCSize.Parameter(signature)},
		"ECDSA with RSA":    {rsaPublic, verify(digest256, ecc(wire.AlgECDSA, one, one)), wire.RCScheme.Parameter(signature)},
		"RSASSA with ECC":   {eccPublic, verify(digest256, ssa(same)), wire.RCScheme.Parameter(signature)},
		"ECDAA":             {eccPublic, verify(digest256, ecc(wire.AlgECDAA, one, one)), wire.RCScheme.Parameter(signature)},
		"ECDSA 1, 1":        {eccPublic, verify(digest256, ecc(wire.AlgECDSA, one, one)), wire.RCSignature.Parameter(signature)},
		"ECDSA 0, 1":        {eccPublic, verify(digest256, ecc(wire.AlgECDSA, nil, one)), wire.RCSignature.Parameter(signature)},
		"ECDSA 1, 0":        {eccPublic, verify(digest256, ecc(wire.AlgECDSA, one, []byte{0})), wire.RCSignature.Parameter(signature)},
		"ECDSA n, 1":        {eccPublic, verify(digest256, ecc(wire.AlgECDSA, n, one)), wire.RCSignature.Parameter(signature)},
		"ECDSA 1, n":        {eccPublic, verify(digest256, ecc(wire.AlgECDSA, one, n)), wire.RCSignature.Parameter(signature)},
		"Schnorr 1, 1":      {eccPublic, verify(digest256, ecc(wire.AlgECSchnorr, one, one)), wire.RCSignature.Parameter(signature)},
		"number too long":   {eccPublic, verify(digest256, ecc(wire.AlgECDSA, one, make([]byte, wire.MaxECCKey+1))), wire.RCSize.Parameter(signature)},
		"HMAC, public only": {loadExternalPublic(hmacKey(), wire.RHNull), verify(digest256, mac), wire.RCHandle.Parameter(signature)},
		"HMAC with RSA":     {rsaPublic, verify(digest256, mac), wire.RCScheme.Parameter(signature)},
		"ECDSA with HMAC":   {hmacBoth, verify(digest256, ecc(wire.AlgECDSA, one, one)), wire.RCScheme.Parameter(signature)},
		"HMAC of others":    {hmacBoth, verify(digest256, hmacSignature(wire.AlgSHA256, digest256[1:])), wire.RCSignature.Parameter(signature)},
		"HMAC hash":         {hmacBoth, verify(digest256, hmacSignature(wire.AlgSHA1, digest256)), wire.RCSignature.Parameter(signature)},
		"block cipher":      {loadExternal(aesKey(wire.AlgCFB)), verify(digest256, mac), wire.RCScheme.Parameter(signature)},
		"no signature":      {rsaPublic, verify(digest256, wire.Signature{Alg: wire.AlgNull}), wire.RCScheme.Parameter(signature)},
		"another scheme":    {rsaPublic, et.Command(wire.CCVerifySignature, handles{key}, nil, et.Sized(digest256), et.U16(uint16(wire.AlgOAEP))), wire.RCScheme.Parameter(signature)},
		"digest too long":   {rsaPublic, verify(make([]byte, 65), mac), wire.RCSize.Parameter(1)},
	}
	refuse(t, list)
	free := loadExternal(macKey(noScheme))
	assert.Equal(t, wire.RCSuccess, send(t, with(t, free), verify(digest256, hmacSignature(wire.AlgSHA1, digest256))), "an HMAC key without scheme takes any hash")
}

// A digest is bounded by the largest hash there is.
func TestSignatureSizesOfASmallTPM(t *testing.T) {
	t.Parallel()
	algs := []wire.AlgID{wire.AlgECC, wire.AlgECDSA, wire.AlgECDH, wire.AlgKDF1_SP800_56A, wire.AlgKDF1_SP800_108, wire.AlgHMAC,
		wire.AlgKeyedHash, wire.AlgAES, wire.AlgCFB, wire.AlgSHA1, wire.AlgSHA256}
	tpm := et.New(t, et.WithConfig(emulator.Config{Algorithms: algs, Curves: []wire.Curve{wire.CurveNISTP256}, Banks: []emulator.Bank{{Alg: wire.AlgSHA256}}}))
	succeed(t, tpm, loadExternal(eccSigning()))
	assert.Equal(t, wire.RCSuccess, send(t, tpm, sign(digest256, ecdsa256)))
	assert.Equal(t, wire.RCSize.Parameter(1), send(t, tpm, sign(make([]byte, 33), ecdsa256)))
	assert.Equal(t, wire.RCScheme.Parameter(2), send(t, tpm, sign(digest256, hashScheme(wire.AlgECSchnorr, wire.AlgSHA256))), "a scheme it does not have")
}
