package crypt

import (
	"fmt"
	"slices"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Algorithm is one row of the table of algorithms.
type Algorithm struct {
	ID         wire.AlgID
	Attributes wire.AlgAttributes // as TPM2_GetCapability(TPM_CAP_ALGS) reports them
	Roles      wire.Role          // the places in which a structure may name it
	DigestSize int                // hashes: size of the digest in bytes
	BlockSize  int                // hashes: size of the input block in bytes
	KeyBits    []uint16           // RSA and block ciphers: accepted key sizes
	// ParameterSets are those of MLKEM, MLDSA and HASH_MLDSA that are accepted, as
	// wire.MLKEMParameterSet and wire.MLDSAParameterSet number them.
	ParameterSets []uint16
	Supported     bool // this package implements it and commands use it
	Since         int  // the version of the TPM 2.0 Library that brought it, 0 up to revision 1.59
}

// parameterSets are those of ML-KEM and of ML-DSA.
var parameterSets = []uint16{1, 2, 3}

const (
	attrAsym   = wire.AlgAttrAsymmetric
	attrSym    = wire.AlgAttrSymmetric
	attrHash   = wire.AlgAttrHash
	attrObj    = wire.AlgAttrObject
	attrSig    = wire.AlgAttrSigning
	attrEnc    = wire.AlgAttrEncrypting
	attrMethod = wire.AlgAttrMethod
)

// algorithms is in ascending order of ID, which GetCapability relies on.
// Attributes are those of the TCG Algorithm Registry rev 1.34, table 2. Version 185 of the
// library has none for what it brought: they are by analogy.
var algorithms = []Algorithm{
	{ID: wire.AlgRSA, Attributes: attrAsym | attrObj, Roles: wire.RolePublic, KeyBits: []uint16{1024, 2048, 3072, 4096}, Supported: true},
	{ID: wire.AlgTDES, Attributes: attrSym, Roles: wire.RoleSymmetricObject | wire.RoleSymmetric, KeyBits: []uint16{128, 192}},
	{ID: wire.AlgSHA1, Attributes: attrHash, Roles: wire.RoleHash | wire.RoleMACScheme, DigestSize: 20, BlockSize: 64, Supported: true},
	{ID: wire.AlgHMAC, Attributes: attrHash | attrSig, Roles: wire.RoleKeyedHashScheme | wire.RoleSigScheme, Supported: true},
	{ID: wire.AlgAES, Attributes: attrSym, Roles: wire.RoleSymmetricObject | wire.RoleSymmetric, KeyBits: []uint16{128, 192, 256}, Supported: true},
	{ID: wire.AlgMGF1, Attributes: attrHash | attrMethod, Roles: wire.RoleKDF, Supported: true},
	{ID: wire.AlgKeyedHash, Attributes: attrHash | attrObj | attrSig | attrEnc, Roles: wire.RolePublic, Supported: true},
	{ID: wire.AlgXOR, Attributes: attrHash | attrSym, Roles: wire.RoleKeyedHashScheme | wire.RoleSymmetric, Supported: true},
	{ID: wire.AlgSHA256, Attributes: attrHash, Roles: wire.RoleHash | wire.RoleMACScheme | wire.RoleHashMLDSA, DigestSize: 32, BlockSize: 64, Supported: true},
	{ID: wire.AlgSHA384, Attributes: attrHash, Roles: wire.RoleHash | wire.RoleMACScheme | wire.RoleHashMLDSA, DigestSize: 48, BlockSize: 128, Supported: true},
	{ID: wire.AlgSHA512, Attributes: attrHash, Roles: wire.RoleHash | wire.RoleMACScheme | wire.RoleHashMLDSA, DigestSize: 64, BlockSize: 128, Supported: true},
	{ID: wire.AlgRSASSA, Attributes: attrAsym | attrSig, Roles: wire.RoleRSAScheme | wire.RoleSigScheme, Supported: true},
	{ID: wire.AlgRSAES, Attributes: attrAsym | attrEnc, Roles: wire.RoleRSAScheme | wire.RoleRSADecrypt, Supported: true},
	{ID: wire.AlgRSAPSS, Attributes: attrAsym | attrSig, Roles: wire.RoleRSAScheme | wire.RoleSigScheme, Supported: true},
	{ID: wire.AlgOAEP, Attributes: attrAsym | attrEnc, Roles: wire.RoleRSAScheme | wire.RoleRSADecrypt, Supported: true},
	{ID: wire.AlgECDSA, Attributes: attrAsym | attrSig, Roles: wire.RoleECCScheme | wire.RoleSigScheme, Supported: true},
	{ID: wire.AlgECDH, Attributes: attrAsym | attrMethod, Roles: wire.RoleECCScheme | wire.RoleECCKeyExchange, Supported: true},
	{ID: wire.AlgECDAA, Attributes: attrAsym | attrSig, Roles: wire.RoleECCScheme | wire.RoleSigScheme, Supported: true},
	{ID: wire.AlgSM2, Attributes: attrAsym | attrSig | attrMethod, Roles: wire.RoleECCScheme | wire.RoleSigScheme | wire.RoleECCKeyExchange, Supported: true},
	{ID: wire.AlgECSchnorr, Attributes: attrAsym | attrSig, Roles: wire.RoleECCScheme | wire.RoleSigScheme, Supported: true},
	{ID: wire.AlgECMQV, Attributes: attrAsym | attrMethod, Roles: wire.RoleECCScheme | wire.RoleECCKeyExchange, Supported: true},
	{ID: wire.AlgHKDF, Attributes: attrHash | attrMethod, Roles: wire.RoleKDF, Supported: true, Since: 185},
	{ID: wire.AlgKDF1_SP800_56A, Attributes: attrHash | attrMethod, Roles: wire.RoleKDF, Supported: true},
	{ID: wire.AlgKDF2, Attributes: attrHash | attrMethod, Roles: wire.RoleKDF, Supported: true},
	{ID: wire.AlgKDF1_SP800_108, Attributes: attrHash | attrMethod, Roles: wire.RoleKDF, Supported: true},
	{ID: wire.AlgECC, Attributes: attrAsym | attrObj, Roles: wire.RolePublic, Supported: true},
	{ID: wire.AlgSymCipher, Attributes: attrObj, Roles: wire.RolePublic, Supported: true},
	{ID: wire.AlgCamellia, Attributes: attrSym, Roles: wire.RoleSymmetricObject | wire.RoleSymmetric, KeyBits: []uint16{128, 192, 256}},
	{ID: wire.AlgSHA3_256, Attributes: attrHash, Roles: wire.RoleHash | wire.RoleMACScheme | wire.RoleHashMLDSA, DigestSize: 32, BlockSize: 136, Supported: true},
	{ID: wire.AlgSHA3_384, Attributes: attrHash, Roles: wire.RoleHash | wire.RoleMACScheme | wire.RoleHashMLDSA, DigestSize: 48, BlockSize: 104, Supported: true},
	{ID: wire.AlgSHA3_512, Attributes: attrHash, Roles: wire.RoleHash | wire.RoleMACScheme | wire.RoleHashMLDSA, DigestSize: 64, BlockSize: 72, Supported: true},
	{ID: wire.AlgSHAKE256_192, Attributes: attrHash, Roles: wire.RoleHash | wire.RoleMACScheme, DigestSize: 24, BlockSize: 136, Supported: true, Since: 185},
	{ID: wire.AlgSHAKE256_256, Attributes: attrHash, Roles: wire.RoleHash | wire.RoleMACScheme, DigestSize: 32, BlockSize: 136, Supported: true, Since: 185},
	{ID: wire.AlgSHAKE256_512, Attributes: attrHash, Roles: wire.RoleHash | wire.RoleMACScheme | wire.RoleHashMLDSA, DigestSize: 64, BlockSize: 136, Supported: true, Since: 185},
	{ID: wire.AlgCMAC, Attributes: attrSym | attrSig, Roles: wire.RoleSymmetricMode | wire.RoleMACScheme, Supported: true},
	{ID: wire.AlgCTR, Attributes: attrSym | attrEnc, Roles: wire.RoleSymmetricMode | wire.RoleCipherMode, Supported: true},
	{ID: wire.AlgOFB, Attributes: attrSym | attrEnc, Roles: wire.RoleSymmetricMode | wire.RoleCipherMode, Supported: true},
	{ID: wire.AlgCBC, Attributes: attrSym | attrEnc, Roles: wire.RoleSymmetricMode | wire.RoleCipherMode, Supported: true},
	{ID: wire.AlgCFB, Attributes: attrSym | attrEnc, Roles: wire.RoleSymmetricMode | wire.RoleCipherMode, Supported: true},
	{ID: wire.AlgECB, Attributes: attrSym | attrEnc, Roles: wire.RoleSymmetricMode | wire.RoleCipherMode, Supported: true},
	{ID: wire.AlgEdDSA, Attributes: attrAsym | attrSig, Roles: wire.RoleECCScheme | wire.RoleSigScheme, Supported: true, Since: 185},
	{ID: wire.AlgHashEdDSA, Attributes: attrAsym | attrSig, Roles: wire.RoleECCScheme | wire.RoleSigScheme, Supported: true, Since: 185},
	{ID: wire.AlgMLKEM, Attributes: attrAsym | attrObj | attrEnc, Roles: wire.RolePublic, ParameterSets: parameterSets, Supported: true, Since: 185},
	{ID: wire.AlgMLDSA, Attributes: attrAsym | attrObj | attrSig, Roles: wire.RolePublic | wire.RoleSigScheme, ParameterSets: parameterSets, Supported: true, Since: 185},
	{ID: wire.AlgHashMLDSA, Attributes: attrAsym | attrObj | attrSig, Roles: wire.RolePublic | wire.RoleSigScheme, ParameterSets: parameterSets, Supported: true, Since: 185},
}

// Algorithms is the whole table in ascending order of ID, supported or not.
func Algorithms() []Algorithm { return slices.Clone(algorithms) }

// UnsupportedError says that an algorithm cannot be switched on.
type UnsupportedError struct {
	Alg  wire.AlgID
	Want string // what it was asked for as, such as "PCR bank"
}

// Error names the algorithm and what to do about it.
func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("%v is not supported as %s: choose one of the algorithms with Supported set in crypt.Algorithms", e.Alg, e.Want)
}

