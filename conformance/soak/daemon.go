//go:build linux

package soak

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/swtpmd/swtpmd/faults/control"
)

const (
	// startTime is how long a daemon may take until it is ready.
	startTime = time.Minute
	// endTime is how long it may take to end after SIGTERM: the 2 s of
	// docs/daemon.md, "The end", and the rest for a machine that is busy.
	endTime = 20 * time.Second
)

// daemon is a running swtpmd.
type daemon struct {
	cmd   *exec.Cmd
	ready struct {
		PID     int    `json:"pid"`
		Control string `json:"ctrl"`
		Data    string `json:"data"`
		Console string `json:"console"`
		Admin   string `json:"admin"`
		TCTI    string `json:"tcti"`
	}
	admin *control.Client
	state string // its state directory, empty for none
	// log is the pipe that stderr is, of a daemon whose log nobody reads.
	log   *os.File
	said  *beginning // stderr of any other
	ended chan struct{}
}

// launch says how to start a daemon.
type launch struct {
	program  string
	dir      string // for its sockets and its state
	stateful bool
	state    string // more words of --tpmstate
	// blocked gives it a stderr that is full before it begins and that nobody
	// reads.
	blocked bool
	words   []string
	// before are words before all others, where the program is one that starts
	// swtpmd.
	before []string
}

// stateDir is the state directory.
func (l launch) stateDir() string { return filepath.Join(l.dir, "state") }

// command is the process that start starts.
func (l launch) command() *exec.Cmd {
	words := append(slices.Clone(l.before), "--dir", l.dir, "--json")
	if l.stateful {
		words = append(words, "--tpmstate", "dir="+l.stateDir()+l.state)
	}
	if os.Geteuid() != 0 {
		// Or nobody but root sees its descriptors.
		words = append(words, "--core-dumps")
	}
	cmd := exec.Command(l.program, append(words, l.words...)...)
	// The race detector sleeps for a second at the end unless told otherwise.
	cmd.Env = append(os.Environ(), "GOTRACEBACK=all", "GORACE=atexit_sleep_ms=0")
	return cmd
}

// start starts a daemon and waits until it is ready.
func (l launch) start(ctx context.Context) (*daemon, error) {
	d := &daemon{cmd: l.command(), ended: make(chan struct{})}
	if l.stateful {
		d.state = l.stateDir()
	}
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	stderr, err := d.stderr(l.blocked)
	if err != nil {
		return nil, err
	}
	err = d.cmd.Start()
	if stderr != nil {
		stderr.Close()
	}
	if err != nil {
		return nil, err
	}
	line := make(chan []byte, 1)
	go func() {
		r := bufio.NewReader(out)
		text, _ := r.ReadBytes('\n')
		line <- text
		_, _ = io.Copy(io.Discard, r)
		_ = d.cmd.Wait()
		close(d.ended)
	}()
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	select {
	case text := <-line:
		if err := json.Unmarshal(text, &d.ready); err != nil {
			d.kill()
			return nil, fmt.Errorf("%s did not get ready: %s", l.program, d.words())
		}
		d.admin = control.NewClient(d.ready.Admin)
		return d, nil
	case <-ctx.Done():
		d.kill()
		return nil, fmt.Errorf("%s did not get ready: %w: %s", l.program, ctx.Err(), d.words())
	}
}

// stderr gives the process a stderr; what is to be closed after its start is
// returned.
func (d *daemon) stderr(blocked bool) (*os.File, error) {
	if !blocked {
		d.said = new(beginning)
		d.cmd.Stderr = d.said
		return nil, nil
	}
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		return nil, os.NewSyscallError("pipe2", err)
	}
	d.log = os.NewFile(uintptr(ends[0]), "log")
	full := os.NewFile(uintptr(ends[1]), "stderr")
	if err := fill(ends[1]); err != nil {
		return nil, errors.Join(err, d.log.Close(), full.Close())
	}
	d.cmd.Stderr = full
	return full, nil
}

// fill writes to a pipe until it takes no more.
func fill(fd int) error {
	if err := unix.SetNonblock(fd, true); err != nil {
		return err
	}
	line := bytes.Repeat([]byte{'\n'}, 1<<12)
	for {
		_, err := unix.Write(fd, line)
		if errors.Is(err, unix.EAGAIN) {
			return unix.SetNonblock(fd, false)
		}
		if err != nil {
			return os.NewSyscallError("write", err)
		}
	}
}

// words is what the daemon has said on stderr.
func (d *daemon) words() string {
	if d.said == nil {
		return "its log is not read"
	}
	return d.said.String()
}

func (d *daemon) signal(s syscall.Signal) error { return syscall.Kill(d.cmd.Process.Pid, s) }

// kill ends the daemon as a power cut of the process does.
func (d *daemon) kill() {
	_ = d.cmd.Process.Kill()
	<-d.ended
	if d.log != nil {
		d.log.Close()
	}
}

// stop has the daemon end in order, and returns how long that took.
func (d *daemon) stop() (time.Duration, error) {
	begin := time.Now()
	if err := d.signal(syscall.SIGTERM); err != nil {
		return 0, fmt.Errorf("swtpmd has ended before it was asked to: %s", d.words())
	}
	timer := time.NewTimer(endTime)
	defer timer.Stop()
	select {
	case <-d.ended:
	case <-timer.C:
		d.kill()
		return endTime, fmt.Errorf("swtpmd did not end within %s of SIGTERM", endTime)
	}
	took := time.Since(begin)
	if d.log != nil {
		d.log.Close()
	}
	if code := d.cmd.ProcessState.ExitCode(); code != 0 {
		return took, fmt.Errorf("swtpmd ended with %s: %s", d.cmd.ProcessState, d.words())
	}
	return took, nil
}

// running reports whether the process has not ended.
func (d *daemon) running() bool {
	select {
	case <-d.ended:
		return false
	default:
		return true
	}
}

// beginning keeps the first bytes that are written to it.
type beginning struct {
	mu   sync.Mutex
	text []byte
}

func (b *beginning) Write(p []byte) (int, error) {
	const most = 64 << 10
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text = append(b.text, p[:min(len(p), most-len(b.text))]...)
	return len(p), nil
}

func (b *beginning) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.text)
}
