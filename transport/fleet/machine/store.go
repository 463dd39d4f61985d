package machine

import (
	"errors"
	"log/slog"
	"sync"

	"github.com/swtpmd/swtpmd/emulator/state"
)

// Failures tells in a log when the failure mode of a TPM begins, and why: its clients get
// TPM_RC_FAILURE and nothing else.
type Failures struct {
	Log *slog.Logger

	mu   sync.Mutex
	told error // the failure that the log has
}

// Look asks a TPM for its failure, nil for none, and tells the log if that has changed.
func (f *Failures) Look(ask func() error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	failure := ask()
	if failure != nil && f.told == nil {
		f.Log.Error("the TPM is in failure mode until the guest is reset", "cause", failure)
	}
	f.told = failure
}

// Failed returns the failure that the log has. It does not wait for a command in
// execution.
func (f *Failures) Failed() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.told
}

// Store tells in a log when state cannot be written any more, and when it can again.
type Store struct {
	state.Store
	Dir string // for the log
	Log *slog.Logger

	// refused: Writable was the last to fail; failed: Commit was.
	refused, failed bool
}

// Unwrap returns the store that is watched.
func (s *Store) Unwrap() state.Store { return s.Store }

// Writable logs when the store can be written no more, and when it can again.
func (s *Store) Writable() error {
	err := s.Store.Writable()
	switch {
	case err != nil && !s.refused:
		s.Log.Warn("state cannot be written: commands that change it answer TPM_RC_NV_UNAVAILABLE", "dir", s.Dir, "cause", err)
	case err == nil && s.refused:
		s.Log.Info("state can be written again", "dir", s.Dir)
	}
	s.refused = err != nil
	return err
}

// Commit puts the TPM in failure mode if it fails.
func (s *Store) Commit(blob []byte) error {
	err := s.Store.Commit(blob)
	switch {
	case err != nil && !s.failed:
		s.Log.Warn("state was not written: what the last command changed is lost", "dir", s.Dir, "cause", err)
	case err == nil && s.failed:
		s.Log.Info("state can be written again", "dir", s.Dir)
	}
	s.failed = err != nil
	return err
}

// Storage is a state directory as the control channel sees it, a swtpm.Storage.
type Storage struct{ *state.Directory }

// ErrChanged is why a lock that comes late is not taken.
const ErrChanged = state.Error("another TPM has written the state since it was loaded: INIT has to load it again")

// Lock takes the lock, and gives it back if loaded state is not that of the directory
// any more.
func (k Storage) Lock(loaded bool) error {
	if err := k.Directory.Lock(); err != nil || !loaded {
		return err
	}
	changed, err := k.Changed()
	if err == nil && changed {
		err = ErrChanged
	}
	if err != nil {
		return errors.Join(err, k.Unlock())
	}
	return nil
}
