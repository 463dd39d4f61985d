package textbook_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/elliptic"
	"crypto/mlkem"
	"crypto/sha256"
	"math/big"
	"math/rand/v2"
	"testing"

	"filippo.io/mldsa"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/conformance/clients/internal/textbook"
)

// What the library signs is verified, and nothing with one octet changed; µ is the
// library's because its signatures of messages are.
func TestVerifyLikeTheLibrary(t *testing.T) {
	t.Parallel()
	r := rand.NewChaCha8([32]byte{204})
	for _, c := range []struct {
		set     textbook.MLDSA
		library mldsa.Parameters
	}{{textbook.MLDSA44, mldsa.MLDSA44()}, {textbook.MLDSA65, mldsa.MLDSA65()}, {textbook.MLDSA87, mldsa.MLDSA87()}} {
		seed, message := make([]byte, 32), make([]byte, 100)
		r.Read(seed)
		r.Read(message)
		key, err := mldsa.NewPrivateKey(c.library, seed)
		require.NoError(t, err)
		signature, err := key.SignDeterministic(message, &mldsa.Options{Context: "context"})
		require.NoError(t, err)
		public := key.PublicKey().Bytes()
		mu := textbook.MuOfMessage(public, []byte("context"), message)
		assert.True(t, c.set.Verify(public, mu, signature), c.library)
		last := len(signature) - 1
		for _, at := range []int{0, 40, 1000, last - c.set.K - c.set.Omega + 1, last - c.set.K, last} {
			bad := bytes.Clone(signature)
			bad[at] ^= 1
			assert.False(t, c.set.Verify(public, mu, bad), "%v: octet %d", c.library, at)
		}
		assert.False(t, c.set.Verify(public, textbook.MuOfMessage(public, nil, message), signature))
		assert.False(t, c.set.Verify(public[1:], mu, signature))
		assert.False(t, c.set.Verify(public, mu, signature[1:]))
	}
}

// Keys, secrets and the secrets of changed ciphertexts are the library's.
func TestMLKEMLikeTheLibrary(t *testing.T) {
	t.Parallel()
	r := rand.NewChaCha8([32]byte{203})
	seed, random := make([]byte, 64), make([]byte, 32)
	for range 3 {
		r.Read(seed)
		r.Read(random)
		library768, err := mlkem.NewDecapsulationKey768(seed)
		require.NoError(t, err)
		library1024, err := mlkem.NewDecapsulationKey1024(seed)
		require.NoError(t, err)
		for _, c := range []struct {
			set         textbook.MLKEM
			public      []byte
			encapsulate func() (shared, ciphertext []byte)
			decapsulate func(ciphertext []byte) ([]byte, error)
		}{
			{textbook.MLKEM768, library768.EncapsulationKey().Bytes(), library768.EncapsulationKey().Encapsulate, library768.Decapsulate},
			{textbook.MLKEM1024, library1024.EncapsulationKey().Bytes(), library1024.EncapsulationKey().Encapsulate, library1024.Decapsulate},
			{textbook.MLKEM512, nil, nil, nil}, // by itself
		} {
			key := c.set.NewDecapsulationKey(seed)
			shared, ciphertext := c.set.Encapsulate(key.Public(), random)
			assert.Equal(t, shared, key.Decapsulate(ciphertext))
			if c.public == nil {
				continue
			}
			require.Equal(t, c.public, key.Public())
			for range 2 {
				got, err := c.decapsulate(ciphertext)
				require.NoError(t, err)
				assert.Equal(t, got, key.Decapsulate(ciphertext))
				ciphertext[100] ^= 4
			}
			want, ciphertext := c.encapsulate()
			assert.Equal(t, want, key.Decapsulate(ciphertext))
		}
	}
}

// Points are those of crypto/ecdh, and a signature of SM2 is that of its digest only.
func TestPlane(t *testing.T) {
	t.Parallel()
	c := textbook.Plane{CurveParams: elliptic.P256().Params()}
	d := new(big.Int).SetBytes(bytes.Repeat([]byte{0x71}, 32))
	private, err := ecdh.P256().NewPrivateKey(d.Bytes())
	require.NoError(t, err)
	q := c.Multiple(d, c.Base())
	assert.Equal(t, private.PublicKey().Bytes()[1:], append(q.X.FillBytes(make([]byte, 32)), q.Y.FillBytes(make([]byte, 32))...))
	assert.Nil(t, c.Multiple(c.N, q).X)

	digest := c.SM2Digest(sha256.New, q, []byte("identity"), []byte("message"))
	r, s := c.SignSM2(d, big.NewInt(12345), digest)
	assert.True(t, c.VerifySM2(q, digest, r, s))
	assert.False(t, c.VerifySM2(q, c.SM2Digest(sha256.New, q, []byte("Identity"), []byte("message")), r, s))
	k := big.NewInt(999)
	r = c.Schnorr(sha256.New, c.Multiple(k, c.Base()).X, digest)
	s = new(big.Int).Mul(r, d)
	s.Add(s, k).Mod(s, c.N)
	assert.Zero(t, c.Commitment(q, r, s).X.Cmp(c.Multiple(k, c.Base()).X))
}
