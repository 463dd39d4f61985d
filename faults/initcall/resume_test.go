package initcall_test

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// A console that goes on from the text of another one, wherever that has stopped, reaches
// what one console reaches.
func TestConsoleGoesOn(t *testing.T) {
	t.Parallel()
	logs, err := filepath.Glob("testdata/*.log")
	require.NoError(t, err)
	require.NotEmpty(t, logs)
	for _, log := range logs {
		text, err := os.ReadFile(log)
		require.NoError(t, err)
		run := func(piece int) (events []initcall.Event, doubts []initcall.Doubt) {
			next := func(at initcall.Event, state []byte) (*initcall.Clock, *initcall.Console) {
				clock := new(initcall.Clock)
				c, err := initcall.NewConsole(clock)
				require.NoError(t, err)
				c.Doubted = func(d initcall.Doubt) { doubts = append(doubts, d) }
				clock.Subscribe(func(e initcall.Event) { events = append(events, e) })
				if state != nil {
					require.NoError(t, clock.Restore(at))
					require.Equal(t, at, clock.Now())
					require.NoError(t, c.UnmarshalText(state))
				}
				return clock, c
			}
			clock, c := next(initcall.Event{}, nil)
			c.Reset("power")
			for rest := text; len(rest) > 0; rest = rest[min(piece, len(rest)):] {
				_, _ = c.Write(rest[:min(piece, len(rest))])
				state, err := c.MarshalText()
				require.NoError(t, err)
				clock, c = next(clock.Now(), state)
			}
			c.Flush()
			return events, doubts
		}
		events, doubts := run(len(text))
		require.Greater(t, len(events), 5, log)
		for _, piece := range []int{389, 4211} {
			again, doubtsAgain := run(piece)
			assert.Equal(t, events, again, "%s by %d", log, piece)
			assert.Equal(t, doubts, doubtsAgain, "%s by %d", log, piece)
		}
	}
}

// FuzzConsoleState has anything for the state of a console: an error that changes nothing,
// or a console that can be written.
func FuzzConsoleState(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"Now":"late","Text":"WyAgICAw","Lines":{"Begun":true,"Stamped":true,"At":5,"Run":7,"Open":"f"}}`, `{"Now":99}`,
		`{"At":{"Body":7}}`, `{"Long":true}`, `{"Lines":{"Level":"late","Line":{"Text":"YQ==","At":{"Body":1}}}}`, `{"Lines":{"Last":{"At":{"Body":-1}}}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := initcall.NewConsole(new(initcall.Clock))
		require.NoError(t, err)
		before, err := c.MarshalText()
		require.NoError(t, err)
		if c.UnmarshalText(text) != nil {
			after, err := c.MarshalText()
			require.NoError(t, err)
			require.Equal(t, before, after)
		}
		_, _ = c.Write([]byte("[    0.100000] calling  f+0x0/0x10 @ 1\n[    0.200000] initcall f+0x0/0x10 returned 0 after 0 usecs\n"))
		_, err = c.MarshalText()
		require.NoError(t, err)
	})
}

// A clock takes no level that does not exist.
func TestClockRestoreRefuses(t *testing.T) {
	t.Parallel()
	clock := new(initcall.Clock)
	require.Error(t, clock.Restore(initcall.Event{Level: initcall.Late}))
	require.Error(t, clock.Restore(initcall.Event{Boot: 1, Level: 99}))
	assert.Equal(t, initcall.Firmware, clock.Level())
}

// lines is a tee that tells each line.
type lines struct {
	rest string
	told chan string
}

func (l *lines) Write(p []byte) (int, error) {
	l.rest += string(p)
	for {
		line, rest, whole := strings.Cut(l.rest, "\n")
		if !whole {
			return len(p), nil
		}
		l.rest = rest
		l.told <- line
	}
}

