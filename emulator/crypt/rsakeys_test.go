package crypt_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// generatorOf returns the generator of a primary object of a seed.
func generatorOf(seed byte) *crypt.DRBGState {
	return crypt.NewPrimaryGenerator([]byte{seed}, []byte("template"), nil)
}

// made is a key, and the generator when it was made.
type made struct {
	modulus, prime string
	after          crypt.DRBGState
}

func makeKey(k *crypt.RSAKeys, seed byte, o crypt.RSAOptions) (made, error) {
	gen := generatorOf(seed)
	modulus, prime, err := k.Make(gen, 1024, o)
	return made{string(modulus), string(prime), *gen}, err
}

func TestRSAKeysAreRemembered(t *testing.T) {
	t.Parallel()
	gen := generatorOf(1)
	key, err := crypt.GenerateRSA(gen, 1024, crypt.RSAOptions{})
	require.NoError(t, err)
	want := made{string(key.Modulus()), string(key.Prime()), *gen}

	keys := &crypt.RSAKeys{Limit: 2}
	// What is remembered does not search for primes, which this would end.
	never := crypt.RSAOptions{Canceled: func() bool { return true }}
	_, err = makeKey(keys, 1, never)
	assertCode(t, wire.RCCanceled, err)
	assert.Zero(t, keys.Len(), "what failed is not remembered")

	for _, o := range []crypt.RSAOptions{{}, never, never} {
		got, err := makeKey(keys, 1, o)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	other, err := makeKey(keys, 2, crypt.RSAOptions{})
	require.NoError(t, err)
	assert.NotEqual(t, want.modulus, other.modulus)
	_, err = makeKey(keys, 1, crypt.RSAOptions{Exponent: 0x10003, Canceled: never.Canceled})
	assertCode(t, wire.RCCanceled, err) // another exponent is another key

	_, err = makeKey(keys, 1, never) // now 2 was used least
	require.NoError(t, err)
	_, err = makeKey(keys, 3, crypt.RSAOptions{})
	require.NoError(t, err)
	assert.Equal(t, 2, keys.Len())
	_, err = makeKey(keys, 2, never)
	assertCode(t, wire.RCCanceled, err)
	_, err = makeKey(keys, 1, never)
	require.NoError(t, err)

	keys.Wipe()
	assert.Zero(t, keys.Len())
	_, err = makeKey(keys, 1, never)
	assertCode(t, wire.RCCanceled, err)
}

// What a caller is given is its own.
func TestRSAKeysGiveCopies(t *testing.T) {
	t.Parallel()
	var keys crypt.RSAKeys
	want, err := makeKey(&keys, 1, crypt.RSAOptions{})
	require.NoError(t, err)
	modulus, prime, err := keys.Make(generatorOf(1), 1024, crypt.RSAOptions{})
	require.NoError(t, err)
	clear(modulus)
	clear(prime)
	got, err := makeKey(&keys, 1, crypt.RSAOptions{})
	require.NoError(t, err)
	assert.Equal(t, want, got)
}

func TestNoRSAKeysRememberNothing(t *testing.T) {
	t.Parallel()
	var none *crypt.RSAKeys
	a, err := makeKey(none, 1, crypt.RSAOptions{})
	require.NoError(t, err)
	b, err := makeKey(none, 1, crypt.RSAOptions{})
	require.NoError(t, err)
	assert.Equal(t, a, b)
	none.Wipe()
	assert.Zero(t, none.Len())
}

// TPMs of one process share them.
func TestRSAKeysAreShared(t *testing.T) {
	t.Parallel()
	keys := &crypt.RSAKeys{Limit: 2}
	var all sync.WaitGroup
	got := make([]made, 8)
	errs := make([]error, len(got))
	for i := range got {
		all.Go(func() { got[i], errs[i] = makeKey(keys, byte(i%3), crypt.RSAOptions{}) })
		if i == 5 {
			all.Go(keys.Wipe)
		}
	}
	transporttest.Wait(t, &all)
	for i := range got {
		require.NoError(t, errs[i])
		assert.Equal(t, got[i%3], got[i])
	}
	assert.LessOrEqual(t, keys.Len(), 2)
}

func BenchmarkRSAKeysRemembered(b *testing.B) {
	var keys crypt.RSAKeys
	start := generatorOf(1)
	for b.Loop() {
		gen := *start
		if _, _, err := keys.Make(&gen, 2048, crypt.RSAOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}
