//go:build linux && (amd64 || arm64 || ppc64le)

package sandbox

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// asked is a call as the kernel shows it to a filter.
type asked struct {
	machine uint32
	number  uintptr
	args    [6]uint32 // lower halves
}

func (a *asked) word(t *testing.T, offset uint32) uint32 {
	t.Helper()
	switch {
	case offset == numberOffset:
		return uint32(a.number)
	case offset == machineOffset:
		return a.machine
	}
	require.GreaterOrEqual(t, offset, uint32(argumentOffset))
	require.Zero(t, (offset-argumentOffset)%argumentSize, "an upper half is not looked at")
	return a.args[(offset-argumentOffset)/argumentSize]
}

// decide does what the kernel does with a filter.
func decide(t *testing.T, filter []unix.SockFilter, a asked) uint32 {
	t.Helper()
	require.LessOrEqual(t, len(filter), 4096, "BPF_MAXINSNS")
	var accumulator uint32
	for at := 0; at < len(filter); at++ {
		switch i := filter[at]; i.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			accumulator = a.word(t, i.K)
		case unix.BPF_ALU | unix.BPF_AND | unix.BPF_K:
			accumulator &= i.K
		case unix.BPF_JMP | unix.BPF_JA:
			at += int(i.K)
		case unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K:
			if accumulator == i.K {
				at += int(i.Jt)
			} else {
				at += int(i.Jf)
			}
		case unix.BPF_RET | unix.BPF_K:
			return i.K
		default:
			require.Fail(t, "unknown instruction", "%#v", i)
		}
	}
	require.Fail(t, "the filter has no end")
	return 0
}

