package wire

// PublicParms is a TPMT_PUBLIC_PARMS (Part 2, section "TPMT_PUBLIC_PARMS"). Of
// the fields after Type those are in use that the type has.
type PublicParms struct {
	Type     AlgID
	Sym      SymDef
	Scheme   Scheme
	KeyBits  uint16 // RSA
	Exponent uint32 // RSA, 0 for 65537
	Curve    Curve  // ECC
	KDF      Scheme // ECC
}

// PublicParms takes a TPMT_PUBLIC_PARMS. The first part that names something
// not accepted gives its code: TPM_RC_TYPE, TPM_RC_SYMMETRIC, TPM_RC_MODE,
// TPM_RC_SCHEME, TPM_RC_HASH, TPM_RC_KDF, TPM_RC_CURVE, and TPM_RC_VALUE for
// key sizes and the schemes of RSA and KEYEDHASH.
func (r *Reader) PublicParms(p *PublicParms) {
	*p = PublicParms{Type: r.publicType()}
	r.publicParms(p)
}

// publicType takes a TPMI_ALG_PUBLIC.
func (r *Reader) publicType() AlgID { return r.alg(RolePublic, false, RCType) }

// publicParms takes the TPMU_PUBLIC_PARMS of p.Type.
func (r *Reader) publicParms(p *PublicParms) {
	switch p.Type {
	case AlgKeyedHash:
		p.Scheme = r.keyedHashScheme()
	case AlgSymCipher:
		p.Sym = r.SymDefObject(false)
	case AlgRSA:
		p.Sym = r.SymDefObject(true)
		p.Scheme = r.rsaScheme()
		p.KeyBits = r.keyBits(AlgRSA)
		p.Exponent = r.U32()
	case AlgECC:
		p.Sym = r.SymDefObject(true)
		p.Scheme = r.eccScheme()
		p.Curve = r.Curve()
		p.KDF = r.KDFScheme()
	}
}

// PublicParms appends a TPMT_PUBLIC_PARMS.
func (w *Writer) PublicParms(p *PublicParms) {
	w.U16(uint16(p.Type))
	w.publicParms(p)
}

func (w *Writer) publicParms(p *PublicParms) {
	switch p.Type {
	case AlgKeyedHash:
		w.Scheme(&p.Scheme)
	case AlgSymCipher:
		w.SymDef(&p.Sym)
	case AlgRSA:
		w.SymDef(&p.Sym)
		w.Scheme(&p.Scheme)
		w.U16(p.KeyBits)
		w.U32(p.Exponent)
	case AlgECC:
		w.SymDef(&p.Sym)
		w.Scheme(&p.Scheme)
		w.U16(uint16(p.Curve))
		w.Scheme(&p.KDF)
	}
}
