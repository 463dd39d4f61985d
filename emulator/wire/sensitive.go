package wire

// Sensitive is a TPMT_SENSITIVE (Part 2, section "TPMT_SENSITIVE"). Decoded byte
// strings alias the input.
type Sensitive struct {
	Type AlgID
	Auth []byte
	Seed []byte // seedValue: of a storage key the seed of its children's protection, of others what obfuscates unique
	// Data is the secret: RSA: one prime, or see RSAParts; ECC: scalar; KEYEDHASH:
	// data or key; SYMCIPHER: key; MLKEM, MLDSA, HASH_MLDSA: the seed that FIPS 203 and
	// FIPS 204 make the key from.
	Data []byte
}

// RSAParts is how many numbers, each half as long as the modulus, a TPM may keep
// of an RSA key where no other TPM reads it: both primes, two exponents and an
// inverse (Part 2, section "TPM2B_PRIVATE_KEY_RSA").
const RSAParts = MaxRSAPrivate / MaxRSAPrime

// Sensitive takes a TPMT_SENSITIVE: TPM_RC_TYPE for another type, TPM_RC_SIZE for
// a part that is too long, and for the seed of an ML-KEM or ML-DSA key that is too
// short. An RSA key may have RSAParts, so its size has to be checked.
func (r *Reader) Sensitive(s *Sensitive) {
	s.Type = r.publicType()
	s.Auth = r.Digest()
	s.Seed = r.Digest()
	limit := sensitiveLimit(s.Type)
	s.Data = r.Sized(limit)
	switch s.Type {
	case AlgMLKEM, AlgMLDSA, AlgHashMLDSA:
		if len(s.Data) != limit {
			r.Fail(RCSize)
		}
	}
}

// sensitiveLimit is the size in bytes of the largest TPMU_SENSITIVE_COMPOSITE of
// a type.
func sensitiveLimit(alg AlgID) int {
	switch alg {
	case AlgRSA:
		return MaxRSAPrivate
	case AlgECC:
		return MaxECCKey
	case AlgKeyedHash:
		return MaxSymData
	case AlgMLKEM:
		return MLKEMSeed
	case AlgMLDSA, AlgHashMLDSA:
		return MLDSASeed
	default: // SYMCIPHER
		return MaxSymKey
	}
}

// SizedSensitive takes a TPM2B_SENSITIVE, which may be empty: present says that
// it is not. TPM_RC_SIZE for a size that is not that of what is in it, and those
// of Sensitive.
func (r *Reader) SizedSensitive(s *Sensitive) (present bool) {
	*s = Sensitive{}
	size := int(r.U16())
	if size == 0 {
		return false
	}
	left := r.Len() - size
	r.Sensitive(s)
	r.end(left)
	return true
}

// Sensitive appends a TPMT_SENSITIVE.
func (w *Writer) Sensitive(s *Sensitive) {
	w.U16(uint16(s.Type))
	w.Sized(s.Auth)
	w.Sized(s.Seed)
	w.Sized(s.Data)
}

// Alias makes the byte strings of s alias area, which is s as Writer.Sensitive
// appends it.
func (s *Sensitive) Alias(area []byte) {
	const authAt = 2 + 2
	seedAt := authAt + len(s.Auth) + 2
	dataAt := seedAt + len(s.Seed) + 2
	s.Auth, s.Seed, s.Data = sub(area, authAt, len(s.Auth)), sub(area, seedAt, len(s.Seed)), sub(area, dataAt, len(s.Data))
}

// SizedSensitive appends a TPM2B_SENSITIVE that is not empty.
func (w *Writer) SizedSensitive(s *Sensitive) {
	start := w.inner()
	w.Sensitive(s)
	w.end(start)
}

// SensitiveCreate is a TPMS_SENSITIVE_CREATE (Part 2, section
// "TPMS_SENSITIVE_CREATE"). Decoded byte strings alias the input.
type SensitiveCreate struct {
	Auth []byte
	Data []byte
}

// SensitiveCreate takes a TPM2B_SENSITIVE_CREATE: TPM_RC_SIZE for an empty one,
// for a size that is not that of what is in it, and for a part that is too long.
func (r *Reader) SensitiveCreate(s *SensitiveCreate) {
	left := r.inner()
	s.Auth = r.Digest()
	s.Data = r.Sized(MaxSymData)
	r.end(left)
}

// CreationData is a TPMS_CREATION_DATA (Part 2, section "TPMS_CREATION_DATA").
type CreationData struct {
	PCRs                PCRSelections
	PCRDigest           []byte
	Locality            LocalityAttributes
	ParentNameAlg       AlgID
	ParentName          []byte
	ParentQualifiedName []byte
	OutsideInfo         []byte
}

// CreationData appends a TPMS_CREATION_DATA: what the creation hash is the digest
// of.
func (w *Writer) CreationData(c *CreationData) {
	w.PCRSelections(c.PCRs.Slice())
	w.Sized(c.PCRDigest)
	w.U8(uint8(c.Locality))
	w.U16(uint16(c.ParentNameAlg))
	w.Sized(c.ParentName)
	w.Sized(c.ParentQualifiedName)
	w.Sized(c.OutsideInfo)
}

// SizedCreationData appends a TPM2B_CREATION_DATA.
func (w *Writer) SizedCreationData(c *CreationData) {
	start := w.inner()
	w.CreationData(c)
	w.end(start)
}
