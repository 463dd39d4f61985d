package socket

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Adopt takes over conn: the caller uses what it returns and forgets conn. A
// connection without a descriptor (net.Pipe) is returned as it is.
func Adopt(conn net.Conn) (Conn, error) {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return conn, nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd := -1
	var dup error
	if err := raw.Control(func(p uintptr) {
		fd, dup = unix.FcntlInt(p, unix.F_DUPFD_CLOEXEC, 0)
	}); err != nil {
		return nil, err
	}
	if dup != nil {
		return nil, os.NewSyscallError("fcntl", dup)
	}
	// The duplicate keeps the connection; closing the original takes it out
	// of the poller.
	if err := conn.Close(); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return newBlocking(fd)
}

// FromFD takes over a descriptor, which must be a stream socket. It is closed
// on error too.
func FromFD(fd int) (Conn, error) {
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil || kind != unix.SOCK_STREAM {
		_ = unix.Close(fd)
		return nil, ErrNotStream
	}
	return newBlocking(fd)
}

// Polled is FromFD of a connection that waits in Go's network poller.
func Polled(fd int) (Conn, error) {
	file := os.NewFile(uintptr(fd), "data")
	defer func() { _ = file.Close() }() // net.FileConn makes a duplicate
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil || kind != unix.SOCK_STREAM {
		return nil, ErrNotStream
	}
	return net.FileConn(file)
}

func newBlocking(fd int) (Conn, error) {
	if err := unix.SetNonblock(fd, false); err != nil {
		_ = unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	protocol, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	b := &blocking{fd: fd, tcp: err == nil && protocol == unix.IPPROTO_TCP}
	b.users.Store(1)
	return b, nil
}

// blocking is a socket in blocking mode.
type blocking struct {
	fd       int
	tcp      bool
	deadline time.Time // of Read, by Read's goroutine
	busy     busy
	poll     [1]unix.PollFd // of look
	slept    atomic.Uint32  // reads that have slept
	closed   atomic.Bool
	// users counts the calls in progress, plus one until Close: the last one
	// out closes the descriptor, so that its number is not reused under a
	// call that still has it.
	users atomic.Int32
}

func (b *blocking) enter() error {
	for {
		n := b.users.Load()
		if n == 0 {
			return net.ErrClosed
		}
		if b.users.CompareAndSwap(n, n+1) {
			break
		}
	}
	if b.closed.Load() {
		b.leave()
		return net.ErrClosed
	}
	return nil
}

func (b *blocking) leave() {
	if b.users.Add(-1) == 0 {
		_ = unix.Close(b.fd)
	}
}

// Close ends Read and Write wherever they are.
func (b *blocking) Close() error {
	if b.closed.Swap(true) {
		return net.ErrClosed
	}
	// A thread asleep in read(2) wakes up from this, not from close(2). A
	// peer that is gone already makes it fail with ENOTCONN, and has woken
	// the reader itself.
	_ = unix.Shutdown(b.fd, unix.SHUT_RDWR)
	b.leave()
	return nil
}

func (b *blocking) SetReadDeadline(t time.Time) error {
	b.deadline = t
	return nil
}

func (b *blocking) Read(p []byte) (int, error) {
	if err := b.enter(); err != nil {
		return 0, err
	}
	defer b.leave()
	n, err := b.receive(p)
	if err == unix.EAGAIN || err == unix.EINTR {
		return b.sleep(p)
	}
	return b.received(p, n, err)
}

// received is the result of Read after a system call that has read into p.
func (b *blocking) received(p []byte, n int, err error) (int, error) {
	switch {
	case err != nil:
		return 0, b.ended(fmt.Errorf("read: %w", err))
	case n == 0 && len(p) > 0:
		return 0, b.ended(io.EOF)
	}
	return n, nil
}

// sleepsInARow is after how many reads that sleep a goroutine goes through Go's scheduler.
// The monitor of Go 1.26's scheduler (retake in runtime/proc.go) takes the P of a goroutine
// that has not done so for 10 ms in each system call that it makes, and looks every 20 µs as
// long as it takes one.
const sleepsInARow = 16

// sleep reads what comes later, until the deadline.
func (b *blocking) sleep(p []byte) (int, error) {
	if b.slept.Add(1)%sleepsInARow == 0 {
		runtime.Gosched()
	}
	if b.deadline.IsZero() {
		b.look()
	} else {
		b.acknowledge()
		if err := b.wait(unix.POLLIN, b.deadline); err != nil {
			return 0, err
		}
	}
	for {
		n, err := unix.Read(b.fd, p)
		switch err {
		case unix.EINTR:
		case unix.EAGAIN:
			// Blocking mode belongs to the open socket, not to our
			// descriptor: whoever passed it may have switched it off.
			if err := b.wait(unix.POLLIN, b.deadline); err != nil {
				return 0, err
			}
		default:
			return b.received(p, n, err)
		}
	}
}

// acknowledge is Acknowledge: a reader with a deadline has a part of a message.
func (b *blocking) acknowledge() {
	if b.tcp {
		acknowledge(b.fd)
	}
}

func acknowledge(fd int) { _ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1) }

