//go:build unix

package transport

import (
	"io/fs"
	"syscall"

	"golang.org/x/sys/unix"
)

// restrict gives the socket the permissions its file will have. Linux honours
// it (net/unix/af_unix.c: unix_bind takes the mode of the socket's inode);
// elsewhere it may fail, and the permissions come with the chmod after bind.
func restrict(c syscall.RawConn, mode fs.FileMode) error {
	return c.Control(func(fd uintptr) { _ = unix.Fchmod(int(fd), uint32(mode.Perm())) })
}
