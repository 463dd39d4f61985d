package curve448

import (
	"math/big"
	"slices"
)

// ExchangeSize is the size in bytes of scalars, coordinates and secrets of X448.
const ExchangeSize = 56

// Exchange is the function X448 of RFC 7748, section 5, of a scalar and a coordinate u,
// each of [ExchangeSize] bytes. ok reports whether the result is not zero, as it is of
// points of low order (section 6.2).
func Exchange(scalar, u []byte) (secret []byte, ok bool) {
	clamped := slices.Clone(scalar)
	clamped[0] &= 252
	clamped[ExchangeSize-1] |= 128
	k, x1 := decode(clamped), decode(u)
	x1.Mod(x1, curve().prime)

	x2, z2, x3, z3 := big.NewInt(1), new(big.Int), x1, big.NewInt(1)
	for t := 447; t >= 0; t-- {
		swap := k.Bit(t) == 1
		if swap {
			x2, z2, x3, z3 = x3, z3, x2, z2
		}
		a, b := add(x2, z2), sub(x2, z2)
		aa, bb := mul(a, a), mul(b, b)
		e := sub(aa, bb)
		da, cb := mul(sub(x3, z3), a), mul(add(x3, z3), b)
		sum, difference := add(da, cb), sub(da, cb)
		x3, z3 = mul(sum, sum), mul(x1, mul(difference, difference))
		x2, z2 = mul(aa, bb), mul(e, add(aa, mul(curve().a24, e)))
		if swap {
			x2, z2, x3, z3 = x3, z3, x2, z2
		}
	}
	result := mul(x2, inverse(z2))
	return encode(result, ExchangeSize), result.Sign() != 0
}

// ExchangePublic is the coordinate u that belongs to a scalar: [Exchange] with the base
// point, whose u is 5.
func ExchangePublic(scalar []byte) []byte {
	public, _ := Exchange(scalar, encode(big.NewInt(5), ExchangeSize))
	return public
}
