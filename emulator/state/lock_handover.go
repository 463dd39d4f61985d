package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// Lock is the lock of a directory. It belongs to an open file, so that it can go from one
// process to another without a gap: pass File to the other process (SCM_RIGHTS of
// unix(7)), have it take the lock over with AdoptLock, and give it up with Leave.
type Lock struct {
	file *os.File
}

// TakeLock takes the lock of a directory, the file name in it, as OpenDirectory takes that
// of a TPM's. It fails with a *LockedError if another process has it, or another part of
// this one.
func TakeLock(dir, name string) (*Lock, error) {
	path, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	root, err := openRoot(path)
	if err != nil {
		return nil, err
	}
	l, err := takeLock(root.root, path, name)
	return l, errors.Join(err, root.close())
}

// AdoptLock takes over the lock of a directory that another process has, whose File it
// passed. It takes over the file, also on error. Until Sign the file names the other
// process.
func AdoptLock(dir, name string, file *os.File) (*Lock, error) {
	err := isLock(filepath.Join(dir, name), file)
	if err == nil {
		err = holdLock(file)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the lock %s of another process: %w", filepath.Join(dir, name), err), file.Close())
	}
	return &Lock{file}, nil
}

// ErrOtherLock is why a file is not taken for the lock of a directory.
const ErrOtherLock Error = "this is not the file that is passed as it"

// isLock reports whether a file is the one at path.
func isLock(path string, file *os.File) error {
	there, err := os.Lstat(path)
	if err != nil {
		return err
	}
	passed, err := file.Stat()
	if err == nil && !os.SameFile(there, passed) {
		err = ErrOtherLock
	}
	return err
}

// Sign names this process in the file. Who holds it is for a message only: a lock whose
// file cannot be written is one too.
func (l *Lock) Sign() { _ = writeHolder(l.file, strconv.Itoa(os.Getpid())+"\n") }

// File returns the open file, which stays the lock's.
func (l *Lock) File() *os.File { return l.file }

// Release gives the lock back. The file stays, because one that somebody else may have
// opened cannot be removed without a race.
func (l *Lock) Release() error {
	_ = l.file.Truncate(0)
	return errors.Join(releaseLock(l.file), l.file.Close())
}

// Leave leaves the lock to a process that has taken it over.
func (l *Lock) Leave() error { return l.file.Close() }
