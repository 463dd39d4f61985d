package logs

import (
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func contents(t *testing.T, paths ...string) string {
	t.Helper()
	var all strings.Builder
	for _, path := range paths {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		all.Write(text)
	}
	return all.String()
}

// A log that is renamed and opened anew again and again while it is written has every
// line, whole, in order.
func TestALogThatIsRotatedLosesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	var files Files
	file, err := files.Open(path, false)
	require.NoError(t, err)
	q := &Queue{Out: file}
	const lines, rotations = 20000, 20
	var want strings.Builder
	written := make(chan struct{})
	go func() {
		defer close(written)
		for i := range lines {
			fmt.Fprintf(q, "line %d\n", i)
		}
	}()
	var old []string
	for i := range rotations {
		old = append(old, fmt.Sprintf("%s.%d", path, i))
		require.NoError(t, os.Rename(path, old[i]))
		require.NoError(t, files.Reopen())
	}
	select {
	case <-written:
	case <-time.After(time.Minute):
		require.Fail(t, "the log was not written in a minute")
	}
	require.Eventually(t, func() bool { return q.Flush() == nil }, time.Minute, time.Millisecond)
	for i := range lines {
		fmt.Fprintf(&want, "line %d\n", i)
	}
	fmt.Fprintf(q, "the last\n")
	want.WriteString("the last\n")
	require.Eventually(t, func() bool { return q.Flush() == nil }, time.Minute, time.Millisecond)
	assert.True(t, strings.HasSuffix(contents(t, path), "the last\n"), "the new file is written")
	require.Zero(t, q.Lost())
	// Not assert.Equal: it would print both.
	assert.True(t, want.String() == contents(t, append(old, path)...))
	require.NoError(t, file.Close())
}

// A copy of the console goes on in the new file, and one that is opened anew without
// having been renamed is not emptied.
func TestAConsoleLogThatIsRotated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "console")
	require.NoError(t, os.WriteFile(path, []byte("of the last run\n"), 0o600))
	var files Files
	file, err := files.Open(path, true)
	require.NoError(t, err)
	log := NewConsole(file, path, slog.New(slog.DiscardHandler))
	for i, name := range []string{path + ".1", "", path + ".2"} {
		_, err := fmt.Fprintf(log, "boot %d\n", i)
		require.NoError(t, err)
		if name != "" {
			require.NoError(t, os.Rename(path, name))
		}
		require.NoError(t, files.Reopen())
	}
	_, err = fmt.Fprint(log, "the end\n")
	require.NoError(t, err)
	log.Close(time.Minute)
	assert.Equal(t, "boot 0\nboot 1\nboot 2\nthe end\n", contents(t, path+".1", path+".2", path))
}

// What cannot be opened anew is written on as it was, and is said.
func TestAFileThatCannotBeOpenedAnew(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	require.NoError(t, os.Mkdir(dir, 0o700))
	path := filepath.Join(dir, "log")
	var files Files
	file, err := files.Open(path, false)
	require.NoError(t, err)
	moved := dir + ".moved"
	require.NoError(t, os.Rename(dir, moved))
	err = files.Reopen()
	require.ErrorIs(t, err, fs.ErrNotExist)
	assert.ErrorContains(t, err, path)
	_, err = file.Write([]byte("still here\n"))
	require.NoError(t, err)
	assert.Equal(t, "still here\n", contents(t, filepath.Join(moved, "log")))

	require.NoError(t, os.MkdirAll(path, 0o700))
	assert.ErrorContains(t, files.Reopen(), path+": it is no regular file any more")
	require.NoError(t, file.Close())
}

// Devices and pipes stay open: who reads one has no name for another.
func TestOnlyRegularFilesAreOpenedAnew(t *testing.T) {
	var files Files
	null, err := files.Open(os.DevNull, true)
	require.NoError(t, err)
	defer null.Close()
	assert.Empty(t, files.Directories())

	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	for _, name := range []string{"real", "named"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o700))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "real", "log"), nil, 0o600))
	link := filepath.Join(dir, "named", "log")
	require.NoError(t, os.Symlink(filepath.Join(dir, "real", "log"), link))
	for range 2 {
		file, err := files.Open(link, false)
		require.NoError(t, err)
		defer file.Close()
	}
	want := []string{filepath.Join(dir, "named"), filepath.Join(dir, "real")}
	slices.Sort(want)
	assert.Equal(t, want, files.Directories())
}
