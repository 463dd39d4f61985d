package crypt

import (
	"bytes"
	"crypto/elliptic"
	"math/big"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Curve is an elliptic curve y² = x³ + Ax + B over the field of P elements
// (TCG Algorithm Registry rev 1.34, chapter "ECC Curves"). It is read-only, the
// numbers included, and may be shared.
type Curve struct {
	ID     wire.Curve
	Bits   int // of P, which is the key size
	P      *big.Int
	A, B   *big.Int
	Gx, Gy *big.Int // the base point
	N      *big.Int // its order
	H      int      // the cofactor

	std elliptic.Curve // where the standard library has the curve, else nil
}

// curves are the curves that CurveOf knows, in ascending order of ID. NIST
// curves are those of FIPS 186-4, appendix D.1.2, BN curves those of ISO/IEC
// 15946-5, SM2 that of GB/T 32918.5.
var curves = []*Curve{
	newCurve(wire.CurveNISTP192, nil,
		"fffffffffffffffffffffffffffffffeffffffffffffffff",
		"fffffffffffffffffffffffffffffffefffffffffffffffc",
		"64210519e59c80e70fa7e9ab72243049feb8deecc146b9b1",
		"188da80eb03090f67cbf20eb43a18800f4ff0afd82ff1012",
		"07192b95ffc8da78631011ed6b24cdd573f977a11e794811",
		"ffffffffffffffffffffffff99def836146bc9b1b4d22831"),
	nistCurve(wire.CurveNISTP224, elliptic.P224()),
	nistCurve(wire.CurveNISTP256, elliptic.P256()),
	nistCurve(wire.CurveNISTP384, elliptic.P384()),
	nistCurve(wire.CurveNISTP521, elliptic.P521()),
	newCurve(wire.CurveBNP256, nil,
		"fffffffffffcf0cd46e5f25eee71a49f0cdc65fb12980a82d3292ddbaed33013",
		"0", "3", "1", "2",
		"fffffffffffcf0cd46e5f25eee71a49e0cdc65fb1299921af62d536cd10b500d"),
	newCurve(wire.CurveBNP638, nil,
		"23fffffdc000000d7fffffb8000001d3fffff942d000165e3fff94870000d52ffffdd0e00008de55"+
			"c00086520021e55bfffff51ffff4eb800000004c80015acdffffffffffffece00000000000000067",
		"0", "101",
		"23fffffdc000000d7fffffb8000001d3fffff942d000165e3fff94870000d52ffffdd0e00008de55"+
			"c00086520021e55bfffff51ffff4eb800000004c80015acdffffffffffffece00000000000000066",
		"10",
		"23fffffdc000000d7fffffb8000001d3fffff942d000165e3fff94870000d52ffffdd0e00008de55"+
			"600086550021e555fffff54ffff4eac000000049800154d9ffffffffffffeda00000000000000061"),
	newCurve(wire.CurveSM2P256, nil,
		"fffffffeffffffffffffffffffffffffffffffff00000000ffffffffffffffff",
		"fffffffeffffffffffffffffffffffffffffffff00000000fffffffffffffffc",
		"28e9fa9e9d9f5e344d5a9e4bcf6509a7f39789f515ab8f92ddbcbd414d940e93",
		"32c4ae2c1f1981195f9904466a39c9948fe30bbff2660be1715a4589334c74c7",
		"bc3736a2f4f6779c59bdcee36b692153d0a9877cc62a474002df32e52139f0a0",
		"fffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54123"),
}

func newCurve(id wire.Curve, std elliptic.Curve, p, a, b, gx, gy, n string) *Curve {
	c := &Curve{ID: id, H: 1, std: std,
		P: constant(p), A: constant(a), B: constant(b), Gx: constant(gx), Gy: constant(gy), N: constant(n)}
	c.Bits = c.P.BitLen()
	return c
}

func nistCurve(id wire.Curve, std elliptic.Curve) *Curve {
	p := std.Params()
	return &Curve{ID: id, Bits: p.BitSize, P: p.P, A: new(big.Int).Sub(p.P, big.NewInt(3)), B: p.B,
		Gx: p.Gx, Gy: p.Gy, N: p.N, H: 1, std: std}
}

func constant(hex string) *big.Int {
	x, ok := new(big.Int).SetString(hex, 16)
	if !ok {
		panic("internal error: a curve constant is no number: " + hex)
	}
	return x
}

// CurveOf gives a curve, nil if this package does not know it and for those that
// [MontgomeryCurveOf] gives, which have no such equation.
func CurveOf(id wire.Curve) *Curve {
	for _, c := range curves {
		if c.ID == id {
			return c
		}
	}
	return nil
}

// Curves are the curves of this package, in ascending order: those that CurveOf knows,
// and then those that MontgomeryCurveOf knows.
func Curves() []wire.Curve {
	var list []wire.Curve
	for _, c := range curves {
		list = append(list, c.ID)
	}
	for i := range montgomeryCurves {
		list = append(list, montgomeryCurves[i].ID)
	}
	return list
}

// FieldSize is the size in bytes of a coordinate of one of Curves, 0 for another curve. A
// point of Ed448 has another byte, see [MontgomeryCurve.SigningSize].
func FieldSize(id wire.Curve) int {
	if m := MontgomeryCurveOf(id); m != nil {
		return m.ExchangeSize()
	}
	if c := CurveOf(id); c != nil {
		return c.FieldSize()
	}
	return 0
}

// FieldSize is the size in bytes of a coordinate.
func (c *Curve) FieldSize() int { return (c.Bits + 7) / 8 }

// OrderSize is the size in bytes of a scalar and of the parts of a signature.
func (c *Curve) OrderSize() int { return (c.N.BitLen() + 7) / 8 }

// Point is a point of a curve. The zero Point is the point at infinity. Points
// and their coordinates are not changed once made.
type Point struct{ X, Y *big.Int }

// Infinity reports whether p is the point at infinity, which a TPM neither takes
// nor gives.
func (p Point) Infinity() bool { return p.X == nil }

// Equal reports whether two points of one curve are the same.
func (p Point) Equal(q Point) bool {
	if p.Infinity() || q.Infinity() {
		return p.Infinity() == q.Infinity()
	}
	return p.X.Cmp(q.X) == 0 && p.Y.Cmp(q.Y) == 0
}

// Base is the base point.
func (c *Curve) Base() Point { return Point{c.Gx, c.Gy} }

// OnCurve reports whether p is a point of the curve other than infinity, with
// coordinates below P.
func (c *Curve) OnCurve(p Point) bool {
	if p.Infinity() || p.X.Sign() < 0 || p.Y.Sign() < 0 || p.X.Cmp(c.P) >= 0 || p.Y.Cmp(c.P) >= 0 {
		return false
	}
	right := new(big.Int).Mul(p.X, p.X)
	right.Add(right, c.A)
	right.Mul(right, p.X)
	right.Add(right, c.B)
	left := new(big.Int).Mul(p.Y, p.Y)
	left.Sub(left, right)
	return left.Mod(left, c.P).Sign() == 0
}

// DecodePoint makes a point from coordinates of a TPMS_ECC_POINT: big-endian
// numbers of at most FieldSize bytes, with any number of zeros in front, as some
// libraries have one for the sign. A point that is not on the curve is refused
// with TPM_RC_ECC_POINT.
func (c *Curve) DecodePoint(x, y []byte) (Point, error) {
	const op = "decoding a point"
	x, y = bytes.TrimLeft(x, "\x00"), bytes.TrimLeft(y, "\x00")
	if n := c.FieldSize(); len(x) > n || len(y) > n {
		return Point{}, refuse(op, wire.RCECCPoint, "coordinates of %d and %d bytes where the field has %d", len(x), len(y), n)
	}
	p := Point{new(big.Int).SetBytes(x), new(big.Int).SetBytes(y)}
	if !c.OnCurve(p) {
		return Point{}, refuse(op, wire.RCECCPoint, "it is not on curve 0x%04x", uint16(c.ID))
	}
	return p, nil
}

// EncodePoint gives the coordinates of a point as a TPMS_ECC_POINT has them:
// big-endian and padded to FieldSize (Part 1, annex "ECC Point Padding"). The
// point at infinity gives nil.
func (c *Curve) EncodePoint(p Point) (x, y []byte) {
	if p.Infinity() {
		return nil, nil
	}
	n := c.FieldSize()
	b := make([]byte, 2*n)
	return p.X.FillBytes(b[:n:n]), p.Y.FillBytes(b[n:])
}

// EncodeScalar gives a private key or a part of a signature: big-endian and
// padded to OrderSize. The number must be below N.
func (c *Curve) EncodeScalar(k *big.Int) []byte { return k.FillBytes(make([]byte, c.OrderSize())) }

// ValidScalar reports whether k can be a private key: 0 < k < N.
func (c *Curve) ValidScalar(k *big.Int) bool { return k.Sign() > 0 && k.Cmp(c.N) < 0 }
