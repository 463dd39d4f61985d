package initcall

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"slices"
	"time"
)

// What follows a boot can go on where another process has stopped: the Clock from its last
// event, the Console from its text, the Feed from its sockets.

// Restore puts a clock where another one has been, as that one's Now told. Subscribers are
// not told.
func (c *Clock) Restore(e Event) error {
	if e.Boot < 1 || int(e.Level) >= levels {
		return &UnknownLevelError{Name: fmt.Sprintf("%s of boot %d", e.Level, e.Boot)}
	}
	c.notify.Lock()
	defer c.notify.Unlock()
	c.mu.Lock()
	subscribers := c.subscribers
	c.subscribers = nil
	c.set(e)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.subscribers = subscribers
	return nil
}

// consoleText is a Console as text. Its fields are those of Console, chain, wanted, line,
// piece and splitter.
type consoleText struct {
	Powered, Stale, Started, Banner bool
	Now                             Level
	Restart                         string
	Called                          []string
	Doubts                          int
	Lines, Other                    chainText
	Text                            []byte
	At                              pieceText
	Long, Skip                      bool
}

type chainText struct {
	Begun, Stamped bool
	At, Since      time.Duration
	Open, Closed   string
	Calls          bool
	Run, Told      int
	Last           lineText
	Reached        [levels]int
	Level          Level
	Line           lineText
	By             string
	WantRun        int
	Again          bool
}

type lineText struct {
	Text []byte
	At   pieceText
}

type pieceText struct {
	Stamped bool
	Body    int
	At      time.Duration
}

func (p piece) kept() pieceText { return pieceText{p.stamped, p.body, p.at} }
func (p pieceText) piece() piece {
	return piece{stamped: p.Stamped, body: p.Body, at: p.At}
}

func (l *line) kept() lineText { return lineText{append([]byte(nil), l.text[:l.n]...), l.p.kept()} }

func (l lineText) line() (kept line, err error) {
	if len(l.Text) > len(kept.text) || l.At.Body < 0 || l.At.Body > len(l.Text) {
		return kept, errConsole
	}
	p := l.At.piece()
	p.text = l.Text
	kept.keep(p)
	return kept, nil
}

func symbolOf(name string) (s symbol, err error) {
	if len(name) > len(s.name) {
		return s, errConsole
	}
	s.keep([]byte(name))
	return s, nil
}

func (c *chain) kept() chainText {
	return chainText{
		Begun: c.begun, Stamped: c.stamped, At: c.at, Since: c.since, Open: c.open.String(), Closed: c.closed.String(),
		Calls: c.calls, Run: c.run, Told: c.told, Last: c.last.kept(), Reached: c.reached,
		Level: c.want.level, Line: c.want.line.kept(), By: c.want.by.String(), WantRun: c.want.run, Again: c.want.again,
	}
}

func (t *chainText) chain() (c chain, err error) {
	c = chain{
		begun: t.Begun, stamped: t.Stamped, at: t.At, since: t.Since, calls: t.Calls, run: t.Run, told: t.Told,
		reached: t.Reached, want: wanted{level: t.Level, run: t.WantRun, again: t.Again},
	}
	var errs [5]error
	c.open, errs[0] = symbolOf(t.Open)
	c.closed, errs[1] = symbolOf(t.Closed)
	c.want.by, errs[2] = symbolOf(t.By)
	c.last, errs[3] = t.Last.line()
	c.want.line, errs[4] = t.Line.line()
	return c, errors.Join(errs[:]...)
}

// errConsole is why UnmarshalText refuses a text.
var errConsole = errors.New("this is no state of a console")

// MarshalText returns how far the console has been read, and what is believed, for a Console
// that goes on in another process. It has no bytes but those of the guest.
func (c *Console) MarshalText() ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return json.Marshal(consoleText{
		Powered: c.powered, Stale: c.stale, Started: c.started, Banner: c.banner, Now: c.now, Restart: c.restart,
		Called: slices.Sorted(maps.Keys(c.called)), Doubts: c.doubts, Lines: c.lines.kept(), Other: c.other.kept(),
		Text: append([]byte(nil), c.text.buf[:c.text.n]...), At: c.text.now.kept(), Long: c.text.long, Skip: c.text.skip,
	})
}

