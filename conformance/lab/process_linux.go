package lab

import (
	"errors"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// leash has the kernel kill cmd when this process ends, and keeps the terminal's Ctrl-C
// from it: this process ends it in order.
func leash(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// flock waits for the exclusive lock of an open file.
func flock(fd int) error {
	for {
		if err := unix.Flock(fd, unix.LOCK_EX); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
