package state_test

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/state"
)

func TestContextRoundTrip(t *testing.T) {
	t.Parallel()
	s := sample()
	for i := range s.Volatile.Objects {
		o := &s.Volatile.Objects[i]
		got, err := state.DecodeObject(state.AppendObject(nil, o))
		require.NoError(t, err)
		assert.Equal(t, o, got)
	}
	for _, x := range s.Volatile.Sessions[1:] {
		got, err := state.DecodeSession(state.AppendSession(nil, &x), x.Handle)
		require.NoError(t, err)
		assert.Equal(t, &x, got)
	}
}

func TestContextRefuses(t *testing.T) {
	t.Parallel()
	o := loadedObject(1)
	b := state.AppendObject(nil, &o)
	var bad *state.FormatError
	for n := range b {
		_, err := state.DecodeObject(b[:n])
		require.ErrorAs(t, err, &bad, "%d octets", n)
	}
	_, err := state.DecodeObject(append(b, 0))
	require.ErrorAs(t, err, &bad)
	b[1] = 4 // a version that is not known yet
	var version *state.VersionError
	_, err = state.DecodeObject(b)
	require.ErrorAs(t, err, &version)
	_, err = state.DecodeSession(nil, 0)
	require.ErrorAs(t, err, &version)
}

// A key of ML-KEM or ML-DSA takes a newer version of the sections; what has none is
// written as a program that does not know such keys reads it.
func TestVersionsOfLatticeKeys(t *testing.T) {
	t.Parallel()
	large := loadedObject(1)
	large.Public = append([]byte{0x00, 0xA1}, make([]byte, 2670)...)
	small := loadedObject(1)
	for _, tc := range []struct {
		object              state.Object
		volatile, persisted byte
	}{{small, 2, 1}, {large, 3, 2}} {
		b := state.AppendObject(nil, &tc.object)
		assert.Equal(t, tc.volatile, b[1])
		again, err := state.DecodeObject(b)
		require.NoError(t, err)
		assert.Equal(t, tc.object, *again)

		s := sample()
		s.Volatile.Objects = []state.Object{tc.object}
		s.Objects.List = []state.PersistentObject{{Handle: 0x81000000, Object: tc.object}}
		encoded := s.EncodeSnapshot(nil)
		versions := map[byte]byte{}
		for at := 12; at < len(encoded)-32; {
			versions[encoded[at+1]] = encoded[at+3]
			at += 8 + int(binary.BigEndian.Uint32(encoded[at+4:]))
		}
		assert.Equal(t, tc.volatile, versions[5])
		assert.Equal(t, tc.persisted, versions[7])
		decoded, err := state.Decode(encoded)
		require.NoError(t, err)
		assert.Equal(t, encoded, decoded.EncodeSnapshot(nil))
	}
	// In an older version nothing is as long.
	b := state.AppendObject(nil, &large)
	b[1] = 2
	_, err := state.DecodeObject(b)
	var bad *state.FormatError
	require.ErrorAs(t, err, &bad)
	assert.Contains(t, err.Error(), "too long")
}
