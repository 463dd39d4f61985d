package crypt

import (
	"bytes"
	"crypto/ecdh"
	"crypto/elliptic"
	"encoding/hex"
	"errors"
	"io"
	"math/big"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// drbg is a generator that gives the same for the same seed.
func drbg(seed byte) *DRBGState {
	var s DRBGState
	s.Instantiate(ramp(seed))
	return &s
}

func number(t testing.TB, s string) *big.Int {
	t.Helper()
	x, ok := new(big.Int).SetString(s, 16)
	require.True(t, ok, s)
	return x
}

func TestCurveConstants(t *testing.T) {
	t.Parallel()
	sizes := map[wire.Curve]int{wire.CurveNISTP192: 192, wire.CurveNISTP224: 224, wire.CurveNISTP256: 256, wire.CurveNISTP384: 384,
		wire.CurveNISTP521: 521, wire.CurveBNP256: 256, wire.CurveBNP638: 638, wire.CurveSM2P256: 256}
	for _, c := range curves {
		assert.Same(t, c, CurveOf(c.ID))
		assert.Equal(t, sizes[c.ID], c.Bits, "%#x", c.ID)
		assert.True(t, c.P.ProbablyPrime(20), "%#x", c.ID)
		assert.True(t, c.N.ProbablyPrime(20), "%#x", c.ID)
		assert.True(t, c.OnCurve(c.Base()), "%#x", c.ID)
		last := new(big.Int).Sub(c.N, big.NewInt(1))
		assert.True(t, c.Mult(c.Base(), last).Equal(c.Neg(c.Base())), "%#x: the base point has order N", c.ID)
		assert.True(t, c.Add(c.BaseMult(last), c.Base()).Infinity())
		assert.True(t, c.BaseMult(c.N).Infinity())
	}
	assert.Len(t, curves, len(sizes))
	assert.Nil(t, CurveOf(wire.CurveNone))
	assert.Nil(t, CurveOf(wire.CurveCurve25519))
	assert.Nil(t, CurveOf(wire.CurveCurve448))
	assert.Equal(t, 66, CurveOf(wire.CurveNISTP521).FieldSize())
	assert.Equal(t, 66, CurveOf(wire.CurveNISTP521).OrderSize())
}

// The example key of GB/T 32918.5, annex A.
func TestSM2KnownKey(t *testing.T) {
	t.Parallel()
	c := CurveOf(wire.CurveSM2P256)
	x, y := c.EncodePoint(c.BaseMult(number(t, "3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8")))
	assert.Equal(t, "09f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020", hex.EncodeToString(x))
	assert.Equal(t, "ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13", hex.EncodeToString(y))
}

// Our own arithmetic gives on NIST curves what the standard library's gives.
func TestArithmeticAgreesWithTheStandardLibrary(t *testing.T) {
	t.Parallel()
	for _, std := range []elliptic.Curve{elliptic.P224(), elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		fast := nistCurve(0, std)
		slow := *fast
		slow.std = nil
		gen := drbg(1)
		for range 4 {
			j, err := fast.GenerateScalar(gen)
			require.NoError(t, err)
			k, p, err := fast.GenerateKey(gen)
			require.NoError(t, err)
			require.True(t, fast.OnCurve(p))
			require.True(t, p.Equal(slow.BaseMult(k)))
			q := fast.Mult(p, j)
			require.True(t, q.Equal(slow.Mult(p, j)))
			more := new(big.Int).Add(j, fast.N)
			require.True(t, q.Equal(slow.Mult(p, more)))
			require.True(t, q.Equal(fast.Mult(p, more)))
			for _, c := range []*Curve{fast, &slow} {
				require.True(t, c.Add(p, q).Equal(fast.BaseMult(new(big.Int).Mul(k, new(big.Int).Add(j, big.NewInt(1))))))
				require.True(t, c.Add(p, p).Equal(fast.Mult(p, big.NewInt(2))))
				require.True(t, c.Add(p, c.Neg(p)).Infinity())
				require.True(t, c.Add(p, Point{}).Equal(p))
				require.True(t, c.Add(Point{}, p).Equal(p))
				require.True(t, c.Mult(Point{}, k).Infinity())
				require.True(t, c.Mult(p, new(big.Int)).Infinity())
				require.True(t, c.BaseMult(new(big.Int)).Infinity())
			}
		}
	}
	assert.True(t, Point{}.Equal(Point{}))
	assert.False(t, Point{}.Equal(curves[0].Base()))
	assert.True(t, curves[0].Neg(Point{}).Infinity())
}

func TestECDHAgreesWithTheStandardLibrary(t *testing.T) {
	t.Parallel()
	for id, std := range map[wire.Curve]ecdh.Curve{wire.CurveNISTP256: ecdh.P256(), wire.CurveNISTP384: ecdh.P384(), wire.CurveNISTP521: ecdh.P521()} {
		c, gen := CurveOf(id), drbg(2)
		d, q, err := c.GenerateKey(gen)
		require.NoError(t, err)
		e, r, err := c.GenerateKey(gen)
		require.NoError(t, err)
		private, err := std.NewPrivateKey(c.EncodeScalar(d))
		require.NoError(t, err)
		x, y := c.EncodePoint(r)
		public, err := std.NewPublicKey(append(append([]byte{4}, x...), y...))
		require.NoError(t, err)
		want, err := private.ECDH(public)
		require.NoError(t, err)
		got, err := c.ECDH(d, r)
		require.NoError(t, err)
		assert.Equal(t, want, got)
		got, err = c.ECDH(e, q)
		require.NoError(t, err)
		assert.Equal(t, want, got)
		_, err = c.ECDH(new(big.Int), r)
		var refused *Error
		require.ErrorAs(t, err, &refused)
		assert.Equal(t, wire.RCNoResult, refused.Code)
	}
}

func TestDecodePoint(t *testing.T) {
	t.Parallel()
	for _, c := range curves {
		_, p, err := c.GenerateKey(drbg(3))
		require.NoError(t, err)
		x, y := c.EncodePoint(p)
		require.Len(t, x, c.FieldSize())
		q, err := c.DecodePoint(x, y)
		require.NoError(t, err)
		assert.True(t, p.Equal(q))

		q, err = c.DecodePoint(append(make([]byte, 1), x...), append(make([]byte, 40), y...))
		require.NoError(t, err, "zeros in front are no part of a number")
		assert.True(t, p.Equal(q))

		long := append([]byte{1}, x...)
		other := bytes.Clone(y)
		other[len(other)-1] ^= 1
		above := new(big.Int).Add(p.X, c.P).FillBytes(make([]byte, c.FieldSize()+1))
		for name, point := range map[string][2][]byte{
			"too long": {long, y}, "off the curve": {x, other}, "swapped": {y, x}, "nothing": {nil, nil}, "x above P": {above, y},
		} {
			_, err := c.DecodePoint(point[0], point[1])
			var refused *Error
			require.ErrorAs(t, err, &refused, name)
			assert.Equal(t, wire.RCECCPoint, refused.Code)
		}
	}
	p521 := CurveOf(wire.CurveNISTP521)
	over := new(big.Int).Add(p521.Gx, p521.P)
	require.Len(t, over.Bytes(), p521.FieldSize(), "it fits the size but not the field")
	_, err := p521.DecodePoint(over.Bytes(), p521.Gy.Bytes())
	assert.Error(t, err)

	// A BN curve has a base point with short coordinates.
	bn := CurveOf(wire.CurveBNP256)
	p, err := bn.DecodePoint([]byte{1}, []byte{0, 2})
	require.NoError(t, err)
	assert.True(t, p.Equal(bn.Base()))
	x, y := bn.EncodePoint(Point{})
	assert.Nil(t, x)
	assert.Nil(t, y)
}

// tiny is a curve of prime order with some two hundred points, two of which have
// x = 0, and its points in the order of multiples of the first one, found by
// trying.
func tiny(t *testing.T) (*Curve, []Point) {
	t.Helper()
	const p = 223
	for b := int64(1); b < p; b++ {
		points, zero := 1, false // infinity
		var base Point
		for x := range int64(p) {
			for y := range int64(p) {
				if y*y%p == (x*x*x+5*x+b)%p {
					points++
					zero = zero || x == 0
					base = Point{big.NewInt(x), big.NewInt(y)}
				}
			}
		}
		n := big.NewInt(int64(points))
		if zero && points < 230 && n.ProbablyPrime(10) {
			c := &Curve{Bits: 8, P: big.NewInt(p), A: big.NewInt(5), B: big.NewInt(b), Gx: base.X, Gy: base.Y, N: n, H: 1}
			multiples := []Point{{}}
			for range points - 1 {
				multiples = append(multiples, chord(c, multiples[len(multiples)-1], base))
			}
			return c, multiples
		}
	}
	require.Fail(t, "no curve of prime order")
	return nil, nil
}

// chord adds two points as the definition says.
func chord(c *Curve, p, q Point) Point {
	if p.Infinity() {
		return q
	}
	if q.Infinity() {
		return p
	}
	over, under := c.sub(q.Y, p.Y), c.sub(q.X, p.X)
	if under.Sign() == 0 {
		if over.Sign() != 0 || p.Y.Sign() == 0 {
			return Point{}
		}
		over = new(big.Int).Mul(p.X, p.X)
		over.Mul(over, big.NewInt(3)).Add(over, c.A)
		under = new(big.Int).Lsh(p.Y, 1)
	}
	slope := c.mul(over, new(big.Int).ModInverse(under.Mod(under, c.P), c.P))
	x := c.sub(c.mul(slope, slope), new(big.Int).Add(p.X, q.X))
	return Point{x, c.sub(c.mul(slope, c.sub(p.X, x)), p.Y)}
}

// All sums and products of a small curve.
func TestArithmeticOfASmallCurve(t *testing.T) {
	t.Parallel()
	c, points := tiny(t)
	n := len(points)
	for i, p := range points {
		for j, q := range points {
			require.True(t, c.Add(p, q).Equal(points[(i+j)%n]), "%d + %d", i, j)
			if i%16 == 1 {
				require.True(t, c.Mult(p, big.NewInt(int64(j))).Equal(points[i*j%n]), "%d × %d", i, j)
			}
		}
		require.True(t, c.Neg(p).Equal(points[(n-i)%n]))
	}
}

// On a curve of some two hundred points the numbers that a signature must not
// have come up all the time.
func TestSignaturesOfASmallCurve(t *testing.T) {
	t.Parallel()
	c, points := tiny(t)
	gen := drbg(1)
	digest := []byte{0}
	for i := range 300 {
		d := big.NewInt(int64(1 + i%(len(points)-1)))
		q := c.BaseMult(d)
		digest[0] = byte(i)
		r, s, err := c.SignECSchnorr(gen, d, wire.AlgSHA256, digest)
		require.NoError(t, err)
		require.True(t, c.ValidScalar(r) && c.ValidScalar(s))
		require.True(t, c.VerifyECSchnorr(q, wire.AlgSHA256, digest, r, s))
		r, s, err = c.SignECDSA(gen, d, digest)
		require.NoError(t, err)
		require.True(t, c.ValidScalar(r) && c.ValidScalar(s))
		require.True(t, c.VerifyECDSA(q, digest, r, s))
		r, err = c.CommitNumber(wire.AlgSHA256, digest, nil, uint64(i))
		require.NoError(t, err)
		require.True(t, c.ValidScalar(r) && r.BitLen() > 4)
	}
}

// More of the same, for what comes up once in two hundred signatures.
func TestRareNumbersOfASmallCurve(t *testing.T) {
	t.Parallel()
	c, points := tiny(t)
	gen, d, digest := drbg(2), big.NewInt(17), make([]byte, 2)
	q := c.BaseMult(d)
	for i := range 1500 {
		digest[0], digest[1] = byte(i>>8), byte(i)
		nonce, s, err := c.SignECDAA(gen, d, big.NewInt(5), wire.AlgSHA256, digest)
		require.NoError(t, err)
		require.True(t, c.ValidScalar(s))
		hash := new(big.Int).SetBytes(Digest(wire.AlgSHA256, nil, append(nonce, digest...)))
		require.NotZero(t, hash.Mod(hash, c.N).Sign(), "the digest must take part")

		r, s, err := c.SignSM2(gen, d, digest)
		require.NoError(t, err)
		require.True(t, c.ValidScalar(r) && c.ValidScalar(s))
		require.True(t, c.VerifySM2(q, digest, r, s))
	}
	_, _, err := c.SignSM2(gen, new(big.Int).Sub(c.N, big.NewInt(1)), digest)
	require.Error(t, err)

	// With r + s = 0 the public key would not take part.
	forged := 0
	for s := int64(1); s < int64(len(points)); s++ {
		r := new(big.Int).Sub(c.N, big.NewInt(s))
		e := new(big.Int).Sub(r, points[s].X)
		digest := e.Mod(e, c.N).Bytes()
		require.False(t, c.VerifySM2(q, digest, r, big.NewInt(s)))
		forged++
	}
	require.Equal(t, len(points)-1, forged)
}

// A source that runs dry.
type dry struct{ n int }

var errDry = errors.New("dry")

func (d *dry) Read(p []byte) (int, error) {
	if d.n == 0 {
		return 0, errDry
	}
	d.n--
	return len(p), nil
}

func TestGenerateScalar(t *testing.T) {
	t.Parallel()
	for _, c := range curves {
		less := new(big.Int).Sub(c.N, big.NewInt(1))
		for _, v := range []struct{ drawn, want *big.Int }{
			{new(big.Int), big.NewInt(1)},
			{less, big.NewInt(1)},
			{new(big.Int).Sub(less, big.NewInt(1)), less},
		} {
			d, err := c.GenerateScalar(bytes.NewReader(v.drawn.FillBytes(make([]byte, c.OrderSize()+8))))
			require.NoError(t, err)
			assert.Zero(t, v.want.Cmp(d))
			assert.True(t, c.ValidScalar(d))
		}
		_, err := c.GenerateScalar(bytes.NewReader(make([]byte, c.OrderSize()+7)))
		assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
		_, _, err = c.GenerateKey(&dry{})
		assert.ErrorIs(t, err, errDry)
		assert.False(t, c.ValidScalar(c.N))
		assert.False(t, c.ValidScalar(new(big.Int)))
		assert.False(t, c.ValidScalar(big.NewInt(-1)))
	}
}

func FuzzDecodePoint(f *testing.F) {
	for _, c := range curves {
		x, y := c.EncodePoint(c.Base())
		f.Add(uint16(c.ID), x, y)
	}
	f.Fuzz(func(t *testing.T, id uint16, x, y []byte) {
		c := CurveOf(wire.Curve(id))
		if c == nil {
			return
		}
		p, err := c.DecodePoint(x, y)
		if err != nil {
			return
		}
		a, b := c.EncodePoint(p)
		require.Zero(t, new(big.Int).SetBytes(x).Cmp(new(big.Int).SetBytes(a)))
		require.Zero(t, new(big.Int).SetBytes(y).Cmp(new(big.Int).SetBytes(b)))
		c.Mult(p, big.NewInt(5))
		c.Add(p, c.Neg(p))
	})
}

func BenchmarkPoint(b *testing.B) {
	for _, id := range []wire.Curve{wire.CurveNISTP256, wire.CurveNISTP384, wire.CurveNISTP521, wire.CurveBNP256, wire.CurveSM2P256} {
		c := CurveOf(id)
		d, q, err := c.GenerateKey(drbg(1))
		require.NoError(b, err)
		name := map[wire.Curve]string{wire.CurveNISTP256: "P-256", wire.CurveNISTP384: "P-384", wire.CurveNISTP521: "P-521",
			wire.CurveBNP256: "BN-256", wire.CurveSM2P256: "SM2"}[id]
		b.Run(name+"/generate", func(b *testing.B) {
			b.ReportAllocs()
			gen := drbg(1)
			for b.Loop() {
				if _, _, err := c.GenerateKey(gen); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/ecdh", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.ECDH(d, q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
