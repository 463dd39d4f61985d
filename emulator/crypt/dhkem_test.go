package crypt_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/hpke"
	"encoding/binary"
	"errors"
	"hash"
	"testing"
	"testing/iotest"

	circl "github.com/cloudflare/circl/hpke"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

var dhkems = []struct {
	curve   wire.Curve
	hash    wire.AlgID
	library hpke.KEM
	size    int
}{
	{wire.CurveNISTP256, wire.AlgSHA256, hpke.DHKEM(ecdh.P256()), 32},
	{wire.CurveNISTP384, wire.AlgSHA384, hpke.DHKEM(ecdh.P384()), 48},
	{wire.CurveNISTP521, wire.AlgSHA512, hpke.DHKEM(ecdh.P521()), 64},
	{wire.CurveCurve25519, wire.AlgSHA256, hpke.DHKEM(ecdh.X25519()), 32},
}

// exported is what HPKE exports for a shared secret, with HKDF-SHA256 and without a cipher
// (RFC 9180, sections 5.1 and 5.3): the library gives out no shared secret.
func exported(t *testing.T, kem uint16, shared []byte) []byte {
	suite := binary.BigEndian.AppendUint16([]byte("HPKE"), kem)
	suite = append(suite, 0, 1, 0xFF, 0xFF)
	newHash := func() hash.Hash { return crypt.NewHash(wire.AlgSHA256) }
	extract := func(salt []byte, label string, in []byte) []byte {
		prk, err := hkdf.Extract(newHash, append(append(append([]byte("HPKE-v1"), suite...), label...), in...), salt)
		require.NoError(t, err)
		return prk
	}
	expand := func(prk []byte, label string, info []byte) []byte {
		labeled := append(append([]byte{0, 32}, "HPKE-v1"...), suite...)
		out, err := hkdf.Expand(newHash, prk, string(append(append(labeled, label...), info...)), 32)
		require.NoError(t, err)
		return out
	}
	context := append(append([]byte{0}, extract(nil, "psk_id_hash", nil)...), extract(nil, "info_hash", []byte("info"))...)
	secret := expand(extract(shared, "secret", nil), "exp", context)
	return expand(secret, "sec", []byte("context"))
}

// Each side finds what the other has encapsulated.
func TestDHKEMLikeLibrary(t *testing.T) {
	t.Parallel()
	for _, c := range dhkems {
		t.Run(c.curve.String(), func(t *testing.T) {
			t.Parallel()
			k, err := crypt.NewDHKEM(c.curve, c.hash)
			require.NoError(t, err)
			assert.Equal(t, c.size, k.SharedSize())
			r := stream(byte(c.curve))
			for range 10 {
				key, err := c.library.DeriveKeyPair(draw(r, 66))
				require.NoError(t, err)
				private, err := key.Bytes()
				require.NoError(t, err)
				public := key.PublicKey().Bytes()
				x, y := public, []byte(nil)
				if c.curve != wire.CurveCurve25519 {
					n := len(public) / 2
					x, y = public[1:1+n], public[1+n:]
				}
				entropy := draw(r, 100)
				shared, ciphertext, err := k.Encapsulate(bytes.NewReader(entropy), x, y)
				require.NoError(t, err)
				require.Len(t, shared, c.size)
				again, sameCiphertext, err := k.Encapsulate(bytes.NewReader(entropy), x, y)
				require.NoError(t, err)
				require.Equal(t, shared, again)
				require.Equal(t, ciphertext, sameCiphertext)
				found, err := k.Decapsulate(private, ciphertext)
				require.NoError(t, err)
				require.Equal(t, shared, found)

				recipient, err := hpke.NewRecipient(ciphertext, key, hpke.HKDFSHA256(), hpke.ExportOnly(), []byte("info"))
				require.NoError(t, err)
				want, err := recipient.Export("context", 32)
				require.NoError(t, err)
				require.Equal(t, want, exported(t, c.library.ID(), shared))

				theirs, sender, err := hpke.NewSender(key.PublicKey(), hpke.HKDFSHA256(), hpke.ExportOnly(), []byte("info"))
				require.NoError(t, err)
				found, err = k.Decapsulate(private, theirs)
				require.NoError(t, err)
				want, err = sender.Export("context", 32)
				require.NoError(t, err)
				require.Equal(t, want, exported(t, c.library.ID(), found))
			}
		})
	}
}

