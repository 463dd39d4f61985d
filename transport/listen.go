package transport

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
)

// PathError says why a unix socket cannot be made at a path.
type PathError struct {
	Path string
	// Err is ErrPathInUse, ErrNotSocket, or what the system said.
	Err error
}

func (e *PathError) Error() string {
	hint := ""
	switch {
	case errors.Is(e.Err, ErrPathInUse):
		hint = "; stop that process or choose another path"
	case errors.Is(e.Err, ErrNotSocket):
		hint = "; it is left alone, choose another path"
	}
	return fmt.Sprintf("unix socket %s: %v%s", e.Path, e.Err, hint)
}

// Unwrap gives the cause.
func (e *PathError) Unwrap() error { return e.Err }

// Why a path is refused.
var (
	ErrPathInUse = errors.New("another process listens there")
	ErrNotSocket = errors.New("the path is taken by something that is not a socket")
)

// ListenUnix listens on a unix stream socket at path with the given
// permissions (0770 is what swtpm gives its sockets). The socket that a dead
// process left there is removed; anything else is refused with a *PathError:
// a socket that somebody listens on, a file that is not a socket. Close
// removes the path if it is still the same socket.
//
// A path that begins with "@" is a name in Linux' abstract namespace, which
// has no permissions.
func ListenUnix(ctx context.Context, path string, mode fs.FileMode) (net.Listener, error) {
	abstract := strings.HasPrefix(path, "@")
	if !abstract {
		if err := removeStale(ctx, path); err != nil {
			return nil, err
		}
	}
	config := net.ListenConfig{}
	if !abstract {
		// Before bind(2), so that there is no moment with wider permissions.
		config.Control = func(_, _ string, c syscall.RawConn) error { return restrict(c, mode) }
	}
	l, err := config.Listen(ctx, "unix", path)
	if err != nil {
		return nil, &PathError{Path: path, Err: err}
	}
	if abstract {
		return l, nil
	}
	return ownPath(l.(*net.UnixListener), path, mode)
}

// removeStale makes way for a socket at path.
func removeStale(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return &PathError{Path: path, Err: err}
	}
	if info.Mode().Type() != fs.ModeSocket {
		return &PathError{Path: path, Err: ErrNotSocket}
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
	if err == nil {
		_ = conn.Close()
		return &PathError{Path: path, Err: ErrPathInUse}
	}
	// Only a refusal says that nobody listens: a full backlog (EAGAIN), say,
	// does not.
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return &PathError{Path: path, Err: err}
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &PathError{Path: path, Err: err}
	}
	return nil
}

// pathListener removes its path when it is closed, but never somebody else's.
type pathListener struct {
	*net.UnixListener
	path  string
	own   fs.FileInfo
	close func() error
}

func ownPath(l *net.UnixListener, path string, mode fs.FileMode) (net.Listener, error) {
	l.SetUnlinkOnClose(false)
	fail := func(err error) (net.Listener, error) {
		_ = l.Close()
		return nil, &PathError{Path: path, Err: err}
	}
	own, err := os.Lstat(path)
	if err != nil {
		return fail(err)
	}
	// bind(2) has taken the umask off; the mode asked for is the mode given.
	if err := os.Chmod(path, mode); err != nil {
		return fail(err)
	}
	p := &pathListener{UnixListener: l, path: path, own: own}
	p.close = sync.OnceValue(p.shut)
	return p, nil
}

// Close stops listening and removes the path.
func (p *pathListener) Close() error { return p.close() }

func (p *pathListener) shut() error {
	if now, err := os.Lstat(p.path); err == nil && os.SameFile(p.own, now) {
		_ = os.Remove(p.path)
	}
	return p.UnixListener.Close()
}
