// Package textbook has ML-KEM and the verification of ML-DSA as FIPS 203 and FIPS 204 write
// them down, with transforms by their definitions, and the signatures of SM2 and Schnorr on
// a plane curve. It shares no code with the TPM and none with a library, is held to the
// libraries where they have the same, and checks a TPM where they have not. It is slow, and
// not for secrets.
package textbook

// power is base^exponent modulo q.
func power(base, exponent, q int) int {
	result := 1
	for range exponent {
		result = result * base % q
	}
	return result
}

// evaluate is the polynomial with these coefficients at a point, modulo q.
func evaluate(coefficients []int, at, q int) int {
	sum := 0
	for i := len(coefficients) - 1; i >= 0; i-- {
		sum = (sum*at + coefficients[i]) % q
	}
	return (sum + q) % q
}

// reverse reverses the lowest n bits of i.
func reverse(i, n int) int {
	out := 0
	for range n {
		out, i = out<<1|i&1, i>>1
	}
	return out
}

// unpack takes integers of so many bits, the lowest bit first.
func unpack(b []byte, bits int) []int {
	out := make([]int, len(b)*8/bits)
	for i := range len(out) * bits {
		out[i/bits] |= int(b[i/8]>>(i%8)&1) << (i % bits)
	}
	return out
}

// pack is its inverse.
func pack(integers []int, bits int) []byte {
	out := make([]byte, len(integers)*bits/8)
	for i := range len(integers) * bits {
		out[i/8] |= byte(integers[i/bits]>>(i%bits)&1) << (i % 8)
	}
	return out
}
