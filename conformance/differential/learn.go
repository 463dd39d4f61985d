package differential

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
)

// learn takes a success into what the caller knows of the device.
func (c *caller) learn(x *exchange, response conformance.Response) {
	p := x.command
	out := &cursor{rest: response.Parameters}
	switch code := tpm2.TPMCC(x.code); code {
	case tpm2.TPMCCStartAuthSession:
		c.startSession(x, response)
	case tpm2.TPMCCCreatePrimary:
		c.object(response.Handle, out.sized(), p.Handles[0])
	case tpm2.TPMCCCreateLoaded:
		out.sized() // outPrivate
		c.object(response.Handle, out.sized(), p.Handles[0])
	case tpm2.TPMCCLoad:
		in := &cursor{rest: p.Parameters}
		in.sized() // inPrivate
		c.object(response.Handle, in.sized(), p.Handles[0])
	case tpm2.TPMCCLoadExternal:
		in := &cursor{rest: p.Parameters}
		in.sized() // inPrivate
		c.object(response.Handle, in.sized(), in.u32())
		if e := c.entities[response.Handle]; e != nil {
			e.qualified = e.name // it has no parent
		}
	case tpm2.TPMCCHashSequenceStart, tpm2.TPMCCMACStart:
		c.entities[response.Handle] = &entity{id: x.inputs}
	case tpm2.TPMCCContextSave:
		if e := c.entities[p.Handles[0]]; e != nil {
			saved := *e
			c.saved[string(response.Parameters)] = &saved
		}
	case tpm2.TPMCCContextLoad:
		if e := c.saved[string(p.Parameters)]; e != nil {
			loaded := *e
			c.entities[response.Handle] = &loaded
		}
	case tpm2.TPMCCEvictControl:
		if e := c.entities[p.Handles[1]]; e != nil && p.Handles[1]>>24 == 0x80 {
			c.entities[binary.BigEndian.Uint32(p.Parameters)] = e
		} else {
			delete(c.entities, p.Handles[1])
		}
	case tpm2.TPMCCFlushContext:
		c.forget(binary.BigEndian.Uint32(p.Parameters))
	case tpm2.TPMCCSequenceComplete, tpm2.TPMCCEventSequenceComplete:
		delete(c.entities, p.Handles[len(p.Handles)-1])
	case tpm2.TPMCCClear:
		c.reseed(tpm2.TPMRHOwner)
	case tpm2.TPMCCChangeEPS:
		c.reseed(tpm2.TPMRHEndorsement)
	case tpm2.TPMCCChangePPS:
		c.reseed(tpm2.TPMRHPlatform)
	default:
		c.learnIndex(code, p, response)
	}
	c.learnPolicy(x)
	c.wearOn(x)
	c.endSessions(x, response)
}

func (c *caller) forget(handle uint32) {
	delete(c.entities, handle)
	delete(c.sessions, handle)
}

// object remembers a new object below a parent or a hierarchy.
func (c *caller) object(handle uint32, public []byte, parent uint32) {
	area, ok := parsePublic(bytes.Clone(public))
	if !ok {
		delete(c.entities, handle)
		return
	}
	e := &entity{name: area.name(), public: area, hierarchy: parent}
	above := u32(parent)
	if p := c.entities[parent]; p != nil {
		above, e.hierarchy = p.qualified, p.hierarchy
	}
	e.qualified = nameOf(area.nameAlg, above, e.name)
	e.id = fnvBytes(fnvStart, e.name)
	if len(e.name) == 0 {
		e.id = fnvBytes(fnvStart, public)
	}
	c.entities[handle] = e
}

// Attributes of NV indices that commands set.
const (
	nvWriteLocked = 1 << 11
	nvGlobalLock  = 1 << 15
	nvReadLocked  = 1 << 28
	nvIsWritten   = 1 << 29
)

