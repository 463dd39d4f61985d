package initcall_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

func TestParseSource(t *testing.T) {
	for _, text := range []string{"unix:/run/vm/console.sock", "unix:relative", "file:/tmp/console.log", "file:a:b", "-"} {
		s, err := initcall.ParseSource(text)
		require.NoError(t, err)
		assert.Equal(t, text, s.String())
	}
	for _, text := range []string{"", "/run/vm/console.sock", "unix:", "file:", "tcp:localhost:1", "UNIX:/a", "unix:/a\x00b", "--"} {
		_, err := initcall.ParseSource(text)
		var wrong *initcall.SourceError
		require.ErrorAs(t, err, &wrong, "%q", text)
		assert.Equal(t, text, wrong.Text)
		for _, form := range []string{"unix:PATH", "file:PATH", "-"} {
			assert.ErrorContains(t, err, form, "the error lists the forms")
		}
	}
}

// followed is a feed that is followed in the background.
type followed struct {
	*testConsole
	tee  bytes.Buffer
	stop func() error // ends it and gives Follow's error
}

func follow(t *testing.T, source string) *followed {
	t.Helper()
	s, err := initcall.ParseSource(source)
	require.NoError(t, err)
	feed, err := s.Open()
	require.NoError(t, err)
	f := &followed{testConsole: newConsole(t)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- feed.Follow(ctx, f.Console, &f.tee) }()
	stopped := false
	f.stop = func() error {
		cancel()
		if stopped {
			return nil
		}
		stopped = true
		return <-done
	}
	t.Cleanup(func() { f.stop() })
	return f
}

// reaches waits for a level.
func (f *followed) reaches(level initcall.Level) {
	f.t.Helper()
	require.NoError(f.t, f.clock.Wait(f.t.Context(), level))
}

// boots waits for the nth boot to reach a level.
func (f *followed) boots(boot int, level initcall.Level) {
	f.t.Helper()
	reached := make(chan struct{})
	stop := f.clock.Subscribe(func(e initcall.Event) {
		if e.Boot == boot && e.Level == level {
			close(reached)
		}
	})
	defer stop()
	if now := f.clock.Now(); now.Boot == boot && now.Level == level {
		return
	}
	select {
	case <-reached:
	case <-f.t.Context().Done():
		f.t.Fatal("the test ended first")
	}
}

func write(t *testing.T, w io.Writer, text string) {
	t.Helper()
	_, err := io.WriteString(w, text)
	require.NoError(t, err)
}

