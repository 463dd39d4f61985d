package wire

import "github.com/google/go-tpm/tpm2"

// Signature is a TPMT_SIGNATURE.
type Signature struct {
	Scheme, Hash tpm2.TPMAlgID
	// Parts has the signature of RSA, ML-DSA or EdDSA, r and s of other schemes of ECC, or
	// the digest of an HMAC.
	Parts [][]byte
}

// Signature reads a TPMT_SIGNATURE.
func (c *Cursor) Signature() Signature {
	s := Signature{Scheme: c.Alg()}
	if s.Scheme == tpm2.TPMAlgNull {
		return s
	}
	if !hashless(s.Scheme) {
		s.Hash = c.Alg()
	}
	switch s.Scheme {
	case tpm2.TPMAlgRSASSA, tpm2.TPMAlgRSAPSS, AlgMLDSA, AlgHashMLDSA, AlgEdDSA, AlgHashEdDSA:
		s.Parts = [][]byte{c.Sized()}
	case tpm2.TPMAlgHMAC:
		s.Parts = [][]byte{c.Take(HashSizes[s.Hash])}
	default: // one of those of ECC
		s.Parts = [][]byte{c.Sized(), c.Sized()}
	}
	return s
}
