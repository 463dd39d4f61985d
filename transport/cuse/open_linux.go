package cuse

import (
	"os"

	"golang.org/x/sys/unix"
)

// Open opens /dev/cuse for a device that Make makes. The error is a *NameError or an
// *OpenError.
func Open(opts Options) (*Device, error) {
	if err := opts.check(); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(ControllerPath, os.O_RDWR, 0)
	if err != nil {
		return nil, &OpenError{err}
	}
	return newDevice(file, opts, func() bool { return aborted(file) }), nil
}

// aborted reports whether the kernel has ended the connection: it does that when it
// cannot make the device, while it takes the reply to CUSE_INIT.
func aborted(file *os.File) bool {
	conn, err := file.SyscallConn()
	if err != nil {
		return true
	}
	gone := true
	err = conn.Control(func(fd uintptr) {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		_, err := unix.Poll(fds, 0)
		gone = err == nil && fds[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0
	})
	return err != nil || gone
}
