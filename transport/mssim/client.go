package mssim

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/internal/socket"
)

// AckError is an acknowledgment other than 0.
type AckError struct {
	Code Code
	Ack  uint32
}

func (e *AckError) Error() string {
	return fmt.Sprintf("%v: the simulator acknowledges it with %d, which means failure", e.Code, e.Ack)
}

// BrokenError says that a connection to a port cannot be used any more: a request was
// broken off, so the next response would not belong to the next request. Dial again.
type BrokenError struct {
	Code  Code // the request that was broken off
	Cause error
}

func (e *BrokenError) Error() string {
	return fmt.Sprintf("connection to the TPM simulator lost in %v: %v", e.Code, e.Cause)
}

// Unwrap returns the cause.
func (e *BrokenError) Unwrap() error { return e.Cause }

// maxResponse is the largest response that is taken, in bytes: more than any TPM's
// buffer.
const maxResponse = 1 << 16

// link is a connection to one of the ports.
type link struct {
	mu   sync.Mutex
	conn socket.Conn
	out  []byte // the request
	in   []byte // of the response, what start and end tell is there and not taken
	// start and end are positions in in.
	start, end int
	broken     error
}

func newLink(conn net.Conn) (*link, error) {
	c, err := socket.Adopt(conn)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &link{conn: c, in: make([]byte, transport.DefaultMaxCommand+2*codeSize)}, nil
}

// exchange sends a code with the payload that request appends, and calls receive for the
// response up to the acknowledgment. Once ctx is done the connection is closed, because
// the response may still come.
func (l *link) exchange(ctx context.Context, code Code, request func([]byte) []byte, receive func() error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken != nil {
		return l.broken
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	stop := func() bool { return true }
	if ctx.Done() != nil {
		stop = context.AfterFunc(ctx, func() { _ = l.conn.Close() })
	}
	ack, err := l.talk(code, request, receive)
	if !stop() {
		err = context.Cause(ctx)
	}
	switch {
	case err != nil:
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		_ = l.conn.Close()
		l.broken = &BrokenError{code, err}
		return l.broken
	case ack != ackOK:
		return &AckError{code, ack}
	}
	return nil
}

// talk is the exchange itself. It returns the acknowledgment.
func (l *link) talk(code Code, request func([]byte) []byte, receive func() error) (uint32, error) {
	l.out = binary.BigEndian.AppendUint32(l.out[:0], uint32(code))
	if request != nil {
		l.out = request(l.out)
	}
	if l.start != l.end {
		return 0, fmt.Errorf("%d bytes came after the last acknowledgment", l.end-l.start)
	}
	if _, err := l.conn.Write(l.out); err != nil {
		return 0, err
	}
	if receive != nil {
		if err := receive(); err != nil {
			return 0, err
		}
	}
	return l.word()
}

// next returns the next n bytes of the response, which are valid until the next call.
func (l *link) next(n int) ([]byte, error) {
	if l.start+n > len(l.in) {
		room := l.in
		if n > len(room) {
			room = make([]byte, n+codeSize)
		}
		l.end = copy(room, l.in[l.start:l.end])
		l.in, l.start = room, 0
	}
	for l.end-l.start < n {
		got, err := l.conn.Read(l.in[l.end:])
		if got == 0 {
			if err == nil {
				err = io.ErrNoProgress
			}
			return nil, err
		}
		l.end += got
	}
	taken := l.in[l.start : l.start+n]
	l.start += n
	if l.start == l.end {
		l.start, l.end = 0, 0
	}
	return taken, nil
}

func (l *link) word() (uint32, error) {
	b, err := l.next(codeSize)
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint32(b), nil
}

// close tells the server that the session is over, and closes the connection.
func (l *link) close() error {
	// Close may be called while a request runs, which it then breaks off.
	if l.mu.TryLock() {
		if l.broken == nil {
			_, _ = l.conn.Write(binary.BigEndian.AppendUint32(nil, uint32(CmdSessionEnd)))
		}
		l.mu.Unlock()
	}
	err := l.conn.Close()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// PlatformAddress returns the address of the platform port that belongs to a command
// port: "tcp" has it one higher, "unix" at the path with ".ctrl" after it.
func PlatformAddress(network, command string) (string, error) {
	if network == "unix" {
		return command + ".ctrl", nil
	}
	host, port, err := net.SplitHostPort(command)
	if err != nil {
		return "", err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || n == 1<<16-1 {
		return "", &net.AddrError{Err: "the platform port is one higher than the command port, which is 1 to 65534", Addr: command}
	}
	return net.JoinHostPort(host, strconv.FormatUint(n+1, 10)), nil
}

// Dial connects to both ports of a server at the "tcp" or "unix" address of its command
// port, the platform port being at PlatformAddress. It leaves the TPM's power as it is.
func Dial(ctx context.Context, network, command string) (*TPM, error) {
	platform, err := PlatformAddress(network, command)
	if err != nil {
		return nil, err
	}
	var dialer net.Dialer
	// In this order, because a server of the reference code takes one client: who has
	// the command port is the next one on the platform port.
	commandConn, err := dialer.DialContext(ctx, network, command)
	if err != nil {
		return nil, err
	}
	platformConn, err := dialer.DialContext(ctx, network, platform)
	if err != nil {
		return nil, errors.Join(err, commandConn.Close())
	}
	return NewTPM(ctx, commandConn, platformConn)
}

// signalTime bounds a platform request of the interfaces that take no context.
const signalTime = time.Minute
