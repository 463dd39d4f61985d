//go:build linux

package sandbox

import "golang.org/x/sys/unix"

const machine = unix.AUDIT_ARCH_PPC64LE

// ofThisMachine are calls that other machines do not have.
var ofThisMachine = []uintptr{
	unix.SYS_EPOLL_WAIT, unix.SYS_POLL, unix.SYS_DUP2, unix.SYS_LSTAT, unix.SYS_STAT,
	unix.SYS_RECV, unix.SYS_SEND,
}
