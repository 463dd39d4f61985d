//go:build linux && (amd64 || arm64 || ppc64le)

package sandbox

import (
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Seccomp bounds the kernel's calls that this process can make to those of its
// lists (seccomp(2)). Another one fails with EPERM and nothing else happens: a
// call that the lists lack must not end a process that a guest depends on. It
// holds for all threads.
func Seccomp(r Reach) error {
	if err := seccompAvailable(); err != nil {
		return err
	}
	filter := program(r, os.Getpid())
	fprog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	// Both calls are made by one thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("seccomp: no_new_privs: %w", err)
	}
	// SPEC_ALLOW: before Linux 5.16 a filter would switch off speculation around
	// stores, which costs speed and is against programs that run code of others.
	const flags = unix.SECCOMP_FILTER_FLAG_TSYNC | unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW
	thread, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&fprog)))
	switch {
	case errno != 0:
		return fmt.Errorf("seccomp: %w", errno)
	case thread != 0:
		return fmt.Errorf("seccomp: thread %d has a filter of its own", thread)
	}
	return nil
}

// seccompAvailable asks whether a filter can answer with an error (Linux 4.14).
func seccompAvailable() error {
	action := uint32(unix.SECCOMP_RET_ERRNO)
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, uintptr(unsafe.Pointer(&action)))
	if errno != 0 {
		return fmt.Errorf("seccomp: %w: %w", errno, ErrUnsupported)
	}
	return nil
}

// call is a call of the kernel that is permitted if each condition holds.
type call struct {
	number uintptr
	when   []condition
}

// condition holds if the argument, under the mask, is one of the values. Of an
// argument its lower 32 bits count, which are all that the kernel looks at where
// it takes an int or flags below 1<<32.
type condition struct {
	argument int
	mask     uint32
	values   []uint32
}

const wholeWord = ^uint32(0)

// isOneOf is the condition that an argument has one of the values.
func isOneOf(argument int, values ...uint32) condition {
	return condition{argument, wholeWord, values}
}

// Layout of struct seccomp_data (include/uapi/linux/seccomp.h). The machines of
// this file have the lower half of a word first.
const (
	numberOffset   = 0
	machineOffset  = 4
	argumentOffset = 16
	argumentSize   = 8
)

// Answers of the filter.
const (
	permit  = uint32(unix.SECCOMP_RET_ALLOW)
	refuse  = uint32(unix.SECCOMP_RET_ERRNO | unix.EPERM)
	unknown = uint32(unix.SECCOMP_RET_ERRNO | unix.ENOSYS)
)

// program is the filter for this machine, in the instructions of classic BPF
// (kernel, Documentation/networking/filter.rst).
func program(r Reach, pid int) []unix.SockFilter {
	p := []unix.SockFilter{
		load(machineOffset),
		skipUnless(machine, 1),
		skip(1),
		answer(refuse), // the numbers of another machine mean other calls
		load(numberOffset),
	}
	for _, number := range unconditional {
		p = append(p, skipUnless(uint32(number), 1), answer(permit))
	}
	for _, c := range conditional(r, pid) {
		block := c.block()
		p = append(append(p, skipUnless(uint32(c.number), len(block))), block...)
	}
	// glibc asks for it first and takes clone(2) where there is none: the flags
	// of clone3 are in memory, which a filter cannot read.
	p = append(p, skipUnless(unix.SYS_CLONE3, 1), answer(unknown))
	return append(p, answer(refuse))
}

// block answers a call whose number is the right one.
func (c *call) block() []unix.SockFilter {
	var block []unix.SockFilter
	for _, w := range c.when {
		block = append(block, load(uint32(argumentOffset+argumentSize*w.argument)))
		if w.mask != wholeWord {
			block = append(block, unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: w.mask})
		}
		for i, value := range w.values {
			// Over the values that follow, and the refusal.
			block = append(block, skipIf(value, len(w.values)-i))
		}
		block = append(block, answer(refuse))
	}
	return append(block, answer(permit))
}

func load(offset uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
}

func answer(with uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: with}
}

func skip(n int) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JA, K: uint32(n)}
}

// skipUnless passes over n instructions if the number loaded is another one.
func skipUnless(number uint32, n int) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: uint8(n), K: number}
}

// skipIf passes over n instructions if the value loaded is this one.
func skipIf(value uint32, n int) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: uint8(n), K: value}
}
