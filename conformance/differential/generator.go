package differential

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
)

// style is how a generator behaves in one layer.
type style struct {
	// wild is the probability that a drawn value is odd: out of range, of the
	// wrong kind, not there.
	wild float64
	// mutate is the probability that a finished command is damaged.
	mutate float64
	// localities to send at; the first is the usual one.
	localities []uint8
	// minCommand is the smallest command in bytes the targets answer.
	minCommand int
}

// generator draws commands. It is given the reference's answer to each and
// keeps a model of the state they left, so that most commands make sense.
type generator struct {
	rng   *rand.Rand
	style style
	// theme are the commands this script is about; they are drawn more often.
	theme map[tpm2.TPMCC]recipe
	// handles are those of the command whose parameters are being drawn, and
	// secrets those of its HMAC sessions.
	handles []uint32
	secrets []Secret
	// shared are the commands both devices have, by rising code, and others
	// the codes only one has.
	shared []uint32
	others []uint32
	model  model
}

// model is what the generator believes about the reference.
type model struct {
	// auths are the authorization values of hierarchies and of PCRs; PCRs of
	// the one authorization group share an entry.
	auths map[uint32][]byte
	// objects are the live sequence objects and keys.
	objects []object
	// clockSet says that the clock has been set since power was applied, and so
	// is far from zero.
	clockSet bool
	// sessions are the live sessions, indices the defined NV indices.
	sessions []session
	indices  []index
}

type session struct {
	handle uint32
	// kind is a TPM_SE: 0 HMAC, 1 policy, 3 trial.
	kind byte
	// hash is the session's algorithm.
	hash tpm2.TPMAlgID
}

type index struct {
	handle     uint32
	auth       []byte
	attributes uint32
	size       int
	// platform says that the platform defined it, written that it has a value.
	platform, written bool
}

type object struct {
	handle uint32
	auth   []byte
	// key is an object with a name, as opposed to a sequence.
	key bool
}

// pcrAuthGroup is where the model keeps the value of the PCRs 20 to 22, which
// are the only ones with an authorization value in the references.
const pcrAuthGroup = 20

// newGenerator draws from stream of seed: equal arguments give equal scripts
// as long as the reference gives equal answers.
func newGenerator(seed, stream uint64, style style, shared, others []uint32) *generator {
	g := &generator{
		rng: rand.New(rand.NewPCG(seed, stream)), style: style, shared: shared, others: others,
		model: model{auths: map[uint32][]byte{}},
	}
	g.theme = pick(g, basics, sessionRecipes, nvRecipes, objectRecipes)
	return g
}

func (g *generator) chance(p float64) bool { return g.rng.Float64() < p }

// odd says whether the value to be drawn next should be a strange one.
func (g *generator) odd() bool { return g.chance(g.style.wild) }

func pick[T any](g *generator, from ...T) T { return from[g.rng.IntN(len(from))] }

func (g *generator) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(g.rng.UintN(256))
	}
	return b
}

// sized draws a TPM2B with up to limit bytes, and sometimes more.
func (g *generator) sized(limit int) []byte {
	n := g.rng.IntN(limit + 1)
	if g.odd() {
		n = pick(g, 0, limit, limit+1, limit+2, 2*limit+3, 1024, 1025)
	}
	return conformance.AppendSized(nil, g.bytes(n))
}

// hashSizes are the digest sizes in bytes of the algorithms the banks of all
// implementations use.
var hashSizes = map[tpm2.TPMAlgID]int{
	tpm2.TPMAlgSHA1: 20, tpm2.TPMAlgSHA256: 32, tpm2.TPMAlgSHA384: 48, tpm2.TPMAlgSHA512: 64,
}

// hash draws the identifier of a hash algorithm.
func (g *generator) hash() tpm2.TPMAlgID {
	if g.odd() {
		return g.algorithm()
	}
	return pick(g, tpm2.TPMAlgSHA1, tpm2.TPMAlgSHA256, tpm2.TPMAlgSHA256, tpm2.TPMAlgSHA384, tpm2.TPMAlgSHA512)
}

// algorithm draws any algorithm identifier, defined or not.
func (g *generator) algorithm() tpm2.TPMAlgID {
	if g.chance(0.1) {
		return tpm2.TPMAlgID(g.rng.UintN(0x10000))
	}
	return tpm2.TPMAlgID(g.rng.UintN(0x48))
}

