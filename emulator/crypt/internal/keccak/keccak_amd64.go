//go:build amd64 && !purego

package keccak

import "golang.org/x/sys/cpu"

//go:generate go -C ../../../../scripts/tools run ./keccak ../../emulator/crypt/internal/keccak

// Available reports whether this processor has what the package needs.
var Available = cpu.X86.HasAVX2

//go:noescape
func permuteAVX2(state, scratch, constants *uint64)

func (f *Four) permute() { permuteAVX2(&f.lanes[0][0], &f.scratch[0][0], &constants[0]) }

// constants are those of iota: bit 2^j - 1 of the one of a round is the next bit of a
// register of eight bits (FIPS 202, section 3.2.5).
var constants = func() (c [24]uint64) {
	register := byte(1)
	for round := range c {
		for j := range 7 {
			c[round] |= uint64(register&1) << (1<<j - 1)
			carry := register >> 7
			register = register<<1 ^ carry*0x71
		}
	}
	return c
}()
