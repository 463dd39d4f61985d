package generator

import (
	"bytes"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// class is a kind of object that is of use for something.
type class struct {
	name string
	kind tpm2.TPMAlgID
	// uses are the attributes that make the class.
	uses uint32
	// schemes are those the class can have.
	schemes []tpm2.TPMAlgID
	// weight is how often it is drawn.
	weight int
}

// classes are the kinds of objects, each with what it is for.
var classes = [...]class{
	{"storage ECC", tpm2.TPMAlgECC, wire.ObjectRestricted | wire.ObjectDecrypt, nil, 8},
	{"storage RSA", tpm2.TPMAlgRSA, wire.ObjectRestricted | wire.ObjectDecrypt, nil, 1},
	{"storage symmetric", tpm2.TPMAlgSymCipher, wire.ObjectRestricted | wire.ObjectDecrypt, nil, 2},
	{"signing ECC", tpm2.TPMAlgECC, wire.ObjectSign, []tpm2.TPMAlgID{tpm2.TPMAlgNull, tpm2.TPMAlgECDSA, tpm2.TPMAlgECSchnorr, tpm2.TPMAlgECDAA}, 4},
	{"anonymous ECC", tpm2.TPMAlgECC, wire.ObjectSign, []tpm2.TPMAlgID{tpm2.TPMAlgECDAA}, 1},
	{"signing RSA", tpm2.TPMAlgRSA, wire.ObjectSign, []tpm2.TPMAlgID{tpm2.TPMAlgNull, tpm2.TPMAlgRSASSA, tpm2.TPMAlgRSAPSS}, 1},
	{"attesting ECC", tpm2.TPMAlgECC, wire.ObjectRestricted | wire.ObjectSign, []tpm2.TPMAlgID{tpm2.TPMAlgECDSA, tpm2.TPMAlgECDSA, tpm2.TPMAlgECSchnorr, tpm2.TPMAlgECDAA}, 4},
	{"attesting RSA", tpm2.TPMAlgRSA, wire.ObjectRestricted | wire.ObjectSign, []tpm2.TPMAlgID{tpm2.TPMAlgRSASSA, tpm2.TPMAlgRSAPSS}, 1},
	{"decrypting ECC", tpm2.TPMAlgECC, wire.ObjectDecrypt, []tpm2.TPMAlgID{tpm2.TPMAlgNull, tpm2.TPMAlgECDH}, 4},
	{"decrypting RSA", tpm2.TPMAlgRSA, wire.ObjectDecrypt, []tpm2.TPMAlgID{tpm2.TPMAlgNull, tpm2.TPMAlgOAEP, tpm2.TPMAlgRSAES}, 1},
	{"any ECC", tpm2.TPMAlgECC, wire.ObjectSign | wire.ObjectDecrypt, []tpm2.TPMAlgID{tpm2.TPMAlgNull}, 4},
	{"any RSA", tpm2.TPMAlgRSA, wire.ObjectSign | wire.ObjectDecrypt, []tpm2.TPMAlgID{tpm2.TPMAlgNull}, 1},
	{"HMAC", tpm2.TPMAlgKeyedHash, wire.ObjectSign, []tpm2.TPMAlgID{tpm2.TPMAlgHMAC, tpm2.TPMAlgHMAC, tpm2.TPMAlgNull}, 3},
	{"attesting HMAC", tpm2.TPMAlgKeyedHash, wire.ObjectRestricted | wire.ObjectSign, []tpm2.TPMAlgID{tpm2.TPMAlgHMAC}, 1},
	{"sealed", tpm2.TPMAlgKeyedHash, 0, []tpm2.TPMAlgID{tpm2.TPMAlgNull}, 4},
	{"derivation parent", tpm2.TPMAlgKeyedHash, wire.ObjectRestricted | wire.ObjectDecrypt, []tpm2.TPMAlgID{tpm2.TPMAlgXOR}, 2},
	{"obfuscating", tpm2.TPMAlgKeyedHash, wire.ObjectDecrypt, []tpm2.TPMAlgID{tpm2.TPMAlgXOR, tpm2.TPMAlgNull}, 1},
	{"cipher", tpm2.TPMAlgSymCipher, wire.ObjectDecrypt | wire.ObjectSign, nil, 3},
}

// usesMask has the attributes that tell classes apart.
const usesMask = wire.ObjectRestricted | wire.ObjectDecrypt | wire.ObjectSign

// drawClass draws one of the classes that fit.
func (g *generator) drawClass(fits func(*class) bool) *class {
	total := 0
	for i := range classes {
		if fits == nil || fits(&classes[i]) {
			total += classes[i].weight
		}
	}
	at := g.rng.IntN(max(total, 1))
	for i := range classes {
		if fits != nil && !fits(&classes[i]) {
			continue
		}
		if at -= classes[i].weight; at < 0 {
			return &classes[i]
		}
	}
	return &classes[0]
}

// template is a TPMT_PUBLIC under construction.
type template struct {
	class      *class
	nameAlg    tpm2.TPMAlgID
	attributes uint32
	policy     area
	// details are the parameters of the type (TPMU_PUBLIC_PARMS).
	details []byte
	unique  []byte
}

// template draws a template of a class, with attributes that come besides those
// of the class.
func (g *generator) template(c *class, besides uint32) template {
	t := template{class: c, nameAlg: tpm2.TPMAlgSHA256, attributes: c.uses | besides | wire.ObjectUserWithAuth | wire.ObjectNoDA, policy: plain([]byte{0, 0})}
	if g.chance(0.1) {
		t.nameAlg = g.hash()
	}
	if g.chance(0.1) {
		t.attributes ^= pick[uint32](g, wire.ObjectStClear, wire.ObjectUserWithAuth, wire.ObjectAdminWithPolicy, wire.ObjectNoDA, wire.ObjectEncrypted, wire.ObjectX509)
	}
	if g.odd() {
		t.attributes ^= 1 << g.rng.UintN(32)
	}
	t.details = g.details(c)
	t.unique = []byte{0, 0}
	if c.kind == tpm2.TPMAlgECC {
		t.unique = []byte{0, 0, 0, 0}
	}
	if g.odd() {
		t.unique = wire.Sized(g.bytes(g.rng.IntN(40)))
	}
	if g.chance(0.15) {
		t.policy = plain(wire.Sized(satisfiable[g.rng.IntN(len(satisfiable))].digest()))
	}
	return t
}

// area lays the template out.
func (t template) area() area {
	return join(plain(wire.U16(uint16(t.class.kind)), wire.U16(uint16(t.nameAlg)), wire.U32(t.attributes)), t.policy, plain(t.details, t.unique))
}

// details draws the parameters of the type.
func (g *generator) details(c *class) []byte {
	isParent := c.uses&(wire.ObjectRestricted|wire.ObjectDecrypt) == wire.ObjectRestricted|wire.ObjectDecrypt
	switch c.kind {
	case tpm2.TPMAlgKeyedHash:
		return g.keyedHashDetails(c)
	case tpm2.TPMAlgSymCipher:
		mode := pick(g, tpm2.TPMAlgCFB, tpm2.TPMAlgNull, tpm2.TPMAlgCBC, tpm2.TPMAlgCTR, tpm2.TPMAlgOFB, tpm2.TPMAlgECB)
		if isParent && !g.odd() {
			mode = tpm2.TPMAlgCFB
		}
		return bytes.Join([][]byte{wire.U16(uint16(tpm2.TPMAlgAES)), wire.U16(pick[uint16](g, 128, 128, 256)), wire.U16(uint16(mode))}, nil)
	}
	b := wire.U16(uint16(tpm2.TPMAlgNull))
	if isParent {
		b = bytes.Join([][]byte{wire.U16(uint16(tpm2.TPMAlgAES)), wire.U16(pick[uint16](g, 128, 128, 128, 256)), wire.U16(uint16(tpm2.TPMAlgCFB))}, nil)
	}
	if g.odd() {
		b = symmetric(g, true)
	}
	b = append(b, g.classScheme(c)...)
	if c.kind == tpm2.TPMAlgRSA {
		b = append(b, wire.U16(pick[uint16](g, 2048, 1024, 1024, 1024))...)
		return append(b, wire.U32(0)...)
	}
	b = append(b, wire.U16(uint16(g.curve()))...)
	return append(b, wire.U16(uint16(tpm2.TPMAlgNull))...)
}

// curve draws a curve that everybody has, mostly.
func (g *generator) curve() tpm2.TPMECCCurve {
	if g.odd() {
		return tpm2.TPMECCCurve(g.rng.UintN(0x22))
	}
	return pick(g, tpm2.TPMECCNistP256, tpm2.TPMECCNistP256, tpm2.TPMECCNistP256, tpm2.TPMECCNistP384)
}

// knownTemplate draws a template for a key of this package.
func (g *generator) knownTemplate(k *conversation.Key) template {
	c := g.wanted
	if c == nil || !c.takes(k) {
		c = g.drawClass(func(c *class) bool { return c.takes(k) })
	}
	t := g.template(c, 0)
	if k.Asymmetric() {
		t.unique = k.Unique()
	}
	switch k.Kind {
	case tpm2.TPMAlgRSA:
		t.details = append(wire.U16(uint16(tpm2.TPMAlgNull)), g.classScheme(c)...)
		t.details = append(append(t.details, wire.U16(uint16(k.RSA.N.BitLen()))...), wire.U32(0)...)
	case tpm2.TPMAlgECC:
		t.details = append(wire.U16(uint16(tpm2.TPMAlgNull)), g.classScheme(c)...)
		t.details = append(append(t.details, wire.U16(uint16(k.Curve))...), wire.U16(uint16(tpm2.TPMAlgNull))...)
	case tpm2.TPMAlgSymCipher:
		copy(t.details[2:], wire.U16(uint16(8*len(k.Secret))))
	}
	return t
}
