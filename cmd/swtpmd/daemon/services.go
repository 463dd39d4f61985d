package daemon

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/options"
)

// services are what a daemon runs and what it undoes at its end.
type services struct {
	// waiting starts when all is open; running are the goroutines, and failed gets
	// the first error of one that ended by itself.
	waiting []func() error
	running sync.WaitGroup
	failed  chan error
	// undo are the clean-ups, run last to first.
	undo []func()
}

// later has f serve c as soon as all is open. If that never comes, c is closed in
// the end all the same.
func (s *services) later(c io.Closer, f func() error) {
	s.waiting = append(s.waiting, f)
	s.undo = append(s.undo, func() { _ = c.Close() })
}

// start runs what waits.
func (s *services) start() {
	for _, f := range s.waiting {
		s.run(f)
	}
}

// run starts a goroutine that serves; its error ends the daemon.
func (s *services) run(f func() error) {
	s.running.Go(func() {
		if err := f(); err != nil && !errors.Is(err, context.Canceled) {
			select {
			case s.failed <- err:
			default:
			}
		}
	})
}

// cleanUp runs the clean-ups.
func (s *services) cleanUp() {
	for i := len(s.undo) - 1; i >= 0; i-- {
		s.undo[i]()
	}
}

// Listen opens an endpoint that has been looked at. conn serves a connection that exists already, listener
// serves those that come.
func (s *services) listen(ctx context.Context, e *options.Endpoint, conn func(net.Conn) error, listener func(net.Listener) error) error {
	if e.Client {
		c, err := e.Connection()
		if err != nil {
			return err
		}
		s.later(c, func() error { return conn(c) })
		return nil
	}
	l, err := e.Listen(ctx)
	if err != nil {
		return err
	}
	s.later(l, func() error { return listener(l) })
	return nil
}

// within reports whether f returns before ctx ends.
func within(ctx context.Context, f func()) bool {
	returned := make(chan struct{})
	go func() { f(); close(returned) }()
	select {
	case <-returned:
		return true
	case <-ctx.Done():
		return false
	}
}
