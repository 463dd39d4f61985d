package state

import (
	"errors"
	"path/filepath"
)

// LockDirectory takes a lock of the file name in a directory, as OpenDirectory does for a
// TPM, for whoever else must be alone there. The operating system gives it back when the
// process ends. It fails with a *LockedError if somebody has it.
func LockDirectory(dir, name string) (unlock func() error, err error) {
	path, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	root, err := openRoot(path)
	if err != nil {
		return nil, err
	}
	release, err := lockDirectory(root.root, path, name)
	if err != nil {
		return nil, errors.Join(err, root.close())
	}
	return func() error { return errors.Join(release(), root.close()) }, nil
}
