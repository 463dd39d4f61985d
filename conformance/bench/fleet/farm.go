//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// rival is a way to run many TPMs.
type rival struct {
	name string
	// words are the arguments of the shell's script for n TPMs below dir.
	words  func(dir string, n int) []string
	script string
	// lines is how many process ids the script writes for n TPMs.
	lines func(n int) int
	// sockets returns the paths of a TPM's sockets.
	sockets func(dir string, i int) (control, data string)
}

// The scripts write the id of each process that they start, a line each. When their
// stdin ends, because they are to stop or because nobody is left who could say so, they
// end the processes and wait for them.
const (
	ending = `
exec >&-
read -r _ || :
trap '' TERM
kill 0
wait
`
	each = `
program=$1 dir=$2 n=$3
shift 3
i=0
while [ $i -lt $n ]; do
	"$program" socket --tpm2 --tpmstate "dir=$dir/$i" --ctrl "type=unixio,path=$dir/$i/ctrl" \
		--server "type=unixio,path=$dir/$i/data" "$@" >/dev/null 2>>"$dir/log" &
	echo $!
	i=$((i + 1))
done
` + ending
	one = `
dir=$1
shift
"$@" >/dev/null 2>>"$dir/log" &
echo $!
` + ending
)

// processes is a program with swtpm's words, a process for each TPM.
func processes(name, program string, flags []string) rival {
	return rival{
		name: name, script: each,
		words: func(dir string, n int) []string { return append([]string{program, dir, strconv.Itoa(n)}, flags...) },
		lines: func(n int) int { return n },
		sockets: func(dir string, i int) (string, string) {
			of := filepath.Join(dir, strconv.Itoa(i))
			return filepath.Join(of, "ctrl"), filepath.Join(of, "data")
		},
	}
}

// farm is a running rival.
type farm struct {
	rival
	dir     string
	n       int
	began   time.Time // when the shell was started
	shell   *exec.Cmd
	stdin   io.Closer
	pids    []int
	ended   chan struct{} // closed when the shell has ended
	clients []*client
}

// start starts n TPMs below dir, which is new.
func (r rival) start(dir string, n int) (*farm, error) {
	for i := range n {
		if err := os.MkdirAll(filepath.Join(dir, strconv.Itoa(i)), 0o700); err != nil {
			return nil, err
		}
	}
	f := &farm{rival: r, dir: dir, n: n, ended: make(chan struct{})}
	f.shell = exec.Command("/bin/sh", append([]string{"-c", r.script, "sh"}, r.words(dir, n)...)...)
	f.shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var errs bytes.Buffer
	f.shell.Stderr = &errs
	stdin, err := f.shell.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := f.shell.StdoutPipe()
	if err != nil {
		return nil, err
	}
	f.stdin, f.began = stdin, time.Now()
	if err := f.shell.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(stdout)
	for len(f.pids) < r.lines(n) && lines.Scan() {
		pid, err := strconv.Atoi(lines.Text())
		if err != nil {
			break
		}
		f.pids = append(f.pids, pid)
	}
	go func() { _ = f.shell.Wait(); close(f.ended) }()
	if len(f.pids) < r.lines(n) {
		return nil, errors.Join(fmt.Errorf("only %d of %d processes were started: %s", len(f.pids), r.lines(n), errs.String()), f.stop())
	}
	return f, nil
}

// stopTime is how long processes may take to end by themselves.
const stopTime = time.Minute

// stop ends all processes, and waits for them.
func (f *farm) stop() error {
	for _, c := range f.clients {
		c.close()
	}
	_ = f.stdin.Close()
	select {
	case <-f.ended:
		return nil
	case <-time.After(stopTime):
		err := syscall.Kill(-f.shell.Process.Pid, syscall.SIGKILL)
		<-f.ended
		return errors.Join(fmt.Errorf("not all processes ended within %v: they were killed", stopTime), err)
	}
}