// strangeHandles has at least one handle of every kind, absent ones and ones
// next to a limit (TPM 2.0 Library Part 2, sections "Handles" and
// "TPM_RH").
var strangeHandles = [...]uint32{
	0, 23, 24, 31, 32, 0x00ffffff,
	0x01000000, 0x01400001, 0x01800000, 0x01c00002, 0x01ffffff,
	0x02000000, 0x02000001, 0x0200003f, 0x02000040, 0x03000000, 0x03000040,
	0x40000000, 0x40000001, 0x40000002, 0x40000006, 0x40000007, 0x40000008, 0x40000009,
	0x4000000a, 0x4000000b, 0x4000000c, 0x4000000d, 0x4000000e, 0x40000010, 0x4000010f, 0x40000110, 0x4000011f, 0x40000140,
	0x80000000, 0x80000001, 0x80000002, 0x80000003, 0x80ffffff,
	0x81000000, 0x81000001, 0x81800000, 0x81ffffff,
	0x90000000, 0xc0000000, 0xffffffff,
}

func (g *generator) strangeHandle() uint32 {
	if g.chance(0.05) {
		return g.rng.Uint32()
	}
	return strangeHandles[g.rng.IntN(len(strangeHandles))]
}

// handle draws a handle of a kind.
func (g *generator) handle(kind conformance.HandleKind) uint32 {
	if g.odd() {
		return g.strangeHandle()
	}
	switch kind {
	case conformance.PCR:
		return uint32(g.rng.UintN(24))
	case conformance.Hierarchy, conformance.NVAuth, conformance.Entity:
		return uint32(pick(g, tpm2.TPMRHPlatform, tpm2.TPMRHPlatform, tpm2.TPMRHOwner, tpm2.TPMRHEndorsement, tpm2.TPMRHLockout))
	case conformance.Object, conformance.Context:
		if n := len(g.model.objects); n > 0 {
			return g.model.objects[g.rng.IntN(n)].handle
		}
		return 0x80000000
	case conformance.NVIndex:
		if n := len(g.model.indices); n > 0 && g.chance(0.9) {
			return g.model.indices[g.rng.IntN(n)].handle
		}
		return pick[uint32](g, 0x01400001, 0x01800001, 0x01c00002)
	}
	if n := len(g.model.sessions); n > 0 && g.chance(0.9) {
		return g.model.sessions[g.rng.IntN(n)].handle
	}
	return pick[uint32](g, 0x02000000, 0x03000000)
}

// auth gives the authorization value the model has for a handle.
func (g *generator) auth(handle uint32) []byte {
	for _, o := range g.model.objects {
		if o.handle == handle {
			return o.auth
		}
	}
	for _, n := range g.model.indices {
		if n.handle == handle {
			return n.auth
		}
	}
	if handle >= pcrAuthGroup && handle <= 22 {
		handle = pcrAuthGroup
	}
	return g.model.auths[handle]
}

// packet draws a command with the given code, sound as far as the generator
// can tell and the values drawn are not odd.
func (g *generator) packet(code uint32) conformance.Packet {
	command, _ := conformance.Lookup(code)
	p := conformance.Packet{Code: code}
	g.secrets = nil
	for _, kind := range command.Handles {
		p.Handles = append(p.Handles, g.handle(kind))
	}
	recipe, known := recipes[tpm2.TPMCC(code)]
	if known && recipe.handles != nil && !g.odd() {
		p.Handles = recipe.handles(g)
	}
	for i := range command.Auths {
		p.Sessions = append(p.Sessions, g.authorization(p.Handles[i]))
	}
	g.handles = p.Handles
	if known {
		p.Parameters = recipe.parameters(g)
	} else {
		p.Parameters = g.bytes(g.rng.IntN(40))
	}
	return p
}

// authorization draws the authorization for a handle: its value in the clear,
// now and then an HMAC session, a policy session without an HMAC, or any
// session with a wrong one.
func (g *generator) authorization(handle uint32) conformance.Session {
	s := conformance.Password(g.auth(handle))
	if n := len(g.model.sessions); n > 0 && g.chance(0.3) {
		live := g.model.sessions[g.rng.IntN(n)]
		s = conformance.Session{Handle: live.handle, Nonce: g.bytes(pick(g, 0, 16, 32)), Attributes: conformance.ContinueSession}
		switch size := hashSizes[live.hash]; {
		case live.kind == sessionHMAC && size > 0 && g.plainName(handle) && !g.odd():
			s.HMAC = make([]byte, size)
			g.secrets = append(g.secrets, Secret{Session: live.handle, Auth: g.auth(handle)})
		case g.chance(0.2):
			s.HMAC = g.bytes(32)
		}
		if g.chance(0.1) {
			s.Attributes = 0 // the session ends
		}
		return s
	}
	s.Attributes = pick[uint8](g, 0, conformance.ContinueSession)
	return s
}

