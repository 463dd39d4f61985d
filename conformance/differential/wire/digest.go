package wire

import (
	"crypto/sha3"
	"hash"

	"github.com/google/go-tpm/tpm2"
)

// Digest returns the digest of parts, one after the other, by any hash algorithm of
// version 185; nil for what is none.
func Digest(alg tpm2.TPMAlgID, parts ...[]byte) []byte {
	h := newHash(alg)
	if h == nil {
		return nil
	}
	for _, part := range parts {
		h.Write(part)
	}
	return h.Sum(nil)
}

// DigestSize returns the size in bytes of the digests of a hash algorithm, 0 for what is
// none.
func DigestSize(alg tpm2.TPMAlgID) int { return len(Digest(alg)) }

func newHash(alg tpm2.TPMAlgID) hash.Hash {
	switch alg {
	case tpm2.TPMAlgSHA3256:
		return sha3.New256()
	case tpm2.TPMAlgSHA3384:
		return sha3.New384()
	case tpm2.TPMAlgSHA3512:
		return sha3.New512()
	case AlgSHAKE256x192:
		return &shake256{SHAKE: sha3.NewSHAKE256(), size: 24}
	case AlgSHAKE256x256:
		return &shake256{SHAKE: sha3.NewSHAKE256(), size: 32}
	case AlgSHAKE256x512:
		return &shake256{SHAKE: sha3.NewSHAKE256(), size: 64}
	}
	if known, ok := Hashes[alg]; ok {
		return known.New()
	}
	return nil
}

// shake256 is SHAKE256 with digests of one size.
type shake256 struct {
	*sha3.SHAKE
	size int
}

func (s *shake256) Size() int { return s.size }

func (s *shake256) Sum(b []byte) []byte {
	digest := make([]byte, s.size)
	copied := *s.SHAKE
	copied.Read(digest)
	return append(b, digest...)
}
