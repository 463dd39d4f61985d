package emulator

import (
	"fmt"
	"time"

	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// What a command may change of the state, and what follows from it: the contract
// in the package comment. The fields of changes are set here and nowhere else.

// changes is what has changed of the state that outlives a command.
type changes struct {
	nv    wire.RC // needNV of the command in execution, if asked
	asked bool
	// until is the end of the time in which Clock runs without another question to the
	// Store, which could be written when it was asked last; 0 for none.
	until time.Duration

	// What the Store does not have yet, also from commands during which it could
	// not be written: anything, or NV indices.
	state, indices bool

	// Of the command in execution:

	withdrawn bool // the mark of the last TPM2_Shutdown goes when the command ends
	// recorded: an authorization has left a trace in the state, which stays whatever
	// becomes of the command.
	recorded bool
	// acting: the action has begun. By then withdrawn was before.
	acting, before bool
}

// trust is how long Clock runs after the Store could be written, before the Store is asked
// again: a question to a directory is a system call, and most commands need NV for nothing
// else. Commands that change what is stored always ask.
const trust = 100 * time.Millisecond

// trustClock is more than Clock advances in that time, in milliseconds.
const trustClock = 200

// beginChanges begins a command.
func (t *TPM) beginChanges() {
	c := &t.changes
	c.asked, c.withdrawn, c.recorded, c.acting = false, false, false, false
}

// clockRuns reports whether Clock advances in this command: NV can be written, or could a
// short time ago and is not needed for what Clock says.
func (t *TPM) clockRuns() bool {
	left := t.changes.until - t.now
	trusted := left > 0 && left <= trust && !t.s.Volatile.DAPending && t.s.Persistent.Shutdown == state.ShutdownNone &&
		t.s.Orderly.Clock%clockUpdate < clockUpdate-trustClock
	return trusted || t.needNV() == wire.RCSuccess
}

// nvStatus is what a command that needs NV answers.
func nvStatus(err error) wire.RC {
	switch {
	case err == nil:
		return wire.RCSuccess
	case state.RateLimited(err):
		return wire.RCNVRate
	}
	return wire.RCNVUnavailable
}

// beginAction begins the action of a command: from here on an error must not have
// changed anything.
func (t *TPM) beginAction() { t.changes.acting, t.changes.before = true, t.changes.withdrawn }

// endChanges ends a command, also one that failed: the mark of the last
// TPM2_Shutdown goes if it was withdrawn, and what has changed is committed, once.
func (t *TPM) endChanges() {
	if t.changes.withdrawn && t.s.Persistent.Shutdown != state.ShutdownNone {
		t.changePersistent().Shutdown = state.ShutdownNone
	}
	if (t.changes.state || t.changes.indices) && t.needNV() == wire.RCSuccess && t.failure == nil {
		t.commit()
	}
}

// needNV is TPM_RC_NV_UNAVAILABLE or TPM_RC_NV_RATE if the Store cannot be written
// in this command. Whoever changes persistent state asks it before. The Store is asked at
// most once in a command.
func (t *TPM) needNV() wire.RC {
	c := &t.changes
	if !c.asked {
		c.asked, c.nv, c.until = true, nvStatus(t.platform.Store.Writable()), 0
		if c.nv == wire.RCSuccess {
			c.until = t.now + trust
		}
	}
	return c.nv
}

// save has the whole state written to the Store when the command ends.
func (t *TPM) save() { t.changes.state = true }

// changePersistent gives the persistent state to be changed, and saves it.
func (t *TPM) changePersistent() *state.Persistent {
	t.save()
	return &t.s.Persistent
}

// saveIndices has the NV indices written to the Store when the command ends, if
// nothing else has to be.
func (t *TPM) saveIndices() { t.changes.indices = true }

// resumable reports whether TPM2_Shutdown(STATE) is the last there was: after the
// next _TPM_Init the TPM can go on with what that has saved.
func (t *TPM) resumable() bool { return t.s.Persistent.Shutdown == state.ShutdownState }

// orderlyChangeable checks that state which TPM2_Shutdown saves can change. If there
// was a shutdown its mark must go, for which NV is needed.
func (t *TPM) orderlyChangeable() wire.RC {
	if t.s.Persistent.Shutdown == state.ShutdownNone {
		return wire.RCSuccess
	}
	return t.needNV()
}

// withdrawShutdown has the mark of the last TPM2_Shutdown removed when the command
// ends: what that has saved is no longer the state. Who calls it has asked
// orderlyChangeable, or records a failure.
func (t *TPM) withdrawShutdown() { t.changes.withdrawn = true }

// changeOrderly announces a change of state that TPM2_Shutdown saves. An action
// calls it as its last check.
func (t *TPM) changeOrderly() wire.RC {
	rc := t.orderlyChangeable()
	if rc == wire.RCSuccess {
		t.withdrawShutdown()
	}
	return rc
}

// changeShutdown is changePersistent for TPM2_Shutdown, whose mark stays whatever
// the command has withdrawn before.
func (t *TPM) changeShutdown() *state.Persistent {
	t.changes.withdrawn = false
	return t.changePersistent()
}

// recordAuth notes that an authorization has changed the state: it stays so if the
// command fails.
func (t *TPM) recordAuth() { t.changes.recorded = true }

// commit writes the state to the Store.
func (t *TPM) commit() {
	commit := t.encoder.CommitNV
	if t.changes.state {
		commit = t.encoder.Commit
	}
	t.changes.state, t.changes.indices = false, false
	if err := commit(t.platform.Store, &t.s); err != nil {
		t.fail(failStore, fmt.Errorf("commit TPM state: %w", err))
	}
}

// commitSignal commits what a platform signal has changed, if the Store can be
// written. If not, the next command that can will do it.
func (t *TPM) commitSignal() {
	if t.changes.state && t.failure == nil && t.platform.Store.Writable() == nil {
		t.commit()
	}
}

// undidShutdown reports whether the action has withdrawn a shutdown.
func (c *changes) undidShutdown() bool { return c.acting && c.withdrawn && !c.before }
