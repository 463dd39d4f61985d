package montgomery

import "math/bits"

// mulPortable is mul in Go, with the same results to the bit.
func (m *Modulus) mulPortable(z, x, y []uint64, t *scratch) {
	size := len(m.n)
	clear(t[:2*size])
	var carry uint64
	for i, w := range y[:size] {
		sum := t[i : i+size]
		upper := addProduct(sum, x[:size], w)
		upper, over := bits.Add64(upper, addProduct(sum, m.n, sum[0]*m.inverse), 0)
		t[i+size], carry = bits.Add64(upper, 0, carry)
		carry += over
	}
	m.subtract(z, t[size:2*size], carry)
}

// addProduct adds x·w to z, which is as long as x, and gives the word above.
func addProduct(z, x []uint64, w uint64) (upper uint64) {
	for i, v := range x {
		hi, lo := bits.Mul64(v, w)
		var carry uint64
		lo, carry = bits.Add64(lo, z[i], 0)
		hi += carry
		z[i], carry = bits.Add64(lo, upper, 0)
		upper = hi + carry
	}
	return upper
}

// gatherPortable is gather in Go.
func gatherPortable(z, table []uint64, index int) {
	clear(z)
	for i := range tableEntries {
		mask := equal(uint64(i), uint64(index))
		for j, w := range table[i*len(z) : (i+1)*len(z)] {
			z[j] |= w & mask
		}
	}
}

// equal gives all ones if a = b, else 0; both are below 2^63.
func equal(a, b uint64) uint64 { return -(((a ^ b) - 1) >> 63) }
