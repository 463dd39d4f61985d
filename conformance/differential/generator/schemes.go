package generator

import (
	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// symmetric draws a TPMT_SYM_DEF_OBJECT.
func symmetric(g *generator, nullable bool) []byte {
	if nullable && g.chance(0.4) {
		return wire.U16(uint16(tpm2.TPMAlgNull))
	}
	algorithm := tpm2.TPMAlgAES
	if g.odd() {
		algorithm = g.algorithm()
	}
	b := append(wire.U16(uint16(algorithm)), wire.U16(pick[uint16](g, 128, 256, 192, 128, 256, 64))...)
	mode := tpm2.TPMAlgCFB
	if g.chance(0.3) {
		mode = pick(g, tpm2.TPMAlgCTR, tpm2.TPMAlgOFB, tpm2.TPMAlgCBC, tpm2.TPMAlgECB, tpm2.TPMAlgNull, tpm2.TPMAlgCMAC)
	}
	return append(b, wire.U16(uint16(mode))...)
}

// scheme draws one of the schemes, or null, with its hash; ECDAA has a count
// after the hash, and RSAES has neither.
func scheme(g *generator, from ...tpm2.TPMAlgID) []byte {
	if g.chance(0.4) {
		return wire.U16(uint16(tpm2.TPMAlgNull))
	}
	algorithm := pick(g, from...)
	if g.odd() {
		algorithm = g.algorithm()
	}
	b := wire.U16(uint16(algorithm))
	if algorithm == tpm2.TPMAlgRSAES {
		return b
	}
	b = append(b, wire.U16(uint16(g.hash()))...)
	if algorithm == tpm2.TPMAlgECDAA {
		b = append(b, 0, 0)
	}
	return b
}

func keyedHashScheme(g *generator) []byte {
	switch pick(g, 0, 1, 2) {
	case 0:
		return wire.U16(uint16(tpm2.TPMAlgNull))
	case 1:
		return append(wire.U16(uint16(tpm2.TPMAlgHMAC)), wire.U16(uint16(g.hash()))...)
	}
	b := append(wire.U16(uint16(tpm2.TPMAlgXOR)), wire.U16(uint16(g.hash()))...)
	return append(b, wire.U16(uint16(pick(g, tpm2.TPMAlgKDF1SP800108, tpm2.TPMAlgMGF1, tpm2.TPMAlgNull, g.algorithm())))...)
}

// withHash lays a scheme out.
func (g *generator) withHash(s, hash tpm2.TPMAlgID) []byte {
	b := wire.U16(uint16(s))
	if s == tpm2.TPMAlgNull || s == tpm2.TPMAlgRSAES {
		return b
	}
	b = append(b, wire.U16(uint16(hash))...)
	if s == tpm2.TPMAlgECDAA {
		b = append(b, wire.U16(uint16(g.rng.UintN(3)))...)
	}
	return b
}

// classScheme draws a scheme of an asymmetric class.
func (g *generator) classScheme(c *class) []byte {
	if len(c.schemes) == 0 {
		return wire.U16(uint16(tpm2.TPMAlgNull))
	}
	s := pick(g, c.schemes...)
	if g.odd() {
		return scheme(g, tpm2.TPMAlgRSASSA, tpm2.TPMAlgECDSA, tpm2.TPMAlgOAEP)
	}
	return g.withHash(s, pick(g, tpm2.TPMAlgSHA256, tpm2.TPMAlgSHA256, tpm2.TPMAlgSHA256, tpm2.TPMAlgSHA384, tpm2.TPMAlgSHA1))
}

func (g *generator) keyedHashDetails(c *class) []byte {
	switch pick(g, c.schemes...) {
	case tpm2.TPMAlgHMAC:
		return append(wire.U16(uint16(tpm2.TPMAlgHMAC)), wire.U16(uint16(pick(g, tpm2.TPMAlgSHA256, tpm2.TPMAlgSHA256, tpm2.TPMAlgSHA1, tpm2.TPMAlgSHA384)))...)
	case tpm2.TPMAlgXOR:
		b := append(wire.U16(uint16(tpm2.TPMAlgXOR)), wire.U16(uint16(pick(g, tpm2.TPMAlgSHA256, tpm2.TPMAlgSHA1, tpm2.TPMAlgSHA384)))...)
		return append(b, wire.U16(uint16(tpm2.TPMAlgKDF1SP800108))...)
	}
	return wire.U16(uint16(tpm2.TPMAlgNull))
}
