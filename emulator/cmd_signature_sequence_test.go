package emulator_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/mlkem"
	"crypto/rsa"
	"errors"
	"slices"
	"testing"

	"filippo.io/mldsa"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/crypt"
	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

func init() { packetLists = append(packetLists, version185Packets) }

// version185Packets are those of the commands of version 185.
func version185Packets() []packet {
	digest := hashOf(wire.AlgSHA256, []byte("message"))
	s := wire.Signature{Alg: wire.AlgRSASSA, Hash: wire.AlgSHA256, RSA: signedRSA(digest)}
	ciphertext := make([]byte, wire.MLKEM768.CiphertextSize())
	key := planting(rsaKey(signKey, noSym, ssa256))
	kem := planting(mlkemKey(wire.MLKEM768, openKey))
	const sequence = object + 1
	ed, hashed, dh := planting(eddsaKey(signKey)), planting(hashEdDSAKey(signKey)), planting(dhkemKey(x25519Key(), wire.AlgSHA256))
	signed := ed25519.Sign(ed25519.NewKeyFromSeed(private25519), []byte("message"))
	edSignature := wire.Signature{Alg: wire.AlgEdDSA, Bytes: signed}
	verifyEd := verifySequenceStart(object, pw, signed[:32], nil)
	ed448, hashed448, dh448 := planting(curve448.eddsaKey(signKey)), planting(curve448.hashEdDSAKey(signKey)), planting(dhkemKey(curve448.exchangeKey(), wire.AlgSHA512))
	signature448 := curve448.signature(wire.AlgEdDSA, []byte("message"))
	verify448 := verifySequenceStart(object, pw, signature448.Bytes[:57], nil)
	hashed448Signature := curve448.signature(wire.AlgHashEdDSA, []byte("message"))
	digest448 := crypt.Digest(wire.AlgSHAKE256_512, nil, []byte("message"))
	return []packet{
		{name: "SignSequenceStartEdDSA", code: wire.CCSignSequenceStart, newer: true, state: ed, bytes: signSequenceStart(object, pw, nil)},
		{name: "VerifySequenceStartEdDSA", code: wire.CCVerifySequenceStart, newer: true, state: ed, bytes: verifyEd},
		{name: "SignSequenceCompleteEdDSA", code: wire.CCSignSequenceComplete, newer: true, bytes: signSequenceComplete(sequence, object, pw, []byte("message")),
			state: planted(ed, signSequenceStart(object, pw, nil))},
		{name: "VerifySequenceCompleteEdDSA", code: wire.CCVerifySequenceComplete, newer: true, bytes: verifySequenceComplete(sequence, object, pw, &edSignature),
			state: planted(ed, verifyEd, sequenceUpdate(sequence, pw, []byte("message")))},
		{name: "SignDigestHashEdDSA", code: wire.CCSignDigest, newer: true, state: hashed, bytes: signDigest(object, nil, hashOf(wire.AlgSHA512, []byte("message")), noTicket)},
		{name: "EncapsulateDHKEM", code: wire.CCEncapsulate, newer: true, state: dh, bytes: et.Command(wire.CCEncapsulate, handles{object}, nil)},
		{name: "DecapsulateDHKEM", code: wire.CCDecapsulate, newer: true, state: dh, bytes: et.Command(wire.CCDecapsulate, handles{object}, et.NoAuth(), et.Sized(x25519Base()))},
		{name: "SignSequenceCompleteEd448", code: wire.CCSignSequenceComplete, newer: true, bytes: signSequenceComplete(sequence, object, pw, []byte("message")),
			state: planted(ed448, signSequenceStart(object, pw, nil))},
		{name: "VerifySequenceStartEd448", code: wire.CCVerifySequenceStart, newer: true, state: ed448, bytes: verify448},
		{name: "VerifySequenceCompleteEd448", code: wire.CCVerifySequenceComplete, newer: true, bytes: verifySequenceComplete(sequence, object, pw, &signature448),
			state: planted(ed448, verify448, sequenceUpdate(sequence, pw, []byte("message")))},
		{name: "SignDigestEd448ph", code: wire.CCSignDigest, newer: true, state: hashed448, bytes: signDigest(object, nil, digest448, noTicket)},
		{name: "VerifyDigestSignatureEd448ph", code: wire.CCVerifyDigestSignature, newer: true, state: hashed448, bytes: verifyDigest(object, nil, digest448, &hashed448Signature)},
		{name: "EncapsulateX448", code: wire.CCEncapsulate, newer: true, state: dh448, bytes: et.Command(wire.CCEncapsulate, handles{object}, nil)},
		{name: "DecapsulateX448", code: wire.CCDecapsulate, newer: true, state: dh448, bytes: et.Command(wire.CCDecapsulate, handles{object}, et.NoAuth(), et.Sized(append([]byte{5}, make([]byte, 55)...)))},
		{name: "SignSequenceStart", code: wire.CCSignSequenceStart, newer: true, state: key, bytes: signSequenceStart(object, pw, nil)},
		{name: "VerifySequenceStart", code: wire.CCVerifySequenceStart, newer: true, state: key, bytes: verifySequenceStart(object, pw, nil, nil)},
		{name: "SignSequenceComplete", code: wire.CCSignSequenceComplete, newer: true, bytes: signSequenceComplete(sequence, object, pw, []byte("message")),
			state: planted(key, signSequenceStart(object, pw, nil))},
		{name: "VerifySequenceComplete", code: wire.CCVerifySequenceComplete, newer: true, bytes: verifySequenceComplete(sequence, object, pw, &s),
			state: planted(key, verifySequenceStart(object, pw, nil, nil), sequenceUpdate(sequence, pw, []byte("message")))},
		{name: "SignDigest", code: wire.CCSignDigest, newer: true, state: key, bytes: signDigest(object, nil, digest, noTicket)},
		{name: "VerifyDigestSignature", code: wire.CCVerifyDigestSignature, newer: true, state: key, bytes: verifyDigest(object, nil, digest, &s)},
		{name: "Encapsulate", code: wire.CCEncapsulate, newer: true, state: kem, bytes: et.Command(wire.CCEncapsulate, handles{object}, nil)},
		{name: "Decapsulate", code: wire.CCDecapsulate, newer: true, state: kem, bytes: et.Command(wire.CCDecapsulate, handles{object}, et.NoAuth(), et.Sized(ciphertext))},
	}
}

