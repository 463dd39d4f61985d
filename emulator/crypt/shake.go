package crypt

import (
	"crypto/sha3"
	"errors"
)

// SHAKE256 (FIPS 202, section 6.2) as a hash and in the middle of its input.

// shakeHash is SHAKE256 as a hash.Hash with a digest of a fixed size.
type shakeHash struct {
	x    sha3.SHAKE
	size int
}

func (h *shakeHash) Write(p []byte) (int, error)    { return h.x.Write(p) }
func (h *shakeHash) Reset()                         { h.x.Reset() }
func (h *shakeHash) Size() int                      { return h.size }
func (h *shakeHash) BlockSize() int                 { return shake256Block }
func (h *shakeHash) MarshalBinary() ([]byte, error) { return h.x.MarshalBinary() }
func (h *shakeHash) UnmarshalBinary(b []byte) error { return unmarshalSHAKE(&h.x, b) }
func (h *shakeHash) Sum(dst []byte) []byte          { return sumSHAKE(&h.x, dst, h.size) }

// sumSHAKE appends n bytes of output to dst. The input may go on after it.
func sumSHAKE(x *sha3.SHAKE, dst []byte, n int) []byte {
	end, at := *x, len(dst)
	dst = append(dst, make([]byte, n)...)
	end.Read(dst[at:])
	return dst
}

// unmarshalSHAKE restores a SHAKE256 that still takes input.
func unmarshalSHAKE(x *sha3.SHAKE, state []byte) error {
	fresh, err := x.MarshalBinary()
	if err == nil {
		err = checkSponge(state, fresh, shake256Block)
	}
	if err != nil {
		return err
	}
	return x.UnmarshalBinary(state)
}

var errSponge = errors.New("it is not of a function that takes input")

// checkSponge refuses states of functions of package sha3 that it restores and that
// panic when they are written to: of those that give output already. fresh is a state that
// takes input. The last two octets are how many wait in the block, and what it does.
func checkSponge(state, fresh []byte, block int) error {
	n := len(fresh) - 2
	if len(state) != len(fresh) || int(state[n]) >= block || state[n+1] != fresh[n+1] {
		return errSponge
	}
	return nil
}
