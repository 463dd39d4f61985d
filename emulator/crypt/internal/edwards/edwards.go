// Package edwards multiplies the base point of Ed25519 (RFC 8032, section 5.1), with AVX-512
// and its multiplications of 52 bits on processors of amd64 that have them. On others, and
// with the build tag purego, Available is false and nothing else may be called; then package
// crypt computes with filippo.io/edwards25519.
//
// Eight points are summed up side by side. A scalar has 64 digits of four bits, from -8 to 8.
// Digit 8·s + i chooses a multiple of 16^(8·s+i) times the base point, from a table, which
// step s adds to point i. The sum of the eight points is the result.
//
// No jump and no address depends on a scalar.
package edwards

// Size is the number of octets of a scalar, and of the encoding of a point.
const Size = 32

const (
	digitCount = 64
	steps      = 8
	multiples  = 8 // of a digit's point: those by 1 to 8
)

type digits [digitCount]int8

// recode gives the digits of a scalar below 2^255, little-endian.
func (d *digits) recode(scalar *[Size]byte) {
	carry := int8(0)
	for i, b := range scalar {
		low := int8(b&15) + carry
		carry = (low + 8) >> 4
		high := int8(b>>4) + carry
		d[2*i] = low - carry<<4
		carry = (high + 8) >> 4
		d[2*i+1] = high - carry<<4
	}
	d[digitCount-1] += carry << 4 // which has no digit above it
}
