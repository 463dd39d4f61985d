package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// minimize is how often an input may be run to make it smaller. Go's default, a
// minute for each, would leave no time for new ones.
const minimize = "10x"

// result is the result of a target.
type result struct {
	Target     string  `json:"target"`
	Executions int     `json:"executions"`
	Processor  float64 `json:"processorSeconds"`
	New        int     `json:"new"`
	Kept       int     `json:"kept,omitempty"`
	Coverage   float64 `json:"coveragePercent"`
	Failed     bool    `json:"failed"`
}

// aMinute is the rate in executions a minute of one processor's time.
func (r result) aMinute() int {
	if r.Processor <= 0 {
		return 0
	}
	return int(float64(r.Executions) / r.Processor * 60)
}

// printer returns what prints results as they come.
func printer(w io.Writer, asJSON, coverage bool) func(result) {
	if asJSON {
		return func(r result) { _ = json.NewEncoder(w).Encode(r) }
	}
	fmt.Fprintf(w, "%-44s %10s %10s %5s %8s\n", "target", "executions", "a minute", "new", "coverage")
	return func(r result) {
		last := "-"
		switch {
		case r.Failed:
			last = "FAILED"
		case coverage:
			last = fmt.Sprintf("%.1f %%", r.Coverage)
		}
		fmt.Fprintf(w, "%-44s %10d %10d %5d %8s\n", r.Target, r.Executions, r.aMinute(), r.New, last)
	}
}

// builder builds the test binaries, once for each package.
type builder struct {
	work     string
	progress io.Writer
}

// instrumented builds a binary that counts what an input reaches of this module.
func (b *builder) instrumented(ctx context.Context, t target) (string, error) {
	return b.build(ctx, t, "fuzz", "-gcflags="+t.module+"/...=-d=libfuzzer")
}

// covered builds a binary that writes profiles of the package's coverage.
func (b *builder) covered(ctx context.Context, t target) (string, error) {
	return b.build(ctx, t, "cover", "-covermode=atomic")
}

func (b *builder) build(ctx context.Context, t target, kind string, flags ...string) (string, error) {
	binary := filepath.Join(b.work, strings.ReplaceAll(t.pkg, "/", "-")+"."+kind)
	if _, err := os.Stat(binary); err == nil {
		return binary, nil
	}
	args := append([]string{"test", "-c", "-o", binary}, flags...)
	build := exec.CommandContext(ctx, "go", append(args, "./"+t.pkg)...)
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("the tests do not build: %w\n%s", err, out)
	}
	return binary, nil
}

// fuzz runs a target. It writes a failure to stderr.
func fuzz(ctx context.Context, o options, t target, binary, cache string, stderr io.Writer) (result, error) {
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return result{}, err
	}
	patience, err := limit(o.time)
	if err != nil {
		return result{}, err
	}
	command := exec.Command(binary, "-test.run=^$", "-test.fuzz=^"+t.name+"$", "-test.fuzztime="+o.time,
		"-test.fuzzminimizetime="+minimize, "-test.parallel="+strconv.Itoa(o.parallel), "-test.fuzzcachedir="+cache)
	command.Dir = t.dir
	command.Env = append(os.Environ(), "GOMAXPROCS="+strconv.Itoa(o.parallel))
	var printed bytes.Buffer
	command.Stdout, command.Stderr = &printed, &printed
	err = inTime(ctx, command, patience)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return result{}, err
	}
	r := result{Target: t.String(), Failed: err != nil}
	r.Processor = (command.ProcessState.UserTime() + command.ProcessState.SystemTime()).Seconds()
	r.Executions, r.New = progress(printed.String())
	if r.Failed && ctx.Err() == nil {
		fmt.Fprintf(stderr, "fuzz: %s: %v\n%s", t, err, printed.Bytes())
	}
	return r, nil
}

// inTime runs a command with all that it starts. An interrupt ends it. After patience
// it prints its goroutines and is killed, because go test has no limit for an input.
func inTime(ctx context.Context, command *exec.Cmd, patience time.Duration) error {
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.WaitDelay = 10 * time.Second
	if err := command.Start(); err != nil {
		return err
	}
	done := make(chan struct{})
	watched := make(chan struct{})
	group := -command.Process.Pid
	go func() {
		defer close(watched)
		select {
		case <-done:
			return
		case <-ctx.Done():
			_ = syscall.Kill(group, syscall.SIGINT)
		case <-time.After(patience):
			_ = syscall.Kill(group, syscall.SIGQUIT)
		}
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			_ = syscall.Kill(group, syscall.SIGKILL)
		}
	}()
	err := command.Wait()
	close(done)
	<-watched
	return err
}

var (
	executed = regexp.MustCompile(`execs: (\d+) .*new interesting: (\d+)`)
	baseline = regexp.MustCompile(`baseline coverage: (\d+)/`)
)

// progress returns the executions and new inputs of the last line about them.
func progress(printed string) (executions, found int) {
	for line := range strings.Lines(printed) {
		if m := executed.FindStringSubmatch(line); m != nil {
			executions, _ = strconv.Atoi(m[1])
			found, _ = strconv.Atoi(m[2])
		} else if m := baseline.FindStringSubmatch(line); m != nil {
			executions, _ = strconv.Atoi(m[1])
		}
	}
	return executions, found
}
