// Package serve holds what every server of a TPM transport needs around its
// connections: a bound on their number, and an end that leaves none of them.
package serve

import (
	"context"
	"errors"
	"io"
	"net"
	"runtime/debug"
	"sync"
	"time"
)

// Group is a set of listeners and connections that end together.
type Group struct {
	// Panicked, if set before the first connection, is told what a goroutine that serves
	// one has panicked with, and its stack; the connection is closed then. Without it the
	// process ends.
	Panicked func(value any, stack []byte)

	slots chan struct{} // one token per connection of a listener
	full  func(limit int)
	done  chan struct{}
	wg    sync.WaitGroup

	mu     sync.Mutex
	open   map[io.Closer]struct{}
	closed bool
	told   bool // full has been called, and since then no connection was taken
	// listeners is how many of open are listeners.
	listeners int
	pause     suspension
}

// NewGroup returns a group whose listeners have at most limit connections at
// a time, all together. Further ones are closed at once; of the first of them, and
// of the first after another one was taken, full is told.
func NewGroup(limit int, full func(limit int)) *Group {
	g := &Group{
		slots: make(chan struct{}, limit),
		full:  full,
		done:  make(chan struct{}),
		open:  make(map[io.Closer]struct{}),
	}
	g.pause.changed = sync.NewCond(&g.mu)
	return g
}

// Serve accepts connections from l until Stop and closes l then. Each
// connection is given to open, which says what is to be closed when the group
// stops, and how the connection is served (in a goroutine of its own); an open
// that fails has closed the connection. The result is nil after Stop,
// otherwise what kept l from accepting.
func (g *Group) Serve(l net.Listener, open func(net.Conn) (io.Closer, func(), error)) error {
	if !g.add(l) {
		_ = l.Close()
		return nil
	}
	defer g.wg.Done()
	defer g.remove(l)
	for {
		conn, err := g.accept(l)
		if err != nil {
			if g.stopped() {
				return nil
			}
			return err
		}
		select {
		case g.slots <- struct{}{}:
			g.tell(false)
			g.start(conn, open)
		default:
			_ = conn.Close()
			g.tell(true)
		}
	}
}

// tell tells that a connection was refused, if none has been since the last one
// that was taken.
func (g *Group) tell(refused bool) {
	g.mu.Lock()
	first := refused && !g.told
	g.told = refused
	g.mu.Unlock()
	if first && g.full != nil {
		g.full(cap(g.slots))
	}
}

// start serves one accepted connection, which has a slot.
func (g *Group) start(conn net.Conn, open func(net.Conn) (io.Closer, func(), error)) {
	free := func() { <-g.slots }
	c, serve, err := open(conn)
	if err != nil {
		free()
		return
	}
	if !g.Go(c, func() { defer free(); serve() }) {
		free()
	}
}

// accept rides out shortages (descriptors, memory): they pass.
func (g *Group) accept(l net.Listener) (net.Conn, error) {
	const first, longest = 5 * time.Millisecond, time.Second
	for pause := first; ; pause = min(2*pause, longest) {
		conn, err := l.Accept()
		if err == nil || !shortage(err) {
			return conn, err
		}
		if g.parked() {
			pause = first / 2 // which the next round doubles
			continue
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-g.done:
			t.Stop()
			return nil, net.ErrClosed
		}
	}
}

func shortage(err error) bool {
	var temporary interface{ Temporary() bool }
	return errors.As(err, &temporary) && temporary.Temporary() && !errors.Is(err, net.ErrClosed)
}

// Go runs serve in a goroutine and closes c afterwards, or when the group
// stops: serve must return once c is closed. After Stop it closes c and says
// false.
func (g *Group) Go(c io.Closer, serve func()) bool {
	if !g.add(c) {
		_ = c.Close()
		return false
	}
	go func() {
		defer g.wg.Done()
		defer g.remove(c)
		if g.Panicked != nil {
			defer g.caught()
		}
		serve()
	}()
	return true
}

// caught tells a panic.
func (g *Group) caught() {
	if value := recover(); value != nil {
		g.Panicked(value, debug.Stack())
	}
}

// Clients returns how many connections there are.
func (g *Group) Clients() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.open) - g.listeners
}

// count counts a listener that is opened (1) or closed (-1), which is no client; mu is held.
func (g *Group) count(c io.Closer, n int) {
	if _, listens := c.(net.Listener); listens {
		g.listeners += n
	}
}

// Run runs serve and closes c afterwards, or when the group stops. After Stop
// it only closes c and says false.
func (g *Group) Run(c io.Closer, serve func()) bool {
	if !g.add(c) {
		_ = c.Close()
		return false
	}
	defer g.wg.Done()
	defer g.remove(c)
	serve()
	return true
}

// Background runs f in a goroutine that Wait waits for. After Stop it says
// false and does nothing.
func (g *Group) Background(f func()) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.pause.background++
	g.wg.Go(func() {
		defer g.ended()
		f()
	})
	return true
}

// ended counts a function of Background that has ended.
func (g *Group) ended() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pause.background--
	g.pause.changed.Broadcast()
}

func (g *Group) add(c io.Closer) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.open[c] = struct{}{}
	g.count(c, 1)
	g.wg.Add(1)
	if g.pause.resumed != nil {
		interrupt(c)
	}
	return true
}

func (g *Group) remove(c io.Closer) {
	g.mu.Lock()
	delete(g.open, c)
	g.count(c, -1)
	g.pause.changed.Broadcast()
	g.mu.Unlock()
	_ = c.Close()
}

func (g *Group) stopped() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.closed
}

// Stop closes everything in the group and does not wait. It may be called by
// one of the group's own goroutines, and more than once.
func (g *Group) Stop() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return
	}
	g.closed = true
	g.pause.changed.Broadcast()
	close(g.done)
	for c := range g.open {
		_ = c.Close()
	}
}

// Wait waits until every goroutine of a stopped group has ended.
func (g *Group) Wait(ctx context.Context) error {
	ended := make(chan struct{})
	go func() {
		g.wg.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
