//go:build unix

package faulty

import (
	"os/exec"
	"syscall"
)

// group has a command start a group of processes, which the end of its time ends.
func group(command *exec.Cmd) {
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
}

// end ends what is left of the group of a command that has ended.
func end(command *exec.Cmd) {
	if command.Process != nil {
		_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL) // none may be left
	}
}
