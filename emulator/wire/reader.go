package wire

import "encoding/binary"

// Reader decodes a byte slice from the front. The first failure sticks: from
// then on every method returns a zero value and RC the code of that failure,
// so that a structure can be read in one go and checked once.
//
// The codes are bare, without handle, session or parameter number.
type Reader struct {
	b    []byte
	at   int // how many bytes are read
	algs *Selectors
	rc   RC
}

// NewReader reads b, accepting the algorithms of algs. It keeps both.
func NewReader(b []byte, algs *Selectors) Reader { return Reader{b: b, algs: algs} }

// RC is the first failure, RCSuccess if there was none.
func (r *Reader) RC() RC { return r.rc }

// Len is the number of bytes left to read.
func (r *Reader) Len() int { return len(r.b) - r.at }

// Rest returns the bytes that are not read yet.
func (r *Reader) Rest() []byte { return r.b[r.at:] }

// Fail makes rc the result unless there is a failure already.
func (r *Reader) Fail(rc RC) {
	if r.rc == RCSuccess {
		r.rc = rc
	}
}

// take reports whether n bytes are left, which are then read, or else fails with
// TPM_RC_INSUFFICIENT.
func (r *Reader) take(n int) bool {
	if r.rc != RCSuccess {
		return false
	}
	if uint(n) > uint(len(r.b)-r.at) {
		r.rc = RCInsufficient
		return false
	}
	r.at += n
	return true
}

// Bytes takes n bytes, or fails with TPM_RC_INSUFFICIENT. The result aliases
// the input.
func (r *Reader) Bytes(n int) []byte {
	at := r.at
	if !r.take(n) {
		return nil
	}
	return r.b[at:r.at:r.at]
}

// U8 takes a UINT8.
func (r *Reader) U8() uint8 {
	at := r.at
	if !r.take(1) {
		return 0
	}
	return r.b[at]
}

// U16 takes a UINT16.
func (r *Reader) U16() uint16 {
	at := r.at
	if !r.take(2) {
		return 0
	}
	return binary.BigEndian.Uint16(r.b[at:])
}

// U32 takes a UINT32.
func (r *Reader) U32() uint32 {
	at := r.at
	if !r.take(4) {
		return 0
	}
	return binary.BigEndian.Uint32(r.b[at:])
}

// U64 takes a UINT64.
func (r *Reader) U64() uint64 {
	at := r.at
	if !r.take(8) {
		return 0
	}
	return binary.BigEndian.Uint64(r.b[at:])
}

// Sized takes a TPM2B of at most max bytes: TPM_RC_SIZE if it says to be
// larger. The result aliases the input.
func (r *Reader) Sized(max int) []byte {
	n := int(r.U16())
	if r.rc == RCSuccess && n > max {
		r.rc = RCSize
	}
	return r.Bytes(n)
}

// Digest takes a TPM2B_DIGEST, or another TPM2B with the same bound: the largest
// digest of the algorithms.
func (r *Reader) Digest() []byte { return r.Sized(r.algs.LargestDigest()) }

// Count takes the UINT32 count of a list of at most max entries: TPM_RC_SIZE
// if it is larger.
func (r *Reader) Count(max int) int {
	n := r.U32()
	if r.rc == RCSuccess && uint64(n) > uint64(max) {
		r.rc = RCSize
	}
	if r.rc != RCSuccess {
		return 0
	}
	return int(n)
}

// inner takes the size field of a TPM2B that holds a structure: TPM_RC_SIZE if
// it is 0. The result is for end.
func (r *Reader) inner() int {
	size := int(r.U16())
	if r.rc == RCSuccess && size == 0 {
		r.rc = RCSize
	}
	return r.Len() - size
}

// end fails with TPM_RC_SIZE if the structure taken since inner is not of the
// size that the field gave.
func (r *Reader) end(left int) {
	if r.Len() != left {
		r.Fail(RCSize)
	}
}

// YesNo takes a TPMI_YES_NO (Part 2, section "TPMI_YES_NO"): TPM_RC_VALUE for
// anything but 0 and 1.
func (r *Reader) YesNo() bool {
	v := r.U8()
	if v > 1 {
		r.Fail(RCValue)
	}
	return v == 1
}

// alg takes a TPM_ALG_ID that must have role; rc is the failure if it has not.
// TPM_ALG_NULL is taken where null says that the type has its "+" variant.
func (r *Reader) alg(role Role, null bool, rc RC) AlgID {
	a := AlgID(r.U16())
	if r.rc != RCSuccess {
		return AlgNull
	}
	if a == AlgNull && null || a != AlgNull && r.algs.Has(a, role) {
		return a
	}
	r.rc = rc
	return AlgNull
}

// HashAlg takes a TPMI_ALG_HASH, with null its "+" variant: TPM_RC_HASH for an
// algorithm that is no accepted hash.
func (r *Reader) HashAlg(null bool) AlgID { return r.alg(RoleHash, null, RCHash) }
