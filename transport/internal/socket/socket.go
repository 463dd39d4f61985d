package socket

import (
	"errors"
	"io"
	"time"
)

// Conn is a connected stream socket. Read and Write are used by one goroutine
// each; Close may come from any, and ends them. Write writes all or fails.
type Conn interface {
	io.ReadWriteCloser
	SetReadDeadline(time.Time) error
}

// ErrNotStream says that a descriptor is not a connected stream socket.
var ErrNotStream = errors.New("the descriptor is not a stream socket")