// Acknowledge tells the peer of a TCP connection at once that what was read has come. It
// is for a part of a message: a peer that writes a message in two calls, as tcti-mssim of
// tpm2-tss does, sends the second part when the first is acknowledged (RFC 9293, section
// 3.7.4, the Nagle algorithm). By itself Linux acknowledges up to 40 ms later, with the
// response that it expects the reader to send (tcp(7), TCP_QUICKACK). What Adopt returns
// does this itself where it has a deadline and sleeps.
func Acknowledge(conn net.Conn) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	if raw, err := tcp.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { acknowledge(int(fd)) })
	}
}

func (b *blocking) Write(p []byte) (int, error) {
	if err := b.enter(); err != nil {
		return 0, err
	}
	defer b.leave()
	done, err := b.send(p)
	for err == nil && done < len(p) || err == unix.EINTR || err == unix.EAGAIN {
		if err == unix.EAGAIN {
			if err := b.wait(unix.POLLOUT, time.Time{}); err != nil {
				return done, err
			}
		}
		var n int
		n, err = unix.Write(b.fd, p[done:])
		done += max(n, 0)
	}
	if err != nil {
		return done, b.ended(fmt.Errorf("write: %w", err))
	}
	return done, nil
}

// ended prefers our own Close as the reason for an end.
func (b *blocking) ended(err error) error {
	if b.closed.Load() {
		return net.ErrClosed
	}
	return err
}

// wait waits for an event until the deadline, for ever if it is zero.
func (b *blocking) wait(event int16, deadline time.Time) error {
	fds := []unix.PollFd{{Fd: int32(b.fd), Events: event}}
	for {
		ms := -1
		if !deadline.IsZero() {
			left := time.Until(deadline)
			if left <= 0 {
				return os.ErrDeadlineExceeded
			}
			ms = int((left + time.Millisecond - 1) / time.Millisecond)
		}
		switch n, err := unix.Poll(fds, ms); {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return fmt.Errorf("poll: %w", err)
		case n > 0:
			return nil
		}
	}
}

// PeerClosed reports whether c's peer has closed, or half closed, its end.
func PeerClosed(c Conn) bool { return polled(c, unix.POLLRDHUP) }

// HungUp reports whether c's peer is gone for good: nobody will read what is
// written. Over TCP that is not known before something is written.
func HungUp(c Conn) bool { return polled(c, 0) }

// polled reports whether one of the events is there now, POLLHUP and POLLERR
// included.
func polled(c Conn, events int16) bool {
	if sc, ok := c.(syscall.Conn); ok {
		return polledBy(sc, events)
	}
	b, ok := c.(*blocking)
	if !ok {
		return false
	}
	if b.enter() != nil {
		return true
	}
	defer b.leave()
	fds := []unix.PollFd{{Fd: int32(b.fd), Events: events}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n > 0
}

// polledBy is polled of a connection that waits in Go's network poller.
func polledBy(c syscall.Conn, events int16) bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return true
	}
	there := false
	err = raw.Control(func(fd uintptr) {
		fds := []unix.PollFd{{Fd: int32(fd), Events: events}}
		n, err := unix.Poll(fds, 0)
		there = err == nil && n > 0
	})
	return err != nil || there
}
