//go:build unix

package process

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Enter makes dir the root directory of this process, and its working directory.
func Enter(dir string) error {
	// The first local time reads the time zone's file.
	_, _ = time.Now().Zone()
	if err := unix.Chroot(dir); err != nil {
		return &os.PathError{Op: "chroot", Path: dir, Err: err}
	}
	return unix.Chdir("/")
}

// Is reports whether this process has the identity already. A user who is not root and
// asks for no group has any.
func (id *Identity) Is() bool {
	if id.UID != unix.Getuid() || id.UID != unix.Geteuid() {
		return false
	}
	return id.GID == unix.Getgid() && id.GID == unix.Getegid() || id.UID != 0 && !id.byGroup
}

// errStillRoot is a process that could take back what it has given up.
var errStillRoot = errors.New("the process could still become root again")

// Become gives this process, with all of its threads, the identity for good, and takes
// the capabilities of root from it.
func (id *Identity) Become() error {
	if id.Is() {
		return nil
	}
	// In this order: the user is what permits the others.
	if err := syscall.Setgroups(id.Groups); err != nil {
		return fmt.Errorf("groups %v: %w", id.Groups, err)
	}
	if err := syscall.Setgid(id.GID); err != nil {
		return fmt.Errorf("group %d: %w", id.GID, err)
	}
	if err := syscall.Setuid(id.UID); err != nil {
		return fmt.Errorf("user %d: %w", id.UID, err)
	}
	if id.UID != 0 && syscall.Setuid(0) == nil {
		return errStillRoot
	}
	return nil
}
