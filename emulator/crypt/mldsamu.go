package crypt

import (
	"crypto/sha3"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// mldsaContext is the size in bytes of the longest context of a signature.
const mldsaContext = 255

// MLDSAMu computes the message representative µ, which is what ML-DSA signs (FIPS 204,
// algorithms 2 and 4, and algorithm 7, line 6): a SHAKE256 of the digest of the public
// key, the context and the message. Writing never fails. The state can be marshaled in
// the middle of a message, and the zero value can only be unmarshaled to.
type MLDSAMu struct{ x sha3.SHAKE }

// NewMLDSAMu starts µ of a message that ML-DSA signs: it is written in pieces of any
// size. The public key is in its encoded form. A context of more than 255 bytes is
// refused with TPM_RC_SIZE.
func NewMLDSAMu(public, context []byte) (*MLDSAMu, error) {
	return newMLDSAMu(0, mldsaDigest(public), context)
}

// NewMu is [NewMLDSAMu] for the key, whose digest it knows.
func (k *MLDSAPublicKey) NewMu(context []byte) (*MLDSAMu, error) {
	return newMLDSAMu(0, k.digest, context)
}

// NewHashMLDSAMu starts µ of a digest that HashML-DSA signs: the caller writes the digest.
// The public key is in its encoded form. It refuses a context of more than 255 bytes with
// TPM_RC_SIZE, a hash that [HashMLDSAHash] does not accept with TPM_RC_HASH.
func NewHashMLDSAMu(public, context []byte, hash wire.AlgID) (*MLDSAMu, error) {
	return newHashMLDSAMu(mldsaDigest(public), context, hash)
}

// NewHashMu is [NewHashMLDSAMu] for the key, whose digest it knows.
func (k *MLDSAPublicKey) NewHashMu(context []byte, hash wire.AlgID) (*MLDSAMu, error) {
	return newHashMLDSAMu(k.digest, context, hash)
}

// mldsaDigest is the digest of a public key that µ is of.
func mldsaDigest(public []byte) [dsaTrSize]byte {
	return [dsaTrSize]byte(sha3.SumSHAKE256(public, dsaTrSize))
}

func newHashMLDSAMu(digest [dsaTrSize]byte, context []byte, hash wire.AlgID) (*MLDSAMu, error) {
	oid, ok := prehashOIDs[hash]
	if !ok {
		return nil, refuse("HashML-DSA", wire.RCHash, "%v is no hash for it: choose among those of SHA-2 and SHA-3", hash)
	}
	m, err := newMLDSAMu(1, digest, context)
	if err != nil {
		return nil, err
	}
	m.Write([]byte{0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, oid})
	return m, nil
}

func newMLDSAMu(domain byte, digest [dsaTrSize]byte, context []byte) (*MLDSAMu, error) {
	if len(context) > mldsaContext {
		return nil, refuse("ML-DSA context", wire.RCSize, "%d bytes where it has at most %d", len(context), mldsaContext)
	}
	m := &MLDSAMu{*sha3.NewSHAKE256()}
	m.Write(digest[:])
	m.Write([]byte{domain, byte(len(context))})
	m.Write(context)
	return m, nil
}

// prehashOIDs are the last octets of the object identifiers
// 2.16.840.1.101.3.4.2.x of the hashes that HashML-DSA is defined with (FIPS 204,
// section 5.4; NIST's register of algorithms).
var prehashOIDs = map[wire.AlgID]byte{
	wire.AlgSHA256: 1, wire.AlgSHA384: 2, wire.AlgSHA512: 3,
	wire.AlgSHA3_256: 8, wire.AlgSHA3_384: 9, wire.AlgSHA3_512: 10,
	wire.AlgSHAKE256_512: 12,
}

// HashMLDSAHash reports whether HashML-DSA is defined with a hash. It is not with SHA-1,
// SM3, SHAKE256_192 and SHAKE256_256.
func HashMLDSAHash(hash wire.AlgID) bool {
	_, ok := prehashOIDs[hash]
	return ok
}

// Write takes a part of the message, or of the digest.
func (m *MLDSAMu) Write(p []byte) (int, error) { return m.x.Write(p) }

// Sum appends µ of what was written, 64 bytes, to dst. More may be written after it.
func (m *MLDSAMu) Sum(dst []byte) []byte { return sumSHAKE(&m.x, dst, wire.MLDSAMu) }

// MarshalBinary gives the state.
func (m *MLDSAMu) MarshalBinary() ([]byte, error) { return m.x.MarshalBinary() }

// UnmarshalBinary restores a state of MarshalBinary. What is none is refused with a
// *HashStateError and changes nothing.
func (m *MLDSAMu) UnmarshalBinary(state []byte) error {
	x := *sha3.NewSHAKE256()
	if err := unmarshalSHAKE(&x, state); err != nil {
		return &HashStateError{Alg: wire.AlgMLDSA, Err: err}
	}
	m.x = x
	return nil
}