// x25519Base is the base point of X25519, a ciphertext of DHKEM.
func x25519Base() []byte { return append([]byte{9}, make([]byte, 31)...) }

// planted changes a state as a TPM of version 185 does that has had keys planted and then
// has executed commands.
func planted(plant func(*state.State), commands ...[]byte) func(*state.State) {
	return func(s *state.State) {
		plant(s)
		p, err := emulator.ProfileByName("v185")
		if err != nil {
			panic(err)
		}
		tpm, err := emulator.New(emulator.Platform{Clock: &et.Clock{}, Entropy: et.NewEntropy(1)}, p.Config)
		if err == nil {
			err = tpm.Restore(s.EncodeSnapshot(nil))
		}
		for _, c := range commands {
			if err == nil {
				_, err = tpm.Send(context.Background(), 0, c)
			}
		}
		after, err2 := tpm.Snapshot()
		decoded, err3 := state.Decode(after)
		if err := errors.Join(err, err2, err3); err != nil {
			panic(err)
		}
		s.Volatile.Objects = decoded.Volatile.Objects
	}
}

// signedRSA is an RSASSA signature of a SHA-256 digest with the RSA key of the tests.
func signedRSA(digest []byte) []byte {
	s, err := rsa.SignPKCS1v15(nil, rsaPrivate(), crypto.SHA256, digest)
	if err != nil {
		panic(err)
	}
	return s
}

// The commands of version 185 as bytes.

func signSequenceStart(key wire.Handle, auth, context []byte) []byte {
	return et.Command(wire.CCSignSequenceStart, handles{key}, nil, et.Sized(auth), et.Sized(context))
}

func verifySequenceStart(key wire.Handle, auth, hint, context []byte) []byte {
	return et.Command(wire.CCVerifySequenceStart, handles{key}, nil, et.Sized(auth), et.Sized(hint), et.Sized(context))
}

