//go:build unix && !aix && !solaris

package state_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/swtpmd/swtpmd/emulator/state"
)

// passed is an open file as another process gets it.
func passed(t *testing.T, f *os.File) *os.File {
	t.Helper()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	require.NoError(t, err)
	return os.NewFile(uintptr(fd), f.Name())
}

// A lock goes to another holder, and there is no moment at which a third one gets it.
func TestLockGoesToAnother(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	taken := func() {
		t.Helper()
		_, err := state.TakeLock(dir, "lock")
		var locked *state.LockedError
		require.ErrorAs(t, err, &locked)
		assert.Equal(t, os.Getpid(), locked.PID)
	}
	l, err := state.TakeLock(dir, "lock")
	require.NoError(t, err)
	taken()
	other, err := state.AdoptLock(dir, "lock", passed(t, l.File()))
	require.NoError(t, err)
	taken()
	require.NoError(t, l.Leave())
	taken()
	require.NoError(t, other.Release())
	l, err = state.TakeLock(dir, "lock")
	require.NoError(t, err)

	// What is not that file is no lock, nor is one that somebody else has taken.
	file, err := os.Open(filepath.Join(dir, "lock"))
	require.NoError(t, err)
	_, err = state.AdoptLock(dir, "lock", file)
	require.Error(t, err)
	another, err := os.Create(filepath.Join(dir, "another"))
	require.NoError(t, err)
	_, err = state.AdoptLock(dir, "lock", another)
	require.ErrorIs(t, err, state.ErrOtherLock)
	taken()
	require.NoError(t, l.Release())
}

// A directory goes to another holder with its lock; the one that leaves it touches nothing.
func TestDirectoryGoesToAnother(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d, err := state.OpenDirectory(dir, state.DirectoryOptions{NoSync: true})
	require.NoError(t, err)
	require.NoError(t, d.Commit(numbered(1)))
	require.NoError(t, d.Writable())
	l, err := state.AdoptLock(dir, "tpm2.state.lock", passed(t, d.LockFile()))
	require.NoError(t, err)
	other, err := state.OpenDirectory(dir, state.DirectoryOptions{NoSync: true, Lock: l})
	require.NoError(t, err)
	require.NoError(t, other.Writable())
	spare, err := os.Stat(filepath.Join(dir, "tpm2.state.new"))
	require.NoError(t, err)
	require.NoError(t, d.Leave())
	after, err := os.Stat(filepath.Join(dir, "tpm2.state.new"))
	require.NoError(t, err)
	assert.True(t, os.SameFile(spare, after), "the file for the next commit is the other's")
	require.ErrorIs(t, d.Commit(numbered(2)), os.ErrClosed)
	_, err = state.OpenDirectory(dir, state.DirectoryOptions{})
	var locked *state.LockedError
	require.ErrorAs(t, err, &locked)
	require.NoError(t, other.Commit(numbered(3)))
	blob, err := other.Load()
	require.NoError(t, err)
	assert.Equal(t, numbered(3), blob)
	require.NoError(t, other.Close())
	text, err := os.ReadFile(filepath.Join(dir, "tpm2.state.lock"))
	require.NoError(t, err)
	assert.Empty(t, strings.TrimSuffix(string(text), strconv.Itoa(os.Getpid())))
	d, err = state.OpenDirectory(dir, state.DirectoryOptions{})
	require.NoError(t, err)
	assert.NotNil(t, d.LockFile())
	require.NoError(t, d.Close())
	assert.Nil(t, d.LockFile())
}
