package emulator

import (
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// The handle area of commands (Part 3, section "Handle Area Validation").

// acceptsHandle is HandleKind.accepts for this TPM, which has only so many
// session and object handles.
func (t *TPM) acceptsHandle(k HandleKind, h wire.Handle) bool {
	switch h.Type() {
	case wire.HTHMACSession, wire.HTPolicySession:
		if h.Index() >= t.config.Limits.ActiveSessions {
			return false
		}
	case wire.HTTransient:
		if h.Index() >= t.config.Limits.Transient {
			return false
		}
	}
	return k.accepts(h)
}

// handleArea decodes the handles of the command: first the kind of every one,
// then whether it is there (Part 3, section "Handle Area Validation").
func (t *TPM) handleArea(c *call) wire.RC {
	for i := range c.cmd.Handles {
		h := wire.Handle(c.in.U32())
		if rc := c.in.RC(); rc != wire.RCSuccess {
			return rc.Handle(i + 1)
		}
		if !t.acceptsHandle(c.cmd.Handles[i].Kind, h) {
			return wire.RCValue.Handle(i + 1)
		}
		c.entities[i].handle = h
	}
	for i := range c.cmd.Handles {
		if i == 1 && c.sameIndex() {
			c.entities[1] = c.entities[0]
			continue
		}
		if rc := t.resolve(&c.entities[i]); rc == wire.RCReferenceH0 {
			return rc + wire.RC(i)
		} else if rc != wire.RCSuccess {
			return rc.Handle(i + 1)
		}
	}
	return wire.RCSuccess
}

// sameIndex reports whether the first two handles name one NV index, which then
// authorizes its own use.
func (c *call) sameIndex() bool {
	h := c.entities[0].handle
	return h == c.entities[1].handle && h.Type() == wire.HTNVIndex
}

// resolve finds what the handle of an entity names. It returns TPM_RC_REFERENCE_H0
// for what could be loaded and is not, TPM_RC_HIERARCHY for a hierarchy that is
// disabled, and TPM_RC_HANDLE for what is not defined.
func (t *TPM) resolve(e *entity) wire.RC {
	*e = entity{handle: e.handle}
	switch e.handle.Type() {
	case wire.HTPCR:
		t.resolvePCR(e)
		return wire.RCSuccess
	case wire.HTPermanent:
		return t.resolvePermanent(e)
	case wire.HTTransient:
		if e.object = t.object(e.handle); e.object == nil {
			return wire.RCReferenceH0
		}
		return wire.RCSuccess
	case wire.HTPersistent:
		return t.resolvePersistent(e)
	case wire.HTHMACSession, wire.HTPolicySession:
		var rc wire.RC
		e.session, rc = t.session(e.handle)
		return rc
	case wire.HTNVIndex:
		return t.resolveNV(e)
	}
	return wire.RCHandle // there are no ACs
}

func (t *TPM) resolvePCR(e *entity) {
	t.call.lookups++
	a := &pcrTable[e.handle]
	if a.authGroup != 0 {
		e.auth = &t.s.Clear.PCRAuth[a.authGroup-1]
	}
	if a.policyGroup != 0 {
		e.policy = &t.s.Persistent.PCRPolicy[a.policyGroup-1]
	}
}

func (t *TPM) resolvePermanent(e *entity) wire.RC {
	t.call.lookups++
	switch {
	case vendorAuth(e.handle):
		return wire.RCValue
	case !t.hierarchyEnabled(e.handle):
		return wire.RCHierarchy
	}
	e.auth, e.policy = t.hierarchyAuth(e.handle)
	return wire.RCSuccess
}

// resolvePersistent returns TPM_RC_HANDLE for a persistent object that is not there,
// or is not to be seen because a hierarchy is disabled: the one whose range its
// handle is in, or for all but TPM2_EvictControl the endorsement hierarchy it is of.
// One that is there takes an object slot for the duration of the command.
func (t *TPM) resolvePersistent(e *entity) wire.RC {
	o, c := t.object(e.handle), &t.call
	enabled := t.s.Clear.ShEnable
	if e.handle >= wire.PlatformPersist {
		enabled = t.s.Volatile.PhEnable
	}
	switch {
	case !enabled || o == nil:
		return wire.RCHandle
	case o.Hierarchy == wire.RHEndorsement && !t.s.Clear.EhEnable && c.cmd.Code != wire.CCEvictControl:
		return wire.RCHandle
	case t.freeSlots() < 1:
		return wire.RCObjectMemory
	}
	c.borrowed++
	e.object = o
	return wire.RCSuccess
}

// resolveNV returns TPM_RC_HANDLE for an index that is not defined, or is not there
// because its hierarchy is disabled.
func (t *TPM) resolveNV(e *entity) wire.RC {
	at, defined := t.nvPosition(e.handle)
	if !defined {
		return wire.RCHandle
	}
	n := &t.s.NV.Indices[at]
	enabled := t.s.Clear.ShEnable
	if n.Attributes&wire.NVPlatformCreate != 0 {
		enabled = t.s.Clear.PhEnableNV
	}
	if !enabled {
		return wire.RCHandle
	}
	e.index, e.at, e.auth = n, at, &n.Auth
	return wire.RCSuccess
}