func signSequenceComplete(sequence, key wire.Handle, auth, last []byte) []byte {
	return et.Command(wire.CCSignSequenceComplete, handles{sequence, key}, [][]byte{auth, nil}, et.Sized(last))
}

func verifySequenceComplete(sequence, key wire.Handle, auth []byte, s *wire.Signature) []byte {
	return et.Command(wire.CCVerifySequenceComplete, handles{sequence, key}, [][]byte{auth}, signatureOf(*s))
}

func signDigest(key wire.Handle, context, digest, ticket []byte) []byte {
	return et.Command(wire.CCSignDigest, handles{key}, et.NoAuth(), et.Sized(context), et.Sized(digest), ticket)
}

func verifyDigest(key wire.Handle, context, digest []byte, s *wire.Signature) []byte {
	return et.Command(wire.CCVerifyDigestSignature, handles{key}, nil, et.Sized(context), et.Sized(digest), signatureOf(*s))
}

func signatureFrom(t *testing.T, tpm *et.TPM, command []byte) (s wire.Signature) {
	t.Helper()
	r := answer(t, tpm, command)
	r.Signature(&s, false)
	require.Equal(t, wire.RCSuccess, r.RC())
	require.Zero(t, r.Len())
	s.RSA, s.R, s.S = bytes.Clone(s.RSA), bytes.Clone(s.R), bytes.Clone(s.S)
	s.HMAC, s.Bytes = bytes.Clone(s.HMAC), bytes.Clone(s.Bytes)
	return s
}

// verifiedTicketOf is the TPMT_TK_VERIFIED of a response.
func verifiedTicketOf(t *testing.T, tpm *et.TPM, command []byte) (ticket wire.Ticket) {
	t.Helper()
	r := answer(t, tpm, command)
	r.Ticket(&ticket, wire.STMessageVerified, wire.STDigestVerified)
	require.Equal(t, wire.RCSuccess, r.RC())
	require.Zero(t, r.Len())
	ticket.Digest = bytes.Clone(ticket.Digest)
	return ticket
}

// messageKeys are keys that sign messages, with a context that they take.
func messageKeys() map[string]struct {
	key     testKey
	context string
} {
	pss := hashScheme(wire.AlgRSAPSS, wire.AlgSHA384)
	return map[string]struct {
		key     testKey
		context string
	}{
		"RSASSA":                   {rsaKey(signKey, noSym, ssa256), ""},
		"RSAPSS":                   {rsaKey(signKey, noSym, pss), ""},
		"ECDSA":                    {eccKey(signKey, noSym, ecdsa256), ""},
		"ECSCHNORR":                {eccKey(signKey, noSym, hashScheme(wire.AlgECSchnorr, wire.AlgSHA256)), ""},
		"SM2":                      {eccKey(signKey, noSym, hashScheme(wire.AlgSM2, wire.AlgSHA256)), "1234567812345678"},
		"HMAC":                     {hmacKey(), ""},
		"ML-DSA-44":                {mldsaKey(wire.MLDSA44, wire.AlgNull, signKey), ""},
		"ML-DSA-65 with a context": {mldsaKey(wire.MLDSA65, wire.AlgNull, signKey), "context"},
		"ML-DSA-87":                {mldsaKey(wire.MLDSA87, wire.AlgNull, signKey), string(make([]byte, 255))},
		"HashML-DSA-44":            {mldsaKey(wire.MLDSA44, wire.AlgSHA512, signKey), "context"},
	}
}

// signedMessage reports whether a signature is that of a message with a context, by code
// that is not the engine's where there is some.
func signedMessage(t *testing.T, k testKey, message, context []byte, s *wire.Signature) bool {
	t.Helper()
	switch s.Alg {
	case wire.AlgMLDSA:
		public, err := mldsa.NewPublicKey(libraryMLDSA(k.public.Parms.MLDSA), k.public.Unique)
		require.NoError(t, err)
		return mldsa.Verify(public, message, s.Bytes, &mldsa.Options{Context: string(context)}) == nil
	case wire.AlgHashMLDSA:
		mu, err := crypt.NewHashMLDSAMu(k.public.Unique, context, s.Hash)
		require.NoError(t, err)
		mu.Write(hashOf(s.Hash, message))
		return crypt.MLDSAVerifyMu(k.public.Parms.MLDSA, k.public.Unique, mu.Sum(nil), s.Bytes)
	case wire.AlgSM2: // by the engine's verification of a digest, which has vectors of its own
		curve := crypt.CurveOf(k.public.Parms.Curve)
		q, err := curve.DecodePoint(k.public.Point.X, k.public.Point.Y)
		require.NoError(t, err)
		tpm := withKeys(t, k)
		digest := hashOf(s.Hash, curve.SM2Identity(s.Hash, q, context), message)
		return send(t, tpm, et.Command(wire.CCVerifySignature, handles{object}, nil, et.Sized(digest), signatureOf(*s))) == wire.RCSuccess
	case wire.AlgHMAC:
		return signed(k, message, s)
	}
	return signed(k, hashOf(s.Hash, message), s)
}

