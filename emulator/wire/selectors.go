package wire

import "slices"

// Role is a set of places in which a structure may name an algorithm: one bit
// per TPMI_ALG_* type of Part 2, chapter "Interface Types".
type Role uint32

// The roles an algorithm can have.
const (
	RoleHash            Role = 1 << iota // TPMI_ALG_HASH
	RoleSymmetricObject                  // TPMI_ALG_SYM_OBJECT: block ciphers
	RoleSymmetricMode                    // TPMI_ALG_SYM_MODE
	RolePublic                           // TPMI_ALG_PUBLIC: object types
	RoleRSAScheme                        // TPMI_ALG_RSA_SCHEME
	RoleECCScheme                        // TPMI_ALG_ECC_SCHEME
	RoleKeyedHashScheme                  // TPMI_ALG_KEYEDHASH_SCHEME
	RoleKDF                              // TPMI_ALG_KDF
	RoleSymmetric                        // TPMI_ALG_SYM: block ciphers and XOR
	RoleCipherMode                       // TPMI_ALG_CIPHER_MODE
	RoleMACScheme                        // TPMI_ALG_MAC_SCHEME: hashes and CMAC
	RoleSigScheme                        // TPMI_ALG_SIG_SCHEME
	RoleRSADecrypt                       // TPMI_ALG_RSA_DECRYPT
	RoleECCKeyExchange                   // TPMI_ECC_KEY_EXCHANGE
	RoleHashMLDSA                        // TPMI_ALG_HASH in TPMS_HASH_MLDSA_PARMS: hashes with a name in FIPS 204
)

// Selector says where one algorithm may be named and in which sizes.
type Selector struct {
	Alg        AlgID
	Roles      Role
	DigestSize uint8    // in bytes, for hash algorithms
	KeyBits    []uint16 // for RSA and block ciphers
	// ParameterSets are those of MLKEM, MLDSA and HASH_MLDSA, as TPMI_MLKEM_PARAMETER_SET
	// and TPMI_MLDSA_PARAMETER_SET number them.
	ParameterSets []uint16
	ExternalMu    bool // MLDSA: keys may have allowExternalMu
}

// Selectors is the set of algorithms and curves that a Reader accepts. It is
// built once and read only afterwards. The nil set accepts none.
type Selectors struct {
	roles   [256]Role
	digests [256]uint8
	keyBits map[AlgID][]uint16
	sets    map[AlgID][]uint16
	mu      bool // MLDSA keys may have allowExternalMu
	curves  []Curve
	hashes  int
	largest int // size in bytes of the largest digest
}

// NewSelectors builds the set from one Selector per algorithm.
func NewSelectors(algs []Selector, curves []Curve) *Selectors {
	s := &Selectors{keyBits: make(map[AlgID][]uint16), sets: make(map[AlgID][]uint16), curves: slices.Clone(curves)}
	for _, a := range algs {
		i := a.Alg & 0xFF
		s.roles[i] = a.Roles
		s.digests[i] = a.DigestSize
		s.keyBits[a.Alg] = a.KeyBits
		s.sets[a.Alg] = a.ParameterSets
		s.mu = s.mu || a.ExternalMu
		if a.Roles&RoleHash != 0 {
			s.hashes++
			s.largest = max(s.largest, int(a.DigestSize))
		}
	}
	return s
}

// Has reports whether alg may be named in the given role.
func (s *Selectors) Has(alg AlgID, role Role) bool {
	return s != nil && alg < 256 && s.roles[alg]&role != 0
}

// DigestSize gives the size in bytes of what alg produces, 0 for an algorithm
// that is not an accepted hash.
func (s *Selectors) DigestSize(alg AlgID) int {
	if s == nil || alg >= 256 {
		return 0
	}
	return int(s.digests[alg])
}

// HashCount is the number of accepted hash algorithms, which bounds the lists
// that have one entry per hash (HASH_COUNT in Part 2).
func (s *Selectors) HashCount() int {
	if s == nil {
		return 0
	}
	return s.hashes
}

// LargestDigest is the size in bytes of the largest digest, TPM_PT_MAX_DIGEST:
// MaxDigest if there is no set of algorithms to say it.
func (s *Selectors) LargestDigest() int {
	if s == nil || s.largest == 0 {
		return MaxDigest
	}
	return s.largest
}

// HasKeyBits reports whether alg is accepted with keys of that many bits.
func (s *Selectors) HasKeyBits(alg AlgID, bits uint16) bool {
	return s != nil && slices.Contains(s.keyBits[alg], bits)
}

// HasCurve reports whether the curve is accepted.
func (s *Selectors) HasCurve(c Curve) bool {
	return s != nil && slices.Contains(s.curves, c)
}

// HasParameterSet reports whether keys of type alg are accepted with a parameter
// set.
func (s *Selectors) HasParameterSet(alg AlgID, set uint16) bool {
	return s != nil && slices.Contains(s.sets[alg], set)
}

// ExternalMu reports whether MLDSA keys may have allowExternalMu.
func (s *Selectors) ExternalMu() bool { return s != nil && s.mu }

// maxMLKEM is the largest of the sizes of the accepted parameter sets.
func (s *Selectors) maxMLKEM(size func(MLKEMParameterSet) int) int {
	largest := 0
	if s != nil {
		for _, set := range s.sets[AlgMLKEM] {
			largest = max(largest, size(MLKEMParameterSet(set)))
		}
	}
	return largest
}

// maxMLDSA is maxMLKEM for both types of ML-DSA.
func (s *Selectors) maxMLDSA(size func(MLDSAParameterSet) int) int {
	largest := 0
	if s != nil {
		for _, alg := range [...]AlgID{AlgMLDSA, AlgHashMLDSA} {
			for _, set := range s.sets[alg] {
				largest = max(largest, size(MLDSAParameterSet(set)))
			}
		}
	}
	return largest
}
