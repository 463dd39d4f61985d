package fleet

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// privateFromBind: private is enough.
const privateFromBind = true

// private gives a unix socket its permissions before it has a name: bind(2) makes the name
// with those of the socket (net/unix/af_unix.c: unix_bind_bsd).
func private(_, _ string, c syscall.RawConn) error {
	var failed error
	err := c.Control(func(fd uintptr) { failed = os.NewSyscallError("fchmod", unix.Fchmod(int(fd), socketMode)) })
	if failed != nil {
		return failed
	}
	return err
}

// writable reports whether the process can make names in a directory.
func writable(dir string) bool { return unix.Access(dir, unix.W_OK|unix.X_OK) == nil }
