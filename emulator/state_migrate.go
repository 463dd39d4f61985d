package emulator

import (
	"bytes"
	"fmt"

	"github.com/swtpmd/swtpmd/emulator/state"
)

// SaveState returns the state of the TPM in two parts, as a virtual machine moves it
// to another host: permanent is what a commit would put in the Store now,
// volatile what Snapshot gives. The TPM goes on. It fails with ErrNoPower.
func (t *TPM) SaveState() (permanent, volatile []byte, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.powered.Load() {
		return nil, nil, ErrNoPower
	}
	return t.s.Encode(nil), t.encodeSnapshot(), nil
}

// LoadState makes this TPM the one whose state [TPM.SaveState] returned. Without volatile this TPM must
// have no power, else it fails with ErrPowered; the permanent state is put in the
// Store, from which the next Init takes it. With volatile it is Restore, and
// refuses what was not saved together. It refuses with a *SnapshotError what is no
// state, or does not fit this TPM's Config, and then changes nothing.
func (t *TPM) LoadState(permanent, volatile []byte) error {
	t.ready()
	s, err := state.Decode(permanent)
	if err != nil {
		return &SnapshotError{What: "the permanent state", Err: err}
	}
	saved := s.Encode(nil)
	if err := t.adopt(s); err != nil && (len(volatile) == 0 || !unmade(err)) {
		return &SnapshotError{What: "the permanent state", Err: err}
	}
	if len(volatile) == 0 {
		return t.storePermanent(s)
	}
	whole, err := state.Decode(volatile)
	if err != nil {
		return &SnapshotError{What: "the volatile state", Err: err}
	}
	if !bytes.Equal(whole.Encode(nil), saved) {
		return &SnapshotError{What: "the volatile state", Err: errOtherState}
	}
	return t.Restore(volatile)
}

// errOtherState is the cause of a *SnapshotError of LoadState.
var errOtherState = state.Error("it was not saved with this permanent state: use two parts of one SaveState")

// storePermanent replaces what the Store holds. Of a snapshot, it keeps what is
// permanent.
func (t *TPM) storePermanent(s *state.State) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.powered.Load() {
		return ErrPowered
	}
	err := t.platform.Store.Writable()
	if err == nil {
		err = t.platform.Store.Commit(s.Encode(nil))
	}
	if err != nil {
		return fmt.Errorf("store TPM state: %w", err)
	}
	return nil
}