// UnsupportedCurveError says that a curve cannot be switched on.
type UnsupportedCurveError struct{ Curve wire.Curve }

// Error names the curve and what to do about it.
func (e *UnsupportedCurveError) Error() string {
	return fmt.Sprintf("curve %v is not supported: choose one of crypt.Curves", e.Curve)
}

// UnsupportedSetError says that a type of keys has no parameter set of a number.
type UnsupportedSetError struct {
	Alg  wire.AlgID
	Set  uint16
	Want []uint16 // the sets there are
}

// Error names the type, the set and those that there are.
func (e *UnsupportedSetError) Error() string {
	return fmt.Sprintf("%v with parameter set %d is not supported: choose among %v", e.Alg, e.Set, e.Want)
}

// UnsupportedBitsError says that an algorithm has no keys of a size.
type UnsupportedBitsError struct {
	Alg  wire.AlgID
	Bits uint16
	Want []uint16 // the sizes there are
}

// Error names the algorithm, the size and those that there are.
func (e *UnsupportedBitsError) Error() string {
	return fmt.Sprintf("%v with %d bits is not supported: choose among %v", e.Alg, e.Bits, e.Want)
}

// Registry is the set of algorithms that one TPM has switched on. It is
// read-only and may be shared.
type Registry struct {
	rows      []Algorithm // ascending
	hashes    []wire.AlgID
	curves    []wire.Curve
	selectors *wire.Selectors
}

