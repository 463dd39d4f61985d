package state

import (
	"crypto/sha256"
	"encoding"
	"hash"
)

// Encoder encodes the state of one TPM for its Store, commit after commit. Most
// commits are for NV indices: EncodeNV writes and digests only what is in the
// encoded state from their section on. The zero value is ready.
type Encoder struct {
	blob  []byte    // the last result
	head  int       // how much of it is before the section of NV
	count uint16    // of sections in it
	sum   hash.Hash // SHA-256
	mid   []byte    // what sum was after the head
}

// Encode is State.Encode. The result is valid until the next call.
func (e *Encoder) Encode(s *State) []byte {
	if e.sum == nil {
		e.sum = sha256.New()
	}
	e.blob = s.appendHead(e.blob[:0], false)
	e.head, e.count = len(e.blob), s.count(false)
	e.sum.Reset()
	e.sum.Write(e.blob)
	e.mid, _ = e.sum.(encoding.BinaryAppender).AppendBinary(e.mid[:0]) // a hash of Go's has no error
	return e.finish(s)
}

// EncodeNV gives the last result of Encode with NV, Objects and Unknown as they
// are now in the same TPM's state, and everything else as it was then. The
// result is valid until the next call.
func (e *Encoder) EncodeNV(s *State) []byte {
	if e.head == 0 || e.count != s.count(false) || e.sum.(encoding.BinaryUnmarshaler).UnmarshalBinary(e.mid) != nil {
		return e.Encode(s)
	}
	e.blob = e.blob[:e.head]
	return e.finish(s)
}

// finish encodes and digests what is behind the head.
func (e *Encoder) finish(s *State) []byte {
	e.blob = s.appendRest(e.blob)
	e.sum.Write(e.blob[e.head:])
	e.blob = e.sum.Sum(e.blob)
	return e.blob
}
