package textbook

import (
	"bytes"
	"crypto/sha3"
)

// MLKEM is a parameter set of ML-KEM (FIPS 203, table 2).
type MLKEM struct{ K, Eta1, Eta2, DU, DV int }

// The parameter sets.
var (
	MLKEM512  = MLKEM{2, 3, 2, 10, 4}
	MLKEM768  = MLKEM{3, 2, 2, 10, 4}
	MLKEM1024 = MLKEM{4, 2, 2, 11, 5}
)

const (
	kemQ = 3329
	half = n / 2
)

// kemRoots has γ of each pair of values of NTT (section 4.3).
var kemRoots = func() (roots [half]int) {
	for i := range roots {
		roots[i] = power(17, 2*reverse(i, 7)+1, kemQ)
	}
	return roots
}()

// A DecapsulationKey is an ML-KEM key with its private part.
type DecapsulationKey struct {
	set    MLKEM
	s      [][]int // in the domain of NTT
	public []byte
	z      []byte
}

// NewDecapsulationKey makes the key of a seed, d and z (algorithms 13 and 16).
func (p MLKEM) NewDecapsulationKey(seed []byte) *DecapsulationKey {
	g := sha3.Sum512(append(bytes.Clone(seed[:32]), byte(p.K)))
	rho, sigma := g[:32], g[32:]
	s, e := make([][]int, p.K), make([][]int, p.K)
	for i := range p.K {
		s[i] = kemNTT(noise(sigma, i, p.Eta1))
		e[i] = kemNTT(noise(sigma, p.K+i, p.Eta1))
	}
	var public []byte
	for i := range p.K {
		for j := range p.K {
			addProduct(e[i], kemEntry(rho, byte(j), byte(i)), s[j])
		}
		public = append(public, pack(e[i], 12)...)
	}
	return &DecapsulationKey{p, s, append(public, rho...), seed[32:64]}
}

// Public is the encapsulation key.
func (k *DecapsulationKey) Public() []byte { return k.public }

// Encapsulate makes a secret and its ciphertext from 32 random bytes (algorithm 17).
func (p MLKEM) Encapsulate(public, random []byte) (shared, ciphertext []byte) {
	h := sha3.Sum256(public)
	g := sha3.Sum512(append(bytes.Clone(random), h[:]...))
	return g[:32], p.encrypt(public, random, g[32:])
}

// Decapsulate takes the secret out of a ciphertext (algorithm 18).
func (k *DecapsulationKey) Decapsulate(ciphertext []byte) []byte {
	p := k.set
	v := compressed(ciphertext[32*p.DU*p.K:], p.DV)
	product := make([]int, n)
	for i := range p.K {
		addProduct(product, k.s[i], kemNTT(compressed(ciphertext[32*p.DU*i:][:32*p.DU], p.DU)))
	}
	for i, w := range kemInverse(product) {
		v[i] = (v[i] + kemQ - w) % kemQ
	}
	message := compress(v, 1)
	shared, again := p.Encapsulate(k.public, message)
	if bytes.Equal(again, ciphertext) {
		return shared
	}
	return sha3.SumSHAKE256(append(bytes.Clone(k.z), ciphertext...), 32)
}

// encrypt is K-PKE.Encrypt (algorithm 14).
func (p MLKEM) encrypt(public, message, random []byte) (ciphertext []byte) {
	rho := public[384*p.K:]
	y := make([][]int, p.K)
	for i := range y {
		y[i] = kemNTT(noise(random, i, p.Eta1))
	}
	v := make([]int, n)
	for i := range p.K {
		u := make([]int, n)
		for j := range p.K {
			addProduct(u, kemEntry(rho, byte(i), byte(j)), y[j])
		}
		addProduct(v, unpack(public[384*i:][:384], 12), y[i])
		ciphertext = append(ciphertext, compress(sum(kemInverse(u), noise(random, p.K+i, p.Eta2)), p.DU)...)
	}
	v = sum(sum(kemInverse(v), noise(random, 2*p.K, p.Eta2)), compressed(message, 1))
	return append(ciphertext, compress(v, p.DV)...)
}

func sum(a, b []int) []int {
	for i := range a {
		a[i] = (a[i] + b[i]) % kemQ
	}
	return a
}

// compress is ByteEncode of Compress (section 4.2.1).
func compress(poly []int, bits int) []byte {
	out := make([]int, n)
	for i, v := range poly {
		out[i] = ((v<<bits + kemQ/2) / kemQ) % (1 << bits)
	}
	return pack(out, bits)
}

// compressed is Decompress of ByteDecode.
func compressed(b []byte, bits int) []int {
	out := unpack(b, bits)
	for i, v := range out {
		out[i] = (v*kemQ + 1<<(bits-1)) >> bits
	}
	return out
}

// noise is SamplePolyCBD of PRF (algorithm 8).
func noise(seed []byte, counter, eta int) []int {
	bits := unpack(sha3.SumSHAKE256(append(bytes.Clone(seed), byte(counter)), 64*eta), 1)
	out := make([]int, n)
	for i := range out {
		for j := range eta {
			out[i] += bits[2*i*eta+j] - bits[2*i*eta+eta+j]
		}
		out[i] = (out[i] + kemQ) % kemQ
	}
	return out
}

// kemEntry is SampleNTT (algorithm 7).
func kemEntry(seed []byte, column, row byte) []int {
	h := sha3.NewSHAKE128()
	h.Write(seed)
	h.Write([]byte{column, row})
	out := make([]int, 0, n+1)
	for b := make([]byte, 3); len(out) < n; {
		h.Read(b)
		for _, v := range unpack(b, 12) {
			if v < kemQ {
				out = append(out, v)
			}
		}
	}
	return out[:n]
}

func kemNTT(poly []int) []int {
	var parts [2][]int // the even and the odd coefficients
	for i, v := range poly {
		parts[i%2] = append(parts[i%2], v)
	}
	out := make([]int, n)
	for i := range out {
		out[i] = evaluate(parts[i%2], kemRoots[i/2], kemQ)
	}
	return out
}

// kemInverse is the inverse of kemNTT. The roots are those of x^128+1, as in dsaInverse.
func kemInverse(values []int) []int {
	const inverseOfHalf = 3303
	out := make([]int, n)
	powers := [half]int{}
	for i := range powers {
		powers[i] = 1
	}
	for j := range half {
		for part := range 2 {
			sum := 0
			for i := range half {
				sum = (sum + values[2*i+part]*powers[i]) % kemQ
			}
			if j > 0 {
				sum = kemQ - sum
			}
			out[(half-j)%half*2+part] = sum * inverseOfHalf % kemQ
		}
		for i := range powers {
			powers[i] = powers[i] * kemRoots[i] % kemQ
		}
	}
	return out
}

// addProduct adds a product in the domain of NTT to a polynomial (algorithms 11 and 12).
func addProduct(to, a, b []int) {
	for i, gamma := range kemRoots {
		a0, a1, b0, b1 := a[2*i], a[2*i+1], b[2*i], b[2*i+1]
		to[2*i] = (to[2*i] + a0*b0 + a1*b1%kemQ*gamma) % kemQ
		to[2*i+1] = (to[2*i+1] + a0*b1 + a1*b0) % kemQ
	}
}
