//go:build linux

// Command testwatch runs a test binary and ends it when one of its tests hangs.
// scripts/test passes it to go test as -exec.
package main

import (
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

//go:embed usage.txt
var usage string

const (
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	// The child is to end with the thread that starts it, see start.
	runtime.LockOSThread()
	each := flag.Duration("each", 100*time.Second, "")
	flag.Usage = func() { fmt.Fprint(flag.CommandLine.Output(), usage) }
	flag.Parse()
	if flag.NArg() == 0 || *each <= 0 {
		fmt.Fprintln(os.Stderr, "testwatch: a test binary and a time above 0 are needed; see testwatch --help")
		os.Exit(exitUsage)
	}
	code, err := watch(os.Stdout, *each, flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "testwatch:", err)
	}
	os.Exit(code)
}

// output passes on what a binary prints and looks at it.
type output struct {
	mu      sync.Mutex
	to      io.Writer
	running *running
	cpu     time.Duration // used at the last look
}

func (o *output) now() moment { return moment{time.Now(), o.cpu} }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.running.write(o.now(), p)
	return o.to.Write(p)
}

// hung returns the tests that hang, and writes that to the output of the first of
// them.
func (o *output) hung(cpu, limit time.Duration) []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.cpu = cpu
	names := o.running.hung(o.now(), limit)
	if len(names) > 0 {
		fmt.Fprintf(o.to, "\n%s=== NAME  %s\n%s\nall goroutines:\n", mark, names[0], verdict(names, limit))
	}
	return names
}

func (o *output) say(line string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	fmt.Fprintf(o.to, "\n%s\n", line)
}

func verdict(names []string, limit time.Duration) string {
	return fmt.Sprintf("testwatch: HUNG, no end within %v: %s", limit, strings.Join(names, ", "))
}

// dumpTime is how long a binary may take to print its goroutines, drainTime how
// long its output may stay open after its end.
const (
	dumpTime  = 10 * time.Second
	drainTime = 10 * time.Second
)

// watch runs the command and returns its exit code.
func watch(to io.Writer, each time.Duration, args []string) (int, error) {
	out := &output{to: to, running: newRunning(moment{at: time.Now()})}
	cmd, err := start(out, args)
	if err != nil {
		return exitFailed, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGHUP)
	tick := time.NewTicker(min(time.Second, each/4))
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			return exitCode(cmd, err)
		case s := <-signals: // go test's own deadline is a SIGQUIT
			_ = cmd.Process.Signal(s)
		case <-tick.C:
			names := out.hung(groupCPU(cmd.Process.Pid), each)
			if len(names) == 0 {
				continue
			}
			end(cmd, ended)
			out.say(verdict(names, each)) // again, after so many goroutines
			return exitFailed, nil
		}
	}
}

// start starts the command in a new process group, so that nothing that its tests have
// started is left when it is killed.
func start(out io.Writer, args []string) (*exec.Cmd, error) {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, out, out
	cmd.WaitDelay = drainTime
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	return cmd, cmd.Start()
}

// end has the runtime print its goroutines, by SIGQUIT, and kills.
func end(cmd *exec.Cmd, ended <-chan error) {
	_ = cmd.Process.Signal(syscall.SIGQUIT)
	select {
	case <-ended:
	case <-time.After(dumpTime):
	}
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
}

func exitCode(cmd *exec.Cmd, err error) (int, error) {
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return exitFailed, err
	}
	if code := cmd.ProcessState.ExitCode(); code >= 0 {
		return code, nil
	}
	return exitFailed, err // ended by a signal, which err names
}
