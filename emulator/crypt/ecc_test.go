package crypt_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/hex"
	"fmt"
	"math/big"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// every is the curves of the package.
var every = []wire.Curve{wire.CurveNISTP192, wire.CurveNISTP224, wire.CurveNISTP256, wire.CurveNISTP384,
	wire.CurveNISTP521, wire.CurveBNP256, wire.CurveBNP638, wire.CurveSM2P256}

func seeded(seed byte) *crypt.DRBGState {
	var s crypt.DRBGState
	s.Instantiate(&[crypt.DRBGSeedSize]byte{seed})
	return &s
}

func hexInt(t testing.TB, s string) *big.Int {
	if len(s)%2 != 0 {
		s = "0" + s
	}
	return new(big.Int).SetBytes(unhex(t, s))
}

// drawn is a source that makes GenerateScalar draw k.
func drawn(c *crypt.Curve, k *big.Int) *bytes.Reader {
	return bytes.NewReader(new(big.Int).Sub(k, big.NewInt(1)).FillBytes(make([]byte, c.OrderSize()+8)))
}

// RFC 6979, appendix A.2, message "sample": with the ephemeral key given there.
func TestECDSAKnownAnswers(t *testing.T) {
	t.Parallel()
	for _, v := range []struct {
		curve      wire.Curve
		hash       wire.AlgID
		d, k, r, s string
	}{
		{wire.CurveNISTP192, wire.AlgSHA256, "6FAB034934E4C0FC9AE67F5B5659A9D7D1FEFD187EE09FD4",
			"32B1B6D7D42A05CB449065727A84804FB1A3E34D8F261496",
			"4B0B8CE98A92866A2820E20AA6B75B56382E0F9BFD5ECB55",
			"CCDB006926EA9565CBADC840829D8C384E06DE1F1E381B85"},
		{wire.CurveNISTP256, wire.AlgSHA256, "C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721",
			"A6E3C57DD01ABE90086538398355DD4C3B17AA873382B0F24D6129493D8AAD60",
			"EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716",
			"F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8"},
		{wire.CurveNISTP521, wire.AlgSHA512, "0FAD06DAA62BA3B25D2FB40133DA757205DE67F5BB0018FEE8C86E1B68C7E75CAA896EB32F1F47C70855836A6D16FCC1466F6D8FBEC67DB89EC0C08B0E996B83538",
			"1DAE2EA071F8110DC26882D4D5EAE0621A3256FC8847FB9022E2B7D28E6F10198B1574FDD03A9053C08A1854A168AA5A57470EC97DD5CE090124EF52A2F7ECBFFD3",
			"0C328FAFCBD79DD77850370C46325D987CB525569FB63C5D3BC53950E6D4C5F174E25A1EE9017B5D450606ADD152B534931D7D4E8455CC91F9B15BF05EC36E377FA",
			"0617CCE7CF5064806C467F678D3B4080D6F1CC50AF26CA209417308281B68AF282623EAA63E5B5C0723D8B8C37FF0777B1A20F8CCB1DCCC43997F1EE0E44DA4A67A"},
	} {
		c := crypt.CurveOf(v.curve)
		digest := crypt.Digest(v.hash, nil, []byte("sample"))
		d := hexInt(t, v.d)
		r, s, err := c.SignECDSA(drawn(c, hexInt(t, v.k)), d, digest)
		require.NoError(t, err)
		assert.Zero(t, hexInt(t, v.r).Cmp(r), "%#x", v.curve)
		assert.Zero(t, hexInt(t, v.s).Cmp(s), "%#x", v.curve)
		assert.True(t, c.VerifyECDSA(c.BaseMult(d), digest, r, s))
	}
}

