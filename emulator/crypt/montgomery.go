package crypt

import (
	"encoding"
	"io"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// A MontgomeryCurve is a curve of RFC 7748: keys agree on secrets with its coordinates, and
// sign with those of its Edwards form (RFC 8032). Scalars and coordinates are little-endian
// strings, and points have no y (Part 1 of version 185, section 44.5). It is read-only and
// may be shared.
type MontgomeryCurve struct {
	ID   wire.Curve
	Hash wire.AlgID // of the digests that HashEdDSA signs

	signing, exchange int // sizes of keys in bytes
	newKey            func(private []byte) (EdDSAKey, error)
	newPublic         func(public []byte) (EdDSAPublicKey, error)
	verification      func(public, hint []byte) (EdDSAVerification, error)
	restored          func() EdDSAVerification
	checkSigning      func(public []byte) error
	checkExchange     func(public []byte) error
	public            func(private []byte) ([]byte, error)
	agree             func(private, public []byte) ([]byte, error)
}

// An EdDSAKey is a private key of EdDSA that is ready to sign.
type EdDSAKey interface {
	// Public is the public key. It must not be changed.
	Public() []byte
	// Sign signs a message.
	Sign(message []byte) []byte
	// SignPrehashed signs a digest of Hash. It refuses another size with TPM_RC_SIZE.
	SignPrehashed(digest []byte) ([]byte, error)
}

// An EdDSAPublicKey is a public key of EdDSA. What is verified is checked without the
// cofactor, and R, S and the key must be in the one encoding that they have (errata 1 to
// version 185, section on EdDSA).
type EdDSAPublicKey interface {
	// Verify reports whether a signature is that of a message.
	Verify(message, signature []byte) bool
	// VerifyPrehashed reports whether a signature is that of a digest of Hash.
	VerifyPrehashed(digest, signature []byte) bool
}

// An EdDSAVerification verifies a signature of a message that comes in pieces. Its state
// can be marshaled in the middle of it.
type EdDSAVerification interface {
	io.Writer
	// Verify reports whether a signature, which must begin with the hint, is that of what
	// was written.
	Verify(signature []byte) bool
	encoding.BinaryMarshaler
	encoding.BinaryUnmarshaler
}

// montgomeryCurves are in ascending order of ID.
var montgomeryCurves = [...]MontgomeryCurve{
	{
		ID: wire.CurveCurve25519, Hash: wire.AlgSHA512, signing: Curve25519Key, exchange: Curve25519Key,
		newKey:       func(private []byte) (EdDSAKey, error) { return NewEd25519Key(private) },
		newPublic:    func(public []byte) (EdDSAPublicKey, error) { return newEd25519Public(public) },
		verification: func(public, hint []byte) (EdDSAVerification, error) { return NewEd25519Verification(public, hint) },
		restored:     func() EdDSAVerification { return new(Ed25519Verification) },
		checkSigning: CheckEd25519, checkExchange: CheckX25519, public: X25519Public, agree: X25519,
	},
	{
		ID: wire.CurveCurve448, Hash: wire.AlgSHAKE256_512, signing: Ed448Key, exchange: X448Key,
		newKey:       func(private []byte) (EdDSAKey, error) { return NewEd448Key(private) },
		newPublic:    func(public []byte) (EdDSAPublicKey, error) { return NewEd448PublicKey(public) },
		verification: func(public, hint []byte) (EdDSAVerification, error) { return NewEd448Verification(public, hint) },
		restored:     func() EdDSAVerification { return new(Ed448Verification) },
		checkSigning: CheckEd448, checkExchange: CheckX448, public: X448Public, agree: X448,
	},
}

// MontgomeryCurveOf gives a curve of RFC 7748, nil for another curve.
func MontgomeryCurveOf(id wire.Curve) *MontgomeryCurve {
	for i := range montgomeryCurves {
		if m := &montgomeryCurves[i]; m.ID == id {
			return m
		}
	}
	return nil
}

// ExchangeSize is the size in bytes of private and public keys that agree on secrets.
func (m *MontgomeryCurve) ExchangeSize() int { return m.exchange }

// SigningSize is the size in bytes of private and public keys that sign, and of a hint.
func (m *MontgomeryCurve) SigningSize() int { return m.signing }

// SignatureSize is the size in bytes of an EdDSA signature: R and S.
func (m *MontgomeryCurve) SignatureSize() int { return 2 * m.signing }

// NewEdDSAKey makes a key from its private bytes, the seed of RFC 8032. It refuses another
// size than SigningSize with TPM_RC_SIZE.
func (m *MontgomeryCurve) NewEdDSAKey(private []byte) (EdDSAKey, error) { return m.newKey(private) }

// NewEdDSAPublicKey makes a key of its encoding, see CheckEdDSA.
func (m *MontgomeryCurve) NewEdDSAPublicKey(public []byte) (EdDSAPublicKey, error) {
	return m.newPublic(public)
}

// EdDSAPublic gives the public key that belongs to a private one that signs.
func (m *MontgomeryCurve) EdDSAPublic(private []byte) ([]byte, error) {
	k, err := m.newKey(private)
	if err != nil {
		return nil, err
	}
	return k.Public(), nil
}

// CheckEdDSA refuses what is no public key to verify with, with TPM_RC_ECC_POINT: another
// size than SigningSize, no point of the curve, and a second encoding of a point.
func (m *MontgomeryCurve) CheckEdDSA(public []byte) error { return m.checkSigning(public) }

// NewEdDSAVerification starts to verify with a public key and a hint, the first half of the
// signature. It refuses another size of the hint than SigningSize with TPM_RC_SIZE, and keys
// like CheckEdDSA.
func (m *MontgomeryCurve) NewEdDSAVerification(public, hint []byte) (EdDSAVerification, error) {
	return m.verification(public, hint)
}

// RestoreEdDSAVerification gives the verification with a state of its MarshalBinary. What
// is none is refused with a *HashStateError.
func (m *MontgomeryCurve) RestoreEdDSAVerification(state []byte) (EdDSAVerification, error) {
	v := m.restored()
	return v, v.UnmarshalBinary(state)
}

// ExchangePublic gives the public key that belongs to a private one that agrees on secrets.
// It refuses another size than ExchangeSize with TPM_RC_SIZE.
func (m *MontgomeryCurve) ExchangePublic(private []byte) ([]byte, error) { return m.public(private) }

// CheckExchange refuses what nobody can agree with as a public key with TPM_RC_ECC_POINT:
// another size than ExchangeSize, and a point of low order. A second encoding of a point is
// taken (RFC 7748, section 5).
func (m *MontgomeryCurve) CheckExchange(public []byte) error { return m.checkExchange(public) }

// Exchange gives the secret of ExchangeSize bytes that the owners of two keys share. It
// refuses public keys like CheckExchange, and another size of the private key with
// TPM_RC_SIZE.
func (m *MontgomeryCurve) Exchange(private, public []byte) ([]byte, error) {
	return m.agree(private, public)
}
