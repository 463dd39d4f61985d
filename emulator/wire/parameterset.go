package wire

import "fmt"

// MLKEMParameterSet is a TPMI_MLKEM_PARAMETER_SET (Part 2 of version 185): which
// of the parameter sets of FIPS 203 a key has.
type MLKEMParameterSet uint16

// The parameter sets of ML-KEM.
const (
	MLKEM512  MLKEMParameterSet = 0x0001
	MLKEM768  MLKEMParameterSet = 0x0002
	MLKEM1024 MLKEMParameterSet = 0x0003
)

// Sizes in bytes that all parameter sets of ML-KEM share.
const (
	MLKEMSeed   = 64 // private key: d | z of FIPS 203
	MLKEMShared = 32 // shared secret
)

var mlkemSets = [...]struct {
	name               string
	public, ciphertext int
}{
	MLKEM512:  {"MLKEM_512", 800, 768},
	MLKEM768:  {"MLKEM_768", 1184, 1088},
	MLKEM1024: {"MLKEM_1024", 1568, 1568},
}

// Known reports whether s is one of the parameter sets of FIPS 203.
func (s MLKEMParameterSet) Known() bool { return s >= MLKEM512 && s <= MLKEM1024 }

// PublicSize is the size in bytes of a public key, 0 for an unknown set.
func (s MLKEMParameterSet) PublicSize() int {
	if !s.Known() {
		return 0
	}
	return mlkemSets[s].public
}

// CiphertextSize is the size in bytes of a ciphertext, 0 for an unknown set.
func (s MLKEMParameterSet) CiphertextSize() int {
	if !s.Known() {
		return 0
	}
	return mlkemSets[s].ciphertext
}

// String gives the name of Part 2 without its TPM_ prefix.
func (s MLKEMParameterSet) String() string {
	if !s.Known() {
		return fmt.Sprintf("MLKEM(0x%04X)", uint16(s))
	}
	return mlkemSets[s].name
}

// MLDSAParameterSet is a TPMI_MLDSA_PARAMETER_SET (Part 2 of version 185): which
// of the parameter sets of FIPS 204 a key has.
type MLDSAParameterSet uint16

// The parameter sets of ML-DSA.
const (
	MLDSA44 MLDSAParameterSet = 0x0001
	MLDSA65 MLDSAParameterSet = 0x0002
	MLDSA87 MLDSAParameterSet = 0x0003
)

// Sizes in bytes that all parameter sets of ML-DSA share.
const (
	MLDSASeed = 32 // private key: ξ of FIPS 204
	MLDSAMu   = 64 // message representative µ, the "external mu" of Part 2
)

var mldsaSets = [...]struct {
	name              string
	public, signature int
}{
	MLDSA44: {"MLDSA_44", 1312, 2420},
	MLDSA65: {"MLDSA_65", 1952, 3309},
	MLDSA87: {"MLDSA_87", 2592, 4627},
}

// Known reports whether s is one of the parameter sets of FIPS 204.
func (s MLDSAParameterSet) Known() bool { return s >= MLDSA44 && s <= MLDSA87 }

// PublicSize is the size in bytes of a public key, 0 for an unknown set.
func (s MLDSAParameterSet) PublicSize() int {
	if !s.Known() {
		return 0
	}
	return mldsaSets[s].public
}

// SignatureSize is the size in bytes of a signature, 0 for an unknown set.
func (s MLDSAParameterSet) SignatureSize() int {
	if !s.Known() {
		return 0
	}
	return mldsaSets[s].signature
}

// String gives the name of Part 2 without its TPM_ prefix.
func (s MLDSAParameterSet) String() string {
	if !s.Known() {
		return fmt.Sprintf("MLDSA(0x%04X)", uint16(s))
	}
	return mldsaSets[s].name
}
