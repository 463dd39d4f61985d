package crypt

import (
	"crypto/ecdh"
	"crypto/hkdf"
	"encoding/binary"
	"errors"
	"hash"
	"io"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// DHKEM is the key encapsulation of RFC 9180, section 4.1, with keys of one curve and
// HKDF with one hash (Part 1 of version 185, section on DHKEM). It is not changed once
// made and may be shared.
type DHKEM struct {
	curve  wire.Curve
	hash   wire.AlgID
	dh     dhCurve
	id     uint16 // of RFC 9180, table 2
	shared int    // size in bytes of a shared secret
}

var dhkems = [...]DHKEM{
	{wire.CurveNISTP256, wire.AlgSHA256, libraryDH{ecdh.P256()}, 0x0010, 32},
	{wire.CurveNISTP384, wire.AlgSHA384, libraryDH{ecdh.P384()}, 0x0011, 48},
	{wire.CurveNISTP521, wire.AlgSHA512, libraryDH{ecdh.P521()}, 0x0012, 64},
	{wire.CurveCurve25519, wire.AlgSHA256, libraryDH{ecdh.X25519()}, 0x0020, 32},
	{wire.CurveCurve448, wire.AlgSHA512, x448DH{}, 0x0021, 64},
}

// A dhCurve makes keys of their forms in RFC 9180.
type dhCurve interface {
	newPrivate(b []byte) (dhPrivate, error)
	newPublic(b []byte) (dhPublic, error)
}

// dhPublic is a public key. Bytes gives its form in RFC 9180.
type dhPublic interface{ Bytes() []byte }

// A dhPrivate is a private key, which agrees on secrets with public keys of its curve.
type dhPrivate interface {
	publicKey() dhPublic
	agree(peer dhPublic) ([]byte, error)
}

// libraryDH is a curve of the standard library.
type libraryDH struct{ ecdh.Curve }

func (c libraryDH) newPrivate(b []byte) (dhPrivate, error) {
	k, err := c.NewPrivateKey(b)
	return libraryPrivate{k}, err
}

func (c libraryDH) newPublic(b []byte) (dhPublic, error) { return c.NewPublicKey(b) }

type libraryPrivate struct{ *ecdh.PrivateKey }

func (k libraryPrivate) publicKey() dhPublic { return k.PublicKey() }

func (k libraryPrivate) agree(peer dhPublic) ([]byte, error) {
	return k.ECDH(peer.(*ecdh.PublicKey))
}

var errX448Size = errors.New("a public key of another size")

// x448DH is curve 448.
type x448DH struct{}

func (x448DH) newPrivate(b []byte) (dhPrivate, error) {
	public, err := X448Public(b)
	return x448Private{b, public}, err
}

func (x448DH) newPublic(b []byte) (dhPublic, error) {
	if len(b) != X448Key {
		return nil, errX448Size
	}
	return x448Point(b), nil
}

type x448Point []byte

func (p x448Point) Bytes() []byte { return p }

type x448Private struct {
	private []byte
	public  x448Point
}

func (k x448Private) publicKey() dhPublic                 { return k.public }
func (k x448Private) agree(peer dhPublic) ([]byte, error) { return X448(k.private, peer.Bytes()) }

// NewDHKEM gives the one that a curve and the hash of HKDF have. A pair that has no
// number in RFC 9180 is refused with TPM_RC_KDF: the number goes into what is derived.
func NewDHKEM(curve wire.Curve, hash wire.AlgID) (*DHKEM, error) {
	for i := range dhkems {
		if k := &dhkems[i]; k.curve == curve && k.hash == hash {
			return k, nil
		}
	}
	return nil, refuse("DHKEM", wire.RCKDF, "RFC 9180 has none with curve %v and %v", curve, hash)
}

// SharedSize is the size in bytes of a shared secret.
func (k *DHKEM) SharedSize() int { return k.shared }

// CiphertextSize is the size in bytes of a ciphertext.
func (k *DHKEM) CiphertextSize() int {
	if m := MontgomeryCurveOf(k.curve); m != nil {
		return m.ExchangeSize()
	}
	return 1 + 2*FieldSize(k.curve)
}

// public makes a key of coordinates as a TPMS_ECC_POINT has them.
func (k *DHKEM) public(x, y []byte) (dhPublic, error) {
	encoded := x
	if c := CurveOf(k.curve); c != nil {
		p, err := c.DecodePoint(x, y)
		if err != nil {
			return nil, err
		}
		x, y = c.EncodePoint(p)
		encoded = append(append([]byte{4}, x...), y...)
	}
	return k.decode(encoded)
}

// decode makes a key of its form in RFC 9180.
func (k *DHKEM) decode(encoded []byte) (dhPublic, error) {
	public, err := k.dh.newPublic(encoded)
	if err != nil {
		return nil, refuse("DHKEM", wire.RCECCPoint, "%d bytes are no point of curve %v", len(encoded), k.curve)
	}
	return public, nil
}

// Encapsulate makes a shared secret and the ciphertext from which the owner of a public
// key finds it: an ephemeral public key in the form of RFC 9180, 4 | x | y or, of curve
// 25519, x. It draws the ephemeral private key from gen like any key of the curve: of
// curve 25519, 32 bytes. x and y are those of a TPMS_ECC_POINT. It refuses what is no
// point of the curve with TPM_RC_ECC_POINT; else it fails only with gen.
func (k *DHKEM) Encapsulate(gen io.Reader, x, y []byte) (shared, ciphertext []byte, err error) {
	peer, err := k.public(x, y)
	if err != nil {
		return nil, nil, err
	}
	private := make([]byte, FieldSize(k.curve))
	if c := CurveOf(k.curve); c != nil {
		d, err := c.GenerateScalar(gen)
		if err != nil {
			return nil, nil, err
		}
		private = c.EncodeScalar(d)
	} else if _, err := io.ReadFull(gen, private); err != nil {
		return nil, nil, err
	}
	return k.encapsulate(private, peer)
}

func (k *DHKEM) encapsulate(private []byte, peer dhPublic) (shared, ciphertext []byte, err error) {
	ephemeral, err := k.dh.newPrivate(private)
	if err != nil {
		return nil, nil, refuse("DHKEM", wire.RCValue, "%d bytes are no private key of curve %v", len(private), k.curve)
	}
	ciphertext = ephemeral.publicKey().Bytes()
	shared, err = k.agree(ephemeral, peer, ciphertext, peer.Bytes())
	return shared, ciphertext, err
}

// Decapsulate finds the shared secret of a ciphertext with a private key as the sensitive
// area has it: big-endian, of curves 25519 and 448 little-endian. It refuses a ciphertext that is
// no public key in the form of RFC 9180, or one of low order, with TPM_RC_ECC_POINT, and
// what is no private key with TPM_RC_VALUE.
func (k *DHKEM) Decapsulate(private, ciphertext []byte) (shared []byte, err error) {
	key, err := k.dh.newPrivate(k.scalar(private))
	if err != nil {
		return nil, refuse("DHKEM", wire.RCValue, "%d bytes are no private key of curve %v", len(private), k.curve)
	}
	peer, err := k.decode(ciphertext)
	if err != nil {
		return nil, err
	}
	return k.agree(key, peer, ciphertext, key.publicKey().Bytes())
}

// scalar gives a private key with the zeros in front that a sensitive area may lack.
func (k *DHKEM) scalar(private []byte) []byte {
	c := CurveOf(k.curve)
	if c == nil || len(private) >= c.OrderSize() {
		return private
	}
	padded := make([]byte, c.OrderSize())
	copy(padded[len(padded)-len(private):], private)
	return padded
}

// agree is ExtractAndExpand of RFC 9180, section 4.1, for the secret of two keys.
func (k *DHKEM) agree(private dhPrivate, peer dhPublic, ciphertext, recipient []byte) ([]byte, error) {
	z, err := private.agree(peer)
	if err != nil {
		return nil, refuse("DHKEM", wire.RCECCPoint, "the public key is of low order")
	}
	newHash := func() hash.Hash { return NewHash(k.hash) }
	suite := binary.BigEndian.AppendUint16([]byte("KEM"), k.id)
	secret := append(append([]byte("HPKE-v1"), suite...), "eae_prk"...)
	prk, err := hkdf.Extract(newHash, append(secret, z...), nil)
	if err != nil {
		return nil, err
	}
	info := binary.BigEndian.AppendUint16(nil, uint16(k.shared))
	info = append(append(append(info, "HPKE-v1"...), suite...), "shared_secret"...)
	info = append(append(info, ciphertext...), recipient...)
	return hkdf.Expand(newHash, prk, string(info), k.shared)
}
