package wire

// PCR sizes of the PC Client Platform TPM Profile (section "PCR
// Requirements"): 24 PCRs, so selections of three octets.
const (
	PCRCount     = 24
	PCRSelectMin = 3
	PCRSelectMax = 3
)

// MaxHashes bounds the lists with one entry per hash algorithm.
const MaxHashes = 16

// PCRSelect is the bit map of a TPMS_PCR_SELECT: PCR n is bit n%8 of octet n/8.
type PCRSelect [PCRSelectMax]byte

// Has reports whether the PCR is selected.
func (s *PCRSelect) Has(pcr int) bool { return s[pcr/8]>>(pcr%8)&1 != 0 }

// Set selects the PCR.
func (s *PCRSelect) Set(pcr int) { s[pcr/8] |= 1 << (pcr % 8) }

// Clear deselects the PCR.
func (s *PCRSelect) Clear(pcr int) { s[pcr/8] &^= 1 << (pcr % 8) }

// AllPCRs selects every PCR.
func AllPCRs() PCRSelect { return PCRSelect{0xFF, 0xFF, 0xFF} }

// PCRSelection is a TPMS_PCR_SELECTION (Part 2, section "TPMS_PCR_SELECTION").
type PCRSelection struct {
	Hash   AlgID
	Size   uint8 // octets of Select that are on the wire
	Select PCRSelect
}

// PCRSelections is a TPML_PCR_SELECTION without storage of its own on the heap.
type PCRSelections struct {
	Count int
	List  [MaxHashes]PCRSelection
}

// Slice is the list as a slice.
func (l *PCRSelections) Slice() []PCRSelection { return l.List[:l.Count] }

// PCRSelections takes a TPML_PCR_SELECTION: TPM_RC_SIZE for more entries than
// there are hash algorithms, TPM_RC_HASH for another hash, TPM_RC_VALUE for a
// bit map of the wrong size.
func (r *Reader) PCRSelections(l *PCRSelections) {
	l.Count = r.Count(min(r.algs.HashCount(), MaxHashes))
	for i := range l.List[:l.Count] {
		s := &l.List[i]
		s.Hash = r.HashAlg(false)
		s.Size = r.U8()
		if s.Size < PCRSelectMin || s.Size > PCRSelectMax {
			r.Fail(RCValue)
		}
		s.Select = PCRSelect{}
		copy(s.Select[:], r.Bytes(int(s.Size)))
	}
	if r.rc != RCSuccess {
		l.Count = 0
	}
}

// PCRSelections appends a TPML_PCR_SELECTION.
func (w *Writer) PCRSelections(list []PCRSelection) {
	w.U32(uint32(len(list)))
	for i := range list {
		w.PCRSelection(&list[i])
	}
}

// PCRSelection appends a TPMS_PCR_SELECTION.
func (w *Writer) PCRSelection(s *PCRSelection) {
	w.U16(uint16(s.Hash))
	w.U8(s.Size)
	w.Bytes(s.Select[:s.Size])
}

// HA is a TPMT_HA (Part 2, section "TPMT_HA"). A decoded Digest aliases the
// input.
type HA struct {
	Hash   AlgID
	Digest []byte
}

// HA takes a TPMT_HA, with null its "+" variant, which has no digest.
func (r *Reader) HA(null bool) HA {
	alg := r.HashAlg(null)
	return HA{Hash: alg, Digest: r.Bytes(r.algs.DigestSize(alg))}
}

// HA appends a TPMT_HA.
func (w *Writer) HA(h HA) {
	w.U16(uint16(h.Hash))
	w.Bytes(h.Digest)
}

// DigestValues is a TPML_DIGEST_VALUES without storage of its own on the heap.
type DigestValues struct {
	Count int
	List  [MaxHashes]HA
}

// Slice is the list as a slice.
func (l *DigestValues) Slice() []HA { return l.List[:l.Count] }

// DigestValues takes a TPML_DIGEST_VALUES: TPM_RC_SIZE for more entries than
// there are hash algorithms, TPM_RC_HASH for another hash.
func (r *Reader) DigestValues(l *DigestValues) {
	l.Count = r.Count(min(r.algs.HashCount(), MaxHashes))
	for i := range l.List[:l.Count] {
		l.List[i] = r.HA(false)
	}
	if r.rc != RCSuccess {
		l.Count = 0
	}
}

// DigestValues appends a TPML_DIGEST_VALUES.
func (w *Writer) DigestValues(list []HA) {
	w.U32(uint32(len(list)))
	for i := range list {
		w.HA(list[i])
	}
}
