package state

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// reserve sets room aside in an empty file, which quotas and limits count
// (fallocate(2)). The file gets that size: without it a limit of file sizes would
// not be asked.
func reserve(f *os.File, size int64) error {
	for {
		err := syscall.Fallocate(int(f.Fd()), 0, 0, size)
		if err == syscall.EINTR {
			continue
		}
		return os.NewSyscallError("fallocate", err)
	}
}

// exchange swaps two names (renameat2(2), RENAME_EXCHANGE).
func exchange(dir *os.File, one, other string) error {
	fd := int(dir.Fd())
	err := unix.Renameat2(fd, one, fd, other, unix.RENAME_EXCHANGE)
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOSYS) {
		return errors.ErrUnsupported
	}
	if err != nil {
		return &os.LinkError{Op: "renameat2", Old: one, New: other, Err: err}
	}
	return nil
}

// writableDirectory asks whether names in the directory can be changed: a
// read-only file system and a lost permission answer no (faccessat(2)).
func writableDirectory(dir *os.File) error {
	const write, search = 2, 1
	return os.NewSyscallError("faccessat", syscall.Faccessat(int(dir.Fd()), ".", write|search, 0))
}
