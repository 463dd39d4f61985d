//go:build linux

package soak

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Size is what a process takes.
type Size struct {
	RSS         int `json:"rss_kib"`
	Descriptors int `json:"descriptors"`
	Threads     int `json:"threads"`
}

// size reads what a process takes, proc_pid_status(5).
func size(pid int) (Size, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return Size{}, err
	}
	field := func(name string) int {
		m := regexp.MustCompile(`(?m)^` + name + `:\s+(\d+)`).FindSubmatch(text)
		if m == nil {
			err = fmt.Errorf("/proc/%d/status has no %s", pid, name)
			return 0
		}
		n, _ := strconv.Atoi(string(m[1]))
		return n
	}
	s := Size{RSS: field("VmRSS"), Threads: field("Threads")}
	if err != nil {
		return s, err
	}
	s.Descriptors, err = descriptors(pid)
	return s, err
}

// settle waits until a process has no more descriptors open than so many, which it
// has when its attackers have left.
func settle(ctx context.Context, pid, atMost int) (Size, error) {
	const patience = time.Minute
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		s, err := size(pid)
		if err != nil || s.Descriptors <= atMost {
			return s, err
		}
		if ctx.Err() != nil {
			return s, fmt.Errorf("%d descriptors are open %s after the attackers have left, and %d were before they came", s.Descriptors, patience, atMost)
		}
		wait(ctx, 10*time.Millisecond)
	}
}

// creators counts goroutines by the function that started them.
type creators map[string]int

func (c creators) sum() int {
	n := 0
	for _, some := range c {
		n += some
	}
	return n
}

var created = regexp.MustCompile(`(?m)^created by (\S+)`)

// parseDump reads a dump of all goroutines, without those of Go's runtime, and
// without the one that writes the log, which comes and goes with the lines.
func parseDump(text []byte) creators {
	c := creators{}
	for _, m := range created.FindAllSubmatch(text, -1) {
		if name := string(m[1]); !strings.HasPrefix(name, "runtime.") && !strings.HasSuffix(name, "/logs.(*Queue).wake") {
			c[name]++
		}
	}
	return c
}

// goroutines ends a daemon whose log nobody has read and counts the goroutines that
// it had. open is how many descriptors it has while nobody asks it. What it said is
// returned, up to where its log lost lines.
func (d *daemon) goroutines(open int) (n creators, said string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandTime)
	defer cancel()
	status, err := d.admin.Status(ctx)
	if err != nil {
		return nil, "", err
	}
	text := &marked{mark: []byte("log lines lost"), seen: make(chan struct{})}
	read := make(chan error, 1)
	go func() {
		_, err := io.Copy(text, d.log)
		read <- errors.Join(err, d.log.Close())
	}()
	timer := time.NewTimer(endTime)
	defer timer.Stop()
	if status.LogLost > 0 {
		// The queue is written before the dump, or they are mixed.
		select {
		case <-text.seen:
		case <-timer.C:
		}
	}
	// What served the request may still be there.
	d.admin.Close()
	if _, err := settle(ctx, d.ready.PID, open); err != nil {
		return nil, "", err
	}
	if err := d.signal(syscall.SIGQUIT); err != nil {
		return nil, "", err
	}
	select {
	case err = <-read:
	case <-time.After(startTime):
		d.kill()
		return nil, "", fmt.Errorf("swtpmd did not end within %s of SIGQUIT", startTime)
	}
	<-d.ended
	return parseDump(text.all), string(text.all), err
}

// marked is a text that tells when a mark has come.
type marked struct {
	mark, all []byte
	seen      chan struct{}
	told      bool
}

func (m *marked) Write(p []byte) (int, error) {
	from := max(0, len(m.all)-len(m.mark))
	m.all = append(m.all, p...)
	if !m.told && bytes.Contains(m.all[from:], m.mark) {
		m.told = true
		close(m.seen)
	}
	return len(p), nil
}
