//go:build !linux

package sandbox

// Landlock returns ErrUnsupported.
func Landlock(Reach) (version int, err error) { return 0, ErrUnsupported }