// A message comes in pieces, is put aside in the middle with its key, and is signed; the
// signature is that of the whole message for others and for a verify sequence, whose
// ticket is of the message.
func TestSignatureSequences(t *testing.T) {
	t.Parallel()
	message := bytes.Repeat([]byte("a message in pieces "), 60)
	first, second, last := message[:700], message[700:900], message[900:]
	for name, c := range messageKeys() {
		tpm := v185(t)
		key := place(t, tpm, c.key, wire.RHOwner)
		context := []byte(c.context)

		sequence := load(t, tpm, signSequenceStart(key, pw, context))
		succeed(t, tpm, sequenceUpdate(sequence, pw, first))
		saved, savedKey := saveContext(t, tpm, sequence), saveContext(t, tpm, key)
		flush(t, tpm, sequence)
		flush(t, tpm, key)
		rc, sequence := loadContext(tpm, saved)
		require.Equal(t, wire.RCSuccess, rc, name)
		rc, key = loadContext(tpm, savedKey)
		require.Equal(t, wire.RCSuccess, rc, name)
		succeed(t, tpm, sequenceUpdate(sequence, pw, second))
		s := signatureFrom(t, tpm, signSequenceComplete(sequence, key, pw, last))
		assert.True(t, signedMessage(t, c.key, message, context, &s), name)
		assert.Equal(t, wire.RCReferenceH0, send(t, tpm, sequenceUpdate(sequence, pw, nil)), "%s: it is gone", name)

		verify := func(message []byte) wire.Handle {
			h := load(t, tpm, verifySequenceStart(key, pw, nil, context))
			succeed(t, tpm, sequenceUpdate(h, pw, message[:1]), sequenceUpdate(h, pw, message[1:800]), sequenceUpdate(h, pw, message[800:]))
			return h
		}
		h := verify(message)
		ticket := verifiedTicketOf(t, tpm, verifySequenceComplete(h, key, pw, &s))
		assert.Equal(t, wire.Ticket{Tag: wire.STMessageVerified, Hierarchy: wire.RHOwner, Digest: ticket.Digest}, ticket, name)
		assert.NotEmpty(t, ticket.Digest)
		other := slices.Clone(message)
		other[899] ^= 1
		h = verify(other)
		assert.Equal(t, wire.RCSignature.Parameter(1), send(t, tpm, verifySequenceComplete(h, key, pw, &s)), name)
		flush(t, tpm, h) // it stays after a failure
	}
}

// The ticket of a message approves a policy: PolicyAuthorize knows the message, not the
// hash of the scheme.
func TestTicketOfAMessageAuthorizesAPolicy(t *testing.T) {
	t.Parallel()
	tpm := v185(t)
	k := mldsaKey(wire.MLDSA65, wire.AlgNull, signKey)
	key := place(t, tpm, k, wire.RHOwner)
	approved, ref := make([]byte, 32), []byte("ref")
	message := slices.Concat(approved, ref)
	signing := load(t, tpm, signSequenceStart(key, nil, nil))
	s := signatureFrom(t, tpm, signSequenceComplete(signing, key, nil, message))
	verifying := load(t, tpm, verifySequenceStart(key, nil, nil, nil))
	succeed(t, tpm, sequenceUpdate(verifying, nil, message))
	ticket := verifiedTicketOf(t, tpm, verifySequenceComplete(verifying, key, nil, &s))
	authorize := func(ticket wire.Ticket, ref []byte) wire.RC {
		session := load(t, tpm, startSession(wire.SEPolicy))
		defer flush(t, tpm, session)
		var w wire.Writer
		w.Ticket(&ticket)
		return send(t, tpm, et.Command(wire.CCPolicyAuthorize, handles{session}, nil,
			et.Sized(approved), et.Sized(ref), et.Sized(k.name()), w.Data()))
	}
	assert.Equal(t, wire.RCSuccess, authorize(ticket, ref))
	assert.Equal(t, wire.RCValue.Parameter(4), authorize(ticket, []byte("other")))
	ticket.Tag = wire.STVerified
	assert.Equal(t, wire.RCValue.Parameter(4), authorize(ticket, ref), "another kind of ticket")
}

