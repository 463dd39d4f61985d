//go:build !unix

package state

import (
	"io/fs"
	"os"
)

const noWait = 0

// syncDirectory does nothing where a directory cannot be forced to the disk;
// NTFS keeps a journal of names.
func syncDirectory(*os.File) error { return nil }

// chmod does nothing where files have no permission bits.
func chmod(*os.File, fs.FileMode) error { return nil }

// noDescriptor knows no such error here.
func noDescriptor(error) bool { return false }

// oneName does not count names here: files are not exchanged but renamed.
func oneName(fs.FileInfo) bool { return true }
