// Package ring computes with the polynomials of ML-DSA: 256 coefficients modulo 8380417
// and X^256 + 1 (FIPS 204, sections 2.3 and 7.5), with AVX2 on processors of amd64 that have
// it. On others, and with the build tag purego, Available is false and nothing else may be
// called; package crypt has the same in Go. Results are the same numbers, not only the same
// residues.
//
// No jump and no address depends on a coefficient.
package ring

// Modulus is q of ML-DSA (FIPS 204, table 1).
const Modulus = 8380417

const (
	inverse = 58728449 // 1/Modulus modulo 2^32
	unity   = 41978    // 2^64/256 modulo Modulus: two Montgomery factors, and the mean of 256
)

// Poly is a polynomial. Its coefficients are signed and stand for their residues.
type Poly = [256]int32
