package wire

import (
	"crypto/rsa"
	"math/big"

	"github.com/google/go-tpm/tpm2"
)

// Public is a TPMT_PUBLIC.
type Public struct {
	Raw           []byte
	Kind, NameAlg tpm2.TPMAlgID
	Attributes    uint32
	Policy        []byte
	// symmetric is the cipher of a parent or of a SYMCIPHER key, with its size
	// in bits and its mode.
	symmetric, Mode tpm2.TPMAlgID
	symmetricBits   int
	// Scheme of an asymmetric key or a keyed hash, with its hash algorithm, which a
	// HashML-DSA key has without a scheme.
	Scheme, SchemeHash tpm2.TPMAlgID
	// Bits is the size of an RSA key, Curve the curve of an ECC key.
	Bits  int
	Curve tpm2.TPMECCCurve
	// Set is the parameter set of an ML-KEM, ML-DSA or HashML-DSA key, and ExternalMu the
	// allowExternalMu of an ML-DSA key.
	Set        uint16
	ExternalMu bool
	// UniqueAt is the offset of the unique field in Raw. Unique has its parts: one,
	// or two for ECC.
	UniqueAt int
	Unique   [][]byte
}

// ParsePublic reads a TPMT_PUBLIC; ok is false if b is not exactly one.
func ParsePublic(b []byte) (p Public, ok bool) {
	c := &Cursor{Rest: b}
	p = Public{Raw: b, Kind: c.Alg(), NameAlg: c.Alg(), Attributes: c.U32(), Policy: c.Sized()}
	switch p.Kind {
	case tpm2.TPMAlgKeyedHash:
		p.Scheme = c.Alg()
		if p.Scheme != tpm2.TPMAlgNull {
			p.SchemeHash = c.Alg()
		}
		if p.Scheme == tpm2.TPMAlgXOR {
			c.Alg() // the KDF
		}
	case tpm2.TPMAlgSymCipher:
		p.Cipher(c)
	case tpm2.TPMAlgRSA:
		p.Cipher(c)
		p.AsymmetricScheme(c)
		p.Bits = int(c.U16())
		c.U32() // exponent
	case tpm2.TPMAlgECC:
		p.Cipher(c)
		p.AsymmetricScheme(c)
		p.Curve = tpm2.TPMECCCurve(c.U16())
		if c.Alg() != tpm2.TPMAlgNull { // the KDF
			c.Alg()
		}
	case AlgMLKEM:
		p.Cipher(c)
		p.Set = c.U16()
	case AlgMLDSA:
		p.Set, p.ExternalMu = c.U16(), c.U8() != 0
	case AlgHashMLDSA:
		p.Set, p.SchemeHash = c.U16(), c.Alg()
	default:
		return p, false
	}
	p.UniqueAt = len(b) - len(c.Rest)
	p.Unique = [][]byte{c.Sized()}
	if p.Kind == tpm2.TPMAlgECC {
		p.Unique = append(p.Unique, c.Sized())
	}
	return p, c.Done()
}

// Cipher reads the symmetric cipher of a key.
func (p *Public) Cipher(c *Cursor) {
	if p.symmetric = c.Alg(); p.symmetric != tpm2.TPMAlgNull {
		p.symmetricBits, p.Mode = int(c.U16()), c.Alg()
	}
}

// AsymmetricScheme reads the scheme of an RSA or ECC key.
func (p *Public) AsymmetricScheme(c *Cursor) {
	p.Scheme = c.Alg()
	if p.Scheme == tpm2.TPMAlgNull || p.Scheme == tpm2.TPMAlgRSAES || hashless(p.Scheme) {
		return
	}
	p.SchemeHash = c.Alg()
	if p.Scheme == tpm2.TPMAlgECDAA {
		c.U16() // count
	}
}

// Name returns the Name of the object (TPM 2.0 Library Part 1, section "Names").
func (p *Public) Name() []byte { return NameOf(p.NameAlg, p.Raw) }

// Point returns the public point of an ECC key, uncompressed, nil if its coordinates
// are too long.
func (p *Public) Point() []byte {
	if len(p.Unique) != 2 {
		return nil
	}
	size := curveSizes[p.Curve]
	if len(p.Unique[0]) > size || len(p.Unique[1]) > size {
		return nil
	}
	point := make([]byte, 1+2*size)
	point[0] = 4
	copy(point[1+size-len(p.Unique[0]):], p.Unique[0])
	copy(point[1+2*size-len(p.Unique[1]):], p.Unique[1])
	return point
}

// RSAKey returns the public key of an RSA object with the default exponent.
func (p *Public) RSAKey() *rsa.PublicKey {
	return &rsa.PublicKey{N: new(big.Int).SetBytes(p.Unique[0]), E: RSAExponent}
}

// Exponent returns the exponent of an RSA key as the public area has it.
func (p *Public) Exponent() []byte { return p.Raw[p.UniqueAt-4 : p.UniqueAt] }

// RSAExponent is the public exponent that TPMs write as 0.
const RSAExponent = 65537

// NameOf returns the Name of an entity whose public area has these parts, nil for an
// algorithm that [Hashes] lacks.
func NameOf(alg tpm2.TPMAlgID, parts ...[]byte) []byte {
	hash, ok := Hashes[alg]
	if !ok {
		return nil
	}
	h := hash.New()
	for _, part := range parts {
		h.Write(part)
	}
	return h.Sum(U16(uint16(alg)))
}

// curveSizes are the sizes of coordinates in bytes.
var curveSizes = map[tpm2.TPMECCCurve]int{
	tpm2.TPMECCNistP192: 24, tpm2.TPMECCNistP224: 28, tpm2.TPMECCNistP256: 32, tpm2.TPMECCNistP384: 48, tpm2.TPMECCNistP521: 66,
	tpm2.TPMECCBNP256: 32, tpm2.TPMECCBNP638: 80, tpm2.TPMECCSM2P256: 32,
}
