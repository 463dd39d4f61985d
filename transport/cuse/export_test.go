package cuse

import "io"

// NewTest returns a device on a channel that takes the place of /dev/cuse.
func NewTest(c interface {
	io.ReadWriteCloser
	channel
}, opts Options, aborted func() bool) *Device {
	return newDevice(c, opts, aborted)
}

// Check checks options.
func (o *Options) Check() error { return o.check() }
