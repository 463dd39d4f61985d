package initcall

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/swtpmd/swtpmd/transport"
)

const (
	// bindGrace is how long a starting server may be between its steps: it
	// has removed the socket it found but not called bind(2), or has called
	// bind but not yet listen(2). Nothing announces listen, so the socket is
	// tried every bindStep until then.
	bindGrace = 250 * time.Millisecond
	bindStep  = 5 * time.Millisecond
	// dialPause is the least time between two connections to a server: one
	// that closes them at once must not keep this machine busy.
	dialPause = 100 * time.Millisecond
)

// socketFeed follows a unix stream socket, as its client while somebody else
// serves it, otherwise as its server. The directory is watched, because a QEMU
// with server=on that starts later removes the socket found there and makes its
// own.
type socketFeed struct {
	path     string
	watch    *fsnotify.Watcher
	conn     net.Conn // to somebody else's server, or nil
	dialled  time.Time
	listener *net.UnixListener // nil while somebody else serves
	own      fs.FileInfo       // of the listener's socket
}

func openSocket(path string) (*socketFeed, error) {
	full, err := filepath.Abs(path)
	if err != nil {
		return nil, &FollowError{Path: path, Doing: "find the directory", Err: err}
	}
	watch, err := watchDirectory(full)
	if err != nil {
		return nil, err
	}
	f := &socketFeed{path: full, watch: watch}
	if err := f.ready(context.Background(), 0); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

func (f *socketFeed) close() error {
	f.unlisten()
	if f.conn != nil {
		f.conn.Close()
		f.conn = nil
	}
	return f.watch.Close()
}

// ready sees to it that there is either a connection or a listener, whose
// socket is the one at path. Where there is no socket, others get the time grace
// to make one.
func (f *socketFeed) ready(ctx context.Context, grace time.Duration) error {
	if f.listener != nil {
		if info, err := os.Lstat(f.path); err == nil && os.SameFile(info, f.own) {
			return nil
		}
		f.unlisten()
	}
	var seen sighting
	for {
		conn, err := net.Dial("unix", f.path)
		switch {
		case err == nil:
			f.conn, f.dialled = conn, time.Now()
			return nil
		case errors.Is(err, fs.ErrNotExist):
			if seen.lasts(nil) < grace {
				break
			}
			if err := f.listen(); !errors.Is(err, fs.ErrExist) {
				return err
			}
			if _, err := f.socket(); err != nil {
				return err
			}
		case errors.Is(err, syscall.ECONNREFUSED):
			info, err := f.socket()
			if err != nil {
				return err
			}
			if info != nil && seen.lasts(info) >= bindGrace {
				// Its owner has died.
				if err := os.Remove(f.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
					return &FollowError{Path: f.path, Doing: "remove the socket that a dead process left", Err: err}
				}
			}
		default:
			return &FollowError{Path: f.path, Doing: "connect", Err: err}
		}
		if err := pause(ctx, bindStep); err != nil {
			return err
		}
	}
}

// socket looks at what is at path: nil if there is nothing, a *KindError if it
// is no socket.
func (f *socketFeed) socket() (fs.FileInfo, error) {
	info, err := os.Lstat(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, &FollowError{Path: f.path, Doing: "look at the socket", Err: err}
	}
	if info.Mode().Type() != fs.ModeSocket {
		return nil, &KindError{Path: f.path, Mode: info.Mode(), Want: "socket"}
	}
	return info, nil
}

// sighting is what was last seen at a path, and since when.
type sighting struct {
	info  fs.FileInfo // nil: nothing
	since time.Time
}

// lasts says for how long info, or nothing, has been seen without a change.
func (s *sighting) lasts(info fs.FileInfo) time.Duration {
	same := s.info == nil && info == nil || s.info != nil && info != nil && sameSocket(s.info, info)
	if !same || s.since.IsZero() {
		s.info, s.since = info, time.Now()
	}
	return time.Since(s.since)
}

// sameSocket reports whether a and b are one socket. A file system may give the
// number of a removed one to the next.
func sameSocket(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime())
}

