package chardev

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/swtpmd/swtpmd/transport"
)

// stallTime is how long a command that has begun may take to come in.
const stallTime = 5 * time.Second

// Node is a device at which commands come.
//
// It is not given to Go's poller: a read of a vTPM proxy waits even if the descriptor
// is not to wait, so each one is made when poll(2) has seen a command.
type Node struct {
	fd   int
	wake int // an eventfd that ends the waiting
	// proxy is set for the kernel's vTPM proxy: each read is one command, and not a
	// piece of a stream.
	proxy bool
	look  *look // of a proxy, or nil
	buf   []byte

	deadline time.Time // of read
	closed   atomic.Bool
	users    atomic.Int32 // Serve and its helper, plus one until Close
}

// Open opens a device at which commands come as a stream of bytes.
func Open(path string) (*Node, error) {
	// A terminal that becomes the controlling one would end the process by a signal.
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	node, err := FromFD(fd)
	if err != nil {
		return nil, &os.PathError{Op: "serve", Path: path, Err: err}
	}
	return node, nil
}

// newNode takes over fd, on error too.
func newNode(fd int, proxy bool) (*Node, error) {
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		return nil, errors.Join(os.NewSyscallError("eventfd", err), unix.Close(fd))
	}
	n := &Node{fd: fd, wake: wake, proxy: proxy, buf: make([]byte, transport.LargestBuffer)}
	if proxy {
		n.look = newLook()
	}
	n.users.Store(1)
	return n, nil
}

// Close ends Serve and closes the device, at the latest when Serve has returned.
func (n *Node) Close() error {
	if n.closed.Swap(true) {
		return os.ErrClosed
	}
	n.interrupt()
	n.leave()
	return nil
}

// interrupt ends all waiting, for good.
func (n *Node) interrupt() {
	_, _ = unix.Write(n.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // not 0, in any byte order
}

// end is interrupt for whoever does not know that the descriptors are open: when Serve
// and Close are over, other files may have their numbers.
func (n *Node) end() {
	if n.enter() {
		n.interrupt()
		n.leave()
	}
}

// enter keeps the descriptors open until leave; it reports whether they are.
func (n *Node) enter() bool {
	for {
		users := n.users.Load()
		if users == 0 {
			return false
		}
		if n.users.CompareAndSwap(users, users+1) {
			return true
		}
	}
}

func (n *Node) leave() {
	if n.users.Add(-1) == 0 {
		_ = unix.Close(n.fd)
		_ = unix.Close(n.wake)
		if n.look != nil {
			n.look.close()
		}
	}
}

// Serve has r answer the commands, one after the other, until ctx ends or Close is
// called, when it returns nil. Otherwise it returns ErrHungUp, or what the device said.
// It can be called once.
//
// A command whose size field cannot be right is answered TPM_RC_COMMAND_SIZE. When the
// kernel sends another command before it has the response to the last one, it has given
// that up, and its context ends.
func (n *Node) Serve(ctx context.Context, r Responder, log *slog.Logger) error {
	if !n.enter() {
		return nil
	}
	defer n.leave()
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	stop := context.AfterFunc(ctx, n.end)
	defer stop()
	s := &service{node: n, responder: r, log: log, parent: ctx}
	if !n.proxy {
		s.stream = transport.NewFrameReader(source{n}, transport.LargestBuffer, stallTime)
	}
	err := s.run()
	if ctx.Err() != nil || n.closed.Load() {
		return nil
	}
	return err
}

// service is one call of Serve.
type service struct {
	node      *Node
	responder Responder
	log       *slog.Logger
	stream    *transport.FrameReader // nil for a proxy

	parent context.Context
	// current is the context of the command in execution, count is odd during one.
	mu     sync.Mutex
	ctx    context.Context
	cancel context.CancelFunc
	count  atomic.Uint64
}

func (s *service) run() error {
	ended := make(chan struct{})
	var helper sync.WaitGroup
	helper.Go(func() { s.look(ended) })
	defer helper.Wait()
	defer close(ended)
	defer s.giveUp()
	for {
		command, err := s.next()
		if err == nil {
			err = s.answer(command)
		} else {
			err = s.refuse(err)
		}
		if err != nil {
			return err
		}
	}
}

// answer has a command executed, and writes its response.
func (s *service) answer(command []byte) error {
	look := s.node.look
	if look != nil {
		look.command(time.Now())
	}
	s.count.Add(1)
	response := s.responder.Respond(s.context(), command)
	s.count.Add(1)
	err := s.write(response)
	if err == nil && look != nil {
		look.response(time.Now())
	}
	return err
}

// context returns the context for the next command: that of the last one, unless it
// has ended.
func (s *service) context() context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx == nil || s.ctx.Err() != nil {
		s.ctx, s.cancel = context.WithCancel(transport.WithClient(s.parent, transport.ClientChardev))
	}
	return s.ctx
}

