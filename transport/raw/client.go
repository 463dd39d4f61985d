package raw

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/internal/socket"
)

// maxResponse is the largest response that is taken, in bytes: more than any
// TPM's buffer.
const maxResponse = 1 << 16

// ErrLocality is returned for a command at another locality than 0.
var ErrLocality = errors.New("bare TPM commands carry no locality: send at 0, or use a protocol that does")

// BrokenError says that a connection cannot be used any more: an exchange was
// broken off, so the next response would not belong to the next command. Dial
// again.
type BrokenError struct{ Cause error }

func (e *BrokenError) Error() string {
	return fmt.Sprintf("connection to the TPM lost: %v", e.Cause)
}

// Unwrap returns what broke the connection.
func (e *BrokenError) Unwrap() error { return e.Cause }

// Client is a connection to a TPM, and a transport.Device. Its methods may be
// called from several goroutines; commands are sent one after the other.
type Client struct {
	mu     sync.Mutex
	conn   socket.Conn
	in     *transport.FrameReader
	broken error
}

// Dial connects to a server at a "unix" or "tcp" address.
func Dial(ctx context.Context, network, address string) (*Client, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return NewClient(conn)
}

// NewClient returns a client over a connection, which it takes over. On error
// the connection is closed.
func NewClient(conn net.Conn) (*Client, error) {
	c, err := socket.Adopt(conn)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &Client{conn: c, in: transport.NewFrameReader(c, maxResponse, 0)}, nil
}

// Send implements transport.Device, for locality 0.
func (c *Client) Send(ctx context.Context, locality uint8, command []byte) ([]byte, error) {
	if locality != 0 {
		return nil, fmt.Errorf("locality %d: %w", locality, ErrLocality)
	}
	return c.Exchange(ctx, nil, command)
}

// Exchange sends a command and appends the response to dst. With room in dst
// and a ctx that cannot be done it does not allocate.
//
// Once ctx is done the connection is closed, because the response may still
// come. That error and any other of the connection is a *BrokenError, and so
// is the result of every call from then on.
func (c *Client) Exchange(ctx context.Context, dst, command []byte) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken != nil {
		return dst, c.broken
	}
	if err := ctx.Err(); err != nil {
		return dst, err
	}
	stop := func() bool { return true }
	if ctx.Done() != nil {
		stop = context.AfterFunc(ctx, func() { _ = c.conn.Close() })
	}
	response, err := c.exchange(command)
	if !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		return dst, c.fail(err)
	}
	return append(dst, response...), nil
}

func (c *Client) exchange(command []byte) ([]byte, error) {
	if _, err := c.conn.Write(command); err != nil {
		return nil, err
	}
	response, err := c.in.Next()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return response, err
}

func (c *Client) fail(cause error) error {
	_ = c.conn.Close()
	c.broken = &BrokenError{Cause: cause}
	return c.broken
}

// Close closes the connection. A command in progress fails.
func (c *Client) Close() error {
	err := c.conn.Close()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
