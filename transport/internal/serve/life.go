package serve

import (
	"context"
	"sync"
)

// Life is that of a server: it ends once, for the first reason that comes.
type Life[Reason ~string] struct {
	// Ctx is the context of the server's commands; it ends with the server.
	Ctx context.Context

	cancel context.CancelFunc
	ending sync.Once
	done   chan struct{}
	reason Reason
}

// NewLife returns a life that has not ended.
func NewLife[Reason ~string]() *Life[Reason] {
	l := &Life[Reason]{done: make(chan struct{})}
	l.Ctx, l.cancel = context.WithCancel(context.Background())
	return l
}

// Done is closed when the server ends.
func (l *Life[Reason]) Done() <-chan struct{} { return l.done }

// Reason returns why the server has ended, "" if it has not.
func (l *Life[Reason]) Reason() Reason {
	select {
	case <-l.done:
		return l.reason
	default:
		return ""
	}
}

// End ends the life and stops the connections of groups. It waits for nothing: it is
// called by goroutines of the connections too.
func (l *Life[Reason]) End(reason Reason, groups ...*Group) {
	l.ending.Do(func() {
		l.reason = reason
		close(l.done)
		l.cancel()
		for _, g := range groups {
			g.Stop()
		}
	})
}
