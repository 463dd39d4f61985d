//go:build unix && !linux

package socket

import (
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// FromFD takes over a descriptor, which must be a stream socket. It is closed
// on error too.
func FromFD(fd int) (Conn, error) {
	file := os.NewFile(uintptr(fd), "data")
	defer func() { _ = file.Close() }() // net.FileConn makes a duplicate
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil || kind != unix.SOCK_STREAM {
		return nil, ErrNotStream
	}
	return net.FileConn(file)
}

// Polled is FromFD.
func Polled(fd int) (Conn, error) { return FromFD(fd) }

// PeerClosed reports whether c's peer has closed, or half closed, its end and
// all it sent has been read.
func PeerClosed(c Conn) bool {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return true
	}
	closed := false
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		closed = err == nil && n == 0
	})
	return closed || err != nil
}
