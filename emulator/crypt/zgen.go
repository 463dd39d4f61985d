package crypt

import (
	"math/big"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// ZGen2Phase is the key exchange of TPM2_ZGen_2Phase (Part 3, section of that
// name; Part 1, annex "ECC Key Exchange"): from the static and the ephemeral
// private key of the TPM and the static and the ephemeral public key of the other
// party, which were checked when they were decoded.
//
// ECDH gives the product of the static keys and that of the ephemeral ones (NIST
// SP 800-56A, C(2e, 2s) with two uses of section 5.7.1.2), ECMQV (section
// 5.7.2.3.1) and SM2 (GB/T 32918.3) one point and the zero Point. Another scheme
// is refused with TPM_RC_SCHEME, a result at infinity with TPM_RC_NO_RESULT.
func (c *Curve) ZGen2Phase(scheme wire.AlgID, static, ephemeral *big.Int, otherStatic, otherEphemeral Point) (z1, z2 Point, err error) {
	const op = "key exchange"
	switch scheme {
	case wire.AlgECDH:
		z1, z2 = c.Mult(otherStatic, static), c.Mult(otherEphemeral, ephemeral)
		if z2.Infinity() {
			z1 = z2
		}
	case wire.AlgECMQV:
		// SP 800-56A, section 5.7.2.2: half of the bits of the order.
		bits := uint(c.N.BitLen()+1) / 2
		z1 = c.implicit(bits, ephemeral, static, ephemeral, otherEphemeral, otherStatic, otherEphemeral)
	case wire.AlgSM2:
		// GB/T 32918.3, section 6.1: one bit less.
		bits := uint(c.N.BitLen()+1)/2 - 1
		z1 = c.implicit(bits, static, ephemeral, ephemeral, otherStatic, otherEphemeral, otherEphemeral)
	default:
		return Point{}, Point{}, refuse(op, wire.RCScheme, "%v is no two-phase key exchange; use ECDH, ECMQV or SM2", scheme)
	}
	if z1.Infinity() {
		return Point{}, Point{}, refuse(op, wire.RCNoResult, "the result is the point at infinity")
	}
	return z1, z2, nil
}

// implicit gives [a + x·b](p + [y]·q), where x and y stand for the ephemeral
// public keys: ours, that of the private key own, and other.
func (c *Curve) implicit(bits uint, a, b, own *big.Int, p, q, other Point) Point {
	k := new(big.Int).Mul(associate(bits, c.BaseMult(own)), b)
	k.Add(k, a).Mod(k, c.N)
	return c.Mult(c.Add(p, c.Mult(q, associate(bits, other))), k)
}

// associate is the lower bits of an x coordinate with the next bit set.
func associate(bits uint, p Point) *big.Int {
	if p.Infinity() {
		return new(big.Int)
	}
	top := new(big.Int).Lsh(big.NewInt(1), bits)
	x := new(big.Int).And(p.X, new(big.Int).Sub(top, big.NewInt(1)))
	return x.Or(x, top)
}
