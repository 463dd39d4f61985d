package wire

// Bounds of the parts of objects, in bytes.
const (
	MaxRSAKey      = 512 // modulus of 4,096 bits: MAX_RSA_KEY_BYTES
	MaxRSAPrime    = MaxRSAKey / 2
	MaxRSAPrivate  = 5 * MaxRSAPrime // both primes and what the Chinese remainder theorem needs: RSA_PRIVATE_SIZE
	MaxECCKey      = 80              // coordinate of BN_P638: MAX_ECC_KEY_BYTES
	MaxSymKey      = 32              // AES-256: MAX_SYM_KEY_BYTES
	MaxSymData     = 128             // sealed data: MAX_SYM_DATA
	MaxDeriveField = 32              // label or context of a derived object: LABEL_MAX_BUFFER
	MaxName        = 2 + MaxDigest

	// MaxTemplate bounds a TPM2B_TEMPLATE by the largest TPMT_PUBLIC without ML-KEM
	// and ML-DSA, that of an RSA storage key: type, nameAlg, attributes, policy,
	// parameters, modulus.
	MaxTemplate = 2 + 2 + 4 + (2 + MaxDigest) + (6 + 4 + 2 + 4) + (2 + MaxRSAKey)

	// MaxSensitive is the size of the largest TPMT_SENSITIVE of an object, that of
	// an RSA key: type, authorization value, seed, prime.
	MaxSensitive = 2 + 2*(2+MaxDigest) + (2 + MaxRSAPrime)
)

// Public is a TPMT_PUBLIC (Part 2, section "TPMT_PUBLIC"). Its type is that of
// Parms. Of the fields after Parms those are in use that the type has. Decoded
// byte strings alias the input.
type Public struct {
	NameAlg    AlgID
	Attributes ObjectAttributes
	AuthPolicy []byte
	Parms      PublicParms
	Unique     []byte  // RSA: modulus; KEYEDHASH and SYMCIPHER: digest; MLKEM, MLDSA and HASH_MLDSA: public key
	Point      ECPoint // ECC
}

// Public takes a TPMT_PUBLIC, with nullName its "+" variant, whose nameAlg may be
// TPM_ALG_NULL. TPM_RC_TYPE for another type, TPM_RC_HASH for a nameAlg that is
// not accepted, TPM_RC_RESERVED_BITS for attributes that must be zero,
// TPM_RC_SIZE for a policy or unique that is too long, and those of
// PublicParms.
//
// Bits 8 and 9 of the attributes, firmwareLimited and svnLimited, are not
// reserved in rev 1.84: they decode, and a TPM without hierarchies that are
// limited so has to refuse them with TPM_RC_ATTRIBUTES (Part 3,
// "TPM2_CreatePrimary").
func (r *Reader) Public(p *Public, nullName bool) {
	r.publicHead(p, nullName)
	switch p.Parms.Type {
	case AlgKeyedHash, AlgSymCipher:
		p.Unique = r.Digest()
	case AlgRSA:
		p.Unique = r.Sized(MaxRSAKey)
	case AlgECC:
		r.Point(&p.Point)
	case AlgMLKEM:
		p.Unique = r.Sized(r.algs.maxMLKEM(MLKEMParameterSet.PublicSize))
	case AlgMLDSA, AlgHashMLDSA:
		p.Unique = r.Sized(r.algs.maxMLDSA(MLDSAParameterSet.PublicSize))
	}
}

// publicHead takes what a TPMT_PUBLIC has before its unique.
func (r *Reader) publicHead(p *Public, nullName bool) {
	*p = Public{Parms: PublicParms{Type: r.publicType()}}
	p.NameAlg = r.HashAlg(nullName)
	p.Attributes = ObjectAttributes(r.U32())
	if p.Attributes&ObjectReserved != 0 {
		r.Fail(RCReservedBits)
	}
	p.AuthPolicy = r.Digest()
	r.publicParms(&p.Parms)
}

