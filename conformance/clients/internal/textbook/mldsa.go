package textbook

import (
	"bytes"
	"crypto/sha3"
)

// MLDSA is a parameter set of ML-DSA (FIPS 204, table 1).
type MLDSA struct {
	K, L, Eta, Tau int
	Lambda         int // collision strength in bits
	Gamma1, Gamma2 int
	Omega          int
}

// The parameter sets.
var (
	MLDSA44 = MLDSA{4, 4, 2, 39, 128, 1 << 17, (dsaQ - 1) / 88, 80}
	MLDSA65 = MLDSA{6, 5, 4, 49, 192, 1 << 19, (dsaQ - 1) / 32, 55}
	MLDSA87 = MLDSA{8, 7, 2, 60, 256, 1 << 19, (dsaQ - 1) / 32, 75}
)

const (
	n       = 256
	dsaQ    = 8380417
	dropped = 13 // bits of t that the public key leaves out: d
)

// dsaRoots are the points at which NTT evaluates (section 7.5).
var dsaRoots = func() (roots [n]int) {
	for i := range n / 2 {
		roots[2*i] = power(1753, reverse(128+i, 8), dsaQ)
		roots[2*i+1] = dsaQ - roots[2*i]
	}
	return roots
}()

// MuOfMessage is µ of a message with a context (algorithm 7, line 6, and algorithm 2).
func MuOfMessage(public, context, message []byte) []byte { return mu(public, 0, context, message) }

// MuOfDigest is µ of HashML-DSA: oid is the DER encoding of the object identifier of the
// hash (algorithm 4).
func MuOfDigest(public, context, oid, digest []byte) []byte {
	return mu(public, 1, context, append(bytes.Clone(oid), digest...))
}

func mu(public []byte, domain byte, context, rest []byte) []byte {
	h := sha3.NewSHAKE256()
	h.Write(sha3.SumSHAKE256(public, 64))
	h.Write([]byte{domain, byte(len(context))})
	h.Write(context)
	h.Write(rest)
	out := make([]byte, 64)
	h.Read(out)
	return out
}

// Verify reports whether a signature is that of µ (algorithm 8).
func (p MLDSA) Verify(public, mu, signature []byte) bool {
	bits := 18
	if p.Gamma1 == 1<<19 {
		bits = 20
	}
	commitment, zSize := p.Lambda/4, 32*bits
	if len(public) != 32+320*p.K || len(signature) != commitment+zSize*p.L+p.Omega+p.K {
		return false
	}
	var z [][]int
	for i := range p.L {
		poly := unpack(signature[commitment+i*zSize:][:zSize], bits)
		for j, v := range poly {
			poly[j] = p.Gamma1 - v
			if bound := p.Gamma1 - p.Tau*p.Eta; poly[j] >= bound || poly[j] <= -bound {
				return false
			}
		}
		z = append(z, dsaNTT(poly))
	}
	hints, ok := p.hints(signature[commitment+zSize*p.L:])
	if !ok {
		return false
	}
	c := dsaNTT(p.ball(signature[:commitment]))
	h := sha3.NewSHAKE256()
	h.Write(mu)
	for i := range p.K {
		t := unpack(public[32+320*i:][:320], 10)
		for j := range t {
			t[j] <<= dropped
		}
		sum := make([]int, n)
		for j := range p.L {
			a := matrixEntry(public[:32], byte(j), byte(i))
			for x := range sum {
				sum[x] = (sum[x] + a[x]*z[j][x]) % dsaQ
			}
		}
		for x, v := range dsaNTT(t) {
			sum[x] = (sum[x] + (dsaQ-c[x])*v) % dsaQ
		}
		h.Write(p.encodeW1(hints[i], dsaInverse(sum)))
	}
	again := make([]byte, commitment)
	h.Read(again)
	return bytes.Equal(again, signature[:commitment])
}

func dsaNTT(poly []int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = evaluate(poly, dsaRoots[i], dsaQ)
	}
	return out
}

// dsaInverse takes a polynomial back from its values. The roots are those of x^256+1, so
// the inverse of one to the power of j is minus that to the power of 256-j.
func dsaInverse(values []int) []int {
	const inverseOfN = 8347681
	out := make([]int, n)
	powers := [n]int{}
	for i := range powers {
		powers[i] = 1
	}
	for j := range n { // powers are those of j
		sum := 0
		for i, v := range values {
			sum = (sum + v*powers[i]) % dsaQ
			powers[i] = powers[i] * dsaRoots[i] % dsaQ
		}
		out[(n-j)%n] = (dsaQ - sum) * inverseOfN % dsaQ
		if j == 0 {
			out[0] = sum * inverseOfN % dsaQ
		}
	}
	return out
}

// matrixEntry is RejNTTPoly (algorithm 30).
func matrixEntry(seed []byte, column, row byte) []int {
	h := sha3.NewSHAKE128()
	h.Write(seed)
	h.Write([]byte{column, row})
	out := make([]int, 0, n)
	for b := make([]byte, 3); len(out) < n; {
		h.Read(b)
		if v := int(b[0]) | int(b[1])<<8 | int(b[2]&0x7F)<<16; v < dsaQ {
			out = append(out, v)
		}
	}
	return out
}

// ball is SampleInBall (algorithm 29).
func (p MLDSA) ball(seed []byte) []int {
	h := sha3.NewSHAKE256()
	h.Write(seed)
	signs, one := make([]byte, 8), make([]byte, 1)
	h.Read(signs)
	c := make([]int, n)
	for i := n - p.Tau; i < n; i++ {
		for h.Read(one); int(one[0]) > i; h.Read(one) {
		}
		bit := i + p.Tau - n
		c[i] = c[one[0]]
		c[one[0]] = 1 - 2*int(signs[bit/8]>>(bit%8)&1)
	}
	return c
}

// hints is HintBitUnpack (algorithm 21).
func (p MLDSA) hints(b []byte) (hints [][n]bool, ok bool) {
	hints = make([][n]bool, p.K)
	at := 0
	for i := range hints {
		end := int(b[p.Omega+i])
		if end < at || end > p.Omega {
			return nil, false
		}
		for first := at; at < end; at++ {
			if at > first && b[at-1] >= b[at] {
				return nil, false
			}
			hints[i][b[at]] = true
		}
	}
	for _, v := range b[at:p.Omega] {
		if v != 0 {
			return nil, false
		}
	}
	return hints, true
}

// encodeW1 is UseHint and w1Encode (algorithms 40 and 28).
func (p MLDSA) encodeW1(hints [n]bool, w []int) []byte {
	m, bits := (dsaQ-1)/(2*p.Gamma2), 4
	if m == 44 {
		bits = 6
	}
	for i, r := range w {
		r0 := r % (2 * p.Gamma2)
		if r0 > p.Gamma2 {
			r0 -= 2 * p.Gamma2
		}
		r1 := (r - r0) / (2 * p.Gamma2)
		if r-r0 == dsaQ-1 {
			r1, r0 = 0, r0-1
		}
		switch {
		case hints[i] && r0 > 0:
			r1 = (r1 + 1) % m
		case hints[i]:
			r1 = (r1 + m - 1) % m
		}
		w[i] = r1
	}
	return pack(w, bits)
}
