package emulator

import (
	"encoding/binary"

	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Entities (Part 1, section "Entity"): what an authorisation needs to know of
// whatever is behind a handle.

// authValue is the authorisation value of what is behind a handle that is
// present, without zeros at its end.
func (t *TPM) authValue(h wire.Handle) []byte {
	p := &t.s.Persistent
	switch h {
	case wire.RHOwner:
		return p.OwnerAuth.Bytes()
	case wire.RHEndorsement:
		return p.EndorsementAuth.Bytes()
	case wire.RHLockout:
		return p.LockoutAuth.Bytes()
	case wire.RHPlatform:
		return t.s.Clear.PlatformAuth.Bytes()
	}
	switch h.Type() {
	case wire.HTPCR:
		if g := pcrTable[h].authGroup; g != 0 {
			return t.s.Clear.PCRAuth[g-1].Bytes()
		}
	case wire.HTTransient, wire.HTPersistent:
		if o := t.object(h); o != nil {
			return o.authValue()
		}
	case wire.HTNVIndex:
		if n := t.nvIndex(h); n != nil {
			return n.Auth.Bytes()
		}
	}
	return nil
}

// authPolicy is the authPolicy of what is behind a handle that is present, and
// its hash. Without a policy the digest is empty.
func (t *TPM) authPolicy(h wire.Handle) ([]byte, wire.AlgID) {
	var p *state.Policy
	switch h.Type() {
	case wire.HTPermanent:
		p = t.policy(h)
	case wire.HTPCR:
		if g := pcrTable[h].policyGroup; g != 0 {
			p = &t.s.Persistent.PCRPolicy[g-1]
		}
	case wire.HTTransient, wire.HTPersistent:
		if o := t.object(h); o != nil && o.loaded() {
			return o.public.AuthPolicy, o.public.NameAlg
		}
	case wire.HTNVIndex:
		if n := t.nvIndex(h); n != nil {
			return n.Policy.Bytes(), n.NameAlg
		}
	}
	if p == nil {
		return nil, wire.AlgNull
	}
	return p.Digest.Bytes(), p.Alg
}

// appendName appends the Name of what is behind a handle that is present (Part
// 1, section "Names"): nothing for a sequence.
func (t *TPM) appendName(dst []byte, h wire.Handle) []byte {
	switch h.Type() {
	case wire.HTTransient, wire.HTPersistent:
		if o := t.object(h); o != nil {
			return append(dst, o.Name...)
		}
		return dst
	case wire.HTNVIndex:
		if n := t.nvIndex(h); n != nil {
			return appendNVName(dst, n)
		}
	}
	return binary.BigEndian.AppendUint32(dst, uint32(h))
}

// hierarchyOf is the hierarchy that what is behind a handle belongs to: an NV
// index to who has defined it, what has none to the null hierarchy.
func (t *TPM) hierarchyOf(h wire.Handle) wire.Handle {
	switch h.Type() {
	case wire.HTPermanent:
		switch h {
		case wire.RHOwner, wire.RHEndorsement, wire.RHPlatform:
			return h
		case wire.RHLockout:
			return wire.RHOwner
		}
	case wire.HTNVIndex:
		if n := t.nvIndex(h); n != nil && n.Attributes&wire.NVPlatformCreate != 0 {
			return wire.RHPlatform
		}
		return wire.RHOwner
	case wire.HTTransient, wire.HTPersistent:
		if o := t.object(h); o != nil && o.loaded() {
			return o.Hierarchy
		}
	case wire.HTPCR:
		return wire.RHOwner
	}
	return wire.RHNull
}
