package emulator

import (
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Part 3, chapter "Hierarchy Commands".

// noPolicy is the policy of what has none.
var noPolicy = state.Policy{Alg: wire.AlgNull}

// hierarchyEnabled reports whether a permanent handle can be used: those of the
// hierarchies that are disabled cannot.
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

// hierarchyAuth is where the authValue and the authPolicy of a permanent handle are,
// nil for one that has none.
func (t *TPM) hierarchyAuth(h wire.Handle) (*state.TPM2B, *state.Policy) {
	p, s := &t.s.Persistent, &t.s.Clear
	switch h {
	case wire.RHOwner:
		return &p.OwnerAuth, &p.OwnerPolicy
	case wire.RHEndorsement:
		return &p.EndorsementAuth, &p.EndorsementPolicy
	case wire.RHLockout:
		return &p.LockoutAuth, &p.LockoutPolicy
	case wire.RHPlatform:
		return &s.PlatformAuth, &s.PlatformPolicy
	}
	return nil, nil
}

// changeHierarchy announces a change of what hierarchyAuth has given: that of the
// platform lasts until TPM2_Startup, that of the others is in NV.
func (t *TPM) changeHierarchy(h wire.Handle) {
	if h == wire.RHPlatform {
		t.withdrawShutdown()
	} else {
		t.save()
	}
}

// hierarchyStartup is the part of TPM2_Startup (Part 1, section "Hierarchy
// Control"): Reset and Restart enable the hierarchies and empty platformAuth,
// Reset makes a new null hierarchy.
func (t *TPM) hierarchyStartup(kind startupKind) {
	if kind != startupResume {
		t.s.Clear = state.Clear{ShEnable: true, EhEnable: true, PhEnableNV: true,
			PlatformPolicy: noPolicy}
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
	e := &c.entities[0]
	e.auth.Set(auth)
	t.changeHierarchy(e.handle)
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
	auth := c.entities[0].handle
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
	// that is off cannot switch itself on, because it cannot authorize.
	if auth != wire.RHPlatform && auth != enable {
		return wire.RCAuthType
	}
	if *flag == on {
		return wire.RCSuccess
	}
	if rc := t.changeOrderly(); rc != wire.RCSuccess {
		return rc
	}
	*flag = on
	if !on && enable != wire.RHPlatformNV {
		t.flushHierarchy(enable)
	}
	return wire.RCSuccess
}

// readOnlyControl is TPM2_ReadOnlyControl (rev 1.84). Read-only mode ends with
// the next TPM2_Startup that is no TPM Resume.
func (t *TPM) readOnlyControl(c *call) wire.RC {
	on := c.yesNo()
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	if t.s.Clear.ReadOnly == on {
		return wire.RCSuccess
	}
	if rc := t.changeOrderly(); rc != wire.RCSuccess {
		return rc
	}
	t.s.Clear.ReadOnly = on
	return wire.RCSuccess
}

// removeHierarchy removes what belongs to a hierarchy whose seed or proof has
// changed. NV indices have no hierarchy but who has defined them, and those of
// the platform outlive its seed.
func (t *TPM) removeHierarchy(h wire.Handle) {
	t.flushHierarchy(h)
	t.removePersistent(func(p *state.PersistentObject) bool { return p.Object.Hierarchy == h })
	if h == wire.RHOwner {
		t.nvClearOwner()
	}
}

// clear is TPM2_Clear: a new owner. What the endorsement hierarchy derives from
// its seed stays, what it has protected does not.
func (t *TPM) clear(c *call) wire.RC {
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	if rc := t.needNV(); rc != wire.RCSuccess {
		return rc
	}
	if t.s.Persistent.DisableClear {
		return wire.RCDisabled
	}
	p, s := t.changePersistent(), &t.s.Clear
	t.withdrawShutdown()
	t.newPrimarySeed(&p.SPSeed)
	t.random(&p.SHProof, proofSize)
	t.random(&p.EHProof, proofSize)
	s.ShEnable, s.EhEnable = true, true
	p.OwnerAuth, p.EndorsementAuth, p.LockoutAuth = state.TPM2B{}, state.TPM2B{}, state.TPM2B{}
	p.OwnerPolicy, p.EndorsementPolicy, p.LockoutPolicy = noPolicy, noPolicy, noPolicy
	s.PCRAuth = [state.PCRGroups]state.TPM2B{}
	t.removeHierarchy(wire.RHOwner)
	t.removeHierarchy(wire.RHEndorsement)
	t.daDefaults()
	t.s.Orderly.Clock, t.s.Orderly.Safe = 0, true
	p.ResetCount, t.s.Reset.RestartCount = 0, 0
	p.AuditCounter = 0
	t.pcrChanged(0) // policies on PCRs must be satisfied anew
	return wire.RCSuccess
}

// newPrimarySeed replaces a primary seed. The keys of the old one are gone.
func (t *TPM) newPrimarySeed(seed *state.TPM2B) {
	t.platform.PrimaryKeys.Wipe()
	t.random(seed, seedSize)
}

// clearControl is TPM2_ClearControl. Who knows lockoutAuth can forbid
// TPM2_Clear, and only the platform can allow it again.
func (t *TPM) clearControl(c *call) wire.RC {
	disable := c.yesNo()
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	if rc := t.needNV(); rc != wire.RCSuccess {
		return rc
	}
	if c.entities[0].handle == wire.RHLockout && !disable {
		return wire.RCAuthFail
	}
	t.changePersistent().DisableClear = disable
	return wire.RCSuccess
}

// changePPS is TPM2_ChangePPS. platformAuth stays.
func (t *TPM) changePPS(c *call) wire.RC {
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	if rc := t.needNV(); rc != wire.RCSuccess {
		return rc
	}
	p := t.changePersistent()
	t.withdrawShutdown()
	t.newPrimarySeed(&p.PPSeed)
	t.random(&p.PHProof, proofSize)
	t.s.Clear.PlatformPolicy = noPolicy
	for i := range p.PCRPolicy {
		p.PCRPolicy[i] = noPolicy
	}
	t.removeHierarchy(wire.RHPlatform)
	return wire.RCSuccess
}

// changeEPS is TPM2_ChangeEPS.
func (t *TPM) changeEPS(c *call) wire.RC {
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	if rc := t.needNV(); rc != wire.RCSuccess {
		return rc
	}
	p := t.changePersistent()
	t.withdrawShutdown()
	t.newPrimarySeed(&p.EPSeed)
	t.random(&p.EHProof, proofSize)
	t.s.Clear.EhEnable = true
	p.EndorsementAuth, p.EndorsementPolicy = state.TPM2B{}, noPolicy
	t.removeHierarchy(wire.RHEndorsement)
	return wire.RCSuccess
}

// setPrimaryPolicy is TPM2_SetPrimaryPolicy.
func (t *TPM) setPrimaryPolicy(c *call) wire.RC {
	digest := c.digest()
	alg := c.hashAlg(true)
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	if len(digest) != t.algs.DigestSize(alg) {
		return c.badParam(1, wire.RCSize)
	}
	if rc := t.needNV(); rc != wire.RCSuccess {
		return rc
	}
	p := c.entities[0].policy
	p.Alg = alg
	p.Digest.Set(digest)
	t.changeHierarchy(c.entities[0].handle)
	return wire.RCSuccess
}