// learnIndex follows the attributes of NV indices, which their Names have.
func (c *caller) learnIndex(code tpm2.TPMCC, p conformance.Packet, response conformance.Response) {
	switch code {
	case tpm2.TPMCCNVDefineSpace:
		_, rest, _ := conformance.CutSized(p.Parameters)
		if public, _, ok := conformance.CutSized(rest); ok && len(public) >= 10 {
			c.index(binary.BigEndian.Uint32(public), public)
		}
	case tpm2.TPMCCNVReadPublic:
		if public, _, ok := conformance.CutSized(response.Parameters); ok && len(public) >= 10 && c.entities[p.Handles[0]] == nil {
			c.index(p.Handles[0], public)
		}
	case tpm2.TPMCCNVUndefineSpace:
		delete(c.entities, p.Handles[1])
	case tpm2.TPMCCNVUndefineSpaceSpecial:
		delete(c.entities, p.Handles[0])
	case tpm2.TPMCCNVWrite, tpm2.TPMCCNVIncrement, tpm2.TPMCCNVExtend, tpm2.TPMCCNVSetBits:
		c.setAttribute(p.Handles[1], nvIsWritten)
	case tpm2.TPMCCNVWriteLock:
		c.setAttribute(p.Handles[1], nvWriteLocked)
	case tpm2.TPMCCNVReadLock:
		c.setAttribute(p.Handles[1], nvReadLocked)
	case tpm2.TPMCCNVGlobalWriteLock:
		for handle, e := range c.entities {
			if len(e.index) >= 10 && binary.BigEndian.Uint32(e.index[6:])&nvGlobalLock != 0 {
				c.setAttribute(handle, nvWriteLocked)
			}
		}
	}
}

// index remembers the public area of an NV index.
func (c *caller) index(handle uint32, public []byte) {
	e := &entity{index: bytes.Clone(public)}
	e.name = nameOf(tpm2.TPMAlgID(binary.BigEndian.Uint16(public[4:])), public)
	e.id = fnvBytes(fnvStart, public)
	c.entities[handle] = e
}

func (c *caller) setAttribute(handle, attribute uint32) {
	e := c.entities[handle]
	if e == nil || len(e.index) < 10 {
		return
	}
	public := bytes.Clone(e.index)
	binary.BigEndian.PutUint32(public[6:], binary.BigEndian.Uint32(public[6:])|attribute)
	id := e.id
	c.index(handle, public)
	c.entities[handle].id = id
}

// wearOn has the sessions, sequences and NV indices of a command remember it.
func (c *caller) wearOn(x *exchange) {
	for _, handle := range x.command.Handles {
		if s := c.sessions[handle]; s != nil {
			s.id = mix(s.id, x.inputs)
		} else if e := c.entities[handle]; e != nil && e.public.kind == 0 {
			e.id = mix(e.id, x.inputs)
		}
	}
}

// endSessions forgets the sessions that a command ended, and the policies of
// those that have authorized something.
func (c *caller) endSessions(x *exchange, response conformance.Response) {
	if len(x.area) != len(response.Sessions) {
		return
	}
	for i, sent := range x.area {
		s := c.sessions[sent.Handle]
		switch {
		case s == nil:
		case response.Sessions[i].Attributes&conformance.ContinueSession == 0:
			delete(c.sessions, sent.Handle)
		case s.kind != sessionHMAC:
			s.restartPolicy()
		}
	}
}

func (s *liveSession) restartPolicy() {
	s.policy = make([]byte, s.hash.Size())
	s.needsAuth, s.needsPassword = false, false
}

