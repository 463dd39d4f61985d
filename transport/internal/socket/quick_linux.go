package socket

import (
	"io"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Quick reads and writes a stream socket that waits in Go's network poller. Its calls never
// sleep and do not tell Go's scheduler, as those of now_linux.go: the thread that watches the
// scheduler would wake every 20 µs where many sockets are busy. One goroutine reads at a time, and
// one writes.
type Quick struct {
	conn        syscall.RawConn
	in, out     transfer
	read, write func(fd uintptr) bool
}

// transfer is a call under way.
type transfer struct {
	p   []byte
	n   int
	err error
}

// NewQuick returns a Quick for conn, nil for a connection that is no socket. Deadlines and Close
// are conn's.
func NewQuick(conn net.Conn) *Quick {
	c, ok := conn.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nil
	}
	q := &Quick{conn: raw}
	q.read, q.write = q.receive, q.send
	return q
}

// receive reads what is there, and reports whether that was something.
func (q *Quick) receive(fd uintptr) bool {
	t := &q.in
	for {
		t.n, t.err = receiveNow(fd, t.p)
		if t.err != unix.EINTR {
			return t.err != unix.EAGAIN
		}
	}
}

// send writes what the kernel takes, and reports whether that was all.
func (q *Quick) send(fd uintptr) bool {
	t := &q.out
	for t.n < len(t.p) {
		n, err := sendNow(fd, t.p[t.n:])
		switch err {
		case nil:
			t.n += n
		case unix.EINTR:
		case unix.EAGAIN:
			return false
		default:
			t.err = os.NewSyscallError("sendto", err)
			return true
		}
	}
	return true
}

// Read is Read of a net.Conn.
func (q *Quick) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	q.in = transfer{p: p}
	err := q.conn.Read(q.read)
	got := q.in
	q.in.p = nil
	switch {
	case err != nil:
		return 0, err
	case got.err != nil:
		return 0, os.NewSyscallError("recvfrom", got.err)
	case got.n == 0:
		return 0, io.EOF
	}
	return got.n, nil
}

// Write is Write of a net.Conn.
func (q *Quick) Write(p []byte) (int, error) {
	q.out = transfer{p: p}
	err := q.conn.Write(q.write)
	if err == nil {
		err = q.out.err
	}
	q.out.p = nil
	return q.out.n, err
}
