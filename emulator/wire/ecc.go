package wire

// ECPoint is a TPMS_ECC_POINT (Part 2, section "TPMS_ECC_POINT"): coordinates
// as big-endian numbers. Decoded ones alias the input.
type ECPoint struct{ X, Y []byte }

// Point takes a TPMS_ECC_POINT: TPM_RC_SIZE for a coordinate longer than
// MaxECCKey. Whether the point is on a curve is not looked at.
func (r *Reader) Point(p *ECPoint) {
	p.X = r.Sized(MaxECCKey)
	p.Y = r.Sized(MaxECCKey)
}

// SizedPoint takes a TPM2B_ECC_POINT: TPM_RC_SIZE for an empty one and for a
// size that is not that of what is in it, and those of Point.
func (r *Reader) SizedPoint(p *ECPoint) {
	left := r.inner()
	r.Point(p)
	r.end(left)
}

// Point appends a TPMS_ECC_POINT.
func (w *Writer) Point(p *ECPoint) {
	w.Sized(p.X)
	w.Sized(p.Y)
}

// SizedPoint appends a TPM2B_ECC_POINT.
func (w *Writer) SizedPoint(p *ECPoint) {
	start := w.inner()
	w.Point(p)
	w.end(start)
}

// ECCDetail is a TPMS_ALGORITHM_DETAIL_ECC (Part 2, section
// "TPMS_ALGORITHM_DETAIL_ECC"): a curve y² = x³ + Ax + B over the field of P
// elements. Numbers are big-endian.
type ECCDetail struct {
	CurveID Curve
	KeySize uint16 // in bits
	KDF     Scheme // the only one the curve may be used with, or TPM_ALG_NULL
	Sign    Scheme // likewise
	P, A, B []byte
	Gx, Gy  []byte // the base point
	N       []byte // order of the base point
	H       []byte // cofactor
}

// ECCDetail appends a TPMS_ALGORITHM_DETAIL_ECC.
func (w *Writer) ECCDetail(d *ECCDetail) {
	w.U16(uint16(d.CurveID))
	w.U16(d.KeySize)
	w.Scheme(&d.KDF)
	w.Scheme(&d.Sign)
	for _, n := range [...][]byte{d.P, d.A, d.B, d.Gx, d.Gy, d.N, d.H} {
		w.Sized(n)
	}
}
