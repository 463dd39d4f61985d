package emulator

import (
	"encoding/binary"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Entities (Part 1, section "Entity"): what the handles of a command name. Each is
// found once, when the handle area is checked. Authorizations, hashes and actions
// ask the entity and do not look up its handle again.

// entity is what one handle of a command names. Its pointers lead into the state,
// so that it knows of what the command changes.
type entity struct {
	handle  wire.Handle
	object  *object        // nil unless the handle is transient or persistent
	session *state.Session // nil unless the handle is that of a session
	index   *state.NVIndex // nil unless the handle is that of an NV index
	at      int            // position of index in the list of NV indices
	auth    *state.TPM2B   // authValue of a hierarchy, a PCR or an NV index, nil without
	policy  *state.Policy  // authPolicy of a hierarchy or a PCR, nil without
}

// remove leaves the handle alone, after the command has removed what it named.
func (e *entity) remove() { *e = entity{handle: e.handle} }

// authValue is the authorization value, without zeros at its end.
func (e *entity) authValue() []byte {
	switch {
	case e.object != nil:
		return e.object.authValue()
	case e.auth != nil:
		return e.auth.Bytes()
	}
	return nil
}

// authPolicy is the authPolicy and its hash. Without a policy the digest is empty.
func (e *entity) authPolicy() ([]byte, wire.AlgID) {
	switch {
	case e.policy != nil:
		return e.policy.Digest.Bytes(), e.policy.Alg
	case e.object != nil && e.object.loaded():
		return e.object.public.AuthPolicy, e.object.public.NameAlg
	case e.index != nil:
		return e.index.Policy.Bytes(), e.index.NameAlg
	}
	return nil, wire.AlgNull
}

// appendName appends the Name (Part 1, section "Names"): nothing for a sequence.
func (e *entity) appendName(dst []byte) []byte {
	switch {
	case e.object != nil:
		return append(dst, e.object.Name...)
	case e.index != nil:
		return appendNVName(dst, e.index)
	}
	return binary.BigEndian.AppendUint32(dst, uint32(e.handle))
}

// daExempt reports whether authorizations that fail do not count.
func (e *entity) daExempt() bool {
	switch {
	case e.index != nil:
		return e.index.Attributes&wire.NVNoDA != 0
	case e.object != nil && e.object.loaded():
		return e.object.has(wire.ObjectNoDA)
	}
	return !e.lockout()
}

// lockout reports whether the authValue is lockoutAuth.
func (e *entity) lockout() bool { return e.handle == wire.RHLockout }

// hierarchy is the hierarchy that the entity belongs to: an NV index belongs to who
// has defined it, what has no hierarchy to the null hierarchy.
func (e *entity) hierarchy() wire.Handle {
	switch {
	case e.object != nil:
		if e.object.loaded() {
			return e.object.Hierarchy
		}
		return wire.RHNull
	case e.index != nil:
		if e.index.Attributes&wire.NVPlatformCreate != 0 {
			return wire.RHPlatform
		}
		return wire.RHOwner
	}
	switch e.handle {
	case wire.RHEndorsement, wire.RHPlatform:
		return e.handle
	case wire.RHOwner, wire.RHLockout:
		return wire.RHOwner
	}
	if e.pcr() {
		return wire.RHOwner
	}
	return wire.RHNull
}

// pcr reports whether the entity is a PCR.
func (e *entity) pcr() bool { return e.handle.Type() == wire.HTPCR }

// boundTo is what a session is bound to: a digest of the Name and the authValue of
// an entity, so that changing either breaks the bond.
func (t *TPM) boundTo(e *entity) state.TPM2B {
	var space [wire.MaxName + wire.MaxDigest]byte
	b := append(e.appendName(space[:0]), e.authValue()...)
	var bound state.TPM2B
	bound.Set(crypt.Digest(t.contextHash, nil, b))
	return bound
}
