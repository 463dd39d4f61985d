package crypt

import (
	"crypto/sha3"
	"encoding/binary"
)

// How ML-DSA draws polynomials from SHAKE (FIPS 204, section 7.3) and how it
// encodes them (section 7.2).

// pack appends the coefficients, which are not negative and have an even number of bits, at
// most 20, as SimpleBitPack of FIPS 204, algorithm 16, does.
func (p *dsaPoly) pack(dst []byte, bits uint) []byte {
	var packed dsaPacked
	half := bits / 4 // of four coefficients, in whole octets
	for i, at := 0, uint(0); i < dsaN; i, at = i+4, at+bits/2 {
		low := uint64(uint32(p[i])) | uint64(uint32(p[i+1]))<<bits
		high := uint64(uint32(p[i+2])) | uint64(uint32(p[i+3]))<<bits
		binary.LittleEndian.PutUint64(packed[at:], low|high<<(2*bits))
		binary.LittleEndian.PutUint64(packed[at+half:], low>>(8*half)|high<<(2*bits%8))
	}
	return append(dst, packed[:dsaN*bits/8]...)
}

// packBelow appends top - p, as BitPack of FIPS 204, algorithm 17, does.
func (p *dsaPoly) packBelow(dst []byte, top int32, bits uint) []byte {
	var q dsaPoly
	for i, a := range p {
		q[i] = top - a
	}
	return q.pack(dst, bits)
}

// dsaPacked has room for a packed polynomial of at most 20 bits a coefficient, and for the
// octets after it that are read and written too.
type dsaPacked [dsaN*20/8 + 8]byte

// unpack sets the coefficients to numbers of the given number of bits, at most 20,
// the inverse of pack.
func (p *dsaPoly) unpack(src *dsaPacked, bits uint) {
	mask := int32(1)<<bits - 1
	for i := range p {
		at := uint(i) * bits
		p[i] = int32(binary.LittleEndian.Uint32(src[at/8:])>>(at%8)) & mask
	}
}

// unpackBelow is the inverse of packBelow.
func (p *dsaPoly) unpackBelow(src *dsaPacked, top int32, bits uint) {
	mask, half, shift := uint64(1)<<bits-1, bits/4, 2*bits%8
	for i, at := 0, uint(0); i < dsaN; i, at = i+4, at+bits/2 {
		low, high := binary.LittleEndian.Uint64(src[at:]), binary.LittleEndian.Uint64(src[at+half:])>>shift
		p[i], p[i+1] = top-int32(low&mask), top-int32(low>>bits&mask)
		p[i+2], p[i+3] = top-int32(high&mask), top-int32(high>>bits&mask)
	}
}

// take cuts a packed polynomial off b.
func (d *dsaPacked) take(b []byte, bits uint) (rest []byte) {
	n := copy(d[:dsaN*bits/8], b)
	return b[n:]
}

// shakeInto starts x with the parts.
func shakeInto(x *sha3.SHAKE, parts ...[]byte) {
	x.Reset()
	for _, p := range parts {
		x.Write(p)
	}
}

// Block sizes in bytes of what SHAKE gives at a time.
const (
	shake128Block = 168
	shake256Block = 136
)

// drawUniform fills p with numbers below dsaQ (RejNTTPoly of FIPS 204, algorithm
// 30). x is a SHAKE128; the seed is public.
func (p *dsaPoly) drawUniform(x *sha3.SHAKE, rho []byte, column, row byte) {
	shakeInto(x, rho, []byte{column, row})
	var buf [shake128Block]byte
	for n := 0; n < dsaN; {
		x.Read(buf[:])
		n = p.takeUniform(n, buf[:])
	}
}

// takeUniform takes the numbers of a block, from coefficient n on, and gives the coefficient
// that is the next one.
func (p *dsaPoly) takeUniform(n int, b []byte) int {
	for ; len(b) >= 3 && n < dsaN; b = b[3:] {
		if a := int32(b[0]) | int32(b[1])<<8 | int32(b[2]&0x7F)<<16; a < dsaQ {
			p[n] = a
			n++
		}
	}
	return n
}

