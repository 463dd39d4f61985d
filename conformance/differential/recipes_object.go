package differential

import (
	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
)

// objectRecipes are the commands on keys. Keys come from outside, with both
// parts known, so that what is done with them can be compared exactly.
var objectRecipes = map[tpm2.TPMCC]recipe{
	tpm2.TPMCCLoadExternal:    {weight: 6, parameters: external, effect: externalLoaded},
	tpm2.TPMCCReadPublic:      {weight: 4, parameters: nothing},
	tpm2.TPMCCHMAC:            {weight: 5, parameters: hmacInput},
	tpm2.TPMCCHMACStart:       {weight: 4, parameters: hmacStart, effect: sequenceStarted},
	tpm2.TPMCCEncryptDecrypt:  {weight: 4, parameters: encrypt},
	tpm2.TPMCCEncryptDecrypt2: {weight: 4, parameters: encrypt2},
	tpm2.TPMCCUnseal:          {weight: 1, parameters: nothing},
}

// Attributes of objects (TPM 2.0 Library Part 2, section "TPMA_OBJECT").
const (
	objectUserWithAuth = 1 << 6
	objectNoDA         = 1 << 10
	objectDecrypt      = 1 << 17
	objectSign         = 1 << 18
)

// external draws the parameters of LoadExternal: a keyed hash key or a
// symmetric key, with its sensitive area and in the null hierarchy, or the
// public area alone.
func external(g *generator) []byte {
	auth := stripped(authValue(g))
	seed := g.bytes(32)
	key := g.bytes(32)
	public, kind := keyedHash(g, seed, key), tpm2.TPMAlgKeyedHash
	if g.chance(0.4) {
		key = key[:16]
		public, kind = symmetricKey(g, seed, key), tpm2.TPMAlgSymCipher
	}
	hierarchy := uint32(tpm2.TPMRHNull)
	sensitive := u16(uint16(kind))
	sensitive = conformance.AppendSized(sensitive, auth)
	sensitive = conformance.AppendSized(sensitive, seed)
	sensitive = conformance.AppendSized(sensitive, key)
	b := conformance.AppendSized(nil, sensitive)
	if g.chance(0.1) {
		b, hierarchy = []byte{0, 0}, g.ticketHierarchy()
	}
	b = append(b, conformance.AppendSized(nil, public)...)
	return append(b, u32(hierarchy)...)
}

// attributes draws the attributes of a key, sensible ones mostly.
func (g *generator) attributes(sensible uint32) []byte {
	if g.odd() {
		sensible ^= 1 << g.rng.UintN(32)
	}
	return u32(sensible)
}

func keyedHash(g *generator, seed, key []byte) []byte {
	b := append(u16(uint16(tpm2.TPMAlgKeyedHash)), u16(uint16(tpm2.TPMAlgSHA256))...)
	b = append(b, g.attributes(objectUserWithAuth|objectNoDA|objectSign)...)
	b = append(b, 0, 0) // authPolicy
	if g.chance(0.8) {
		b = append(b, u16(uint16(tpm2.TPMAlgHMAC))...)
		b = append(b, u16(uint16(pick(g, tpm2.TPMAlgSHA256, tpm2.TPMAlgSHA1, tpm2.TPMAlgSHA384)))...)
	} else {
		b = append(b, keyedHashScheme(g)...)
	}
	return conformance.AppendSized(b, g.unique(seed, key))
}

func symmetricKey(g *generator, seed, key []byte) []byte {
	b := append(u16(uint16(tpm2.TPMAlgSymCipher)), u16(uint16(tpm2.TPMAlgSHA256))...)
	b = append(b, g.attributes(objectUserWithAuth|objectNoDA|objectDecrypt|objectSign)...)
	b = append(b, 0, 0)
	b = append(b, u16(uint16(tpm2.TPMAlgAES))...)
	b = append(b, u16(128)...)
	b = append(b, u16(uint16(pick(g, tpm2.TPMAlgCFB, tpm2.TPMAlgNull, tpm2.TPMAlgCBC, tpm2.TPMAlgCTR, tpm2.TPMAlgOFB, tpm2.TPMAlgECB)))...)
	return conformance.AppendSized(b, g.unique(seed, key))
}

// unique is the hash that binds the public area to the sensitive area, wrong
// now and then.
func (g *generator) unique(seed, key []byte) []byte {
	sum := sha256Of(seed, key)
	if g.odd() {
		sum[0] ^= 1
	}
	return sum
}

func externalLoaded(m *model, p conformance.Packet, r conformance.Response) {
	sensitive, _, _ := conformance.CutSized(p.Parameters)
	var auth []byte
	if len(sensitive) > 2 {
		auth = stripped(sensitive[2:])
	}
	m.objects = append(m.objects, object{handle: r.Handle, auth: auth, key: true})
}

func hmacInput(g *generator) []byte {
	return append(g.sized(200), u16(uint16(g.macHash()))...)
}

func hmacStart(g *generator) []byte {
	return append(authValue(g), u16(uint16(g.macHash()))...)
}

// macHash is the scheme's hash algorithm mostly.
func (g *generator) macHash() tpm2.TPMAlgID {
	if g.chance(0.5) {
		return tpm2.TPMAlgNull
	}
	return g.hash()
}

// encrypt draws decrypt, mode, ivIn and inData.
func encrypt(g *generator) []byte {
	return append(append(yesNo(g), cipherMode(g)...), plainText(g)...)
}

// encrypt2 draws the same with inData first.
func encrypt2(g *generator) []byte {
	return append(append(plainText(g), yesNo(g)...), cipherMode(g)...)
}

func cipherMode(g *generator) []byte {
	mode := pick(g, tpm2.TPMAlgNull, tpm2.TPMAlgCFB, tpm2.TPMAlgCBC, tpm2.TPMAlgCTR, tpm2.TPMAlgOFB, tpm2.TPMAlgECB)
	if g.odd() {
		mode = g.algorithm()
	}
	iv := g.bytes(16)
	if mode == tpm2.TPMAlgECB || g.odd() {
		iv = g.bytes(pick(g, 0, 0, 15, 17))
	}
	return append(u16(uint16(mode)), conformance.AppendSized(nil, iv)...)
}

func plainText(g *generator) []byte {
	if g.chance(0.3) {
		return g.sized(64)
	}
	return conformance.AppendSized(nil, g.bytes(16*g.rng.IntN(5)))
}
