package state_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/state"
)

func key(t testing.TB, secret string) *state.Key {
	t.Helper()
	k, err := state.NewKey([]byte(secret))
	require.NoError(t, err)
	return k
}

const (
	secret128 = "0123456789abcdef"
	secret256 = secret128 + "fedcba9876543210"
)

func TestSealed(t *testing.T) {
	for _, secret := range []string{secret128, secret256} {
		k := key(t, secret)
		for size := range 50 {
			plain := bytes.Repeat([]byte{'p'}, size)
			sealed, err := k.Seal([]byte("before"), state.SealedState, plain)
			require.NoError(t, err)
			require.True(t, bytes.HasPrefix(sealed, []byte("before")))
			sealed = sealed[len("before"):]
			assert.True(t, state.Sealed(sealed))
			if size > 2 {
				assert.NotContains(t, string(sealed), string(plain))
			}
			opened, err := k.Open(state.SealedState, sealed)
			require.NoError(t, err)
			assert.Equal(t, plain, opened)
			again, err := k.Seal(nil, state.SealedState, plain)
			require.NoError(t, err)
			assert.NotEqual(t, sealed, again, "the same state is not recognized")
			for bit := range 8 * len(sealed) {
				flipped := bytes.Clone(sealed)
				flipped[bit/8] ^= 1 << (bit % 8)
				_, err := k.Open(state.SealedState, flipped)
				require.Error(t, err, "bit %d", bit)
			}
		}
	}
}

// Each reason why bytes do not open is an error of its own.
func TestWhatDoesNotOpen(t *testing.T) {
	k := key(t, secret128)
	sealed, err := k.Seal(nil, state.SealedState, []byte("state"))
	require.NoError(t, err)
	var none *state.Key
	opened, err := none.Open(state.SealedState, []byte("plain"))
	require.NoError(t, err)
	assert.Equal(t, "plain", string(opened))
	_, err = none.Open(state.SealedState, sealed)
	require.ErrorIs(t, err, state.ErrNeedsKey)
	_, err = k.Open(state.SealedState, []byte("plain"))
	require.ErrorIs(t, err, state.ErrNotSealed)
	_, err = key(t, "another key's 16").Open(state.SealedState, sealed)
	require.ErrorIs(t, err, state.ErrWrongKey)
	var size *state.KeySizeError
	_, err = key(t, secret256).Open(state.SealedState, sealed)
	require.ErrorAs(t, err, &size)
	assert.Equal(t, state.KeySizeError{Bits: 256, Need: 128}, *size)
	var format *state.FormatError
	_, err = k.Open(state.SealedVolatile, sealed)
	require.ErrorAs(t, err, &format)
	_, err = k.Open(state.SealedState, sealed[:len(sealed)-1])
	require.ErrorAs(t, err, &format)
	newer := bytes.Clone(sealed)
	newer[9] = 2
	var version *state.VersionError
	_, err = k.Open(state.SealedState, newer)
	require.ErrorAs(t, err, &version)
	_, err = state.NewKey([]byte("short"))
	require.ErrorAs(t, err, &size)
	assert.ErrorContains(t, err, "a key of 40 bits: one for AES has 128 or 256")
}

func FuzzOpen(f *testing.F) {
	k := key(f, secret128)
	sealed, err := k.Seal(nil, state.SealedState, []byte("state"))
	require.NoError(f, err)
	f.Add(sealed, uint16(state.SealedState))
	f.Add(sealed[:len(sealed)-16], uint16(state.SealedState))
	f.Add([]byte("swtpmdSE"), uint16(0))
	f.Add([]byte{}, uint16(0))
	f.Fuzz(func(t *testing.T, b []byte, purpose uint16) {
		plain, err := k.Open(state.Purpose(purpose), b)
		if err == nil {
			// Each process of the fuzzer has sealed a seed of its own.
			require.Equal(t, "state", string(plain), "nobody else has the key")
		}
	})
}
