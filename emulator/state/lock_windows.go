package state

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// errorSharingViolation is ERROR_SHARING_VIOLATION.
const errorSharingViolation syscall.Errno = 32

// openLock opens the lock file and lets others only read it as long as it is
// open (CreateFileW, dwShareMode).
func openLock(_ *os.Root, path, name string) (*os.File, error) {
	name = filepath.Join(path, name)
	text, err := syscall.UTF16PtrFromString(name)
	if err != nil {
		return nil, err
	}
	h, err := syscall.CreateFile(text, syscall.GENERIC_READ|syscall.GENERIC_WRITE,
		syscall.FILE_SHARE_READ, nil, syscall.OPEN_ALWAYS, syscall.FILE_ATTRIBUTE_NORMAL, 0)
	if errors.Is(err, errorSharingViolation) {
		return nil, errLockHeld
	}
	if err != nil {
		return nil, &os.PathError{Op: "lock", Path: name, Err: err}
	}
	return os.NewFile(uintptr(h), name), nil
}

// releaseLock does nothing: the lock ends with the file.
func releaseLock(*os.File) error { return nil }

// readOnly knows no such error here.
func readOnly(error) bool { return false }

// holdLock refuses: a lock does not go from one process to another here.
func holdLock(*os.File) error { return errors.ErrUnsupported }
