package crypt

import (
	"crypto/sha3"
	"encoding/binary"

	"github.com/swtpmd/swtpmd/emulator/crypt/internal/keccak"
)

// Arithmetic in the ring of ML-KEM: polynomials of 256 coefficients modulo kemQ and
// X^256 + 1, how they are drawn and how they are encoded (FIPS 203, sections 4.2 and
// 4.3). Nothing here branches on a coefficient or uses one as an index, but for the
// public matrix; all divisions are by constants, of which compilers make products.

const (
	kemN = 256
	kemQ = 3329

	kemQInv  = -3327 // 1/kemQ modulo 2^16
	kemUnity = 1441  // 2^32/128 modulo kemQ: two Montgomery factors, and the mean of 128
	kemToR2  = 1353  // 2^32 modulo kemQ
)

// kemPoly is a polynomial. Its coefficients are signed and stand for their residues.
type kemPoly [kemN]int16

// kemZetas are the powers of 17, a 256th root of unity, in the order in which ntt
// uses them, times 2^16, closest to 0.
var kemZetas = func() (zetas [kemN / 2]int16) {
	root := 1
	var powers [kemN / 2]int
	for i := range powers {
		powers[i] = root
		root = root * 17 % kemQ
	}
	for i := range zetas {
		reversed := 0
		for bit := range 7 {
			reversed |= i >> bit & 1 << (6 - bit)
		}
		zeta := powers[reversed] << 16 % kemQ
		if zeta > kemQ/2 {
			zeta -= kemQ
		}
		zetas[i] = int16(zeta)
	}
	return zetas
}()

// kemMontgomery gives a·2^-16 modulo kemQ, between -kemQ and kemQ, for a of at most
// 2^15·kemQ in absolute value.
func kemMontgomery(a int32) int16 {
	t := int16(a) * kemQInv
	return int16((a - int32(t)*kemQ) >> 16)
}

func kemMultiply(a, b int16) int16 { return kemMontgomery(int32(a) * int32(b)) }

// kemReduce gives the residue of a that is closest to 0.
func kemReduce(a int16) int16 {
	const factor = (1<<26 + kemQ/2) / kemQ
	return a - int16((int32(a)*factor+1<<25)>>26)*kemQ
}

// kemCanonical gives the residue of a in 0…kemQ-1.
func kemCanonical(a int16) int16 {
	a = kemReduce(a)
	return a + a>>15&kemQ
}

// ntt transforms p in place, from coefficients of at most kemQ in absolute value to
// those closest to 0 (FIPS 203, algorithm 9).
func (p *kemPoly) ntt() {
	k := 0
	for size := kemN / 2; size > 1; size /= 2 {
		for start := 0; start < kemN; start += 2 * size {
			k++
			zeta := kemZetas[k]
			low, high := p[start:start+size], p[start+size:start+2*size]
			high = high[:len(low)]
			for i, a := range low {
				t := kemMultiply(zeta, high[i])
				low[i], high[i] = a+t, a-t
			}
		}
	}
	p.reduce()
}

// inverseNTT is the inverse of ntt, times 2^16, for coefficients of less than kemQ in
// absolute value. So are those it gives (FIPS 203, algorithm 10).
func (p *kemPoly) inverseNTT() {
	k := kemN / 2
	for size := 2; size < kemN; size *= 2 {
		for start := 0; start < kemN; start += 2 * size {
			k--
			zeta := kemZetas[k]
			low, high := p[start:start+size], p[start+size:start+2*size]
			high = high[:len(low)]
			for i, a := range low {
				b := high[i]
				low[i], high[i] = kemReduce(a+b), kemMultiply(zeta, b-a)
			}
		}
	}
	for i, a := range p {
		p[i] = kemMultiply(a, kemUnity)
	}
}

// dot sets p to the sum of the products of two vectors in the NTT domain, times 2^-16
// (FIPS 203, algorithm 11). The polynomials of a are step apart. Coefficients are less
// than kemQ in absolute value, those of p closest to 0.
func (p *kemPoly) dot(a []kemPoly, step int, b []kemPoly) {
	*p = kemPoly{}
	for n := range b {
		x, y := &a[n*step], &b[n]
		for i := 0; i < kemN; i += 4 {
			zeta := kemZetas[kemN/4+i/4]
			x0, x1, x2, x3 := x[i], x[i+1], x[i+2], x[i+3]
			y0, y1, y2, y3 := y[i], y[i+1], y[i+2], y[i+3]
			p[i] += kemMontgomery(int32(x0)*int32(y0) + int32(kemMultiply(x1, y1))*int32(zeta))
			p[i+1] += kemMontgomery(int32(x0)*int32(y1) + int32(x1)*int32(y0))
			p[i+2] += kemMontgomery(int32(x2)*int32(y2) - int32(kemMultiply(x3, y3))*int32(zeta))
			p[i+3] += kemMontgomery(int32(x2)*int32(y3) + int32(x3)*int32(y2))
		}
	}
	p.reduce()
}

func (p *kemPoly) add(a *kemPoly) {
	for i := range p {
		p[i] += a[i]
	}
}

// reduce makes all coefficients those closest to 0.
func (p *kemPoly) reduce() {
	for i, a := range p {
		p[i] = kemReduce(a)
	}
}

