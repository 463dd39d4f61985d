package lattice

import (
	"bytes"
	"crypto/sha3"
	"fmt"
)

// MLKEM is a parameter set of ML-KEM (FIPS 203, table 2).
type MLKEM struct {
	k, eta1, du, dv int
}

// NewMLKEM returns a parameter set by the number that the TPM 2.0 Library has for it: 1, 2
// and 3 for ML-KEM-512, -768 and -1024. It panics for another number.
func NewMLKEM(set uint16) MLKEM {
	switch set {
	case 1:
		return MLKEM{k: 2, eta1: 3, du: 10, dv: 4}
	case 2:
		return MLKEM{k: 3, eta1: 2, du: 10, dv: 4}
	case 3:
		return MLKEM{k: 4, eta1: 2, du: 11, dv: 5}
	}
	panic(fmt.Sprintf("lattice: no parameter set %d of ML-KEM", set))
}

const (
	kemN    = 256
	kemQ    = 3329
	kemEta2 = 2
)

// kemPoly is a polynomial, or its image under NTT; coefficients are in [0, kemQ).
type kemPoly [kemN]int

// SeedSize is the size in bytes of a private key: d and z.
const SeedSize = 64

// PublicSize is the size in bytes of an encapsulation key.
func (p MLKEM) PublicSize() int { return 384*p.k + 32 }

// CiphertextSize is the size in bytes of a ciphertext.
func (p MLKEM) CiphertextSize() int { return 32 * (p.du*p.k + p.dv) }

// Public is the encapsulation key of a seed of [SeedSize] bytes (algorithms 13 and 16).
func (p MLKEM) Public(seed []byte) []byte {
	public, _ := p.generate(seed[:32])
	return public
}

// generate is algorithm 13. The secret vector is in the NTT domain.
func (p MLKEM) generate(d []byte) (public []byte, s []kemPoly) {
	g := sha3.Sum512(append(bytes.Clone(d), byte(p.k)))
	rho, sigma := g[:32], g[32:]
	counter := byte(0)
	s, e := make([]kemPoly, p.k), make([]kemPoly, p.k)
	for _, vector := range [][]kemPoly{s, e} {
		for i := range vector {
			vector[i] = kemNTT(noise(sigma, counter, p.eta1))
			counter++
		}
	}
	for i := range p.k {
		t := e[i]
		for j := range p.k {
			t = kemAdd(t, kemMultiply(sampleKEM(rho, byte(j), byte(i)), s[j]))
		}
		public = append(public, encodeBits(t[:], 12)...)
	}
	return append(public, rho...), s
}

// Encapsulate makes the secret and the ciphertext of 32 random bytes (algorithm 17).
func (p MLKEM) Encapsulate(public, random []byte) (shared, ciphertext []byte) {
	h := sha3.Sum256(public)
	g := sha3.Sum512(append(bytes.Clone(random), h[:]...))
	return g[:32], p.encrypt(public, random, g[32:])
}

// Decapsulate returns the secret of a ciphertext of [MLKEM.CiphertextSize] bytes, with the
// seed that the key is from (algorithm 18).
func (p MLKEM) Decapsulate(seed, ciphertext []byte) []byte {
	public, s := p.generate(seed[:32])
	h := sha3.Sum256(public)
	m := p.decrypt(s, ciphertext)
	g := sha3.Sum512(append(bytes.Clone(m), h[:]...))
	if !bytes.Equal(p.encrypt(public, m, g[32:]), ciphertext) {
		return sha3.SumSHAKE256(append(bytes.Clone(seed[32:64]), ciphertext...), 32)
	}
	return g[:32]
}

// encrypt is algorithm 14.
func (p MLKEM) encrypt(public, m, random []byte) []byte {
	rho := public[384*p.k:]
	counter := byte(0)
	y := make([]kemPoly, p.k)
	for i := range y {
		y[i] = kemNTT(noise(random, counter, p.eta1))
		counter++
	}
	var ciphertext []byte
	for i := range p.k {
		var sum kemPoly
		for j := range p.k {
			sum = kemAdd(sum, kemMultiply(sampleKEM(rho, byte(i), byte(j)), y[j]))
		}
		u := kemAdd(kemInverse(sum), noise(random, counter, kemEta2))
		counter++
		ciphertext = append(ciphertext, encodeBits(compress(u, p.du), p.du)...)
	}
	var sum kemPoly
	for i := range p.k {
		sum = kemAdd(sum, kemMultiply(toKEM(decodeBits(public[384*i:384*(i+1)], 12)), y[i]))
	}
	v := kemAdd(kemInverse(sum), noise(random, counter, kemEta2))
	v = kemAdd(v, decompress(decodeBits(m, 1), 1))
	return append(ciphertext, encodeBits(compress(v, p.dv), p.dv)...)
}