// Selection is what NewRegistry switches on, each list in any order.
type Selection struct {
	Algorithms []wire.AlgID
	Curves     []wire.Curve
	// RSABits and AESBits are the key sizes; an empty list means all of the table.
	RSABits, AESBits []uint16
	// MLKEMSets and MLDSASets are the parameter sets of keys; an empty list means all.
	// MLDSASets are those of HASH_MLDSA too.
	MLKEMSets []wire.MLKEMParameterSet
	MLDSASets []wire.MLDSAParameterSet
	// NoExternalMu refuses MLDSA keys with allowExternalMu.
	NoExternalMu bool
}

// sets are the parameter sets that are selected of a type of keys, nil for all.
func (s *Selection) sets(alg wire.AlgID) (list []uint16) {
	switch alg {
	case wire.AlgMLKEM:
		for _, set := range s.MLKEMSets {
			list = append(list, uint16(set))
		}
	case wire.AlgMLDSA, wire.AlgHashMLDSA:
		for _, set := range s.MLDSASets {
			list = append(list, uint16(set))
		}
	}
	return list
}

// bits are the sizes that are selected of an algorithm, nil for all.
func (s *Selection) bits(alg wire.AlgID) []uint16 {
	switch alg {
	case wire.AlgRSA:
		return s.RSABits
	case wire.AlgAES:
		return s.AESBits
	}
	return nil
}

