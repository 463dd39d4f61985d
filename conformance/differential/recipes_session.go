package differential

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
)

// Session types (TPM 2.0 Library Part 2, section "TPM_SE").
const (
	sessionHMAC   = 0
	sessionPolicy = 1
	sessionTrial  = 3
)

// sessionRecipes are the commands on sessions and policies. Sessions are
// neither bound nor salted: the bytes of a script are fixed, and a session key
// would depend on secrets of the device. HMACs are made when a script is played.
var sessionRecipes = map[tpm2.TPMCC]recipe{
	tpm2.TPMCCStartAuthSession:        {weight: 8, parameters: sessionStart, handles: unboundUnsalted, effect: sessionStarted},
	tpm2.TPMCCPolicyRestart:           {weight: 2, parameters: nothing},
	tpm2.TPMCCPolicyGetDigest:         {weight: 6, parameters: nothing},
	tpm2.TPMCCPolicyPassword:          {weight: 2, parameters: nothing},
	tpm2.TPMCCPolicyAuthValue:         {weight: 2, parameters: nothing},
	tpm2.TPMCCPolicyPhysicalPresence:  {weight: 1, parameters: nothing},
	tpm2.TPMCCPolicyLocality:          {weight: 3, parameters: localityMask},
	tpm2.TPMCCPolicyCommandCode:       {weight: 3, parameters: policyCode},
	tpm2.TPMCCPolicyNvWritten:         {weight: 2, parameters: yesNo},
	tpm2.TPMCCPolicyPCR:               {weight: 3, parameters: policyPCR},
	tpm2.TPMCCPolicyOR:                {weight: 2, parameters: digestList},
	tpm2.TPMCCPolicyCpHash:            {weight: 1, parameters: oneDigest},
	tpm2.TPMCCPolicyNameHash:          {weight: 1, parameters: oneDigest},
	tpm2.TPMCCPolicyTemplate:          {weight: 1, parameters: oneDigest},
	tpm2.TPMCCPolicyDuplicationSelect: {weight: 1, parameters: duplicationSelect},
	tpm2.TPMCCPolicyCounterTimer:      {weight: 2, parameters: counterTimer},
	tpm2.TPMCCPolicySecret:            {weight: 3, parameters: policySecret},
	tpm2.TPMCCPolicyAuthorize:         {weight: 1, parameters: policyAuthorize},
	tpm2.TPMCCPolicyTicket:            {weight: 1, parameters: policyTicket},
}

// assertion is a policy of one assertion without secrets.
type assertion struct {
	code       tpm2.TPMCC
	parameters []byte
}

// satisfiable are policies a session of the generator may come to satisfy.
var satisfiable = [...]assertion{
	{tpm2.TPMCCPolicyLocality, []byte{0x01}},
	{tpm2.TPMCCPolicyLocality, []byte{0x1f}},
	{tpm2.TPMCCPolicyAuthValue, nil}, // what PolicyPassword adds is the same
	{tpm2.TPMCCPolicyNvWritten, []byte{0}},
	{tpm2.TPMCCPolicyNvWritten, []byte{1}},
	{tpm2.TPMCCPolicyCommandCode, u32(uint32(tpm2.TPMCCNVChangeAuth))},
	{tpm2.TPMCCPolicyCommandCode, u32(uint32(tpm2.TPMCCPCRExtend))},
}

// digest is the policy's with SHA-256: the hash of a zero digest, the command
// code and the parameters (TPM 2.0 Library Part 3, section "EA Commands").
func (a assertion) digest() []byte {
	return sha256Of(make([]byte, 32), u32(uint32(a.code)), a.parameters)
}

func sha256Of(parts ...[]byte) []byte {
	sum := sha256.Sum256(bytes.Join(parts, nil))
	return sum[:]
}

func unboundUnsalted(*generator) []uint32 {
	return []uint32{uint32(tpm2.TPMRHNull), uint32(tpm2.TPMRHNull)}
}

