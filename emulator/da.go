package emulator

import "github.com/swtpmd/swtpmd/emulator/wire"

// Dictionary attack protection (Part 1, section "Dictionary Attack
// Protection"). Nothing but lockoutAuth is protected yet.

// Parameters of a new TPM, those of the reference implementation; times in
// seconds.
const (
	defaultMaxTries        = 3
	defaultRecoveryTime    = 1000
	defaultLockoutRecovery = 1000
)

// daExempt says whether failures to authorise the handle do not count.
func (t *TPM) daExempt(h wire.Handle) bool { return h != wire.RHLockout }

// lockedOut is TPM_RC_LOCKOUT while an authorisation of the handle, which is
// protected, is not even looked at.
func (t *TPM) lockedOut(h wire.Handle) wire.RC {
	p, v := &t.s.Persistent, &t.s.Volatile
	if t.nvStatus != wire.RCSuccess && p.Shutdown != 0 {
		return t.nvStatus // a failure could not be recorded
	}
	if v.DAPending {
		return t.nvStatus
	}
	if h == wire.RHLockout {
		if !p.LockoutAuthEnabled {
			return wire.RCLockout
		}
	} else if p.FailedTries >= p.MaxTries {
		return wire.RCLockout
	}
	return wire.RCSuccess
}

// authFailure records that an authorisation of the handle failed and gives
// the code for it: TPM_RC_AUTH_FAIL where that has consequences, else
// TPM_RC_BAD_AUTH.
func (t *TPM) authFailure(h wire.Handle) wire.RC {
	if t.daExempt(h) {
		return wire.RCBadAuth
	}
	p, o := &t.s.Persistent, &t.s.Orderly
	t.call.notOrderly = true
	p.LockoutAuthEnabled = false
	o.LockoutTimer = int64(t.s.Volatile.Time)
	if p.LockoutRecovery != 0 {
		if t.nvStatus == wire.RCSuccess {
			t.dirty = true
		} else {
			t.s.Volatile.DAPending = true
		}
	}
	return wire.RCAuthFail
}

// daRecord has what waits for NV written with this command.
func (t *TPM) daRecord() {
	if v := &t.s.Volatile; v.DAPending {
		v.DAPending, t.dirty = false, true
	}
}

// daStartup is the part of TPM2_Startup: the timers go on from where an
// orderly shutdown left them, and begin anew after any other.
func (t *TPM) daStartup(orderly bool) {
	p, o := &t.s.Persistent, &t.s.Orderly
	if orderly {
		o.SelfHealTimer -= int64(o.Time)
		o.LockoutTimer -= int64(o.Time)
	} else {
		o.SelfHealTimer, o.LockoutTimer = 0, 0
	}
	o.Time = 0
	if p.LockoutRecovery == 0 {
		p.LockoutAuthEnabled = true
	}
}

// daSelfHeal forgives one failed try for every RecoveryTime that has passed,
// and enables lockoutAuth again after LockoutRecovery.
func (t *TPM) daSelfHeal() {
	p, o, now := &t.s.Persistent, &t.s.Orderly, int64(t.s.Volatile.Time)
	if p.FailedTries != 0 {
		forgiven := uint64(p.FailedTries)
		if p.RecoveryTime != 0 {
			forgiven = uint64(now-o.SelfHealTimer) / 1000 / uint64(p.RecoveryTime)
			o.SelfHealTimer += int64(forgiven) * int64(p.RecoveryTime) * 1000
		}
		if forgiven != 0 {
			p.FailedTries -= uint32(min(forgiven, uint64(p.FailedTries)))
			t.dirty = true
		}
	}
	if !p.LockoutAuthEnabled && p.LockoutRecovery != 0 &&
		(now-o.LockoutTimer)/1000 >= int64(p.LockoutRecovery) {
		p.LockoutAuthEnabled = true
		t.dirty = true
	}
}
