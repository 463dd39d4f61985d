package crypt

import "github.com/swtpmd/swtpmd/emulator/wire"

// VerifyEd25519 is Verify of the key that public encodes; no signature is by what encodes
// none.
func VerifyEd25519(public, message, signature []byte) bool {
	k, err := newEd25519Public(public)
	return err == nil && k.Verify(message, signature)
}

// VerifyEd25519ph is VerifyPrehashed of the key that public encodes.
func VerifyEd25519ph(public, digest, signature []byte) bool {
	k, err := newEd25519Public(public)
	return err == nil && k.VerifyPrehashed(digest, signature)
}

// MLKEMDecapsulate decapsulates with the key of a seed.
func MLKEMDecapsulate(set wire.MLKEMParameterSet, seed, ciphertext []byte) (shared []byte, err error) {
	k, err := NewMLKEMKey(set, seed)
	if err != nil {
		return nil, err
	}
	return k.Decapsulate(ciphertext)
}