// consoleAccess is for the user alone, as every socket of the daemon: a console
// decides when the TPM comes.
var consoleAccess = transport.Access{Mode: 0o600}

func (f *socketFeed) listen() error {
	listener, err := transport.BindUnix(f.path, consoleAccess)
	if err != nil {
		return &FollowError{Path: f.path, Doing: "listen (the path must be short, about 100 bytes, and its directory writable)", Err: err}
	}
	own, err := os.Lstat(f.path)
	if err != nil {
		listener.Close()
		return &FollowError{Path: f.path, Doing: "look at its own socket", Err: err}
	}
	f.listener, f.own = listener, own
	return nil
}

// unlisten ends the listener, and removes its socket if that is still the one
// at path.
func (f *socketFeed) unlisten() {
	if f.listener == nil {
		return
	}
	if info, err := os.Lstat(f.path); err == nil && os.SameFile(info, f.own) {
		_ = os.Remove(f.path)
	}
	f.listener.Close()
	f.listener = nil
}

func (f *socketFeed) follow(ctx context.Context, out *output) error {
	return f.each(ctx, func(conn net.Conn) { copyFrom(ctx, conn, out) })
}

// each has serve serve one connection after the other, and close it, until ctx
// ends.
func (f *socketFeed) each(ctx context.Context, serve func(net.Conn)) error {
	defer func() {
		if !left(ctx) {
			f.close()
		}
	}()
	for {
		if f.conn == nil {
			if err := f.accept(ctx); err != nil {
				return err
			}
		}
		if f.conn != nil {
			serve(f.conn)
			if left(ctx) && f.conn.SetReadDeadline(time.Time{}) == nil {
				return ctx.Err()
			}
			f.conn = nil
			if f.listener == nil {
				if err := pause(ctx, time.Until(f.dialled.Add(dialPause))); err != nil {
					return err
				}
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := f.ready(ctx, bindGrace); err != nil {
			return err
		}
	}
}

// accept waits until somebody connects, or the socket at path is no longer the
// listener's.
func (f *socketFeed) accept(ctx context.Context) error {
	type accepted struct {
		conn net.Conn
		err  error
	}
	done := make(chan accepted, 1)
	listener := f.listener
	go func() {
		conn, err := listener.Accept()
		done <- accepted{conn, err}
	}()
	lost := make(chan error, 1)
	watching, stop := context.WithCancel(ctx)
	defer stop()
	go func() { lost <- f.replaced(watching) }()

	select {
	case a := <-done:
		stop()
		<-lost // the watch has one reader at a time
		if a.err != nil {
			return &FollowError{Path: f.path, Doing: "accept", Err: a.err}
		}
		f.conn = a.conn
		return nil
	case err := <-lost:
		// Accept gives up; whoever got in before is served first.
		_ = listener.SetDeadline(time.Unix(1, 0))
		a := <-done
		_ = listener.SetDeadline(time.Time{})
		if a.err == nil {
			f.conn = a.conn
		}
		return err
	}
}

// replaced returns when the socket at path is not the listener's.
func (f *socketFeed) replaced(ctx context.Context) error {
	for {
		info, err := os.Lstat(f.path)
		if err != nil || !os.SameFile(info, f.own) {
			return nil
		}
		if err := changed(ctx, f.watch, f.path); err != nil {
			return err
		}
	}
}

// copyFrom hands on what conn brings, to its end or ctx's, and closes it.
func copyFrom(ctx context.Context, conn net.Conn, out *output) {
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		if left(ctx) {
			_ = conn.SetReadDeadline(time.Unix(1, 0))
			return
		}
		conn.Close()
	})
	defer func() {
		if !stop() {
			<-ended
		}
		if !left(ctx) {
			conn.Close()
		}
	}()
	buf := make([]byte, chunk)
	for {
		n, err := conn.Read(buf)
		out.Write(buf[:n])
		if err != nil && left(ctx) && errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
		if err != nil {
			out.again()
			conn.Close()
			return
		}
	}
}

// pause waits for d, or answers ctx's error.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
