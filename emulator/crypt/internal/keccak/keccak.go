// Package keccak computes SHAKE128 and SHAKE256 (FIPS 202) of four inputs at a time, with
// AVX2 on processors of amd64 that have it. On others, and with the build tag purego,
// Available is false and nothing else may be called; package crypt computes one after the
// other there.
package keccak

import "encoding/binary"

// Sizes in octets of what a SHAKE takes and gives with one permutation.
const (
	Rate128 = 168
	Rate256 = 136
)

// MaxBlock is the largest of them.
const MaxBlock = Rate128

// Four are four sponges side by side. They take inputs of the same length that is shorter
// than a block, and then give blocks. The zero value is to be started.
type Four struct {
	lanes, scratch [25][4]uint64
	rate           int
}

// Start begins anew with four inputs, each a head that they share and an end of two octets.
// All together are shorter than a block of rate octets.
func (f *Four) Start(rate int, head []byte, ends *[4][2]byte) {
	f.rate = rate
	f.lanes = [25][4]uint64{}
	var block [MaxBlock]byte
	n := copy(block[:], head)
	for i, e := range ends {
		copy(block[n:], e[:])
		block[n+2] = 0x1F // the suffix of SHAKE, and the first bit of the padding
		for w := 0; 8*w <= n+2; w++ {
			f.lanes[w][i] = binary.LittleEndian.Uint64(block[8*w:])
		}
		f.lanes[rate/8-1][i] ^= 1 << 63
	}
}

// Next computes the next block of each.
func (f *Four) Next() { f.permute() }

// Block copies the block of one of the four to dst, which has room for it.
func (f *Four) Block(dst []byte, i int) {
	dst = dst[:f.rate]
	for w := 0; len(dst) >= 8; w++ {
		binary.LittleEndian.PutUint64(dst, f.lanes[w][i])
		dst = dst[8:]
	}
}
