//go:build unix

package transport

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// BindUnix listens on a new unix stream socket at path. If anything is there
// already, the error is fs.ErrExist. Close leaves the path alone.
//
// The socket is made in a private directory beside path, gets its permissions
// and its owner there, and only then its name: nobody can connect before, and
// no link that somebody puts at path is followed. The path may have as many
// bytes as the system takes (unix(7)), although the private one is longer.
func BindUnix(path string, access Access) (*net.UnixListener, error) {
	dir, err := os.MkdirTemp(filepath.Dir(path), ".socket-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	private := filepath.Join(dir, "s")
	l, err := bind(dir, private)
	if err != nil {
		return nil, err
	}
	if err := publish(private, path, access); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// bind binds a socket to the file s of dir. Where the system has a short name
// for an open directory, the length of dir does not count.
func bind(dir, private string) (*net.UnixListener, error) {
	fd, err := unix.Open(dir, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	defer unix.Close(fd)
	name := filepath.Join("/proc/self/fd", strconv.Itoa(fd), "s")
	if _, err := os.Stat(filepath.Dir(name)); err != nil {
		name = private
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	return l, nil
}

// publish gives the socket its permissions, its owner and its name.
func publish(private, path string, access Access) error {
	if err := os.Chmod(private, access.Mode.Perm()); err != nil {
		return err
	}
	if o := access.Owner; o != nil {
		if err := os.Lchown(private, o.UID, o.GID); err != nil {
			return err
		}
	}
	if err := checkLength(path); err != nil {
		return err
	}
	return rename(private, path)
}

// checkLength reports whether clients can name the path in an address.
func checkLength(path string) error {
	if len(path) >= len(syscall.RawSockaddrUnix{}.Path) {
		return &fs.PathError{Op: "bind", Path: path, Err: syscall.ENAMETOOLONG}
	}
	return nil
}