func TestECDSA(t *testing.T) {
	t.Parallel()
	std := map[wire.Curve]elliptic.Curve{wire.CurveNISTP224: elliptic.P224(), wire.CurveNISTP256: elliptic.P256(),
		wire.CurveNISTP384: elliptic.P384(), wire.CurveNISTP521: elliptic.P521()}
	for _, id := range every {
		c, gen := crypt.CurveOf(id), seeded(1)
		d, q, err := c.GenerateKey(gen)
		require.NoError(t, err)
		for _, size := range []int{20, 64, 100} { // the last is longer than any order
			name := fmt.Sprintf("%#x %d", id, size)
			digest := crypt.KDFa(wire.AlgSHA256, []byte(name), "digest", nil, nil, 8*size)
			r, s, err := c.SignECDSA(gen, d, digest)
			require.NoError(t, err)
			require.True(t, c.VerifyECDSA(q, digest, r, s), name)
			if e := std[id]; e != nil {
				x, y := c.EncodePoint(q)
				pub, err := ecdsa.ParseUncompressedPublicKey(e, append(append([]byte{4}, x...), y...))
				require.NoError(t, err)
				assert.True(t, ecdsa.Verify(pub, digest, r, s), name)
			}
			one := big.NewInt(1)
			digest[0] ^= 1
			assert.False(t, c.VerifyECDSA(q, digest, r, s), name)
			digest[0] ^= 1
			assert.False(t, c.VerifyECDSA(q, digest, new(big.Int).Add(r, one), s))
			assert.False(t, c.VerifyECDSA(q, digest, r, new(big.Int).Add(s, one)))
			assert.False(t, c.VerifyECDSA(q, digest, r, new(big.Int).Add(s, c.N)), "s above the order")
			assert.False(t, c.VerifyECDSA(q, digest, new(big.Int), s))
			assert.False(t, c.VerifyECDSA(q, digest, r, new(big.Int)))
			assert.False(t, c.VerifyECDSA(c.Base(), digest, r, s), "another key")
			assert.False(t, c.VerifyECDSA(crypt.Point{X: q.Y, Y: q.X}, digest, r, s), "no key")
		}
	}
}

// The same state of the generator gives the same signature.
func TestSignaturesAreDeterministic(t *testing.T) {
	t.Parallel()
	c := crypt.CurveOf(wire.CurveNISTP256)
	sign := func(seed byte) string {
		gen := seeded(seed)
		d, _, err := c.GenerateKey(gen)
		require.NoError(t, err)
		r, s, err := c.SignECDSA(gen, d, []byte("digest"))
		require.NoError(t, err)
		return hex.EncodeToString(append(c.EncodeScalar(r), c.EncodeScalar(s)...))
	}
	assert.Equal(t, sign(1), sign(1))
	assert.NotEqual(t, sign(1), sign(2))
}

func TestECSchnorr(t *testing.T) {
	t.Parallel()
	for _, id := range every {
		c, gen := crypt.CurveOf(id), seeded(1)
		d, q, err := c.GenerateKey(gen)
		require.NoError(t, err)
		for i, hash := range supported(t) {
			if i > 1 && id != wire.CurveNISTP256 {
				break
			}
			digest := crypt.Digest(hash, nil, []byte("message"))
			r, s, err := c.SignECSchnorr(gen, d, hash, digest)
			require.NoError(t, err)
			require.True(t, c.VerifyECSchnorr(q, hash, digest, r, s), "%#x %v", id, hash)
			digest[3] ^= 1
			assert.False(t, c.VerifyECSchnorr(q, hash, digest, r, s))
			digest[3] ^= 1
			assert.False(t, c.VerifyECSchnorr(c.Base(), hash, digest, r, s))
			assert.False(t, c.VerifyECSchnorr(q, hash, digest, r, new(big.Int).Add(s, big.NewInt(1))))
			assert.False(t, c.VerifyECSchnorr(q, hash, digest, r, new(big.Int).Add(s, c.N)))
			assert.False(t, c.VerifyECSchnorr(q, hash, digest, new(big.Int), s))
			assert.False(t, c.VerifyECSchnorr(q, wire.AlgNull, digest, r, s))
		}
		_, _, err = c.SignECSchnorr(gen, d, wire.AlgNull, nil)
		assertCode(t, wire.RCScheme, err)
	}
}

