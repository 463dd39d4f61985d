//go:build !linux || !(amd64 || arm64 || ppc64le)

package sandbox

// Seccomp returns ErrUnsupported: there is no list of calls for this machine.
func Seccomp(Reach) error { return ErrUnsupported }
