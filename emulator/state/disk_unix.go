//go:build unix

package state

import (
	"io/fs"
	"os"
)

// syncDirectory forces the names in a directory to the disk.
func syncDirectory(dir *os.File) error { return dir.Sync() }

// chmod undoes what the umask took away.
func chmod(f *os.File, mode fs.FileMode) error { return f.Chmod(mode) }