// plainName says whether the name of an entity is its handle or empty, so that
// the caller's side can make an HMAC without asking for it.
func (g *generator) plainName(handle uint32) bool {
	switch handle >> 24 {
	case 0x00, 0x40:
		return true
	case 0x80:
		return !slices.ContainsFunc(g.model.objects, func(o object) bool { return o.handle == handle && o.key })
	}
	return false
}

// draw draws the next command and damages it if the style says so.
func (g *generator) draw() Step {
	p := g.packet(g.code())
	if g.chance(g.style.mutate) {
		return g.damage(p)
	}
	return g.step(p.Bytes(), "")
}

// step wraps a command; one that is too short for the transport is lengthened
// with zeros, its size field left alone.
func (g *generator) step(command []byte, note string) Step {
	for len(command) < g.style.minCommand {
		command = append(command, 0)
	}
	step := Step{Action: Send, Data: command, Note: note}
	if len(g.secrets) > 0 {
		step.Action, step.Secrets = SendHMAC, g.secrets
	}
	if len(g.style.localities) > 0 {
		step.Locality = g.style.localities[0]
		if g.chance(0.3) {
			step.Locality = pick(g, g.style.localities...)
		}
	}
	return step
}

// code draws a command code, by weight.
func (g *generator) code() uint32 {
	total := 0
	for _, code := range g.shared {
		total += g.weight(code)
	}
	if total == 0 {
		return g.rng.Uint32N(0x200)
	}
	at := g.rng.IntN(total)
	for _, code := range g.shared {
		if at -= g.weight(code); at < 0 {
			return code
		}
	}
	panic("differential: weights changed while drawing")
}

// themeFactor is how much more often the commands of the theme are drawn.
const themeFactor = 8

// weight of a command without a recipe is least: its parameters are noise.
func (g *generator) weight(code uint32) int {
	r, ok := recipes[tpm2.TPMCC(code)]
	if !ok {
		return 1
	}
	if _, ok := g.theme[tpm2.TPMCC(code)]; ok {
		return themeFactor * r.weight
	}
	return r.weight
}

// observe tells the generator how the reference answered.
func (g *generator) observe(step Step, outcome Outcome) {
	if step.Action == Init || step.Action == PowerOff {
		g.model.objects, g.model.sessions, g.model.clockSet = nil, nil, false
		return
	}
	code, ok := conformance.CommandCode(step.Data)
	if !step.isCommand() || !ok || outcome.Err != nil {
		return
	}
	response, err := conformance.ParseResponse(code, outcome.Response)
	if err != nil || response.Code != 0 {
		return
	}
	g.model.endSessions(step.Data, response)
	recipe, ok := recipes[tpm2.TPMCC(code)]
	if !ok || recipe.effect == nil {
		return
	}
	if sent, ok := takeApart(step.Data); ok {
		recipe.effect(&g.model, sent, response)
	}
}

// endSessions forgets the sessions that a command ended.
func (m *model) endSessions(command []byte, response conformance.Response) {
	area, ok := sessionsOf(command)
	if !ok || len(area) != len(response.Sessions) {
		return
	}
	for i, s := range area {
		if response.Sessions[i].Attributes&conformance.ContinueSession == 0 {
			m.forget(s.Handle)
		}
	}
}

// takeApart splits a command the reference executed into handles and
// parameters.
func takeApart(raw []byte) (conformance.Packet, bool) {
	code, _ := conformance.CommandCode(raw)
	command, ok := conformance.Lookup(code)
	rest := raw[conformance.HeaderSize:]
	if !ok || len(rest) < 4*len(command.Handles) {
		return conformance.Packet{}, false
	}
	p := conformance.Packet{Code: code}
	for range command.Handles {
		p.Handles, rest = append(p.Handles, binary.BigEndian.Uint32(rest)), rest[4:]
	}
	if number(raw[:2]) == uint32(conformance.Sessions) {
		if len(rest) < 4 || uint64(number(rest[:4])) > uint64(len(rest)-4) {
			return conformance.Packet{}, false
		}
		rest = rest[4+number(rest[:4]):]
	}
	p.Parameters = rest
	return p, true
}
