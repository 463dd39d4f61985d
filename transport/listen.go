package transport

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
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

// Unwrap returns the cause.
func (e *PathError) Unwrap() error { return e.Err }

// Why a path is refused.
var (
	ErrPathInUse = errors.New("another process listens there")
	ErrNotSocket = errors.New("the path is taken by something that is not a socket")
)

// Access says who may connect to a unix socket.
type Access struct {
	// Mode are the permissions of the socket, whatever the umask is. 0770 is
	// what swtpm gives its sockets.
	Mode fs.FileMode
	// Owner is the socket's owner, nil for the process's own.
	Owner *Owner
}

// Owner is a user and a group, as chown(2) takes them: -1 changes nothing.
type Owner struct {
	UID, GID int
}

// ListenUnix listens on a unix stream socket at path. The socket that a dead
// process left there is removed; anything else is refused with a *PathError:
// a socket that somebody listens on, a file that is not a socket. Close
// removes the path if it is still the same socket.
//
// The socket has its permissions and its owner before it has its name (see
// BindUnix).
//
// A path that begins with "@" is a name in Linux' abstract namespace, which
// has no permissions.
func ListenUnix(ctx context.Context, path string, access Access) (net.Listener, error) {
	if strings.HasPrefix(path, "@") {
		var config net.ListenConfig
		l, err := config.Listen(ctx, "unix", path)
		if err != nil {
			return nil, &PathError{Path: path, Err: err}
		}
		return l, nil
	}
	// Another process that finds the same dead socket must not remove the one
	// that takes its place.
	unlock := lockDirectory(ctx, filepath.Dir(path))
	defer unlock()
	if err := removeStale(ctx, path); err != nil {
		return nil, err
	}
	l, err := BindUnix(path, access)
	if errors.Is(err, fs.ErrExist) {
		return nil, &PathError{Path: path, Err: ErrPathInUse}
	}
	if err != nil {
		return nil, &PathError{Path: path, Err: err}
	}
	return ownPath(l, path)
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
	keeps atomic.Bool // the path
}

func ownPath(l *net.UnixListener, path string) (net.Listener, error) {
	own, err := os.Lstat(path)
	if err != nil {
		_ = l.Close()
		return nil, &PathError{Path: path, Err: err}
	}
	p := &pathListener{UnixListener: l, path: path, own: own}
	p.close = sync.OnceValue(p.shut)
	return p, nil
}

// Addr returns the address that clients connect to.
func (p *pathListener) Addr() net.Addr { return &net.UnixAddr{Name: p.path, Net: "unix"} }

// SetUnlinkOnClose sets if Close removes the path.
func (p *pathListener) SetUnlinkOnClose(unlink bool) { p.keeps.Store(!unlink) }

// ListenFile returns the listener that another process has passed as a file (SCM_RIGHTS of
// unix(7)), which it closes. Clients know the unix socket by path; Close removes that if it
// is still the same socket.
func ListenFile(file *os.File, path string) (net.Listener, error) {
	l, err := net.FileListener(file)
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, &PathError{Path: path, Err: err}
	}
	u, ok := l.(*net.UnixListener)
	if !ok {
		return nil, errors.Join(&PathError{Path: path, Err: ErrNotSocket}, l.Close())
	}
	u.SetUnlinkOnClose(false)
	return ownPath(u, path)
}

// Close stops listening and removes the path.
func (p *pathListener) Close() error { return p.close() }

func (p *pathListener) shut() error {
	if now, err := os.Lstat(p.path); err == nil && !p.keeps.Load() && os.SameFile(p.own, now) {
		_ = os.Remove(p.path)
	}
	return p.UnixListener.Close()
}
