package generator

import (
	"bytes"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// cryptoRecipes are the commands that use keys.
var cryptoRecipes = map[tpm2.TPMCC]recipe{
	tpm2.TPMCCRSAEncrypt:      {weight: 2, parameters: bare(rsaEncrypt), handles: one("decrypting RSA", "any RSA")},
	tpm2.TPMCCRSADecrypt:      {weight: 2, parameters: rsaDecrypt, handles: rsaDecryptKey},
	tpm2.TPMCCECDHKeyGen:      {weight: 2, parameters: bare(nothing), handles: one("decrypting ECC", "any ECC")},
	tpm2.TPMCCECDHZGen:        {weight: 3, parameters: ecdhZGen, handles: ecdhKey},
	tpm2.TPMCCECEphemeral:     {weight: 2, parameters: bare(func(g *generator) []byte { return wire.U16(uint16(g.curve())) })},
	tpm2.TPMCCCommit:          {weight: 2, parameters: bare(commit), handles: one("anonymous ECC", "anonymous ECC", "signing ECC")},
	tpm2.TPMCCZGen2Phase:      {weight: 2, parameters: zgen2Phase, handles: zgenKey},
	tpm2.TPMCCMAC:             {weight: 5, parameters: bare(hmacInput), handles: one("HMAC", "attesting HMAC")},
	tpm2.TPMCCMACStart:        {weight: 4, parameters: bare(hmacStart), handles: hmacStartKey, effect: sequenceStarted},
	tpm2.TPMCCEncryptDecrypt:  {weight: 4, parameters: encrypt, handles: cipherKey(tpm2.TPMCCEncryptDecrypt)},
	tpm2.TPMCCEncryptDecrypt2: {weight: 4, parameters: encrypt2, handles: cipherKey(tpm2.TPMCCEncryptDecrypt2)},
	tpm2.TPMCCSign:            {weight: 5, parameters: sign, handles: signKey},
	tpm2.TPMCCVerifySignature: {weight: 5, parameters: verifySignature, handles: verifyKey},
}

// decryptScheme draws a TPMT_RSA_DECRYPT.
func decryptScheme(g *generator) []byte {
	switch s := pick(g, tpm2.TPMAlgNull, tpm2.TPMAlgOAEP, tpm2.TPMAlgRSAES, tpm2.TPMAlgNull); {
	case g.odd():
		return scheme(g, tpm2.TPMAlgRSASSA, tpm2.TPMAlgOAEP)
	case s == tpm2.TPMAlgOAEP:
		return g.withHash(s, pick(g, tpm2.TPMAlgSHA256, tpm2.TPMAlgSHA1))
	default:
		return wire.U16(uint16(s))
	}
}

// label draws one as it has to be, with a zero at its end; most have none.
func label(g *generator) []byte {
	if g.chance(0.7) {
		return []byte{0, 0}
	}
	if g.odd() {
		return g.sized(10)
	}
	return wire.Sized(append(bytes.ReplaceAll(g.bytes(g.rng.IntN(10)), []byte{0}, []byte{1}), 0))
}

// rsaEncrypt draws message, inScheme and label.
func rsaEncrypt(g *generator) []byte {
	message := g.sized(60)
	if g.chance(0.1) {
		message = g.sized(256)
	}
	return bytes.Join([][]byte{message, decryptScheme(g), label(g)}, nil)
}

func rsaDecryptKey(g *generator) []uint32 {
	g.input = result{}
	if g.chance(0.8) {
		g.input, _ = g.answerTo(tpm2.TPMCCRSAEncrypt)
	}
	if len(g.input.command.Handles) == 1 && g.model.object(g.input.command.Handles[0]) != nil {
		return g.input.command.Handles
	}
	return one("decrypting RSA", "any RSA")(g)
}

func rsaDecrypt(g *generator) area {
	if g.input.id == 0 {
		cipher := g.bytes(pick(g, 256, 128, 256, 255))
		cipher[0] = 0 // less than any modulus
		return plain(wire.Sized(cipher), decryptScheme(g), label(g))
	}
	_, how, _ := conformance.CutSized(g.input.command.Parameters)
	return join(g.hole(g.input, 1), plain(how))
}

func ecdhKey(g *generator) []uint32 {
	g.input = result{}
	if g.chance(0.5) {
		g.input, _ = g.answerTo(tpm2.TPMCCECDHKeyGen)
	}
	if len(g.input.command.Handles) == 1 && g.model.object(g.input.command.Handles[0]) != nil {
		return g.input.command.Handles
	}
	return one("decrypting ECC", "any ECC")(g)
}

func ecdhZGen(g *generator) area {
	if g.input.id == 0 {
		return plain(g.point())
	}
	return g.hole(g.input, 2)
}

// point draws a TPM2B_ECC_POINT: that of a key of this package, mostly.
func (g *generator) point() []byte {
	if g.odd() {
		return wire.Sized(append(g.sized(32), g.sized(32)...))
	}
	k := conversation.KeyNamed("p256")
	for _, h := range g.handles {
		if o := g.model.object(h); o != nil && o.public.Curve == tpm2.TPMECCNistP384 {
			k = conversation.KeyNamed("p384")
		}
	}
	point := k.Unique()
	if g.chance(0.1) {
		x, y, _ := conformance.CutSized(point)
		y, _, _ = conformance.CutSized(y)
		point = append(g.padded(x), g.padded(y)...)
	}
	return wire.Sized(point)
}

// padded is a TPM2B of a number with some zeros in front, of which a library may
// have one for the sign.
func (g *generator) padded(number []byte) []byte {
	return wire.Sized(append(make([]byte, g.rng.IntN(3)), number...))
}

// noPoint is a TPM2B_ECC_POINT with empty coordinates.
var noPoint = []byte{0, 4, 0, 0, 0, 0}

// commit draws P1, s2 and y2.
func commit(g *generator) []byte {
	switch g.rng.IntN(4) {
	case 0:
		return bytes.Join([][]byte{noPoint, {0, 0}, {0, 0}}, nil)
	case 1, 2:
		return bytes.Join([][]byte{g.point(), {0, 0}, {0, 0}}, nil)
	}
	return bytes.Join([][]byte{pick(g, []byte{0, 0}, noPoint, g.point()), g.sized(20), g.sized(32)}, nil)
}

func zgenKey(g *generator) []uint32 {
	g.input, _ = g.answerTo(tpm2.TPMCCECEphemeral)
	return one("decrypting ECC", "any ECC")(g)
}

// zgen2Phase draws inQsB, inQeB, inScheme and counter.
func zgen2Phase(g *generator) area {
	s := pick(g, tpm2.TPMAlgECDH, tpm2.TPMAlgECDH, tpm2.TPMAlgECMQV, tpm2.TPMAlgSM2)
	if g.odd() {
		s = g.algorithm()
	}
	counter := plain(wire.U16(uint16(g.rng.UintN(4))))
	if g.input.id > 0 {
		counter = g.hole(g.input, 2)
	}
	return join(plain(g.point(), g.point(), wire.U16(uint16(s))), counter)
}

func hmacStartKey(g *generator) []uint32 {
	keys := one("HMAC", "attesting HMAC")(g)
	g.keep = append(g.keep, keys...)
	g.roomForObject(1)
	return keys
}

func hmacInput(g *generator) []byte {
	return append(g.sized(200), wire.U16(uint16(g.macHash()))...)
}

func hmacStart(g *generator) []byte {
	return append(authValue(g), wire.U16(uint16(g.macHash()))...)
}

// macHash is the scheme's hash algorithm mostly.
func (g *generator) macHash() tpm2.TPMAlgID {
	if g.chance(0.8) {
		return tpm2.TPMAlgNull
	}
	return g.hash()
}

// cipherKey draws what is to be decrypted, an answer to the same command, and
// its key; or any.
func cipherKey(code tpm2.TPMCC) func(*generator) []uint32 {
	return func(g *generator) []uint32 {
		g.input = result{}
		if r, ok := g.past(code); ok && g.chance(0.4) && g.model.object(r.command.Handles[0]) != nil {
			g.input = r
			return r.command.Handles
		}
		return one("cipher")(g)
	}
}

// encrypt draws decrypt, mode, ivIn and inData.
func encrypt(g *generator) area {
	if g.input.id > 0 {
		sent := &wire.Cursor{Rest: g.input.command.Parameters}
		decrypt := sent.U8()
		mode := sent.U16()
		return join(plain([]byte{1 - decrypt&1}, wire.U16(mode), wire.Sized(sent.Sized())), g.hole(g.input, 1))
	}
	return plain(yesNo(g), cipherMode(g), plainText(g))
}

// encrypt2 draws the same with inData first.
func encrypt2(g *generator) area {
	if g.input.id > 0 {
		sent := &wire.Cursor{Rest: g.input.command.Parameters}
		sent.Sized() // inData
		decrypt := sent.U8()
		return join(g.hole(g.input, 1), plain([]byte{1 - decrypt&1}, sent.Rest))
	}
	return plain(plainText(g), yesNo(g), cipherMode(g))
}

func cipherMode(g *generator) []byte {
	mode := pick(g, tpm2.TPMAlgNull, tpm2.TPMAlgCFB, tpm2.TPMAlgCBC, tpm2.TPMAlgCTR, tpm2.TPMAlgOFB, tpm2.TPMAlgECB)
	effective := mode
	if o := g.model.object(g.handles[0]); o != nil && o.public.Mode != 0 && o.public.Mode != tpm2.TPMAlgNull && g.chance(0.8) {
		effective = o.public.Mode
		mode = pick(g, tpm2.TPMAlgNull, effective)
	}
	if g.odd() {
		mode = g.algorithm()
	}
	iv := g.bytes(16)
	if effective == tpm2.TPMAlgECB || g.odd() {
		iv = g.bytes(pick(g, 0, 0, 15, 17))
	}
	return append(wire.U16(uint16(mode)), wire.Sized(iv)...)
}

func plainText(g *generator) []byte {
	if g.chance(0.3) {
		return g.sized(64)
	}
	return wire.Sized(g.bytes(16 * g.rng.IntN(5)))
}

// signKey draws a key and what it signs: a digest of a message the TPM has
// hashed, mostly, because only that is good enough for restricted keys.
func signKey(g *generator) []uint32 {
	g.input = result{}
	if g.chance(0.5) {
		g.input, _ = g.answerTo(tpm2.TPMCCHash)
	}
	return one("signing ECC", "signing RSA", "any ECC", "any RSA", "HMAC", "attesting ECC", "attesting RSA", "attesting HMAC")(g)
}

// sign draws digest, inScheme and validation.
func sign(g *generator) area {
	hash := tpm2.TPMAlgSHA256
	digest := plain(wire.Sized(g.bytes(32)))
	validation := plain(wire.U16(uint16(tpm2.TPMSTHashCheck)), wire.U32(uint32(tpm2.TPMRHNull)), []byte{0, 0})
	if g.input.id > 0 {
		_, rest, _ := conformance.CutSized(g.input.command.Parameters)
		hash = tpm2.TPMAlgID(wire.Number(rest[:2]))
		digest, validation = g.hole(g.input, 1), g.hole(g.input, 2)
	}
	return join(digest, plain(g.signScheme(g.handles[0], hash)), validation)
}

// signScheme draws a TPMT_SIG_SCHEME for a key and a digest.
func (g *generator) signScheme(handle uint32, hash tpm2.TPMAlgID) []byte {
	o := g.model.object(handle)
	if o == nil || g.odd() {
		return scheme(g, tpm2.TPMAlgRSASSA, tpm2.TPMAlgECDSA, tpm2.TPMAlgHMAC)
	}
	if o.public.Scheme != tpm2.TPMAlgNull && g.chance(0.5) {
		return wire.U16(uint16(tpm2.TPMAlgNull))
	}
	s := o.public.Scheme
	switch {
	case s != tpm2.TPMAlgNull:
	case o.public.Kind == tpm2.TPMAlgRSA:
		s = pick(g, tpm2.TPMAlgRSASSA, tpm2.TPMAlgRSAPSS)
	case o.public.Kind == tpm2.TPMAlgECC:
		s = pick(g, tpm2.TPMAlgECDSA, tpm2.TPMAlgECDSA, tpm2.TPMAlgECSchnorr)
	default:
		s = tpm2.TPMAlgHMAC
	}
	if s != tpm2.TPMAlgECDAA {
		return g.withHash(s, hash)
	}
	b := append(wire.U16(uint16(s)), wire.U16(uint16(hash))...)
	if r, ok := g.past(tpm2.TPMCCCommit); ok {
		p := r.response.Parameters
		return append(b, p[len(p)-2:]...)
	}
	return append(b, 0, 0)
}

// verifyKey draws a signature and the key that made it.
func verifyKey(g *generator) []uint32 {
	g.input = result{}
	if g.chance(0.7) {
		g.input, _ = g.answerTo(tpm2.TPMCCSign)
	}
	if len(g.input.command.Handles) == 1 && g.model.object(g.input.command.Handles[0]) != nil {
		return g.input.command.Handles
	}
	g.input = result{}
	return []uint32{g.objectOf(func(o *object) bool { return o.key && o.public.Attributes&wire.ObjectSign != 0 }, "any ECC", "any RSA")}
}

// verifySignature draws digest and signature.
func verifySignature(g *generator) area {
	if g.input.id > 0 {
		digest, _, _ := conformance.CutSized(g.input.command.Parameters)
		return join(g.digestOf(digest), g.hole(g.input, 1))
	}
	message := g.bytes(20)
	for _, k := range conversation.Keys() {
		o := g.model.object(g.handles[0])
		if o != nil && k.Asymmetric() && bytes.Equal(o.public.Raw[o.public.UniqueAt:], k.Unique()) {
			if s, ok := k.Sign(message); ok {
				return plain(wire.Sized(sha256Of(message)), s)
			}
		}
	}
	return plain(wire.Sized(g.bytes(32)), g.noSignature())
}

// digestOf is the digest that was signed: of an answer, or literally.
func (g *generator) digestOf(digest []byte) area {
	for _, r := range g.model.past[tpm2.TPMCCHash] {
		if a := g.hole(r, 1); bytes.Equal(a.bytes[2:], digest) {
			return a
		}
	}
	return plain(wire.Sized(digest))
}

// noSignature draws a TPMT_SIGNATURE of nothing.
func (g *generator) noSignature() []byte {
	switch s := pick(g, tpm2.TPMAlgRSASSA, tpm2.TPMAlgRSAPSS, tpm2.TPMAlgECDSA, tpm2.TPMAlgECSchnorr, tpm2.TPMAlgHMAC, tpm2.TPMAlgNull); s {
	case tpm2.TPMAlgNull:
		return wire.U16(uint16(s))
	case tpm2.TPMAlgRSASSA, tpm2.TPMAlgRSAPSS:
		return bytes.Join([][]byte{wire.U16(uint16(s)), wire.U16(uint16(tpm2.TPMAlgSHA256)), wire.Sized(g.bytes(pick(g, 256, 128, 10)))}, nil)
	case tpm2.TPMAlgHMAC:
		return bytes.Join([][]byte{wire.U16(uint16(s)), wire.U16(uint16(tpm2.TPMAlgSHA256)), g.bytes(32)}, nil)
	default:
		return bytes.Join([][]byte{wire.U16(uint16(s)), wire.U16(uint16(tpm2.TPMAlgSHA256)), wire.Sized(g.bytes(32)), wire.Sized(g.bytes(32))}, nil)
	}
}
