package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/process"
	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/fleet"
)

// takeoverSocket is where a new process takes the fleet over, in the fleet's directory.
const takeoverSocket = "takeover.sock"

// Bounds of a takeover.
const (
	// takeoverTime is how long the old process waits for commands in execution.
	takeoverTime = 20 * time.Second
	// readyTime is how long the old process waits, when it has nothing any more, for the
	// new one to be ready.
	readyTime = 10 * time.Second
)

// Files that go with a takeover, besides those of the TPMs.
const (
	passedTakeover = "takeover"
	passedReady    = "ready"  // a pipe that the new process closes when it is ready
	passedAdmin    = "admin:" // and its path
	passedManager  = "admin by a service manager:"
)

// open makes the fleet, or takes over the one that runs on the directory, if that is asked
// for and there is one.
func (s *settings) open(ctx context.Context, o fleet.Options, log *slog.Logger) (*fleet.Fleet, *inheritance, error) {
	if s.takeover {
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(s.Dir, takeoverSocket))
		switch {
		case err == nil:
			f, passed, err := fleet.Take(ctx, conn.(*net.UnixConn), o)
			return f, &inheritance{files: passed}, err
		case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ECONNREFUSED):
			return nil, nil, fmt.Errorf("--takeover: %w", err)
		}
		log.Info("there is no fleet to take over: this one starts anew", "dir", s.Dir)
	}
	f, err := fleet.New(o)
	return f, new(inheritance), err
}

// inheritance is what the old process has passed, and the new one has not used yet. The
// zero value is that of a process that has taken nothing over.
type inheritance struct {
	files map[string]*os.File
}

// take returns the file of a name, nil if it is not there.
func (i *inheritance) take(name string) *os.File {
	file := i.files[name]
	delete(i.files, name)
	return file
}

// admin returns the listener of the admin socket at path, which may be empty for whatever
// there is, and its path. It is nil if there is none. Another one's path is removed.
func (i *inheritance) admin(path string) (l net.Listener, at string, managed bool, err error) {
	for name := range i.files {
		for _, kind := range []string{passedAdmin, passedManager} {
			at, is := strings.CutPrefix(name, kind)
			if !is {
				continue
			}
			managed = kind == passedManager
			l, err = listenerOf(i.take(name), at, managed)
			if err == nil && !managed && path != at {
				return nil, "", false, l.Close()
			}
			return l, at, managed, err
		}
	}
	return nil, "", false, nil
}

// listenerOf returns the listener of a file. The path of one that a service manager has made
// is the manager's.
func listenerOf(file *os.File, path string, managed bool) (net.Listener, error) {
	if !managed {
		return transport.ListenFile(file, path)
	}
	l, err := net.FileListener(file)
	return l, errors.Join(err, file.Close())
}

// ready tells the old process that this one is ready, and closes what is not used.
func (i *inheritance) ready() {
	for name := range i.files {
		_ = i.take(name).Close()
	}
}

// takeover is the socket at which another process takes the fleet over.
type takeover struct {
	l       net.Listener
	fleet   *fleet.Fleet
	window  *Window
	manager *process.Notifier
	log     *slog.Logger
	// Taken gets the process that has taken the fleet over, when it is ready.
	Taken   chan int
	closing chan struct{}
	running sync.WaitGroup
}

// serveTakeover opens the socket.
func serveTakeover(ctx context.Context, dir string, from *inheritance, t *takeover) (err error) {
	path := filepath.Join(dir, takeoverSocket)
	if file := from.take(passedTakeover); file != nil {
		t.l, err = transport.ListenFile(file, path)
	} else {
		t.l, err = transport.ListenUnix(ctx, path, transport.Access{Mode: 0o600})
	}
	if err != nil {
		return fmt.Errorf("takeover socket: %w", err)
	}
	t.Taken, t.closing = make(chan int, 1), make(chan struct{})
	t.running.Go(t.serve)
	return nil
}

// close ends it.
func (t *takeover) close() {
	close(t.closing)
	_ = t.l.Close()
	t.running.Wait()
}

func (t *takeover) serve() {
	for {
		conn, err := t.l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			t.log.Warn("takeover socket", "cause", err)
			select {
			case <-time.After(time.Second): // a shortage of descriptors passes
				continue
			case <-t.closing:
				return
			}
		}
		pid, err := t.handOver(conn.(*net.UnixConn))
		if err == nil {
			t.Taken <- pid
			return
		}
		t.log.Warn("the fleet was not taken over, and goes on", "cause", err)
	}
}

// handOver gives the fleet away.
func (t *takeover) handOver(conn *net.UnixConn) (pid int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), takeoverTime)
	defer cancel()
	pid = process.Peer(conn)
	ready, passed, err := os.Pipe()
	if err != nil {
		return 0, errors.Join(err, conn.Close())
	}
	defer ready.Close()
	with := map[string]*os.File{passedReady: passed}
	defer func() {
		for _, file := range with {
			_ = file.Close()
		}
	}()
	if with[passedTakeover], err = fileOf(t.l); err == nil {
		name := passedAdmin
		if t.window.managed {
			name = passedManager
		}
		with[name+t.window.Admin], err = fileOf(t.window.listener)
	}
	if err != nil {
		return 0, errors.Join(err, conn.Close())
	}
	t.log.Info("another process takes the fleet over", "pid", pid)
	_ = t.manager.Reloading()
	defer t.window.pause()()
	if err := t.fleet.HandOver(ctx, conn, with); err != nil {
		_ = t.manager.Ready()
		return 0, err
	}
	for _, l := range []net.Listener{t.l, t.window.listener} {
		if l, ok := l.(interface{ SetUnlinkOnClose(bool) }); ok {
			l.SetUnlinkOnClose(false)
		}
	}
	_ = passed.Close()
	_ = ready.SetReadDeadline(time.Now().Add(readyTime))
	_, _ = io.Copy(io.Discard, ready)
	if err := t.manager.Main(pid); err != nil {
		t.log.Warn("the service manager cannot be told", "cause", err)
	}
	return pid, nil
}

// fileOf returns the file of a listener.
func fileOf(l net.Listener) (*os.File, error) {
	from, ok := l.(interface{ File() (*os.File, error) })
	if !ok {
		return nil, errors.ErrUnsupported
	}
	return from.File()
}

// activated returns the admin socket that the service manager has made, nil if it has made
// none.
func activated() (net.Listener, string, error) {
	passed, err := process.Activated()
	switch {
	case err != nil || len(passed) == 0:
		return nil, "", err
	case len(passed) > 1:
		return nil, "", fmt.Errorf("the service manager passes %d sockets: a fleet takes one, its admin socket; those of TPMs are the fleet's to make", len(passed))
	}
	l, err := listenerOf(os.NewFile(uintptr(passed[0].FD), passed[0].Name), passed[0].Path, true)
	return l, passed[0].Path, err
}