// explain adds to err what the processes have written, and how many have ended.
func (f *farm) explain(err error) error {
	if err == nil {
		return nil
	}
	gone := 0
	for _, pid := range f.pids {
		if _, err := pss(pid); err != nil {
			gone++
		}
	}
	text, _ := os.ReadFile(filepath.Join(f.dir, "log"))
	return fmt.Errorf("%w; %d of %d processes have ended; the end of what they wrote:\n%s", err, gone, len(f.pids), text[max(0, len(text)-2000):])
}

// memory returns the sum of the proportional set sizes, in KiB.
func (f *farm) memory() (sum int, err error) {
	for _, pid := range f.pids {
		n, err := pss(pid)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// pss returns the proportional set size of a process, in KiB (proc_pid_smaps_rollup(5)).
func pss(pid int) (int, error) {
	name := fmt.Sprintf("/proc/%d/smaps_rollup", pid)
	text, err := os.ReadFile(name)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); len(words) == 3 && words[0] == "Pss:" && words[2] == "kB" {
			return strconv.Atoi(words[1])
		}
	}
	return 0, fmt.Errorf("%s has no line Pss", name)
}

// visit starts the TPMs, measures all, and ends them. It leaves their files: a file system
// that is still busy with the end of many is slow to make new ones, and the next would be
// measured with that. ext4 without a journal, for one, does not give out the number of a
// file again that was removed in the last minutes, and searches for another one
// (fs/ext4/ialloc.c: recently_deleted).
func (r rival) visit(ctx context.Context, dir string, s *settings) (v visit, err error) {
	f, err := r.start(dir, s.tpms)
	if err != nil {
		return v, err
	}
	defer func() { err = errors.Join(f.explain(err), f.stop()) }()
	if err := f.ready(ctx); err != nil {
		return v, err
	}
	v.ready = float64(time.Since(f.began).Microseconds()) / 1000
	if v.readyCPU, err = f.processor(); err != nil {
		return v, err
	}
	if v.idle, err = f.each(); err != nil {
		return v, err
	}
	if err := f.connect(ctx); err != nil {
		return v, err
	}
	if v.connected, err = f.each(); err != nil {
		return v, err
	}
	some, err := send(ctx, f.clients[:min(s.clients, s.tpms)], s.time)
	if err != nil {
		return v, err
	}
	before, err := f.processor()
	if err != nil {
		return v, err
	}
	all, err := send(ctx, f.clients, s.time)
	if err != nil {
		return v, err
	}
	after, err := f.processor()
	v.some, v.all, v.slowest = some.rate(s.time), all.rate(s.time), all.slowest()
	v.allCPU = (after - before) * 1000 / (v.all * s.time.Seconds())
	return v, err
}

// processor returns the processor time that all processes have taken, in milliseconds.
func (f *farm) processor() (sum float64, err error) {
	for _, pid := range f.pids {
		ms, err := processorTime(pid)
		if err != nil {
			return 0, err
		}
		sum += ms
	}
	return sum, nil
}

// processorTime returns what all threads of a process have run, in milliseconds: the first
// number of schedstat (Documentation/scheduler/sched-stats.rst).
func processorTime(pid int) (sum float64, err error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(tasks) == 0 {
		return 0, fmt.Errorf("process %d has no schedstat (CONFIG_SCHED_INFO)", pid)
	}
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // a thread that has ended
		}
		if err != nil {
			return 0, err
		}
		var ns float64
		if _, err := fmt.Sscan(string(text), &ns); err != nil {
			return 0, fmt.Errorf("%s: %w", task, err)
		}
		sum += ns / 1e6
	}
	return sum, nil
}

// each returns the memory for a TPM, in KiB.
func (f *farm) each() (float64, error) {
	sum, err := f.memory()
	return float64(sum) / float64(f.n), err
}

// fleet is one process with all TPMs.
func fleet(program string, flags []string) rival {
	return rival{
		name: "swtpmd", script: one,
		words: func(dir string, n int) []string {
			return append([]string{dir, program, "fleet", "--dir=" + dir, "--state=" + filepath.Join(dir, "state"), "--count=" + strconv.Itoa(n)}, flags...)
		},
		lines: func(int) int { return 1 },
		sockets: func(dir string, i int) (string, string) {
			data := filepath.Join(dir, strconv.Itoa(i), "tpm.sock")
			return data + ".ctrl", data
		},
	}
}
