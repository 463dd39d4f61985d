package swtpm

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// Storage is where the state of a TPM is kept, as far as the control channel has to do
// with it. The Device itself reads and writes its permanent state there. Its methods
// may be called from several goroutines.
type Storage interface {
	// Lock takes the storage for this TPM, without waiting for another TPM that
	// has it. loaded says that the Device goes on with a state that it loaded
	// before: if another TPM has written the storage since, that is an error.
	Lock(loaded bool) error
	// Unlock lets another TPM take the storage. The Device cannot write it then.
	Unlock() error
	// StoreVolatile keeps volatile state (transport.Migratable) for a later INIT,
	// LoadVolatile returns it, nil if there is none, and RemoveVolatile removes it.
	StoreVolatile(volatile []byte) error
	LoadVolatile() ([]byte, error)
	RemoveVolatile() error
}

// memory is the Storage of a TPM that ends with the server.
type memory struct {
	mu       sync.Mutex
	volatile []byte
}

func (m *memory) Lock(bool) error { return nil }
func (m *memory) Unlock() error   { return nil }

func (m *memory) keep(volatile []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.volatile = volatile
}

func (m *memory) StoreVolatile(volatile []byte) error { m.keep(volatile); return nil }
func (m *memory) RemoveVolatile() error               { m.keep(nil); return nil }

func (m *memory) LoadVolatile() ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.volatile, nil
}

// The lock of the storage.
const (
	lockPause = 10 * time.Millisecond
	// lockTries is how often a lock is tried again that a server on its way in, or
	// one that has given the lock away, needs for a TPM command.
	lockTries = 300
	// maxLockTries bounds what LOCK_STORAGE can ask for: a minute.
	maxLockTries = 6000
)

// lock is whether the storage is this server's.
type lock struct {
	mu     sync.Mutex // held while it is taken or given away
	locked atomic.Bool
	// incoming says that INIT leaves the lock to a later moment.
	incoming bool
	// given says that it was given away with the state of the TPM.
	given bool
}

// ensureLocked takes the lock of the storage if it is not this server's, trying again
// so often while another TPM has it.
func (s *Server) ensureLocked(tries uint32) error { return s.lockFor(tries, false) }

// lockFor is ensureLocked, and may be for a TPM that comes back: its state was fetched,
// to go on elsewhere, and goes on here. Then what another TPM has written since counts
// for nothing.
func (s *Server) lockFor(tries uint32, comesBack bool) error {
	if s.lock.locked.Load() {
		return nil
	}
	s.lock.mu.Lock()
	defer s.lock.mu.Unlock()
	if s.lock.locked.Load() {
		return nil
	}
	for ; ; tries-- {
		err := s.opts.Storage.Lock(s.powered() && !(comesBack && s.lock.given))
		if err == nil {
			s.lock.locked.Store(true)
			s.lock.incoming, s.lock.given = false, false
			s.log.Info("the state storage is locked for this TPM")
			return nil
		}
		if tries == 0 {
			return err
		}
		select {
		case <-s.Done():
			return errors.Join(err, errEnded)
		case <-time.After(lockPause):
		}
	}
}

var errEnded = errors.New("the server has ended")

// lockForInit is ensureLocked for INIT, which leaves the lock alone where a migration
// comes in.
func (s *Server) lockForInit() error {
	s.lock.mu.Lock()
	incoming := s.lock.incoming
	s.lock.mu.Unlock()
	if incoming {
		return nil
	}
	return s.ensureLocked(0)
}

// needLock takes the lock for what is about to change the state. Without it the server
// ends, as swtpm does: the TPM is another server's by now.
func (s *Server) needLock() error {
	err := s.ensureLocked(lockTries)
	if err != nil && !s.ended() {
		s.log.Error("the state storage cannot be locked: the TPM is another server's", "cause", err)
		s.end(EndedByLock)
	}
	return err
}

// handOver gives the lock away: the state that was fetched goes on elsewhere.
func (s *Server) handOver() {
	s.lock.mu.Lock()
	defer s.lock.mu.Unlock()
	if !s.lock.locked.Load() {
		return
	}
	s.lock.locked.Store(false)
	s.lock.given = true
	if err := s.opts.Storage.Unlock(); err != nil {
		s.log.Warn("the state storage was not unlocked", "cause", err)
		return
	}
	s.log.Info("the state storage is unlocked for another TPM")
}
