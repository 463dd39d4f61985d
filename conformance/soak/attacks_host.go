//go:build linux

package soak

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Names of the files in a state directory (emulator/state/FORMAT.md).
const stateFile = "tpm2.state"

// hostAttacks are what happens to the process and its files.
var hostAttacks = []Attack{
	{Name: "no-room", Does: "leaves the daemon no room for a larger state (RLIMIT_FSIZE), and gives it back", alone: true, run: func(b *bout) error {
		return b.as(b.noRoom)
	}},
	{Name: "no-descriptors", Does: "leaves the daemon no file descriptor (RLIMIT_NOFILE), and gives them back", alone: true, run: func(b *bout) error {
		for b.more() {
			open, err := descriptors(b.steady.ready.PID)
			if err != nil {
				return err
			}
			err = b.limited(unix.RLIMIT_NOFILE, uint64(open), func() error {
				wait(b.ctx, 100*time.Millisecond)
				return nil
			})
			if err != nil {
				return err
			}
			wait(b.ctx, 100*time.Millisecond)
		}
		return nil
	}},
	{Name: "stopped", Does: "stops the daemon (SIGSTOP) and lets it go on", alone: true, run: func(b *bout) error {
		for b.more() {
			if err := b.steady.signal(syscall.SIGSTOP); err != nil {
				return err
			}
			wait(context.WithoutCancel(b.ctx), time.Duration(1+b.rnd.IntN(20))*time.Millisecond)
			if err := b.steady.signal(syscall.SIGCONT); err != nil {
				return err
			}
			wait(b.ctx, time.Duration(100+b.rnd.IntN(200))*time.Millisecond)
		}
		return nil
	}},
	{Name: "lost-directory", Does: "takes the state directory's permissions and its name, and gives them back", alone: true, run: func(b *bout) error {
		dir := b.steady.state
		for b.more() {
			err := errors.Join(os.Chmod(dir, 0), os.Rename(dir, dir+".away"))
			wait(b.ctx, 20*time.Millisecond)
			err = errors.Join(err, os.Rename(dir+".away", dir), os.Chmod(dir, 0o700))
			if err != nil {
				return err
			}
			wait(b.ctx, 50*time.Millisecond)
		}
		return nil
	}},
	{Name: "second-daemon", Does: "starts another daemon on the same state and the same sockets", run: func(b *bout) error {
		return b.refused(func() []string {
			switch b.rnd.IntN(2) {
			case 0:
				return []string{"--dir", filepath.Dir(b.steady.ready.Data)}
			default:
				return []string{"--dir", b.dir, "--state", b.held.state}
			}
		})
	}},
	{Name: "strange-state", Does: "starts a daemon on a state that is a named pipe, a directory, a link, damaged, or named in no usual way", run: func(b *bout) error {
		return b.refused(func() []string {
			dir := filepath.Join(b.dir, fmt.Sprintf("state %d\n\x1b[31m%s", b.blows, strings.Repeat("\xff", b.rnd.IntN(9))))
			path := filepath.Join(dir, stateFile)
			err := os.Mkdir(dir, 0o700)
			switch b.rnd.IntN(5) {
			case 0:
				err = errors.Join(err, syscall.Mkfifo(path, 0o600))
			case 1:
				err = errors.Join(err, os.Mkdir(path, 0o700))
			case 2:
				err = errors.Join(err, os.Symlink(path, path))
			case 3:
				err = errors.Join(err, os.WriteFile(path, b.bytes(1+b.rnd.IntN(4096)), 0o600))
			case 4:
				err = errors.Join(err, os.Symlink("/dev/zero", path))
			}
			if err != nil {
				return nil
			}
			return []string{"--dir", b.dir, "--state", dir}
		})
	}},
}

// limited lowers a limit of the steady daemon while f runs.
func (b *bout) limited(which int, low uint64, f func() error) error {
	pid := b.steady.ready.PID
	var before unix.Rlimit
	if err := unix.Prlimit(pid, which, nil, &before); err != nil {
		return os.NewSyscallError("prlimit", err)
	}
	if err := unix.Prlimit(pid, which, &unix.Rlimit{Cur: min(low, before.Max), Max: before.Max}, nil); err != nil {
		return os.NewSyscallError("prlimit", err)
	}
	return errors.Join(f(), os.NewSyscallError("prlimit", unix.Prlimit(pid, which, &before, nil)))
}

// noRoom is a client that writes while there is no room for its writes, until the TPM
// says so, and then until it takes them again.
func (b *bout) noRoom(send sender) error {
	const index = firstIndex + 0x3000
	if _, err := send(nvDefine(index, nvAuthRead|nvAuthWrite|nvNoDA, nil, 8)); err != nil {
		return err
	}
	until := func(code uint32) error {
		for begin := time.Now(); time.Since(begin) < refusedTime; {
			response, err := send(nvWrite(index, b.bytes(8)))
			if err != nil || rc(response) == code {
				return err
			}
		}
		return fmt.Errorf("TPM2_NV_Write did not answer %#x within %s", code, refusedTime)
	}
	for b.again() {
		info, err := os.Stat(filepath.Join(b.steady.state, stateFile))
		if err != nil {
			return err
		}
		// More than the state has, less than is set aside for the next one.
		const growth = 12 << 10
		err = b.limited(unix.RLIMIT_FSIZE, uint64(info.Size())+growth, func() error { return until(rcNVUnavailable) })
		if err == nil {
			err = until(rcSuccess)
		}
		if err != nil {
			return err
		}
		wait(b.ctx, 50*time.Millisecond)
	}
	return nil
}

// refusalTime is how long a daemon may take to see that it cannot start.
const refusalTime = time.Minute

// refused starts daemons, which must all end by themselves, with exit code 1.
func (b *bout) refused(words func() []string) error {
	for b.more() {
		w := words()
		if w == nil {
			return errors.New("the attack could not be prepared")
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(b.ctx), refusalTime)
		said, err := exec.CommandContext(ctx, b.program, w...).CombinedOutput()
		cancel()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 1 {
			return fmt.Errorf("swtpmd %q: %w instead of exit code 1: %s", w, err, said)
		}
	}
	return nil
}

// descriptors counts the open file descriptors of a process.
func descriptors(pid int) (int, error) {
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if errors.Is(err, fs.ErrNotExist) {
		err = errors.New("the process has ended")
	}
	return len(list), err
}
