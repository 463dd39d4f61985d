//go:build !unix

package socket

import (
	"errors"
	"net"
	"time"
)

// Peek is not offered here.
func Peek(net.Conn, []byte, time.Duration) (int, error) { return 0, errors.ErrUnsupported }
