//go:build !unix

package campaign

import "os/exec"

// inGroup does nothing: the command alone is killed when its context is done.
func inGroup(*exec.Cmd) {}

// endGroup does nothing.
func endGroup(*exec.Cmd) {}
