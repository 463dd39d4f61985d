package crypt

import (
	"crypto/sha512"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What is no SHA-512 digest is not verified, even if the key has signed it.
func TestEd25519phTakesDigests(t *testing.T) {
	t.Parallel()
	key, err := NewEd25519Key(make([]byte, Curve25519Key))
	require.NoError(t, err)
	public, err := newEd25519Public(key.Public())
	require.NoError(t, err)
	for _, n := range []int{0, sha512.Size - 1, sha512.Size, sha512.Size + 1} {
		digest := make([]byte, n)
		signature := key.sign(ed25519Domain, digest)
		assert.Equal(t, n == sha512.Size, VerifyEd25519ph(key.Public(), digest, signature))
		assert.Equal(t, n == sha512.Size, public.VerifyPrehashed(digest, signature))
	}
}
