package crypt_test

import (
	"bytes"
	"crypto/sha3"
	"encoding/hex"
	"math/big"
	"testing"

	"github.com/cloudflare/circl/dh/x448"
	"github.com/cloudflare/circl/sign/ed448"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

type eddsaVector struct {
	Private, Public, Message, Signature octets
	Prehashed, Valid                    bool
	Comment                             string
}

func TestEd448KnownAnswers(t *testing.T) {
	t.Parallel()
	for _, v := range vectors[eddsaVector](t, "ed448_rfc8032.json", 9).Vectors {
		key, err := crypt.NewEd448Key(v.Private)
		require.NoError(t, err)
		require.Equal(t, []byte(v.Public), key.Public(), v.Comment)
		signature, verified := key.Sign(v.Message), verifyEd448(v.Public, v.Message, v.Signature)
		if v.Prehashed {
			digest := crypt.Digest(wire.AlgSHAKE256_512, nil, v.Message)
			signature, err = key.SignPrehashed(digest)
			require.NoError(t, err)
			verified = verifyEd448ph(v.Public, digest, v.Signature)
		}
		assert.Equal(t, []byte(v.Signature), signature, v.Comment)
		assert.True(t, verified, v.Comment)
	}
}

func TestEd448Vectors(t *testing.T) {
	t.Parallel()
	for i, v := range vectors[eddsaVector](t, "ed448_wycheproof.json", 87).Vectors {
		assert.Equal(t, v.Valid, verifyEd448(v.Public, v.Message, v.Signature), "%d %s", i, v.Comment)
	}
}

// What RFC 7748 has, and what it makes of 1,000 turns.
func TestX448KnownAnswers(t *testing.T) {
	t.Parallel()
	for _, v := range vectors[struct{ Private, Public, Shared octets }](t, "x448_rfc7748.json", 6).Vectors {
		shared, err := crypt.X448(v.Private, v.Public)
		require.NoError(t, err)
		assert.Equal(t, []byte(v.Shared), shared)
		if v.Public[0] == 5 {
			public, err := crypt.X448Public(v.Private)
			require.NoError(t, err)
			assert.Equal(t, shared, public)
		}
	}
	k, u := make([]byte, 56), make([]byte, 56)
	k[0], u[0] = 5, 5
	for range 1000 {
		next, err := crypt.X448(k, u)
		require.NoError(t, err)
		k, u = next, k
	}
	assert.Equal(t, "aa3b4749d55b9daf1e5b00288826c467274ce3ebbdd5c17b975e09d4af6c67cf10d087202db88286e2b79fceea3ec353ef54faa26e219f38", hex.EncodeToString(k))
}

func TestX448Vectors(t *testing.T) {
	t.Parallel()
	refused := 0
	for i, v := range vectors[struct{ Private, Public, Shared octets }](t, "x448_wycheproof.json", 100).Vectors {
		shared, err := crypt.X448(v.Private, v.Public)
		if len(v.Public) != 56 || bytes.Equal(v.Shared, make([]byte, len(v.Shared))) {
			var bad *crypt.Error
			require.ErrorAs(t, err, &bad, i)
			assert.Equal(t, wire.RCECCPoint, bad.Code)
			require.ErrorAs(t, crypt.CheckX448(v.Public), &bad, i)
			assert.Equal(t, wire.RCECCPoint, bad.Code)
			refused++
			continue
		}
		require.NoError(t, err)
		assert.NoError(t, crypt.CheckX448(v.Public))
		assert.Equal(t, []byte(v.Shared), shared, i)
	}
	assert.Greater(t, refused, 20)
}

// The scheme of another author, with the same arithmetic, and the arithmetic of math/big.
func TestEd448LikeOthers(t *testing.T) {
	t.Parallel()
	r := stream(44)
	for n := range 40 {
		seed, message := draw(r, 57), draw(r, 17*n)
		theirs := ed448.NewKeyFromSeed(seed)
		public, err := ed448Public(seed)
		require.NoError(t, err)
		require.Equal(t, []byte(theirs.Public().(ed448.PublicKey)), public)
		require.NoError(t, crypt.CheckEd448(public))
		key, err := crypt.NewEd448Key(seed)
		require.NoError(t, err)
		signature := key.Sign(message)
		require.Equal(t, ed448.Sign(theirs, message, ""), signature)
		require.True(t, verifyEd448(public, message, signature))

		digest := sha3.SumSHAKE256(message, 64)
		prehashed, err := key.SignPrehashed(digest)
		require.NoError(t, err)
		require.Equal(t, ed448.SignPh(theirs, message, ""), prehashed)
		require.True(t, verifyEd448ph(public, digest, prehashed))
		require.False(t, verifyEd448(public, digest, prehashed))
		require.False(t, verifyEd448ph(public, digest[:63], prehashed))

		bad := bytes.Clone(signature)
		bad[(3*n)%114] ^= 1 << (n % 8)
		require.False(t, verifyEd448(public, message, bad))
		require.False(t, verifyEd448(public, append(message, 0), signature))
		require.False(t, verifyEd448(public, message, signature[:113]))
		require.False(t, verifyEd448(public, message, append(signature, 0)))
		if n < 3 {
			a, _ := referencePrivate448(seed)
			require.Equal(t, base448().times(a).encode(), public)
			require.Equal(t, referenceSign448(0, seed, public, message), signature)
			require.Equal(t, referenceSign448(1, seed, public, digest), prehashed)
			require.False(t, verifyEd448ph(public, digest[:63], referenceSign448(1, seed, public, digest[:63])))
			require.True(t, referenceVerify448(0, base448().times(a), message, signature))
		}
	}
}

// S that is the order or more is refused, and so is a byte after it.
func TestEd448SignatureHasOneEncoding(t *testing.T) {
	t.Parallel()
	key, err := crypt.NewEd448Key(make([]byte, 57))
	require.NoError(t, err)
	message := []byte("message")
	good := key.Sign(message)
	require.True(t, verifyEd448(key.Public(), message, good))
	s := little(good[57:])
	for i := int64(1); i <= 3; i++ {
		more := new(big.Int).Mul(order448, big.NewInt(i))
		assert.False(t, verifyEd448(key.Public(), message, append(bytes.Clone(good[:57]), littleBytes(more.Add(more, s), 57)...)), i)
	}
	for _, last := range []byte{1, 0x40, 0x80} {
		bad := bytes.Clone(good)
		bad[113] = last
		assert.False(t, verifyEd448(key.Public(), message, bad))
	}
}

// A key may have a part of small order. What is signed with it holds as the equation
// without the cofactor says: if that part vanishes.
func TestEd448ChecksWithoutCofactor(t *testing.T) {
	t.Parallel()
	seed := bytes.Repeat([]byte{4}, 57)
	a, _ := referencePrivate448(seed)
	whole := base448().times(a)
	held, failed := 0, 0
	for i, part := range torsion448() {
		point := whole.add(part)
		public := point.encode()
		require.NoError(t, crypt.CheckEd448(public))
		for n := range byte(4) {
			message := []byte{n}
			signature := referenceSign448(0, seed, public, message)
			want := referenceVerify448(0, point, message, signature)
			require.Equal(t, want, verifyEd448(public, message, signature), "%d %d", i, n)
			v, err := crypt.NewEd448Verification(public, signature[:57])
			require.NoError(t, err)
			v.Write(message)
			require.Equal(t, want, v.Verify(signature), "%d %d", i, n)
			if want {
				held++
			} else {
				failed++
			}
		}
		// The part alone: everybody signs for it, and the equation is the same.
		alone := part.encode()
		require.NoError(t, crypt.CheckEd448(alone))
		for n := range byte(4) {
			signature := append(torsion448()[0].encode(), make([]byte, 57)...)
			require.Equal(t, referenceVerify448(0, part, []byte{n}, signature), verifyEd448(alone, []byte{n}, signature))
		}
	}
	assert.Greater(t, held, 4)
	assert.Greater(t, failed, 4)
}

// A message in pieces, with the state saved after any of them.
func TestEd448Verification(t *testing.T) {
	t.Parallel()
	r := stream(26)
	message := draw(r, 300)
	key, err := crypt.NewEd448Key(draw(r, 57))
	require.NoError(t, err)
	signature := key.Sign(message)
	for cut := 0; cut < len(message); cut += 7 {
		v, err := crypt.NewEd448Verification(key.Public(), signature[:57])
		require.NoError(t, err)
		v.Write(message[:cut])
		require.False(t, v.Verify(signature))
		state, err := v.MarshalBinary()
		require.NoError(t, err)
		var again crypt.Ed448Verification
		require.NoError(t, again.UnmarshalBinary(state))
		again.Write(message[cut:])
		require.True(t, again.Verify(signature))
		require.True(t, again.Verify(signature), "it goes on unchanged")
		other := bytes.Clone(signature)
		other[cut%57] ^= 1
		require.False(t, again.Verify(other), "R is not the hint")
		require.False(t, again.Verify(signature[:113]))
	}
}

// The owner of a key can make R and S that hold with the digest of another R. They are no
// signature: the hint is R.
func TestEd448HintIsR(t *testing.T) {
	t.Parallel()
	seed, message := make([]byte, 57), []byte("message")
	public, err := ed448Public(seed)
	require.NoError(t, err)
	hint := referenceSign448(0, seed, public, message)[:57]
	v, err := crypt.NewEd448Verification(public, hint)
	require.NoError(t, err)
	v.Write(message)

	a, _ := referencePrivate448(seed)
	r := big.NewInt(5)
	s := referenceDigest448(0, hint, public, message)
	s.Mul(s, a).Add(s, r).Mod(s, order448)
	assert.False(t, v.Verify(append(base448().times(r).encode(), littleBytes(s, 57)...)))
}

// Second encodings of points of the key, and what is none: y is p or p+1, a bit is set that
// no point has, and x is 0 with a sign (RFC 8032, section 5.2.3).
func TestEd448RefusesKeys(t *testing.T) {
	t.Parallel()
	encoding := func(y *big.Int, last byte) []byte {
		b := littleBytes(y, 57)
		b[56] |= last
		return b
	}
	one := big.NewInt(1)
	code := func(err error) wire.RC {
		var refused *crypt.Error
		require.ErrorAs(t, err, &refused)
		return refused.Code
	}
	for i, public := range [][]byte{
		encoding(prime448, 0), encoding(new(big.Int).Add(prime448, one), 0),
		encoding(one, 0x80), encoding(new(big.Int).Sub(prime448, one), 0x80), encoding(one, 0x40), encoding(one, 1),
		encoding(big.NewInt(2), 0), // no point
		nil, {0}, make([]byte, 56), make([]byte, 58),
	} {
		assert.Equal(t, wire.RCECCPoint, code(crypt.CheckEd448(public)), i)
		assert.False(t, verifyEd448(public, nil, make([]byte, 114)))
		assert.False(t, verifyEd448ph(public, make([]byte, 64), make([]byte, 114)))
		_, err := crypt.NewEd448Verification(public, make([]byte, 57))
		assert.Equal(t, wire.RCECCPoint, code(err))
	}
	public, err := ed448Public(make([]byte, 57))
	require.NoError(t, err)
	key, err := crypt.NewEd448Key(make([]byte, 57))
	require.NoError(t, err)
	for _, n := range []int{0, 32, 55, 58, 114} {
		_, err = crypt.NewEd448Verification(public, make([]byte, n))
		assert.Equal(t, wire.RCSize, code(err))
		_, err = ed448Public(make([]byte, n))
		assert.Equal(t, wire.RCSize, code(err))
		_, err = key.SignPrehashed(make([]byte, n))
		assert.Equal(t, wire.RCSize, code(err))
		_, err = crypt.X448Public(make([]byte, n))
		assert.Equal(t, wire.RCSize, code(err))
		_, err = crypt.X448(make([]byte, n), public[:56])
		assert.Equal(t, wire.RCSize, code(err))
		_, err = crypt.X448(make([]byte, 56), make([]byte, n))
		assert.Equal(t, wire.RCECCPoint, code(err))
	}
}

func TestEd448VerificationState(t *testing.T) {
	t.Parallel()
	public, err := ed448Public(make([]byte, 57))
	require.NoError(t, err)
	v, err := crypt.NewEd448Verification(public, make([]byte, 57))
	require.NoError(t, err)
	state, err := v.MarshalBinary()
	require.NoError(t, err)
	for name, change := range map[string]func(b []byte) []byte{
		"empty":            func([]byte) []byte { return nil },
		"half a key":       func(b []byte) []byte { return b[:113] },
		"no hash":          func(b []byte) []byte { return b[:114] },
		"short":            func(b []byte) []byte { return b[:len(b)-1] },
		"other hash":       func(b []byte) []byte { b[114+3]++; return b },
		"gives output now": func(b []byte) []byte { b[len(b)-1]++; return b },
		"full block":       func(b []byte) []byte { b[len(b)-2] = 136; return b },
		"not a point":      func(b []byte) []byte { copy(b, append([]byte{2}, make([]byte, 56)...)); return b },
	} {
		var bad *crypt.HashStateError
		require.ErrorAs(t, v.UnmarshalBinary(change(bytes.Clone(state))), &bad, name)
		after, err := v.MarshalBinary()
		require.NoError(t, err)
		assert.Equal(t, state, after)
	}
}

func TestX448LikeOthers(t *testing.T) {
	t.Parallel()
	r := stream(47)
	for n := range 40 {
		a, b := draw(r, 56), draw(r, 56)
		var theirs x448.Key
		secret := x448.Key(b)
		x448.KeyGen(&theirs, &secret)
		public, err := crypt.X448Public(b)
		require.NoError(t, err)
		require.Equal(t, theirs[:], public)
		mine, err := crypt.X448Public(a)
		require.NoError(t, err)
		one, err := crypt.X448(a, public)
		require.NoError(t, err)
		other, err := crypt.X448(b, mine)
		require.NoError(t, err)
		require.Equal(t, one, other)
		if n < 8 {
			require.Equal(t, referenceX448(a, public), one)
			strange := draw(r, 56) // of the twist, or not
			z, err := crypt.X448(a, strange)
			require.NoError(t, err)
			require.Equal(t, referenceX448(a, strange), z)
		}
	}
}

// Both curves of RFC 7748 behind one form.
func TestMontgomeryCurves(t *testing.T) {
	t.Parallel()
	assert.Nil(t, crypt.MontgomeryCurveOf(wire.CurveNISTP256))
	assert.Nil(t, crypt.MontgomeryCurveOf(wire.CurveNone))
	for id, c := range map[wire.Curve]struct {
		signing, exchange int
		hash              wire.AlgID
	}{
		wire.CurveCurve25519: {32, 32, wire.AlgSHA512},
		wire.CurveCurve448:   {57, 56, wire.AlgSHAKE256_512},
	} {
		m := crypt.MontgomeryCurveOf(id)
		require.NotNil(t, m)
		assert.Contains(t, crypt.Curves(), id)
		assert.Equal(t, []int{c.signing, 2 * c.signing, c.exchange, c.exchange}, []int{m.SigningSize(), m.SignatureSize(), m.ExchangeSize(), crypt.FieldSize(id)})
		assert.Equal(t, c.hash, m.Hash)
		seed, message := bytes.Repeat([]byte{7}, c.signing), []byte("message")
		key, err := m.NewEdDSAKey(seed)
		require.NoError(t, err)
		public, err := m.EdDSAPublic(seed)
		require.NoError(t, err)
		assert.Equal(t, key.Public(), public)
		assert.NoError(t, m.CheckEdDSA(public))
		theirs, err := m.NewEdDSAPublicKey(public)
		require.NoError(t, err)
		signature := key.Sign(message)
		digest := crypt.Digest(m.Hash, nil, message)
		prehashed, err := key.SignPrehashed(digest)
		require.NoError(t, err)
		assert.True(t, theirs.Verify(message, signature))
		assert.False(t, theirs.Verify(message, prehashed))
		assert.True(t, theirs.VerifyPrehashed(digest, prehashed))
		assert.False(t, theirs.VerifyPrehashed(digest, signature))
		v, err := m.NewEdDSAVerification(public, signature[:c.signing])
		require.NoError(t, err)
		v.Write(message[:3])
		state, err := v.MarshalBinary()
		require.NoError(t, err)
		v, err = m.RestoreEdDSAVerification(state)
		require.NoError(t, err)
		v.Write(message[3:])
		assert.True(t, v.Verify(signature))

		for _, size := range []int{0, c.signing - 1, c.signing + 1} {
			_, err = m.NewEdDSAKey(make([]byte, size))
			assert.Error(t, err)
			_, err = m.EdDSAPublic(make([]byte, size))
			assert.Error(t, err)
			_, err = m.NewEdDSAPublicKey(make([]byte, size))
			assert.Error(t, err)
			_, err = m.NewEdDSAVerification(public, make([]byte, size))
			assert.Error(t, err)
			_, err = m.RestoreEdDSAVerification(make([]byte, size))
			assert.Error(t, err)
			assert.Error(t, m.CheckEdDSA(make([]byte, size)))
		}
		a, b := bytes.Repeat([]byte{1}, c.exchange), bytes.Repeat([]byte{2}, c.exchange)
		point, err := m.ExchangePublic(b)
		require.NoError(t, err)
		assert.NoError(t, m.CheckExchange(point))
		assert.Error(t, m.CheckExchange(make([]byte, c.exchange)))
		z, err := m.Exchange(a, point)
		require.NoError(t, err)
		point, err = m.ExchangePublic(a)
		require.NoError(t, err)
		again, err := m.Exchange(b, point)
		require.NoError(t, err)
		assert.Equal(t, z, again)
		assert.Len(t, z, c.exchange)
	}
}
