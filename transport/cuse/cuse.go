package cuse

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"
)

// ErrUnsupported is the error of a system without CUSE.
var ErrUnsupported = errors.New("devices whose driver is a process are Linux' own here, and this system is another")

// ControllerPath is the kernel's side of CUSE.
const ControllerPath = "/dev/cuse"

// OpenError is what kept /dev/cuse from being opened, or the device from being made.
type OpenError struct{ Err error }

func (e *OpenError) Error() string {
	switch {
	case errors.Is(e.Err, fs.ErrNotExist):
		return e.Err.Error() + "; load the kernel's module: modprobe cuse"
	case errors.Is(e.Err, fs.ErrPermission):
		return e.Err.Error() + "; it takes root, or the permission to read and write " + ControllerPath
	}
	return e.Err.Error()
}

// Unwrap returns what the kernel said.
func (e *OpenError) Unwrap() error { return e.Err }

// NameError is a name that no device can have.
type NameError struct{ Name string }

func (e *NameError) Error() string {
	return fmt.Sprintf("%q cannot be the name of a device: 1 to %d characters, none of them / or a space", e.Name, longestName)
}

const longestName = 64

// TakenError says that the kernel has not made the device.
type TakenError struct{ Name string }

func (e *TakenError) Error() string {
	return fmt.Sprintf("the kernel has not made /dev/%s: there is one of that name or number already; choose another", e.Name)
}

// Responder answers TPM commands; a *swtpm.Server is one. The context ends when nobody
// waits for the response any more.
type Responder interface {
	Respond(ctx context.Context, command []byte) (response []byte)
}

// Options describe a device.
type Options struct {
	// Name is the name of the device below /dev.
	Name string
	// Major and Minor are its number. A Major of 0 has the kernel choose.
	Major, Minor uint32
}

func (o *Options) check() error {
	if o.Name == "" || len(o.Name) > longestName || strings.ContainsAny(o.Name, "/ \t\n\x00") || o.Name == "." || o.Name == ".." {
		return &NameError{o.Name}
	}
	return nil
}

// channel is /dev/cuse: each Read is one request, each Write one reply.
type channel interface {
	io.ReadWriteCloser
	SetReadDeadline(time.Time) error
}

// Device is a device whose driver this process is.
type Device struct {
	channel channel
	opts    Options
	// aborted reports whether the kernel has ended the connection.
	aborted func() bool
	buf     []byte
}

func newDevice(c channel, opts Options, aborted func() bool) *Device {
	return &Device{channel: c, opts: opts, aborted: aborted, buf: make([]byte, mostBytes)}
}

// Path returns the path of the device.
func (d *Device) Path() string { return "/dev/" + d.opts.Name }

// Close closes the device, which goes.
func (d *Device) Close() error { return d.channel.Close() }

// Make makes the device. It is there when Make returns nil, and waits for Serve.
func (d *Device) Make() error {
	n, err := d.channel.Read(d.buf)
	if err != nil {
		return &OpenError{err}
	}
	r, err := decode(d.buf[:n])
	switch {
	case err != nil:
		return &OpenError{err}
	case r.op != opInit || r.major != protocolMajor:
		return &OpenError{&RequestError{fmt.Sprintf("operation %d of version %d.%d, and CUSE_INIT of version %d was due",
			r.op, r.major, r.minor, protocolMajor), n}}
	}
	if _, err := d.channel.Write(initReply(&r, &d.opts)); err != nil {
		return &OpenError{err}
	}
	if d.aborted() {
		return &TakenError{d.opts.Name}
	}
	return nil
}

// service is one call of Serve.
type service struct {
	device    *Device
	responder Responder
	control   Control
	log       *slog.Logger
	ctx       context.Context // of commands
	asking    context.Context // of control requests: the one that ends all is still answered
	handlers  sync.WaitGroup
	ioctls    chan struct{} // one token each

	mu   sync.Mutex
	file file
}

// Serve serves the device: r answers the commands, c the control requests. It returns
// nil when ctx has ended and what was begun has been answered, otherwise what /dev/cuse
// said. c must answer at its own end too. log is told what goes wrong; nil logs nothing.
func (d *Device) Serve(ctx context.Context, r Responder, c Control, log *slog.Logger) error {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	handling, cancel := context.WithCancel(ctx)
	s := &service{
		device: d, responder: r, control: c, log: log, ctx: handling, asking: context.WithoutCancel(ctx),
		ioctls: make(chan struct{}, mostIoctls),
	}
	stop := context.AfterFunc(ctx, func() { _ = d.channel.SetReadDeadline(time.Unix(1, 0)) })
	err := s.requests()
	stop()
	cancel()
	s.handlers.Wait()
	if ctx.Err() != nil || errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}

func (s *service) requests() error {
	for {
		n, err := s.device.channel.Read(s.device.buf)
		if err != nil {
			return err
		}
		r, err := decode(s.device.buf[:n])
		if err != nil {
			s.log.Warn("unreadable request", "cause", err)
			continue
		}
		s.handle(&r)
	}
}

// handle answers a request, or has it answered later.
func (s *service) handle(r *request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var answer []byte
	switch r.op {
	case opOpen:
		answer = s.opened(r)
	case opRelease:
		answer = s.released(r)
	case opWrite:
		answer = s.written(r)
	case opRead:
		answer = s.readFrom(r)
	case opPoll:
		answer = s.polled(r)
	case opInterrupt:
		answer = s.interrupted(r)
	case opIoctl:
		answer = s.controlled(r)
	default:
		answer = reply(r.unique, eNOSYS, nil)
	}
	s.send(answer)
}

// controlled is FUSE_IOCTL. It may take as long as a command does.
func (s *service) controlled(r *request) []byte {
	row := lookup(r)
	if row == nil {
		return reply(r.unique, eNOTTY, nil)
	}
	select {
	case s.ioctls <- struct{}{}:
	default:
		return reply(r.unique, eBUSY, nil)
	}
	unique, in := r.unique, bytes.Clone(r.data)
	s.handlers.Go(func() {
		answer := s.execute(unique, row, in)
		<-s.ioctls
		s.send(answer)
	})
	return nil
}

// send sends a message, if there is one. The kernel refuses the reply to a request whose
// process has been killed meanwhile.
func (s *service) send(answer []byte) {
	if len(answer) == 0 {
		return
	}
	if _, err := s.device.channel.Write(answer); err != nil && s.ctx.Err() == nil {
		s.log.Debug("a reply was refused", "cause", err)
	}
}
