package transport

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// rename gives a file another name, and fails with fs.ErrExist if something has
// it. Where the file system cannot do that in one step, link(2) can: it replaces
// nothing either.
func rename(from, to string) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		return os.Link(from, to)
	}
	if err != nil {
		return &os.LinkError{Op: "renameat2", Old: from, New: to, Err: err}
	}
	return nil
}
