// Package textbook has the signatures of SM2 (GB/T 32918.2) and Schnorr (TPM 2.0 Library,
// Part 1) on a plane curve, written as they are defined. It shares no code with the TPM, and
// checks a TPM where no library has the same. It is slow, and not for secrets.
package textbook

import (
	"crypto/elliptic"
	"hash"
	"math/big"
)

// A Plane is the points of an elliptic curve y² = x³ - 3x + b, in affine coordinates.
type Plane struct{ *elliptic.CurveParams }

// A Point is a point of a Plane; the zero value is the one at infinity.
type Point struct{ X, Y *big.Int }

// Base is the base point.
func (c Plane) Base() Point { return Point{c.Gx, c.Gy} }

// Sum is a + b.
func (c Plane) Sum(a, b Point) Point {
	var slope *big.Int
	switch {
	case a.X == nil:
		return b
	case b.X == nil:
		return a
	case a.X.Cmp(b.X) != 0:
		slope = c.quotient(new(big.Int).Sub(b.Y, a.Y), new(big.Int).Sub(b.X, a.X))
	case a.Y.Cmp(b.Y) != 0 || a.Y.Sign() == 0:
		return Point{}
	default:
		square := new(big.Int).Mul(a.X, a.X)
		square.Sub(square, big.NewInt(1)).Mul(square, big.NewInt(3))
		slope = c.quotient(square, new(big.Int).Lsh(a.Y, 1))
	}
	x := new(big.Int).Mul(slope, slope)
	x.Sub(x, a.X).Sub(x, b.X).Mod(x, c.P)
	y := new(big.Int).Sub(a.X, x)
	y.Mul(y, slope).Sub(y, a.Y).Mod(y, c.P)
	return Point{x, y}
}

func (c Plane) quotient(a, b *big.Int) *big.Int {
	b = new(big.Int).ModInverse(b.Mod(b, c.P), c.P)
	return b.Mul(a, b).Mod(b, c.P)
}

// Multiple is k times a.
func (c Plane) Multiple(k *big.Int, a Point) (product Point) {
	for i := k.BitLen() - 1; i >= 0; i-- {
		product = c.Sum(product, product)
		if k.Bit(i) == 1 {
			product = c.Sum(product, a)
		}
	}
	return product
}

// Commitment is [s]G - [r]Q, the point that is hashed in a signature of Schnorr's.
func (c Plane) Commitment(q Point, r, s *big.Int) Point {
	minus := new(big.Int).Mod(new(big.Int).Neg(r), c.N)
	return c.Sum(c.Multiple(s, c.Base()), c.Multiple(minus, q))
}

// Schnorr is H(x || digest) as a number (Part 1, annex "EC Schnorr").
func (c Plane) Schnorr(newHash func() hash.Hash, x *big.Int, digest []byte) *big.Int {
	h := newHash()
	h.Write(x.FillBytes(make([]byte, (c.BitSize+7)/8)))
	h.Write(digest)
	return new(big.Int).SetBytes(h.Sum(nil))
}

// SM2Digest is the digest of a message with the identity of who signs (GB/T 32918.2,
// sections 5.5 and 6.1).
func (c Plane) SM2Digest(newHash func() hash.Hash, q Point, identity, message []byte) []byte {
	h := newHash()
	h.Write([]byte{byte(len(identity) >> 5), byte(len(identity) << 3)})
	h.Write(identity)
	a := new(big.Int).Sub(c.P, big.NewInt(3))
	for _, v := range []*big.Int{a, c.B, c.Gx, c.Gy, q.X, q.Y} {
		h.Write(v.FillBytes(make([]byte, (c.BitSize+7)/8)))
	}
	z := h.Sum(nil)
	h.Reset()
	h.Write(z)
	h.Write(message)
	return h.Sum(nil)
}

// VerifySM2 reports whether r and s sign a digest (section 7.1).
func (c Plane) VerifySM2(q Point, digest []byte, r, s *big.Int) bool {
	t := new(big.Int).Add(r, s)
	p := c.Sum(c.Multiple(s, c.Base()), c.Multiple(t.Mod(t, c.N), q))
	if p.X == nil {
		return false
	}
	e := new(big.Int).SetBytes(digest)
	return e.Add(e, p.X).Mod(e, c.N).Cmp(r) == 0
}

// SignSM2 signs a digest with the number k (section 6.1).
func (c Plane) SignSM2(d, k *big.Int, digest []byte) (r, s *big.Int) {
	r = new(big.Int).SetBytes(digest)
	r.Add(r, c.Multiple(k, c.Base()).X).Mod(r, c.N)
	s = new(big.Int).Mul(r, d)
	s.Sub(k, s).Mul(s, new(big.Int).ModInverse(new(big.Int).Add(d, big.NewInt(1)), c.N))
	return r, s.Mod(s, c.N)
}
