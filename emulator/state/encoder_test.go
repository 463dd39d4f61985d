package state_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/state"
)

// digested is a Store that is no Memory: what is committed to it has its digest.
type digested struct{ state.Memory }

// stores are a Memory and a Store that is none.
func stores() map[string]state.Store {
	return map[string]state.Store{"memory": new(state.Memory), "digested": new(digested)}
}

// loaded is what a Store holds.
func loaded(t *testing.T, store state.Store) []byte {
	t.Helper()
	blob, err := store.Load()
	require.NoError(t, err)
	return blob
}

func TestEncoder(t *testing.T) {
	for store, held := range stores() {
		var e state.Encoder
		s := withIndices()
		s.Objects = sample().Objects
		require.NoError(t, e.CommitNV(held, s))
		assert.Equal(t, s.Encode(nil), loaded(t, held), "%s: the first commit is of the whole state, whatever is asked for", store)
		index := &s.NV.Indices[2]
		changes := map[string]func(){
			"data":        func() { index.Data[0]++ },
			"one less":    func() { s.NV.Indices = s.NV.Indices[1:] },
			"objects":     func() { s.Objects.List = s.Objects.List[:1] },
			"no objects":  func() { s.Objects.List = nil },
			"unknown":     func() { s.Unknown = []state.Section{{Tag: 90, Version: 1, Data: []byte{1}}} },
			"no indices":  func() { s.NV = state.NV{} },
			"one counter": func() { s.NV.MaxCounter = 3 },
		}
		for _, name := range []string{"data", "one less", "objects", "no objects", "unknown", "no indices", "one counter"} {
			changes[name]()
			require.NoError(t, e.CommitNV(held, s))
			assert.Equal(t, s.Encode(nil), loaded(t, held), "%s: %s", store, name)
		}
	}
}

func TestCommitNVKeepsTheRest(t *testing.T) {
	for store, held := range stores() {
		var e state.Encoder
		s := withIndices()
		require.NoError(t, e.Commit(held, s))
		before := *s
		s.Orderly.Clock++
		s.Reset.RestartCount++
		s.NV.Indices[0].Data[0]++
		require.NoError(t, e.CommitNV(held, s))
		got, err := state.Decode(loaded(t, held))
		require.NoError(t, err)
		assert.Equal(t, before.Orderly, got.Orderly, store)
		assert.Equal(t, before.Reset.RestartCount, got.Reset.RestartCount, store)
		assert.Equal(t, s.NV, got.NV, store)
		require.NoError(t, e.Commit(held, s))
		assert.Equal(t, s.Encode(nil), loaded(t, held), store)
	}
}

// One encoder can commit to several Stores, in turn.
func TestEncoderOfSeveralStores(t *testing.T) {
	var e state.Encoder
	s := withIndices()
	for i := range 4 {
		for store, held := range stores() {
			s.NV.Indices[0].Data[0]++
			s.Orderly.Clock++
			commit := e.Commit
			if i%2 == 1 {
				commit, s.Orderly.Clock = e.CommitNV, s.Orderly.Clock-1
			}
			require.NoError(t, commit(held, s))
			assert.Equal(t, s.Encode(nil), loaded(t, held), "%s %d", store, i)
		}
	}
}

// An error of the Store comes back.
func TestEncoderReportsErrors(t *testing.T) {
	var e state.Encoder
	assert.ErrorIs(t, e.Commit(failing{}, withIndices()), state.ErrUnavailable)
	assert.ErrorIs(t, e.CommitNV(failing{}, withIndices()), state.ErrUnavailable)
}

type failing struct{ state.Store }

func (failing) Commit([]byte) error { return state.ErrUnavailable }
