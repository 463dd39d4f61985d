package conform

import (
	"context"
	"sync"
	"time"
)

// limit bounds the commands of a run with one context and one timer, because most commands
// take less time than a context of their own would.
type limit struct {
	mu     sync.Mutex
	ctx    context.Context // nil: none yet
	cancel context.CancelCauseFunc
	timer  *time.Timer
	// command counts commands, and hurried reports whether an interrupt of the run ends the
	// one in progress.
	command uint64
	hurried bool
}

// lastAnswer is how long an interrupted run waits for the command in progress.
const lastAnswer = 5 * time.Second

// begin returns the context of a command. Its cause is context.DeadlineExceeded after the
// timeout. The end of ctx does not end it at once; see hurry.
func (l *limit) begin(ctx context.Context, timeout time.Duration) context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.command++
	l.hurried = ctx.Done() != nil
	if l.ctx != nil && l.ctx.Err() == nil {
		l.timer.Reset(timeout)
		return l.ctx
	}
	timed, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	l.ctx, l.cancel = timed, cancel
	l.timer = time.AfterFunc(timeout, func() { cancel(context.DeadlineExceeded) })
	return timed
}

// end ends the time of the command.
func (l *limit) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.command++
	if !l.timer.Stop() { // it has expired, or was about to
		l.cancel(context.Canceled)
		l.ctx = nil
	}
}

// hurry ends the command in progress after lastAnswer, unless it takes away what a case has
// made: its context cannot end.
func (l *limit) hurry() {
	l.mu.Lock()
	defer l.mu.Unlock()
	command := l.command
	if !l.hurried {
		return
	}
	time.AfterFunc(lastAnswer, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.command == command {
			l.cancel(context.Canceled)
		}
	})
}
