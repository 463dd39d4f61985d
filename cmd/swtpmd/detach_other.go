//go:build !unix

package main

import (
	"errors"
	"os"
	"syscall"
)

// endingWrites are the signals that end a process because of a write that fails.
var endingWrites = []os.Signal{syscall.SIGPIPE}

func detach() error      { return errors.New("--daemon is not offered on this system") }
func tellParent() error  { return nil }
func inBackground() bool { return false }

// given cannot be known here.
func given(int) error { return nil }

func isListener(int) (bool, error) { return true, nil }
