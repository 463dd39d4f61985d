package lattice

import (
	"bytes"
	"crypto/sha3"
	"fmt"
	"slices"
)

// MLDSA is a parameter set of ML-DSA (FIPS 204, table 1).
type MLDSA struct {
	k, l, tau, gamma1, gamma2, beta, omega, commitment int
}

// NewMLDSA returns a parameter set by the number that the TPM 2.0 Library has for it: 1, 2
// and 3 for ML-DSA-44, -65 and -87. It panics for another number.
func NewMLDSA(set uint16) MLDSA {
	switch set {
	case 1:
		return MLDSA{k: 4, l: 4, tau: 39, gamma1: 1 << 17, gamma2: (dsaQ - 1) / 88, beta: 78, omega: 80, commitment: 32}
	case 2:
		return MLDSA{k: 6, l: 5, tau: 49, gamma1: 1 << 19, gamma2: (dsaQ - 1) / 32, beta: 196, omega: 55, commitment: 48}
	case 3:
		return MLDSA{k: 8, l: 7, tau: 60, gamma1: 1 << 19, gamma2: (dsaQ - 1) / 32, beta: 120, omega: 75, commitment: 64}
	}
	panic(fmt.Sprintf("lattice: no parameter set %d of ML-DSA", set))
}

const (
	dsaN = 256
	dsaQ = 8380417
	dsaD = 13
)

// dsaPoly is a polynomial, or its image under NTT; coefficients are in [0, dsaQ).
type dsaPoly [dsaN]int

// PublicSize is the size in bytes of a public key.
func (p MLDSA) PublicSize() int { return 32 + 320*p.k }

// SignatureSize is the size in bytes of a signature.
func (p MLDSA) SignatureSize() int { return p.commitment + 32*p.zBits()*p.l + p.omega + p.k }

// zBits is the size in bits of a coefficient of z.
func (p MLDSA) zBits() int {
	if p.gamma1 == 1<<17 {
		return 18
	}
	return 20
}

// Mu is µ of a message and a context of up to 255 bytes (algorithms 2 and 7).
func Mu(public, context, message []byte) []byte { return mu(public, 0, context, message) }

// HashMu is µ of a digest of a message (algorithms 4 and 7). The object identifier of the
// hash is DER, with its header.
func HashMu(public, context, oid, digest []byte) []byte {
	return mu(public, 1, context, append(bytes.Clone(oid), digest...))
}

func mu(public []byte, kind byte, context, message []byte) []byte {
	tr := sha3.SumSHAKE256(public, 64)
	return sha3.SumSHAKE256(slices.Concat(tr, []byte{kind, byte(len(context))}, context, message), 64)
}

// VerifyMu reports whether a signature is that of µ (algorithm 8).
func (p MLDSA) VerifyMu(public, mu, signature []byte) bool {
	if len(public) != p.PublicSize() || len(signature) != p.SignatureSize() {
		return false
	}
	commitment, rest := signature[:p.commitment], signature[p.commitment:]
	z := make([]dsaPoly, p.l)
	for i := range z {
		size := 32 * p.zBits()
		for j, v := range decodeBits(rest[:size], p.zBits()) {
			n := p.gamma1 - v
			if n >= p.gamma1-p.beta || n <= p.beta-p.gamma1 {
				return false
			}
			z[i][j] = mod(n, dsaQ)
		}
		z[i], rest = dsaNTT(z[i]), rest[size:]
	}
	hints, ok := p.hints(rest)
	if !ok {
		return false
	}
	challenge := dsaNTT(p.sampleInBall(commitment))
	var w1 []byte
	for i := range p.k {
		var sum dsaPoly
		for j := range p.l {
			sum = dsaAdd(sum, dsaMultiply(sampleDSA(public[:32], byte(j), byte(i)), z[j]))
		}
		var t1 dsaPoly
		for j, v := range decodeBits(public[32+320*i:32+320*(i+1)], 10) {
			t1[j] = v << dsaD
		}
		product := dsaMultiply(challenge, dsaNTT(t1))
		for j := range sum {
			sum[j] = mod(sum[j]-product[j], dsaQ)
		}
		w1 = append(w1, p.encodeHigh(dsaInverse(sum), hints[i])...)
	}
	return bytes.Equal(commitment, sha3.SumSHAKE256(append(bytes.Clone(mu), w1...), p.commitment))
}