// Digests are signed in the scheme of the key, and µ with a key that takes it.
func TestSignedDigests(t *testing.T) {
	t.Parallel()
	mu := change(mldsaKey(wire.MLDSA44, wire.AlgNull, signKey), func(k *testKey) { k.public.Parms.ExternalMu = true })
	message, context := []byte("a message"), []byte("context")
	ofMu := func(k testKey) []byte {
		m, err := crypt.NewMLDSAMu(k.public.Unique, context)
		require.NoError(t, err)
		m.Write(message)
		return m.Sum(nil)
	}
	for name, c := range map[string]struct {
		key             testKey
		context, digest []byte
		hash            wire.AlgID // of the ticket
	}{
		"RSASSA":     {rsaKey(signKey, noSym, ssa256), nil, hashOf(wire.AlgSHA256, message), wire.AlgSHA256},
		"ECDSA":      {eccKey(signKey, noSym, ecdsa256), nil, hashOf(wire.AlgSHA256, message), wire.AlgSHA256},
		"HashML-DSA": {mldsaKey(wire.MLDSA87, wire.AlgSHA384, signKey), context, hashOf(wire.AlgSHA384, message), wire.AlgSHA384},
		"µ":          {mu, nil, ofMu(mu), wire.AlgNull},
	} {
		tpm := v185(t)
		key := place(t, tpm, c.key, wire.RHOwner)
		s := signatureFrom(t, tpm, signDigest(key, c.context, c.digest, noTicket))
		assert.True(t, signedMessage(t, c.key, message, context, &s), name)
		ticket := verifiedTicketOf(t, tpm, verifyDigest(key, c.context, c.digest, &s))
		assert.Equal(t, wire.STDigestVerified, ticket.Tag, name)
		assert.Equal(t, c.hash, ticket.Hash, name)
		assert.Equal(t, c.hash == wire.AlgNull, len(ticket.Digest) == 0, "%s: of µ there is no ticket", name)
		other := slices.Clone(c.digest)
		other[0] ^= 1
		assert.Equal(t, wire.RCSignature.Parameter(3), send(t, tpm, verifyDigest(key, c.context, other, &s)), name)
		for _, short := range [][]byte{nil, c.digest[1:]} {
			assert.Equal(t, wire.RCSize.Parameter(2), send(t, tpm, signDigest(key, c.context, short, noTicket)), name)
			assert.Equal(t, wire.RCSize.Parameter(2), send(t, tpm, verifyDigest(key, c.context, short, &s)), name)
		}
	}
}

