package crypt

import (
	"bytes"
	"crypto/ecdh"
	"crypto/sha512"
	"hash"
	"slices"

	"filippo.io/edwards25519"

	"github.com/swtpmd/swtpmd/emulator/crypt/internal/edwards"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Keys of TPM_ECC_CURVE_25519: EdDSA (RFC 8032) and X25519 (RFC 7748). Scalars and
// coordinates are strings of 32 bytes, little-endian (Part 1 of version 185, section on
// curve 25519); points have no y.

// Sizes in bytes of keys of curve 25519 and of EdDSA signatures of theirs. The hint of
// a signature is its first half, R.
const (
	Curve25519Key    = 32
	Ed25519Signature = 64
	Ed25519Hint      = 32
)

// Ed25519Key is a private key that is ready to sign: its public key is computed, which takes
// as long as a signature. It is not changed once made and may be shared.
type Ed25519Key struct {
	public, prefix [Curve25519Key]byte
	scalar         edwards25519.Scalar
}

// NewEd25519Key makes a key from its private bytes, the seed of RFC 8032, section 5.1.5.
// Another size than 32 is refused with TPM_RC_SIZE.
func NewEd25519Key(private []byte) (*Ed25519Key, error) {
	if len(private) != Curve25519Key {
		return nil, refuse("Ed25519", wire.RCSize, "a private key of %d bytes where it has %d", len(private), Curve25519Key)
	}
	h := sha512.Sum512(private)
	k := new(Ed25519Key)
	if _, err := k.scalar.SetBytesWithClamping(h[:Curve25519Key]); err != nil {
		panic("internal error: half a digest is no scalar")
	}
	copy(k.prefix[:], h[Curve25519Key:])
	k.public = ed25519Base(&k.scalar)
	return k, nil
}

// ed25519Base is the encoding of the base point times a scalar.
func ed25519Base(s *edwards25519.Scalar) [Curve25519Key]byte {
	if edwards.Available {
		return edwards.MultiplyBase((*[Curve25519Key]byte)(s.Bytes()))
	}
	return [Curve25519Key]byte(new(edwards25519.Point).ScalarBaseMult(s).Bytes())
}

// Public is the public key. It must not be changed.
func (k *Ed25519Key) Public() []byte { return k.public[:] }

// Sign signs a message. It needs the whole of it: the number that makes the signature is a
// digest of it.
func (k *Ed25519Key) Sign(message []byte) []byte { return k.sign("", message) }

// SignPrehashed signs the SHA-512 digest of a message with Ed25519ph and an empty context. It
// refuses another size of the digest with TPM_RC_SIZE.
func (k *Ed25519Key) SignPrehashed(digest []byte) ([]byte, error) {
	if len(digest) != sha512.Size {
		return nil, refuse("Ed25519ph", wire.RCSize, "a digest of %d bytes where SHA512 has %d", len(digest), sha512.Size)
	}
	return k.sign(ed25519Domain, digest), nil
}

// sign is RFC 8032, section 5.1.6.
func (k *Ed25519Key) sign(domain string, message []byte) []byte {
	digest := sha512.New()
	r := ed25519Scalar(digest, domain, k.prefix[:], nil, message)
	hint := ed25519Base(r)
	digest.Reset()
	h := ed25519Scalar(digest, domain, hint[:], k.public[:], message)
	signature := make([]byte, 0, Ed25519Signature)
	signature = append(signature, hint[:]...)
	return append(signature, h.MultiplyAdd(h, &k.scalar, r).Bytes()...)
}

// ed25519Scalar is the digest of what it is given, as a scalar.
func ed25519Scalar(digest hash.Hash, domain string, first, second, message []byte) *edwards25519.Scalar {
	var sum [sha512.Size]byte
	copy(sum[:], domain)
	digest.Write(sum[:len(domain)])
	digest.Write(first)
	digest.Write(second)
	digest.Write(message)
	return uniformScalar(digest.Sum(sum[:0]))
}

// uniformScalar is a SHA-512 digest modulo the order of the base point.
func uniformScalar(digest []byte) *edwards25519.Scalar {
	s, err := edwards25519.NewScalar().SetUniformBytes(digest)
	if err != nil {
		panic("internal error: a digest is no scalar")
	}
	return s
}

// ed25519Domain is dom2 of RFC 8032, section 2, for Ed25519ph with an empty context.
const ed25519Domain = "SigEd25519 no Ed25519 collisions\x01\x00"

// ed25519Public is a public key that is ready to verify: its point is decoded.
type ed25519Public struct {
	encoded []byte
	minus   *edwards25519.Point // the point, negated
}

func newEd25519Public(public []byte) (*ed25519Public, error) {
	p, err := new(edwards25519.Point).SetBytes(public)
	if err != nil || !bytes.Equal(encodeDecoded(p), public) {
		return nil, refuse("Ed25519", wire.RCECCPoint, "the public key is not the encoding of a point")
	}
	return &ed25519Public{slices.Clone(public), p.Negate(p)}, nil
}

// encodeDecoded is the encoding of a point that was decoded, whose z is 1.
func encodeDecoded(p *edwards25519.Point) []byte {
	x, y, _, _ := p.ExtendedCoordinates()
	b := y.Bytes()
	b[Curve25519Key-1] |= byte(x.IsNegative() << 7)
	return b
}

// Verify reports whether a signature is that of a message. It is checked without the
// cofactor, and R and S must be in the one encoding that they have, as the key is (errata 1
// to version 185, section on EdDSA).
func (k *ed25519Public) Verify(message, signature []byte) bool {
	return k.verify("", message, signature)
}

// VerifyPrehashed reports whether a signature is that of a digest.
func (k *ed25519Public) VerifyPrehashed(digest, signature []byte) bool {
	return len(digest) == sha512.Size && k.verify(ed25519Domain, digest, signature)
}

func (k *ed25519Public) verify(domain string, message, signature []byte) bool {
	if len(signature) != Ed25519Signature {
		return false
	}
	hint := signature[:Ed25519Hint]
	return k.matches(hint, signature[Ed25519Hint:], ed25519Scalar(sha512.New(), domain, hint, k.encoded, message))
}

// matches reports whether s and a hint are a signature of what h is the digest of.
func (k *ed25519Public) matches(hint, s []byte, h *edwards25519.Scalar) bool {
	scalar, err := edwards25519.NewScalar().SetCanonicalBytes(s)
	if err != nil {
		return false
	}
	r := new(edwards25519.Point).VarTimeDoubleScalarBaseMult(h, k.minus, scalar)
	return bytes.Equal(r.Bytes(), hint)
}

// CheckEd25519 refuses what is no public key of Ed25519 with TPM_RC_ECC_POINT: another
// size than 32, no point of the curve, and a second encoding of a point.
func CheckEd25519(public []byte) error {
	_, err := newEd25519Public(public)
	return err
}

// Ed25519Verification verifies a signature of a message that comes in pieces, for which it
// needs the first half of the signature in advance. Writing never fails. The state can be
// marshaled in the middle of a message, and the zero value can only be unmarshaled to.
type Ed25519Verification struct {
	key    *ed25519Public
	hint   []byte
	digest hash.Hash
}

// NewEd25519Verification starts to verify with a public key and a hint, the first half of
// the signature. It refuses a hint that has not 32 bytes with TPM_RC_SIZE, and keys like
// [CheckEd25519].
func NewEd25519Verification(public, hint []byte) (*Ed25519Verification, error) {
	if len(hint) != Ed25519Hint {
		return nil, refuse("Ed25519 verification", wire.RCSize, "a hint of %d bytes where it has %d", len(hint), Ed25519Hint)
	}
	k, err := newEd25519Public(public)
	if err != nil {
		return nil, err
	}
	v := &Ed25519Verification{key: k, hint: slices.Clone(hint), digest: sha512.New()}
	v.digest.Write(hint)
	v.digest.Write(public)
	return v, nil
}

// Write takes a part of the message.
func (v *Ed25519Verification) Write(p []byte) (int, error) { return v.digest.Write(p) }

// Verify reports whether a signature, which must begin with the hint, is that of what was
// written.
func (v *Ed25519Verification) Verify(signature []byte) bool {
	if len(signature) != Ed25519Signature || !bytes.Equal(signature[:Ed25519Hint], v.hint) {
		return false
	}
	return v.key.matches(v.hint, signature[Ed25519Hint:], uniformScalar(v.digest.Sum(nil)))
}

// MarshalBinary gives the state: the public key, the hint, the state of the hash.
func (v *Ed25519Verification) MarshalBinary() ([]byte, error) {
	return slices.Concat(v.key.encoded, v.hint, MarshalHash(v.digest)), nil
}

// UnmarshalBinary restores a state of MarshalBinary. What is none is refused with a
// *HashStateError and changes nothing.
func (v *Ed25519Verification) UnmarshalBinary(state []byte) error {
	const keys = Curve25519Key + Ed25519Hint
	if len(state) < keys {
		return &HashStateError{Alg: wire.AlgEdDSA, Err: refuse("Ed25519 verification", wire.RCSize, "%d bytes hold no key and hint", len(state))}
	}
	fresh, err := NewEd25519Verification(state[:Curve25519Key], state[Curve25519Key:keys])
	if err != nil {
		return &HashStateError{Alg: wire.AlgEdDSA, Err: err}
	}
	if fresh.digest, err = UnmarshalHash(wire.AlgSHA512, state[keys:]); err != nil {
		return err
	}
	*v = *fresh
	return nil
}

// X25519Public gives the public key that belongs to a private one. Another size than
// 32 is refused with TPM_RC_SIZE.
func X25519Public(private []byte) ([]byte, error) {
	key, err := x25519Key(private)
	if err != nil {
		return nil, err
	}
	return key.PublicKey().Bytes(), nil
}

func x25519Key(private []byte) (*ecdh.PrivateKey, error) {
	key, err := ecdh.X25519().NewPrivateKey(private)
	if err != nil {
		return nil, refuse("X25519", wire.RCSize, "a private key of %d bytes where it has %d", len(private), Curve25519Key)
	}
	return key, nil
}

// CheckX25519 refuses what nobody can agree with as a public key with TPM_RC_ECC_POINT:
// another size than 32, and a point of low order. A second encoding of a point is taken
// (RFC 7748, section 5).
func CheckX25519(public []byte) error {
	any := make([]byte, Curve25519Key) // every private key makes zero of a point of low order
	_, err := X25519(any, public)
	return err
}

// X25519 gives the secret of 32 bytes that the owners of two keys share. It refuses a
// public key of another size or of low order with TPM_RC_ECC_POINT (RFC 7748, section
// 6.1), and another size of the private key with TPM_RC_SIZE.
func X25519(private, public []byte) ([]byte, error) {
	key, err := x25519Key(private)
	if err != nil {
		return nil, err
	}
	peer, err := ecdh.X25519().NewPublicKey(public)
	if err != nil {
		return nil, refuse("X25519", wire.RCECCPoint, "a public key of %d bytes where it has %d", len(public), Curve25519Key)
	}
	z, err := key.ECDH(peer)
	if err != nil {
		return nil, refuse("X25519", wire.RCECCPoint, "the public key is of low order")
	}
	return z, nil
}
