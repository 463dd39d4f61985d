package state_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/state"
)

// wrapped is a store of another one.
type wrapped struct{ state.Store }

func (w wrapped) Unwrap() state.Store { return w.Store }

func TestTornWritesKeepTheOldStateOrTheNew(t *testing.T) {
	t.Parallel()
	old, changed := numbered(1), numbered(2)
	directory := func(o state.DirectoryOptions) state.Store {
		o.NoSync = true
		d, err := state.OpenDirectory(t.TempDir(), o)
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, d.Close()) })
		return d
	}
	for name, store := range map[string]state.Store{
		"memory":    new(state.Memory),
		"directory": directory(state.DirectoryOptions{}),
		"wrapped":   wrapped{directory(state.DirectoryOptions{})},
		"sealed":    directory(state.DirectoryOptions{Key: key(t, "0123456789abcdef")}),
		"backup":    directory(state.DirectoryOptions{Backup: true}),
	} {
		require.NoError(t, store.Commit(old), name)
		for _, n := range []int{0, 1, len(changed) / 2, len(changed) - 1} {
			require.ErrorIs(t, state.Tear(store, changed, n), state.ErrTorn, name)
			blob, err := store.Load()
			require.NoError(t, err, name)
			assert.Equal(t, old, blob, "%s, %d octets", name, n)
			require.NoError(t, store.Writable(), name)
		}
		require.ErrorIs(t, state.Tear(store, changed, len(changed)), state.ErrTorn, name)
		blob, err := store.Load()
		require.NoError(t, err, name)
		assert.Equal(t, changed, blob, name)
	}
}
