package crypt_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

func TestEd25519LikeLibrary(t *testing.T) {
	t.Parallel()
	r := stream(25)
	for n := range 100 {
		seed, message := draw(r, 32), draw(r, 7*n)
		key := ed25519.NewKeyFromSeed(seed)
		public, err := ed25519Public(seed)
		require.NoError(t, err)
		require.Equal(t, []byte(key.Public().(ed25519.PublicKey)), public)
		require.NoError(t, crypt.CheckEd25519(public))
		signature, err := signEd25519(seed, message)
		require.NoError(t, err)
		require.Equal(t, ed25519.Sign(key, message), signature)
		require.True(t, crypt.VerifyEd25519(public, message, signature))

		digest := sha512.Sum512(message)
		ph, err := signEd25519ph(seed, digest[:])
		require.NoError(t, err)
		require.True(t, crypt.VerifyEd25519ph(public, digest[:], ph))
		require.False(t, crypt.VerifyEd25519(public, digest[:], ph))
		require.False(t, crypt.VerifyEd25519ph(public, digest[:63], ph))
		require.NoError(t, ed25519.VerifyWithOptions(public, digest[:], ph, &ed25519.Options{Hash: 7}))

		bad := bytes.Clone(signature)
		bad[n%64] ^= 1 << (n % 8)
		require.False(t, crypt.VerifyEd25519(public, message, bad))
		require.False(t, crypt.VerifyEd25519(public, append(message, 0), signature))
		require.False(t, crypt.VerifyEd25519(public, message, signature[:63]))
	}
}

func TestEd25519KnownAnswers(t *testing.T) {
	t.Parallel()
	for _, v := range vectors[eddsaVector](t, "ed25519_rfc8032.json", 5).Vectors {
		key, err := crypt.NewEd25519Key(v.Private)
		require.NoError(t, err)
		require.Equal(t, []byte(v.Public), key.Public(), v.Comment)
		signature, verified := key.Sign(v.Message), crypt.VerifyEd25519(v.Public, v.Message, v.Signature)
		if v.Prehashed {
			digest := sha512.Sum512(v.Message)
			signature, err = key.SignPrehashed(digest[:])
			require.NoError(t, err)
			verified = crypt.VerifyEd25519ph(v.Public, digest[:], v.Signature)
		}
		assert.Equal(t, []byte(v.Signature), signature, v.Comment)
		assert.True(t, verified, v.Comment)
	}
}

// A message in pieces, with the state saved after any of them.
func TestEd25519Verification(t *testing.T) {
	t.Parallel()
	r := stream(26)
	seed, message := draw(r, 32), draw(r, 300)
	public, err := ed25519Public(seed)
	require.NoError(t, err)
	signature, err := signEd25519(seed, message)
	require.NoError(t, err)
	for cut := range message {
		v, err := crypt.NewEd25519Verification(public, signature[:32])
		require.NoError(t, err)
		v.Write(message[:cut])
		require.False(t, v.Verify(signature))
		state, err := v.MarshalBinary()
		require.NoError(t, err)
		var again crypt.Ed25519Verification
		require.NoError(t, again.UnmarshalBinary(state))
		again.Write(message[cut:])
		require.True(t, again.Verify(signature))
		other := bytes.Clone(signature)
		other[cut%32] ^= 1
		require.False(t, again.Verify(other), "R is not the hint")
		require.False(t, again.Verify(signature[:63]))
	}
}

// What Wycheproof does not have: second encodings of points of the key. y is 0 or 1,
// written as p or p+1, and x is 0 with a sign (RFC 8032, section 5.1.3).
func TestEd25519RefusesKeys(t *testing.T) {
	t.Parallel()
	for _, key := range []string{
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"0100000000000000000000000000000000000000000000000000000000000080",
		"0200000000000000000000000000000000000000000000000000000000000000", // no point
		"", "00",
	} {
		public, err := hex.DecodeString(key)
		require.NoError(t, err)
		var refused *crypt.Error
		require.ErrorAs(t, crypt.CheckEd25519(public), &refused, key)
		assert.Equal(t, wire.RCECCPoint, refused.Code)
		assert.False(t, crypt.VerifyEd25519(public, nil, make([]byte, 64)))
		_, err = crypt.NewEd25519Verification(public, make([]byte, 32))
		assert.Error(t, err)
	}
	var refused *crypt.Error
	public, err := ed25519Public(make([]byte, 32))
	require.NoError(t, err)
	for _, n := range []int{0, 31, 33, 64} {
		_, err = crypt.NewEd25519Verification(public, make([]byte, n))
		require.ErrorAs(t, err, &refused)
		assert.Equal(t, wire.RCSize, refused.Code)
		_, err = ed25519Public(make([]byte, n))
		require.ErrorAs(t, err, &refused)
		_, err = signEd25519(make([]byte, n), nil)
		require.ErrorAs(t, err, &refused)
		_, err = signEd25519ph(make([]byte, n), make([]byte, 64))
		require.ErrorAs(t, err, &refused)
		_, err = signEd25519ph(make([]byte, 32), make([]byte, n/2))
		require.ErrorAs(t, err, &refused)
		_, err = crypt.X25519Public(make([]byte, n))
		require.ErrorAs(t, err, &refused)
		_, err = crypt.X25519(make([]byte, 32), make([]byte, n))
		require.ErrorAs(t, err, &refused)
		assert.Equal(t, wire.RCECCPoint, refused.Code)
	}
}

func TestEd25519VerificationState(t *testing.T) {
	t.Parallel()
	public, err := ed25519Public(make([]byte, 32))
	require.NoError(t, err)
	v, err := crypt.NewEd25519Verification(public, make([]byte, 32))
	require.NoError(t, err)
	state, err := v.MarshalBinary()
	require.NoError(t, err)
	for name, change := range map[string]func(b []byte) []byte{
		"empty":       func([]byte) []byte { return nil },
		"half a key":  func(b []byte) []byte { return b[:63] },
		"no hash":     func(b []byte) []byte { return b[:64] },
		"short":       func(b []byte) []byte { return b[:len(b)-1] },
		"other hash":  func(b []byte) []byte { b[64+3]++; return b },
		"not a point": func(b []byte) []byte { copy(b, append([]byte{2}, make([]byte, 31)...)); return b },
	} {
		var bad *crypt.HashStateError
		require.ErrorAs(t, v.UnmarshalBinary(change(bytes.Clone(state))), &bad, name)
		after, err := v.MarshalBinary()
		require.NoError(t, err)
		assert.Equal(t, state, after)
	}
}

func TestX25519LikeLibrary(t *testing.T) {
	t.Parallel()
	r := stream(27)
	for range 50 {
		a, b := draw(r, 32), draw(r, 32)
		theirs, err := ecdh.X25519().NewPrivateKey(b)
		require.NoError(t, err)
		public, err := crypt.X25519Public(b)
		require.NoError(t, err)
		require.Equal(t, theirs.PublicKey().Bytes(), public)
		mine, err := crypt.X25519Public(a)
		require.NoError(t, err)
		one, err := crypt.X25519(a, public)
		require.NoError(t, err)
		other, err := crypt.X25519(b, mine)
		require.NoError(t, err)
		require.Equal(t, one, other)
	}
}