// A feed that is left loses no byte, whoever goes on with it: itself, or another one with
// its sockets or its place in the file.
func TestFeedIsLeft(t *testing.T) {
	t.Parallel()
	dir := transporttest.Dir(t)
	file := filepath.Join(dir, "console.log")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	appendTo := func(text string) {
		f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
		require.NoError(t, err)
		_, err = f.WriteString(text)
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	socket := filepath.Join(dir, "s")
	for text, open := range map[string]func() func(string){
		"file:" + file: func() func(string) { return appendTo },
		"unix:" + socket: func() func(string) {
			conn, err := net.Dial("unix", socket)
			require.NoError(t, err)
			t.Cleanup(func() { _ = conn.Close() })
			return func(text string) { _, err := conn.Write([]byte(text)); require.NoError(t, err) }
		},
	} {
		source, err := initcall.ParseSource(text)
		require.NoError(t, err)
		feed, err := source.Open()
		require.NoError(t, err)
		say := open()
		tee := &lines{told: make(chan string, 100)}
		follow := func() (leave func()) {
			ctx, cancel := context.WithCancelCause(context.Background())
			ended := make(chan error, 1)
			console, err := initcall.NewConsole(new(initcall.Clock))
			require.NoError(t, err)
			go func() { ended <- feed.Follow(ctx, console, tee) }()
			return func() {
				cancel(initcall.ErrLeft)
				require.ErrorIs(t, transporttest.Receive(t, ended), context.Canceled)
			}
		}
		hear := func(want string) { require.Equal(t, want, transporttest.Receive(t, tee.told), text) }
		for range 3 {
			leave := follow()
			say("one\ntw")
			hear("one")
			leave()
			say("o\n")
			leave = follow() // itself
			hear("two")
			leave()
			say("three\n")
			at, err := feed.Left()
			require.NoError(t, err)
			left := feed
			feed, err = source.Resume(passed(t, at))
			require.NoError(t, err)
			require.NoError(t, left.Leave())
			leave = follow()
			hear("three")
			leave()
		}
		require.NoError(t, feed.Close())
		if strings.HasPrefix(text, "unix:") {
			_, err := os.Lstat(socket)
			require.ErrorIs(t, err, os.ErrNotExist, "the last one removes it")
		}
	}
	_, err := initcall.ReaderSource(strings.NewReader("")).Resume(initcall.Left{})
	require.Error(t, err)
}

// passed are the sockets as another process gets them.
func passed(t *testing.T, at initcall.Left) initcall.Left {
	t.Helper()
	if at.Listener != nil {
		file, err := at.Listener.File()
		require.NoError(t, err)
		l, err := net.FileListener(file)
		require.NoError(t, err)
		require.NoError(t, file.Close())
		at.Listener = l.(*net.UnixListener)
	}
	if at.Conn != nil {
		file, err := at.Conn.(*net.UnixConn).File()
		require.NoError(t, err)
		at.Conn, err = net.FileConn(file)
		require.NoError(t, err)
		require.NoError(t, file.Close())
	}
	return at
}

// A timeline goes on in the middle of a boot.
func TestTimelineSince(t *testing.T) {
	t.Parallel()
	clock := new(initcall.Clock)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	line := initcall.Timeline{{Level: initcall.Kernel, At: time.Second}, {Level: initcall.Core, At: time.Hour}, {Level: initcall.Late, At: 3 * time.Hour}}
	go func() { ended <- line.RunSince(ctx, clock, time.Now().Add(-2*time.Hour)) }()
	require.NoError(t, clock.Wait(ctx, initcall.Core))
	assert.Equal(t, initcall.Core, clock.Level())
	cancel()
	require.ErrorIs(t, transporttest.Receive(t, ended), context.Canceled)
}

// A text that no Console has written is refused, and changes nothing.
func TestUnmarshalTextRefuses(t *testing.T) {
	t.Parallel()
	c, err := initcall.NewConsole(new(initcall.Clock))
	require.NoError(t, err)
	_, _ = c.Write([]byte("[    0.100000] Linux version 6.1\n[    0.2"))
	before, err := c.MarshalText()
	require.NoError(t, err)
	require.NoError(t, c.UnmarshalText(before))
	at := func(v map[string]any, names ...string) map[string]any {
		for _, name := range names {
			v = v[name].(map[string]any)
		}
		return v
	}
	for name, change := range map[string]func(map[string]any){
		"a level that does not exist":        func(v map[string]any) { v["Now"] = "later" },
		"a text that is too long":            func(v map[string]any) { v["Text"] = make([]byte, 1<<20) },
		"a body before the text":             func(v map[string]any) { at(v, "At")["Body"] = -1 },
		"a body after the text":              func(v map[string]any) { at(v, "At")["Body"] = 1000 },
		"a body before the last line":        func(v map[string]any) { at(v, "Lines", "Last", "At")["Body"] = -1 },
		"a body after the last line":         func(v map[string]any) { at(v, "Lines", "Last", "At")["Body"] = 1000 },
		"a last line that is too long":       func(v map[string]any) { at(v, "Other", "Last")["Text"] = make([]byte, 1<<20) },
		"a wanted line that is too long":     func(v map[string]any) { at(v, "Lines", "Line")["Text"] = make([]byte, 1<<20) },
		"a function whose name is too long":  func(v map[string]any) { at(v, "Lines")["Open"] = strings.Repeat("f", 1<<12) },
		"a wanted level that does not exist": func(v map[string]any) { at(v, "Lines")["Level"] = "later" },
	} {
		var v map[string]any
		require.NoError(t, json.Unmarshal(before, &v))
		change(v)
		text, err := json.Marshal(v)
		require.NoError(t, err)
		require.Error(t, c.UnmarshalText(text), name)
		after, err := c.MarshalText()
		require.NoError(t, err)
		require.Equal(t, string(before), string(after), name)
	}
}
