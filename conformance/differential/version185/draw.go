package version185

import (
	"math/rand/v2"
	"slices"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// source draws everything that a conversation needs.
type source struct{ *rand.Rand }

func (s source) chance(p float64) bool { return s.Float64() < p }

func (s source) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(s.UintN(256))
	}
	return b
}

func pick[T any](s source, from ...T) T { return from[s.IntN(len(from))] }

// style is a kind of key that can be made.
type style uint8

const (
	kemGeneral style = iota
	kemStorage
	mldsaPure
	mldsaMu
	hashMLDSA
	edDSA
	hashEdDSA
	montgomery
	montgomeryStorage
	dhkem
	ecdsaKey
	hmacKey
	eccStorage
	rsaKey
	lastStyle = rsaKey
)

const (
	ordinary = wire.ObjectUserWithAuth | wire.ObjectNoDA
	storing  = ordinary | wire.ObjectRestricted | wire.ObjectDecrypt
	signing  = ordinary | wire.ObjectSign
)

// templateOf draws a template of a style without anything odd, as nobody has made a key of
// it yet: unique is empty, sensitiveDataOrigin clear.
func (s source) templateOf(of style) template {
	p := template{
		kind: tpm2.TPMAlgECC, nameAlg: tpm2.TPMAlgSHA256, attributes: signing, cipher: noCipher,
		scheme: noScheme, kdf: noScheme, curve: pick(s, wire.Curve25519, wire.Curve448),
		set: uint16(1 + s.IntN(3)), unique: [][]byte{nil, nil},
	}
	switch of {
	case kemGeneral, kemStorage:
		p.kind, p.attributes = wire.AlgMLKEM, ordinary|wire.ObjectDecrypt
	case mldsaPure:
		p.kind = wire.AlgMLDSA
	case mldsaMu:
		p.kind, p.mu = wire.AlgMLDSA, 1
	case hashMLDSA:
		p.kind, p.scheme.hash = wire.AlgHashMLDSA, pick(s, preHashes...)
	case edDSA:
		p.scheme.alg = wire.AlgEdDSA
	case hashEdDSA:
		p.scheme.alg = wire.AlgHashEdDSA
	case montgomery:
		p.attributes, p.scheme = ordinary|wire.ObjectDecrypt, scheme{tpm2.TPMAlgECDH, tpm2.TPMAlgSHA256}
	case dhkem:
		p.curve = pick(s, tpm2.TPMECCNistP256, tpm2.TPMECCNistP384, tpm2.TPMECCNistP521, wire.Curve25519, wire.Curve448)
		p.attributes, p.scheme = ordinary|wire.ObjectDecrypt, scheme{tpm2.TPMAlgECDH, pick(s, tpm2.TPMAlgSHA256, tpm2.TPMAlgSHA384)}
		p.kdf = scheme{wire.AlgHKDF, dhkemHashes[p.curve]}
	case ecdsaKey:
		p.curve, p.scheme = tpm2.TPMECCNistP256, scheme{tpm2.TPMAlgECDSA, tpm2.TPMAlgSHA256}
		if s.chance(0.3) {
			p.curve, p.scheme.hash = tpm2.TPMECCNistP384, tpm2.TPMAlgSHA384
		}
	case hmacKey:
		p.kind, p.scheme = tpm2.TPMAlgKeyedHash, scheme{tpm2.TPMAlgHMAC, pick(s, tpm2.TPMAlgSHA256, tpm2.TPMAlgSHA512)}
	case eccStorage:
		p.curve = tpm2.TPMECCNistP256
	case rsaKey:
		p.kind, p.bits, p.scheme = tpm2.TPMAlgRSA, 2048, scheme{pick(s, tpm2.TPMAlgRSASSA, tpm2.TPMAlgRSAPSS), tpm2.TPMAlgSHA256}
	}
	switch of {
	case kemStorage, montgomeryStorage, eccStorage:
		p.attributes, p.cipher = storing, pick(s, aes128, aes128, aes256)
	}
	if p.parts() == 1 {
		p.unique = [][]byte{nil}
	}
	if s.chance(0.3) {
		p.nameAlg = pick(s, tpm2.TPMAlgSHA384, tpm2.TPMAlgSHA512, tpm2.TPMAlgSHA1)
	}
	if s.chance(0.3) && p.has(wire.ObjectSign) && p.mu == 0 {
		p.attributes |= wire.ObjectRestricted
	}
	return p
}

