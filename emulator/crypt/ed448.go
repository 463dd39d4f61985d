package crypt

import (
	"bytes"
	"crypto/sha3"
	"crypto/subtle"
	"slices"

	"github.com/cloudflare/circl/dh/x448"
	"github.com/cloudflare/circl/ecc/goldilocks"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Keys of TPM_ECC_CURVE_448: EdDSA (RFC 8032, section 5.2) and X448 (RFC 7748). Scalars and
// coordinates are little-endian strings (Part 1 of version 185, section 44.5); points have
// no y. A key of Ed448 is a byte longer than one of X448: its last byte has the sign of the
// other coordinate.

// Sizes in bytes of keys of curve 448 and of EdDSA signatures of theirs. The hint of a
// signature is its first half, R.
const (
	Ed448Key       = 57
	Ed448Signature = 114
	Ed448Hint      = 57
	X448Key        = x448.Size
)

// Phflag of RFC 8032, section 5.2.
const (
	ed448Pure      = 0
	ed448Prehashed = 1
)

// ed448Prehash is the size in bytes of what Ed448ph hashes a message to.
const ed448Prehash = 64

// ed448Digest starts a digest of 114 bytes with dom4 of RFC 8032, section 2, with an empty
// context.
func ed448Digest(flag byte) *sha3.SHAKE {
	x := sha3.NewSHAKE256()
	x.Write([]byte("SigEd448"))
	x.Write([]byte{flag, 0})
	return x
}

// ed448Scalar is what was written as a little-endian number, reduced by the order.
func ed448Scalar(x *sha3.SHAKE) (s goldilocks.Scalar) {
	s.FromBytes(sumSHAKE(x, nil, 2*Ed448Key))
	return s
}

// An Ed448SigningKey is a private key that is ready to sign: its public key is computed, which
// takes as long as a signature. It is not changed once made and may be shared.
type Ed448SigningKey struct {
	scalar goldilocks.Scalar
	prefix [Ed448Key]byte
	public [Ed448Key]byte
}

// NewEd448Key makes a key from its private bytes, the seed of RFC 8032, section 5.2.5. Another
// size than 57 is refused with TPM_RC_SIZE.
func NewEd448Key(private []byte) (*Ed448SigningKey, error) {
	if len(private) != Ed448Key {
		return nil, refuse("Ed448", wire.RCSize, "a private key of %d bytes where it has %d", len(private), Ed448Key)
	}
	h := sha3.SumSHAKE256(private, 2*Ed448Key)
	h[0] &= 0xFC
	h[Ed448Key-2] |= 0x80
	h[Ed448Key-1] = 0
	k := &Ed448SigningKey{prefix: [Ed448Key]byte(h[Ed448Key:])}
	k.scalar.FromBytes(h[:Ed448Key])
	copy(k.public[:], ed448Bytes(goldilocks.Curve{}.ScalarBaseMult(&k.scalar)))
	return k, nil
}

// Public is the public key. It must not be changed.
func (k *Ed448SigningKey) Public() []byte { return k.public[:] }

// Sign signs a message. It needs the whole of it: the number that makes the signature is a
// digest of it.
func (k *Ed448SigningKey) Sign(message []byte) []byte { return k.sign(ed448Pure, message) }

// SignPrehashed signs the SHAKE256 digest of a message, 64 bytes, with Ed448ph and an empty
// context. It refuses another size of the digest with TPM_RC_SIZE.
func (k *Ed448SigningKey) SignPrehashed(digest []byte) ([]byte, error) {
	if len(digest) != ed448Prehash {
		return nil, refuse("Ed448ph", wire.RCSize, "a digest of %d bytes where it has %d", len(digest), ed448Prehash)
	}
	return k.sign(ed448Prehashed, digest), nil
}

func (k *Ed448SigningKey) sign(flag byte, message []byte) []byte {
	x := ed448Digest(flag)
	x.Write(k.prefix[:])
	x.Write(message)
	r := ed448Scalar(x)
	signature := make([]byte, Ed448Signature)
	copy(signature, ed448Bytes(goldilocks.Curve{}.ScalarBaseMult(&r)))

	x = ed448Digest(flag)
	x.Write(signature[:Ed448Hint])
	x.Write(k.public[:])
	x.Write(message)
	s := ed448Scalar(x)
	s.Mul(&s, &k.scalar)
	s.Add(&s, &r)
	copy(signature[Ed448Hint:], s[:])
	return signature
}

// ed448Bytes is the encoding of a point, which it changes to another form of the same point.
func ed448Bytes(p *goldilocks.Point) []byte {
	b := make([]byte, Ed448Key)
	if err := p.ToBytes(b); err != nil {
		panic("internal error: " + err.Error()) // only for less room
	}
	return b
}

// CheckEd448 refuses what is no public key of Ed448 with TPM_RC_ECC_POINT: another size
// than 57, no point of the curve, and a second encoding of a point.
func CheckEd448(public []byte) error {
	_, err := ed448Point(public)
	return err
}

func ed448Point(public []byte) (*goldilocks.Point, error) {
	if len(public) == Ed448Key {
		if p, err := goldilocks.FromBytes(public); err == nil {
			return p, nil
		}
	}
	return nil, refuse("Ed448", wire.RCECCPoint, "the public key is not the encoding of a point")
}

// Ed448PublicKey is a public key that is ready to verify. It is not changed once made and
// may be shared.
type Ed448PublicKey struct {
	public []byte
	minus  goldilocks.Point // the public key, negated
	// torsion are the multiples by 0 to 3 of the part of minus whose order divides the
	// cofactor. Package goldilocks multiplies without it.
	torsion [4]goldilocks.Point
}

// NewEd448PublicKey makes a key of its encoding, see [CheckEd448].
func NewEd448PublicKey(public []byte) (*Ed448PublicKey, error) {
	p, err := ed448Point(public)
	if err != nil {
		return nil, err
	}
	k := &Ed448PublicKey{public: slices.Clone(public), minus: *p}
	var curve goldilocks.Curve
	part := curve.ScalarMult(&goldilocks.Scalar{1}, p)
	k.minus.Neg()
	part.Add(&k.minus)
	k.torsion[0] = *curve.Identity()
	for i := range k.torsion[1:] {
		k.torsion[i+1] = *curve.Add(&k.torsion[i], part)
	}
	return k, nil
}

// Verify reports whether a signature of a message is by the owner of the key. It is
// checked without the cofactor, and R, S and the key must be in the one encoding that they
// have (errata 1 to version 185, section on EdDSA).
func (k *Ed448PublicKey) Verify(message, signature []byte) bool {
	return k.verify(ed448Pure, message, signature)
}

// VerifyPrehashed is Verify for what [Ed448SigningKey.SignPrehashed] signs.
func (k *Ed448PublicKey) VerifyPrehashed(digest, signature []byte) bool {
	return len(digest) == ed448Prehash && k.verify(ed448Prehashed, digest, signature)
}

func (k *Ed448PublicKey) verify(flag byte, message, signature []byte) bool {
	if len(signature) != Ed448Signature {
		return false
	}
	x := ed448Digest(flag)
	x.Write(signature[:Ed448Hint])
	x.Write(k.public)
	x.Write(message)
	return k.holds(x, signature)
}

// holds reports whether a signature is that of what a digest has: dom4, R, the public key
// and the message.
func (k *Ed448PublicKey) holds(x *sha3.SHAKE, signature []byte) bool {
	s := goldilocks.Scalar(signature[Ed448Hint:])
	reduced := s
	reduced.Red()
	if reduced != s || signature[Ed448Signature-1] != 0 {
		return false
	}
	c := ed448Scalar(x)
	minus := k.minus
	r := goldilocks.Curve{}.CombinedMult(&s, &c, &minus)
	r.Add(&k.torsion[c[0]&3])
	return bytes.Equal(ed448Bytes(r), signature[:Ed448Hint])
}

// Ed448Verification verifies a signature of a message that comes in pieces, for which it
// needs the first half of the signature in advance. Writing never fails. The state can be
// marshaled in the middle of a message, and the zero value can only be unmarshaled to.
type Ed448Verification struct {
	public, hint []byte
	digest       sha3.SHAKE
}

// NewEd448Verification starts to verify with a public key and a hint, the first half of
// the signature. It refuses a hint that has not 57 bytes with TPM_RC_SIZE, and keys like
// [CheckEd448].
func NewEd448Verification(public, hint []byte) (*Ed448Verification, error) {
	if len(hint) != Ed448Hint {
		return nil, refuse("Ed448 verification", wire.RCSize, "a hint of %d bytes where it has %d", len(hint), Ed448Hint)
	}
	if err := CheckEd448(public); err != nil {
		return nil, err
	}
	v := &Ed448Verification{public: slices.Clone(public), hint: slices.Clone(hint), digest: *ed448Digest(ed448Pure)}
	v.digest.Write(hint)
	v.digest.Write(public)
	return v, nil
}

// Write takes a part of the message.
func (v *Ed448Verification) Write(p []byte) (int, error) { return v.digest.Write(p) }

// Verify reports whether a signature, which must begin with the hint, is that of what was
// written.
func (v *Ed448Verification) Verify(signature []byte) bool {
	if len(signature) != Ed448Signature || !bytes.Equal(signature[:Ed448Hint], v.hint) {
		return false
	}
	k, err := NewEd448PublicKey(v.public)
	return err == nil && k.holds(&v.digest, signature)
}

// MarshalBinary gives the state: the public key, the hint, the state of the hash.
func (v *Ed448Verification) MarshalBinary() ([]byte, error) {
	digest, err := v.digest.MarshalBinary()
	return slices.Concat(v.public, v.hint, digest), err
}

// UnmarshalBinary restores a state of MarshalBinary. What is none is refused with a
// *HashStateError and changes nothing.
func (v *Ed448Verification) UnmarshalBinary(state []byte) error {
	const keys = Ed448Key + Ed448Hint
	if len(state) < keys {
		return &HashStateError{Alg: wire.AlgEdDSA, Err: refuse("Ed448 verification", wire.RCSize, "%d bytes hold no key and hint", len(state))}
	}
	fresh, err := NewEd448Verification(state[:Ed448Key], state[Ed448Key:keys])
	if err != nil {
		return &HashStateError{Alg: wire.AlgEdDSA, Err: err}
	}
	if err := unmarshalSHAKE(&fresh.digest, state[keys:]); err != nil {
		return &HashStateError{Alg: wire.AlgEdDSA, Err: err}
	}
	*v = *fresh
	return nil
}

// X448Public gives the public key that belongs to a private one. Another size than 56 is
// refused with TPM_RC_SIZE.
func X448Public(private []byte) ([]byte, error) {
	if len(private) != X448Key {
		return nil, refuse("X448", wire.RCSize, "a private key of %d bytes where it has %d", len(private), X448Key)
	}
	var public x448.Key
	secret := x448.Key(private)
	x448.KeyGen(&public, &secret)
	return public[:], nil
}

// CheckX448 refuses what nobody can agree with as a public key with TPM_RC_ECC_POINT:
// another size than 56, and a point of low order. A second encoding of a point is taken
// (RFC 7748, section 5).
func CheckX448(public []byte) error {
	any := make([]byte, X448Key) // every private key makes zero of a point of low order
	_, err := X448(any, public)
	return err
}

// X448 gives the secret of 56 bytes that the owners of two keys share. It refuses a public
// key of another size or of low order with TPM_RC_ECC_POINT (RFC 7748, section 6.2), and
// another size of the private key with TPM_RC_SIZE.
func X448(private, public []byte) ([]byte, error) {
	if len(private) != X448Key {
		return nil, refuse("X448", wire.RCSize, "a private key of %d bytes where it has %d", len(private), X448Key)
	}
	if len(public) != X448Key {
		return nil, refuse("X448", wire.RCECCPoint, "a public key of %d bytes where it has %d", len(public), X448Key)
	}
	var z x448.Key
	secret, peer := x448.Key(private), x448.Key(public)
	x448.Shared(&z, &secret, &peer)
	if subtle.ConstantTimeCompare(z[:], make([]byte, X448Key)) == 1 {
		return nil, refuse("X448", wire.RCECCPoint, "the public key is of low order")
	}
	return z[:], nil
}
