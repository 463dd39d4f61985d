package differential

import (
	"bytes"

	"github.com/google/go-tpm/tpm2"
)

// Attributes of objects (TPM 2.0 Library Part 2, section "TPMA_OBJECT").
const (
	objectFixedTPM        = 1 << 1
	objectStClear         = 1 << 2
	objectFixedParent     = 1 << 4
	objectOrigin          = 1 << 5 // sensitiveDataOrigin
	objectUserWithAuth    = 1 << 6
	objectAdminWithPolicy = 1 << 7
	objectNoDA            = 1 << 10
	objectEncrypted       = 1 << 11 // encryptedDuplication
	objectRestricted      = 1 << 16
	objectDecrypt         = 1 << 17
	objectSign            = 1 << 18
	objectX509            = 1 << 19
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
	{"storage ECC", tpm2.TPMAlgECC, objectRestricted | objectDecrypt, nil, 8},
	{"storage RSA", tpm2.TPMAlgRSA, objectRestricted | objectDecrypt, nil, 1},
	{"storage symmetric", tpm2.TPMAlgSymCipher, objectRestricted | objectDecrypt, nil, 2},
	{"signing ECC", tpm2.TPMAlgECC, objectSign, []tpm2.TPMAlgID{tpm2.TPMAlgNull, tpm2.TPMAlgECDSA, tpm2.TPMAlgECSchnorr, tpm2.TPMAlgECDAA}, 4},
	{"anonymous ECC", tpm2.TPMAlgECC, objectSign, []tpm2.TPMAlgID{tpm2.TPMAlgECDAA}, 1},
	{"signing RSA", tpm2.TPMAlgRSA, objectSign, []tpm2.TPMAlgID{tpm2.TPMAlgNull, tpm2.TPMAlgRSASSA, tpm2.TPMAlgRSAPSS}, 1},
	{"attesting ECC", tpm2.TPMAlgECC, objectRestricted | objectSign, []tpm2.TPMAlgID{tpm2.TPMAlgECDSA, tpm2.TPMAlgECDSA, tpm2.TPMAlgECSchnorr, tpm2.TPMAlgECDAA}, 4},
	{"attesting RSA", tpm2.TPMAlgRSA, objectRestricted | objectSign, []tpm2.TPMAlgID{tpm2.TPMAlgRSASSA, tpm2.TPMAlgRSAPSS}, 1},
	{"decrypting ECC", tpm2.TPMAlgECC, objectDecrypt, []tpm2.TPMAlgID{tpm2.TPMAlgNull, tpm2.TPMAlgECDH}, 4},
	{"decrypting RSA", tpm2.TPMAlgRSA, objectDecrypt, []tpm2.TPMAlgID{tpm2.TPMAlgNull, tpm2.TPMAlgOAEP, tpm2.TPMAlgRSAES}, 1},
	{"any ECC", tpm2.TPMAlgECC, objectSign | objectDecrypt, []tpm2.TPMAlgID{tpm2.TPMAlgNull}, 4},
	{"any RSA", tpm2.TPMAlgRSA, objectSign | objectDecrypt, []tpm2.TPMAlgID{tpm2.TPMAlgNull}, 1},
	{"HMAC", tpm2.TPMAlgKeyedHash, objectSign, []tpm2.TPMAlgID{tpm2.TPMAlgHMAC, tpm2.TPMAlgHMAC, tpm2.TPMAlgNull}, 3},
	{"attesting HMAC", tpm2.TPMAlgKeyedHash, objectRestricted | objectSign, []tpm2.TPMAlgID{tpm2.TPMAlgHMAC}, 1},
	{"sealed", tpm2.TPMAlgKeyedHash, 0, []tpm2.TPMAlgID{tpm2.TPMAlgNull}, 4},
	{"derivation parent", tpm2.TPMAlgKeyedHash, objectRestricted | objectDecrypt, []tpm2.TPMAlgID{tpm2.TPMAlgXOR}, 2},
	{"obfuscating", tpm2.TPMAlgKeyedHash, objectDecrypt, []tpm2.TPMAlgID{tpm2.TPMAlgXOR, tpm2.TPMAlgNull}, 1},
	{"cipher", tpm2.TPMAlgSymCipher, objectDecrypt | objectSign, nil, 3},
}

// usesMask has the attributes that tell classes apart.
const usesMask = objectRestricted | objectDecrypt | objectSign

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
	t := template{class: c, nameAlg: tpm2.TPMAlgSHA256, attributes: c.uses | besides | objectUserWithAuth | objectNoDA, policy: plain([]byte{0, 0})}
	if g.chance(0.1) {
		t.nameAlg = g.hash()
	}
	if g.chance(0.1) {
		t.attributes ^= pick[uint32](g, objectStClear, objectUserWithAuth, objectAdminWithPolicy, objectNoDA, objectEncrypted, objectX509)
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
		t.unique = sized(g.bytes(g.rng.IntN(40)))
	}
	if g.chance(0.15) {
		t.policy = plain(sized(satisfiable[g.rng.IntN(len(satisfiable))].digest()))
	}
	return t
}

