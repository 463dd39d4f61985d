package emulator

import (
	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Sizes in bytes of the largest structures that a TPM with some algorithms can have.

// publicSize is the size in bytes of the largest TPMT_PUBLIC that is none of a key of
// ML-KEM or ML-DSA: type, nameAlg, attributes, policy, and parameters and unique field
// of an RSA or ECC key.
func publicSize(digest int, algs *crypt.Registry) int {
	rsa := 3*2 + 2*2 + 2 + 4 + 2 + largestBits(algs, wire.AlgRSA)/8
	ecc := 3*2 + 2*2 + 2 + 2 + 2*2 + 2*(2+largestField(algs))
	return publicHead(digest) + max(rsa, ecc, 3*2+2+digest)
}

// publicHead is what a TPMT_PUBLIC has before its parameters.
func publicHead(digest int) int { return 2 + 2 + 4 + 2 + digest }

// latticeAreas are the sizes in bytes of the largest TPMT_PUBLIC of a key of ML-KEM or
// ML-DSA and of a TPMT_SENSITIVE that fits to it, 0 without such keys.
func latticeAreas(digest int, algs *crypt.Registry) (public, sensitive int) {
	mlkem, mldsa := largestSet(algs, wire.AlgMLKEM), largestMLDSA(algs)
	if mlkem == 0 && mldsa == 0 {
		return 0, 0
	}
	public = publicHead(digest) + max(3*2+2+2+wire.MLKEMParameterSet(mlkem).PublicSize(), 2+2+2+mldsa.PublicSize())
	return public, 2 + 2*(2+digest) + 2 + wire.MLKEMSeed
}

// largestSet is the largest parameter set of an algorithm, 0 for none: they are
// numbered by their strength.
func largestSet(algs *crypt.Registry, alg wire.AlgID) uint16 {
	largest := uint16(0)
	for _, set := range algs.ParameterSets(alg) {
		largest = max(largest, set)
	}
	return largest
}

func largestMLDSA(algs *crypt.Registry) wire.MLDSAParameterSet {
	return wire.MLDSAParameterSet(max(largestSet(algs, wire.AlgMLDSA), largestSet(algs, wire.AlgHashMLDSA)))
}

// attestSize is the size in bytes of the largest TPMS_ATTEST but that of
// TPM2_NV_Certify, that of TPM2_Certify: magic, type, signer, data, clock, firmware and
// two Names.
func attestSize(digest int) uint32 { return uint32(4 + 2 + 4*(2+2+digest) + 17 + 8) }

// signatureSize is the size in bytes of the largest TPMT_SIGNATURE of ML-DSA, 0
// without. All others fit where a TPMS_CAPABILITY_DATA does.
func signatureSize(algs *crypt.Registry) uint32 {
	if set := largestMLDSA(algs); set != 0 {
		return uint32(2 + 2 + 2 + set.SignatureSize())
	}
	return 0
}

// sensitiveSize is the size in bytes of the largest TPMT_SENSITIVE: type,
// authValue, seedValue, and a prime, a scalar, sealed data or a symmetric key.
func sensitiveSize(digest int, algs *crypt.Registry) int {
	return 2 + 2*(2+digest) + 2 + max(largestBits(algs, wire.AlgRSA)/16, largestField(algs), wire.MaxSymData)
}

func largestBits(algs *crypt.Registry, alg wire.AlgID) int {
	largest := uint16(0)
	for _, bits := range algs.KeyBits(alg) {
		largest = max(largest, bits)
	}
	return int(largest)
}

func largestField(algs *crypt.Registry) int {
	largest := 0
	for _, curve := range algs.Curves() {
		largest = max(largest, crypt.FieldSize(curve))
	}
	return largest
}
