package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
)

// maxUnwritten is how much of the console may wait for the log's file, in
// bytes: ten boots with initcall_debug and more.
const maxUnwritten = 8 << 20

var errConsoleLogSlow = fmt.Errorf("%d bytes wait for the file to take them; nothing more is logged", maxUnwritten)

// consoleLog keeps what was read from the guest's console in a file, byte for
// byte. Write never waits for the file, which a goroutine of its own writes: a
// disk that is slow or stuck must not hold up the clock, or a command that
// waits for it. A log that cannot be kept says so once and ends; what it has is
// the console's beginning, without a gap.
type consoleLog struct {
	file io.WriteCloser
	name string
	log  *slog.Logger

	mu        sync.Mutex
	unwritten []byte
	over      bool          // Close was called
	err       error         // why the log has ended
	more      chan struct{} // holds a token when there is something to do
	done      chan struct{} // closed when all is written
}

// openConsoleLog makes the log at path, or empties the one that is there.
// console is the source, which may be a file of its own.
func openConsoleLog(path, console string, log *slog.Logger) (*consoleLog, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular(): // opening a pipe waits for its reader
		return nil, cli.Usage(fmt.Errorf("--console-log: %s is no regular file but %s", path, info.Mode()), "name a file; it is made if it is not there")
	}
	if source, ok := strings.CutPrefix(console, "file:"); ok && sameFile(path, source) {
		return nil, cli.Usage(fmt.Errorf("--console-log: %s is the file that --console reads", path), "name another file")
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	return newConsoleLog(file, path, log), nil
}

// sameFile reports whether two paths lead to one file, or would if there were
// files.
func sameFile(a, b string) bool {
	first, errA := os.Stat(a)
	second, errB := os.Stat(b)
	switch {
	case errA == nil && errB == nil:
		return os.SameFile(first, second)
	case errA == nil || errB == nil:
		return false
	}
	return place(a) == place(b)
}

// place gives a path without symbolic links in its directory.
func place(path string) string {
	full, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(full))
	if err != nil {
		return full
	}
	return filepath.Join(dir, filepath.Base(full))
}

// newConsoleLog starts to write to file.
func newConsoleLog(file io.WriteCloser, name string, log *slog.Logger) *consoleLog {
	c := &consoleLog{file: file, name: name, log: log, more: make(chan struct{}, 1), done: make(chan struct{})}
	go c.keep()
	return c
}

// Write takes console bytes. It fails when the log has ended.
func (c *consoleLog) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil && len(c.unwritten)+len(p) > maxUnwritten {
		c.fail(errConsoleLogSlow)
	}
	if c.err != nil {
		return 0, c.err
	}
	c.unwritten = append(c.unwritten, p...)
	c.wake()
	return len(p), nil
}

// wake has keep look; c.mu is held.
func (c *consoleLog) wake() {
	select {
	case c.more <- struct{}{}:
	default:
	}
}

// fail ends the log because of err; c.mu is held.
func (c *consoleLog) fail(err error) {
	if c.err == nil {
		c.err = err
		c.log.Warn("the console log ends here", "file", c.name, "cause", err)
	}
}

// keep writes the file to its end.
func (c *consoleLog) keep() {
	defer close(c.done)
	if err := errors.Join(c.write(), c.file.Close()); err != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.fail(err)
	}
}

// write writes what comes until Close, or until the file takes no more.
func (c *consoleLog) write() error {
	var writing []byte
	for range c.more {
		c.mu.Lock()
		writing, c.unwritten = c.unwritten, writing[:0]
		over := c.over
		c.mu.Unlock()
		if _, err := c.file.Write(writing); err != nil || over {
			return err
		}
	}
	return nil
}

// Close writes what is left, for which it waits as long as patience, and ends
// the log.
func (c *consoleLog) Close(patience time.Duration) {
	c.mu.Lock()
	c.over = true
	c.wake()
	c.mu.Unlock()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-c.done:
	case <-timer.C:
		c.mu.Lock()
		defer c.mu.Unlock()
		c.fail(fmt.Errorf("the file has not taken the last bytes within %s", patience))
	}
}
