package crypt

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Encapsulation with the ephemeral keys of RFC 9180, and decapsulation.
func TestDHKEMVectors(t *testing.T) {
	t.Parallel()
	var file struct {
		Vectors []struct {
			KEM                                            uint16
			Ephemeral, Private, Public, Ciphertext, Shared string
		}
	}
	b, err := os.ReadFile("testdata/vectors/dhkem_rfc9180.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &file))
	require.Len(t, file.Vectors, 16)
	asked := 0
	for _, v := range file.Vectors {
		for i := range dhkems {
			k := &dhkems[i]
			if k.id != v.KEM {
				continue
			}
			public, err := k.decode(octets(v.Public))
			require.NoError(t, err)
			shared, ciphertext, err := k.encapsulate(octets(v.Ephemeral), public)
			require.NoError(t, err)
			assert.Equal(t, v.Shared, hex.EncodeToString(shared))
			assert.Equal(t, v.Ciphertext, hex.EncodeToString(ciphertext))
			shared, err = k.Decapsulate(octets(v.Private), ciphertext)
			require.NoError(t, err)
			assert.Equal(t, v.Shared, hex.EncodeToString(shared))
			asked++
		}
	}
	assert.Equal(t, len(file.Vectors), asked)
}
