//go:build !unix

package process

// Passed is a socket that a service manager has passed to this process.
type Passed struct {
	FD         int
	Name, Path string
}

// Activated returns nil.
func Activated() ([]Passed, error) { return nil, nil }
