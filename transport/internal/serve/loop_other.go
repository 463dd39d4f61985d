//go:build !linux

package serve

import (
	"errors"
	"syscall"
)

// Loop waits for what many connections send; there is none here.
type Loop struct{}

// NewLoop returns errors.ErrUnsupported.
func NewLoop(int) (*Loop, error) { return nil, errors.ErrUnsupported }

// Close does nothing.
func (*Loop) Close() error { return nil }

// Waiter is a connection that can wait in a loop.
type Waiter struct {
	Left
	Panicked func(value any, stack []byte)
}

// Waiter returns one.
func (*Loop) Waiter(syscall.RawConn, Serve) *Waiter { return new(Waiter) }

// Forget does nothing.
func (*Waiter) Forget() {}

// Wait returns at once.
func (*Waiter) Wait(func() bool) bool { return false }

// Recall does nothing.
func (*Waiter) Recall() {}
