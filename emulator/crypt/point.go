package crypt

import "math/big"

// Arithmetic of points. Products on the curves of the standard library are made
// there: crypto/elliptic is deprecated because crypto/ecdh covers what protocols
// need, but a TPM gives out both coordinates of products. The other curves are
// optional and use math/big, in time that depends on the scalar. So do sums on
// all curves, which are made of public points only and of which math/big is
// faster with the one inversion that they take.

// BaseMult gives [k]G for 0 <= k.
func (c *Curve) BaseMult(k *big.Int) Point {
	if c.std == nil {
		return c.Mult(c.Base(), k)
	}
	k = c.reduce(k)
	if k.Sign() == 0 {
		return Point{}
	}
	//lint:ignore SA1019 see the top of this file
	x, y := c.std.ScalarBaseMult(c.EncodeScalar(k))
	return Point{x, y}
}

// Mult gives [k]p for 0 <= k and a point p that is on the curve or infinity.
func (c *Curve) Mult(p Point, k *big.Int) Point {
	k = c.reduce(k)
	if k.Sign() == 0 || p.Infinity() {
		return Point{}
	}
	if c.std == nil {
		return c.affine(c.multiply(p, k))
	}
	//lint:ignore SA1019 see the top of this file
	x, y := c.std.ScalarMult(p.X, p.Y, c.EncodeScalar(k))
	return Point{x, y}
}

// reduce is right for points of order N only, which all are: H is 1.
func (c *Curve) reduce(k *big.Int) *big.Int {
	if k.Cmp(c.N) < 0 {
		return k
	}
	return new(big.Int).Mod(k, c.N)
}

// Add gives p + q for points that are on the curve or infinity.
func (c *Curve) Add(p, q Point) Point {
	switch {
	case p.Infinity():
		return q
	case q.Infinity():
		return p
	}
	return c.affine(c.add(c.projective(p), c.projective(q)))
}

// Neg gives -p.
func (c *Curve) Neg(p Point) Point {
	if p.Infinity() || p.Y.Sign() == 0 {
		return p
	}
	return Point{p.X, new(big.Int).Sub(c.P, p.Y)}
}

// jacobian is the point (x/z², y/z³), infinity if z is 0.
type jacobian struct{ x, y, z *big.Int }

func (c *Curve) projective(p Point) jacobian {
	if p.Infinity() {
		return jacobian{new(big.Int), new(big.Int), new(big.Int)}
	}
	return jacobian{p.X, p.Y, big.NewInt(1)}
}

func (c *Curve) affine(p jacobian) Point {
	if p.z.Sign() == 0 {
		return Point{}
	}
	inv := new(big.Int).ModInverse(p.z, c.P)
	inv2 := c.mul(inv, inv)
	return Point{c.mul(p.x, inv2), c.mul(p.y, c.mul(inv2, inv))}
}

func (c *Curve) mul(a, b *big.Int) *big.Int {
	z := new(big.Int).Mul(a, b)
	return z.Mod(z, c.P)
}

func (c *Curve) sub(a, b *big.Int) *big.Int {
	z := new(big.Int).Sub(a, b)
	return z.Mod(z, c.P)
}

// multiply goes through the bits of k from the top.
func (c *Curve) multiply(p Point, k *big.Int) jacobian {
	base, r := c.projective(p), c.projective(Point{})
	for i := k.BitLen() - 1; i >= 0; i-- {
		r = c.double(r)
		if k.Bit(i) != 0 {
			r = c.add(r, base)
		}
	}
	return r
}

// double is the doubling of Jacobian coordinates for any A.
func (c *Curve) double(p jacobian) jacobian {
	if p.z.Sign() == 0 || p.y.Sign() == 0 {
		return c.projective(Point{})
	}
	xx, yy, zz := c.mul(p.x, p.x), c.mul(p.y, p.y), c.mul(p.z, p.z)
	s := c.mul(p.x, yy)
	s.Lsh(s, 2)
	m := c.mul(c.A, c.mul(zz, zz))
	m.Add(m, xx).Add(m, xx).Add(m, xx)
	x := c.sub(c.mul(m, m), new(big.Int).Lsh(s, 1))
	y4 := c.mul(yy, yy)
	y := c.sub(c.mul(m, c.sub(s, x)), y4.Lsh(y4, 3))
	z := c.mul(p.y, p.z)
	z.Lsh(z, 1)
	return jacobian{x, y, z.Mod(z, c.P)}
}

// add is the addition of Jacobian coordinates.
func (c *Curve) add(p, q jacobian) jacobian {
	if p.z.Sign() == 0 {
		return q
	}
	if q.z.Sign() == 0 {
		return p
	}
	pzz, qzz := c.mul(p.z, p.z), c.mul(q.z, q.z)
	u1, u2 := c.mul(p.x, qzz), c.mul(q.x, pzz)
	s1, s2 := c.mul(p.y, c.mul(qzz, q.z)), c.mul(q.y, c.mul(pzz, p.z))
	h, r := c.sub(u2, u1), c.sub(s2, s1)
	if h.Sign() == 0 {
		if r.Sign() == 0 {
			return c.double(p)
		}
		return c.projective(Point{})
	}
	hh := c.mul(h, h)
	hhh, v := c.mul(h, hh), c.mul(u1, hh)
	x := new(big.Int).Sub(c.mul(r, r), hhh)
	x.Sub(x, v).Sub(x, v).Mod(x, c.P)
	y := c.sub(c.mul(r, c.sub(v, x)), c.mul(s1, hhh))
	return jacobian{x, y, c.mul(h, c.mul(p.z, q.z))}
}
