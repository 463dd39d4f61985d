package fleet

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/transport/fleet/machine"
)

// storage is the state directory of a TPM. It is opened, and locked, when the TPM gets
// power, and closed when it has none: a TPM that nobody uses has no open files.
//
// What _TPM_Init and TPM2_Startup commit may be written later, with settle. Until then
// nothing has been said about that state: if it is lost, the TPM has not been started.
// So the directory of a new TPM is made with settle, too.
type storage struct {
	dir    string
	noSync bool
	log    *slog.Logger
	// unsettled is told that there is something for settle.
	unsettled func()
	// later is how many calls are under way whose commits may be written later.
	later atomic.Int32

	mu   sync.Mutex
	open *state.Directory // nil: closed
	// fresh: there was nothing at dir, and something can be made there.
	fresh   bool
	pending []byte // what was committed and is for settle, nil for nothing
	// adopted is the lock of the directory, which another process has passed; nil for none,
	// and once the directory is open.
	adopted *state.Lock
}

// opened returns the directory, open, and what it holds if it was opened now.
func (s *storage) opened() (d *state.Directory, blob []byte, err error) {
	if s.open != nil {
		return s.open, nil, nil
	}
	if d, err = state.OpenDirectory(s.dir, state.DirectoryOptions{NoSync: s.noSync, Lock: s.takeAdopted()}); err != nil {
		return nil, nil, err
	}
	blob, err = d.Load()
	if err == nil && blob != nil && s.fresh && s.pending != nil {
		err = machine.ErrChanged
	}
	if err != nil {
		return nil, nil, errors.Join(err, d.Close())
	}
	s.open, s.fresh = d, false
	return d, blob, nil
}

// isFresh reports whether the TPM is new: there is nothing at dir. What keeps a directory
// from being made there is left to opened.
func (s *storage) isFresh() bool {
	if s.open != nil || s.pending != nil {
		return false
	}
	_, err := os.Lstat(s.dir)
	s.fresh = errors.Is(err, fs.ErrNotExist) && writable(filepath.Dir(s.dir))
	return s.fresh
}

// settle writes what was to be written later, and calls settled then.
func (s *storage) settle(settled func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending != nil {
		if _, err := s.directory(); err != nil {
			return err
		}
	}
	settled()
	return nil
}

// directory returns the directory, open, with nothing pending. The caller holds mu.
func (s *storage) directory() (*state.Directory, error) {
	d, _, err := s.opened()
	if err != nil || s.pending == nil {
		return d, err
	}
	if err = d.Writable(); err == nil {
		err = d.Commit(s.pending)
	}
	if err != nil {
		return nil, err
	}
	clear(s.pending) // it has secrets
	s.pending = nil
	return d, nil
}

// with runs do with the directory.
func (s *storage) with(do func(*state.Directory) error) error {
	s.mu.Lock()
	d, err := s.directory()
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return do(d)
}

// close gives the lock and the open files back.
func (s *storage) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending != nil {
		if _, err := s.directory(); err != nil {
			s.log.Warn("the state of a TPM that was started, and not used, is not stored", "dir", s.dir, "cause", err)
		}
	}
	clear(s.pending)
	s.pending, s.fresh = nil, false
	s.release()
	if s.open == nil {
		return
	}
	if err := s.open.Close(); err != nil {
		s.log.Warn("the state directory was not closed", "dir", s.dir, "cause", err)
	}
	s.open = nil
}

// Load implements state.Store.
func (s *storage) Load() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending != nil {
		return bytes.Clone(s.pending), nil
	}
	if s.later.Load() > 0 && (s.fresh || s.isFresh()) {
		return nil, nil
	}
	d, blob, err := s.opened()
	if err != nil || blob != nil {
		return blob, err
	}
	return d.Load()
}

// Writable implements state.Store.
func (s *storage) Writable() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fresh && s.later.Load() > 0 {
		return nil
	}
	d, err := s.directory()
	if err != nil {
		return errors.Join(state.ErrUnavailable, err)
	}
	return d.Writable()
}

// Commit implements state.Store.
func (s *storage) Commit(blob []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.later.Load() == 0 {
		d, _, err := s.opened()
		if err != nil {
			return err
		}
		if err = d.Commit(blob); err == nil {
			clear(s.pending)
			s.pending = nil
		}
		return err
	}
	s.pending = append(s.pending[:0], blob...)
	s.unsettled()
	return nil
}

// Tear leaves what a loss of power in the middle of a commit leaves.
func (s *storage) Tear(blob []byte, n int) error {
	return s.with(func(d *state.Directory) error { return state.Tear(d, blob, n) })
}

// Lock implements swtpm.Storage, as the methods below do.
func (s *storage) Lock(loaded bool) error {
	return s.with(func(d *state.Directory) error { return machine.Storage{Directory: d}.Lock(loaded) })
}

func (s *storage) Unlock() error {
	return s.with(func(d *state.Directory) error { return d.Unlock() })
}

func (s *storage) StoreVolatile(volatile []byte) error {
	return s.with(func(d *state.Directory) error { return d.StoreVolatile(volatile) })
}

// LoadVolatile is asked before INIT, and leaves a new TPM's directory to be made later.
func (s *storage) LoadVolatile() (volatile []byte, err error) {
	s.mu.Lock()
	fresh := s.isFresh() || s.fresh
	s.mu.Unlock()
	if fresh {
		return nil, nil
	}
	err = s.with(func(d *state.Directory) error { volatile, err = d.LoadVolatile(); return err })
	return volatile, err
}

func (s *storage) RemoveVolatile() error {
	return s.with(func(d *state.Directory) error { return d.RemoveVolatile() })
}
