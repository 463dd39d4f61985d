//go:build !cgo || !linux

package reference

import "context"

// Simulator is not part of this build; OpenSimulator says so.
type Simulator struct{}

// OpenSimulator gives ErrNoSimulator.
func OpenSimulator() (*Simulator, error) { return nil, ErrNoSimulator }

// Manufacture gives ErrNoSimulator.
func (*Simulator) Manufacture() error { return ErrNoSimulator }

// ManufactureWith gives ErrNoSimulator.
func (*Simulator) ManufactureWith(Seeds) error { return ErrNoSimulator }

// Close does nothing.
func (*Simulator) Close() error { return nil }

// Send gives ErrNoSimulator.
func (*Simulator) Send(context.Context, uint8, []byte) ([]byte, error) { return nil, ErrNoSimulator }

// Init gives ErrNoSimulator.
func (*Simulator) Init() error { return ErrNoSimulator }

// PowerOff does nothing.
func (*Simulator) PowerOff() error { return nil }

// Powered is always false.
func (*Simulator) Powered() bool { return false }

// HashStart gives ErrNoSimulator.
func (*Simulator) HashStart() error { return ErrNoSimulator }

// HashData gives ErrNoSimulator.
func (*Simulator) HashData([]byte) error { return ErrNoSimulator }

// HashEnd gives ErrNoSimulator.
func (*Simulator) HashEnd() error { return ErrNoSimulator }

// InProcess is not part of this build; OpenInProcess says so.
type InProcess struct{}

// OpenInProcess gives ErrNoSimulator.
func OpenInProcess() (*InProcess, error) { return nil, ErrNoSimulator }

// Send gives ErrNoSimulator.
func (*InProcess) Send(context.Context, uint8, []byte) ([]byte, error) { return nil, ErrNoSimulator }

// Close does nothing.
func (*InProcess) Close() error { return nil }
