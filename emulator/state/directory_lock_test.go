package state_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/state"
)

func openLater(t *testing.T, dir string) *state.Directory {
	t.Helper()
	d, err := state.OpenDirectory(dir, state.DirectoryOptions{LockLater: true, NoSync: true})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, d.Close()) })
	return d
}

// encoded is a state that is the TPM's n-th.
func encoded(n uint64) []byte {
	s := &state.State{}
	s.Persistent.AuditCounter = n
	return s.Encode(nil)
}

// TestHandOverOfADirectory: what is not locked is read and not written, and the lock
// goes to and fro.
func TestHandOverOfADirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	from, err := state.OpenDirectory(dir, state.DirectoryOptions{NoSync: true})
	require.NoError(t, err)
	defer from.Close()
	require.NoError(t, from.Writable())
	require.NoError(t, from.Commit(encoded(1)))

	to := openLater(t, dir)
	blob, err := to.Load()
	require.NoError(t, err)
	assert.Equal(t, encoded(1), blob)
	for _, err := range []error{to.Writable(), to.Commit(encoded(9)), to.StoreVolatile([]byte("v")), to.RemoveVolatile()} {
		require.ErrorIs(t, err, state.ErrNotLocked)
	}
	require.ErrorIs(t, to.Writable(), state.ErrUnavailable)
	var held *state.LockedError
	require.ErrorAs(t, to.Lock(), &held)
	assert.Equal(t, os.Getpid(), held.PID)

	require.NoError(t, from.Commit(encoded(2)))
	changed, err := to.Changed()
	require.NoError(t, err)
	assert.True(t, changed, "since it was loaded")
	require.NoError(t, from.Unlock())
	require.NoError(t, from.Unlock(), "once more")
	require.NoError(t, to.Lock())
	require.NoError(t, to.Lock(), "once more")
	require.ErrorIs(t, from.Commit(encoded(9)), state.ErrNotLocked)
	require.ErrorAs(t, from.Lock(), &held)
	blob, err = to.Load()
	require.NoError(t, err)
	assert.Equal(t, encoded(2), blob)
	changed, err = to.Changed()
	require.NoError(t, err)
	assert.False(t, changed)
	changed, err = from.Changed()
	require.NoError(t, err)
	assert.False(t, changed, "it can stay where it was")
	for n := range uint64(3) { // both files of a commit change places
		require.NoError(t, to.Writable())
		require.NoError(t, to.Commit(encoded(3+n)))
	}
	require.NoError(t, to.Unlock())

	require.NoError(t, from.Lock())
	changed, err = from.Changed()
	require.NoError(t, err)
	assert.True(t, changed)
	blob, err = from.Load()
	require.NoError(t, err)
	assert.Equal(t, encoded(5), blob)
	require.NoError(t, from.Commit(encoded(6)))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	assert.Equal(t, []string{"tpm2.state", "tpm2.state.lock", "tpm2.state.new"}, names)
}

// TestStoredVolatile: it is there in whole, for the next one who opens the directory,
// until it is removed.
func TestStoredVolatile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "tpm2.state.volatile")
	open := func() *state.Directory {
		t.Helper()
		d, err := state.OpenDirectory(dir, state.DirectoryOptions{Mode: 0o640})
		require.NoError(t, err)
		return d
	}
	d := open()
	for _, want := range []string{"", "first", "the second"} {
		if want != "" {
			require.NoError(t, d.StoreVolatile([]byte(want)))
			require.NoError(t, d.Close())
			d = open()
		}
		blob, err := d.LoadVolatile()
		require.NoError(t, err)
		assert.Equal(t, want, string(blob))
	}
	info, err := os.Stat(file)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o640), info.Mode())
	for range 2 {
		require.NoError(t, d.RemoveVolatile())
		assert.NoFileExists(t, file)
	}
	require.NoError(t, os.WriteFile(file+".new", []byte("broken off"), 0o600))
	require.NoError(t, d.Close())
	d = open()
	assert.NoFileExists(t, file+".new")
	require.NoError(t, d.Close())
	_, err = d.LoadVolatile()
	require.ErrorIs(t, err, os.ErrClosed)

	require.NoError(t, os.Symlink("elsewhere", file))
	_, err = state.OpenDirectory(dir, state.DirectoryOptions{})
	var kind *state.KindError
	require.ErrorAs(t, err, &kind)
}
