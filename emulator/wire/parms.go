package wire

// SymDef is a TPMT_SYM_DEF or a TPMT_SYM_DEF_OBJECT (Part 2, sections of those
// names). TPM_ALG_XOR, which only the first can have, has a hash in place of key
// size and mode.
type SymDef struct {
	Alg     AlgID
	KeyBits uint16
	Mode    AlgID
	Hash    AlgID // of TPM_ALG_XOR, else 0
}

// Scheme is any of the scheme structures of Part 2, chapter "Algorithm
// Parameters and Structures" (TPMT_SIG_SCHEME, TPMT_RSA_DECRYPT, TPMT_KDF_SCHEME
// and the like): an algorithm with the details it has.
type Scheme struct {
	Alg   AlgID
	Hash  AlgID  // AlgNull where the scheme names none
	KDF   AlgID  // TPMS_SCHEME_XOR only
	Count uint16 // TPMS_SCHEME_ECDAA only
}

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
	*p = PublicParms{Type: r.alg(RolePublic, false, RCType)}
	switch p.Type {
	case AlgKeyedHash:
		p.Scheme = r.keyedHashScheme()
	case AlgSymCipher:
		p.Sym = r.symDefObject(false)
	case AlgRSA:
		p.Sym = r.symDefObject(true)
		p.Scheme = r.rsaScheme()
		p.KeyBits = r.keyBits(AlgRSA)
		p.Exponent = r.U32()
	case AlgECC:
		p.Sym = r.symDefObject(true)
		p.Scheme = r.eccScheme()
		p.Curve = Curve(r.U16())
		if !r.algs.HasCurve(p.Curve) {
			r.Fail(RCCurve)
		}
		p.KDF = r.hashScheme(RoleKDF, RCKDF)
	}
}

// PublicParms appends a TPMT_PUBLIC_PARMS.
func (w *Writer) PublicParms(p *PublicParms) {
	w.U16(uint16(p.Type))
	switch p.Type {
	case AlgKeyedHash:
		w.scheme(&p.Scheme)
	case AlgSymCipher:
		w.symDef(&p.Sym)
	case AlgRSA:
		w.symDef(&p.Sym)
		w.scheme(&p.Scheme)
		w.U16(p.KeyBits)
		w.U32(p.Exponent)
	case AlgECC:
		w.symDef(&p.Sym)
		w.scheme(&p.Scheme)
		w.U16(uint16(p.Curve))
		w.scheme(&p.KDF)
	}
}

// symDefObject takes a TPMT_SYM_DEF_OBJECT, with null its "+" variant.
func (r *Reader) symDefObject(null bool) SymDef {
	s := SymDef{Alg: r.alg(RoleSymmetricObject, null, RCSymmetric), Mode: AlgNull}
	if r.rc != RCSuccess || s.Alg == AlgNull {
		return s
	}
	s.KeyBits = r.keyBits(s.Alg)
	s.Mode = r.alg(RoleSymmetricMode, true, RCMode)
	return s
}

func (w *Writer) symDef(s *SymDef) {
	w.U16(uint16(s.Alg))
	if s.Alg != AlgNull {
		w.U16(s.KeyBits)
		w.U16(uint16(s.Mode))
	}
}

// keyBits takes a TPMI_*_KEY_BITS of alg.
func (r *Reader) keyBits(alg AlgID) uint16 {
	bits := r.U16()
	if !r.algs.HasKeyBits(alg, bits) {
		r.Fail(RCValue)
	}
	return bits
}

// keyedHashScheme takes a TPMT_KEYEDHASH_SCHEME+.
func (r *Reader) keyedHashScheme() Scheme {
	s := r.hashScheme(RoleKeyedHashScheme, RCValue)
	if s.Alg == AlgXOR {
		s.KDF = r.alg(RoleKDF, true, RCKDF)
	}
	return s
}

// rsaScheme takes a TPMT_RSA_SCHEME+.
func (r *Reader) rsaScheme() Scheme { return r.hashScheme(RoleRSAScheme, RCValue) }

// eccScheme takes a TPMT_ECC_SCHEME+.
func (r *Reader) eccScheme() Scheme {
	s := r.hashScheme(RoleECCScheme, RCScheme)
	if s.Alg == AlgECDAA {
		s.Count = r.U16()
	}
	return s
}

// hashScheme takes an algorithm in role, TPM_ALG_NULL included, and the hash
// that all but RSAES have.
func (r *Reader) hashScheme(role Role, rc RC) Scheme {
	s := Scheme{Alg: r.alg(role, true, rc), Hash: AlgNull, KDF: AlgNull}
	if s.Alg != AlgNull && s.Alg != AlgRSAES {
		s.Hash = r.HashAlg(false)
	}
	return s
}

func (w *Writer) scheme(s *Scheme) {
	w.U16(uint16(s.Alg))
	if s.Alg != AlgNull && s.Alg != AlgRSAES {
		w.U16(uint16(s.Hash))
	}
	switch s.Alg {
	case AlgXOR:
		w.U16(uint16(s.KDF))
	case AlgECDAA:
		w.U16(s.Count)
	}
}
