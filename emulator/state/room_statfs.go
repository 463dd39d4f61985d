//go:build linux || darwin

package state

import (
	"os"
	"syscall"
)

// readOnlyFlag is ST_RDONLY of statvfs(3) on Linux and MNT_RDONLY of statfs(2)
// on macOS.
const readOnlyFlag = 1

// roomOf asks the file system of a directory. One that counts files and has
// none left has no room; one that does not count blocks is not asked again and
// again by writing: a commit finds out.
func roomOf(dir *os.File) (bytes uint64, readOnly bool) {
	var s syscall.Statfs_t
	if err := syscall.Fstatfs(int(dir.Fd()), &s); err != nil || s.Blocks == 0 {
		return plenty, s.Flags&readOnlyFlag != 0
	}
	bytes = s.Bavail * uint64(s.Bsize)
	if s.Files != 0 && s.Ffree == 0 {
		bytes = 0
	}
	return bytes, s.Flags&readOnlyFlag != 0
}
