//go:build !linux

package socket

import (
	"net"
	"time"
)

// Adopt takes over conn: the caller uses what it returns and forgets conn.
func Adopt(conn net.Conn) (Conn, error) { return conn, nil }

// BusyPoll does nothing: reads sleep in Go's poller.
func BusyPoll(Conn, time.Duration) {}

// HungUp reports whether c's peer is known to be gone for good; it is not known
// here.
func HungUp(Conn) bool { return false }

// Acknowledge has a peer's first part of a message acknowledged at once where the system
// can be told so.
func Acknowledge(net.Conn) {}
