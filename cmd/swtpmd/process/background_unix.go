//go:build unix

package process

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// EndingWrites are the signals that end a process because of a write that fails.
var EndingWrites = []os.Signal{syscall.SIGPIPE, syscall.SIGXFSZ}

// readyFD is the environment variable that tells a daemon in the background on
// which descriptor its parent waits for it to be ready.
const readyFD = "SWTPMD_READY_FD"

// Detach starts this program again in a session of its own and returns when it
// is ready, or with an error when it has failed. A process with goroutines
// cannot fork; starting anew with the same descriptors is the same to whoever
// passed some. Standard input is kept where keepStdin is set, and is /dev/null
// otherwise.
func Detach(keepStdin bool) error {
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer read.Close()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	files := inherited()
	if !keepStdin {
		files[0] = null
	}
	// The null device follows the pipe: the child may have no path to it any more.
	files = append(files, write, null)
	child, err := os.StartProcess(self, os.Args, &os.ProcAttr{
		Files: files,
		Env:   append(os.Environ(), readyFD+"="+strconv.Itoa(len(files)-2)),
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	write.Close()
	if err != nil {
		return err
	}
	if said, err := io.ReadAll(io.LimitReader(read, 16)); err == nil && len(said) > 0 {
		return child.Release()
	}
	state, err := child.Wait()
	if err != nil {
		return err
	}
	return &DetachError{Code: state.ExitCode()}
}

// DetachError is a background process that ended before it was ready. It has
// said why on the stderr that it shares with its parent.
type DetachError struct {
	Code int
}

func (e *DetachError) Error() string {
	return fmt.Sprintf("the background process ended with exit code %d before it was ready", e.Code)
}

// inherited returns this process's open descriptors in their places, so that
// fd=N means the same in the child. Those that the runtime or this program
// opened since are close-on-exec and are closed.
func inherited() []*os.File {
	const highest = 256
	files := []*os.File{os.Stdin, os.Stdout, os.Stderr}
	for fd := 3; fd < highest; fd++ {
		flags, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_GETFD, 0)
		if errno != 0 || flags&syscall.FD_CLOEXEC != 0 {
			continue
		}
		for len(files) < fd {
			files = append(files, nil)
		}
		files = append(files, os.NewFile(uintptr(fd), "descriptor "+strconv.Itoa(fd)))
	}
	return files
}

// TellParent says to a waiting parent that the daemon is ready. Without one it
// does nothing.
func TellParent() error {
	text := os.Getenv(readyFD)
	if text == "" {
		return nil
	}
	fd, err := strconv.Atoi(text)
	if err != nil || fd < 3 {
		return errors.New(readyFD + "=" + text + " is not a descriptor")
	}
	pipe := os.NewFile(uintptr(fd), "ready pipe")
	defer pipe.Close()
	if err := letGo(fd + 1); err != nil {
		return err
	}
	_, err = pipe.WriteString("ready")
	return err
}

// letGo leaves stdout and stderr to the parent, and takes the null device for them:
// whoever reads them, a shell's
// $(…) for one, would wait for their end as long as the daemon lives. From here
// on it speaks by --log only.
func letGo(null int) error {
	for _, fd := range []int{1, 2} {
		if err := unix.Dup2(null, fd); err != nil {
			return err
		}
	}
	return unix.Close(null)
}

// errNotGiven is a descriptor that this program has opened itself: whoever
// started it has left it closed.
var errNotGiven = errors.New("the descriptor is not open")

// Given returns an error if the descriptor is not one that whoever started this
// program has opened for it. The program's own ones are close-on-exec.
func Given(fd int) error {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	if err != nil || flags&unix.FD_CLOEXEC != 0 {
		return errNotGiven
	}
	return nil
}

// IsListener reports whether the descriptor is a socket that accepts connections,
// as opposed to being one.
func IsListener(fd int) (bool, error) {
	accepts, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	return accepts != 0, err
}

// IsSocket reports whether the descriptor is a socket.
func IsSocket(fd int) bool {
	var info unix.Stat_t
	return unix.Fstat(fd, &info) == nil && info.Mode&unix.S_IFMT == unix.S_IFSOCK
}

// TakeStandard moves a socket that came as a standard stream, and returns its new
// descriptor. Every standard stream that is this socket becomes /dev/null: what is
// written there would get among the answers.
func TakeStandard(fd int) (int, error) {
	var socket unix.Stat_t
	if err := unix.Fstat(fd, &socket); err != nil {
		return -1, err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return -1, err
	}
	defer null.Close()
	moved, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return -1, err
	}
	for standard := range 3 {
		var info unix.Stat_t
		if err := unix.Fstat(standard, &info); err != nil || info.Dev != socket.Dev || info.Ino != socket.Ino {
			continue
		}
		if err := unix.Dup2(int(null.Fd()), standard); err != nil {
			return -1, err
		}
	}
	return moved, nil
}

// InBackground reports whether this process is the one that Detach started.
func InBackground() bool { return os.Getenv(readyFD) != "" }
