//go:build unix

package process

import "golang.org/x/sys/unix"

// terminal is the controlling terminal of this process.
type terminal struct{ fd int }

// openTerminal returns nil if there is none.
func openTerminal() *terminal {
	fd, err := unix.Open("/dev/tty", unix.O_RDONLY|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	return &terminal{fd}
}

// gone reports whether the terminal has been hung up: its window is closed, its
// connection is cut.
func (t *terminal) gone() bool {
	if t == nil {
		return false
	}
	state := []unix.PollFd{{Fd: int32(t.fd), Events: unix.POLLIN}}
	n, err := unix.Poll(state, 0)
	return err == nil && n > 0 && state[0].Revents&unix.POLLHUP != 0
}
