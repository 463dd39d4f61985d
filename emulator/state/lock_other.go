//go:build !windows && (!unix || aix || solaris)

package state

import (
	"errors"
	"os"
)

// openLock refuses: two TPMs could not be kept apart.
func openLock(*os.Root, string, string) (*os.File, error) {
	return nil, errors.New("there are no file locks on this system: open it without a lock, and keep others away yourself")
}

// releaseLock does nothing: the lock ends with the file.
func releaseLock(*os.File) error { return nil }

// readOnly knows no such error here.
func readOnly(error) bool { return false }

// holdLock refuses: a lock does not go from one process to another here.
func holdLock(*os.File) error { return errors.ErrUnsupported }
