package fleet

import (
	"errors"
	"log/slog"
	"sync"

	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/transport/fleet/machine"
)

// storage is the state directory of a TPM. It is opened, and locked, when the TPM gets
// power, and closed when it has none: a TPM that nobody uses has no open files.
type storage struct {
	dir    string
	noSync bool
	log    *slog.Logger

	mu   sync.Mutex
	open *state.Directory // nil: closed
}

// directory returns the directory, open.
func (s *storage) directory() (*state.Directory, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		d, err := state.OpenDirectory(s.dir, state.DirectoryOptions{NoSync: s.noSync})
		if err != nil {
			return nil, err
		}
		if _, err := d.Load(); err != nil {
			return nil, errors.Join(err, d.Close())
		}
		s.open = d
	}
	return s.open, nil
}

// close gives the lock and the open files back.
func (s *storage) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
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
	d, err := s.directory()
	if err != nil {
		return nil, err
	}
	return d.Load()
}

// Writable implements state.Store.
func (s *storage) Writable() error {
	d, err := s.directory()
	if err != nil {
		return errors.Join(state.ErrUnavailable, err)
	}
	return d.Writable()
}

// Commit implements state.Store.
func (s *storage) Commit(blob []byte) error {
	d, err := s.directory()
	if err != nil {
		return err
	}
	return d.Commit(blob)
}

// Tear leaves what a loss of power in the middle of a commit leaves.
func (s *storage) Tear(blob []byte, n int) error {
	d, err := s.directory()
	if err != nil {
		return err
	}
	return state.Tear(d, blob, n)
}

// Lock implements swtpm.Storage, as the methods below do.
func (s *storage) Lock(loaded bool) error {
	d, err := s.directory()
	if err != nil {
		return err
	}
	return machine.Storage{Directory: d}.Lock(loaded)
}

func (s *storage) Unlock() error {
	d, err := s.directory()
	if err != nil {
		return err
	}
	return d.Unlock()
}

func (s *storage) StoreVolatile(volatile []byte) error {
	d, err := s.directory()
	if err != nil {
		return err
	}
	return d.StoreVolatile(volatile)
}

func (s *storage) LoadVolatile() ([]byte, error) {
	d, err := s.directory()
	if err != nil {
		return nil, err
	}
	return d.LoadVolatile()
}

func (s *storage) RemoveVolatile() error {
	d, err := s.directory()
	if err != nil {
		return err
	}
	return d.RemoveVolatile()
}