// decrypt is algorithm 15.
func (p MLKEM) decrypt(s []kemPoly, ciphertext []byte) []byte {
	var sum kemPoly
	for i := range p.k {
		u := decompress(decodeBits(ciphertext[32*p.du*i:32*p.du*(i+1)], p.du), p.du)
		sum = kemAdd(sum, kemMultiply(s[i], kemNTT(u)))
	}
	v := decompress(decodeBits(ciphertext[32*p.du*p.k:], p.dv), p.dv)
	product := kemInverse(sum)
	for i := range v {
		v[i] = mod(v[i]-product[i], kemQ)
	}
	return encodeBits(compress(v, 1), 1)
}

// noise is algorithm 8 of what PRF gives.
func noise(key []byte, counter byte, eta int) (f kemPoly) {
	bits := decodeBits(sha3.SumSHAKE256(append(bytes.Clone(key), counter), 64*eta), 1)
	for i := range f {
		for j := range eta {
			f[i] += bits[2*i*eta+j] - bits[2*i*eta+eta+j]
		}
		f[i] = mod(f[i], kemQ)
	}
	return f
}

// sampleKEM is algorithm 7.
func sampleKEM(rho []byte, i, j byte) (a kemPoly) {
	xof := sha3.NewSHAKE128()
	xof.Write(rho)
	xof.Write([]byte{i, j})
	var b [3]byte
	for n := 0; n < kemN; {
		xof.Read(b[:])
		for _, d := range [2]int{int(b[0]) + 256*(int(b[1])%16), int(b[1])/16 + 16*int(b[2])} {
			if d < kemQ && n < kemN {
				a[n] = d
				n++
			}
		}
	}
	return a
}

// compress and decompress are section 4.2.1.
func compress(f kemPoly, d int) []int {
	out := make([]int, kemN)
	for i, x := range f {
		out[i] = ((x<<d + kemQ/2) / kemQ) % (1 << d)
	}
	return out
}

func decompress(y []int, d int) (f kemPoly) {
	for i := range f {
		f[i] = (y[i]*kemQ + 1<<(d-1)) >> d
	}
	return f
}

// kemZeta are the powers of 17 in the order of algorithm 9.
var kemZeta = powers(17, kemQ, 7)

// kemNTT is algorithm 9.
func kemNTT(f kemPoly) kemPoly {
	i := 1
	for length := 128; length >= 2; length /= 2 {
		for start := 0; start < kemN; start += 2 * length {
			for j := start; j < start+length; j++ {
				t := kemZeta[i] * f[j+length] % kemQ
				f[j], f[j+length] = (f[j]+t)%kemQ, mod(f[j]-t, kemQ)
			}
			i++
		}
	}
	return f
}

// kemInverse is algorithm 10.
func kemInverse(f kemPoly) kemPoly {
	i := 127
	for length := 2; length <= 128; length *= 2 {
		for start := 0; start < kemN; start += 2 * length {
			for j := start; j < start+length; j++ {
				t := f[j]
				f[j] = (t + f[j+length]) % kemQ
				f[j+length] = kemZeta[i] * mod(f[j+length]-t, kemQ) % kemQ
			}
			i--
		}
	}
	for j := range f {
		f[j] = f[j] * 3303 % kemQ // 1/128
	}
	return f
}

// kemMultiply is algorithm 11.
func kemMultiply(f, g kemPoly) (h kemPoly) {
	for i := range kemN / 2 {
		gamma := kemZeta[64+i/2]
		if i%2 == 1 {
			gamma = kemQ - gamma
		}
		a, b := 2*i, 2*i+1
		h[a] = (f[a]*g[a] + f[b]*g[b]%kemQ*gamma) % kemQ
		h[b] = (f[a]*g[b] + f[b]*g[a]) % kemQ
	}
	return h
}

func kemAdd(f, g kemPoly) kemPoly {
	for i := range f {
		f[i] = (f[i] + g[i]) % kemQ
	}
	return f
}

func toKEM(values []int) (f kemPoly) {
	copy(f[:], values)
	return f
}
