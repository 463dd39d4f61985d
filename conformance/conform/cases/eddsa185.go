package cases

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"fmt"
	"strings"
	"sync"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/conform"
	"github.com/swtpmd/swtpmd/conformance/differential/curve448"
	signatures "github.com/swtpmd/swtpmd/conformance/differential/signature"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// An edScheme is EdDSA or HashEdDSA with a curve, and the client's key of it.
type edScheme struct {
	// name is the scheme, and a is a key of it, in the names of cases.
	name, a string
	// label begins the labels of the fixtures.
	label string
	alg   tpm2.TPMAlgID
	curve tpm2.TPMECCCurve
	// size is that of a public key and of R, in bytes.
	size int
	// hash is what HashEdDSA signs the digest of, 0 of EdDSA.
	hash tpm2.TPMAlgID
	// order is that of the group, little-endian.
	order string
	// public is the client's public key, and sign signs a message, or its digest.
	public func() []byte
	sign   func(last []byte) []byte
}

// The client's keys.
func edKey() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(octets(ed25519.SeedSize)) }
func ed448Seed() []byte         { return octets(curve448.KeySize) }

var ed448Public = sync.OnceValue(func() []byte { return curve448.Public(ed448Seed()) })

func public25519() []byte { return edKey().Public().(ed25519.PublicKey) }
func public448() []byte   { return ed448Public() }

const (
	order25519 = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010"
	order448   = "f34458ab92c27823558fc58d72c26c219036d6ae49db4ec4e923ca7cffffffffffffffffffffffffffffffffffffffffffffffffffffff3f00"
)

var (
	ed25519Plain = &edScheme{
		"EdDSA", "an EdDSA key", "@eddsa", wire.AlgEdDSA, tpm2.TPMECCCurve25519, ed25519.PublicKeySize, 0, order25519, public25519,
		func(message []byte) []byte { return ed25519.Sign(edKey(), message) },
	}
	ed25519Hash = &edScheme{
		"HashEdDSA", "a HashEdDSA key", "@hash eddsa", wire.AlgHashEdDSA, tpm2.TPMECCCurve25519, ed25519.PublicKeySize, tpm2.TPMAlgSHA512, order25519, public25519,
		func(digest []byte) []byte {
			b, err := edKey().Sign(nil, digest, &ed25519.Options{Hash: crypto.SHA512})
			if err != nil {
				panic("conform: " + err.Error()) // the digest has its size
			}
			return b
		},
	}
	ed448Plain = &edScheme{
		"Ed448", "an Ed448 key", "@ed448", wire.AlgEdDSA, tpm2.TPMECCCurve448, curve448.KeySize, 0, order448, public448,
		func(message []byte) []byte { return curve448.Ed448.Sign(ed448Seed(), message) },
	}
	ed448Hash = &edScheme{
		"Ed448ph", "an Ed448ph key", "@ed448ph", wire.AlgHashEdDSA, tpm2.TPMECCCurve448, curve448.KeySize, tpm2.TPMAlgSHAKE256512, order448, public448,
		func(digest []byte) []byte { return curve448.Ed448ph.Sign(ed448Seed(), digest) },
	}
	// edSchemes are all of them, plainSchemes those of EdDSA and hashSchemes those of
	// HashEdDSA.
	plainSchemes = []*edScheme{ed25519Plain, ed448Plain}
	hashSchemes  = []*edScheme{ed25519Hash, ed448Hash}
	edSchemes    = []*edScheme{ed25519Plain, ed25519Hash, ed448Plain, ed448Hash}
)

// details are those of a public area.
func (e *edScheme) details() join { return with(tpm2.TPMAlgNull, e.alg, e.curve, tpm2.TPMAlgNull) }

// restricted is a for a restricted key.
func (e *edScheme) restricted() string {
	_, key, _ := strings.Cut(e.a, " ")
	return "a restricted " + key
}

// area is the public area of the client's key.
func (e *edScheme) area() sized { return e.areaWith(lazily(e.public)) }

// areaWith is area with another x.
func (e *edScheme) areaWith(x conform.Part) sized {
	return public(tpm2.TPMAlgECC, outside|signs, empty, e.details(), join{x, empty})
}

// fixtures are a key that the TPM has made, and the public area of the client's key. The text
// leaves open what of a key of EdDSA is in the sensitive area.
func (e *edScheme) fixtures() []conform.Fixture {
	return []conform.Fixture{
		{Name: e.label, Step: createPrimary(null, "", eccPublic(signing, e.details()))},
		{Name: e.clientKey(), Step: loading(empty, e.area())},
	}
}

// clientKey is the label of the client's key.
func (e *edScheme) clientKey() string { return e.label + " public" }

// signed is the client's signature of a message.
func (e *edScheme) signed(message []byte) []byte {
	if e.hash != 0 {
		return e.sign(wire.Digest(e.hash, message))
	}
	return e.sign(message)
}