// A secret that is encapsulated in the TPM is the one that the library takes out, and the
// reverse; a ciphertext of somebody else gives some secret, always the same.
func TestEncapsulation(t *testing.T) {
	t.Parallel()
	for set := wire.MLKEM512; set <= wire.MLKEM1024; set++ {
		k := mlkemKey(set, openKey)
		tpm := v185(t, k)
		r := answer(t, tpm, et.Command(wire.CCEncapsulate, handles{object}, nil))
		shared, ciphertext := bytes.Clone(r.Sized(32)), bytes.Clone(r.Sized(set.CiphertextSize()))
		require.Equal(t, wire.RCSuccess, r.RC())
		decapsulate := func(ciphertext []byte) []byte {
			r := answer(t, tpm, et.Command(wire.CCDecapsulate, handles{object}, et.NoAuth(), et.Sized(ciphertext)))
			return bytes.Clone(r.Sized(32))
		}
		assert.Equal(t, shared, decapsulate(ciphertext), set)
		switch set {
		case wire.MLKEM768:
			library, err := mlkem.NewDecapsulationKey768(k.sensitive.Data)
			require.NoError(t, err)
			got, err := library.Decapsulate(ciphertext)
			require.NoError(t, err)
			assert.Equal(t, shared, got)
			want, outside := library.EncapsulationKey().Encapsulate()
			assert.Equal(t, want, decapsulate(outside))
		case wire.MLKEM1024:
			library, err := mlkem.NewDecapsulationKey1024(k.sensitive.Data)
			require.NoError(t, err)
			want, outside := library.EncapsulationKey().Encapsulate()
			assert.Equal(t, want, decapsulate(outside))
		}
		ciphertext[0] ^= 1
		rejected := decapsulate(ciphertext)
		assert.NotEqual(t, shared, rejected)
		assert.Equal(t, rejected, decapsulate(ciphertext))
		for _, wrong := range [][]byte{nil, ciphertext[1:]} {
			assert.Equal(t, wire.RCSize.Parameter(1), send(t, tpm, et.Command(wire.CCDecapsulate, handles{object}, et.NoAuth(), et.Sized(wrong))), set)
		}
	}
}

