package conversation

import (
	"bytes"
	"encoding/binary"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// learn takes a success into what the caller knows of the device.
func (c *caller) learn(x *exchange, response conformance.Response) {
	p := x.command
	out := &wire.Cursor{Rest: response.Parameters}
	switch code := tpm2.TPMCC(x.code); code {
	case tpm2.TPMCCStartAuthSession:
		c.startSession(x, response)
	case tpm2.TPMCCCreatePrimary:
		c.object(response.Handle, out.Sized(), p.Handles[0])
	case tpm2.TPMCCCreateLoaded:
		out.Sized() // outPrivate
		c.object(response.Handle, out.Sized(), p.Handles[0])
	case tpm2.TPMCCLoad:
		in := &wire.Cursor{Rest: p.Parameters}
		in.Sized() // inPrivate
		c.object(response.Handle, in.Sized(), p.Handles[0])
	case tpm2.TPMCCLoadExternal:
		in := &wire.Cursor{Rest: p.Parameters}
		in.Sized() // inPrivate
		c.object(response.Handle, in.Sized(), in.U32())
		if e := c.entities[response.Handle]; e != nil {
			e.qualified = e.name // it has no parent
		}
	case tpm2.TPMCCHashSequenceStart, tpm2.TPMCCMACStart, wire.CCSignSequenceStart, wire.CCVerifySequenceStart:
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
	case wire.CCSignSequenceComplete, wire.CCVerifySequenceComplete:
		delete(c.entities, p.Handles[0])
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
	area, ok := wire.ParsePublic(bytes.Clone(public))
	if !ok {
		delete(c.entities, handle)
		return
	}
	e := &entity{name: area.Name(), public: area, hierarchy: parent}
	above := wire.U32(parent)
	if p := c.entities[parent]; p != nil {
		above, e.hierarchy = p.qualified, p.hierarchy
	}
	e.qualified = wire.NameOf(area.NameAlg, above, e.name)
	e.id = fnvBytes(fnvStart, e.name)
	if len(e.name) == 0 {
		e.id = fnvBytes(fnvStart, public)
	}
	c.entities[handle] = e
}

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
		c.setAttribute(p.Handles[1], wire.NVWritten)
	case tpm2.TPMCCNVWriteLock:
		c.setAttribute(p.Handles[1], wire.NVWriteLocked)
	case tpm2.TPMCCNVReadLock:
		c.setAttribute(p.Handles[1], wire.NVReadLocked)
	case tpm2.TPMCCNVGlobalWriteLock:
		for handle, e := range c.entities {
			if len(e.index) >= 10 && binary.BigEndian.Uint32(e.index[6:])&wire.NVGlobalLock != 0 {
				c.setAttribute(handle, wire.NVWriteLocked)
			}
		}
	}
}

// index remembers the public area of an NV index.
func (c *caller) index(handle uint32, public []byte) {
	e := &entity{index: bytes.Clone(public)}
	e.name = wire.NameOf(tpm2.TPMAlgID(binary.BigEndian.Uint16(public[4:])), public)
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
		} else if e := c.entities[handle]; e != nil && e.public.Kind == 0 {
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
		case s.kind != wire.SessionHMAC:
			s.restartPolicy()
		}
	}
}
