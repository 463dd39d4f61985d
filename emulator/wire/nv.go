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
	r.nvPublicArea(p, HTNVIndex, maxSize)
	r.end(left)
}

// nvPublicArea takes a TPMS_NV_PUBLIC, or for HTExternalNV a
// TPMS_NV_PUBLIC_EXP_ATTR, which has attributes of 64 bits. The upper ones, of
// which three are defined, are dropped.
func (r *Reader) nvPublicArea(p *NVPublic, kind HT, maxSize uint32) {
	p.Index = Handle(r.U32())
	if p.Index.Type() != kind {
		r.Fail(RCValue)
	}
	p.NameAlg = r.HashAlg(false)
	var upper uint32
	if kind == HTExternalNV {
		upper = r.U32()
	}
	p.Attributes = NVAttributes(r.U32())
	if p.Attributes&NVReserved != 0 || upper&^nvExternal != 0 {
		r.Fail(RCReservedBits)
	}
	p.Policy = r.Digest()
	p.Size = r.U16()
	if uint32(p.Size) > maxSize {
		r.Fail(RCSize)
	}
}

// nvExternal are the upper bits that a TPMA_NV_EXP has, shifted down:
// encryption, integrity, antirollback.
const nvExternal = 7

// NVPublic2 takes a TPM2B_NV_PUBLIC_2 (rev 1.83; Part 2, section of that name),
// whose first octet is the type of the handle: HTNVIndex, or HTExternalNV and
// HTPermanentNV, of which all is checked but only the type of use. The failures
// are those of NVPublic, and TPM_RC_SELECTOR for another type. A permanent index
// has the structure of an ordinary one, whose handle cannot be its own.
func (r *Reader) NVPublic2(p *NVPublic, maxSize uint32) HT {
	left := r.inner()
	kind := HT(r.U8())
	switch kind {
	case HTNVIndex, HTPermanentNV:
		r.nvPublicArea(p, HTNVIndex, maxSize)
	case HTExternalNV:
		r.nvPublicArea(p, HTExternalNV, maxSize)
	default:
		r.Fail(RCSelector)
	}
	r.end(left)
	return kind
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

// NVPublic2 appends a TPM2B_NV_PUBLIC_2 of an ordinary index.
func (w *Writer) NVPublic2(p *NVPublic) {
	start := w.inner()
	w.U8(uint8(HTNVIndex))
	w.NVPublicArea(p)
	w.end(start)
}
