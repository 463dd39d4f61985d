//go:build !linux

package chardev

import (
	"context"
	"log/slog"
)

// Node is a device at which commands come. There are none on this system.
type Node struct{}

// Open returns ErrUnsupported.
func Open(string) (*Node, error) { return nil, ErrUnsupported }

// FromFD returns ErrUnsupported.
func FromFD(int) (*Node, error) { return nil, ErrUnsupported }

// Serve returns ErrUnsupported.
func (*Node) Serve(context.Context, Responder, *slog.Logger) error { return ErrUnsupported }

// Close does nothing.
func (*Node) Close() error { return nil }

// Controller makes TPMs of the running kernel. There is none on this system.
type Controller struct{}

// OpenController returns ErrUnsupported.
func OpenController() (*Controller, error) { return nil, ErrUnsupported }

// NewProxy returns ErrUnsupported.
func (*Controller) NewProxy() (*Proxy, error) { return nil, ErrUnsupported }

// Close does nothing.
func (*Controller) Close() error { return nil }

// Proxy is a TPM of the running kernel. There is none on this system.
type Proxy struct {
	*Node
	Number, Major, Minor uint32
}

// Path returns "".
func (*Proxy) Path() string { return "" }
