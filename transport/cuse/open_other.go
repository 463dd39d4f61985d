//go:build !linux

package cuse

// Open returns ErrUnsupported.
func Open(opts Options) (*Device, error) {
	if err := opts.check(); err != nil {
		return nil, err
	}
	return nil, ErrUnsupported
}