func sessionStart(g *generator) []byte {
	nonce := g.bytes(pick(g, 16, 20, 32, 32))
	if g.odd() {
		nonce = g.bytes(pick(g, 0, 15, 33, 64, 65))
	}
	b := conformance.AppendSized(nil, nonce)
	b = append(b, 0, 0) // encryptedSalt
	kind := pick[byte](g, sessionPolicy, sessionPolicy, sessionTrial, sessionHMAC)
	if g.odd() {
		kind = pick[byte](g, 2, 4, 0xff)
	}
	b = append(b, kind)
	b = append(b, sessionSymmetric(g)...)
	algorithm := tpm2.TPMAlgSHA256
	if g.chance(0.2) {
		algorithm = g.hash()
	}
	return append(b, u16(uint16(algorithm))...)
}

// sessionSymmetric draws a TPMT_SYM_DEF.
func sessionSymmetric(g *generator) []byte {
	switch g.rng.IntN(4) {
	case 0:
		return symmetric(g, false)
	case 1:
		return append(u16(uint16(tpm2.TPMAlgXOR)), u16(uint16(g.hash()))...)
	}
	return u16(uint16(tpm2.TPMAlgNull))
}

func sessionStarted(m *model, p conformance.Packet, r conformance.Response) {
	_, rest, _ := conformance.CutSized(p.Parameters)
	_, rest, ok := conformance.CutSized(rest)
	if ok && len(rest) > 2 {
		hash := tpm2.TPMAlgID(binary.BigEndian.Uint16(rest[len(rest)-2:]))
		m.sessions = append(m.sessions, session{handle: r.Handle, kind: rest[0], hash: hash})
	}
}

func localityMask(g *generator) []byte {
	if g.odd() {
		return []byte{byte(g.rng.UintN(256))}
	}
	return []byte{pick[byte](g, 1, 1, 0x1f, 2, 3, 8)}
}

func policyCode(g *generator) []byte {
	if g.odd() {
		return u32(g.rng.Uint32N(0x200))
	}
	return u32(uint32(pick(g, tpm2.TPMCCNVChangeAuth, tpm2.TPMCCPCRExtend, tpm2.TPMCCClear, tpm2.TPMCCNVUndefineSpaceSpecial)))
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
	b := u32(uint32(n))
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
	b = append(b, u16(offset)...)
	return append(b, u16(uint16(g.rng.UintN(13)))...)
}

// policySecret draws nonceTPM, cpHashA, policyRef and expiration.
func policySecret(g *generator) []byte {
	b := []byte{0, 0}
	if g.odd() {
		b = g.sized(32)
	}
	cpHash := []byte{0, 0}
	if g.chance(0.2) {
		cpHash = oneDigest(g)
	}
	b = append(b, cpHash...)
	b = append(b, g.sized(8)...)
	return append(b, u32(pick[uint32](g, 0, 0, 0, 1000, 0xfffffff0))...)
}

func policyAuthorize(g *generator) []byte {
	b := oneDigest(g)
	b = append(b, g.sized(8)...)
	b = append(b, conformance.AppendSized(nil, append(u16(uint16(tpm2.TPMAlgSHA256)), g.bytes(32)...))...)
	return append(b, ticket(g, pick[uint16](g, 0x8022, 0x8022, 0x8024))...)
}

// ticket draws a ticket that is not one: with an empty digest, or a wrong one.
func ticket(g *generator, tag uint16) []byte {
	b := append(u16(tag), u32(g.ticketHierarchy())...)
	return append(b, conformance.AppendSized(nil, g.bytes(pick(g, 0, 32, 64)))...)
}

func policyTicket(g *generator) []byte {
	b := conformance.AppendSized(nil, g.bytes(pick(g, 8, 0, 9)))
	b = append(b, 0, 0)
	b = append(b, g.sized(4)...)
	b = append(b, conformance.AppendSized(nil, append(u16(uint16(tpm2.TPMAlgSHA256)), g.bytes(32)...))...)
	return append(b, ticket(g, pick[uint16](g, 0x8023, 0x8025, 0x8024))...)
}
