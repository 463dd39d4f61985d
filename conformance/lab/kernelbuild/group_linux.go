package kernelbuild

import (
	"os/exec"
	"syscall"
)

// group puts cmd into a process group of its own, and has the kernel kill it when this
// process ends. The terminal's Ctrl-C does not reach it: this process ends it in order.
func group(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}

// signalGroup ends the group of cmd. A group that has ended already is no error.
func signalGroup(cmd *exec.Cmd, kill bool) {
	sig := syscall.SIGTERM
	if kill {
		sig = syscall.SIGKILL
	}
	_ = syscall.Kill(-cmd.Process.Pid, sig)
}
