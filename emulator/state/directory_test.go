package state_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/state"
)

// numbered is a state that tells its number, in bytes of a length of its own.
func numbered(n uint64) []byte {
	s := &state.State{}
	s.Persistent.TotalResetCount = n
	s.Unknown = []state.Section{{Tag: 99, Version: 1, Data: bytes.Repeat([]byte{byte(n)}, int(n*977%5000))}}
	return s.Encode(nil)
}

func open(t *testing.T, dir string, o state.DirectoryOptions) *state.Directory {
	t.Helper()
	d, err := state.OpenDirectory(dir, o)
	require.NoError(t, err)
	t.Cleanup(func() { d.Close() })
	return d
}

func load(t *testing.T, d *state.Directory) []byte {
	t.Helper()
	blob, err := d.Load()
	require.NoError(t, err)
	return blob
}

// names are the files in a directory.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func TestDirectory(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]state.DirectoryOptions{
		"synced": {}, "unsynced": {NoSync: true}, "unlocked": {NoLock: true},
	} {
		dir := filepath.Join(t.TempDir(), "a", "b")
		d := open(t, dir, o)
		assert.Empty(t, load(t, d), name)
		require.NoError(t, d.Writable(), name)
		for n := range uint64(4) {
			blob := numbered(n)
			require.NoError(t, d.Commit(blob), name)
			clear(blob)
			assert.Equal(t, numbered(n), load(t, d), name)
			require.NoError(t, d.Close(), name)
			d = open(t, dir, o)
			got := load(t, d)
			assert.Equal(t, numbered(n), got, name)
			clear(got)
			assert.Equal(t, numbered(n), load(t, d), "what Load gives belongs to the caller")
		}
		require.NoError(t, d.Close(), name)
		want := []string{"tpm2.state", "tpm2.state.lock"}
		if o.NoLock {
			want = want[:1]
		}
		assert.Equal(t, want, names(t, dir), "nothing is left of the commits")
	}
}

// Everything is relative to the directory that was opened.
func TestDirectoryMoves(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("Windows does not move a directory that is open")
	}
	dir := t.TempDir()
	d := open(t, filepath.Join(dir, "a"), state.DirectoryOptions{})
	require.NoError(t, os.Rename(filepath.Join(dir, "a"), filepath.Join(dir, "b")))
	require.NoError(t, d.Commit(numbered(1)))
	assert.Equal(t, []string{"tpm2.state", "tpm2.state.lock", "tpm2.state.new"}, names(t, filepath.Join(dir, "b")))
	assert.Equal(t, numbered(1), load(t, d))
}

func TestDirectoryModes(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no permission bits")
	}
	dir := filepath.Join(t.TempDir(), "a")
	perm := func(name string) fs.FileMode {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		return info.Mode().Perm()
	}
	for _, mode := range []fs.FileMode{0, 0o640, 0o666, 0o600} {
		d := open(t, dir, state.DirectoryOptions{Mode: mode})
		require.NoError(t, d.Commit(numbered(1)))
		if mode == 0 {
			mode = 0o600
		}
		assert.Equal(t, mode, perm("tpm2.state"), "whatever the umask is")
		require.NoError(t, d.Close())
	}
	assert.Equal(t, fs.FileMode(0o700), perm("."))
	assert.Equal(t, fs.FileMode(0o600), perm("tpm2.state.lock"))
	for _, mode := range []fs.FileMode{0o400, 0o200, 0o040, 0o1600, fs.ModeDir | 0o600} {
		_, err := state.OpenDirectory(dir, state.DirectoryOptions{Mode: mode})
		assert.ErrorIs(t, err, state.ErrMode, mode)
	}
}

// What somebody else keeps in the directory stays there.
func TestDirectoryLeavesOtherFilesAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	others := []string{".lock", "tpm2-00.permall", "tpm2.state.old", "x"}
	for _, name := range others {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(name), 0o644))
	}
	d := open(t, dir, state.DirectoryOptions{})
	require.NoError(t, d.Commit(numbered(1)))
	require.NoError(t, d.Close())
	for _, name := range others {
		content, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		assert.Equal(t, name, string(content))
	}
}

func TestDirectoryIsLocked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	// What a process that was killed has left means nothing.
	require.NoError(t, os.WriteFile(filepath.Join(dir, "tpm2.state.lock"), []byte("123456789\n"), 0o600))
	d := open(t, dir, state.DirectoryOptions{})
	require.NoError(t, d.Commit(numbered(1)))
	_, err := state.OpenDirectory(dir, state.DirectoryOptions{})
	var locked *state.LockedError
	require.ErrorAs(t, err, &locked)
	assert.Equal(t, state.LockedError{Path: dir, PID: os.Getpid()}, *locked)
	assert.ErrorContains(t, err, dir)
	assert.ErrorContains(t, err, "process "+strconv.Itoa(os.Getpid()))

	// Whatever else is in the lock file is no process.
	for _, text := range []string{"", "x\n", "-1\n", "12345678901234567890\n", "7 8"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "tpm2.state.lock"), []byte(text), 0o600))
		_, err = state.OpenDirectory(dir, state.DirectoryOptions{})
		require.ErrorAs(t, err, &locked)
		assert.Zero(t, locked.PID, text)
		assert.ErrorContains(t, err, "another TPM")
	}

	open(t, dir, state.DirectoryOptions{NoLock: true})
	require.NoError(t, d.Close())
	require.NoError(t, d.Close(), "a second time")
	again := open(t, dir, state.DirectoryOptions{})
	assert.Equal(t, numbered(1), load(t, again))

	require.ErrorIs(t, d.Commit(numbered(2)), fs.ErrClosed, "who has closed it may not write")
	_, err = d.Load()
	require.ErrorIs(t, err, fs.ErrClosed)
	require.ErrorIs(t, d.Writable(), state.ErrUnavailable)
	assert.Equal(t, numbered(1), load(t, again))
}

