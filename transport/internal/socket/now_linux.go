package socket

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls of this file take what is there and never sleep, so they do not tell Go's
// scheduler that a system call begins and ends. The scheduler would give the processor
// (P) of a thread that is in a call to another one after 20 µs; a client on the same
// processor of the machine runs inside our send(2), so that is what nearly each response
// would cost. The price: a goroutine that waits for this P waits as long as the kernel
// keeps the thread from running, as it does while a thread computes.

// receive reads what is there now; EAGAIN means that nothing is.
func (b *blocking) receive(p []byte) (int, error) { return receiveNow(uintptr(b.fd), p) }

// send writes what the kernel takes now.
func (b *blocking) send(p []byte) (int, error) { return sendNow(uintptr(b.fd), p) }

func receiveNow(fd uintptr, p []byte) (int, error) {
	return result(syscall.RawSyscall6(unix.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))),
		uintptr(len(p)), unix.MSG_DONTWAIT, 0, 0))
}

func sendNow(fd uintptr, p []byte) (int, error) {
	return result(syscall.RawSyscall6(unix.SYS_SENDTO, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))),
		uintptr(len(p)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0))
}

// pending reports whether a read would not sleep.
func (b *blocking) pending() bool {
	b.poll[0] = unix.PollFd{Fd: int32(b.fd), Events: unix.POLLIN}
	var none unix.Timespec
	n, err := result(syscall.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&b.poll[0])), 1,
		uintptr(unsafe.Pointer(&none)), 0, 0, 0))
	return n > 0 || err != nil && err != unix.EINTR
}

// result is what a system call has returned, and its error.
func result(r1, _ uintptr, errno syscall.Errno) (int, error) {
	if errno != 0 {
		return 0, errno
	}
	return int(r1), nil
}
