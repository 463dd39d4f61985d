package version185

import (
	"slices"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/differential/signature"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// symDef is a TPMT_SYM_DEF_OBJECT.
type symDef struct {
	alg  tpm2.TPMAlgID
	bits uint16
	mode tpm2.TPMAlgID
}

var (
	noCipher = symDef{alg: tpm2.TPMAlgNull}
	aes128   = symDef{tpm2.TPMAlgAES, 128, tpm2.TPMAlgCFB}
	aes256   = symDef{tpm2.TPMAlgAES, 256, tpm2.TPMAlgCFB}
)

func (c symDef) append(b []byte) []byte {
	b = append(b, wire.U16(uint16(c.alg))...)
	if c.alg == tpm2.TPMAlgNull {
		return b
	}
	return append(append(b, wire.U16(c.bits)...), wire.U16(uint16(c.mode))...)
}

// scheme is an algorithm and the hash that it may name.
type scheme struct{ alg, hash tpm2.TPMAlgID }

var noScheme = scheme{alg: tpm2.TPMAlgNull}

// namesHash reports whether a hash follows the algorithm in the structures for schemes.
func (s scheme) namesHash() bool {
	switch s.alg {
	case tpm2.TPMAlgNull, tpm2.TPMAlgRSAES, wire.AlgEdDSA, wire.AlgHashEdDSA, wire.AlgMLDSA, wire.AlgHashMLDSA:
		return false
	}
	return true
}

func (s scheme) bytes() []byte {
	b := wire.U16(uint16(s.alg))
	if s.namesHash() {
		b = append(b, wire.U16(uint16(s.hash))...)
	}
	return b
}

// template is a TPMT_PUBLIC. The fields that are in use are those of its kind.
type template struct {
	kind, nameAlg tpm2.TPMAlgID
	attributes    uint32
	policy        []byte

	cipher   symDef
	scheme   scheme // its hash is hashAlg of a HashML-DSA key
	bits     uint16 // RSA
	exponent uint32
	curve    tpm2.TPMECCCurve
	kdf      scheme
	set      uint16
	mu       byte // allowExternalMu

	unique [][]byte // one part, or two of an ECC key
}

// bytes lays the template out.
func (p *template) bytes() []byte {
	b := slices.Concat(wire.U16(uint16(p.kind)), wire.U16(uint16(p.nameAlg)), wire.U32(p.attributes), wire.Sized(p.policy))
	switch p.kind {
	case tpm2.TPMAlgKeyedHash:
		b = append(b, p.scheme.bytes()...)
	case tpm2.TPMAlgRSA:
		b = append(p.cipher.append(b), p.scheme.bytes()...)
		b = append(append(b, wire.U16(p.bits)...), wire.U32(p.exponent)...)
	case tpm2.TPMAlgECC:
		b = append(p.cipher.append(b), p.scheme.bytes()...)
		b = append(append(b, wire.U16(uint16(p.curve))...), p.kdf.bytes()...)
	case wire.AlgMLKEM:
		b = append(p.cipher.append(b), wire.U16(p.set)...)
	case wire.AlgMLDSA:
		b = append(append(b, wire.U16(p.set)...), p.mu)
	case wire.AlgHashMLDSA:
		b = append(append(b, wire.U16(p.set)...), wire.U16(uint16(p.scheme.hash))...)
	}
	for i := range p.parts() {
		b = append(b, wire.Sized(p.part(i))...)
	}
	return b
}

// parts is how many TPM2B unique has.
func (p *template) parts() int {
	if p.kind == tpm2.TPMAlgECC {
		return 2
	}
	return 1
}

func (p *template) part(i int) []byte {
	if i < len(p.unique) {
		return p.unique[i]
	}
	return nil
}

func (p *template) has(attributes uint32) bool { return p.attributes&attributes == attributes }

// storage reports whether the attributes are those of a storage key.
func (p *template) storage() bool { return p.has(wire.ObjectRestricted | wire.ObjectDecrypt) }

// lattice reports whether it is a key of ML-KEM or ML-DSA.
func (p *template) lattice() bool { return p.kind == wire.AlgMLKEM || p.mldsa() }

func (p *template) mldsa() bool { return p.kind == wire.AlgMLDSA || p.kind == wire.AlgHashMLDSA }

// montgomery reports whether it is a key of curve 25519 or 448.
func (p *template) montgomery() bool {
	return p.kind == tpm2.TPMAlgECC && signature.Montgomery(p.curve)
}

// eddsa reports whether it is a key of EdDSA or HashEdDSA.
func (p *template) eddsa() bool {
	return p.kind == tpm2.TPMAlgECC && (p.scheme.alg == wire.AlgEdDSA || p.scheme.alg == wire.AlgHashEdDSA)
}

// asymmetric reports whether it is an asymmetric key.
func (p *template) asymmetric() bool { return p.kind != tpm2.TPMAlgKeyedHash }

// dhkem reports whether it is a key for DHKEM (Part 1, annex C, section on DHKEM; RFC 9180,
// section 7.1).
func (p *template) dhkem() bool {
	const uses = wire.ObjectSign | wire.ObjectDecrypt | wire.ObjectRestricted
	return p.kind == tpm2.TPMAlgECC && p.kdf.alg == wire.AlgHKDF && p.scheme.alg == tpm2.TPMAlgECDH &&
		p.attributes&uses == wire.ObjectDecrypt && dhkemHashes[p.curve] == p.kdf.hash
}

// dhkemHashes are the curves of DHKEM with their hashes.
var dhkemHashes = map[tpm2.TPMECCCurve]tpm2.TPMAlgID{
	tpm2.TPMECCNistP256: tpm2.TPMAlgSHA256, tpm2.TPMECCNistP384: tpm2.TPMAlgSHA384,
	tpm2.TPMECCNistP521: tpm2.TPMAlgSHA512, wire.Curve25519: tpm2.TPMAlgSHA256,
	wire.Curve448: tpm2.TPMAlgSHA512,
}

// kem reports whether secrets can be encapsulated to it.
func (p *template) kem() bool { return p.kind == wire.AlgMLKEM || p.dhkem() }

// area is the template as package wire has it.
func (p *template) area() *wire.Public {
	area, _ := wire.ParsePublic(p.bytes())
	return &area
}

// name is the Name, empty without nameAlg.
func (p *template) name() []byte { return wire.NameOf(p.nameAlg, p.bytes()) }

// identity tells keys without a Name apart too.
func (p *template) identity() string { return string(p.name()) + string(p.bytes()) }
