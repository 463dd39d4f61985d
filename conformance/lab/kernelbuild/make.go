package kernelbuild

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"
)

// patience is how long programs have to end after SIGTERM.
const patience = 10 * time.Second

// environment is that of every program of a build: without what would change the result,
// and with what keeps the time, the user and the number of builds out of it.
func environment() []string {
	keep := slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		switch name {
		case "MAKEFLAGS", "MFLAGS", "MAKELEVEL", "ARCH", "CROSS_COMPILE", "LOCALVERSION", "CC", "LD", "CFLAGS", "LDFLAGS", "O", "W", "V":
			return true
		}
		return strings.HasPrefix(name, "KBUILD_") || strings.HasPrefix(name, "KCONFIG_") || strings.HasPrefix(name, "LC_")
	})
	return append(keep, "LC_ALL=C", "KBUILD_BUILD_USER=lab", "KBUILD_BUILD_HOST=lab",
		"KBUILD_BUILD_TIMESTAMP=1970-01-01", "KBUILD_BUILD_VERSION=1")
}

// run runs a program and all that it starts, with its output in log and each line given to
// seen. When ctx ends, they end too, before run returns.
func run(ctx context.Context, cmd *exec.Cmd, log io.Writer, seen func(line string)) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	cmd.Stdout, cmd.Stderr = w, w
	group(cmd)
	fmt.Fprintf(log, "$ %s\n", strings.Join(cmd.Args, " "))
	err = cmd.Start()
	w.Close()
	if err != nil {
		return err
	}
	ended := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		select {
		case <-ctx.Done():
			stop(cmd, ended)
		case <-ended:
		}
	}()
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			_, _ = io.WriteString(log, line) // the build goes on without a log
			if seen != nil {
				seen(strings.TrimRight(line, "\n"))
			}
		}
		if err != nil {
			break
		}
	}
	err = cmd.Wait()
	close(ended)
	<-stopped
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// stop ends the group of cmd: with SIGTERM, and what is left after patience with SIGKILL.
func stop(cmd *exec.Cmd, ended <-chan struct{}) {
	signalGroup(cmd, false)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-ended:
	case <-timer.C:
	}
	signalGroup(cmd, true)
}

// step is a line in which the kernel's make names a file that it makes.
var step = regexp.MustCompile(`^  (CC|AS|LD|AR|HOSTCC|HOSTLD|GEN|OBJCOPY|VDSO|GZIP|UPD|WRAP)\b`)

// meter shows how far a build has come.
type meter struct {
	progress io.Writer
	name     string
	expected int // steps of an earlier build, or 0
	begun    time.Time
	last     time.Time
	steps    int
}

// between is the time between two lines of progress.
const between = 15 * time.Second

func (m *meter) line(line string) {
	if !step.MatchString(line) {
		return
	}
	m.steps++
	now := time.Now()
	if now.Sub(m.last) < between {
		return
	}
	m.last = now
	of := ""
	if m.expected > 0 {
		of = fmt.Sprintf(" of about %d", max(m.expected, m.steps))
	}
	fmt.Fprintf(m.progress, "%s: %d%s steps after %s\n", m.name, m.steps, of, now.Sub(m.begun).Round(time.Second))
}
