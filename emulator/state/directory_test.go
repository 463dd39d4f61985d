package state_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/state"
)

func TestDirectory(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "b")
	d, err := state.NewDirectory(dir)
	require.NoError(t, err)
	blob, err := d.Load()
	require.NoError(t, err)
	require.Empty(t, blob)
	require.NoError(t, d.Writable())
	for _, want := range []string{"one", "a longer second one", "3"} {
		require.NoError(t, d.Commit([]byte(want)))
		again, err := state.NewDirectory(dir)
		require.NoError(t, err)
		blob, err = again.Load()
		require.NoError(t, err)
		assert.Equal(t, want, string(blob))
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "nothing is left of the commits")
	info, err := entries[0].Info()
	require.NoError(t, err)
	assert.Equal(t, fs.FileMode(0o600), info.Mode().Perm(), "seeds are for nobody else")
	info, err = os.Stat(dir)
	require.NoError(t, err)
	assert.Equal(t, fs.FileMode(0o700), info.Mode().Perm())
}

// Whatever a commit has got to when power goes, the old state is there.
func TestDirectoryInterruptedCommit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d, err := state.NewDirectory(dir)
	require.NoError(t, err)
	require.NoError(t, d.Commit([]byte("old")))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "tpm2.state.new"), []byte("ne"), 0o600))
	d, err = state.NewDirectory(dir)
	require.NoError(t, err)
	blob, err := d.Load()
	require.NoError(t, err)
	assert.Equal(t, "old", string(blob))
	require.NoError(t, d.Commit([]byte("new")))
	blob, err = d.Load()
	require.NoError(t, err)
	assert.Equal(t, "new", string(blob))
}

func TestDirectoryErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := state.NewDirectory(file)
	require.Error(t, err)

	d, err := state.NewDirectory(filepath.Join(dir, "d"))
	require.NoError(t, err)
	require.NoError(t, d.Commit([]byte("old")))
	name := filepath.Join(dir, "d", "tpm2.state")
	var bad *state.FormatError
	require.NoError(t, os.Truncate(name, 0))
	_, err = d.Load()
	require.ErrorAs(t, err, &bad, "an empty file is no empty store: it had a state")
	require.NoError(t, os.Truncate(name, state.MaxSize+1))
	_, err = d.Load()
	require.ErrorAs(t, err, &bad)

	// A commit that cannot be written leaves what is there.
	require.NoError(t, os.WriteFile(name, []byte("old"), 0o600))
	require.NoError(t, os.Mkdir(name+".new", 0o700))
	require.Error(t, d.Commit([]byte("new")))
	blob, err := d.Load()
	require.NoError(t, err)
	assert.Equal(t, "old", string(blob))
	require.NoError(t, os.Remove(name+".new"))
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "d")))
	require.Error(t, d.Commit([]byte("new")))

	require.NoError(t, os.MkdirAll(filepath.Join(dir, "e", "tpm2.state.new", "x"), 0o700))
	_, err = state.NewDirectory(filepath.Join(dir, "e"))
	require.Error(t, err)
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "f", "tpm2.state"), 0o700))
	d, err = state.NewDirectory(filepath.Join(dir, "f"))
	require.NoError(t, err)
	_, err = d.Load()
	require.Error(t, err)
}