// signer signs with the client's key.
func (e *edScheme) signer() *signer {
	s := &signer{key: e.clientKey(), sign: func(message []byte) ([]byte, error) {
		return append(alg(e.alg), wire.Sized(e.signed(message))...), nil
	}}
	if e.hash == 0 {
		s.hint = e.hint
	}
	return s
}

// hint is R of the client's signature.
func (e *edScheme) hint(message []byte) []byte { return e.signed(message)[:e.size] }

// unreduced is a signature of the client with the order of the group added to S, which has to
// be below the order (RFC 8032, sections 5.1.7 and 5.2.7; errata 3.1).
func (e *edScheme) unreduced(*conform.State) ([]byte, error) {
	signature := e.signed(message)
	carry := 0
	for i, o := range hexed(e.order) {
		sum := int(signature[e.size+i]) + int(o) + carry
		signature[e.size+i], carry = byte(sum), sum>>8
	}
	return append(alg(e.alg), wire.Sized(signature)...), nil
}

// cut is the client's signature of a message without its last octet.
func (e *edScheme) cut(*conform.State) ([]byte, error) {
	signature := e.signed(message)
	return append(alg(e.alg), wire.Sized(signature[:len(signature)-1])...), nil
}

// A montgomeryCurve is curve 25519 or 448 for exchanges, with a key of the client.
type montgomeryCurve struct {
	name string
	id   tpm2.TPMECCCurve
	size int // of scalars and points, in bytes
}

var montgomeryCurves = []*montgomeryCurve{
	{"X25519", tpm2.TPMECCCurve25519, 32}, {"X448", tpm2.TPMECCCurve448, curve448.ExchangeSize},
}

// scalar is the client's private key.
func (m *montgomeryCurve) scalar() []byte { return octets(m.size) }

// details are those of a key for ECDH, and storageDetails those of a storage key.
func (m *montgomeryCurve) details() join {
	return with(tpm2.TPMAlgNull, tpm2.TPMAlgECDH, tpm2.TPMAlgSHA256, m.id, tpm2.TPMAlgNull)
}

func (m *montgomeryCurve) storageDetails() join {
	return with(aesDetails(tpm2.TPMAlgCFB), tpm2.TPMAlgNull, m.id, tpm2.TPMAlgNull)
}

// public is the client's public key.
func (m *montgomeryCurve) public() []byte {
	key, ok := signatures.Exchange(m.id).Public(m.scalar())
	if !ok {
		panic("conform: the client's key of " + m.name + " is none") // a constant is wrong
	}
	return key
}

// area is the public area of the client's key with an x.
func (m *montgomeryCurve) area(x conform.Part) sized {
	return public(tpm2.TPMAlgECC, outside|decrypts, empty, m.details(), join{x, empty})
}

// loaded loads the client's key.
func (m *montgomeryCurve) loaded() conform.Step {
	return loading(sized{alg(tpm2.TPMAlgECC), empty, empty, conform.Bytes(m.scalar())}, m.area(lazily(m.public)))
}

// exchangeCases are those of ECDH and of LoadExternal with curves 25519 and 448. Points have
// no y (Part 1, annex "ECC", section on Montgomery curves).
func exchangeCases() []conform.Case {
	var cases []conform.Case
	for _, m := range montgomeryCurves {
		cases = append(cases, m.cases()...)
	}
	for _, e := range edSchemes {
		cases = append(cases, e.cases()...)
	}
	return cases
}

// wrongPoint are the codes for a point of another size (Part 1, section "Public Points").
func wrongPoint() []tpm2.TPMRC { return anyNumber(tpm2.TPMRCECCPoint, tpm2.TPMRCSize) }

