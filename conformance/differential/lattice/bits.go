package lattice

// mod is x modulo q, from 0 to q-1.
func mod(x, q int) int { return ((x % q) + q) % q }

// powers are the powers of a root of unity modulo q, in bit-reversed order of their
// exponents.
func powers(root, q, bits int) []int {
	out := make([]int, 1<<bits)
	for i := range out {
		reversed := 0
		for b := range bits {
			reversed |= i >> b & 1 << (bits - 1 - b)
		}
		out[i] = 1
		for range reversed {
			out[i] = out[i] * root % q
		}
	}
	return out
}

// encodeBits writes numbers of d bits, the low bit first (FIPS 203, algorithm 5; FIPS 204,
// algorithm 16).
func encodeBits(values []int, d int) []byte {
	out := make([]byte, len(values)*d/8)
	for i, v := range values {
		for b := range d {
			at := i*d + b
			out[at/8] |= byte(v>>b&1) << (at % 8)
		}
	}
	return out
}

// decodeBits reads what encodeBits writes.
func decodeBits(b []byte, d int) []int {
	values := make([]int, len(b)*8/d)
	for i := range values {
		for bit := range d {
			at := i*d + bit
			values[i] |= int(b[at/8]>>(at%8)&1) << bit
		}
	}
	return values
}
