package ima

import (
	"encoding/binary"
	"hash"
	"math/bits"
)

// sm3 is the hash SM3 (GB/T 32905-2016; ISO/IEC 10118-3:2018, hash function 17),
// which the standard library does not have. A TPM can have a bank of it, and a
// kernel then a list.
type sm3 struct {
	state  [8]uint32
	block  [sm3Block]byte
	filled int    // bytes in block
	length uint64 // bytes written
}

const sm3Block = 64

func newSM3() hash.Hash {
	s := new(sm3)
	s.Reset()
	return s
}

func (s *sm3) Reset() {
	*s = sm3{state: [8]uint32{0x7380166f, 0x4914b2b9, 0x172442d7, 0xda8a0600, 0xa96f30bc, 0x163138aa, 0xe38dee4d, 0xb0fb0e4e}}
}

func (s *sm3) Size() int      { return 32 }
func (s *sm3) BlockSize() int { return sm3Block }

func (s *sm3) Write(p []byte) (int, error) {
	n := len(p)
	s.length += uint64(n)
	for len(p) > 0 {
		c := copy(s.block[s.filled:], p)
		p = p[c:]
		if s.filled += c; s.filled == sm3Block {
			s.compress()
			s.filled = 0
		}
	}
	return n, nil
}

func (s *sm3) Sum(dst []byte) []byte {
	end := *s // the hash goes on
	var pad [sm3Block + 8]byte
	pad[0] = 0x80
	size := (sm3Block+56-1-end.filled)%sm3Block + 1
	binary.BigEndian.PutUint64(pad[size:], 8*end.length)
	_, _ = end.Write(pad[:size+8])
	for _, v := range end.state {
		dst = binary.BigEndian.AppendUint32(dst, v)
	}
	return dst
}

// compress is the compression function CF (section 5.3).
func (s *sm3) compress() {
	var w [68]uint32
	for i := range 16 {
		w[i] = binary.BigEndian.Uint32(s.block[4*i:])
	}
	for i := 16; i < len(w); i++ {
		x := w[i-16] ^ w[i-9] ^ bits.RotateLeft32(w[i-3], 15)
		w[i] = x ^ bits.RotateLeft32(x, 15) ^ bits.RotateLeft32(x, 23) ^ bits.RotateLeft32(w[i-13], 7) ^ w[i-6]
	}
	v := s.state
	a, b, c, d, e, f, g, h := v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7]
	for i := range 64 {
		t, ff, gg := uint32(0x79cc4519), a^b^c, e^f^g
		if i >= 16 {
			t, ff, gg = 0x7a879d8a, a&b|a&c|b&c, e&f|^e&g
		}
		ss1 := bits.RotateLeft32(bits.RotateLeft32(a, 12)+e+bits.RotateLeft32(t, i%32), 7)
		tt1 := ff + d + (ss1 ^ bits.RotateLeft32(a, 12)) + (w[i] ^ w[i+4])
		tt2 := gg + h + ss1 + w[i]
		a, b, c, d = tt1, a, bits.RotateLeft32(b, 9), c
		e, f, g, h = tt2^bits.RotateLeft32(tt2, 9)^bits.RotateLeft32(tt2, 17), e, bits.RotateLeft32(f, 19), g
	}
	for i, x := range [8]uint32{a, b, c, d, e, f, g, h} {
		s.state[i] ^= x
	}
}
