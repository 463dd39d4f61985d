// Package rundir has the directory in which a daemon keeps its sockets that no flag
// puts elsewhere, and finds a daemon by it.
package rundir

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Names of the sockets. tpm2-tss finds the control channel of swtpm:path=P at P.ctrl.
const (
	Data    = "tpm.sock"
	Control = Data + ".ctrl"
	Console = "console.sock"
	GDB     = "gdb.sock"
	Admin   = "admin.sock"
)

// Make makes a directory for a daemon that is given none.
func Make() (string, error) { return os.MkdirTemp(parent(), prefix) }

// parent is where daemons make directories.
func parent() string {
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		return dir
	}
	return os.TempDir()
}

// prefix begins the names of directories that daemons make.
const prefix = "swtpmd-"

// FindAdmin returns the admin socket of the one daemon of this user that runs in a directory of its
// own choice. The directory for temporary files is everybody's, so a socket there
// is believed only if it and its directory are this user's, and nobody else can
// write to them.
func FindAdmin() (string, error) {
	paths, err := filepath.Glob(filepath.Join(parent(), prefix+"*", Admin))
	if err != nil {
		return "", err
	}
	var live []string
	var strange []error
	for _, path := range paths {
		switch err := ownSocket(path); {
		case err != nil:
			strange = append(strange, err)
		case listens(path):
			live = append(live, path)
		}
	}
	switch len(live) {
	case 1:
		return live[0], nil
	case 0:
		return "", errors.Join(append([]error{errors.New("no running swtpmd found in " + parent() + "; name its admin socket with --admin or $SWTPMD_ADMIN")}, strange...)...)
	default:
		return "", errors.New("several daemons run; choose one with --admin: " + strings.Join(live, ", "))
	}
}

// listens reports whether somebody listens on the socket.
func listens(path string) bool {
	c, err := net.DialTimeout("unix", path, time.Second)
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// foreignError is a socket that another user may have put there.
type foreignError struct {
	path   string
	reason string
}

func (e *foreignError) Error() string {
	return fmt.Sprintf("%s is passed over: %s; if you trust it, name it with --admin", e.path, e.reason)
}

// ownSocket reports with a *foreignError why a socket is not believed to be this
// user's.
func ownSocket(path string) error {
	for _, at := range []struct {
		path string
		kind fs.FileMode
		name string
	}{{filepath.Dir(path), fs.ModeDir, "directory"}, {path, fs.ModeSocket, "socket"}} {
		info, err := os.Lstat(at.path)
		if err != nil {
			return &foreignError{path, err.Error()}
		}
		owner, known := ownerOf(info)
		switch {
		case info.Mode().Type() != at.kind:
			return &foreignError{path, fmt.Sprintf("%s is no %s", at.path, at.name)}
		case known && owner != os.Geteuid():
			return &foreignError{path, fmt.Sprintf("its %s belongs to user %d", at.name, owner)}
		case info.Mode().Perm()&0o022 != 0:
			return &foreignError{path, fmt.Sprintf("others may write to its %s (mode %#o)", at.name, info.Mode().Perm())}
		}
	}
	return nil
}