// The same with X448, which the standard library does not have.
func TestDHKEMWithX448LikeLibrary(t *testing.T) {
	t.Parallel()
	k, err := crypt.NewDHKEM(wire.CurveCurve448, wire.AlgSHA512)
	require.NoError(t, err)
	assert.Equal(t, []int{64, 56}, []int{k.SharedSize(), k.CiphertextSize()})
	library := circl.KEM_X448_HKDF_SHA512.Scheme()
	r := stream(48)
	for range 10 {
		public, private := library.DeriveKeyPair(draw(r, library.SeedSize()))
		x, err := public.MarshalBinary()
		require.NoError(t, err)
		secret, err := private.MarshalBinary()
		require.NoError(t, err)
		entropy := draw(r, 56)
		shared, ciphertext, err := k.Encapsulate(bytes.NewReader(entropy), x, nil)
		require.NoError(t, err)
		ephemeral, err := crypt.X448Public(entropy)
		require.NoError(t, err)
		require.Equal(t, ephemeral, ciphertext)
		want, err := library.Decapsulate(private, ciphertext)
		require.NoError(t, err)
		require.Equal(t, want, shared)

		ciphertext, shared, err = library.Encapsulate(public)
		require.NoError(t, err)
		found, err := k.Decapsulate(secret, ciphertext)
		require.NoError(t, err)
		require.Equal(t, shared, found)
	}
	code := func(err error) wire.RC {
		var refused *crypt.Error
		require.ErrorAs(t, err, &refused)
		return refused.Code
	}
	for _, n := range []int{0, 32, 55, 57, 113} {
		_, _, err = k.Encapsulate(stream(1), make([]byte, n), nil)
		assert.Equal(t, wire.RCECCPoint, code(err), n)
		_, err = k.Decapsulate(make([]byte, 56), make([]byte, n))
		assert.Equal(t, wire.RCECCPoint, code(err), n)
		_, err = k.Decapsulate(make([]byte, n), make([]byte, 56))
		assert.Equal(t, wire.RCValue, code(err), n)
	}
	zero := make([]byte, 56) // of low order
	_, _, err = k.Encapsulate(stream(1), zero, nil)
	assert.Equal(t, wire.RCECCPoint, code(err))
	_, err = k.Decapsulate(zero, zero)
	assert.Equal(t, wire.RCECCPoint, code(err))
	broken := errors.New("broken")
	point, err := crypt.X448Public(zero)
	require.NoError(t, err)
	_, _, err = k.Encapsulate(iotest.ErrReader(broken), point, nil)
	assert.ErrorIs(t, err, broken)
}

func TestDHKEMRefuses(t *testing.T) {
	t.Parallel()
	code := func(err error) wire.RC {
		var refused *crypt.Error
		require.ErrorAs(t, err, &refused)
		return refused.Code
	}
	for _, pair := range []struct {
		curve wire.Curve
		hash  wire.AlgID
	}{
		{wire.CurveNISTP256, wire.AlgSHA384}, {wire.CurveNISTP384, wire.AlgSHA256}, {wire.CurveNISTP521, wire.AlgSHA256},
		{wire.CurveCurve25519, wire.AlgSHA512}, {wire.CurveCurve448, wire.AlgSHA256}, {wire.CurveNISTP224, wire.AlgSHA256}, {wire.CurveNone, wire.AlgNull},
	} {
		_, err := crypt.NewDHKEM(pair.curve, pair.hash)
		assert.Equal(t, wire.RCKDF, code(err))
	}
	for _, c := range dhkems {
		k, err := crypt.NewDHKEM(c.curve, c.hash)
		require.NoError(t, err)
		_, _, err = k.Encapsulate(stream(1), []byte{1}, []byte{1})
		assert.Equal(t, wire.RCECCPoint, code(err), "no point")
		key, err := c.library.DeriveKeyPair(make([]byte, 66))
		require.NoError(t, err)
		private, err := key.Bytes()
		require.NoError(t, err)
		public := key.PublicKey().Bytes()
		for _, bad := range [][]byte{nil, public[1:], append(bytes.Clone(public), 0), {0}, make([]byte, len(public))} {
			_, err = k.Decapsulate(private, bad)
			assert.Equal(t, wire.RCECCPoint, code(err), "%x", bad)
		}
		_, err = k.Decapsulate(bytes.Repeat([]byte{0xFF}, len(private)+1), public)
		assert.Equal(t, wire.RCValue, code(err))
		broken := errors.New("broken")
		x, y := public, []byte(nil)
		if c.curve != wire.CurveCurve25519 {
			x, y = public[1:1+len(public)/2], public[1+len(public)/2:]
		}
		_, _, err = k.Encapsulate(iotest.ErrReader(broken), x, y)
		assert.ErrorIs(t, err, broken)
	}
}
