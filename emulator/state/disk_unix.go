//go:build unix

package state

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// noWait opens a named pipe without waiting for its other end.
const noWait = syscall.O_NONBLOCK

// syncDirectory forces the names in a directory to the disk.
func syncDirectory(dir *os.File) error { return dir.Sync() }

// chmod undoes what the umask took away.
func chmod(f *os.File, mode fs.FileMode) error { return f.Chmod(mode) }

// oneName reports whether a file has no other name, such as that of a backup made
// of links.
func oneName(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return !ok || stat.Nlink == 1
}

// noDescriptor reports whether an error is that of a process or a system that has
// too many files open.
func noDescriptor(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}
