package wire

// DigestList takes a TPML_DIGEST of min to max digests and appends them to dst:
// TPM_RC_SIZE for another number, and for a digest longer than the largest. The
// digests alias the input. dst comes back as it was if the list does not decode.
func (r *Reader) DigestList(dst [][]byte, min, max int) [][]byte {
	n := r.Count(max)
	if n < min {
		r.Fail(RCSize)
	}
	list := dst
	for range n {
		list = append(list, r.Digest())
	}
	if r.rc != RCSuccess {
		return dst
	}
	return list
}

// Operand takes a TPM2B_OPERAND: TPM_RC_SIZE if it is longer than MaxOperand.
// The result aliases the input.
func (r *Reader) Operand() []byte { return r.Sized(MaxOperand) }

// EO takes a TPM_EO: TPM_RC_VALUE for what is no comparison.
func (r *Reader) EO() EO {
	eo := EO(r.U16())
	if eo > EOBitClear {
		r.Fail(RCValue)
	}
	return eo
}
