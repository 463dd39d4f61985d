package wire

import "github.com/google/go-tpm/tpm2"

// What the TPM 2.0 Library version 185 brought and go-tpm has no name for (Part 2, sections
// "TPM_ALG_ID", "TPM_CC", "TPM_ST" and "TPM_RC").
const (
	AlgHKDF      tpm2.TPMAlgID = 0x001f
	AlgEdDSA     tpm2.TPMAlgID = 0x0060
	AlgHashEdDSA tpm2.TPMAlgID = 0x0061
	AlgMLKEM     tpm2.TPMAlgID = 0x00a0
	AlgMLDSA     tpm2.TPMAlgID = 0x00a1
	AlgHashMLDSA tpm2.TPMAlgID = 0x00a2

	CCVerifySequenceComplete tpm2.TPMCC = 0x1a3
	CCSignSequenceComplete   tpm2.TPMCC = 0x1a4
	CCVerifyDigestSignature  tpm2.TPMCC = 0x1a5
	CCSignDigest             tpm2.TPMCC = 0x1a6
	CCEncapsulate            tpm2.TPMCC = 0x1a7
	CCDecapsulate            tpm2.TPMCC = 0x1a8
	CCVerifySequenceStart    tpm2.TPMCC = 0x1a9
	CCSignSequenceStart      tpm2.TPMCC = 0x1aa

	STMessageVerified tpm2.TPMST = 0x8026
	STDigestVerified  tpm2.TPMST = 0x8027

	RCParms            tpm2.TPMRC = 0x0aa
	RCExtMu            tpm2.TPMRC = 0x0ab
	RCOneShotSignature tpm2.TPMRC = 0x0ac
	RCSignContextKey   tpm2.TPMRC = 0x0ad
)

// hashless reports whether neither scheme nor signature name a hash algorithm.
func hashless(scheme tpm2.TPMAlgID) bool {
	return scheme == AlgEdDSA || scheme == AlgHashEdDSA || scheme == AlgMLDSA
}

// LatticeSize is the size in bytes of the public key of a parameter set of ML-KEM, ML-DSA or
// HashML-DSA (FIPS 203, table 3; FIPS 204, table 2), 0 of another one.
func LatticeSize(kind tpm2.TPMAlgID, set uint16) int {
	sizes := [3]int{1312, 1952, 2592}
	if kind == AlgMLKEM {
		sizes = [3]int{800, 1184, 1568}
	}
	if set < 1 || set > 3 {
		return 0
	}
	return sizes[set-1]
}

// What go-tpm lacks of hash algorithms and curves.
const (
	AlgSHAKE256x192 tpm2.TPMAlgID = 0x002c
	AlgSHAKE256x256 tpm2.TPMAlgID = 0x002d
	AlgSHAKE256x512 tpm2.TPMAlgID = 0x002e

	Curve25519 tpm2.TPMECCCurve = 0x0040
	Curve448   tpm2.TPMECCCurve = 0x0041
)

// HashEdDSAHash is the hash algorithm of HashEdDSA with a curve (RFC 8032, sections 5.1 and
// 5.2: SHA-512, and 64 octets of SHAKE256).
func HashEdDSAHash(curve tpm2.TPMECCCurve) tpm2.TPMAlgID {
	if curve == Curve448 {
		return AlgSHAKE256x512
	}
	return tpm2.TPMAlgSHA512
}

// SignsMessages reports whether a signature scheme is of messages, of which it hashes the
// public key or the context too, and not of their digests.
func SignsMessages(scheme tpm2.TPMAlgID) bool {
	return hashless(scheme) || scheme == AlgHashMLDSA
}
