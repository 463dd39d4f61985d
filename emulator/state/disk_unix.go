//go:build unix

package state

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// syncDirectory forces the names in a directory to the disk.
func syncDirectory(dir *os.File) error { return dir.Sync() }

// chmod undoes what the umask took away.
func chmod(f *os.File, mode fs.FileMode) error { return f.Chmod(mode) }

// readOnlyError says whether an operation failed because the file system is
// read-only.
func readOnlyError(err error) bool { return errors.Is(err, syscall.EROFS) }
