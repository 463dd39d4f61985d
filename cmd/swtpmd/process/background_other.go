//go:build !unix

package process

import (
	"errors"
	"os"
	"syscall"
)

// EndingWrites are the signals that end a process because of a write that fails.
var EndingWrites = []os.Signal{syscall.SIGPIPE}

// Detach returns an error.
func Detach(bool) error { return errors.New("--daemon is not offered on this system") }

// TellParent does nothing.
func TellParent() error { return nil }

// InBackground returns false.
func InBackground() bool { return false }

// Given returns nil: it cannot be known here.
func Given(int) error { return nil }

// IsListener takes every descriptor for a listener.
func IsListener(int) (bool, error) { return true, nil }

// IsSocket takes every descriptor for a socket.
func IsSocket(int) bool { return true }

// TakeStandard returns an error.
func TakeStandard(int) (int, error) {
	return -1, errors.New("a standard stream cannot be a socket on this system")
}
