//go:build !linux

package kernelbuild

import "os/exec"

func group(*exec.Cmd) {}

func signalGroup(cmd *exec.Cmd, _ bool) { _ = cmd.Process.Kill() }
