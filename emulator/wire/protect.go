package wire

// Bounds of what leaves a TPM encrypted, in bytes.
const (
	// MaxPrivate bounds a TPM2B_PRIVATE by the _PRIVATE of an RSA key of 4,096
	// bits (Part 2, section "_PRIVATE"): two integrity values, then a
	// TPM2B_SENSITIVE with authorization value, seed and a key of
	// RSA_PRIVATE_SIZE.
	MaxPrivate = 2*(2+MaxDigest) + 2 + 2 + 2*(2+MaxDigest) + (2 + MaxRSAPrivate)

	// MaxEncryptedSecret bounds a TPM2B_ENCRYPTED_SECRET by the largest part of
	// TPMU_ENCRYPTED_SECRET, what RSA makes of a secret.
	MaxEncryptedSecret = MaxRSAKey

	// MaxIDObject bounds a TPM2B_ID_OBJECT by a TPMS_ID_OBJECT of two digests.
	MaxIDObject = 2 * (2 + MaxDigest)

	// MaxOperand bounds a TPM2B_OPERAND, which is a TPM2B_DIGEST.
	MaxOperand = MaxDigest
)
