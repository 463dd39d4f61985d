package wire

import "fmt"

// AlgID is a TPM_ALG_ID (Part 2, section "TPM_ALG_ID"; values from the TCG
// Algorithm Registry rev 1.34, those that version 185 of the library added from
// its Part 2).
type AlgID uint16

// The algorithm identifiers.
const (
	AlgError          AlgID = 0x0000
	AlgRSA            AlgID = 0x0001
	AlgTDES           AlgID = 0x0003
	AlgSHA1           AlgID = 0x0004
	AlgHMAC           AlgID = 0x0005
	AlgAES            AlgID = 0x0006
	AlgMGF1           AlgID = 0x0007
	AlgKeyedHash      AlgID = 0x0008
	AlgXOR            AlgID = 0x000A
	AlgSHA256         AlgID = 0x000B
	AlgSHA384         AlgID = 0x000C
	AlgSHA512         AlgID = 0x000D
	AlgSHA256_192     AlgID = 0x000E
	AlgNull           AlgID = 0x0010
	AlgSM3_256        AlgID = 0x0012
	AlgSM4            AlgID = 0x0013
	AlgRSASSA         AlgID = 0x0014
	AlgRSAES          AlgID = 0x0015
	AlgRSAPSS         AlgID = 0x0016
	AlgOAEP           AlgID = 0x0017
	AlgECDSA          AlgID = 0x0018
	AlgECDH           AlgID = 0x0019
	AlgECDAA          AlgID = 0x001A
	AlgSM2            AlgID = 0x001B
	AlgECSchnorr      AlgID = 0x001C
	AlgECMQV          AlgID = 0x001D
	AlgHKDF           AlgID = 0x001F
	AlgKDF1_SP800_56A AlgID = 0x0020
	AlgKDF2           AlgID = 0x0021
	AlgKDF1_SP800_108 AlgID = 0x0022
	AlgECC            AlgID = 0x0023
	AlgSymCipher      AlgID = 0x0025
	AlgCamellia       AlgID = 0x0026
	AlgSHA3_256       AlgID = 0x0027
	AlgSHA3_384       AlgID = 0x0028
	AlgSHA3_512       AlgID = 0x0029
	AlgSHAKE256_192   AlgID = 0x002C
	AlgSHAKE256_256   AlgID = 0x002D
	AlgSHAKE256_512   AlgID = 0x002E
	AlgCMAC           AlgID = 0x003F
	AlgCTR            AlgID = 0x0040
	AlgOFB            AlgID = 0x0041
	AlgCBC            AlgID = 0x0042
	AlgCFB            AlgID = 0x0043
	AlgECB            AlgID = 0x0044
	AlgEdDSA          AlgID = 0x0060
	AlgHashEdDSA      AlgID = 0x0061
	AlgMLKEM          AlgID = 0x00A0
	AlgMLDSA          AlgID = 0x00A1
	AlgHashMLDSA      AlgID = 0x00A2
)

var algNames = map[AlgID]string{
	AlgError: "ERROR", AlgRSA: "RSA", AlgTDES: "TDES", AlgSHA1: "SHA1", AlgHMAC: "HMAC",
	AlgAES: "AES", AlgMGF1: "MGF1", AlgKeyedHash: "KEYEDHASH", AlgXOR: "XOR",
	AlgSHA256: "SHA256", AlgSHA384: "SHA384", AlgSHA512: "SHA512", AlgSHA256_192: "SHA256_192",
	AlgNull: "NULL", AlgSM3_256: "SM3_256", AlgSM4: "SM4", AlgRSASSA: "RSASSA", AlgRSAES: "RSAES",
	AlgRSAPSS: "RSAPSS", AlgOAEP: "OAEP", AlgECDSA: "ECDSA", AlgECDH: "ECDH", AlgECDAA: "ECDAA",
	AlgSM2: "SM2", AlgECSchnorr: "ECSCHNORR", AlgECMQV: "ECMQV",
	AlgHKDF: "HKDF", AlgKDF1_SP800_56A: "KDF1_SP800_56A", AlgKDF2: "KDF2", AlgKDF1_SP800_108: "KDF1_SP800_108",
	AlgECC: "ECC", AlgSymCipher: "SYMCIPHER", AlgCamellia: "CAMELLIA",
	AlgSHA3_256: "SHA3_256", AlgSHA3_384: "SHA3_384", AlgSHA3_512: "SHA3_512",
	AlgSHAKE256_192: "SHAKE256_192", AlgSHAKE256_256: "SHAKE256_256", AlgSHAKE256_512: "SHAKE256_512",
	AlgCMAC: "CMAC", AlgCTR: "CTR", AlgOFB: "OFB", AlgCBC: "CBC", AlgCFB: "CFB", AlgECB: "ECB",
	AlgEdDSA: "EDDSA", AlgHashEdDSA: "HASH_EDDSA",
	AlgMLKEM: "MLKEM", AlgMLDSA: "MLDSA", AlgHashMLDSA: "HASH_MLDSA",
}

// String gives the name of Part 2 without its TPM_ALG_ prefix.
func (a AlgID) String() string {
	if n, ok := algNames[a]; ok {
		return n
	}
	return fmt.Sprintf("ALG(0x%04X)", uint16(a))
}

// Curve is a TPM_ECC_CURVE (Part 2, section "TPM_ECC_CURVE").
type Curve uint16

// The curve identifiers.
const (
	CurveNone       Curve = 0x0000
	CurveNISTP192   Curve = 0x0001
	CurveNISTP224   Curve = 0x0002
	CurveNISTP256   Curve = 0x0003
	CurveNISTP384   Curve = 0x0004
	CurveNISTP521   Curve = 0x0005
	CurveBNP256     Curve = 0x0010
	CurveBNP638     Curve = 0x0011
	CurveSM2P256    Curve = 0x0020
	CurveBPP256R1   Curve = 0x0030
	CurveBPP384R1   Curve = 0x0031
	CurveBPP512R1   Curve = 0x0032
	CurveCurve25519 Curve = 0x0040
	CurveCurve448   Curve = 0x0041
)

var curveNames = map[Curve]string{
	CurveNISTP192: "NIST_P192", CurveNISTP224: "NIST_P224", CurveNISTP256: "NIST_P256",
	CurveNISTP384: "NIST_P384", CurveNISTP521: "NIST_P521", CurveBNP256: "BN_P256",
	CurveBNP638: "BN_P638", CurveSM2P256: "SM2_P256", CurveBPP256R1: "BP_P256_R1",
	CurveBPP384R1: "BP_P384_R1", CurveBPP512R1: "BP_P512_R1",
	CurveCurve25519: "CURVE_25519", CurveCurve448: "CURVE_448",
}

// String gives the name of Part 2 without its TPM_ECC_ prefix.
func (c Curve) String() string {
	if n, ok := curveNames[c]; ok {
		return n
	}
	return fmt.Sprintf("CURVE(0x%04X)", uint16(c))
}

// AlgAttributes is a TPMA_ALGORITHM (Part 2, section "TPMA_ALGORITHM").
type AlgAttributes uint32

// The bits of TPMA_ALGORITHM.
const (
	AlgAttrAsymmetric AlgAttributes = 1 << 0
	AlgAttrSymmetric  AlgAttributes = 1 << 1
	AlgAttrHash       AlgAttributes = 1 << 2
	AlgAttrObject     AlgAttributes = 1 << 3
	AlgAttrSigning    AlgAttributes = 1 << 8
	AlgAttrEncrypting AlgAttributes = 1 << 9
	AlgAttrMethod     AlgAttributes = 1 << 10
)