// oddly makes a template odd in one place.
func (s source) oddly(p *template) {
	switch s.IntN(12) {
	case 0, 1, 2, 3:
		p.attributes ^= 1 << s.UintN(32)
	case 4:
		p.nameAlg = pick(s, tpm2.TPMAlgNull, wire.AlgMLKEM, 0)
	case 5:
		p.policy = s.bytes(pick(s, 1, 19, 20, 31, 33, 48, 64, 65))
	case 6:
		p.set = pick[uint16](s, 0, 4, 0xffff, 0x0100)
	case 7:
		p.cipher = pick(s, noCipher, aes128, aes256, symDef{tpm2.TPMAlgAES, 100, tpm2.TPMAlgCFB},
			symDef{tpm2.TPMAlgAES, 128, tpm2.TPMAlgSHA256}, symDef{tpm2.TPMAlgAES, 128, tpm2.TPMAlgCTR}, symDef{tpm2.TPMAlgXOR, 128, tpm2.TPMAlgCFB})
	case 8:
		s.oddScheme(p)
	case 9:
		p.mu = pick[byte](s, 0, 1, 2, 255)
	case 10:
		if p.kind == tpm2.TPMAlgECC {
			p.curve = pick(s, tpm2.TPMECCNistP384, tpm2.TPMECCNistP256, wire.Curve25519, wire.Curve448, 0x42, 0)
		}
	case 11:
		p.unique[0] = s.bytes(pick(s, 1, 32, 56, 57, 64, 80, 81, 800, 1312, 1568, 1569, 2592, 2593))
	}
}

// oddScheme changes a scheme or its hash. RSA keys and keyed hashes have other schemes,
// which are no matter here.
func (s source) oddScheme(p *template) {
	switch p.kind {
	case wire.AlgHashMLDSA:
		p.scheme.hash = pick(s, tpm2.TPMAlgSHA1, tpm2.TPMAlgNull, tpm2.TPMAlgSM3256, wire.AlgSHAKE256x192, wire.AlgSHAKE256x256, wire.AlgSHAKE256x512)
	case tpm2.TPMAlgECC:
		if s.chance(0.5) {
			p.kdf = scheme{pick(s, tpm2.TPMAlgNull, wire.AlgHKDF, tpm2.TPMAlgKDF1SP80056A, tpm2.TPMAlgSHA256),
				pick(s, tpm2.TPMAlgSHA256, tpm2.TPMAlgSHA384, tpm2.TPMAlgSHA512, tpm2.TPMAlgSHA3256, tpm2.TPMAlgNull)}
			return
		}
		p.scheme = scheme{pick(s, tpm2.TPMAlgNull, tpm2.TPMAlgECDSA, tpm2.TPMAlgECDH, wire.AlgEdDSA, wire.AlgHashEdDSA, wire.AlgMLDSA, tpm2.TPMAlgRSASSA),
			pick(s, tpm2.TPMAlgSHA256, tpm2.TPMAlgNull)}
	}
}

// known makes a key outside of the TPM. RSA keys are the one of package conversation.
func (s source) known(p template) *key {
	k := &key{template: p, hierarchy: uint32(tpm2.TPMRHNull)}
	k.private = s.bytes(p.privateSize())
	switch {
	case p.kind == tpm2.TPMAlgRSA:
		k.private = conversation.KeyNamed("rsa").Secret
	case p.kind == tpm2.TPMAlgECC && !p.montgomery():
		k.private[0] = 0 // below the order
	}
	if size := wire.DigestSize(p.nameAlg); p.storage() || p.kind == tpm2.TPMAlgKeyedHash {
		k.seed = s.bytes(size)
	}
	k.unique = p.publicOf(k.private, k.seed)
	return k
}

// sensitive is the TPMT_SENSITIVE of a key that is known, with an authorization value.
func (k *key) sensitive(auth []byte) []byte {
	return slices.Concat(wire.U16(uint16(k.kind)), wire.Sized(auth), wire.Sized(k.seed), wire.Sized(k.private))
}
