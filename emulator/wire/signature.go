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
}