func (m *montgomeryCurve) cases() []conform.Case {
	keyGen, zGen, load := tpm2.TPMCCECDHKeyGen, tpm2.TPMCCECDHZGen, tpm2.TPMCCLoadExternal
	x := lazily(m.public)
	point := func(x conform.Part) join { return with(sized{x, empty}) }
	private := func(scalar []byte) sized { return sized{alg(tpm2.TPMAlgECC), empty, empty, conform.Bytes(scalar)} }
	scalar, other := m.scalar(), m.scalar()
	other[1] = ^other[1]
	read := do(tpm2.TPMCCReadPublic, handle("asked"))
	restrictedKey := createPrimary(null, "", eccPublic(storage, m.storageDetails())).Named("key")
	return built(
		about(keyGen, "for an "+m.name+" key", on("key"), nil).first(m.loaded().Named("key")).in(since185(keyGen)).
			check("gives a point, and its product with the key", m.exchanged),
		about(zGen, "with an "+m.name+" key", on("key"), point(x)).first(m.loaded().Named("key")).in(since185(zGen)).
			check("gives the product of point and key", m.squared),
		about(zGen, "with an "+m.name+" key and the point of ECDH_KeyGen", on("key"), with(field{Of: "made", N: 2})).in(since185(zGen)).
			first(m.loaded().Named("key"), do(keyGen, handle("key")).Named("made")).gives("gives the same secret").
			next(do(zGen, handle("key")).With(field{Of: "made", N: 2}).Checked(sameAs("made", 1))),
		about(zGen, "with an "+m.name+" key and a point without its last octet", on("key"), point(conform.Bytes(octets(m.size-1))), wrongPoint()...).
			first(m.loaded().Named("key")).in(since185(zGen)),
		about(zGen, "with an "+m.name+" key and a point with an octet more", on("key"), point(conform.Bytes(octets(m.size+1))), wrongPoint()...).
			first(m.loaded().Named("key")).in(since185(zGen)),
		about(zGen, "with an "+m.name+" key and a point whose product is zero", on("key"), point(zeros(m.size)), anyNumber(tpm2.TPMRCECCPoint, tpm2.TPMRCNoResult)...).
			first(m.loaded().Named("key")).in(since185(zGen)),
		about(zGen, "with an "+m.name+" storage key", on("key"), point(x), h(1, tpm2.TPMRCAttributes)).first(restrictedKey).in(since185(zGen)),
		about(load, "of both areas of an "+m.name+" key", nil, with(private(scalar), m.area(x), null)).in(since185(load)).next(read).
			gives("gives the Name that the client computes, and ReadPublic the area"),
		about(load, "of an "+m.name+" key with the private part of another", nil, with(private(other), m.area(x), null), anyNumber(tpm2.TPMRCBinding)...).in(since185(load)),
		about(load, "of an "+m.name+" key with a private part that is too short", nil, with(private(scalar[1:]), m.area(x), null), anyNumber(tpm2.TPMRCSize, tpm2.TPMRCKeySize, tpm2.TPMRCBinding)...).in(since185(load)),
		about(load, "of the public area of an "+m.name+" key", nil, with(empty, m.area(x), null)).in(since185(load)).next(read).
			gives("gives the Name that the client computes, and ReadPublic the area"),
		about(load, "of a public area of an "+m.name+" key without the last octet of x", nil, with(empty, m.area(conform.Bytes(octets(m.size-1))), null), anyNumber(tpm2.TPMRCECCPoint)...).in(since185(load)),
	)
}

// exchanged checks the two points of ECDH_KeyGen, and squared the product of the client's key
// and its own point.
func (m *montgomeryCurve) exchanged(a *conform.Answer) error {
	in := a.Parsed()
	z, err := m.pointOf(in)
	if err != nil {
		return err
	}
	point, err := m.pointOf(in)
	if err != nil {
		return err
	}
	return m.product(z, point)
}

func (m *montgomeryCurve) squared(a *conform.Answer) error {
	z, err := m.pointOf(a.Parsed())
	if err != nil {
		return err
	}
	return m.product(z, m.public())
}

// pointOf reads a TPM2B_ECC_POINT.
func (m *montgomeryCurve) pointOf(in *wire.Cursor) ([]byte, error) {
	point := &wire.Cursor{Rest: in.Sized()}
	x, y := point.Sized(), point.Sized()
	if !point.Done() || len(x) != m.size || len(y) != 0 {
		return nil, fmt.Errorf("no point of %s: %x, %x", m.name, x, y)
	}
	return x, nil
}

// product checks the product of the client's key and a point.
func (m *montgomeryCurve) product(z, point []byte) error {
	want, ok := signatures.Exchange(m.id).Secret(m.scalar(), point)
	if !ok {
		return fmt.Errorf("the point %x has no product with the key", point)
	}
	return differ("zPoint.x", z, want)
}

func (e *edScheme) cases() []conform.Case {
	load, zGen := tpm2.TPMCCLoadExternal, tpm2.TPMCCECDHZGen
	read := do(tpm2.TPMCCReadPublic, handle("asked"))
	area := func(x conform.Part) join { return with(empty, e.areaWith(x), null) }
	withY := public(tpm2.TPMAlgECC, outside|signs, empty, e.details(), join{lazily(e.public), conform.Bytes(octets(e.size))})
	return built(
		about(load, "of the public area of "+e.a, nil, area(lazily(e.public))).in(since185(load)).next(read).
			gives("gives the Name that the client computes, and ReadPublic the area"),
		about(load, "of a public area of "+e.a+" without the last octet of x", nil, area(lazily(func() []byte { return e.public()[:e.size-1] })), anyNumber(tpm2.TPMRCECCPoint)...).in(since185(load)),
		about(load, "of a public area of "+e.a+" with an octet more in x", nil, area(lazily(func() []byte { return append(bytes.Clone(e.public()), 0) })), anyNumber(tpm2.TPMRCECCPoint)...).in(since185(load)),
		about(load, "of a public area of "+e.a+" with a y", nil, with(empty, withY, null), anyNumber(tpm2.TPMRCECCPoint)...).in(since185(load)),
		about(zGen, "with "+e.a, on(e.label), with(sized{conform.Bytes(octets(e.size)), empty}), h(1, tpm2.TPMRCAttributes)).in(since185(zGen)),
	)
}
