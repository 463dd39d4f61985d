package state_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"reflect"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// withIndices is a sample with NV indices.
func withIndices() *state.State {
	s := sample()
	s.Objects = state.PersistentObjects{} // whose section would follow
	s.NV.MaxCounter = 7
	s.NV.Indices = []state.NVIndex{
		{Handle: 0x01000001, NameAlg: wire.AlgSHA256, Attributes: wire.NVOrderly | wire.NTCounter.Attributes(), Data: make([]byte, 8)},
		{Handle: 0x01000002, NameAlg: wire.AlgSHA1, Attributes: wire.NVWritten, Data: []byte{}},
		{Handle: 0x01FFFFFF, NameAlg: wire.AlgSHA512, Attributes: wire.NVOwnerRead, Data: []byte("data")},
	}
	s.NV.Indices[0].Auth.Set([]byte("auth"))
	s.NV.Indices[2].Policy.Set([]byte("policy"))
	return s
}

func TestNVRoundTrip(t *testing.T) {
	t.Parallel()
	want := withIndices()
	for _, b := range [][]byte{want.EncodeSnapshot(nil), want.Encode(nil)} {
		got, err := state.Decode(b)
		require.NoError(t, err)
		assert.True(t, reflect.DeepEqual(want.NV, got.NV))
		assert.Empty(t, got.Unknown)
	}
	assert.True(t, want.NV.Indices[1].Written())
	assert.False(t, want.NV.Indices[2].Written())
	assert.True(t, want.NV.Indices[0].Orderly())
	assert.False(t, want.NV.Indices[1].Orderly())
}

// Without indices there is no section, as in states of before there were any.
func TestNVSectionOnlyWhenNeeded(t *testing.T) {
	t.Parallel()
	s := sample()
	s.Objects = state.PersistentObjects{}
	without := s.Encode(nil)
	assert.EqualValues(t, 4, binary.BigEndian.Uint16(without[10:]))
	s.NV.MaxCounter = 1
	assert.EqualValues(t, 5, binary.BigEndian.Uint16(s.Encode(nil)[10:]))
	s.NV = state.NV{Indices: []state.NVIndex{{Handle: 0x01000000}}}
	got, err := state.Decode(s.Encode(nil))
	require.NoError(t, err)
	assert.Len(t, got.NV.Indices, 1)
}

func TestNVRefuses(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*state.NV){
		"order":           func(v *state.NV) { v.Indices[0].Handle = 0x01000003 },
		"twice":           func(v *state.NV) { v.Indices[1].Handle = 0x01000001 },
		"no index":        func(v *state.NV) { v.Indices[2].Handle = 0x02000000 },
		"attributes":      func(v *state.NV) { v.Indices[1].Attributes |= 1 << 8 },
		"counter of four": func(v *state.NV) { v.Indices[0].Data = make([]byte, 4) },
		"PIN of nine": func(v *state.NV) {
			v.Indices[0].Attributes, v.Indices[0].Data = wire.NTPinPass.Attributes(), make([]byte, 9)
		},
		"too many indices": func(v *state.NV) { v.Indices = make([]state.NVIndex, state.MaxNVIndices+1) },
	} {
		s := withIndices()
		change(&s.NV)
		_, err := state.Decode(s.Encode(nil))
		var bad *state.FormatError
		assert.ErrorAs(t, err, &bad, name)
	}
	// Data and lists that say to be longer than what follows.
	b := withIndices().Encode(nil)
	body := b[:len(b)-sha256.Size]
	for _, at := range []int{len(body) - 4 - 2, len(body) - 4 - 1} {
		c := append([]byte{}, b...)
		c[at] = 0xFF
		_, err := state.Decode(reseal(c))
		require.Error(t, err)
	}
	s := sample()
	s.Objects = state.PersistentObjects{}
	s.NV.MaxCounter = 1
	c := s.Encode(nil)
	c[len(c)-sha256.Size-3] = 0 // MaxCounter, which leaves nothing
	_, err := state.Decode(reseal(c))
	assert.ErrorContains(t, err, "empty")
}

// A state that was written before its newest fields is read, and written in
// the new form.
func TestPersistentOldVersions(t *testing.T) {
	t.Parallel()
	const audit, presence = 2 + 20 + 4, 20 + 1 // bytes of what came with versions 3 and 2
	for version, cut := range map[byte]uint32{1: audit + presence, 2: audit} {
		s := sample()
		s.Persistent.AuditAlg, s.Persistent.AuditCommands, s.Persistent.AlgorithmSet = 0, state.CommandBits{}, 0
		if version == 1 {
			s.Persistent.PPCommands, s.Persistent.DAUsed = state.CommandBits{}, false
		}
		b := s.Encode(nil)
		n := binary.BigEndian.Uint32(b[16:])
		old := append([]byte{}, b[:12]...)
		old = append(old, 0, 1, 0, version)
		old = binary.BigEndian.AppendUint32(old, n-cut)
		old = append(old, b[20:20+n-cut]...)
		old = append(old, b[20+n:]...)
		got, err := state.Decode(reseal(old))
		require.NoError(t, err)
		assert.Equal(t, s.Persistent, got.Persistent)
		assert.Equal(t, b, got.Encode(nil))
		old[15] = 0
		_, err = state.Decode(reseal(old))
		assert.Error(t, err, "there was no version 0")
	}
}

// The state that TPM2_Shutdown has saved did not have read-only mode first.
func TestClearOldVersion(t *testing.T) {
	t.Parallel()
	s := sample()
	s.Clear.ReadOnly = false
	b := s.Encode(nil)
	at := bytes.Index(b, []byte{0, 4, 0, 2})
	n := binary.BigEndian.Uint32(b[at+4:])
	end := at + 8 + int(n)
	old := append(bytes.Clone(b[:at]), 0, 4, 0, 1)
	old = binary.BigEndian.AppendUint32(old, n-1)
	old = append(old, b[at+8:end-1]...)
	got, err := state.Decode(reseal(append(old, b[end:]...)))
	require.NoError(t, err)
	assert.Equal(t, s.Clear, got.Clear)
	assert.Equal(t, b, got.Encode(nil))
}

func TestCommandBits(t *testing.T) {
	t.Parallel()
	var b state.CommandBits
	for _, code := range []wire.CC{0x11F, 0x120, 0x12D, 0x1A1} {
		assert.False(t, b.Has(code))
		b.Set(code)
		assert.True(t, b.Has(code))
	}
	assert.Equal(t, state.CommandBits{0: 3, 1: 1 << 6, 16: 4}, b)
	b.Clear(0x120)
	assert.False(t, b.Has(0x120))
	assert.True(t, b.Has(0x11F))
	for _, code := range []wire.CC{0, 0x11E, 0x1FF, 0x20000000, 0xFFFFFFFF} {
		assert.False(t, b.Has(code))
	}
}