// area lays the template out.
func (t template) area() area {
	return join(plain(u16(uint16(t.class.kind)), u16(uint16(t.nameAlg)), u32(t.attributes)), t.policy, plain(t.details, t.unique))
}

// details draws the parameters of the type.
func (g *generator) details(c *class) []byte {
	isParent := c.uses&(objectRestricted|objectDecrypt) == objectRestricted|objectDecrypt
	switch c.kind {
	case tpm2.TPMAlgKeyedHash:
		return g.keyedHashDetails(c)
	case tpm2.TPMAlgSymCipher:
		mode := pick(g, tpm2.TPMAlgCFB, tpm2.TPMAlgNull, tpm2.TPMAlgCBC, tpm2.TPMAlgCTR, tpm2.TPMAlgOFB, tpm2.TPMAlgECB)
		if isParent && !g.odd() {
			mode = tpm2.TPMAlgCFB
		}
		return bytes.Join([][]byte{u16(uint16(tpm2.TPMAlgAES)), u16(pick[uint16](g, 128, 128, 256)), u16(uint16(mode))}, nil)
	}
	b := u16(uint16(tpm2.TPMAlgNull))
	if isParent {
		b = bytes.Join([][]byte{u16(uint16(tpm2.TPMAlgAES)), u16(pick[uint16](g, 128, 128, 128, 256)), u16(uint16(tpm2.TPMAlgCFB))}, nil)
	}
	if g.odd() {
		b = symmetric(g, true)
	}
	b = append(b, g.classScheme(c)...)
	if c.kind == tpm2.TPMAlgRSA {
		b = append(b, u16(pick[uint16](g, 2048, 1024, 1024, 1024))...)
		return append(b, u32(0)...)
	}
	b = append(b, u16(uint16(g.curve()))...)
	return append(b, u16(uint16(tpm2.TPMAlgNull))...)
}

// curve draws a curve that everybody has, mostly.
func (g *generator) curve() tpm2.TPMECCCurve {
	if g.odd() {
		return tpm2.TPMECCCurve(g.rng.UintN(0x22))
	}
	return pick(g, tpm2.TPMECCNistP256, tpm2.TPMECCNistP256, tpm2.TPMECCNistP256, tpm2.TPMECCNistP384)
}

// classScheme draws a scheme of an asymmetric class.
func (g *generator) classScheme(c *class) []byte {
	if len(c.schemes) == 0 {
		return u16(uint16(tpm2.TPMAlgNull))
	}
	s := pick(g, c.schemes...)
	if g.odd() {
		return scheme(g, tpm2.TPMAlgRSASSA, tpm2.TPMAlgECDSA, tpm2.TPMAlgOAEP)
	}
	return g.withHash(s, pick(g, tpm2.TPMAlgSHA256, tpm2.TPMAlgSHA256, tpm2.TPMAlgSHA256, tpm2.TPMAlgSHA384, tpm2.TPMAlgSHA1))
}

// withHash lays a scheme out.
func (g *generator) withHash(s, hash tpm2.TPMAlgID) []byte {
	b := u16(uint16(s))
	if s == tpm2.TPMAlgNull || s == tpm2.TPMAlgRSAES {
		return b
	}
	b = append(b, u16(uint16(hash))...)
	if s == tpm2.TPMAlgECDAA {
		b = append(b, u16(uint16(g.rng.UintN(3)))...)
	}
	return b
}

func (g *generator) keyedHashDetails(c *class) []byte {
	switch pick(g, c.schemes...) {
	case tpm2.TPMAlgHMAC:
		return append(u16(uint16(tpm2.TPMAlgHMAC)), u16(uint16(pick(g, tpm2.TPMAlgSHA256, tpm2.TPMAlgSHA256, tpm2.TPMAlgSHA1, tpm2.TPMAlgSHA384)))...)
	case tpm2.TPMAlgXOR:
		b := append(u16(uint16(tpm2.TPMAlgXOR)), u16(uint16(pick(g, tpm2.TPMAlgSHA256, tpm2.TPMAlgSHA1, tpm2.TPMAlgSHA384)))...)
		return append(b, u16(uint16(tpm2.TPMAlgKDF1SP800108))...)
	}
	return u16(uint16(tpm2.TPMAlgNull))
}

// knownTemplate draws a template for a key of this package.
func (g *generator) knownTemplate(k *key) template {
	c := g.wanted
	if c == nil || !k.fits(c) {
		c = g.drawClass(k.fits)
	}
	t := g.template(c, 0)
	if k.asymmetric() {
		t.unique = k.unique()
	}
	switch k.kind {
	case tpm2.TPMAlgRSA:
		t.details = append(u16(uint16(tpm2.TPMAlgNull)), g.classScheme(c)...)
		t.details = append(append(t.details, u16(uint16(k.rsa.N.BitLen()))...), u32(0)...)
	case tpm2.TPMAlgECC:
		t.details = append(u16(uint16(tpm2.TPMAlgNull)), g.classScheme(c)...)
		t.details = append(append(t.details, u16(uint16(k.curve))...), u16(uint16(tpm2.TPMAlgNull))...)
	case tpm2.TPMAlgSymCipher:
		copy(t.details[2:], u16(uint16(8*len(k.secret))))
	}
	return t
}
