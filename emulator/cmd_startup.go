package emulator

import (
	"errors"

	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Part 3, chapter "Start-up".

// startupKind is what a TPM2_Startup amounts to (Part 1, section "TPM Startup").
type startupKind uint8

const (
	startupReset   startupKind = iota // after Shutdown(CLEAR), or none
	startupRestart                    // Startup(CLEAR) after Shutdown(STATE)
	startupResume                     // Startup(STATE) after Shutdown(STATE)
)

// Sizes in bytes of primary seeds and proofs.
const (
	seedSize  = 64
	proofSize = 64
)

// manufacture makes a new TPM: what is in the Store before the first command.
func (t *TPM) manufacture() {
	p := t.changePersistent()
	for _, b := range []*state.TPM2B{&p.EPSeed, &p.SPSeed, &p.PPSeed} {
		t.random(b, seedSize)
	}
	for _, b := range []*state.TPM2B{&p.PHProof, &p.SHProof, &p.EHProof} {
		t.random(b, proofSize)
	}
	p.OwnerPolicy, p.EndorsementPolicy, p.LockoutPolicy = noPolicy, noPolicy, noPolicy
	for i := range p.PCRPolicy {
		p.PCRPolicy[i] = noPolicy
	}
	t.daDefaults()
	t.auditDefaults(p)
	p.Shutdown = state.ShutdownClear // a new TPM has lost nothing
	t.s.Orderly.Safe = true
}

// startup is TPM2_Startup.
func (t *TPM) startup(c *call) wire.RC {
	type_ := wire.SU(c.u16())
	if type_ != wire.SUClear && type_ != wire.SUState {
		c.in.Fail(wire.RCValue)
	}
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	if rc := t.needNV(); rc != wire.RCSuccess {
		return rc
	}
	if c.locality != 0 && c.locality != 3 {
		return wire.RCLocality
	}
	p, v := &t.s.Persistent, &t.s.Volatile
	locality := c.locality
	if v.HCRTM {
		locality = 0 // PCR 0 tells of the H-CRTM, not of the locality
	}
	kind := startupReset
	switch {
	case type_ == wire.SUState:
		if p.Shutdown != state.ShutdownState || v.HCRTM != p.ShutdownHCRTM {
			return c.badParam(1, wire.RCValue)
		}
		if locality != p.ShutdownLocality {
			return wire.RCLocality
		}
		kind = startupResume
	case p.Shutdown == state.ShutdownState:
		kind = startupRestart
	}
	if kind == startupReset && p.TotalResetCount == ^uint64(0) {
		t.fail(failCounter, errors.New("totalResetCount would wrap"))
		return wire.RCFailure
	}
	t.start(kind, locality)
	return wire.RCSuccess
}

// start makes the state that follows a TPM2_Startup which has passed its
// checks.
func (t *TPM) start(kind startupKind, locality uint8) {
	p, v := t.changePersistent(), &t.s.Volatile
	v.PreviousShutdown = p.Shutdown
	v.StartupLocality = locality
	v.Started, v.PhEnable = true, true
	orderly := p.Shutdown != state.ShutdownNone
	if !orderly {
		t.s.Orderly.Safe = false
	}
	t.daStartup(orderly)
	t.advanceTime()
	t.hierarchyStartup(kind)
	t.sessionStartup(kind)
	t.commitStartup(kind)
	v.TimeEpoch = t.randomU64()
	t.pcrStartup(kind, locality)
	t.nvStartup(kind, orderly)
	r := &t.s.Reset
	switch kind {
	case startupResume:
		r.RestartCount++
	case startupRestart:
		r.ClearCount++
		r.RestartCount++
	case startupReset:
		r.ClearCount, r.RestartCount, r.ObjectContextID = 0, 0, 0
		r.CommandAuditDigest = state.TPM2B{}
		p.ResetCount++
		p.TotalResetCount++
	}
	p.Shutdown, p.ShutdownHCRTM, p.ShutdownLocality = state.ShutdownNone, false, 0
}

// shutdown is TPM2_Shutdown.
func (t *TPM) shutdown(c *call) wire.RC {
	type_ := wire.SU(c.u16())
	if type_ != wire.SUClear && type_ != wire.SUState {
		c.in.Fail(wire.RCValue)
	}
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	if rc := t.needNV(); rc != wire.RCSuccess {
		return rc
	}
	v := &t.s.Volatile
	if v.Reconfigured && type_ == wire.SUState {
		return c.badParam(1, wire.RCType)
	}
	p := t.changeShutdown()
	p.Shutdown, p.ShutdownHCRTM, p.ShutdownLocality = state.ShutdownClear, false, 0
	if type_ == wire.SUState {
		p.Shutdown, p.ShutdownHCRTM, p.ShutdownLocality = state.ShutdownState, v.HCRTM, v.StartupLocality
		t.savePCRs()
	}
	// The next use of what has dictionary attack protection is recorded again,
	// before it is known whether it fails, and with it that the shutdown is no
	// longer orderly.
	p.DAUsed = false
	t.s.Orderly.Time = v.Time
	return wire.RCSuccess
}
