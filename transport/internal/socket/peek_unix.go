//go:build unix

package socket

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Peek fills b with the first bytes of conn and leaves them to be read. It waits for the
// first byte without limit, and for the others as long as within. It returns how many
// bytes there are: if fewer than len(b), the error is os.ErrDeadlineExceeded, or io.EOF
// for a peer that has sent none. A connection without a descriptor (net.Pipe) is
// errors.ErrUnsupported.
func Peek(conn net.Conn, b []byte, within time.Duration) (int, error) {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return 0, errors.ErrUnsupported
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return 0, err
	}
	n, err := peek(raw, b, 1)
	if err != nil || n == len(b) {
		return n, err
	}
	if err := conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		return n, err
	}
	got, err := peek(raw, b, len(b))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		got = max(n, got)
	}
	return got, errors.Join(err, conn.SetReadDeadline(time.Time{}))
}

// peek waits until there are least bytes, or the connection's deadline.
func peek(raw syscall.RawConn, b []byte, least int) (n int, err error) {
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		got, errno := 0, error(unix.EINTR)
		for errors.Is(errno, unix.EINTR) {
			got, _, errno = unix.Recvfrom(int(fd), b, unix.MSG_PEEK|unix.MSG_DONTWAIT)
		}
		switch {
		case errors.Is(errno, unix.EAGAIN):
			return false
		case errno != nil:
			failed = os.NewSyscallError("recvfrom", errno)
			return true
		case got == 0:
			failed = io.EOF
			return true
		}
		// More bytes make the poller look again, so it waits with some there.
		n = got
		return got >= least
	})
	if failed != nil {
		err = failed
	}
	return n, err
}
