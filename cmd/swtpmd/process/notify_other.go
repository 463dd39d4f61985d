//go:build !linux

package process

import "net"

// Notifier tells a service manager how far this process is. There is none with
// sd_notify(3) on this system.
type Notifier struct{}

// NewNotifier returns nil.
func NewNotifier() (*Notifier, error) { return nil, nil }

// Ready does nothing.
func (n *Notifier) Ready() error { return nil }

// Reloading does nothing.
func (n *Notifier) Reloading() error { return nil }

// Main does nothing.
func (n *Notifier) Main(int) error { return nil }

// Peer returns 0.
func Peer(*net.UnixConn) int { return 0 }

// Stopping does nothing.
func (n *Notifier) Stopping() error { return nil }

// Close does nothing.
func (n *Notifier) Close() error { return nil }
