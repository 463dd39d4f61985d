//go:build !linux

package process

// NoCoreDumps does nothing: this system has no such switch.
func NoCoreDumps() error { return nil }

// CoreDirectory knows no place that a sandbox would have to leave open.
func CoreDirectory() (string, error) { return "", nil }
