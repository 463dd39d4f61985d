//go:build unix

package fleet

import (
	"os"

	"golang.org/x/sys/unix"
)

// duplicate is a descriptor that others have, as a filer.
type duplicate struct{ of interface{ Fd() uintptr } }

// File returns a duplicate of the descriptor.
func (d duplicate) File() (*os.File, error) {
	fd, err := unix.FcntlInt(d.of.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	return os.NewFile(uintptr(fd), "duplicate"), nil
}

// number is a descriptor by its number.
type number int

// Fd returns the number.
func (n number) Fd() uintptr { return uintptr(n) }