// What the commands of version 185 refuse (Part 3, tables of their response codes).
func TestVersion185CommandsRefuse(t *testing.T) {
	t.Parallel()
	const second, third = object + 1, object + 2
	dsa, kem := mldsaKey(wire.MLDSA44, wire.AlgNull, signKey), mlkemKey(wire.MLKEM768, openKey)
	x509 := change(dsa, func(k *testKey) { k.public.Attributes |= wire.ObjectX509Sign })
	restricted := mldsaKey(wire.MLDSA44, wire.AlgNull, attestKey)
	generated := append(et.U32(wire.GeneratedValue), "structure"...)
	s := &wire.Signature{Alg: wire.AlgMLDSA, Hash: wire.AlgNull, Bytes: make([]byte, wire.MLDSA44.SignatureSize())}
	ssa := &wire.Signature{Alg: wire.AlgRSASSA, Hash: wire.AlgSHA256, RSA: make([]byte, 256)}
	hash := et.Command(wire.CCHashSequenceStart, nil, nil, et.Sized(nil), et.U16(uint16(wire.AlgSHA256)))
	for _, c := range []struct {
		name    string
		keys    []testKey
		before  [][]byte
		command []byte
		want    wire.RC
	}{
		{"encapsulate to a signing key", []testKey{dsa}, nil, et.Command(wire.CCEncapsulate, handles{object}, nil), wire.RCKey.Handle(1)},
		{"encapsulate to a sequence", nil, [][]byte{hash}, et.Command(wire.CCEncapsulate, handles{object}, nil), wire.RCKey.Handle(1)},
		{"decapsulate with a signing key", []testKey{dsa}, nil, et.Command(wire.CCDecapsulate, handles{object}, et.NoAuth(), et.Sized(nil)), wire.RCKey.Handle(1)},
		{"decapsulate with a storage key", []testKey{mlkemKey(wire.MLKEM768, storeKey)}, nil, et.Command(wire.CCDecapsulate, handles{object}, et.NoAuth(), et.Sized(make([]byte, 1088))), wire.RCAttributes.Handle(1)},

		{"sign with a key for encapsulation", []testKey{kem}, nil, signSequenceStart(object, nil, nil), wire.RCKey.Handle(1)},
		{"sign with a sequence", nil, [][]byte{hash}, signSequenceStart(object, nil, nil), wire.RCKey.Handle(1)},
		{"sign without a scheme", []testKey{rsaSigning()}, nil, signSequenceStart(object, nil, nil), wire.RCScheme.Handle(1)},
		{"sign with x509sign", []testKey{x509}, nil, signSequenceStart(object, nil, nil), wire.RCAttributes.Handle(1)},
		{"sign with a restricted HMAC key", []testKey{change(hmacKey(), func(k *testKey) { k.public.Attributes |= wire.ObjectRestricted })}, nil, signSequenceStart(object, nil, nil), wire.RCKey.Handle(1)},
		{"sign with a context where there is none", []testKey{eccKey(signKey, noSym, ecdsa256)}, nil, signSequenceStart(object, nil, []byte("c")), wire.RCSize.Parameter(2)},
		{"sign with too long a context", []testKey{dsa}, nil, signSequenceStart(object, nil, make([]byte, 256)), wire.RCSize.Parameter(2)},
		{"sign without a free slot", []testKey{dsa, kem, dsa}, nil, signSequenceStart(object, nil, nil), wire.RCObjectMemory},
		{"verify with a key for encapsulation", []testKey{kem}, nil, verifySequenceStart(object, nil, nil, nil), wire.RCKey.Handle(1)},
		{"verify without a scheme", []testKey{eccSigning()}, nil, verifySequenceStart(object, nil, nil, nil), wire.RCScheme.Handle(1)},
		{"verify ECDAA", []testKey{eccKey(signKey, noSym, ecdaa256)}, nil, verifySequenceStart(object, nil, nil, []byte{0, 1}), wire.RCScheme.Handle(1)},
		{"verify with a hint", []testKey{dsa}, nil, verifySequenceStart(object, nil, []byte{1}, nil), wire.RCSize.Parameter(2)},
		{"verify with a context where there is none", []testKey{rsaKey(signKey, noSym, ssa256)}, nil, verifySequenceStart(object, nil, nil, []byte{1}), wire.RCSize.Parameter(3)},

		{"complete a hash", []testKey{dsa}, [][]byte{hash}, signSequenceComplete(second, object, nil, nil), wire.RCMode.Handle(1)},
		{"complete a verification as a signature", []testKey{dsa}, [][]byte{verifySequenceStart(object, nil, nil, nil)}, signSequenceComplete(second, object, nil, nil), wire.RCMode.Handle(1)},
		{"complete a signature as a verification", []testKey{dsa}, [][]byte{signSequenceStart(object, nil, nil)}, verifySequenceComplete(second, object, nil, s), wire.RCMode.Handle(1)},
		{"complete a signature as a hash", []testKey{dsa}, [][]byte{signSequenceStart(object, nil, nil)}, et.Command(wire.CCSequenceComplete, handles{second}, et.NoAuth(), et.Sized(nil), et.U32(uint32(wire.RHNull))), wire.RCMode.Handle(1)},
		{"complete with another key", []testKey{dsa, kem}, [][]byte{signSequenceStart(object, nil, nil)}, signSequenceComplete(third, second, nil, nil), wire.RCSignContextKey.Handle(2)},
		{"verify with another key", []testKey{dsa, kem}, [][]byte{verifySequenceStart(object, nil, nil, nil)}, verifySequenceComplete(third, second, nil, s), wire.RCSignContextKey.Handle(2)},
		{"a restricted key signs what looks generated", []testKey{restricted}, [][]byte{signSequenceStart(object, nil, nil)}, signSequenceComplete(second, object, nil, generated), wire.RCValue.Parameter(1)},
		{"the same in pieces", []testKey{restricted}, [][]byte{signSequenceStart(object, nil, nil), sequenceUpdate(second, nil, generated[:3])}, signSequenceComplete(second, object, nil, generated[3:]), wire.RCValue.Parameter(1)},
		{"another kind of signature", []testKey{dsa}, [][]byte{verifySequenceStart(object, nil, nil, nil)}, verifySequenceComplete(second, object, nil, ssa), wire.RCScheme.Parameter(1)},
		{"no signature of it", []testKey{dsa}, [][]byte{verifySequenceStart(object, nil, nil, nil)}, verifySequenceComplete(second, object, nil, s), wire.RCSignature.Parameter(1)},

		{"a digest for ML-DSA without µ", []testKey{dsa}, nil, signDigest(object, nil, make([]byte, 64), noTicket), wire.RCAttributes.Handle(1)},
		{"a digest for HMAC", []testKey{hmacKey()}, nil, signDigest(object, nil, make([]byte, 32), noTicket), wire.RCScheme.Handle(1)},
		{"a digest without a scheme", []testKey{rsaSigning()}, nil, signDigest(object, nil, make([]byte, 32), noTicket), wire.RCScheme.Handle(1)},
		{"a digest for a key for encapsulation", []testKey{kem}, nil, signDigest(object, nil, make([]byte, 32), noTicket), wire.RCKey.Handle(1)},
		{"a digest that the TPM has not hashed", []testKey{rsaKey(attestKey, noSym, ssa256)}, nil, signDigest(object, nil, make([]byte, 32), noTicket), wire.RCTicket.Parameter(3)},
		{"a context for a digest of RSA", []testKey{rsaKey(signKey, noSym, ssa256)}, nil, signDigest(object, []byte{1}, make([]byte, 32), noTicket), wire.RCSize.Parameter(1)},
		{"verify a digest with another kind of signature", []testKey{rsaKey(signKey, noSym, ssa256)}, nil, verifyDigest(object, nil, make([]byte, 32), s), wire.RCScheme.Parameter(3)},
		{"verify a digest that does not hold", []testKey{rsaKey(signKey, noSym, ssa256)}, nil, verifyDigest(object, nil, make([]byte, 32), ssa), wire.RCSignature.Parameter(3)},

		{"TPM2_Sign with ML-DSA", []testKey{dsa}, nil, et.Command(wire.CCSign, handles{object}, et.NoAuth(), et.Sized(make([]byte, 32)), et.U16(uint16(wire.AlgNull)), noTicket), wire.RCScheme.Handle(1)},
	} {
		tpm := v185(t, c.keys...)
		succeed(t, tpm, c.before...)
		assert.Equal(t, c.want, send(t, tpm, c.command), c.name)
	}
}

