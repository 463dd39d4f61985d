package wire

// Bounds of what leaves a TPM encrypted, in bytes.
const (
	// MaxPrivate bounds a TPM2B_PRIVATE by the _PRIVATE of an RSA key of 4,096
	// bits (Part 2, section "_PRIVATE"): two integrity values, then a
	// TPM2B_SENSITIVE with authorisation value, seed and a key of
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

// IDObject takes a TPM2B_ID_OBJECT with a TPMS_ID_OBJECT in it (Part 2, section
// "TPMS_ID_OBJECT"). The encrypted identity has no size field that could be
// read, since the encryption covers it: it is what follows the integrity value.
// TPM_RC_SIZE if the whole is longer than MaxIDObject or the integrity value
// longer than the largest digest, TPM_RC_INSUFFICIENT if it is cut. The results
// alias the input.
func (r *Reader) IDObject() (integrity, encIdentity []byte) {
	blob := NewReader(r.Sized(MaxIDObject), nil)
	integrity = blob.Sized(MaxDigest)
	if blob.rc != RCSuccess {
		r.Fail(blob.rc)
	}
	if r.rc != RCSuccess {
		return nil, nil
	}
	return integrity, blob.Rest()
}

// IDObject appends a TPM2B_ID_OBJECT. encIdentity starts with its encrypted size
// field.
func (w *Writer) IDObject(integrity, encIdentity []byte) {
	start := w.inner()
	w.Sized(integrity)
	w.Bytes(encIdentity)
	w.end(start)
}
