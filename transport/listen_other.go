//go:build !unix

package transport

import (
	"io/fs"
	"syscall"
)

// restrict does nothing: the permissions come with the chmod after bind.
func restrict(syscall.RawConn, fs.FileMode) error { return nil }
