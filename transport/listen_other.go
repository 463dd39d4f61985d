//go:build !unix

package transport

import (
	"net"
	"os"
)

// BindUnix listens on a new unix stream socket at path. If anything is there
// already, the error is fs.ErrExist. Close leaves the path alone.
//
// This system has no owner to give, and the permissions come after the name.
func BindUnix(path string, access Access) (*net.UnixListener, error) {
	if _, err := os.Lstat(path); err == nil {
		return nil, &os.PathError{Op: "bind", Path: path, Err: os.ErrExist}
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	if err := os.Chmod(path, access.Mode.Perm()); err != nil {
		_ = l.Close()
		return nil, err
	}
	return l, nil
}
