package differential

import (
	"encoding/binary"

	"github.com/google/go-tpm/tpm2"
)

// cursor reads a structure. Once it has run out of bytes it gives zeros, and
// bad stays set.
type cursor struct {
	rest []byte
	bad  bool
}

func (c *cursor) take(n int) []byte {
	if c.bad || n > len(c.rest) {
		c.bad, c.rest = true, nil
		return make([]byte, min(n, 8))
	}
	taken := c.rest[:n:n]
	c.rest = c.rest[n:]
	return taken
}

func (c *cursor) u8() byte           { return c.take(1)[0] }
func (c *cursor) u16() uint16        { return binary.BigEndian.Uint16(c.take(2)) }
func (c *cursor) u32() uint32        { return binary.BigEndian.Uint32(c.take(4)) }
func (c *cursor) u64() uint64        { return binary.BigEndian.Uint64(c.take(8)) }
func (c *cursor) alg() tpm2.TPMAlgID { return tpm2.TPMAlgID(c.u16()) }

// sized reads a TPM2B, without its size.
func (c *cursor) sized() []byte {
	n := int(c.u16())
	if c.bad {
		return nil
	}
	return c.take(n)
}

// done says whether everything was there and nothing is left.
func (c *cursor) done() bool { return !c.bad && len(c.rest) == 0 }

// signature is a TPMT_SIGNATURE.
type signature struct {
	scheme, hash tpm2.TPMAlgID
	// parts are the signature of RSA, r and s of ECC, the digest of an HMAC.
	parts [][]byte
}

func (c *cursor) signature() signature {
	s := signature{scheme: c.alg()}
	if s.scheme == tpm2.TPMAlgNull {
		return s
	}
	s.hash = c.alg()
	switch s.scheme {
	case tpm2.TPMAlgRSASSA, tpm2.TPMAlgRSAPSS:
		s.parts = [][]byte{c.sized()}
	case tpm2.TPMAlgHMAC:
		s.parts = [][]byte{c.take(hashSizes[s.hash])}
	default: // one of those of ECC
		s.parts = [][]byte{c.sized(), c.sized()}
	}
	return s
}

// publicArea is a TPMT_PUBLIC.
type publicArea struct {
	raw           []byte
	kind, nameAlg tpm2.TPMAlgID
	attributes    uint32
	policy        []byte
	// symmetric is the cipher of a parent or of a SYMCIPHER key, with its size
	// in bits and its mode.
	symmetric, mode tpm2.TPMAlgID
	symmetricBits   int
	// scheme of an asymmetric key or a keyed hash, with its hash algorithm.
	scheme, schemeHash tpm2.TPMAlgID
	// bits of an RSA key, curve of an ECC key.
	bits  int
	curve tpm2.TPMECCCurve
	// uniqueAt is where the unique field begins in raw. It has one part, two
	// for ECC.
	uniqueAt int
	unique   [][]byte
}

// parsePublic reads a TPMT_PUBLIC; ok is false if it is none.
func parsePublic(b []byte) (p publicArea, ok bool) {
	c := &cursor{rest: b}
	p = publicArea{raw: b, kind: c.alg(), nameAlg: c.alg(), attributes: c.u32(), policy: c.sized()}
	switch p.kind {
	case tpm2.TPMAlgKeyedHash:
		p.scheme = c.alg()
		if p.scheme != tpm2.TPMAlgNull {
			p.schemeHash = c.alg()
		}
		if p.scheme == tpm2.TPMAlgXOR {
			c.alg() // the KDF
		}
	case tpm2.TPMAlgSymCipher:
		p.cipher(c)
	case tpm2.TPMAlgRSA:
		p.cipher(c)
		p.asymmetricScheme(c)
		p.bits = int(c.u16())
		c.u32() // exponent
	case tpm2.TPMAlgECC:
		p.cipher(c)
		p.asymmetricScheme(c)
		p.curve = tpm2.TPMECCCurve(c.u16())
		if c.alg() != tpm2.TPMAlgNull { // the KDF
			c.alg()
		}
	default:
		return p, false
	}
	p.uniqueAt = len(b) - len(c.rest)
	p.unique = [][]byte{c.sized()}
	if p.kind == tpm2.TPMAlgECC {
		p.unique = append(p.unique, c.sized())
	}
	return p, c.done()
}

func (p *publicArea) cipher(c *cursor) {
	if p.symmetric = c.alg(); p.symmetric != tpm2.TPMAlgNull {
		p.symmetricBits, p.mode = int(c.u16()), c.alg()
	}
}

func (p *publicArea) asymmetricScheme(c *cursor) {
	p.scheme = c.alg()
	if p.scheme == tpm2.TPMAlgNull || p.scheme == tpm2.TPMAlgRSAES {
		return
	}
	p.schemeHash = c.alg()
	if p.scheme == tpm2.TPMAlgECDAA {
		c.u16() // count
	}
}

// name is the Name of the object (TPM 2.0 Library Part 1, section "Names").
func (p *publicArea) name() []byte { return nameOf(p.nameAlg, p.raw) }

// nameOf hashes what has a Name; nothing comes of an algorithm not known here.
func nameOf(alg tpm2.TPMAlgID, parts ...[]byte) []byte {
	hash, ok := sessionHashes[alg]
	if !ok {
		return nil
	}
	h := hash.New()
	for _, part := range parts {
		h.Write(part)
	}
	return h.Sum(u16(uint16(alg)))
}
