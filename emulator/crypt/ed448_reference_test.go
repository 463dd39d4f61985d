package crypt_test

import (
	"crypto/sha3"
	"math/big"
	"slices"
)

// Ed448 and X448 as RFC 8032, section 5.2, and RFC 7748, section 5, have them, in the
// arithmetic of math/big: no code of the package or of its library.

var (
	prime448 = func() *big.Int { // 2^448 - 2^224 - 1
		p := new(big.Int).Lsh(big.NewInt(1), 448)
		p.Sub(p, new(big.Int).Lsh(big.NewInt(1), 224))
		return p.Sub(p, big.NewInt(1))
	}()
	order448 = func() *big.Int {
		n, _ := new(big.Int).SetString("13818066809895115352007386748515426880336692474882178609894547503885", 10)
		return n.Sub(new(big.Int).Lsh(big.NewInt(1), 446), n)
	}()
	edwardsD = big.NewInt(-39081)
)

// edPoint is a point of x² + y² = 1 + d·x²·y².
type edPoint struct{ x, y *big.Int }

func mul448(a, b *big.Int) *big.Int { return reduce448(new(big.Int).Mul(a, b)) }
func reduce448(a *big.Int) *big.Int { return a.Mod(a, prime448) }

// base448 is the base point, from its y and the even or odd x of RFC 8032, section 5.2.
func base448() edPoint {
	x, _ := new(big.Int).SetString("224580040295924300187604334099896036246789641632564134246125461686950415467406032909029192869357953282578032075146446173674602635247710", 10)
	y, _ := new(big.Int).SetString("298819210078481492676017930443930673437544040154080242095928241372331506189835876003536878655418784733982303233503462500531545062832660", 10)
	return edPoint{x, y}
}

// torsion448 are the points whose order divides the cofactor.
func torsion448() []edPoint {
	zero, one := big.NewInt(0), big.NewInt(1)
	minus := new(big.Int).Sub(prime448, one)
	return []edPoint{{zero, one}, {one, zero}, {zero, minus}, {minus, zero}}
}

// projective is a point as X/Z and Y/Z (RFC 8032, section 5.2.4).
type projective struct{ x, y, z *big.Int }

func (p edPoint) projective() projective { return projective{p.x, p.y, big.NewInt(1)} }

func (p projective) affine() edPoint {
	inverse := new(big.Int).ModInverse(p.z, prime448)
	return edPoint{mul448(p.x, inverse), mul448(p.y, inverse)}
}

func (p projective) add(q projective) projective {
	a, c, d := mul448(p.z, q.z), mul448(p.x, q.x), mul448(p.y, q.y)
	b, e := mul448(a, a), mul448(edwardsD, mul448(c, d))
	f, g := new(big.Int).Sub(b, e), new(big.Int).Add(b, e)
	h := mul448(new(big.Int).Add(p.x, p.y), new(big.Int).Add(q.x, q.y))
	h.Sub(h, c).Sub(h, d)
	return projective{mul448(mul448(a, f), h), mul448(mul448(a, g), new(big.Int).Sub(d, c)), mul448(f, g)}
}

func (p edPoint) add(q edPoint) edPoint { return p.projective().add(q.projective()).affine() }

func (p edPoint) times(k *big.Int) edPoint {
	r, q := torsion448()[0].projective(), p.projective()
	for i := k.BitLen() - 1; i >= 0; i-- {
		r = r.add(r)
		if k.Bit(i) == 1 {
			r = r.add(q)
		}
	}
	return r.affine()
}

func little(b []byte) *big.Int {
	b = slices.Clone(b)
	slices.Reverse(b)
	return new(big.Int).SetBytes(b)
}

func littleBytes(n *big.Int, size int) []byte {
	b := n.FillBytes(make([]byte, size))
	slices.Reverse(b)
	return b
}

func (p edPoint) encode() []byte {
	b := littleBytes(p.y, 57)
	b[56] |= byte(p.x.Bit(0)) << 7
	return b
}

// referencePrivate448 is the scalar and the prefix of a seed.
func referencePrivate448(seed []byte) (*big.Int, []byte) {
	h := sha3.SumSHAKE256(seed, 114)
	h[0] &^= 3
	h[55] |= 0x80
	h[56] = 0
	return little(h[:57]), h[57:]
}

func referenceDigest448(flag byte, parts ...[]byte) *big.Int {
	h := sha3.SumSHAKE256(slices.Concat(append([][]byte{[]byte("SigEd448"), {flag, 0}}, parts...)...), 114)
	return little(h).Mod(little(h), order448)
}

// referenceSign448 signs with a public key that may have another part of small order.
func referenceSign448(flag byte, seed, public, message []byte) []byte {
	a, prefix := referencePrivate448(seed)
	r := referenceDigest448(flag, prefix, message)
	hint := base448().times(r).encode()
	s := referenceDigest448(flag, hint, public, message)
	s.Mul(s, a).Add(s, r).Mod(s, order448)
	return append(hint, littleBytes(s, 57)...)
}

// referenceVerify448 checks without the cofactor.
func referenceVerify448(flag byte, key edPoint, message, signature []byte) bool {
	s := little(signature[57:])
	if s.Cmp(order448) >= 0 {
		return false
	}
	k := referenceDigest448(flag, signature[:57], key.encode(), message)
	minus := edPoint{reduce448(new(big.Int).Neg(key.x)), key.y}
	return string(base448().times(s).add(minus.times(k)).encode()) == string(signature[:57])
}

// referenceX448 is the function X448 of RFC 7748, section 5.
func referenceX448(private, public []byte) []byte {
	k := slices.Clone(private)
	k[0] &= 252
	k[55] |= 128
	u := reduce448(little(public))
	x2, z2, x3, z3 := big.NewInt(1), big.NewInt(0), new(big.Int).Set(u), big.NewInt(1)
	add := func(a, b *big.Int) *big.Int { return new(big.Int).Add(a, b) }
	sub := func(a, b *big.Int) *big.Int { return reduce448(new(big.Int).Sub(a, b)) }
	scalar := little(k)
	for t := 447; t >= 0; t-- {
		if scalar.Bit(t) == 1 {
			x2, x3, z2, z3 = x3, x2, z3, z2
		}
		a, b := add(x2, z2), sub(x2, z2)
		aa, bb := mul448(a, a), mul448(b, b)
		da, cb := mul448(sub(x3, z3), a), mul448(add(x3, z3), b)
		e := sub(aa, bb)
		x3 = mul448(add(da, cb), add(da, cb))
		z3 = mul448(u, mul448(sub(da, cb), sub(da, cb)))
		x2 = mul448(aa, bb)
		z2 = mul448(e, add(aa, mul448(big.NewInt(39081), e)))
		if scalar.Bit(t) == 1 {
			x2, x3, z2, z3 = x3, x2, z3, z2
		}
	}
	inverse := new(big.Int).Exp(z2, new(big.Int).Sub(prime448, big.NewInt(2)), prime448)
	return littleBytes(mul448(x2, inverse), 56)
}