// learnPolicy follows policyDigest (TPM 2.0 Library Part 3, section "EA
// Commands", each in its own section).
func (c *caller) learnPolicy(x *exchange) {
	p := x.command
	if len(p.Handles) == 0 {
		return
	}
	s := c.sessions[p.Handles[len(p.Handles)-1]]
	code := tpm2.TPMCC(x.code)
	if s == nil || !isPolicy(code) {
		return
	}
	in := &cursor{rest: p.Parameters}
	switch code {
	case tpm2.TPMCCPolicyRestart:
		s.restartPolicy()
	case tpm2.TPMCCPolicySigned, tpm2.TPMCCPolicySecret:
		in.sized() // nonceTPM
		in.sized() // cpHashA
		c.assertNamed(s, code, p.Handles[0])
		s.hashIn(in.sized())
	case tpm2.TPMCCPolicyTicket:
		in.sized() // timeout
		in.sized() // cpHashA
		ref, name := in.sized(), in.sized()
		if code = tpm2.TPMCCPolicySecret; in.u16() == uint16(tpm2.TPMSTAuthSigned) {
			code = tpm2.TPMCCPolicySigned
		}
		s.assert(code, name)
		s.hashIn(ref)
	case tpm2.TPMCCPolicyAuthorize:
		in.sized() // approvedPolicy
		ref, name := in.sized(), in.sized()
		clear(s.policy)
		s.assert(code, name)
		s.hashIn(ref)
	case tpm2.TPMCCPolicyAuthorizeNV:
		clear(s.policy)
		c.assertNamed(s, code, p.Handles[1])
	case tpm2.TPMCCPolicyOR:
		clear(s.policy)
		var digests []byte
		for range in.u32() {
			digests = append(digests, in.sized()...)
		}
		s.assert(code, digests)
	case tpm2.TPMCCPolicyPCR:
		s.policy = nil // which PCRs were taken, only the device knows
	case tpm2.TPMCCPolicyNV:
		c.assertNamed(s, code, p.Handles[1], s.argumentHash(p.Parameters))
	case tpm2.TPMCCPolicyCounterTimer:
		s.assert(code, s.argumentHash(p.Parameters))
	case tpm2.TPMCCPolicyCpHash, tpm2.TPMCCPolicyNameHash, tpm2.TPMCCPolicyTemplate:
		s.assert(code, in.sized())
	case tpm2.TPMCCPolicyDuplicationSelect:
		object, parent, include := in.sized(), in.sized(), in.take(1)
		if include[0] == 0 {
			object = nil
		}
		s.assert(code, object, parent, include)
	case tpm2.TPMCCPolicyAuthValue:
		s.assert(code)
		s.needsAuth, s.needsPassword = true, false
	case tpm2.TPMCCPolicyPassword:
		s.assert(tpm2.TPMCCPolicyAuthValue)
		s.needsAuth, s.needsPassword = false, true
	default: // PolicyLocality, PolicyCommandCode, PolicyPhysicalPresence, PolicyNvWritten
		s.assert(code, p.Parameters)
	}
}

// policyCodes are the commands that change a policyDigest.
var policyCodes = [...]tpm2.TPMCC{
	tpm2.TPMCCPolicyNV, tpm2.TPMCCPolicySecret, tpm2.TPMCCPolicySigned, tpm2.TPMCCPolicyAuthorize, tpm2.TPMCCPolicyAuthValue,
	tpm2.TPMCCPolicyCommandCode, tpm2.TPMCCPolicyCounterTimer, tpm2.TPMCCPolicyCpHash, tpm2.TPMCCPolicyLocality,
	tpm2.TPMCCPolicyNameHash, tpm2.TPMCCPolicyOR, tpm2.TPMCCPolicyTicket, tpm2.TPMCCPolicyPCR, tpm2.TPMCCPolicyRestart,
	tpm2.TPMCCPolicyPhysicalPresence, tpm2.TPMCCPolicyDuplicationSelect, tpm2.TPMCCPolicyPassword, tpm2.TPMCCPolicyNvWritten,
	tpm2.TPMCCPolicyTemplate, tpm2.TPMCCPolicyAuthorizeNV,
}

func isPolicy(code tpm2.TPMCC) bool { return slices.Contains(policyCodes[:], code) }

// assertNamed is assert with the Name of an entity at the end. What comes of
// one that the caller does not know, it does not know either.
func (c *caller) assertNamed(s *liveSession, code tpm2.TPMCC, handle uint32, arguments ...[]byte) {
	if c.nameOf(handle) == nil {
		s.policy = nil
	}
	s.assert(code, append(arguments, c.nameOf(handle))...)
}

// assert is PolicyUpdate without policyRef.
func (s *liveSession) assert(code tpm2.TPMCC, arguments ...[]byte) {
	s.hashIn(append([][]byte{u32(uint32(code))}, arguments...)...)
}

func (s *liveSession) hashIn(parts ...[]byte) {
	if s.policy == nil {
		return
	}
	h := s.hash.New()
	h.Write(s.policy)
	for _, part := range parts {
		h.Write(part)
	}
	s.policy = h.Sum(nil)
}

// argumentHash is that of operandB, offset and operation.
func (s *liveSession) argumentHash(parameters []byte) []byte {
	operand, rest, _ := conformance.CutSized(parameters)
	h := s.hash.New()
	h.Write(operand)
	h.Write(rest)
	return h.Sum(nil)
}
