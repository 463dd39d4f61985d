//go:build amd64 && !purego

package ring

import "golang.org/x/sys/cpu"

//go:generate go -C ../../../../scripts/tools run ./ring ../../emulator/crypt/internal/ring

// Available reports whether this processor has what the package needs.
var Available = cpu.X86.HasAVX2

//go:noescape
func nttAVX2(p, zetas *int32)

//go:noescape
func inverseNTTAVX2(p, zetas *int32)

//go:noescape
func dotAVX2(p, row, vector *int32, n int)

//go:noescape
func addAVX2(p, a *int32)

//go:noescape
func subtractAVX2(p, a *int32)

//go:noescape
func reduceAVX2(p *int32)

//go:noescape
func canonicalAVX2(p *int32)

//go:noescape
func round44AVX2(p, a *int32)

//go:noescape
func round65AVX2(p, a *int32)

//go:noescape
func withinAVX2(p *int32, bound int32) (over int32)

// NTT transforms p in place (FIPS 204, algorithm 41). Coefficients of at most the modulus
// in absolute value become some of less than nine times as much.
func NTT(p *Poly) { nttAVX2(&p[0], &forward[0]) }

// InverseNTT is the inverse of NTT, times 2^32, for coefficients of less than the modulus
// in absolute value (FIPS 204, algorithm 42).
func InverseNTT(p *Poly) { inverseNTTAVX2(&p[0], &backward[0]) }

// Dot sets p to the product, times 2^-32, of a row of a matrix and a vector of n
// polynomials, which follow each other in memory. Coefficients of the row are below the
// modulus in absolute value, those of the vector below nine times as much, those of p below
// the modulus. n is above 0 and at most 7.
func Dot(p, row, vector *Poly, n int) { dotAVX2(&p[0], &row[0], &vector[0], n) }

// Add adds a to p.
func Add(p, a *Poly) { addAVX2(&p[0], &a[0]) }

// Subtract subtracts a from p.
func Subtract(p, a *Poly) { subtractAVX2(&p[0], &a[0]) }

// Reduce makes coefficients below 2^31 - 2^22 some of at most 3/4 of the modulus in absolute
// value.
func Reduce(p *Poly) { reduceAVX2(&p[0]) }

// Canonical adds the modulus to the coefficients that are negative.
func Canonical(p *Poly) { canonicalAVX2(&p[0]) }

// Round44 rounds coefficients from 0 up to the modulus to multiples of 2·gamma2 of
// ML-DSA-44: which ones it sets in high, and leaves the rest in p (Decompose of FIPS 204,
// algorithm 36).
func Round44(high, p *Poly) { round44AVX2(&p[0], &high[0]) }

// Round65 is Round44 with gamma2 of ML-DSA-65 and ML-DSA-87.
func Round65(high, p *Poly) { round65AVX2(&p[0], &high[0]) }

// Within reports whether all coefficients are less than bound in absolute value.
func Within(p *Poly, bound int32) bool { return withinAVX2(&p[0], bound) == 0 }

// zetas are the factors of a transformation, each with itself times 1/Modulus modulo 2^32,
// in the order in which the assembly reads them: for coefficients that are 128, 64 and 32
// apart (7 pairs, and one for the end of the inverse), then for each quarter of a
// polynomial those for 16 and 8 apart (6 pairs, and two unused), and for each pair of
// registers those for 4, 2 and 1 apart (8 factors, then their 8 products).
type zetas [16 + 4*(16+4*3*16)]int32

var forward, backward = tables()

// tables makes the tables. The forward one has 1753^r·2^32 for the r of FIPS 204,
// algorithm 41, the backward one the same in the order of algorithm 42, negated.
func tables() (forward, backward zetas) {
	var powers [256]uint64
	root := uint64(1)
	for i := range powers {
		powers[i] = root
		root = root * 1753 % Modulus
	}
	factor := func(k int) int32 {
		reversed := 0
		for bit := range 8 {
			reversed |= k >> bit & 1 << (7 - bit)
		}
		return int32(powers[reversed] << 32 % Modulus)
	}
	forward.fill(func(blocks, block int) int32 { return factor(blocks + block) })
	backward.fill(func(blocks, block int) int32 { return -factor(2*blocks - 1 - block) })
	backward.pair(14, unity)
	return forward, backward
}

// pair sets a factor, and its product.
func (z *zetas) pair(at int, factor int32) { z[at], z[at+1] = factor, factor*inverse }

// lanes sets the factors of eight lanes, and their products.
func (z *zetas) lanes(at int, factor func(lane int) int32) {
	for i := range 8 {
		z[at+i] = factor(i)
		z[at+8+i] = z[at+i] * inverse
	}
}

// fill sets all factors. factor is the one for a block out of so many that a step of the
// transformation treats alike.
func (z *zetas) fill(factor func(blocks, block int) int32) {
	for blocks, at := 1, 0; blocks <= 4; blocks *= 2 {
		for block := range blocks {
			z.pair(at, factor(blocks, block))
			at += 2
		}
	}
	for quarter := range 4 {
		at := 16 + quarter*(16+4*3*16)
		for i := range 2 {
			z.pair(at+2*i, factor(8, 2*quarter+i))
		}
		for i := range 4 {
			z.pair(at+4+2*i, factor(16, 4*quarter+i))
		}
		for i := range 4 {
			first := 8*quarter + 2*i // of the two registers
			at := at + 16 + i*3*16
			z.lanes(at, func(lane int) int32 { return factor(32, first+lane/4) })
			z.lanes(at+16, func(lane int) int32 { return factor(64, 2*first+lane/2) })
			order := [...]int{0, 2, 1, 3, 4, 6, 5, 7}
			z.lanes(at+32, func(lane int) int32 { return factor(128, 4*first+order[lane]) })
		}
	}
}
