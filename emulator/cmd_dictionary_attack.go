package emulator

import (
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Dictionary attack protection (Part 1, section "Dictionary Attack
// Protection"), and Part 3, chapter "Dictionary Attack Functions". It protects
// lockoutAuth, the NV indices without TPMA_NV_NO_DA and the objects without noDA.

// Parameters of a new TPM, those of the reference implementation; times in
// seconds.
const (
	defaultMaxTries        = 3
	defaultRecoveryTime    = 1000
	defaultLockoutRecovery = 1000
)

// daDefaults are the parameters of a new TPM, and after TPM2_Clear: nothing has
// failed.
func (t *TPM) daDefaults() {
	p := &t.s.Persistent
	p.FailedTries, p.MaxTries, p.RecoveryTime = 0, defaultMaxTries, defaultRecoveryTime
	p.LockoutRecovery, p.LockoutAuthEnabled = defaultLockoutRecovery, true
}

// daUse is asked before an authorization of something that is protected, which is
// lockoutAuth or anything else. The first one in a power cycle is recorded, so that taking the power away does
// not hide that it failed. The reference writes that down first and answers
// TPM_RC_RETRY; here everything that a command changes is written before its
// response leaves.
func (t *TPM) daUse(lockout bool) wire.RC {
	if rc := t.lockedOut(lockout); rc != wire.RCSuccess {
		return rc
	}
	if lockout || t.s.Persistent.DAUsed {
		return wire.RCSuccess
	}
	if rc := t.needNV(); rc != wire.RCSuccess {
		return rc
	}
	t.changePersistent().DAUsed = true
	t.withdrawShutdown()
	t.recordAuth()
	return wire.RCSuccess
}

// lockedOut is TPM_RC_LOCKOUT while an authorization with lockoutAuth, or with
// anything else that is protected, is not even looked at.
func (t *TPM) lockedOut(lockout bool) wire.RC {
	p, v := &t.s.Persistent, &t.s.Volatile
	if rc := t.needNV(); rc != wire.RCSuccess && p.Shutdown != 0 {
		return rc // a failure could not be recorded
	}
	if v.DAPending {
		return t.needNV()
	}
	if lockout {
		if !p.LockoutAuthEnabled {
			return wire.RCLockout
		}
	} else if p.FailedTries >= p.MaxTries {
		return wire.RCLockout
	}
	return wire.RCSuccess
}

// authFailed records that an authorization with lockoutAuth, or else with
// something that is protected, failed: TPM_RC_AUTH_FAIL.
func (t *TPM) authFailed(lockout bool) {
	p, o := &t.s.Persistent, &t.s.Orderly
	t.withdrawShutdown()
	persistent := p.LockoutRecovery != 0
	if lockout {
		p.LockoutAuthEnabled = false
		o.LockoutTimer = int64(t.s.Volatile.Time)
	} else {
		persistent = p.RecoveryTime != 0
		if persistent {
			p.FailedTries++
		}
		o.SelfHealTimer = int64(t.s.Volatile.Time)
	}
	if !persistent {
		return
	}
	if t.needNV() == wire.RCSuccess {
		t.save()
	} else {
		t.s.Volatile.DAPending = true
	}
}

// daRecord has what waits for NV written with this command.
func (t *TPM) daRecord() {
	if v := &t.s.Volatile; v.DAPending {
		v.DAPending = false
		t.save()
	}
}

// daStartup is the part of TPM2_Startup: the timers go on from where an
// orderly shutdown left them, and begin anew after any other, which is a failed
// try if there was one that could have failed.
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
	if p.DAUsed && !orderly && p.FailedTries < p.MaxTries {
		p.FailedTries++
	}
	p.DAUsed = false
}

// daSelfHeal forgives one failed try for every RecoveryTime that has passed,
// and enables lockoutAuth again after LockoutRecovery.
func (t *TPM) daSelfHeal() {
	p, o, now := &t.s.Persistent, &t.s.Orderly, int64(t.s.Volatile.Time)
	if p.FailedTries != 0 {
		forgiven := uint64(p.FailedTries)
		if p.RecoveryTime != 0 {
			forgiven = uint64(max(0, now-o.SelfHealTimer)) / 1000 / uint64(p.RecoveryTime)
			o.SelfHealTimer += int64(forgiven) * int64(p.RecoveryTime) * 1000
		}
		if forgiven != 0 {
			p.FailedTries -= uint32(min(forgiven, uint64(p.FailedTries)))
			// A shutdown that came before has saved the timers with the Time that
			// they count from, which has to stay so.
			o.Time = uint64(now)
			t.save()
		}
	}
	if !p.LockoutAuthEnabled && p.LockoutRecovery != 0 &&
		(now-o.LockoutTimer)/1000 >= int64(p.LockoutRecovery) {
		p.LockoutAuthEnabled = true
		t.save()
	}
}

// dictionaryAttackLockReset is TPM2_DictionaryAttackLockReset.
func (t *TPM) dictionaryAttackLockReset(c *call) wire.RC {
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	if rc := t.needNV(); rc != wire.RCSuccess {
		return rc
	}
	t.changePersistent().FailedTries = 0
	return wire.RCSuccess
}

// dictionaryAttackParameters is TPM2_DictionaryAttackParameters. It leaves the
// number of failed tries as it is.
func (t *TPM) dictionaryAttackParameters(c *call) wire.RC {
	maxTries, recoveryTime, lockoutRecovery := c.u32(), c.u32(), c.u32()
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	if rc := t.needNV(); rc != wire.RCSuccess {
		return rc
	}
	p := t.changePersistent()
	p.MaxTries, p.RecoveryTime, p.LockoutRecovery = maxTries, recoveryTime, lockoutRecovery
	return wire.RCSuccess
}