// hints is algorithm 21.
func (p MLDSA) hints(b []byte) ([][dsaN]bool, bool) {
	hints := make([][dsaN]bool, p.k)
	at := 0
	for i := range hints {
		end := int(b[p.omega+i])
		if end < at || end > p.omega {
			return nil, false
		}
		for first := at; at < end; at++ {
			if at > first && b[at-1] >= b[at] {
				return nil, false
			}
			hints[i][b[at]] = true
		}
	}
	return hints, !slices.ContainsFunc(b[at:p.omega], func(v byte) bool { return v != 0 })
}

// encodeHigh is algorithms 40 and 28: the high bits that the hints give.
func (p MLDSA) encodeHigh(w dsaPoly, hints [dsaN]bool) []byte {
	m := (dsaQ - 1) / (2 * p.gamma2)
	bits := 4
	if m == 44 {
		bits = 6
	}
	high := make([]int, dsaN)
	for i, r := range w {
		r1, r0 := p.decompose(r)
		switch {
		case hints[i] && r0 > 0:
			r1 = (r1 + 1) % m
		case hints[i]:
			r1 = mod(r1-1, m)
		}
		high[i] = r1
	}
	return encodeBits(high, bits)
}

// decompose is algorithm 36.
func (p MLDSA) decompose(r int) (r1, r0 int) {
	r0 = r % (2 * p.gamma2)
	if r0 > p.gamma2 {
		r0 -= 2 * p.gamma2
	}
	if r-r0 == dsaQ-1 {
		return 0, r0 - 1
	}
	return (r - r0) / (2 * p.gamma2), r0
}

// sampleInBall is algorithm 29.
func (p MLDSA) sampleInBall(seed []byte) (c dsaPoly) {
	xof := sha3.NewSHAKE256()
	xof.Write(seed)
	var signs [8]byte
	xof.Read(signs[:])
	bits := decodeBits(signs[:], 1)
	var b [1]byte
	for i := dsaN - p.tau; i < dsaN; i++ {
		for xof.Read(b[:]); int(b[0]) > i; {
			xof.Read(b[:])
		}
		c[i] = c[b[0]]
		c[b[0]] = mod(1-2*bits[i+p.tau-dsaN], dsaQ)
	}
	return c
}

// sampleDSA is algorithm 30.
func sampleDSA(rho []byte, s, r byte) (a dsaPoly) {
	xof := sha3.NewSHAKE128()
	xof.Write(rho)
	xof.Write([]byte{s, r})
	var b [3]byte
	for n := 0; n < dsaN; {
		xof.Read(b[:])
		if v := int(b[0]) | int(b[1])<<8 | int(b[2]&0x7f)<<16; v < dsaQ {
			a[n] = v
			n++
		}
	}
	return a
}

// dsaZeta are the powers of 1753 in the order of algorithm 41.
var dsaZeta = powers(1753, dsaQ, 8)

// dsaNTT is algorithm 41.
func dsaNTT(f dsaPoly) dsaPoly {
	m := 0
	for length := 128; length >= 1; length /= 2 {
		for start := 0; start < dsaN; start += 2 * length {
			m++
			for j := start; j < start+length; j++ {
				t := dsaZeta[m] * f[j+length] % dsaQ
				f[j], f[j+length] = (f[j]+t)%dsaQ, mod(f[j]-t, dsaQ)
			}
		}
	}
	return f
}

// dsaInverse is algorithm 42.
func dsaInverse(f dsaPoly) dsaPoly {
	m := 256
	for length := 1; length < dsaN; length *= 2 {
		for start := 0; start < dsaN; start += 2 * length {
			m--
			for j := start; j < start+length; j++ {
				t := f[j]
				f[j] = (t + f[j+length]) % dsaQ
				f[j+length] = (dsaQ - dsaZeta[m]) * mod(t-f[j+length], dsaQ) % dsaQ
			}
		}
	}
	for j := range f {
		f[j] = f[j] * 8347681 % dsaQ // 1/256
	}
	return f
}

func dsaMultiply(f, g dsaPoly) dsaPoly {
	for i := range f {
		f[i] = f[i] * g[i] % dsaQ
	}
	return f
}

func dsaAdd(f, g dsaPoly) dsaPoly {
	for i := range f {
		f[i] = (f[i] + g[i]) % dsaQ
	}
	return f
}