// A restricted key signs a message that cannot be taken for a structure of the TPM, also
// one that is too short for it.
func TestRestrictedKeysSignMessages(t *testing.T) {
	t.Parallel()
	tpm := v185(t)
	k := mldsaKey(wire.MLDSA44, wire.AlgNull, attestKey)
	key := place(t, tpm, k, wire.RHOwner)
	for _, message := range []string{"", "\xffTC", "\xffTCX and more"} {
		h := load(t, tpm, signSequenceStart(key, nil, nil))
		succeed(t, tpm, sequenceUpdate(h, nil, []byte(message)[:min(2, len(message))]))
		s := signatureFrom(t, tpm, signSequenceComplete(h, key, nil, []byte(message)[min(2, len(message)):]))
		assert.True(t, signedMessage(t, k, []byte(message), nil, &s), "%q", message)
	}
}

// The commands are there with version 185 only.
func TestVersion185CommandsNeedVersion185(t *testing.T) {
	t.Parallel()
	tpm := withKeys(t, rsaKey(signKey, noSym, ssa256))
	for code := wire.CCVerifySequenceComplete; code <= wire.CCSignSequenceStart; code++ {
		assert.Equal(t, wire.RCCommandCode, send(t, tpm, et.Command(code, nil, nil)), code)
	}
}

// A TPM of version 185 has room for the context of each sequence that it can have, however
// small its limit may be.
func TestContextsOfSignatureSequencesFit(t *testing.T) {
	t.Parallel()
	profile, err := emulator.ProfileByName("tiny")
	require.NoError(t, err)
	config := profile.Config
	config.Identity.Revision, config.Commands = 185, nil
	var tpm *et.TPM
	for config.Limits.ObjectContext = 300; tpm == nil; config.Limits.ObjectContext++ {
		require.Less(t, config.Limits.ObjectContext, uint32(4096))
		if _, err := emulator.New(emulator.Platform{}, config); err == nil {
			tpm = et.New(t, et.WithConfig(config))
		}
	}
	auth := bytes.Repeat([]byte{'a'}, 32)
	for name, k := range map[string]testKey{"HMAC": hmacKey(), "ECDSA": eccKey(signKey, noSym, ecdsa256)} {
		key := place(t, tpm, k, wire.RHOwner)
		for _, start := range [][]byte{signSequenceStart(key, auth, nil), verifySequenceStart(key, auth, nil, nil)} {
			h := load(t, tpm, start)
			succeed(t, tpm, sequenceUpdate(h, auth, []byte("message")))
			assert.LessOrEqual(t, len(saveContext(t, tpm, h)), int(property(t, tpm, wire.PTMaxObjectContext)), name)
			flush(t, tpm, h)
		}
		flush(t, tpm, key)
	}
}
