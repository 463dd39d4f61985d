package wire

// Bounds of what leaves a TPM encrypted, in bytes.
const (
	// MaxPrivate bounds a TPM2B_PRIVATE by the _PRIVATE of an RSA key of 4,096
	// bits (Part 2, section "_PRIVATE"): two integrity values, then a
	// TPM2B_SENSITIVE with authorization value, seed and a key of
	// RSA_PRIVATE_SIZE.
	MaxPrivate = 2*(2+MaxDigest) + 2 + 2 + 2*(2+MaxDigest) + (2 + MaxRSAPrivate)

	// MaxEncryptedSecret bounds a TPM2B_ENCRYPTED_SECRET by the largest part of
	// TPMU_ENCRYPTED_SECRET without ML-KEM, what RSA makes of a secret.
	MaxEncryptedSecret = MaxRSAKey

	// MaxIDObject bounds a TPM2B_ID_OBJECT by a TPMS_ID_OBJECT of two digests.
	MaxIDObject = 2 * (2 + MaxDigest)

	// MaxOperand bounds a TPM2B_OPERAND, which is a TPM2B_DIGEST.
	MaxOperand = MaxDigest
)

// MaxEncryptedSecret bounds a TPM2B_ENCRYPTED_SECRET in bytes: the constant of that
// name, or a ciphertext of the largest parameter set of ML-KEM.
func (s *Selectors) MaxEncryptedSecret() int {
	return max(MaxEncryptedSecret, s.maxMLKEM(MLKEMParameterSet.CiphertextSize))
}

// EncryptedSecret takes a TPM2B_ENCRYPTED_SECRET: TPM_RC_SIZE if it is longer than
// Selectors.MaxEncryptedSecret. The result aliases the input.
func (r *Reader) EncryptedSecret() []byte { return r.Sized(r.algs.MaxEncryptedSecret()) }

// KEMCiphertext takes a TPM2B_KEM_CIPHERTEXT: a ciphertext of ML-KEM, or the point
// that DHKEM sends. TPM_RC_SIZE if it is longer than any. The result aliases the
// input.
func (r *Reader) KEMCiphertext() []byte {
	return r.Sized(max(2*(2+MaxECCKey), r.algs.maxMLKEM(MLKEMParameterSet.CiphertextSize)))
}

// MaxSignatureContext is the size in bytes of the longest context of a signature,
// that of ML-DSA.
const MaxSignatureContext = 255

// SignatureContext takes a TPM2B_SIGNATURE_CTX: TPM_RC_SIZE if it is longer than
// MaxSignatureContext. How long it may be with a scheme is not looked at. The
// result aliases the input.
func (r *Reader) SignatureContext() []byte { return r.Sized(MaxSignatureContext) }

// SignatureHint takes a TPM2B_SIGNATURE_HINT, of which EdDSA has half a
// signature: TPM_RC_SIZE if it is longer. The result aliases the input.
func (r *Reader) SignatureHint() []byte { return r.Sized(MaxEdDSA / 2) }
