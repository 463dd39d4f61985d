package fleet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/rundir"
	"github.com/swtpmd/swtpmd/faults/control"
	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/fleet"
	"github.com/swtpmd/swtpmd/transport/fleet/admin"
	"github.com/swtpmd/swtpmd/transport/fleet/tpmdir"
)

// Window is what changes a fleet while it runs: its admin socket, and the files NAME.tpm in
// its directory.
type Window struct {
	// Admin is the path of the admin socket.
	Admin string

	listener net.Listener
	managed  bool // the listener's path is the service manager's
	// changing is held for reading while a client changes something, and for writing
	// while nobody may.
	changing sync.RWMutex

	server  *http.Server
	watcher *tpmdir.Watcher
	stop    context.CancelFunc
	running sync.WaitGroup
}

// OpenWindow opens the admin socket of a fleet, at path or else in its directory, and
// follows the directory. When it returns, clients can connect.
func OpenWindow(ctx context.Context, f *fleet.Fleet, dir, path string, log *slog.Logger) (*Window, error) {
	return openWindow(ctx, f, dir, path, new(inheritance), log)
}

// openWindow is OpenWindow with the listener that the service manager or another process has
// passed, if there is one.
func openWindow(ctx context.Context, f *fleet.Fleet, dir, path string, from *inheritance, log *slog.Logger) (*Window, error) {
	if path == "" {
		path = filepath.Join(dir, rundir.Admin)
	}
	w := &Window{Admin: path}
	if err := w.listen(ctx, from); err != nil {
		return nil, fmt.Errorf("admin socket: %w", err)
	}
	var err error
	if w.watcher, err = tpmdir.Open(dir, target(f), log); err != nil {
		return nil, errors.Join(err, w.listener.Close())
	}
	ctx, w.stop = context.WithCancel(ctx)
	w.server = control.Bounded(w.unchanging(admin.Handler(f)), log)
	limited := control.Limit(w.listener, func(limit int) {
		log.Warn("clients are refused until another one leaves", "channel", "admin", "limit", limit)
	})
	w.running.Go(func() {
		if err := w.server.Serve(limited); !errors.Is(err, http.ErrServerClosed) {
			log.Error("the admin socket is served no more", "cause", err)
		}
	})
	w.running.Go(func() {
		if err := w.watcher.Run(ctx); err != nil {
			log.Error("the directory is followed no more", "cause", err)
		}
	})
	return w, nil
}

// listen opens the admin socket.
func (w *Window) listen(ctx context.Context, from *inheritance) error {
	path, err := filepath.Abs(w.Admin)
	if err != nil {
		return err
	}
	l, at, managed, err := from.admin(path)
	if l == nil && err == nil {
		l, at, err = activated()
		managed = l != nil
	}
	if l == nil && err == nil {
		at = path
		l, err = transport.ListenUnix(ctx, path, transport.Access{Mode: 0o600})
	}
	w.listener, w.Admin, w.managed = l, at, managed
	return err
}

// unchanging has requests that change something wait while nobody may.
func (w *Window) unchanging(next http.Handler) http.Handler {
	return http.HandlerFunc(func(answer http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			w.changing.RLock()
			defer w.changing.RUnlock()
		}
		next.ServeHTTP(answer, r)
	})
}

// pause waits until nobody changes anything, and has nobody begin until resume.
func (w *Window) pause() (resume func()) {
	w.changing.Lock()
	return w.changing.Unlock
}

// Close closes the admin socket, and follows the directory no more.
func (w *Window) Close() error {
	w.stop()
	err := errors.Join(w.server.Close(), w.watcher.Close())
	w.running.Wait()
	return err
}

// target has a fleet be what its directory says.
func target(f *fleet.Fleet) tpmdir.Target {
	return tpmdir.Target{
		Put: func(ctx context.Context, name, file string, text []byte) error {
			c, err := fleet.ParseConfig(file, text)
			if err == nil {
				err = f.Update(ctx, name, c)
			}
			switch {
			case errors.Is(err, fleet.ErrInUse):
				return err
			case err != nil && !errors.Is(err, os.ErrNotExist):
				refuse(f, name, err)
			}
			return nil
		},
		Remove: f.Gone,
		Names: func() (names []string) {
			for _, s := range f.List() {
				if s.Refused == "" {
					names = append(names, s.Name)
				}
			}
			return names
		},
	}
}

// refuse has the fleet tell why a file is not used, once.
func refuse(f *fleet.Fleet, name string, err error) {
	var of *fleet.Error
	if errors.As(err, &of) {
		err = of.Err
	}
	if s, ok := f.Status(name); !ok || s.Refused != err.Error() {
		f.Refuse(name, err)
	}
}
