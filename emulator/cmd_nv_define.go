package emulator

import (
	"slices"

	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Part 3, chapter "Non-volatile Storage": the commands that make and remove
// indices.

// Attributes that an index must have one of.
const (
	nvReaders = wire.NVOwnerRead | wire.NVPPRead | wire.NVAuthRead | wire.NVPolicyRead
	nvWriters = wire.NVOwnerWrite | wire.NVPPWrite | wire.NVAuthWrite | wire.NVPolicyWrite
	// nvStates are attributes that only the TPM sets.
	nvStates = wire.NVWritten | wire.NVWriteLocked | wire.NVReadLocked
)

// nvType is one row of the table of index types (Part 2, section "TPM_NT").
type nvType struct {
	defined   bool
	digest    bool              // as large as a digest of nameAlg
	eight     bool              // eight bytes
	needs     wire.NVAttributes // that must be SET
	forbidden wire.NVAttributes // that must be CLEAR
}

// pinForbidden: a PIN index cannot be written with its own authValue, and must
// stay writable for those who reset its count.
const pinForbidden = wire.NVAuthWrite | wire.NVGlobalLock | wire.NVWriteDefine

var nvTypes = [16]nvType{
	wire.NTOrdinary: {defined: true},
	wire.NTCounter:  {defined: true, eight: true, forbidden: wire.NVClearStClear},
	wire.NTBits:     {defined: true, eight: true},
	wire.NTExtend:   {defined: true, digest: true},
	wire.NTPinFail:  {defined: true, eight: true, needs: wire.NVNoDA, forbidden: pinForbidden},
	wire.NTPinPass:  {defined: true, eight: true, forbidden: pinForbidden},
}

// fits reports whether an index of the type can have that many bytes.
func (nt *nvType) fits(size, digest int) bool {
	switch {
	case nt.digest:
		return size == digest
	case nt.eight:
		return size == 8
	}
	return true
}

// nvDefineSpace is TPM2_NV_DefineSpace.
func (t *TPM) nvDefineSpace(c *call) wire.RC {
	auth := c.auth()
	var p wire.NVPublic
	c.next().NVPublic(&p, t.config.Limits.NVIndexSize)
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	return t.nvDefine(c, auth, &p)
}

// nvDefineSpace2 is TPM2_NV_DefineSpace2 (rev 1.83). There are neither external
// nor permanent indices.
func (t *TPM) nvDefineSpace2(c *call) wire.RC {
	auth := c.auth()
	var p wire.NVPublic
	kind := c.next().NVPublic2(&p, t.config.Limits.NVIndexSize)
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	if kind != wire.HTNVIndex {
		return c.badParam(2, wire.RCHandle)
	}
	return t.nvDefine(c, auth, &p)
}

// nvDefine makes an index if there can be such a one.
func (t *TPM) nvDefine(c *call, auth []byte, p *wire.NVPublic) wire.RC {
	if rc := t.nvCheckPublic(c, p, len(auth)); rc != wire.RCSuccess {
		return rc
	}
	at, defined := t.nvPosition(p.Index)
	if defined {
		return wire.RCNVDefined
	}
	memory, orderly := t.nvFree()
	m, o := nvSize(p.Attributes, int(p.Size))
	if m > memory-t.persistentReserve() || o > orderly {
		return wire.RCNVSpace
	}
	if rc := t.needNV(); rc != wire.RCSuccess {
		return rc
	}
	n := state.NVIndex{Handle: p.Index, NameAlg: p.NameAlg, Attributes: p.Attributes, Data: make([]byte, p.Size)}
	n.Policy.Set(p.Policy)
	n.Auth.Set(auth)
	t.s.NV.Indices = slices.Insert(t.s.NV.Indices, at, n)
	t.save()
	return wire.RCSuccess
}

// nvCheckPublic reports whether there can be such an index with an authValue of so
// many bytes, defined by the handle that authorizes the command. The order of
// the checks is the one of the C engines.
func (t *TPM) nvCheckPublic(c *call, p *wire.NVPublic, auth int) wire.RC {
	platform := c.entities[0].handle == wire.RHPlatform
	digest := t.algs.DigestSize(p.NameAlg)
	a, nt := p.Attributes, &nvTypes[p.Attributes.Type()]
	badPublic := func(rc wire.RC) wire.RC { return c.badParam(2, rc) }
	switch {
	case len(p.Policy) != 0 && len(p.Policy) != digest:
		return badPublic(wire.RCSize)
	case auth > digest:
		return c.badParam(1, wire.RCSize)
	case platform && !t.s.Clear.PhEnableNV:
		return c.badHandle(1, wire.RCHierarchy)
	case !nt.defined:
		return badPublic(wire.RCAttributes)
	case !nt.fits(int(p.Size), digest):
		return badPublic(wire.RCSize)
	case a&nt.needs != nt.needs, a&nt.forbidden != 0, a&nvStates != 0,
		a&nvReaders == 0, a&nvWriters == 0, // of no use to anyone
		a&wire.NVClearStClear != 0 && a&wire.NVWriteDefine != 0:
		return badPublic(wire.RCAttributes)
	case platform != (a&wire.NVPlatformCreate != 0):
		return c.badHandle(1, wire.RCAttributes)
	case !platform && a&wire.NVPolicyDelete != 0:
		return badPublic(wire.RCAttributes)
	case uint32(p.Size) > t.config.Limits.NVBuffer && a&wire.NVWriteAll != 0:
		return badPublic(wire.RCSize) // no command could write all of it
	}
	return wire.RCSuccess
}

// nvUndefineSpace is TPM2_NV_UndefineSpace. The owner removes what the owner
// has defined, the platform everything.
func (t *TPM) nvUndefineSpace(c *call) wire.RC {
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	e := &c.entities[1]
	a := e.index.Attributes
	if a&wire.NVPolicyDelete != 0 {
		return c.badHandle(2, wire.RCAttributes)
	}
	if c.entities[0].handle == wire.RHOwner && a&wire.NVPlatformCreate != 0 {
		return wire.RCNVAuthorization
	}
	if rc := t.needNV(); rc != wire.RCSuccess {
		return rc
	}
	t.nvUndefine(e.at)
	e.remove()
	return wire.RCSuccess
}

// nvUndefineSpaceSpecial is TPM2_NV_UndefineSpaceSpecial. The session area has
// seen to it that the policy of the index allows it.
func (t *TPM) nvUndefineSpaceSpecial(c *call) wire.RC {
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	e := &c.entities[0]
	if e.index.Attributes&wire.NVPolicyDelete == 0 {
		return c.badHandle(1, wire.RCAttributes)
	}
	if rc := t.needNV(); rc != wire.RCSuccess {
		return rc
	}
	t.nvUndefine(e.at)
	e.remove()
	return wire.RCSuccess
}

// nvChangeAuth is TPM2_NV_ChangeAuth.
func (t *TPM) nvChangeAuth(c *call) wire.RC {
	auth := c.auth()
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	n := c.entities[0].index
	if len(auth) > t.algs.DigestSize(n.NameAlg) {
		return c.badParam(1, wire.RCSize)
	}
	if rc := t.needNV(); rc != wire.RCSuccess {
		return rc
	}
	n.Auth.Set(auth)
	t.save()
	return wire.RCSuccess
}
