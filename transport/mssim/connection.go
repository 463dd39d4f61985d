package mssim

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/internal/socket"
)

// connection is an accepted connection. Once it is known whom it is for, another form of
// it takes its place, which Close closes then.
type connection struct {
	accepted net.Conn

	mu      sync.Mutex
	current io.Closer
	closed  bool
}

// Close closes the form that the connection has.
func (c *connection) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	return c.current.Close()
}

// adopt makes the connection one for a server's loop.
func (c *connection) adopt() (socket.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, net.ErrClosed
	}
	conn, err := socket.Adopt(c.accepted)
	if err != nil {
		return nil, errors.Join(err, c.accepted.Close())
	}
	c.current = conn
	return conn, nil
}

// release gives the connection away: Close leaves it alone from here on.
func (c *connection) release() (net.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, net.ErrClosed
	}
	c.current = io.NopCloser(nil)
	return c.accepted, nil
}

// RequestError is a request that a Server does not execute.
type RequestError struct {
	Port   string // "command" or "platform"
	Code   Code
	Reason string
}

func (e *RequestError) Error() string {
	return fmt.Sprintf("%v on the %s port: %s", e.Code, e.Port, e.Reason)
}

// errSession is the end that a client asks for.
var errSession = fmt.Errorf("SESSION_END: %w", io.EOF)

// requests reads requests from a connection.
type requests struct {
	port string
	in   *transport.FrameReader
}

// next returns the next request's code, and its row with the payload, which is valid
// until the next call of a method of in.
func (r *requests) next(table map[Code]row) (code Code, is row, payload []byte, err error) {
	word, err := r.in.Peek(codeSize)
	if err != nil {
		return 0, row{}, nil, err
	}
	code = Code(binary.BigEndian.Uint32(word))
	is, ok := table[code]
	if !ok {
		return code, row{}, nil, &RequestError{r.port, code, "there is no such request"}
	}
	all, err := r.in.Peek(codeSize + is.payload)
	if err != nil {
		return code, row{}, nil, err
	}
	r.in.Skip(len(all))
	return code, is, all[codeSize:], nil
}

// finish ends a request: silence is no stall from here on.
func (r *requests) finish() error { return r.in.Discard(0) }

// row describes a request of a port.
type row struct {
	payload int // bytes after the code; more may follow by what these say
	// do executes the request on the command port, signal on the platform port.
	do     func(*commands, []byte) error
	signal func(*platform, []byte) ([]byte, error)
}
