//go:build unix

package campaign

import (
	"os/exec"
	"syscall"
)

// inGroup gives a command a process group of its own, which is killed when its context is
// done.
func inGroup(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
}

// endGroup kills what a command that has ended has left running in its group.
func endGroup(c *exec.Cmd) { _ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
