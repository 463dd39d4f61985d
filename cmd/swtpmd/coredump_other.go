//go:build !linux

package main

// noCoreDumps does nothing: this system has no such switch.
func noCoreDumps() error { return nil }
