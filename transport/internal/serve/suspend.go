package serve

import (
	"context"
	"io"
	"net"
	"sync"
	"time"
)

// A suspended group serves nobody for a time, and loses nobody: its listeners leave those
// who connect to the system, and what serves a connection returns on its own account (a
// server has to see to that).

// past is a deadline that is over.
var past = time.Unix(1, 0)

// suspension is what a group knows of it; its mu is held.
type suspension struct {
	resumed chan struct{} // closed by Resume; nil: the group is not suspended
	// parked are listeners that accept nothing until then.
	parked int
	// background are functions of Background.
	background int
	changed    *sync.Cond // told when any of these, or the connections, change
}

// deadliner is what a listener needs to be suspended: those of package net have it.
type deadliner interface{ SetDeadline(time.Time) error }

// Suspend begins a suspension. It does not wait.
func (g *Group) Suspend() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed || g.pause.resumed != nil {
		return
	}
	g.pause.resumed, g.pause.parked = make(chan struct{}), 0
	for c := range g.open {
		interrupt(c)
	}
}

// interrupt has the Accept of a listener return.
func interrupt(c any) {
	if l, ok := c.(net.Listener); ok {
		if d, ok := l.(deadliner); ok {
			_ = d.SetDeadline(past)
		}
	}
}

// Quiet waits until a suspended group serves nobody: no connection, no function of
// Background, no Accept. The error is ctx's, or net.ErrClosed of a group that has stopped.
func (g *Group) Quiet(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.pause.changed.Broadcast()
	})
	defer stop()
	g.mu.Lock()
	defer g.mu.Unlock()
	for {
		p := &g.pause
		switch {
		case g.closed:
			return net.ErrClosed
		case p.background == 0 && len(g.open) == g.listeners && p.parked == g.listeners:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		}
		p.changed.Wait()
	}
}

// Resume ends a suspension.
func (g *Group) Resume() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.pause.resumed == nil {
		return
	}
	for c := range g.open {
		if l, ok := c.(net.Listener); ok {
			if d, ok := l.(deadliner); ok {
				_ = d.SetDeadline(time.Time{})
			}
		}
	}
	close(g.pause.resumed)
	g.pause.resumed, g.pause.parked = nil, 0
}

// parked waits for the end of a suspension, and reports whether there was one.
func (g *Group) parked() bool {
	g.mu.Lock()
	resumed := g.pause.resumed
	if resumed != nil {
		g.pause.parked++
		g.pause.changed.Broadcast()
	}
	g.mu.Unlock()
	if resumed == nil {
		return false
	}
	select {
	case <-resumed:
	case <-g.done:
	}
	return true
}

// Adopt is Go for a connection that a listener of another group has accepted: it counts
// among those that are bounded, but is not refused.
func (g *Group) Adopt(c io.Closer, serve func()) bool {
	free := func() {}
	select {
	case g.slots <- struct{}{}:
		free = func() { <-g.slots }
	default:
	}
	if !g.Go(c, func() { defer free(); serve() }) {
		free()
		return false
	}
	return true
}
