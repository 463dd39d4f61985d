package wire

// NVReserved are the bits of TPMA_NV that must be zero.
const NVReserved NVAttributes = 0x01F00300

// NVPublic is a TPMS_NV_PUBLIC (Part 2, section "TPMS_NV_PUBLIC"). A decoded
// Policy aliases the input.
type NVPublic struct {
	Index      Handle
	NameAlg    AlgID
	Attributes NVAttributes
	Policy     []byte
	Size       uint16 // of the data, in bytes
}

// NVPublic takes a TPM2B_NV_PUBLIC of an index of at most maxSize bytes.
// TPM_RC_SIZE for an empty one, for a size that is not that of what is in it,
// for a policy longer than the largest digest and for an index that is too
// large; TPM_RC_VALUE for a handle of another type, TPM_RC_HASH for a nameAlg
// that is not accepted, TPM_RC_RESERVED_BITS for attributes that must be zero.
func (r *Reader) NVPublic(p *NVPublic, maxSize uint32) {
	left := r.inner()
	p.Index = Handle(r.U32())
	if p.Index.Type() != HTNVIndex {
		r.Fail(RCValue)
	}
	p.NameAlg = r.HashAlg(false)
	p.Attributes = NVAttributes(r.U32())
	if p.Attributes&NVReserved != 0 {
		r.Fail(RCReservedBits)
	}
	p.Policy = r.Digest()
	p.Size = r.U16()
	if uint32(p.Size) > maxSize {
		r.Fail(RCSize)
	}
	r.end(left)
}

// NVPublic appends a TPM2B_NV_PUBLIC.
func (w *Writer) NVPublic(p *NVPublic) {
	start := w.inner()
	w.NVPublicArea(p)
	w.end(start)
}

// NVPublicArea appends a TPMS_NV_PUBLIC: what the Name of the index is the
// digest of.
func (w *Writer) NVPublicArea(p *NVPublic) {
	w.U32(uint32(p.Index))
	w.U16(uint16(p.NameAlg))
	w.U32(uint32(p.Attributes))
	w.Sized(p.Policy)
	w.U16(p.Size)
}
