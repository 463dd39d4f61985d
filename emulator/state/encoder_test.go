package state_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/state"
)

func TestEncoder(t *testing.T) {
	var e state.Encoder
	s := withIndices()
	s.Objects = sample().Objects
	assert.Equal(t, s.Encode(nil), e.EncodeNV(s), "the first result is the whole state, whatever is asked for")
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
		assert.Equal(t, s.Encode(nil), e.EncodeNV(s), name)
	}
}

func TestEncodeNVKeepsTheRest(t *testing.T) {
	var e state.Encoder
	s := withIndices()
	e.Encode(s)
	before := *s
	s.Orderly.Clock++
	s.Reset.RestartCount++
	s.NV.Indices[0].Data[0]++
	got, err := state.Decode(e.EncodeNV(s))
	require.NoError(t, err)
	assert.Equal(t, before.Orderly, got.Orderly)
	assert.Equal(t, before.Reset.RestartCount, got.Reset.RestartCount)
	assert.Equal(t, s.NV, got.NV)
	assert.Equal(t, s.Encode(nil), e.Encode(s))
}
