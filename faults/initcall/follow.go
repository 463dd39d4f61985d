package initcall

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"
)

// Feed is an open Source. One goroutine uses it.
type Feed struct {
	open opened
}

// opened is what the kinds of Source have in common once they are open.
type opened interface {
	// follow hands the bytes to out until ctx ends or there can be no more.
	follow(ctx context.Context, out *output) error
	// close gives back what open took, if follow was never called.
	close() error
}

// Open makes the source ready: a socket is listened at or connected to, so that
// QEMU can be started when Open has returned, and a file's directory is watched.
// The error tells what stands in the way.
func (s Source) Open() (*Feed, error) {
	var open opened
	var err error
	switch s.kind {
	case socketSource:
		open, err = openSocket(s.path)
	case fileSource:
		open, err = openFile(s.path)
	default:
		r := s.reader
		if r == nil {
			r = strings.NewReader("")
		}
		open = &readerFeed{r: r}
	}
	if err != nil {
		return nil, err
	}
	return &Feed{open: open}, nil
}

// Follow writes what the source brings to console, and a copy to tee unless
// that is nil. Each line moves the console's clock before tee gets it; a tee
// that blocks holds up what comes after, and one that fails gets nothing more.
//
// Follow returns ctx's error when ctx ends, and nil when a reader ends; sockets
// and files do not end. The feed is closed then. A Read that a reader does not
// give up stays with a goroutine until it returns, and what it brings is
// dropped.
func (f *Feed) Follow(ctx context.Context, console *Console, tee io.Writer) error {
	return f.open.follow(ctx, &output{console: console, tee: tee})
}

// Close closes a feed that is not followed.
func (f *Feed) Close() error { return f.open.close() }

// FollowError says what a feed could not do, and why.
type FollowError struct {
	Path  string // of the socket or file
	Doing string
	Err   error
}

func (e *FollowError) Error() string {
	return fmt.Sprintf("%s: cannot %s: %v", e.Path, e.Doing, e.Err)
}

func (e *FollowError) Unwrap() error { return e.Err }

// KindError says that something else stands where a socket or a regular file
// was expected. It is left alone.
type KindError struct {
	Path string
	Mode fs.FileMode
	Want string
}

func (e *KindError) Error() string {
	return fmt.Sprintf("%s: there is no %s but %s; follow a socket with unix:PATH, a growing file with file:PATH, a pipe through standard input", e.Path, e.Want, e.Mode)
}

// Follow opens the source and follows it without a tee.
func Follow(ctx context.Context, source Source, console *Console) error {
	feed, err := source.Open()
	if err != nil {
		return err
	}
	return feed.Follow(ctx, console, nil)
}

// output is where a source's bytes go.
type output struct {
	console *Console
	tee     io.Writer
}

func (o *output) Write(p []byte) (int, error) {
	o.console.Write(p)
	if o.tee != nil {
		if _, err := o.tee.Write(p); err != nil {
			o.tee = nil
		}
	}
	return len(p), nil
}

// again says that the next byte does not follow the last one.
func (o *output) again() { o.console.Flush() }

// chunk is how much is read at once, in bytes.
const chunk = 32 << 10

// readerFeed follows an io.Reader.
type readerFeed struct {
	r io.Reader
}

func (f *readerFeed) close() error { return nil }

func (f *readerFeed) follow(ctx context.Context, out *output) error {
	type read struct {
		n   int
		err error
	}
	var buf [chunk]byte
	reads := make(chan read)
	taken := make(chan struct{})
	go func() {
		for {
			n, err := f.r.Read(buf[:])
			select {
			case reads <- read{n, err}:
			case <-ctx.Done():
				return
			}
			select {
			case <-taken:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	// A pipe or terminal gives up its Read for a deadline.
	if d, ok := f.r.(interface{ SetReadDeadline(time.Time) error }); ok {
		stop := context.AfterFunc(ctx, func() { _ = d.SetReadDeadline(time.Unix(1, 0)) })
		defer stop()
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case r := <-reads:
			out.Write(buf[:r.n])
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if r.err == io.EOF {
				out.again()
				return nil
			}
			if r.err != nil {
				return r.err
			}
			select {
			case taken <- struct{}{}:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}