// UnmarshalText has a Console of NewConsole, with the same markers, go on from the text of
// another one. The clock is not moved. A text that is none changes nothing.
func (c *Console) UnmarshalText(text []byte) error {
	var t consoleText
	if err := json.Unmarshal(text, &t); err != nil {
		return err
	}
	lines, err := t.Lines.chain()
	other, errOther := t.Other.chain()
	if err := errors.Join(err, errOther); err != nil {
		return err
	}
	if len(t.Text) > maxText || t.Long && len(t.Text) < maxHead || t.At.Body < 0 || t.At.Body > len(t.Text) {
		return errConsole
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.powered, c.stale, c.started, c.banner, c.now, c.restart = t.Powered, t.Stale, t.Started, t.Banner, t.Now, t.Restart
	c.doubts, c.lines, c.other = t.Doubts, lines, other
	clear(c.called)
	for _, name := range t.Called {
		c.called[name] = true
	}
	c.text = splitter{n: len(t.Text), now: t.At.piece(), long: t.Long, skip: t.Skip}
	copy(c.text.buf[:], t.Text)
	return nil
}

// ErrLeft is the cause (context.WithCancelCause) for which Follow leaves its source open:
// Follow may be called again, or Left tells what another process needs to go on.
var ErrLeft = errors.New("the console is left")

// left reports whether a source stays open after the end of ctx.
func left(ctx context.Context) bool { return errors.Is(context.Cause(ctx), ErrLeft) }

// Left is where a feed was left.
type Left struct {
	// Listener and Conn are those of a socket; one of them may be nil. They are the feed's.
	Listener *net.UnixListener
	Conn     net.Conn
	// Read is how much of a file has been read, in bytes.
	Read int64
}

// Left tells where a feed is that was left. It fails for a reader, with which nobody else
// can go on.
func (f *Feed) Left() (Left, error) {
	switch open := f.open.(type) {
	case *socketFeed:
		return Left{Listener: open.listener, Conn: open.conn}, nil
	case *fileFeed:
		return Left{Read: open.read}, nil
	}
	return Left{}, errors.ErrUnsupported
}

// Leave closes a feed with which another process goes on: the socket keeps its name.
func (f *Feed) Leave() error {
	if s, ok := f.open.(*socketFeed); ok && s.listener != nil {
		err := s.listener.Close() // which removes nothing
		s.listener = nil
		return errors.Join(err, s.close())
	}
	return f.Close()
}

// Resume is Open of a source that another process has left. It takes over what Left has.
func (s Source) Resume(at Left) (*Feed, error) {
	switch s.kind {
	case socketSource:
		open, err := resumeSocket(s.path, at)
		if err != nil {
			return nil, err
		}
		return &Feed{open: open}, nil
	case fileSource:
		open, err := openFile(s.path)
		if err != nil {
			return nil, err
		}
		if err := open.resume(at.Read); err != nil {
			return nil, errors.Join(err, open.close())
		}
		return &Feed{open: open}, nil
	}
	return nil, errors.ErrUnsupported
}

func resumeSocket(path string, at Left) (*socketFeed, error) {
	f := &socketFeed{path: path, conn: at.Conn, listener: at.Listener, dialled: time.Now()}
	var err error
	if f.listener != nil {
		f.listener.SetUnlinkOnClose(false)
		f.own, err = os.Lstat(path)
	}
	if err == nil {
		f.watch, err = watchDirectory(path)
	}
	if err == nil && f.conn == nil {
		err = f.ready(context.Background(), 0)
	}
	if err == nil {
		return f, nil
	}
	if f.watch != nil {
		err = errors.Join(err, f.watch.Close())
	}
	for _, c := range []io.Closer{at.Conn, at.Listener} {
		if c != nil {
			err = errors.Join(err, c.Close())
		}
	}
	return nil, err
}

// resume reads from where somebody else has stopped. A file that is shorter is another one.
func (f *fileFeed) resume(read int64) error {
	if _, err := f.reopen(); err != nil || f.file == nil {
		return err
	}
	at, err := f.file.Seek(read, io.SeekStart)
	f.read = at
	return err
}
