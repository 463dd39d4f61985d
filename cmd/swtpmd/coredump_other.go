//go:build !linux

package main

// noCoreDumps does nothing: this system has no such switch.
func noCoreDumps() error { return nil }

// coreDirectory knows no place that a sandbox would have to leave open.
func coreDirectory() (string, error) { return "", nil }
