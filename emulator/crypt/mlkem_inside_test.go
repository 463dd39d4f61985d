package crypt

import (
	"bytes"
	"crypto/mlkem"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Keys are those of the standard library for the sets that it has.
func TestMLKEMKeysLikeLibrary(t *testing.T) {
	t.Parallel()
	r := rand.NewChaCha8([32]byte{1})
	for round := range 100 {
		seed, m := make([]byte, 64), make([]byte, 32)
		r.Read(seed)
		r.Read(m)
		for _, set := range []wire.MLKEMParameterSet{wire.MLKEM768, wire.MLKEM1024} {
			mine, err := NewMLKEMKey(set, seed)
			require.NoError(t, err)
			var theirs interface {
				Decapsulate([]byte) ([]byte, error)
			}
			var public []byte
			if set == wire.MLKEM768 {
				key, err := mlkem.NewDecapsulationKey768(seed)
				require.NoError(t, err)
				theirs, public = key, key.EncapsulationKey().Bytes()
			} else {
				key, err := mlkem.NewDecapsulationKey1024(seed)
				require.NoError(t, err)
				theirs, public = key, key.EncapsulationKey().Bytes()
			}
			require.Equal(t, public, mine.encoded)
			_, ciphertext, err := mine.Encapsulate(bytes.NewReader(m))
			require.NoError(t, err)
			if round%2 == 1 {
				ciphertext[round*len(ciphertext)/100] ^= 0x10
			}
			want, err := theirs.Decapsulate(ciphertext)
			require.NoError(t, err)
			got, err := mine.Decapsulate(ciphertext)
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
	}
}