// SizedPublic takes a TPM2B_PUBLIC, with nullName its "+" variant: TPM_RC_SIZE
// for an empty one and for a size that is not that of what is in it, and those
// of Public. The result is the TPMT_PUBLIC as it came, of no use after a
// failure; it aliases the input.
func (r *Reader) SizedPublic(p *Public, nullName bool) []byte {
	left := r.inner()
	area := r.Rest()
	r.Public(p, nullName)
	r.end(left)
	return area[:len(area)-r.Len()]
}

// Public appends a TPMT_PUBLIC: what the Name of the object is the digest of.
func (w *Writer) Public(p *Public) {
	w.publicHead(p)
	if p.Parms.Type == AlgECC {
		w.Point(&p.Point)
	} else {
		w.Sized(p.Unique)
	}
}

// sub gives n bytes of b, without what follows them.
func sub(b []byte, at, n int) []byte { return b[at : at+n : at+n] }

// Alias makes the byte strings of p alias area, which is p as Writer.Public
// appends it.
func (p *Public) Alias(area []byte) {
	const policyAt = 2 + 2 + 4 + 2
	p.AuthPolicy = sub(area, policyAt, len(p.AuthPolicy))
	if p.Parms.Type != AlgECC {
		p.Unique = sub(area, len(area)-len(p.Unique), len(p.Unique))
		return
	}
	y := len(area) - len(p.Point.Y)
	x := y - 2 - len(p.Point.X)
	p.Point = ECPoint{X: sub(area, x, len(p.Point.X)), Y: sub(area, y, len(p.Point.Y))}
}

func (w *Writer) publicHead(p *Public) {
	w.U16(uint16(p.Parms.Type))
	w.U16(uint16(p.NameAlg))
	w.U32(uint32(p.Attributes))
	w.Sized(p.AuthPolicy)
	w.publicParms(&p.Parms)
}

// SizedPublic appends a TPM2B_PUBLIC.
func (w *Writer) SizedPublic(p *Public) {
	start := w.inner()
	w.Public(p)
	w.end(start)
}

// Derive is a TPMS_DERIVE, which a template for an object of a derivation
// parent has in place of its unique field, whatever its type (Part 2, section
// "TPMS_DERIVE").
type Derive struct{ Label, Context []byte }

// MaxTemplate bounds a TPM2B_TEMPLATE in bytes: the constant of that name, with the
// public key of the largest parameter set in place of the modulus.
func (s *Selectors) MaxTemplate() int {
	return MaxTemplate - MaxRSAKey + max(MaxRSAKey, s.maxMLKEM(MLKEMParameterSet.PublicSize), s.maxMLDSA(MLDSAParameterSet.PublicSize))
}

// Template takes a TPM2B_TEMPLATE, whose bytes are a TPMT_PUBLIC or, for an
// object of a derivation parent, what DeriveTemplate takes: TPM_RC_SIZE if it is
// longer than the largest TPMT_PUBLIC. The result aliases the input.
func (r *Reader) Template() []byte { return r.Sized(r.algs.MaxTemplate()) }

// DeriveTemplate takes a TPMT_PUBLIC with a TPMS_DERIVE in place of unique, and
// fails as Public and Derive.
func (r *Reader) DeriveTemplate(p *Public, d *Derive) {
	r.publicHead(p, false)
	r.Derive(d)
}

// Derive takes a TPMS_DERIVE: TPM_RC_SIZE for a label or context longer than
// MaxDeriveField.
func (r *Reader) Derive(d *Derive) {
	d.Label = r.Sized(MaxDeriveField)
	d.Context = r.Sized(MaxDeriveField)
}

// DeriveTemplate appends a TPMT_PUBLIC with a TPMS_DERIVE in place of unique.
func (w *Writer) DeriveTemplate(p *Public, d *Derive) {
	w.publicHead(p)
	w.Derive(d)
}

// Derive appends a TPMS_DERIVE.
func (w *Writer) Derive(d *Derive) {
	w.Sized(d.Label)
	w.Sized(d.Context)
}
