//go:build unix && !aix && !solaris

package state

import (
	"errors"
	"os"
	"syscall"
)

// openLock opens the lock file and takes the lock, flock(2): it belongs to the
// open file, so that two TPMs in one process exclude each other too, and ends
// with it.
func openLock(root *os.Root, _, name string) (*os.File, error) {
	if err := regular(root, name); err != nil {
		return nil, err
	}
	f, err := root.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if readOnly(err) {
		if there, errOpen := root.Open(name); errOpen == nil {
			f, err = there, nil // which is enough for flock
		}
	}
	if err != nil {
		return nil, err
	}
	err = flock(f, syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return f, nil
	}
	f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, errLockHeld
	}
	return nil, err
}

// readOnly reports whether an error is that of a file system which cannot be
// written.
func readOnly(err error) bool { return errors.Is(err, syscall.EROFS) }

// releaseLock gives the lock back. To close the file is not enough while
// another goroutine starts a process: between fork and exec that has the file
// too.
func releaseLock(f *os.File) error { return flock(f, syscall.LOCK_UN) }

// holdLock takes the lock of an open file that another process has: it is one and the same
// lock then, and taken for both.
func holdLock(f *os.File) error { return flock(f, syscall.LOCK_EX|syscall.LOCK_NB) }

func flock(f *os.File, how int) error {
	for {
		err := syscall.Flock(int(f.Fd()), how)
		if err != syscall.EINTR {
			return os.NewSyscallError("flock", err)
		}
	}
}
