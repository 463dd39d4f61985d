//go:build linux

package sandbox

import "golang.org/x/sys/unix"

const machine = unix.AUDIT_ARCH_AARCH64

// ofThisMachine are calls that other machines do not have.
var ofThisMachine []uintptr