func socketPath(t *testing.T) string {
	t.Helper()
	// Not t.TempDir, whose path has the test's name: sun_path is short.
	dir, err := os.MkdirTemp("", "console")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

func TestFollowAsServer(t *testing.T) {
	t.Parallel()
	path := socketPath(t)
	f := follow(t, "unix:"+path)

	guest, err := net.Dial("unix", path) // Open listens before it returns
	require.NoError(t, err)
	write(t, guest, linux61+initIMA)
	f.reaches(initcall.Late)
	write(t, guest, "half a line")
	require.NoError(t, guest.Close())

	guest, err = net.Dial("unix", path)
	require.NoError(t, err)
	write(t, guest, "Run /init as init process\n") // not the rest of that line
	f.reaches(initcall.Userspace)
	require.NoError(t, guest.Close())

	assert.ErrorIs(t, f.stop(), context.Canceled)
	assert.Equal(t, linux61+initIMA+"half a lineRun /init as init process\n", f.tee.String())
	assert.NoFileExists(t, path, "its socket is removed")
}

func TestFollowEndsWhileConnected(t *testing.T) {
	t.Parallel()
	path := socketPath(t)
	f := follow(t, "unix:"+path)
	guest, err := net.Dial("unix", path)
	require.NoError(t, err)
	defer guest.Close()
	write(t, guest, linux61)
	f.reaches(initcall.Kernel)
	assert.ErrorIs(t, f.stop(), context.Canceled)
	_, err = guest.Read(make([]byte, 1))
	assert.ErrorIs(t, err, io.EOF, "the connection is closed")
	assert.NoFileExists(t, path)
}

// serve listens like a QEMU with server=on: what is at path is removed.
func serve(t *testing.T, path string) *net.UnixListener {
	t.Helper()
	if err := os.Remove(path); err != nil {
		require.ErrorIs(t, err, os.ErrNotExist)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

func TestFollowAsClient(t *testing.T) {
	t.Parallel()
	path := socketPath(t)
	qemu := serve(t, path)
	f := follow(t, "unix:"+path)

	for boot, text := range []string{linux61 + initIMA, linux61 + runInit} {
		guest, err := qemu.Accept()
		require.NoError(t, err)
		write(t, guest, text)
		level := initcall.Late
		if boot == 1 {
			level = initcall.Userspace
		}
		f.boots(1+boot, level)
		require.NoError(t, guest.Close(), "and it connects again")
	}
	assert.ErrorIs(t, f.stop(), context.Canceled)
	assert.FileExists(t, path, "the server's socket is left alone")
}

// The TPM is started before the machine, so a QEMU with server=on comes when
// the feed listens already, and takes its place.
func TestFollowServerThatComesLater(t *testing.T) {
	t.Parallel()
	path := socketPath(t)
	f := follow(t, "unix:"+path)
	for boot := 1; boot <= 2; boot++ {
		qemu := serve(t, path)
		guest, err := qemu.Accept()
		require.NoError(t, err)
		write(t, guest, linux61+runInit)
		f.boots(boot, initcall.Userspace)
		assert.FileExists(t, path, "the server's socket is left alone")
		if boot == 1 { // killed: its socket stays
			qemu.SetUnlinkOnClose(false)
		}
		require.NoError(t, qemu.Close())
		require.NoError(t, guest.Close())
	}
	assert.ErrorIs(t, f.stop(), context.Canceled)
	assert.NoFileExists(t, path)
}

func TestFollowOverAStaleSocket(t *testing.T) {
	t.Parallel()
	path := socketPath(t)
	dead := serve(t, path)
	dead.SetUnlinkOnClose(false)
	require.NoError(t, dead.Close())
	require.FileExists(t, path)

	f := follow(t, "unix:"+path)
	guest, err := net.Dial("unix", path)
	require.NoError(t, err)
	defer guest.Close()
	write(t, guest, linux61)
	f.reaches(initcall.Kernel)
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	open := func(text string) error {
		s, err := initcall.ParseSource(text)
		require.NoError(t, err)
		feed, err := s.Open()
		if err == nil {
			feed.Close()
		}
		return err
	}
	path := socketPath(t)
	require.NoError(t, os.WriteFile(path, []byte("precious"), 0o600))
	var kind *initcall.KindError
	require.ErrorAs(t, open("unix:"+path), &kind)
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, "precious", string(content))

	link := filepath.Join(filepath.Dir(path), "link")
	require.NoError(t, os.Symlink("nowhere", link))
	require.ErrorAs(t, open("unix:"+link), &kind, "a link that leads nowhere")

	for _, text := range []string{
		"unix:" + filepath.Join(path, "below a file"),
		"unix:" + filepath.Join(filepath.Dir(path), "missing", "s"),
		"file:" + filepath.Join(filepath.Dir(path), "missing", "log"),
		"unix:" + filepath.Join(filepath.Dir(path), strings.Repeat("n", 120)),
	} {
		var wrong *initcall.FollowError
		require.ErrorAs(t, open(text), &wrong, text)
		assert.NotEmpty(t, wrong.Doing)
	}
}

func TestCloseWithoutFollow(t *testing.T) {
	t.Parallel()
	path := socketPath(t)
	s, err := initcall.ParseSource("unix:" + path)
	require.NoError(t, err)
	feed, err := s.Open()
	require.NoError(t, err)
	require.FileExists(t, path)
	require.NoError(t, feed.Close())
	assert.NoFileExists(t, path)
}

func TestFollowFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "console.log")
	f := follow(t, "file:"+path)

	require.NoError(t, os.WriteFile(filepath.Join(dir, "other"), []byte(runInit), 0o600))
	log, err := os.Create(path) // it did not exist
	require.NoError(t, err)
	defer log.Close()
	write(t, log, linux61+initIMA[:20])
	f.boots(1, initcall.Kernel)
	write(t, log, initIMA[20:]+"half a line")
	f.boots(1, initcall.Late)

	// QEMU starts again: the file is truncated.
	require.NoError(t, log.Truncate(0))
	_, err = log.Seek(0, io.SeekStart)
	require.NoError(t, err)
	write(t, log, "Run /init as init process\n") // not the rest of that line
	f.boots(1, initcall.Userspace)
	write(t, log, linux61)
	f.boots(2, initcall.Kernel)
	write(t, log, runInit+"half a li")
	f.boots(2, initcall.Userspace)

	// Another file takes its place, complete at once.
	next := filepath.Join(dir, "next")
	require.NoError(t, os.WriteFile(next, []byte(linux61+initIMA), 0o600))
	require.NoError(t, os.Rename(next, path))
	f.boots(3, initcall.Late)

	// It goes away, and one comes back.
	require.NoError(t, os.Remove(path))
	require.NoError(t, os.WriteFile(path, []byte(linux61+lateSync), 0o600))
	f.boots(4, initcall.LateSync)

	assert.ErrorIs(t, f.stop(), context.Canceled)
	assert.Equal(t, linux61+initIMA+"half a lineRun /init as init process\n"+linux61+runInit+"half a li"+linux61+initIMA+linux61+lateSync, f.tee.String())
}

func TestFollowFileThatIsThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "console.log")
	require.NoError(t, os.WriteFile(path, []byte(linux61+initIMA), 0o600))
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(path, link))

	f := follow(t, "file:"+link)
	f.reaches(initcall.Late)
	log, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	defer log.Close()
	write(t, log, runInit)
	f.reaches(initcall.Userspace)
}

func TestFollowFileIsNoDirectory(t *testing.T) {
	t.Parallel()
	s, err := initcall.ParseSource("file:" + t.TempDir())
	require.NoError(t, err)
	var kind *initcall.KindError
	require.ErrorAs(t, initcall.Follow(t.Context(), s, newConsole(t).Console), &kind)
}

func TestFollowReader(t *testing.T) {
	t.Parallel()
	console := newConsole(t)
	text := linux61 + initIMA + strings.TrimSpace(runInit) // the last line has no end
	require.NoError(t, initcall.Follow(t.Context(), initcall.ReaderSource(strings.NewReader(text)), console.Console))
	assert.Equal(t, "kernel late userspace", console.levels())

	require.NoError(t, initcall.Follow(t.Context(), initcall.Source{}, console.Console), "the zero Source is empty")

	broken := errors.New("broken")
	err := initcall.Follow(t.Context(), initcall.ReaderSource(io.MultiReader(strings.NewReader(linux61), failing{broken})), console.Console)
	assert.ErrorIs(t, err, broken)
	assert.Equal(t, "| kernel", console.levels())
}

// failing is a reader that fails.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// full is a writer that fails and counts how often it did.
type full struct{ writes int }

func (f *full) Write([]byte) (int, error) {
	f.writes++
	return 0, errors.New("full")
}

func TestFollowReaderEndsWithItsContext(t *testing.T) {
	t.Parallel()
	t.Run("Read gives up", func(t *testing.T) {
		r, w, err := os.Pipe()
		require.NoError(t, err)
		defer r.Close()
		defer w.Close()
		followReader(t, r, w)
	})
	t.Run("Read does not give up", func(t *testing.T) {
		r, w := io.Pipe()
		followReader(t, r, w)
		go w.Write([]byte(runInit)) // for the Read that stayed behind
		w.Close()
	})
}

func followReader(t *testing.T, r io.Reader, w io.Writer) {
	f := newConsole(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- initcall.Follow(ctx, initcall.ReaderSource(r), f.Console) }()
	write(t, w, linux61)
	require.NoError(t, f.clock.Wait(t.Context(), initcall.Kernel))
	cancel()
	assert.ErrorIs(t, transporttest.Receive(t, done), context.Canceled)
	assert.Equal(t, initcall.Kernel, f.clock.Level())
}

func TestFollowGoesOnWithoutItsTee(t *testing.T) {
	t.Parallel()
	console := newConsole(t)
	r := io.MultiReader(strings.NewReader(linux61), strings.NewReader(initIMA))
	feed, err := initcall.ReaderSource(r).Open()
	require.NoError(t, err)
	tee := new(full)
	require.NoError(t, feed.Follow(t.Context(), console.Console, tee))
	assert.Equal(t, "kernel late", console.levels())
	assert.Equal(t, 1, tee.writes, "it gets nothing more")
}

func ExampleFollow() {
	var clock initcall.Clock
	console, _ := initcall.NewConsole(&clock)
	// ParseSource("unix:/run/vm/console") for a guest of QEMU with
	//	-chardev socket,id=con,path=/run/vm/console -serial chardev:con
	log, err := os.Open("testdata/arm64-6.1-eprobe-defer-ima-late.log")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer log.Close()
	err = initcall.Follow(context.Background(), initcall.ReaderSource(log), console)
	fmt.Println(clock.Level(), err)
	// Output: userspace <nil>
}
