package lattice_test

import (
	"bytes"
	"crypto"
	"crypto/mlkem"
	"crypto/mlkem/mlkemtest"
	"crypto/sha256"
	"math/rand/v2"
	"testing"

	"filippo.io/mldsa"
	"filippo.io/mldsa/mldsacrypto"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/conformance/differential/lattice"
	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// random are n bytes of a generator that gives the same each time.
func random(rng *rand.ChaCha8, n int) []byte {
	b := make([]byte, n)
	rng.Read(b)
	return b
}

// The library has ML-KEM-768 and -1024, and of -512 there is the engine's.
func TestMLKEMIsThatOfTheLibrary(t *testing.T) {
	t.Parallel()
	rng := rand.NewChaCha8([32]byte{203})
	for set := uint16(1); set <= 3; set++ {
		kem := lattice.NewMLKEM(set)
		for range 4 {
			seed, m := random(rng, lattice.SeedSize), random(rng, 32)
			public := kem.Public(seed)
			require.Len(t, public, kem.PublicSize())
			shared, ciphertext := kem.Encapsulate(public, m)
			require.Len(t, ciphertext, kem.CiphertextSize())
			changed := bytes.Clone(ciphertext)
			changed[len(changed)-1] ^= 1

			other := decapsulator(t, set, seed, public, m, shared, ciphertext)
			for _, c := range [][]byte{ciphertext, changed, random(rng, len(ciphertext))} {
				want, err := other(c)
				require.NoError(t, err)
				assert.Equal(t, want, kem.Decapsulate(seed, c), "parameter set %d", set)
			}
			assert.Equal(t, shared, kem.Decapsulate(seed, ciphertext))
			assert.NotEqual(t, shared, kem.Decapsulate(seed, changed))
		}
	}
}

// decapsulator is another implementation, which is asked for the key and a ciphertext too.
func decapsulator(t *testing.T, set uint16, seed, public, m, shared, ciphertext []byte) func([]byte) ([]byte, error) {
	t.Helper()
	switch set {
	case 2:
		k, err := mlkem.NewDecapsulationKey768(seed)
		require.NoError(t, err)
		assert.Equal(t, k.EncapsulationKey().Bytes(), public)
		wantShared, want, err := mlkemtest.Encapsulate768(k.EncapsulationKey(), m)
		require.NoError(t, err)
		assert.Equal(t, [][]byte{wantShared, want}, [][]byte{shared, ciphertext})
		return k.Decapsulate
	case 3:
		k, err := mlkem.NewDecapsulationKey1024(seed)
		require.NoError(t, err)
		assert.Equal(t, k.EncapsulationKey().Bytes(), public)
		wantShared, want, err := mlkemtest.Encapsulate1024(k.EncapsulationKey(), m)
		require.NoError(t, err)
		assert.Equal(t, [][]byte{wantShared, want}, [][]byte{shared, ciphertext})
		return k.Decapsulate
	}
	k, err := crypt.NewMLKEMKey(wire.MLKEM512, seed)
	require.NoError(t, err)
	assert.Equal(t, k.Public(), public)
	return k.Decapsulate
}

// Signatures of the library verify, of a message, of µ and of a digest; what is changed
// does not.
func TestMLDSAVerifiesTheLibrary(t *testing.T) {
	t.Parallel()
	rng := rand.NewChaCha8([32]byte{204})
	for i, parameters := range []mldsa.Parameters{mldsa.MLDSA44(), mldsa.MLDSA65(), mldsa.MLDSA87()} {
		dsa := lattice.NewMLDSA(uint16(i + 1))
		k, err := mldsa.NewPrivateKey(parameters, random(rng, 32))
		require.NoError(t, err)
		public := k.PublicKey().Bytes()
		require.Len(t, public, dsa.PublicSize())
		for _, context := range []string{"", "a context"} {
			message := random(rng, 100)
			signature, err := k.SignDeterministic(message, &mldsa.Options{Context: context})
			require.NoError(t, err)
			require.Len(t, signature, dsa.SignatureSize())
			mu := lattice.Mu(public, []byte(context), message)
			assert.True(t, dsa.VerifyMu(public, mu, signature), parameters)
			assert.False(t, dsa.VerifyMu(public, lattice.Mu(public, []byte("another"), message), signature))
			assert.False(t, dsa.VerifyMu(public, mu, signature[1:]))
			assert.False(t, dsa.VerifyMu(public[1:], mu, signature))
			for range 12 {
				changed := bytes.Clone(signature)
				changed[rng.Uint64()%uint64(len(changed))] ^= 1 << (rng.Uint64() % 8)
				assert.False(t, dsa.VerifyMu(public, mu, changed))
				assert.Error(t, mldsa.Verify(k.PublicKey(), message, changed, &mldsa.Options{Context: context}))
			}
			changed := bytes.Clone(signature)
			changed[len(changed)-9] = 1 // after the last hint
			assert.False(t, dsa.VerifyMu(public, mu, changed), "hints have one form")
		}
		oid := []byte{6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1}
		digest := sha256.Sum256([]byte("message"))
		mu := lattice.HashMu(public, []byte("c"), oid, digest[:])
		signature, err := k.SignDeterministic(mu, externalMu{})
		require.NoError(t, err)
		assert.True(t, dsa.VerifyMu(public, mu, signature))
		assert.False(t, dsa.VerifyMu(public, lattice.Mu(public, []byte("c"), append(oid, digest[:]...)), signature))
	}
}

// externalMu has the library sign µ.
type externalMu struct{}

func (externalMu) HashFunc() crypto.Hash { return mldsacrypto.MLDSAMu }

func BenchmarkVerifyMu(b *testing.B) {
	k, err := mldsa.NewPrivateKey(mldsa.MLDSA65(), make([]byte, 32))
	require.NoError(b, err)
	public := k.PublicKey().Bytes()
	signature, err := k.SignDeterministic(nil, nil)
	require.NoError(b, err)
	mu := lattice.Mu(public, nil, nil)
	for b.Loop() {
		if !lattice.NewMLDSA(2).VerifyMu(public, mu, signature) {
			b.Fatal("does not verify")
		}
	}
}
