//go:build linux && (amd64 || arm64 || ppc64le)

package sandbox

import "golang.org/x/sys/unix"

// unconditional are the calls that may have any arguments, the most frequent ones
// first: those that scripts/sandbox-calls sees, and others that Go's runtime, the
// state directory and C's threads in tests have for cases that are rare.
var unconditional = append([]uintptr{
	// Clients, and Go's scheduler while it serves them.
	unix.SYS_READ, unix.SYS_WRITE, unix.SYS_FUTEX, unix.SYS_EPOLL_PWAIT,
	unix.SYS_NANOSLEEP, unix.SYS_RECVMSG, unix.SYS_SENDMSG, unix.SYS_PPOLL,
	unix.SYS_SCHED_YIELD, unix.SYS_RESTART_SYSCALL, unix.SYS_GETPID, unix.SYS_GETTID,
	unix.SYS_RT_SIGRETURN, unix.SYS_RT_SIGPROCMASK, unix.SYS_RT_SIGACTION, unix.SYS_SIGALTSTACK,
	unix.SYS_CLOCK_GETTIME, unix.SYS_CLOCK_NANOSLEEP, unix.SYS_GETTIMEOFDAY, unix.SYS_GETRANDOM,

	// Memory and threads.
	unix.SYS_MUNMAP, unix.SYS_MADVISE, unix.SYS_BRK,
	unix.SYS_SCHED_GETAFFINITY,
	unix.SYS_SET_ROBUST_LIST, unix.SYS_RSEQ, // C's threads
	unix.SYS_EXIT, unix.SYS_EXIT_GROUP,

	// Sockets that it has or is passed.
	unix.SYS_ACCEPT, unix.SYS_ACCEPT4, unix.SYS_SHUTDOWN, unix.SYS_RECVFROM, unix.SYS_SENDTO,
	unix.SYS_GETSOCKOPT, unix.SYS_SETSOCKOPT, unix.SYS_GETSOCKNAME, unix.SYS_GETPEERNAME,
	unix.SYS_EPOLL_CREATE1, unix.SYS_EPOLL_CTL, unix.SYS_EVENTFD2,
	unix.SYS_TIMERFD_CREATE, unix.SYS_TIMERFD_SETTIME, // the proxy's driver looks

	// Open files, and those that Landlock lets it open.
	unix.SYS_CLOSE, unix.SYS_DUP3, unix.SYS_LSEEK,
	unix.SYS_PREAD64, unix.SYS_PWRITE64, unix.SYS_READV, unix.SYS_WRITEV,
	unix.SYS_FSTAT, unix.SYS_NEWFSTATAT,
	unix.SYS_FTRUNCATE, unix.SYS_FALLOCATE, unix.SYS_FSYNC, unix.SYS_FDATASYNC,
	unix.SYS_FLOCK, unix.SYS_FCHMOD, unix.SYS_GETDENTS64,
	unix.SYS_OPENAT, unix.SYS_UNLINKAT, unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2,
	unix.SYS_FACCESSAT, unix.SYS_FACCESSAT2, unix.SYS_READLINKAT, unix.SYS_MKDIRAT,
	unix.SYS_INOTIFY_ADD_WATCH, unix.SYS_INOTIFY_RM_WATCH,
}, ofThisMachine...)

// Flags of clone(2) that make a thread, and those that make namespaces.
const (
	thread    = unix.CLONE_VM | unix.CLONE_SIGHAND | unix.CLONE_THREAD
	namespace = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC |
		unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET
)

// families returns the families of sockets that are made.
func (r Reach) families() (list []uint32) {
	if r.UnixSockets {
		list = append(list, unix.AF_UNIX)
	}
	if len(r.TCPPorts) > 0 {
		list = append(list, unix.AF_INET, unix.AF_INET6)
	}
	return list
}

// conditional are the calls of which the arguments matter.
func conditional(r Reach, pid int) []call {
	own := []condition{isOneOf(0, uint32(pid))}
	noCode := []condition{{2, unix.PROT_EXEC, []uint32{0}}}
	calls := []call{
		{unix.SYS_TGKILL, own},
		{unix.SYS_KILL, own},
		{unix.SYS_CLONE, []condition{{0, thread | namespace, []uint32{thread}}}},
		{unix.SYS_MMAP, noCode},
		{unix.SYS_MPROTECT, noCode},
		{unix.SYS_FCNTL, []condition{isOneOf(1,
			unix.F_GETFL, unix.F_SETFL, unix.F_GETFD, unix.F_SETFD, unix.F_DUPFD_CLOEXEC)}},
		// The runtime gives its memory names.
		{unix.SYS_PRCTL, []condition{isOneOf(0, unix.PR_SET_VMA)}},
	}
	if families := r.families(); len(families) > 0 {
		const typeMask = 0xf // SOCK_TYPE_MASK, include/linux/net.h
		calls = append(calls,
			call{unix.SYS_SOCKET, []condition{
				isOneOf(0, families...),
				{1, typeMask, []uint32{unix.SOCK_STREAM}},
			}},
			call{unix.SYS_CONNECT, nil},
		)
	}
	if r.UnixSockets {
		calls = append(calls,
			call{unix.SYS_BIND, nil},
			call{unix.SYS_LISTEN, nil},
			call{unix.SYS_LINKAT, nil}, // where a file system cannot rename without replacing
			call{unix.SYS_FCHMODAT, nil},
			call{unix.SYS_FCHMODAT2, nil},
			call{unix.SYS_FCHOWNAT, nil},
		)
	}
	if r.VTPMProxy {
		const newDevice = 0xC014A100 // VTPM_PROXY_IOC_NEW_DEV, include/uapi/linux/vtpm_proxy.h
		calls = append(calls, call{unix.SYS_IOCTL, []condition{isOneOf(1, newDevice)}})
	}
	return calls
}