// giveUp ends the context of the command in execution.
func (s *service) giveUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cancel != nil {
		s.cancel()
	}
}

// lookTime is how often long commands are looked after.
const lookTime = 500 * time.Millisecond

// look gives up commands that nobody waits for: one that a fault holds back would wait
// for a minute, and then still change the TPM.
func (s *service) look(ended <-chan struct{}) {
	tick := time.NewTicker(lookTime)
	defer tick.Stop()
	seen := uint64(0)
	for {
		select {
		case <-ended:
			return
		case <-tick.C:
		}
		count := s.count.Load()
		if count%2 == 1 && count == seen && s.node.gaveUp() && s.count.Load() == count {
			s.giveUp()
		}
		seen = count
	}
}

// gaveUp reports whether nobody waits for the response to the last command. A proxy
// shows that by the next command, which the kernel sends only then.
func (n *Node) gaveUp() bool {
	var events int16
	if n.proxy {
		events = unix.POLLIN
	}
	fds := []unix.PollFd{{Fd: int32(n.fd), Events: events}}
	ready, err := unix.Poll(fds, 0)
	return err == nil && ready > 0
}

// next returns the next command, which is valid until the next call.
func (s *service) next() ([]byte, error) {
	if s.stream != nil {
		return s.stream.Next()
	}
	n, err := s.node.read(s.node.buf)
	if err != nil {
		return nil, err
	}
	if n < transport.HeaderSize {
		return nil, &transport.SizeError{Size: uint32(n), Max: uint32(len(s.node.buf))}
	}
	return s.node.buf[:n], nil
}

// refuse answers what is no command. It returns an error if the device is over.
func (s *service) refuse(err error) error {
	var size *transport.SizeError
	var stall *transport.StallError
	switch {
	case errors.As(err, &size), errors.As(err, &stall):
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return ErrHungUp
	default:
		return err
	}
	s.log.Warn("unreadable TPM command", "cause", err)
	if err := s.write(transport.AppendResponse(nil, transport.RCCommandSize)); err != nil || s.stream == nil {
		return err
	}
	if size == nil || size.Size < transport.HeaderSize {
		s.stream.Drop()
		return nil
	}
	if err := s.stream.Discard(int64(size.Size)); !errors.As(err, &stall) {
		return err
	}
	s.stream.Drop()
	return nil
}

// write writes one response. The kernel refuses one that it does not wait for any
// more, and goes on.
func (s *service) write(response []byte) error {
	if len(response) == 0 {
		s.log.Warn("the TPM gave an empty answer, the client gets none")
		return nil
	}
	for done := 0; done < len(response); {
		n, err := unix.Write(s.node.fd, response[done:])
		done += max(n, 0)
		switch {
		case err == nil, errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			if err := s.node.wait(unix.POLLOUT); err != nil {
				return err
			}
		case errors.Is(err, unix.EPIPE):
			return ErrHungUp
		case errors.Is(err, unix.EIO) && s.node.proxy:
			s.log.Warn("the kernel has given up the command before it was answered")
			return nil
		default:
			return os.NewSyscallError("write", err)
		}
	}
	return nil
}

// source is a Node as a stream of bytes.
type source struct{ *Node }

func (s source) Read(p []byte) (int, error) { return s.read(p) }

func (s source) SetReadDeadline(t time.Time) error {
	s.deadline = t
	return nil
}

// read reads what is there, and waits if nothing is.
func (n *Node) read(p []byte) (int, error) {
	for {
		if err := n.wait(unix.POLLIN); err != nil {
			return 0, err
		}
		got, err := unix.Read(n.fd, p)
		switch {
		case err == nil && got > 0:
			return got, nil
		case err == nil, errors.Is(err, unix.EPIPE):
			return 0, io.EOF
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN):
		default:
			return 0, os.NewSyscallError("read", err)
		}
	}
}

// wait waits for an event of the device, until the deadline. It returns io.EOF if the
// other end has gone and os.ErrClosed after interrupt.
func (n *Node) wait(event int16) error {
	fds := []unix.PollFd{{Fd: int32(n.fd), Events: event}, {Fd: int32(n.wake), Events: unix.POLLIN}}
	for {
		left := -1
		if !n.deadline.IsZero() {
			left = int(max(0, time.Until(n.deadline)+time.Millisecond-1) / time.Millisecond)
		}
		ready, err := unix.Poll(fds, left)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return os.NewSyscallError("poll", err)
		case fds[1].Revents != 0:
			return os.ErrClosed
		case fds[0].Revents&event != 0:
			return nil
		case fds[0].Revents != 0:
			return io.EOF
		case ready == 0:
			return os.ErrDeadlineExceeded
		}
	}
}
