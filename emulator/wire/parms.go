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

	MLKEM      MLKEMParameterSet // MLKEM
	MLDSA      MLDSAParameterSet // MLDSA, HASH_MLDSA
	ExternalMu bool              // MLDSA: allowExternalMu
	Hash       AlgID             // HASH_MLDSA: hashAlg
}

// PublicParms takes a TPMT_PUBLIC_PARMS. The first part that names something
// not accepted gives its code: TPM_RC_TYPE, TPM_RC_SYMMETRIC, TPM_RC_MODE,
// TPM_RC_SCHEME, TPM_RC_HASH, TPM_RC_KDF, TPM_RC_CURVE, TPM_RC_PARMS,
// TPM_RC_EXT_MU, and TPM_RC_VALUE for key sizes and the schemes of RSA and
// KEYEDHASH.
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
	case AlgMLKEM:
		p.Sym = r.SymDefObject(true)
		p.MLKEM = MLKEMParameterSet(r.parameterSet(AlgMLKEM))
	case AlgMLDSA:
		p.MLDSA = MLDSAParameterSet(r.parameterSet(AlgMLDSA))
		p.ExternalMu = r.YesNo()
		if p.ExternalMu && !r.algs.ExternalMu() {
			r.Fail(RCExtMu)
		}
	case AlgHashMLDSA:
		p.MLDSA = MLDSAParameterSet(r.parameterSet(AlgHashMLDSA))
		p.Hash = r.alg(RoleHashMLDSA, false, RCHash)
	}
}

// parameterSet takes a TPMI_MLKEM_PARAMETER_SET or TPMI_MLDSA_PARAMETER_SET of
// keys of type alg: TPM_RC_PARMS for one that is not accepted.
func (r *Reader) parameterSet(alg AlgID) uint16 {
	set := r.U16()
	if !r.algs.HasParameterSet(alg, set) {
		r.Fail(RCParms)
	}
	return set
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
	case AlgMLKEM:
		w.SymDef(&p.Sym)
		w.U16(uint16(p.MLKEM))
	case AlgMLDSA:
		w.U16(uint16(p.MLDSA))
		w.YesNo(p.ExternalMu)
	case AlgHashMLDSA:
		w.U16(uint16(p.MLDSA))
		w.U16(uint16(p.Hash))
	}
}
