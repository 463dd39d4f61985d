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

// SymDef takes a TPMT_SYM_DEF, with null its "+" variant: TPM_RC_SYMMETRIC for
// an algorithm that is neither a block cipher nor XOR, TPM_RC_VALUE for a key
// size it does not have, TPM_RC_MODE and TPM_RC_HASH.
func (r *Reader) SymDef(null bool) SymDef { return r.symDef(RoleSymmetric, null) }

// SymDefObject takes a TPMT_SYM_DEF_OBJECT, with null its "+" variant. Unlike
// SymDef it refuses XOR.
func (r *Reader) SymDefObject(null bool) SymDef { return r.symDef(RoleSymmetricObject, null) }

func (r *Reader) symDef(role Role, null bool) SymDef {
	s := SymDef{Alg: r.alg(role, null, RCSymmetric), Mode: AlgNull}
	switch {
	case r.rc != RCSuccess || s.Alg == AlgNull:
	case s.Alg == AlgXOR:
		s.Hash = r.HashAlg(false)
	default:
		s.KeyBits = r.keyBits(s.Alg)
		s.Mode = r.alg(RoleSymmetricMode, true, RCMode)
	}
	return s
}

// SymDef appends a TPMT_SYM_DEF or a TPMT_SYM_DEF_OBJECT.
func (w *Writer) SymDef(s *SymDef) {
	w.U16(uint16(s.Alg))
	switch s.Alg {
	case AlgNull:
	case AlgXOR:
		w.U16(uint16(s.Hash))
	default:
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

// CipherMode takes a TPMI_ALG_CIPHER_MODE, with null its "+" variant:
// TPM_RC_MODE for a mode that does not encrypt, as CMAC.
func (r *Reader) CipherMode(null bool) AlgID { return r.alg(RoleCipherMode, null, RCMode) }

// MACScheme takes a TPMI_ALG_MAC_SCHEME, with null its "+" variant:
// TPM_RC_SYMMETRIC for what is neither a hash nor CMAC.
func (r *Reader) MACScheme(null bool) AlgID { return r.alg(RoleMACScheme, null, RCSymmetric) }

// ECCKeyExchange takes a TPMI_ECC_KEY_EXCHANGE: TPM_RC_SCHEME for another
// algorithm.
func (r *Reader) ECCKeyExchange() AlgID { return r.alg(RoleECCKeyExchange, false, RCScheme) }

// Curve takes a TPMI_ECC_CURVE: TPM_RC_CURVE for one that is not accepted.
func (r *Reader) Curve() Curve {
	c := Curve(r.U16())
	if !r.algs.HasCurve(c) {
		r.Fail(RCCurve)
	}
	return c
}

// SigScheme takes a TPMT_SIG_SCHEME, with null its "+" variant: TPM_RC_SCHEME
// for an algorithm that does not sign, TPM_RC_HASH for its hash.
func (r *Reader) SigScheme(null bool) Scheme {
	return r.countScheme(r.hashScheme(RoleSigScheme, null, RCScheme))
}

// RSADecrypt takes a TPMT_RSA_DECRYPT, with null its "+" variant: TPM_RC_VALUE
// for anything but RSAES and OAEP, TPM_RC_HASH for the hash of OAEP.
func (r *Reader) RSADecrypt(null bool) Scheme { return r.hashScheme(RoleRSADecrypt, null, RCValue) }

// KDFScheme takes a TPMT_KDF_SCHEME+: TPM_RC_KDF for an algorithm that derives
// no keys, TPM_RC_HASH for its hash.
func (r *Reader) KDFScheme() Scheme { return r.hashScheme(RoleKDF, true, RCKDF) }

// keyedHashScheme takes a TPMT_KEYEDHASH_SCHEME+. HKDF is for ECC keys only.
func (r *Reader) keyedHashScheme() Scheme {
	s := r.hashScheme(RoleKeyedHashScheme, true, RCValue)
	if s.Alg == AlgXOR {
		s.KDF = r.alg(RoleKDF, true, RCKDF)
		if s.KDF == AlgHKDF {
			r.Fail(RCKDF)
		}
	}
	return s
}

// rsaScheme takes a TPMT_RSA_SCHEME+.
func (r *Reader) rsaScheme() Scheme { return r.hashScheme(RoleRSAScheme, true, RCValue) }

// eccScheme takes a TPMT_ECC_SCHEME+.
func (r *Reader) eccScheme() Scheme {
	return r.countScheme(r.hashScheme(RoleECCScheme, true, RCScheme))
}

// namesHash reports whether a scheme has details, of which the first is a hash.
// EdDSA and ML-DSA say with the key, or with the algorithm, what they hash with.
func namesHash(alg AlgID) bool {
	switch alg {
	case AlgNull, AlgRSAES, AlgEdDSA, AlgHashEdDSA, AlgMLDSA, AlgHashMLDSA:
		return false
	}
	return true
}

// hashScheme takes an algorithm in role, with null TPM_ALG_NULL too, and the
// hash that it may have.
func (r *Reader) hashScheme(role Role, null bool, rc RC) Scheme {
	s := Scheme{Alg: r.alg(role, null, rc), Hash: AlgNull, KDF: AlgNull}
	if namesHash(s.Alg) {
		s.Hash = r.HashAlg(false)
	}
	return s
}

// countScheme completes s with the count that ECDAA has.
func (r *Reader) countScheme(s Scheme) Scheme {
	if s.Alg == AlgECDAA {
		s.Count = r.U16()
	}
	return s
}

// Scheme appends any of the scheme structures: a TPMT_SIG_SCHEME,
// TPMT_RSA_DECRYPT, TPMT_KDF_SCHEME, TPMT_KEYEDHASH_SCHEME, TPMT_RSA_SCHEME or
// TPMT_ECC_SCHEME.
func (w *Writer) Scheme(s *Scheme) {
	w.U16(uint16(s.Alg))
	if namesHash(s.Alg) {
		w.U16(uint16(s.Hash))
	}
	switch s.Alg {
	case AlgXOR:
		w.U16(uint16(s.KDF))
	case AlgECDAA:
		w.U16(s.Count)
	}
}
