package wire

// Signature is a TPMT_SIGNATURE (Part 2, section "TPMT_SIGNATURE"). Of the
// fields after Hash those are in use that the algorithm has. Decoded byte
// strings alias the input.
type Signature struct {
	Alg  AlgID
	Hash AlgID
	RSA  []byte // RSASSA, RSAPSS
	R, S []byte // ECDSA, ECDAA, SM2, ECSCHNORR
	HMAC []byte // a digest of Hash
	// Bytes is the signature of EDDSA and HASH_EDDSA (R and S of RFC 8032), MLDSA and
	// HASH_MLDSA (FIPS 204). Of these only HASH_MLDSA names a Hash.
	Bytes []byte
}

// MaxEdDSA is the size in bytes of the longest EdDSA signature, that of Ed448.
const MaxEdDSA = 114

// Signature takes a TPMT_SIGNATURE, with null its "+" variant: TPM_RC_SCHEME for
// an algorithm that does not sign, TPM_RC_HASH for its hash, TPM_RC_SIZE for a
// number or signature that is longer than any key's.
func (r *Reader) Signature(s *Signature, null bool) {
	*s = Signature{Alg: r.alg(RoleSigScheme, null, RCScheme), Hash: AlgNull}
	switch s.Alg {
	case AlgNull:
	case AlgHMAC:
		ha := r.HA(false)
		s.Hash, s.HMAC = ha.Hash, ha.Digest
	case AlgRSASSA, AlgRSAPSS:
		s.Hash = r.HashAlg(false)
		s.RSA = r.Sized(MaxRSAKey)
	case AlgEdDSA, AlgHashEdDSA:
		s.Bytes = r.Sized(MaxEdDSA)
	case AlgMLDSA:
		s.Bytes = r.Sized(r.algs.maxMLDSA(MLDSAParameterSet.SignatureSize))
	case AlgHashMLDSA:
		s.Hash = r.alg(RoleHashMLDSA, false, RCHash)
		s.Bytes = r.Sized(r.algs.maxMLDSA(MLDSAParameterSet.SignatureSize))
	default: // the schemes of ECC
		s.Hash = r.HashAlg(false)
		s.R = r.Sized(MaxECCKey)
		s.S = r.Sized(MaxECCKey)
	}
}

// Signature appends a TPMT_SIGNATURE.
func (w *Writer) Signature(s *Signature) {
	w.U16(uint16(s.Alg))
	switch s.Alg {
	case AlgNull:
	case AlgHMAC:
		w.HA(HA{Hash: s.Hash, Digest: s.HMAC})
	case AlgRSASSA, AlgRSAPSS:
		w.U16(uint16(s.Hash))
		w.Sized(s.RSA)
	case AlgEdDSA, AlgHashEdDSA, AlgMLDSA:
		w.Sized(s.Bytes)
	case AlgHashMLDSA:
		w.U16(uint16(s.Hash))
		w.Sized(s.Bytes)
	default:
		w.U16(uint16(s.Hash))
		w.Sized(s.R)
		w.Sized(s.S)
	}
}
