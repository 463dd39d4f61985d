package generator

import (
	"bytes"
	"crypto/sha256"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

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
	case conformance.PolicySession:
		if handle, ok := g.policySession(); ok {
			return handle
		}
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

// policySession draws a session that makes a policy, mostly; if there is none, one
// is started.
func (g *generator) policySession() (uint32, bool) {
	var of []uint32
	for _, s := range g.model.sessions {
		if s.kind != wire.SessionHMAC && !s.saved {
			of = append(of, s.handle)
		}
	}
	fresh := g.chance(0.2) // what an old one has come to may contradict
	switch {
	case g.chance(0.1):
		return 0, false
	case len(of) > 0 && (!fresh || g.preparing > maxPreparing):
		return pick(g, of...), true
	case g.preparing > maxPreparing || !g.can(tpm2.TPMCCStartAuthSession):
		return 0, false
	}
	return g.startSession(pick[byte](g, wire.SessionPolicy, wire.SessionTrial), pick(g, tpm2.TPMAlgSHA256, tpm2.TPMAlgSHA256, tpm2.TPMAlgSHA384))
}

// hole is a field of an earlier answer as the reference has it, and for each
// device its own.
func (g *generator) hole(r result, field int) area {
	value, ok := g.player.Field(r.id, field)
	if !ok {
		return plain([]byte{0, 0})
	}
	return holeIn(value, conversation.Hole{Step: r.id, Field: field})
}

// past draws one of the last successes of a command; the newest is the most
// likely.
func (g *generator) past(code tpm2.TPMCC) (result, bool) {
	past := g.model.past[code]
	if len(past) == 0 {
		return result{}, false
	}
	if g.chance(0.6) {
		return past[len(past)-1], true
	}
	return past[g.rng.IntN(len(past))], true
}

// answerTo gives a success of a command: a past one, or a new one.
func (g *generator) answerTo(code tpm2.TPMCC) (result, bool) {
	if r, ok := g.past(code); ok && g.chance(0.8) {
		return r, true
	}
	if g.preparing > maxPreparing || !g.can(code) {
		return g.past(code)
	}
	if r, ok := g.sound(code, "to have one"); ok {
		return r, true
	}
	return g.past(code)
}

func sha256Of(parts ...[]byte) []byte {
	sum := sha256.Sum256(bytes.Join(parts, nil))
	return sum[:]
}

// authValue draws a new authorization value; trailing zeros are dropped by
// the TPM (TPM 2.0 Library Part 1, section "Authorization Values").
func authValue(g *generator) []byte {
	value := g.bytes(g.rng.IntN(33))
	if g.chance(0.3) {
		value = nil
	}
	if g.odd() {
		value = append(g.bytes(g.rng.IntN(70)), make([]byte, g.rng.IntN(3))...)
	}
	return conformance.AppendSized(nil, value)
}

func (g *generator) ticketHierarchy() uint32 {
	if g.odd() {
		return g.strangeHandle()
	}
	return uint32(pick(g, tpm2.TPMRHOwner, tpm2.TPMRHEndorsement, tpm2.TPMRHPlatform, tpm2.TPMRHNull))
}

// presentClock is the clock value in milliseconds that scripts begin with, so
// that "in the past" does not depend on how long a script has been running.
const presentClock = 1_000_000
