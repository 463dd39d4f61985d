//go:build !unix

package state

import (
	"io/fs"
	"os"
)

// syncDirectory does nothing where a directory cannot be forced to the disk;
// NTFS keeps a journal of names.
func syncDirectory(*os.File) error { return nil }

// chmod does nothing where files have no permission bits.
func chmod(*os.File, fs.FileMode) error { return nil }
