package emulator

import (
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Part 3, chapter "Hierarchy Commands".

// hierarchyEnabled says whether a permanent handle can be used: those of the
// hierarchies that are switched off cannot.
func (t *TPM) hierarchyEnabled(h wire.Handle) bool {
	switch h {
	case wire.RHOwner:
		return t.s.Clear.ShEnable
	case wire.RHEndorsement:
		return t.s.Clear.EhEnable
	case wire.RHPlatform:
		return t.s.Volatile.PhEnable
	}
	return true
}

// hierarchyStartup is the part of TPM2_Startup (Part 1, section "Hierarchy
// Control"): Reset and Restart enable the hierarchies and empty platformAuth,
// Reset makes a new null hierarchy.
func (t *TPM) hierarchyStartup(kind startupKind) {
	if kind != startupResume {
		t.s.Clear = state.Clear{ShEnable: true, EhEnable: true, PhEnableNV: true,
			PlatformPolicy: state.Policy{Alg: wire.AlgNull}}
	}
	if kind == startupReset {
		t.random(&t.s.Reset.NullProof, proofSize)
		t.random(&t.s.Reset.NullSeed, seedSize)
	}
}

// proof is the secret of a hierarchy from which its tickets are made.
func (t *TPM) proof(hierarchy wire.Handle) []byte {
	p := &t.s.Persistent
	switch hierarchy {
	case wire.RHOwner:
		return p.SHProof.Bytes()
	case wire.RHEndorsement:
		return p.EHProof.Bytes()
	case wire.RHPlatform:
		return p.PHProof.Bytes()
	}
	return t.s.Reset.NullProof.Bytes()
}

// hierarchyChangeAuth is TPM2_HierarchyChangeAuth.
func (t *TPM) hierarchyChangeAuth(c *call) wire.RC {
	auth := c.auth()
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	if rc := t.needNV(); rc != wire.RCSuccess {
		return rc
	}
	p := &t.s.Persistent
	switch c.handles[0] {
	case wire.RHOwner:
		p.OwnerAuth.Set(auth)
		t.dirty = true
	case wire.RHEndorsement:
		p.EndorsementAuth.Set(auth)
		t.dirty = true
	case wire.RHLockout:
		p.LockoutAuth.Set(auth)
		t.dirty = true
	case wire.RHPlatform:
		t.s.Clear.PlatformAuth.Set(auth)
		c.notOrderly = true
	}
	return wire.RCSuccess
}

// hierarchyControl is TPM2_HierarchyControl.
func (t *TPM) hierarchyControl(c *call) wire.RC {
	enable := c.handle(HandleEnables)
	on := c.yesNo()
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	s := &t.s.Clear
	auth := c.handles[0]
	var flag *bool
	switch enable {
	case wire.RHPlatform:
		flag = &t.s.Volatile.PhEnable
	case wire.RHPlatformNV:
		flag = &s.PhEnableNV
	case wire.RHOwner:
		flag = &s.ShEnable
	case wire.RHEndorsement:
		flag = &s.EhEnable
	}
	// A hierarchy may switch itself off; everything else is the platform's. One
	// that is off cannot switch itself on, because it cannot authorise.
	if auth != wire.RHPlatform && auth != enable {
		return wire.RCAuthType
	}
	if *flag == on {
		return wire.RCSuccess
	}
	if rc := t.changeOrderly(c); rc != wire.RCSuccess {
		return rc
	}
	*flag = on
	return wire.RCSuccess
}
