package fleet

import (
	"os"

	"github.com/swtpmd/swtpmd/emulator/state"
)

// stateLock is the file of the lock of a state directory.
const stateLock = "tpm2.state.lock"

// takeAdopted returns the adopted lock for the directory that is opened; mu is held.
func (s *storage) takeAdopted() *state.Lock {
	l := s.adopted
	s.adopted = nil
	return l
}

// lockFile returns the file of the lock, nil for a directory that is not locked.
func (s *storage) lockFile() *os.File {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.open != nil:
		return s.open.LockFile()
	case s.adopted != nil:
		return s.adopted.File()
	}
	return nil
}

// adopt takes over the lock that another process has passed.
func (s *storage) adopt(file *os.File) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, err := state.AdoptLock(s.dir, stateLock, file)
	s.adopted = l
	return err
}

// release gives an adopted lock back that was not used.
func (s *storage) release() {
	if l := s.takeAdopted(); l != nil {
		if err := l.Release(); err != nil {
			s.log.Warn("the state directory was not unlocked", "dir", s.dir, "cause", err)
		}
	}
}

// leave leaves the directory to the process that has taken over its lock.
func (s *storage) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open != nil {
		_ = s.open.Leave()
	}
	if l := s.takeAdopted(); l != nil {
		_ = l.Leave()
	}
	s.open = nil
}