// NewRegistry switches on what is selected. It refuses what is not supported
// with an *UnsupportedError, *UnsupportedCurveError, *UnsupportedBitsError or
// *UnsupportedSetError.
// Whether it makes sense together is not looked at.
func NewRegistry(s Selection) (*Registry, error) {
	for _, id := range s.Algorithms {
		i := slices.IndexFunc(algorithms, func(a Algorithm) bool { return a.ID == id })
		if i < 0 || !algorithms[i].Supported {
			return nil, &UnsupportedError{Alg: id, Want: "algorithm"}
		}
	}
	for _, a := range algorithms {
		for _, bits := range s.bits(a.ID) {
			if !slices.Contains(a.KeyBits, bits) {
				return nil, &UnsupportedBitsError{Alg: a.ID, Bits: bits, Want: a.KeyBits}
			}
		}
		for _, set := range s.sets(a.ID) {
			if !slices.Contains(a.ParameterSets, set) {
				return nil, &UnsupportedSetError{Alg: a.ID, Set: set, Want: a.ParameterSets}
			}
		}
	}
	for _, curve := range s.Curves {
		if !slices.Contains(Curves(), curve) {
			return nil, &UnsupportedCurveError{Curve: curve}
		}
	}
	sorted := slices.Clone(s.Curves)
	slices.Sort(sorted)
	return newRegistry(func(a *Algorithm) bool {
		if bits := s.bits(a.ID); len(bits) > 0 {
			a.KeyBits = slices.Clone(bits)
			slices.Sort(a.KeyBits)
		}
		if sets := s.sets(a.ID); len(sets) > 0 {
			slices.Sort(sets)
			a.ParameterSets = slices.Compact(sets)
		}
		return slices.Contains(s.Algorithms, a.ID)
	}, slices.Compact(sorted), !s.NoExternalMu), nil
}

// Complete is the registry with every algorithm of the table, the NIST curves and curves
// 25519 and 448, supported or not. It decodes everything that the structures of this
// package can name, and serves decoder tests.
func Complete() *Registry {
	return newRegistry(func(*Algorithm) bool { return true }, []wire.Curve{
		wire.CurveNISTP192, wire.CurveNISTP224, wire.CurveNISTP256, wire.CurveNISTP384, wire.CurveNISTP521, wire.CurveCurve25519, wire.CurveCurve448}, true)
}

// newRegistry has the rows that on accepts, which may narrow its copy of them.
func newRegistry(on func(*Algorithm) bool, curves []wire.Curve, externalMu bool) *Registry {
	r := &Registry{curves: curves}
	var sel []wire.Selector
	for _, a := range algorithms {
		if !on(&a) {
			continue
		}
		r.rows = append(r.rows, a)
		if a.Roles&wire.RoleHash != 0 {
			r.hashes = append(r.hashes, a.ID)
		}
		sel = append(sel, wire.Selector{
			Alg: a.ID, Roles: a.Roles, DigestSize: uint8(a.DigestSize), KeyBits: a.KeyBits,
			ParameterSets: a.ParameterSets, ExternalMu: externalMu && a.ID == wire.AlgMLDSA,
		})
	}
	r.selectors = wire.NewSelectors(sel, curves)
	return r
}

// Rows are the algorithms that are on, in ascending order of ID.
func (r *Registry) Rows() []Algorithm { return r.rows }

// Hashes are the hash algorithms that are on, in ascending order.
func (r *Registry) Hashes() []wire.AlgID { return r.hashes }

// Curves are the curves that are on, in ascending order.
func (r *Registry) Curves() []wire.Curve { return r.curves }

// Selectors is what decoders accept.
func (r *Registry) Selectors() *wire.Selectors { return r.selectors }

// LargestHash is the hash with the largest digest, the first of several.
func (r *Registry) LargestHash() wire.AlgID {
	alg := wire.AlgNull
	for _, h := range r.hashes {
		if r.DigestSize(h) > HashSize(alg) {
			alg = h
		}
	}
	return alg
}

// KeyBits are the accepted key sizes of an algorithm that is on, in ascending
// order; nil if it has none.
func (r *Registry) KeyBits(alg wire.AlgID) []uint16 {
	i := slices.IndexFunc(r.rows, func(a Algorithm) bool { return a.ID == alg })
	if i < 0 {
		return nil
	}
	return r.rows[i].KeyBits
}

// ParameterSets are the accepted parameter sets of keys of type alg, which is on, in
// ascending order; nil if it has none.
func (r *Registry) ParameterSets(alg wire.AlgID) []uint16 {
	i := slices.IndexFunc(r.rows, func(a Algorithm) bool { return a.ID == alg })
	if i < 0 {
		return nil
	}
	return r.rows[i].ParameterSets
}

// DigestSize gives the size in bytes of what a hash that is on produces, else 0.
func (r *Registry) DigestSize(alg wire.AlgID) int { return r.selectors.DigestSize(alg) }
