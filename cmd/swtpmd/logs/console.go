package logs

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"
)

// maxUnwritten is how much of the console may wait for the log's file, in
// bytes: ten boots with initcall_debug and more.
const maxUnwritten = 8 << 20

var errSlow = fmt.Errorf("%d bytes wait for the file to take them; nothing more is logged", maxUnwritten)

// Console keeps what was read from the guest's console in a file, byte for byte.
// Write never waits for the file, which a goroutine writes: a disk that is slow or
// stuck must not hold up the clock, or a command that waits for it. When the file
// takes no more, Console logs that once and ends; what the file has is the beginning
// of the console, without a gap.
type Console struct {
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

// NewConsole starts to write to file, which has the name in log.
func NewConsole(file io.WriteCloser, name string, log *slog.Logger) *Console {
	c := &Console{file: file, name: name, log: log, more: make(chan struct{}, 1), done: make(chan struct{})}
	go c.keep()
	return c
}

// Write takes console bytes. It fails when the log has ended.
func (c *Console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil && len(c.unwritten)+len(p) > maxUnwritten {
		c.fail(errSlow)
	}
	if c.err != nil {
		return 0, c.err
	}
	c.unwritten = append(c.unwritten, p...)
	c.wake()
	return len(p), nil
}

// wake has keep look; c.mu is held.
func (c *Console) wake() {
	select {
	case c.more <- struct{}{}:
	default:
	}
}

// fail ends the log because of err; c.mu is held.
func (c *Console) fail(err error) {
	if c.err == nil {
		c.err = err
		c.log.Warn("the console log ends here", "file", c.name, "cause", err)
	}
}

// keep writes the file to its end.
func (c *Console) keep() {
	defer close(c.done)
	if err := errors.Join(c.write(), c.file.Close()); err != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.fail(err)
	}
}

// write writes what comes until Close, or until the file takes no more.
func (c *Console) write() error {
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
func (c *Console) Close(patience time.Duration) {
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
