package state

import (
	"crypto/sha256"
	"encoding"
	"hash"
)

// Encoder commits the state of one TPM to its Store, time after time. Most
// commits are for NV indices: CommitNV writes and digests only what is in the
// encoded state from their section on. The zero value is ready.
type Encoder struct {
	blob  []byte    // the last state, with its digest if the Store needs it
	head  int       // how much of it is before the section of NV
	count uint16    // of sections in it
	sum   hash.Hash // SHA-256
	mid   []byte    // what sum was after the head, empty if that is not known
}

// Commit is Store.Commit of State.Encode.
func (e *Encoder) Commit(store Store, s *State) error {
	e.blob = s.appendHead(e.blob[:0], false)
	e.head, e.count, e.mid = len(e.blob), s.count(false), e.mid[:0]
	return e.finish(store, s)
}

// CommitNV commits what Commit did the last time, with NV, Objects and Unknown
// as they are now in the same TPM's state, and everything else as it was then.
func (e *Encoder) CommitNV(store Store, s *State) error {
	if e.head == 0 || e.count != s.count(false) {
		return e.Commit(store, s)
	}
	e.blob = e.blob[:e.head]
	return e.finish(store, s)
}

// finish encodes what follows the head, and commits the whole. A Memory needs
// no digest before it is loaded.
func (e *Encoder) finish(store Store, s *State) error {
	e.blob = s.appendRest(e.blob)
	if m, ok := store.(*Memory); ok {
		m.keep(e.blob, false)
		return nil
	}
	e.digest()
	return store.Commit(e.blob)
}

// digest appends the digest.
func (e *Encoder) digest() {
	if e.sum == nil {
		e.sum = sha256.New()
	}
	if len(e.mid) == 0 || e.sum.(encoding.BinaryUnmarshaler).UnmarshalBinary(e.mid) != nil {
		e.sum.Reset()
		e.sum.Write(e.blob[:e.head])
		e.mid, _ = e.sum.(encoding.BinaryAppender).AppendBinary(e.mid[:0]) // a hash of Go's has no error
	}
	e.sum.Write(e.blob[e.head:])
	e.blob = e.sum.Sum(e.blob)
}