// A file that cannot be used is an error that names it and stays as it is.
func TestDirectoryRefusesFiles(t *testing.T) {
	t.Parallel()
	good := numbered(1)
	change := func(f func(b []byte) []byte) []byte { return f(bytes.Clone(good)) }
	for name, tc := range map[string]struct {
		file   []byte
		offset int
		newer  bool
	}{
		"empty":      {nil, 0, false},
		"foreign":    {[]byte("something quite different, as long as a state at the least"), 0, false},
		"torn":       {good[:len(good)-1], len(good) - 1 - 32, false},
		"half":       {good[:len(good)/2], len(good)/2 - 32, false},
		"zeros":      {make([]byte, len(good)), 0, false},
		"longer":     {append(bytes.Clone(good), 0), len(good) + 1 - 32, false},
		"too long":   {append(bytes.Clone(good), make([]byte, state.MaxSize)...), state.MaxSize, false},
		"one bit":    {change(func(b []byte) []byte { b[100] ^= 1; return b }), len(good) - 32, false},
		"newer":      {change(func(b []byte) []byte { b[9] = 200; return b[:60] }), 8, true},
		"newer part": {reseal(change(func(b []byte) []byte { binary.BigEndian.PutUint16(b[14:], 200); return b })), 14, true},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "tpm2.state")
		require.NoError(t, os.WriteFile(path, tc.file, 0o600))
		_, err := open(t, dir, state.DirectoryOptions{}).Load()
		var file *state.FileError
		require.ErrorAs(t, err, &file, name)
		assert.Equal(t, path, file.Path, name)
		assert.ErrorContains(t, err, path, name)
		var format *state.FormatError
		require.ErrorAs(t, err, &format, name)
		assert.Equal(t, tc.offset, format.Offset, name)
		var version *state.VersionError
		if assert.Equal(t, tc.newer, errors.As(err, &version), name) && tc.newer {
			assert.EqualValues(t, 200, version.Version, name)
			assert.Less(t, version.Known, version.Version, name)
			assert.Equal(t, tc.offset, version.Offset, name)
			assert.ErrorContains(t, err, "use the program that wrote it", name)
		} else {
			assert.ErrorContains(t, err, "restore the state from a copy", name)
		}
		kept, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.True(t, bytes.Equal(tc.file, kept), name)
	}
}

func TestDirectoryErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for _, path := range []string{file, filepath.Join(file, "below")} {
		_, err := state.OpenDirectory(path, state.DirectoryOptions{})
		require.ErrorContains(t, err, file)
	}

	// A commit that cannot be written leaves what is there.
	d := open(t, filepath.Join(dir, "d"), state.DirectoryOptions{})
	require.NoError(t, d.Commit(numbered(1)))
	require.NoError(t, os.Remove(filepath.Join(dir, "d", "tpm2.state.new")))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "d", "tpm2.state.new", "x"), 0o700))
	require.ErrorContains(t, d.Commit(numbered(2)), filepath.Join(dir, "d"))
	assert.Equal(t, numbered(1), load(t, d))
	require.NoError(t, d.Close())
	_, err := state.OpenDirectory(filepath.Join(dir, "d"), state.DirectoryOptions{})
	require.ErrorContains(t, err, "tpm2.state.new is a directory")
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "d", "tpm2.state.new")))
	d = open(t, filepath.Join(dir, "d"), state.DirectoryOptions{})

	// The directory goes away while it is in use.
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "d")))
	require.ErrorIs(t, d.Commit(numbered(2)), fs.ErrNotExist)

	d = open(t, filepath.Join(dir, "e"), state.DirectoryOptions{})
	require.NoError(t, os.Mkdir(filepath.Join(dir, "e", "tpm2.state"), 0o700))
	_, err = d.Load()
	require.ErrorContains(t, err, filepath.Join(dir, "e"))
	require.Error(t, d.Commit(numbered(1)))

	// A lock that cannot be taken is no reason to go without one.
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "f", "tpm2.state.lock"), 0o700))
	_, err = state.OpenDirectory(filepath.Join(dir, "f"), state.DirectoryOptions{})
	require.ErrorContains(t, err, "cannot be locked")
}

func BenchmarkDirectoryCommit(b *testing.B) {
	blob := sample().Encode(nil)
	for _, bench := range []struct {
		name string
		o    state.DirectoryOptions
	}{{"fsync", state.DirectoryOptions{}}, {"nofsync", state.DirectoryOptions{NoSync: true}}} {
		b.Run(bench.name, func(b *testing.B) {
			d, err := state.OpenDirectory(b.TempDir(), bench.o)
			require.NoError(b, err)
			defer d.Close()
			b.SetBytes(int64(len(blob)))
			b.ReportAllocs()
			for b.Loop() {
				if err := d.Commit(blob); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Writable is asked once per command.
func BenchmarkDirectoryWritable(b *testing.B) {
	d, err := state.OpenDirectory(b.TempDir(), state.DirectoryOptions{})
	require.NoError(b, err)
	defer d.Close()
	b.ReportAllocs()
	for b.Loop() {
		if err := d.Writable(); err != nil {
			b.Fatal(err)
		}
	}
}
