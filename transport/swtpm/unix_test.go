//go:build unix

package swtpm_test

import "golang.org/x/sys/unix"

func dupFD(fd int) (int, error) { return unix.Dup(fd) }
