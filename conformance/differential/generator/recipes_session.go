package generator

import (
	"bytes"
	"encoding/binary"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// sessionRecipes are the commands on sessions as such.
var sessionRecipes = map[tpm2.TPMCC]recipe{
	tpm2.TPMCCStartAuthSession: {weight: 8, parameters: sessionStart, handles: sessionKeys, effect: sessionStarted, secrets: boundTo},
	tpm2.TPMCCPolicyRestart:    {weight: 2, parameters: bare(nothing)},
	tpm2.TPMCCPolicyGetDigest:  {weight: 6, parameters: bare(nothing)},
}

// policyRecipes are the commands that make a policy.
var policyRecipes = map[tpm2.TPMCC]recipe{
	tpm2.TPMCCPolicyPassword:          {weight: 2, parameters: bare(nothing)},
	tpm2.TPMCCPolicyAuthValue:         {weight: 2, parameters: bare(nothing)},
	tpm2.TPMCCPolicyPhysicalPresence:  {weight: 1, parameters: bare(nothing)},
	tpm2.TPMCCPolicyLocality:          {weight: 3, parameters: bare(localityMask)},
	tpm2.TPMCCPolicyCommandCode:       {weight: 3, parameters: bare(policyCode)},
	tpm2.TPMCCPolicyNvWritten:         {weight: 2, parameters: bare(yesNo)},
	tpm2.TPMCCPolicyPCR:               {weight: 3, parameters: bare(policyPCR)},
	tpm2.TPMCCPolicyOR:                {weight: 2, parameters: bare(digestList)},
	tpm2.TPMCCPolicyCpHash:            {weight: 1, parameters: bare(oneDigest)},
	tpm2.TPMCCPolicyNameHash:          {weight: 1, parameters: bare(oneDigest)},
	tpm2.TPMCCPolicyTemplate:          {weight: 1, parameters: bare(oneDigest)},
	tpm2.TPMCCPolicyDuplicationSelect: {weight: 1, parameters: bare(duplicationSelect)},
	tpm2.TPMCCPolicyCounterTimer:      {weight: 2, parameters: bare(counterTimer)},
	tpm2.TPMCCPolicySecret:            {weight: 3, parameters: policySecret, handles: secretEntity},
	tpm2.TPMCCPolicySigned:            {weight: 3, parameters: policySigned, handles: policySigner},
	tpm2.TPMCCPolicyAuthorize:         {weight: 2, parameters: policyAuthorize},
	tpm2.TPMCCPolicyTicket:            {weight: 2, parameters: policyTicket},
	tpm2.TPMCCPolicyAuthorizeNV:       {weight: 2, parameters: bare(nothing), handles: nvAuthorizes},
}

// sessionKeys draws tpmKey and bind: neither mostly.
func sessionKeys(g *generator) []uint32 {
	g.roomForSession()
	key, bind := uint32(tpm2.TPMRHNull), uint32(tpm2.TPMRHNull)
	if g.chance(0.25) {
		key = g.objectOf(func(o *object) bool { return o.canBeSalted() }, "storage ECC", "storage ECC", "storage RSA", "decrypting RSA")
		g.keep = append(g.keep, key)
	}
	if g.chance(0.2) {
		bind = g.boundEntity()
	}
	return []uint32{key, bind}
}

// canBeSalted reports whether a salt can be encrypted to the object here.
func (o *object) canBeSalted() bool {
	if !o.key || !o.private || o.public.Attributes&wire.ObjectDecrypt == 0 || wire.Hashes[o.public.NameAlg] == 0 {
		return false
	}
	return o.public.Kind == tpm2.TPMAlgRSA && o.public.Bits >= 1024 ||
		o.public.Kind == tpm2.TPMAlgECC && (o.public.Curve == tpm2.TPMECCNistP256 || o.public.Curve == tpm2.TPMECCNistP384)
}

// boundEntity draws what a session can be bound to.
func (g *generator) boundEntity() uint32 {
	switch g.rng.IntN(4) {
	case 0:
		if o := g.someKey(); o != nil {
			return o.handle
		}
	case 1:
		if n := len(g.model.indices); n > 0 {
			if index := g.model.indices[g.rng.IntN(n)].handle; g.named([]uint32{index}) {
				return index
			}
		}
	}
	return uint32(pick(g, tpm2.TPMRHOwner, tpm2.TPMRHPlatform, tpm2.TPMRHEndorsement, tpm2.TPMRHLockout))
}

// boundTo gives the secret of the entity a session is bound to.
func boundTo(g *generator) []conversation.Secret {
	if g.handles[1] == uint32(tpm2.TPMRHNull) {
		return nil
	}
	return []conversation.Secret{{Session: conversation.BindSecret, Auth: g.model.auth(g.handles[1])}}
}

func sessionStart(g *generator) area {
	nonce := g.bytes(pick(g, 16, 20, 32, 32))
	if g.odd() {
		nonce = g.bytes(pick(g, 0, 15, 33, 64, 65))
	}
	kind := pick[byte](g, wire.SessionPolicy, wire.SessionPolicy, wire.SessionTrial, wire.SessionHMAC, wire.SessionHMAC)
	if g.odd() {
		kind = pick[byte](g, 2, 4, 0xff)
	}
	algorithm := tpm2.TPMAlgSHA256
	if g.chance(0.2) {
		algorithm = g.hash()
	}
	return join(plain(wire.Sized(nonce)), g.salt(), plain([]byte{kind}, sessionSymmetric(g), wire.U16(uint16(algorithm))))
}

// salt draws encryptedSalt.
func (g *generator) salt() area {
	key, ok := g.player.Public(g.handles[0])
	if !ok {
		if g.odd() {
			return plain(g.sized(64))
		}
		return plain([]byte{0, 0})
	}
	salt := g.bytes(max(wire.HashSizes[key.NameAlg], 20))
	secret, ok := conversation.ShareSecret(key, salt)
	if !ok {
		return plain(g.sized(64))
	}
	return holeIn(secret, conversation.Hole{Kind: conversation.HoleSalt, Text: salt})
}

// sessionSymmetric draws a TPMT_SYM_DEF.
func sessionSymmetric(g *generator) []byte {
	switch g.rng.IntN(5) {
	case 0, 1:
		if !g.odd() {
			return bytes.Join([][]byte{wire.U16(uint16(tpm2.TPMAlgAES)), wire.U16(pick[uint16](g, 128, 256)), wire.U16(uint16(tpm2.TPMAlgCFB))}, nil)
		}
		return symmetric(g, false)
	case 2:
		return append(wire.U16(uint16(tpm2.TPMAlgXOR)), wire.U16(uint16(g.hash()))...)
	}
	return wire.U16(uint16(tpm2.TPMAlgNull))
}

func sessionStarted(m *model, r result) {
	p := &wire.Cursor{Rest: r.command.Parameters}
	p.Sized() // nonceCaller
	p.Sized() // encryptedSalt
	s := session{handle: r.response.Handle, id: r.id, kind: p.U8(), symmetric: p.Alg() != tpm2.TPMAlgNull}
	if len(p.Rest) < 2 {
		return
	}
	s.hash = tpm2.TPMAlgID(binary.BigEndian.Uint16(p.Rest[len(p.Rest)-2:]))
	s.keyed = r.command.Handles[0] != uint32(tpm2.TPMRHNull) || r.command.Handles[1] != uint32(tpm2.TPMRHNull)
	m.forget(s.handle)
	m.sessions = append(m.sessions, s)
}

func localityMask(g *generator) []byte {
	if g.odd() {
		return []byte{byte(g.rng.UintN(256))}
	}
	return []byte{pick[byte](g, 1, 1, 0x1f, 2, 3, 8)}
}

func policyCode(g *generator) []byte {
	if g.odd() {
		return wire.U32(g.rng.Uint32N(0x200))
	}
	return wire.U32(uint32(pick(g, tpm2.TPMCCNVChangeAuth, tpm2.TPMCCPCRExtend, tpm2.TPMCCClear, tpm2.TPMCCNVUndefineSpaceSpecial)))
}

// policyPCR draws pcrDigest and selection; without a digest the policy is about
// the present values.
func policyPCR(g *generator) []byte {
	digest := []byte{0, 0}
	if g.chance(0.3) {
		digest = g.sized(32)
	}
	return append(digest, selection(g)...)
}

func oneDigest(g *generator) []byte {
	if g.odd() {
		return g.sized(64)
	}
	return conformance.AppendSized(nil, g.bytes(pick(g, 32, 32, 20, 48)))
}

func digestList(g *generator) []byte {
	n := 2 + g.rng.IntN(4)
	if g.odd() {
		n = pick(g, 0, 1, 8, 9)
	}
	b := wire.U32(uint32(n))
	for range n {
		digest := satisfiable[g.rng.IntN(len(satisfiable))].digest()
		if g.chance(0.2) {
			digest = g.bytes(32)
		}
		b = append(b, conformance.AppendSized(nil, digest)...)
	}
	return b
}

func duplicationSelect(g *generator) []byte {
	b := conformance.AppendSized(nil, g.bytes(pick(g, 34, 0, 22)))
	b = append(b, conformance.AppendSized(nil, g.bytes(34))...)
	return append(b, yesNo(g)...)
}

// counterTimer draws operandB, offset and operation. The operand is compared
// with the counts and safe: time and clock would be a matter of milliseconds.
func counterTimer(g *generator) []byte {
	offset := uint16(16 + g.rng.IntN(9))
	size := 1 + g.rng.IntN(25-int(offset))
	if g.odd() {
		offset = pick[uint16](g, 24, 25, 26, 0xffff)
	}
	b := conformance.AppendSized(nil, make([]byte, size))
	b = append(b, wire.U16(offset)...)
	return append(b, wire.U16(uint16(g.rng.UintN(13)))...)
}

// secretEntity draws an entity with a value, and a session.
func secretEntity(g *generator) []uint32 {
	entity := g.handle(conformance.Entity)
	if g.chance(0.4) {
		entity = g.boundEntity()
	}
	return []uint32{entity, g.handle(conformance.PolicySession)}
}

// assertedBy draws nonceTPM, cpHashA, policyRef and expiration.
func assertedBy(g *generator) area {
	session := g.handles[1]
	head := plain([]byte{0, 0})
	if nonce, ok := g.player.Nonce(session); ok && g.chance(0.4) {
		head = holeIn(wire.Sized(nonce), conversation.Hole{Kind: conversation.HoleNonce})
	}
	if g.odd() {
		head = plain(g.sized(32))
	}
	cpHash := []byte{0, 0}
	if g.chance(0.2) {
		cpHash = oneDigest(g)
	}
	return join(head, plain(cpHash, g.sized(8), wire.U32(pick[uint32](g, 0, 0, 0, 1000, 0xfffffff0, 0xfffffff0))))
}

func policySecret(g *generator) area { return assertedBy(g) }

// policySigner draws a key whose private part is known here, and a session.
func policySigner(g *generator) []uint32 {
	session := g.handle(conformance.PolicySession)
	g.keep = append(g.keep, session)
	for _, o := range g.model.objects {
		if o.knownKey() != nil && g.chance(0.7) {
			return []uint32{o.handle, session}
		}
	}
	if handle, ok := g.loadPublic(conversation.KeyNamed(pick(g, "rsa", "p256", "p384"))); ok {
		return []uint32{handle, session}
	}
	return []uint32{g.handle(conformance.Object), session}
}

// knownKey is the key of this package that the object is, nil if it is none.
func (o *object) knownKey() *conversation.Key {
	if !o.key {
		return nil
	}
	for _, k := range conversation.Keys() {
		if k.Asymmetric() && bytes.Equal(o.public.Raw[o.public.UniqueAt:], k.Unique()) {
			return k
		}
	}
	return nil
}

func policySigned(g *generator) area {
	o := g.model.object(g.handles[0])
	if o == nil || o.knownKey() == nil {
		return join(assertedBy(g), plain(g.noSignature()))
	}
	return join(assertedBy(g), policySignature(o.knownKey()))
}

// policyAuthorize draws a ticket that was given, or one that was not.
func policyAuthorize(g *generator) area {
	if r, ok := g.past(tpm2.TPMCCVerifySignature); ok && g.chance(0.3) {
		return join(plain(oneDigest(g), g.sized(8)), g.nameArea(r.command.Handles[0]), g.hole(r, 1))
	}
	return plain(oneDigest(g), g.sized(8), wire.Sized(append(wire.U16(uint16(tpm2.TPMAlgSHA256)), g.bytes(32)...)),
		ticket(g, pick[uint16](g, 0x8022, 0x8022, 0x8024)))
}

// ticket draws a ticket that is not one: with an empty digest, or a wrong one.
func ticket(g *generator, tag uint16) []byte {
	b := append(wire.U16(tag), wire.U32(g.ticketHierarchy())...)
	return append(b, wire.Sized(g.bytes(pick(g, 0, 32, 64)))...)
}

// policyTicket draws a ticket of TPM2_PolicySigned or TPM2_PolicySecret, or one
// that is none.
func policyTicket(g *generator) area {
	code := pick(g, tpm2.TPMCCPolicySigned, tpm2.TPMCCPolicySecret)
	if r, ok := g.past(code); ok && g.chance(0.7) {
		in := &wire.Cursor{Rest: r.command.Parameters}
		in.Sized() // nonceTPM
		cpHash, ref := in.Sized(), in.Sized()
		name := g.nameArea(r.command.Handles[0])
		if r.command.Handles[0]>>24 == 0x40 {
			name = plain(wire.Sized(wire.U32(r.command.Handles[0])))
		}
		return join(g.hole(r, 1), plain(wire.Sized(cpHash), wire.Sized(ref)), name, g.hole(r, 2))
	}
	return plain(wire.Sized(g.bytes(pick(g, 8, 0, 9))), []byte{0, 0}, g.sized(4),
		wire.Sized(append(wire.U16(uint16(tpm2.TPMAlgSHA256)), g.bytes(32)...)), ticket(g, pick[uint16](g, 0x8023, 0x8025, 0x8024)))
}