// drawSmall fills p with numbers in -eta…eta (RejBoundedPoly of FIPS 204,
// algorithm 31). x is a SHAKE256. What the time tells is only which half octets
// were of no use.
func (p *dsaPoly) drawSmall(x *sha3.SHAKE, seed []byte, nonce uint16, eta int32) {
	shakeInto(x, seed, []byte{byte(nonce), byte(nonce >> 8)})
	var buf [shake256Block]byte
	for n := 0; n < dsaN; {
		x.Read(buf[:])
		n = p.takeSmall(n, buf[:], eta)
	}
}

// takeSmall is takeUniform for drawSmall.
func (p *dsaPoly) takeSmall(n int, block []byte, eta int32) int {
	limit := int32(15)
	if eta == 4 {
		limit = 9
	}
	put := func(half byte) {
		if a := int32(half); a < limit && n < dsaN {
			if eta == 2 {
				a = int32(uint32(a) % 5)
			}
			p[n] = eta - a
			n++
		}
	}
	for _, b := range block {
		put(b & 0x0F)
		put(b >> 4)
	}
	return n
}

// drawMask fills p with numbers in -2^(bits-1)+1…2^(bits-1) (ExpandMask of FIPS
// 204, algorithm 34). x is a SHAKE256.
func (p *dsaPoly) drawMask(x *sha3.SHAKE, seed []byte, nonce uint16, bits uint) {
	shakeInto(x, seed, []byte{byte(nonce), byte(nonce >> 8)})
	var packed dsaPacked
	x.Read(packed[:dsaN*bits/8])
	p.unpackBelow(&packed, 1<<(bits-1), bits)
}

// drawChallenge fills p with tau coefficients of 1 or -1 and zeros (SampleInBall
// of FIPS 204, algorithm 29). x is a SHAKE256; the challenge is public.
func (p *dsaPoly) drawChallenge(x *sha3.SHAKE, challenge []byte, tau int) {
	shakeInto(x, challenge)
	*p = dsaPoly{}
	var buf [shake256Block]byte
	x.Read(buf[:])
	signs, b := binary.LittleEndian.Uint64(buf[:]), buf[8:]
	for i := dsaN - tau; i < dsaN; i++ {
		j := i + 1
		for j > i {
			if len(b) == 0 {
				x.Read(buf[:])
				b = buf[:]
			}
			j, b = int(b[0]), b[1:]
		}
		p[i] = p[j]
		p[j] = 1 - 2*int32(signs&1)
		signs >>= 1
	}
}

// dsaHints are the places of the ones in the hint of a signature, polynomial by
// polynomial and ascending.
type dsaHints [8][]byte

// encode appends the hint in omega + k octets (HintBitPack of FIPS 204, algorithm
// 20).
func (h *dsaHints) encode(dst []byte, k, omega int) []byte {
	start := len(dst)
	for _, places := range h[:k] {
		dst = append(dst, places...)
	}
	used := len(dst) - start
	dst = append(dst, make([]byte, omega-used+k)...)
	ends, end := dst[start+omega:], 0
	for i, places := range h[:k] {
		end += len(places)
		ends[i] = byte(end)
	}
	return dst
}

// decode is the inverse of encode. It reports whether b is the one encoding that a
// hint has (HintBitUnpack of FIPS 204, algorithm 21). Its places alias b.
func (h *dsaHints) decode(b []byte, k, omega int) bool {
	places, ends := b[:omega], b[omega:omega+k]
	start := 0
	for i, e := range ends {
		end := int(e)
		if end < start || end > omega {
			return false
		}
		h[i] = places[start:end]
		for j := 1; j < len(h[i]); j++ {
			if h[i][j-1] >= h[i][j] {
				return false
			}
		}
		start = end
	}
	for _, unused := range places[start:] {
		if unused != 0 {
			return false
		}
	}
	return true
}

// use sets high, which is p rounded, to what it was before the owner's secret part
// was left out (UseHint of FIPS 204, algorithm 40). p is in 0…dsaQ-1.
func (p *dsaPoly) use(places []byte, high *dsaPoly, gamma2 int32) {
	top := int32((dsaQ - 1) / (2 * gamma2))
	p.round(high, gamma2)
	for _, at := range places {
		step := int32(-1)
		if p[at] > 0 {
			step = 1
		}
		high[at] = (high[at] + step + top) % top
	}
}
