package wire

import (
	"crypto"
	_ "crypto/sha1" // the hash algorithms of sessions
	_ "crypto/sha256"
	_ "crypto/sha512"

	"github.com/google/go-tpm/tpm2"
)

// HashSizes are the digest sizes in bytes of the hash algorithms that every
// implementation has PCR banks for.
var HashSizes = map[tpm2.TPMAlgID]int{
	tpm2.TPMAlgSHA1: 20, tpm2.TPMAlgSHA256: 32, tpm2.TPMAlgSHA384: 48, tpm2.TPMAlgSHA512: 64,
}

// Hashes are the hash algorithms that a caller can make sessions and Names with.
var Hashes = map[tpm2.TPMAlgID]crypto.Hash{
	tpm2.TPMAlgSHA1: crypto.SHA1, tpm2.TPMAlgSHA256: crypto.SHA256,
	tpm2.TPMAlgSHA384: crypto.SHA384, tpm2.TPMAlgSHA512: crypto.SHA512,
}
