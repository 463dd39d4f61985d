package state_test

import (
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
	b[1]++
	var version *state.VersionError
	_, err = state.DecodeObject(b)
	require.ErrorAs(t, err, &version)
	_, err = state.DecodeSession(nil, 0)
	require.ErrorAs(t, err, &version)
}