func TestFilter(t *testing.T) {
	pid := uint32(os.Getpid())
	console := Reach{UnixSockets: true}
	const goThread = thread | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SYSVSEM
	for _, c := range []struct {
		name   string
		reach  Reach
		asks   asked
		answer uint32
	}{
		{"read", Reach{}, asked{machine, unix.SYS_READ, [6]uint32{}}, permit},
		{"the last of the list", Reach{}, asked{machine, unix.SYS_INOTIFY_RM_WATCH, [6]uint32{}}, permit},
		{"another machine's number", Reach{}, asked{unix.AUDIT_ARCH_I386, unix.SYS_READ, [6]uint32{}}, refuse},
		{"x32", Reach{}, asked{machine, unix.SYS_READ | 0x40000000, [6]uint32{}}, refuse},
		{"a call that is to come", Reach{}, asked{machine, 5000, [6]uint32{}}, refuse},
		{"execve", console, asked{machine, unix.SYS_EXECVE, [6]uint32{}}, refuse},
		{"execveat", console, asked{machine, unix.SYS_EXECVEAT, [6]uint32{}}, refuse},
		{"ptrace", console, asked{machine, unix.SYS_PTRACE, [6]uint32{}}, refuse},
		{"process_vm_readv", console, asked{machine, unix.SYS_PROCESS_VM_READV, [6]uint32{}}, refuse},
		{"unshare", console, asked{machine, unix.SYS_UNSHARE, [6]uint32{}}, refuse},
		{"setns", console, asked{machine, unix.SYS_SETNS, [6]uint32{}}, refuse},
		{"bpf", console, asked{machine, unix.SYS_BPF, [6]uint32{}}, refuse},
		{"io_uring", console, asked{machine, unix.SYS_IO_URING_SETUP, [6]uint32{}}, refuse},
		{"clone3", Reach{}, asked{machine, unix.SYS_CLONE3, [6]uint32{}}, unknown},
		{"a thread", Reach{}, asked{machine, unix.SYS_CLONE, [6]uint32{goThread}}, permit},
		{"a process", Reach{}, asked{machine, unix.SYS_CLONE, [6]uint32{uint32(unix.SIGCHLD)}}, refuse},
		{"vfork", Reach{}, asked{machine, unix.SYS_CLONE, [6]uint32{unix.CLONE_VM | unix.CLONE_VFORK}}, refuse},
		{"a namespace", Reach{}, asked{machine, unix.SYS_CLONE, [6]uint32{goThread | unix.CLONE_NEWNET}}, refuse},
		{"signal to itself", Reach{}, asked{machine, unix.SYS_TGKILL, [6]uint32{pid, 1}}, permit},
		{"signal to another", Reach{}, asked{machine, unix.SYS_TGKILL, [6]uint32{pid + 1, 1}}, refuse},
		{"kill all", Reach{}, asked{machine, unix.SYS_KILL, [6]uint32{wholeWord}}, refuse},
		{"memory", Reach{}, asked{machine, unix.SYS_MMAP, [6]uint32{0, 4096, unix.PROT_READ | unix.PROT_WRITE}}, permit},
		{"code", Reach{}, asked{machine, unix.SYS_MMAP, [6]uint32{0, 4096, unix.PROT_READ | unix.PROT_EXEC}}, refuse},
		{"to code", Reach{}, asked{machine, unix.SYS_MPROTECT, [6]uint32{0, 4096, unix.PROT_EXEC}}, refuse},
		{"first of several values", Reach{}, asked{machine, unix.SYS_FCNTL, [6]uint32{0, unix.F_GETFL}}, permit},
		{"last of several values", Reach{}, asked{machine, unix.SYS_FCNTL, [6]uint32{0, unix.F_DUPFD_CLOEXEC}}, permit},
		{"none of several values", Reach{}, asked{machine, unix.SYS_FCNTL, [6]uint32{0, unix.F_SETOWN}}, refuse},
		{"dumpable", Reach{}, asked{machine, unix.SYS_PRCTL, [6]uint32{unix.PR_SET_DUMPABLE, 1}}, refuse},
		{"a socket without a console", Reach{}, asked{machine, unix.SYS_SOCKET, [6]uint32{unix.AF_UNIX, unix.SOCK_STREAM}}, refuse},
		{"a socket for the console", console, asked{machine, unix.SYS_SOCKET, [6]uint32{unix.AF_UNIX, unix.SOCK_STREAM | unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK}}, permit},
		{"a datagram socket", console, asked{machine, unix.SYS_SOCKET, [6]uint32{unix.AF_UNIX, unix.SOCK_DGRAM}}, refuse},
		{"tcp", console, asked{machine, unix.SYS_SOCKET, [6]uint32{unix.AF_INET, unix.SOCK_STREAM}}, refuse},
		{"connect without a console", Reach{}, asked{machine, unix.SYS_CONNECT, [6]uint32{}}, refuse},
		{"connect", console, asked{machine, unix.SYS_CONNECT, [6]uint32{}}, permit},
		{"a TPM for the kernel", Reach{VTPMProxy: true}, asked{machine, unix.SYS_IOCTL, [6]uint32{3, 0xC014A100}}, permit},
		{"another request", Reach{VTPMProxy: true}, asked{machine, unix.SYS_IOCTL, [6]uint32{3, unix.TIOCSTI}}, refuse},
		{"a TPM for the kernel without a device", console, asked{machine, unix.SYS_IOCTL, [6]uint32{3, 0xC014A100}}, refuse},
		{"chmod without a console", Reach{}, asked{machine, unix.SYS_FCHMODAT, [6]uint32{}}, refuse},
	} {
		assert.Equal(t, c.answer, decide(t, program(c.reach, int(pid)), c.asks), c.name)
	}
}

// A call stands in one of the lists only, or the second would never be asked.
func TestListsAreApart(t *testing.T) {
	seen := map[uintptr]bool{unix.SYS_CLONE3: true}
	numbers := append([]uintptr{}, unconditional...)
	for _, c := range conditional(Reach{UnixSockets: true, VTPMProxy: true}, 1) {
		numbers = append(numbers, c.number)
		assert.Less(t, len(c.block()), 256, "a jump over it fits")
	}
	for _, number := range numbers {
		assert.False(t, seen[number], "call %d stands there twice", number)
		seen[number] = true
	}
}
