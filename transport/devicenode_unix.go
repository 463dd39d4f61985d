//go:build unix

package transport

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// readWhenReady waits for a response and reads it. Where the file can be polled, Go
// has made it non-blocking: then the kernel returns from a write before the command
// is executed, and a read in that time finds nothing and returns 0, which is no end of
// the file.
func (d *DeviceNode) readWhenReady(response []byte) (n int, err error) {
	if !d.polled {
		return d.file.Read(response)
	}
	waited := d.conn.Read(func(fd uintptr) bool {
		ready := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		if count, polled := unix.Poll(ready, 0); polled == nil && count == 0 {
			return false
		}
		n, err = unix.Read(int(fd), response)
		n = max(n, 0)
		return !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR)
	})
	if waited != nil {
		return 0, waited
	}
	if err != nil {
		return n, os.NewSyscallError("read", err)
	}
	return n, nil
}