// An ECDAA signature proves knowledge of d for the commitment R = [r]G: s times
// G is R plus T times Q, where T hashes the nonce and the digest.
func TestECDAA(t *testing.T) {
	t.Parallel()
	for _, id := range every {
		c, gen := crypt.CurveOf(id), seeded(9)
		d, q, err := c.GenerateKey(gen)
		require.NoError(t, err)
		name, secret := []byte("name"), []byte("commit nonce")
		r, err := c.CommitNumber(wire.AlgSHA512, secret, name, 7)
		require.NoError(t, err)
		require.True(t, c.ValidScalar(r))
		again, err := c.CommitNumber(wire.AlgSHA512, secret, name, 7)
		require.NoError(t, err)
		assert.Zero(t, r.Cmp(again))
		for _, other := range []func() (*big.Int, error){
			func() (*big.Int, error) { return c.CommitNumber(wire.AlgSHA512, secret, name, 8) },
			func() (*big.Int, error) { return c.CommitNumber(wire.AlgSHA512, secret, nil, 7) },
			func() (*big.Int, error) { return c.CommitNumber(wire.AlgSHA512, name, name, 7) },
		} {
			x, err := other()
			require.NoError(t, err)
			assert.NotZero(t, r.Cmp(x))
		}

		b, m := c.BaseMult(big.NewInt(5)), c.BaseMult(big.NewInt(6))
		k, l, e, err := c.Commit(d, r, m, b)
		require.NoError(t, err)
		assert.True(t, k.Equal(c.Mult(b, d)))
		assert.True(t, l.Equal(c.Mult(b, r)))
		assert.True(t, e.Equal(c.Mult(m, r)))
		k, l, e, err = c.Commit(d, r, crypt.Point{}, b)
		require.NoError(t, err)
		assert.True(t, !k.Infinity() && !l.Infinity() && e.Infinity())
		k, l, e, err = c.Commit(d, r, crypt.Point{}, crypt.Point{})
		require.NoError(t, err)
		assert.True(t, k.Infinity() && l.Infinity() && e.Equal(c.BaseMult(r)))

		digest := []byte("the digest to sign")
		nonce, s, err := c.SignECDAA(gen, d, r, wire.AlgSHA256, digest)
		require.NoError(t, err)
		assert.Len(t, nonce, c.OrderSize())
		tt := new(big.Int).SetBytes(crypt.Digest(wire.AlgSHA256, nil, append(nonce, digest...)))
		assert.True(t, c.BaseMult(s).Equal(c.Add(e, c.Mult(q, tt))), "%#x", id)

		_, _, err = c.SignECDAA(gen, d, r, wire.AlgNull, digest)
		assertCode(t, wire.RCScheme, err)
		_, err = c.CommitNumber(wire.AlgNull, secret, name, 7)
		assertCode(t, wire.RCHash, err)
		_, _, _, err = c.Commit(d, new(big.Int), m, crypt.Point{})
		assertCode(t, wire.RCNoResult, err)
		_, _, _, err = c.Commit(new(big.Int), r, crypt.Point{}, b)
		assertCode(t, wire.RCNoResult, err)
	}
}

// broken is a source of nothing but zeros and, after some draws, of an error.
type broken struct{ draws int }

func (b *broken) Read(p []byte) (int, error) {
	if b.draws == 0 {
		return 0, fmt.Errorf("no entropy")
	}
	b.draws--
	clear(p)
	return len(p), nil
}

func TestSigningFailsWithItsSource(t *testing.T) {
	t.Parallel()
	c := crypt.CurveOf(wire.CurveNISTP256)
	d := big.NewInt(7)
	_, _, err := c.SignECDSA(&broken{}, d, nil)
	assert.ErrorContains(t, err, "no entropy")
	_, _, err = c.SignECSchnorr(&broken{}, d, wire.AlgSHA256, nil)
	assert.ErrorContains(t, err, "no entropy")
	_, _, err = c.SignECDAA(&broken{}, d, d, wire.AlgSHA256, nil)
	assert.ErrorContains(t, err, "no entropy")

	// With k = 1 and d = -e/r the number s is 0 for ever.
	e := crypt.Digest(wire.AlgSHA256, nil, []byte("x"))
	r := new(big.Int).Mod(c.Gx, c.N)
	bad := new(big.Int).Neg(new(big.Int).SetBytes(e))
	bad.Mul(bad, new(big.Int).ModInverse(r, c.N)).Mod(bad, c.N)
	_, _, err = c.SignECDSA(&broken{draws: 1 << 20}, bad, e)
	assertCode(t, wire.RCNoResult, err)
}

func BenchmarkECDSA(b *testing.B) {
	for name, id := range map[string]wire.Curve{"P-256": wire.CurveNISTP256, "P-384": wire.CurveNISTP384} {
		c, gen := crypt.CurveOf(id), seeded(1)
		d, q, err := c.GenerateKey(gen)
		require.NoError(b, err)
		digest := make([]byte, 32)
		r, s, err := c.SignECDSA(gen, d, digest)
		require.NoError(b, err)
		b.Run(name+"/sign", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := c.SignECDSA(gen, d, digest); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/verify", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !c.VerifyECDSA(q, digest, r, s) {
					b.Fatal("not valid")
				}
			}
		})
	}
}
