package emulator

import (
	"math/big"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/state"
)

// The random numbers that are committed to in one command and used up in
// another (Part 1, annex "TPM2_Commit() Algorithm"). They are made from a secret
// and a counter; a bit tells whether a number is still to be used. Clients get 16
// bits of the counter.

// takeCommitment takes the next number and gives the counter that names it. One that is
// as many commitments old as there are bits can no longer be used.
func (t *TPM) takeCommitment() uint16 {
	r := &t.s.Reset
	count := uint16(r.CommitCounter)
	r.CommitCounter++
	r.CommitArray[count%state.MaxCommits/8] |= 1 << (count % 8)
	return count
}

// endCommit uses a number up.
func (t *TPM) endCommit(count uint16) {
	t.s.Reset.CommitArray[count%state.MaxCommits/8] &^= 1 << (count % 8)
}

// committed gives the whole counter of a number that is still to be used, false
// for any other.
func (t *TPM) committed(count uint16) (uint64, bool) {
	r := &t.s.Reset
	if r.CommitArray[count%state.MaxCommits/8]>>(count%8)&1 == 0 {
		return 0, false
	}
	newest := r.CommitCounter
	counter := newest&^0xFFFF | uint64(count)
	if counter >= newest {
		counter -= 1 << 16
	}
	return counter, newest-counter <= state.MaxCommits && counter < newest
}

// commitNumber is the number that was committed to with a key, whose Name is
// given, or without one. It is false for a number that is used up.
func (t *TPM) commitNumber(curve *crypt.Curve, name []byte, count uint16) (*big.Int, bool) {
	counter, ok := t.committed(count)
	if !ok {
		return nil, false
	}
	return t.commitNumberOf(curve, name, counter)
}

// commitNumberOf is the number for a value of the counter.
func (t *TPM) commitNumberOf(curve *crypt.Curve, name []byte, counter uint64) (*big.Int, bool) {
	k, err := curve.CommitNumber(t.contextHash, t.s.Reset.CommitNonce.Bytes(), name, counter)
	return k, err == nil
}

// commitStartup is the part of TPM2_Startup: a TPM Reset ends all commitments.
func (t *TPM) commitStartup(kind startupKind) {
	if r := &t.s.Reset; kind == startupReset {
		r.CommitCounter, r.CommitArray = 0, [state.MaxCommits / 8]uint8{}
		t.random(&r.CommitNonce, proofSize)
	}
}
