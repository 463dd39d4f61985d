//go:build !linux

package process

// SetCoreDumps does nothing: this system has no such switch.
func SetCoreDumps(bool) error { return nil }

// CoreDirectory knows no place that a sandbox would have to leave open.
func CoreDirectory() (string, error) { return "", nil }
