package generator

import (
	"bytes"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// program is a policy and how a session comes to satisfy it.
type program struct {
	// digest is its authPolicy on the reference; id is the step that gave it,
	// 0 if it is the same on every device.
	digest []byte
	id     int
	hash   tpm2.TPMAlgID
	// assertions are made one after the other.
	assertions []assertion
	// password and auth say what the session needs besides.
	password, auth bool
}

// assertion makes one policy command on a session. forWhat is the command that
// the session is to authorize, nil on a trial session.
type assertion func(g *generator, session uint32, forWhat *draft) bool

// makers draw the assertions of a program. A maker gives nil where it has
// nothing to offer.
var makers = [...]func(g *generator, p *program) assertion{
	makeAuthValue, makePassword, makeLocality, makePCR, makePolicySecret, makePolicySigned, makeCounterTimer,
	makeAuthorize, makePolicyNV, makeOr, makePresence,
}

// programCommands are the commands that programs need.
var programCommands = []tpm2.TPMCC{tpm2.TPMCCStartAuthSession, tpm2.TPMCCPolicyGetDigest, tpm2.TPMCCFlushContext}

// program draws a policy that allows a command, or any command if it is 0, and
// has its digest computed by the reference. It gives nil if that fails.
func (g *generator) program(code tpm2.TPMCC) *program {
	if !g.can(programCommands...) || g.preparing > maxPreparing {
		return nil
	}
	p := &program{hash: tpm2.TPMAlgSHA256}
	for range 1 + g.rng.IntN(2) {
		if a := makers[g.rng.IntN(len(makers))](g, p); a != nil {
			p.assertions = append(p.assertions, a)
		}
	}
	if code != 0 {
		p.assertions = append(p.assertions, makeAllowing(g, code))
	}
	trial, ok := g.startSession(wire.SessionTrial, p.hash)
	if !ok || !p.assert(g, trial, nil) {
		return nil
	}
	r, ok := g.sessionCommand(tpm2.TPMCCPolicyGetDigest, trial, area{})
	g.flush(trial)
	if !ok {
		return nil
	}
	p.id = r.id
	digest, _, _ := conformance.CutSized(r.response.Parameters)
	p.digest = bytes.Clone(digest)
	g.programs[string(p.digest)] = p
	return p
}

// assert makes all assertions on a session.
func (p *program) assert(g *generator, session uint32, forWhat *draft) bool {
	for _, a := range p.assertions {
		if !a(g, session, forWhat) {
			return false
		}
	}
	return true
}

// area is the authPolicy as a TPM2B_DIGEST.
func (p *program) area() area {
	a := plain(wire.Sized(p.digest))
	if p.id == 0 {
		return a
	}
	return holeIn(a.bytes, conversation.Hole{Kind: conversation.HoleField, Step: p.id, Field: 1})
}

// sessionCommand sends a policy command that takes a session and nothing else.
func (g *generator) sessionCommand(code tpm2.TPMCC, session uint32, parameters area) (result, bool) {
	return g.send(draft{
		Packet: conformance.Packet{Code: uint32(code), Handles: []uint32{session}, Parameters: parameters.bytes},
		spans:  parameters.spans,
	}, "policy")
}

// simple is an assertion by a command with given parameters.
func simple(code tpm2.TPMCC, parameters ...[]byte) assertion {
	p := plain(parameters...)
	return func(g *generator, session uint32, _ *draft) bool {
		_, ok := g.sessionCommand(code, session, p)
		return ok
	}
}

func makeAuthValue(g *generator, p *program) assertion {
	if !g.can(tpm2.TPMCCPolicyAuthValue) {
		return nil
	}
	p.auth, p.password = true, false
	return simple(tpm2.TPMCCPolicyAuthValue)
}

func makePassword(g *generator, p *program) assertion {
	if !g.can(tpm2.TPMCCPolicyPassword) {
		return nil
	}
	p.auth, p.password = false, true
	return simple(tpm2.TPMCCPolicyPassword)
}

func makeLocality(g *generator, _ *program) assertion {
	if !g.can(tpm2.TPMCCPolicyLocality) {
		return nil
	}
	return simple(tpm2.TPMCCPolicyLocality, []byte{pick[byte](g, 1, 0x1f)})
}

func makePresence(g *generator, _ *program) assertion {
	if !g.can(tpm2.TPMCCPolicyPhysicalPresence) || g.chance(0.5) {
		return nil
	}
	return simple(tpm2.TPMCCPolicyPhysicalPresence)
}

func makePCR(g *generator, _ *program) assertion {
	if !g.can(tpm2.TPMCCPolicyPCR) {
		return nil
	}
	selection := []byte{0, 0, 0, 1, 0, byte(pick(g, tpm2.TPMAlgSHA256, tpm2.TPMAlgSHA1)), 3, 1 << g.rng.UintN(8), 0, 0}
	return simple(tpm2.TPMCCPolicyPCR, []byte{0, 0}, selection)
}

func makeCounterTimer(g *generator, _ *program) assertion {
	if !g.can(tpm2.TPMCCPolicyCounterTimer) {
		return nil
	}
	const restartCount, unsignedGE = 20, 7
	return simple(tpm2.TPMCCPolicyCounterTimer, wire.Sized(make([]byte, 4)), wire.U16(restartCount), wire.U16(unsignedGE))
}

func makePolicySecret(g *generator, _ *program) assertion {
	if !g.can(tpm2.TPMCCPolicySecret) {
		return nil
	}
	hierarchy := uint32(pick(g, tpm2.TPMRHOwner, tpm2.TPMRHEndorsement, tpm2.TPMRHPlatform))
	ref := g.bytes(g.rng.IntN(8))
	return func(g *generator, session uint32, _ *draft) bool {
		_, ok := g.send(draft{Packet: conformance.Packet{
			Code: uint32(tpm2.TPMCCPolicySecret), Handles: []uint32{hierarchy, session},
			Sessions:   []conformance.Session{conformance.Password(g.model.auth(hierarchy))},
			Parameters: bytes.Join([][]byte{{0, 0}, {0, 0}, wire.Sized(ref), wire.U32(0)}, nil),
		}}, "policy")
		return ok
	}
}

func makePolicySigned(g *generator, _ *program) assertion {
	if !g.can(tpm2.TPMCCPolicySigned, tpm2.TPMCCLoadExternal) {
		return nil
	}
	k := conversation.KeyNamed(pick(g, "rsa", "p256"))
	ref := g.bytes(g.rng.IntN(8))
	return func(g *generator, session uint32, _ *draft) bool {
		handle, ok := g.loadPublic(k)
		if !ok {
			return false
		}
		parameters := join(g.policySignedHead(session, ref, 0), policySignature(k))
		_, ok = g.send(draft{
			Packet: conformance.Packet{Code: uint32(tpm2.TPMCCPolicySigned), Handles: []uint32{handle, session}, Parameters: parameters.bytes},
			spans:  parameters.spans,
		}, "policy")
		g.flush(handle)
		return ok
	}
}

// policySignedHead is nonceTPM, cpHashA, policyRef and expiration.
func (g *generator) policySignedHead(session uint32, ref []byte, expiration uint32) area {
	nonce := plain([]byte{0, 0})
	if n, ok := g.player.Nonce(session); ok {
		nonce = holeIn(wire.Sized(n), conversation.Hole{Kind: conversation.HoleNonce})
	}
	return join(nonce, plain([]byte{0, 0}, wire.Sized(ref), wire.U32(expiration)))
}

// policySignature is the signature by a key over the bytes before it in the
// command. Its bytes here are of the right size; what they are, the caller
// knows when it sends.
func policySignature(k *conversation.Key) area {
	return holeIn(k.Signature(make([]byte, len(k.Secret)), make([]byte, len(k.Secret))), conversation.Hole{Kind: conversation.HoleSigned, Text: []byte(k.Name)})
}

// makeAuthorize makes TPM2_PolicyAuthorize of the empty policy, signed by a key
// of this package.
func makeAuthorize(g *generator, p *program) assertion {
	if !g.can(tpm2.TPMCCPolicyAuthorize, tpm2.TPMCCLoadExternal, tpm2.TPMCCVerifySignature) || len(p.assertions) > 0 {
		return nil
	}
	k := conversation.KeyNamed(pick(g, "rsa", "p256"))
	ref := g.bytes(g.rng.IntN(8))
	return func(g *generator, session uint32, _ *draft) bool {
		approved := make([]byte, 32)
		handle, ok := g.loadPublic(k)
		if !ok {
			return false
		}
		name := g.nameArea(handle)
		digest := sha256Of(approved, ref)
		signature, _ := k.Sign(append(bytes.Clone(approved), ref...))
		ticket, ok := g.sessionCommand(tpm2.TPMCCVerifySignature, handle, plain(wire.Sized(digest), signature))
		g.flush(handle)
		if !ok {
			return false
		}
		_, ok = g.sessionCommand(tpm2.TPMCCPolicyAuthorize, session, join(plain(wire.Sized(approved), wire.Sized(ref)), name, g.hole(ticket, 1)))
		return ok
	}
}

func makePolicyNV(g *generator, _ *program) assertion {
	if !g.can(tpm2.TPMCCPolicyNV) {
		return nil
	}
	for _, n := range g.model.indices {
		if !n.written || n.attributes&wire.NVOwnerRead == 0 || n.size < 2 {
			continue
		}
		index := n.handle
		const neq = 1
		operand := g.bytes(2)
		return func(g *generator, session uint32, _ *draft) bool {
			_, ok := g.send(draft{Packet: conformance.Packet{
				Code: uint32(tpm2.TPMCCPolicyNV), Handles: []uint32{uint32(tpm2.TPMRHOwner), index, session},
				Sessions:   []conformance.Session{conformance.Password(g.model.auth(uint32(tpm2.TPMRHOwner)))},
				Parameters: bytes.Join([][]byte{wire.Sized(operand), wire.U16(0), wire.U16(neq)}, nil),
			}}, "policy")
			return ok
		}
	}
	return nil
}

// makeOr makes TPM2_PolicyOR of what the session has come to and of others.
func makeOr(g *generator, _ *program) assertion {
	if !g.can(tpm2.TPMCCPolicyOR) {
		return nil
	}
	others := make([][]byte, 1+g.rng.IntN(3))
	for i := range others {
		others[i] = wire.Sized(g.bytes(32))
	}
	first := g.chance(0.5)
	var branch area // as the trial session had it
	return func(g *generator, session uint32, _ *draft) bool {
		if branch.bytes == nil {
			r, ok := g.sessionCommand(tpm2.TPMCCPolicyGetDigest, session, area{})
			if !ok {
				return false
			}
			branch = g.hole(r, 1)
		}
		list := join(plain(wire.U32(uint32(len(others)+1))), branch, plain(others...))
		if !first {
			list = join(plain(wire.U32(uint32(len(others)+1))), plain(others...), branch)
		}
		_, ok := g.sessionCommand(tpm2.TPMCCPolicyOR, session, list)
		return ok
	}
}

// makeAllowing restricts the policy to a command. For TPM2_Duplicate there are
// two ways.
func makeAllowing(g *generator, code tpm2.TPMCC) assertion {
	if code == tpm2.TPMCCDuplicate && g.can(tpm2.TPMCCPolicyDuplicationSelect) && g.chance(0.4) {
		return func(g *generator, session uint32, forWhat *draft) bool {
			object := plain(wire.Sized(make([]byte, 34)))
			if forWhat != nil {
				object = g.nameArea(forWhat.Handles[0])
			}
			_, ok := g.sessionCommand(tpm2.TPMCCPolicyDuplicationSelect, session,
				join(object, plain(wire.Sized(wire.U32(uint32(tpm2.TPMRHNull))), []byte{0})))
			return ok
		}
	}
	return simple(tpm2.TPMCCPolicyCommandCode, wire.U32(uint32(code)))
}

// nameArea is the Name of an entity as a TPM2B_NAME.
func (g *generator) nameArea(handle uint32) area {
	if o := g.model.object(handle); o != nil && o.key {
		return o.name
	}
	return plain(wire.Sized(g.player.Name(handle)))
}

// authorizeByPolicy starts a session, has it satisfy a program, and adds it.
func (g *generator) authorizeByPolicy(d *draft, at int, p *program) bool {
	handle, ok := g.startSession(wire.SessionPolicy, p.hash)
	if !ok || !p.assert(g, handle, d) {
		return false
	}
	s := g.model.session(handle)
	if s == nil {
		return false
	}
	g.keep = append(g.keep, handle)
	auth := g.model.auth(d.Handles[at])
	attributes := g.continued()
	switch {
	case p.password:
		d.Sessions = append(d.Sessions, conformance.Session{Handle: handle, Nonce: g.bytes(16), Attributes: attributes, HMAC: auth})
	case p.auth, s.keyed, g.chance(0.3):
		g.addHMAC(d, s, attributes|g.protection(d, s), auth)
	default:
		d.Sessions = append(d.Sessions, conformance.Session{Handle: handle, Nonce: g.bytes(pick(g, 16, 32)), Attributes: attributes})
	}
	return true
}
