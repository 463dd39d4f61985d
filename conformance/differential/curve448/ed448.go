package curve448

import (
	"bytes"
	"crypto/sha3"
	"math/big"
	"slices"
)

// Sizes in bytes of seeds, public keys and R, and of signatures: R and S.
const (
	KeySize       = 57
	SignatureSize = 2 * KeySize
)

// A Variant is one of the two forms of Ed448 (RFC 8032, section 5.2), with an empty context.
// Its number is the octet phflag.
type Variant byte

// Ed448 signs messages. Ed448ph signs what SHAKE256 makes of them, 64 bytes, which the
// caller gives instead of the message.
const (
	Ed448   Variant = 0
	Ed448ph Variant = 1
)

// point is (x/z, y/z) (RFC 8032, section 5.2.4).
type point struct{ x, y, z *big.Int }

func (p point) add(q point) point {
	a, c, e := mul(p.z, q.z), mul(p.x, q.x), mul(p.y, q.y)
	b := mul(a, a)
	t := mul(curve().d, mul(c, e))
	f, g := sub(b, t), add(b, t)
	h := sub(sub(mul(add(p.x, p.y), add(q.x, q.y)), c), e)
	return point{mul(mul(a, f), h), mul(mul(a, g), sub(e, c)), mul(f, g)}
}

func (p point) double() point {
	b, c, e := add(p.x, p.y), mul(p.x, p.x), mul(p.y, p.y)
	sum := add(c, e)
	h := mul(p.z, p.z)
	j := sub(sum, add(h, h))
	return point{mul(sub(mul(b, b), sum), j), mul(sum, sub(c, e)), mul(sum, j)}
}

func (p point) times(k *big.Int) point {
	r := point{new(big.Int), big.NewInt(1), big.NewInt(1)}
	for i := k.BitLen() - 1; i >= 0; i-- {
		r = r.double()
		if k.Bit(i) == 1 {
			r = r.add(p)
		}
	}
	return r
}

// encode is the encoding of section 5.2.2: y, and the lowest bit of x in front of it.
func (p point) encode() []byte {
	i := inverse(p.z)
	b := encode(mul(p.y, i), KeySize)
	b[KeySize-1] |= byte(mul(p.x, i).Bit(0)) << 7
	return b
}

// decodePoint is the decoding of section 5.2.3.
func decodePoint(b []byte) (p point, ok bool) {
	if len(b) != KeySize {
		return point{}, false
	}
	odd := uint(b[KeySize-1] >> 7)
	b = slices.Clone(b)
	b[KeySize-1] &= 0x7f
	y := decode(b)
	if y.Cmp(curve().prime) >= 0 {
		return point{}, false
	}
	yy := mul(y, y)
	one := big.NewInt(1)
	x := new(big.Int).ModSqrt(mul(sub(yy, one), inverse(sub(mul(curve().d, yy), one))), curve().prime)
	if x == nil || x.Sign() == 0 && odd == 1 {
		return point{}, false
	}
	if x.Bit(0) != odd {
		x = sub(curve().prime, x)
	}
	return point{x, y, one}, true
}

// IsPublic reports whether b is the encoding of a point.
func IsPublic(b []byte) bool {
	_, ok := decodePoint(b)
	return ok
}

// private is the scalar and the prefix of a seed (section 5.2.5).
func private(seed []byte) (scalar *big.Int, prefix []byte) {
	h := sha3.SumSHAKE256(seed, SignatureSize)
	h[0] &= 252
	h[KeySize-2] |= 128
	h[KeySize-1] = 0
	return decode(h[:KeySize]), h[KeySize:]
}

// digest is the number that SHAKE256 makes of dom4 and parts.
func (v Variant) digest(parts ...[]byte) *big.Int {
	h := sha3.NewSHAKE256()
	h.Write([]byte("SigEd448"))
	h.Write([]byte{byte(v), 0})
	for _, part := range parts {
		h.Write(part)
	}
	b := make([]byte, SignatureSize)
	h.Read(b)
	n := decode(b)
	return n.Mod(n, curve().order)
}

// Order is the order of the base point, below which S of a signature is.
func Order() *big.Int { return new(big.Int).Set(curve().order) }

// Public is the public key that belongs to a seed of [KeySize] bytes.
func Public(seed []byte) []byte {
	s, _ := private(seed)
	return curve().base.times(s).encode()
}

// Sign signs a message with a seed of [KeySize] bytes.
func (v Variant) Sign(seed, message []byte) []byte {
	s, prefix := private(seed)
	r := v.digest(prefix, message)
	hint := curve().base.times(r).encode()
	k := v.digest(hint, Public(seed), message)
	k.Mul(k, s).Add(k, r).Mod(k, curve().order)
	return append(hint, encode(k, KeySize)...)
}

// Verify reports whether a signature of a message is that of the owner of a public key,
// without the cofactor.
func (v Variant) Verify(public, message, signature []byte) bool {
	key, ok := decodePoint(public)
	if !ok || len(signature) != SignatureSize {
		return false
	}
	s := decode(signature[KeySize:])
	if s.Cmp(curve().order) >= 0 {
		return false
	}
	k := v.digest(signature[:KeySize], public, message)
	minus := point{sub(curve().prime, key.x), key.y, key.z}
	return bytes.Equal(curve().base.times(s).add(minus.times(k)).encode(), signature[:KeySize])
}
