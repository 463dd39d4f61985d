package process

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// hangups are the SIGHUPs of this process. They end a context until somebody takes
// them.
type hangups struct {
	end     context.CancelFunc
	nohup   bool // they were ignored at the start, as nohup(1) has it
	signals chan os.Signal

	mu       sync.Mutex
	taken    chan struct{} // nil until Hangups
	terminal *terminal     // nil without one
}

type hangupKey struct{}

// WithSignals returns a context that ends with SIGINT, SIGTERM, and SIGHUP unless that
// is ignored (nohup(1)) or taken by Hangups.
func WithSignals(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(parent, os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithCancel(ctx)
	h := &hangups{end: cancel, nohup: signal.Ignored(syscall.SIGHUP), signals: make(chan os.Signal, 1)}
	if !h.nohup {
		signal.Notify(h.signals, syscall.SIGHUP)
	}
	go h.follow(ctx)
	return context.WithValue(ctx, hangupKey{}, h), func() {
		signal.Stop(h.signals)
		cancel()
		stop()
	}
}

// KeepTerminal looks which terminal this process has, before a sandbox or another root
// directory hides it, so that Hangups can tell when it is gone.
func KeepTerminal(ctx context.Context) {
	if h, ok := ctx.Value(hangupKey{}).(*hangups); ok {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.terminal = openTerminal()
	}
}

// Hangups takes the SIGHUPs of a context that WithSignals has made: from now on they
// are in the channel, and do not end the context. One that comes because the
// terminal of this process is gone ends it still, unless nohup(1) forbids. Several that
// come before one is received are one. Of another context the channel is nil.
func Hangups(ctx context.Context) <-chan struct{} {
	h, ok := ctx.Value(hangupKey{}).(*hangups)
	if !ok {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.taken == nil {
		h.taken = make(chan struct{}, 1)
		signal.Notify(h.signals, syscall.SIGHUP)
	}
	return h.taken
}

// follow passes the signals on.
func (h *hangups) follow(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.signals:
			h.hangUp()
		}
	}
}

// hangUp passes one on.
func (h *hangups) hangUp() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.taken == nil || !h.nohup && h.terminal.gone() {
		h.end()
		return
	}
	select {
	case h.taken <- struct{}{}:
	default:
	}
}