// toMontgomery multiplies by 2^16, which makes up for a product.
func (p *kemPoly) toMontgomery() {
	for i, a := range p {
		p[i] = kemMultiply(a, kemToR2)
	}
}

// drawUniform fills p with numbers below kemQ (SampleNTT of FIPS 203, algorithm 7). x
// is a SHAKE128; the seed is public.
func (p *kemPoly) drawUniform(x *sha3.SHAKE, rho []byte, column, row byte) {
	shakeInto(x, rho, []byte{column, row})
	var buf [shake128Block]byte
	for n := 0; n < kemN; {
		x.Read(buf[:])
		n = p.takeUniform(n, buf[:])
	}
}

// takeUniform takes the numbers of a block, from coefficient n on, and gives the coefficient
// that is the next one.
func (p *kemPoly) takeUniform(n int, b []byte) int {
	for ; len(b) >= 3 && n < kemN; b = b[3:] {
		if a := int16(b[0]) | int16(b[1]&0x0F)<<8; a < kemQ {
			p[n] = a
			n++
		}
		if a := int16(b[1]>>4) | int16(b[2])<<4; a < kemQ && n < kemN {
			p[n] = a
			n++
		}
	}
	return n
}

// drawSmall fills p with numbers in -eta…eta, each the difference of two sums of eta
// bits (SamplePolyCBD of FIPS 203, algorithm 8, of its PRF). x is a SHAKE256.
func (p *kemPoly) drawSmall(x *sha3.SHAKE, seed []byte, nonce byte, eta int) {
	shakeInto(x, seed, []byte{nonce})
	var buf kemNoise
	x.Read(buf[:kemN/4*eta])
	p.takeSmall(&buf, eta)
}

// kemNoise has the blocks of SHAKE256 that a polynomial with eta of 2 or 3 is drawn from.
type kemNoise [2 * shake256Block]byte

// drawSmalls is drawSmall for polynomials with nonces that follow each other, four at a time
// where package keccak has code for it.
func drawSmalls(x *sha3.SHAKE, seed []byte, nonce byte, eta int, polys []kemPoly) {
	if !keccak.Available {
		for i := range polys {
			polys[i].drawSmall(x, seed, nonce+byte(i), eta)
		}
		return
	}
	var f keccak.Four
	var noise [4]kemNoise
	for first := 0; first < len(polys); first += len(noise) {
		group := polys[first:min(first+len(noise), len(polys))]
		var ends [4][2]byte
		for i := range ends {
			ends[i][0] = nonce + byte(first+i)
		}
		f.StartShort(keccak.Rate256, seed, &ends)
		for at := 0; at < kemN/4*eta; at += shake256Block {
			f.Next()
			for i := range group {
				f.Block(noise[i][at:], i)
			}
		}
		for i := range group {
			group[i].takeSmall(&noise[i], eta)
		}
	}
}

func (p *kemPoly) takeSmall(buf *kemNoise, eta int) {
	if eta == 2 {
		for i := 0; i < kemN; i += 8 {
			bits := binary.LittleEndian.Uint32(buf[i/2:])
			sums := bits&0x55555555 + bits>>1&0x55555555
			for j := range 8 {
				p[i+j] = int16(sums&3) - int16(sums>>2&3)
				sums >>= 4
			}
		}
		return
	}
	for i := 0; i < kemN; i += 4 {
		bits := binary.LittleEndian.Uint32(buf[3*i/4:]) & 0xFFFFFF
		sums := bits&0x249249 + bits>>1&0x249249 + bits>>2&0x249249
		for j := range 4 {
			p[i+j] = int16(sums&7) - int16(sums>>3&7)
			sums >>= 6
		}
	}
}

// pack appends the coefficients compressed to d bits, at most 11, or, with 12 bits, as
// they are (ByteEncode and Compress of FIPS 203, section 4.2.1).
func (p *kemPoly) pack(dst []byte, d uint) []byte {
	acc, n := uint64(0), uint(0)
	for _, a := range p {
		v := uint32(kemCanonical(a))
		if d < 12 {
			v = (v<<d + kemQ/2) / kemQ & (1<<d - 1)
		}
		acc |= uint64(v) << n
		if n += d; n >= 32 {
			dst = binary.LittleEndian.AppendUint32(dst, uint32(acc))
			acc, n = acc>>32, n-32
		}
	}
	return dst
}

// unpack is the inverse of pack. It cuts 32·d octets off b and reports whether numbers
// of 12 bits are below kemQ.
func (p *kemPoly) unpack(b []byte, d uint) (rest []byte, ok bool) {
	acc, n, at := uint64(0), uint(0), 0
	over := int32(0)
	for i := range p {
		if n < d {
			acc |= uint64(binary.LittleEndian.Uint32(b[at:])) << n
			n, at = n+32, at+4
		}
		v := int32(acc & (1<<d - 1))
		acc, n = acc>>d, n-d
		if d < 12 {
			v = (v*kemQ + 1<<(d-1)) >> d
		} else {
			over |= kemQ - 1 - v
		}
		p[i] = int16(v)
	}
	return b[32*d:], over >= 0
}
