package fleet

import (
	"errors"
	"fmt"
	"time"

	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/state"
)

// engineState is an engine as a value, for one that goes on in another process.
type engineState struct {
	// Snapshot is empty for one without power.
	Snapshot []byte `json:"snapshot,omitempty"`
	Powered  bool   `json:"powered,omitempty"`
	Buffer   uint32 `json:"buffer"`
	// Passed is the time on its clock, Last that which the TPM has read last.
	Passed  time.Duration `json:"passed_ns"`
	Last    time.Duration `json:"last_ns"`
	Failure string        `json:"failure,omitempty"`
	// Memory is the stored state of a TPM that has no directory for it.
	Memory []byte `json:"memory,omitempty"`
}

// state returns the engine as it is. Nobody uses it meanwhile.
func (e *engine) state() (s engineState, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s = engineState{Snapshot: e.saved, Powered: e.powered.Load(), Buffer: e.buffer.size, Passed: e.clock.passed(), Last: e.clock.last}
	if e.tpm != nil && e.tpm.Powered() {
		if s.Snapshot, err = e.tpm.Snapshot(); err != nil {
			return s, err
		}
	}
	if failure := e.failures.Failed(); failure != nil {
		s.Failure = failure.Error()
	}
	if memory, ok := e.store.Store.(*state.Memory); ok {
		s.Memory, err = memory.Load()
	}
	return s, err
}

// setState has an engine that was not used yet go on from a state, which it takes over. A
// snapshot that the TPM could not go on from is an error.
func (e *engine) setState(s engineState) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(s.Snapshot) > 0 {
		if err := e.kind.Another(emulator.Platform{Store: new(state.Memory)}).Restore(s.Snapshot); err != nil {
			return err
		}
	}
	if memory, ok := e.store.Store.(*state.Memory); ok && len(s.Memory) > 0 {
		if err := memory.Commit(s.Memory); err != nil {
			return err
		}
	}
	e.clock.start, e.clock.last = time.Now().Add(-s.Passed), s.Last
	e.buffer.size = s.Buffer
	e.powered.Store(s.Powered)
	e.used.Store(int64(s.Passed))
	if s.Failure != "" {
		e.failures.Look(func() error { return errors.New(s.Failure) })
	}
	if len(s.Snapshot) == 0 {
		return nil
	}
	if e.tpm == nil {
		e.saved = s.Snapshot
		return nil
	}
	return e.resume(e.tpm, s.Snapshot) // faults surround it
}

// resume has a TPM go on from a snapshot, as if it had never been away: nothing has changed,
// neither the time up to which it has come, nor what is stored.
func (e *engine) resume(tpm *emulator.TPM, snapshot []byte) error {
	e.clock.paused, e.store.quiet = true, true
	err := tpm.Restore(snapshot)
	e.clock.paused, e.store.quiet = false, false
	if err != nil {
		return fmt.Errorf("the TPM cannot go on from where it was put away: %w", err)
	}
	return nil
}

// leave ends an engine with whose state another process goes on: it stores nothing more.
func (e *engine) leave() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.powered.Store(false)
	e.store.quiet = true
	if e.tpm != nil {
		_ = e.tpm.PowerOff() // which leaves no secrets
		e.tpm = nil
	}
	clear(e.saved)
	e.saved = nil
}
