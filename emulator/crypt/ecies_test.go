package crypt_test

import (
	"math/big"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

func TestECCEncryptionIsItsInverse(t *testing.T) {
	t.Parallel()
	gen := crypt.NewPrimaryGenerator([]byte("ecies"), nil, nil)
	for _, id := range []wire.Curve{wire.CurveNISTP256, wire.CurveNISTP521, wire.CurveBNP256} {
		c := crypt.CurveOf(id)
		d, q, err := c.GenerateKey(gen)
		require.NoError(t, err)
		for _, n := range []int{0, 1, 32, 33, 1024} {
			data := make([]byte, n)
			gen.Read(data)
			c1, c2, c3, err := c.Encrypt(gen, q, wire.AlgSHA256, data)
			require.NoError(t, err)
			require.Len(t, c2, n)
			got, err := c.Decrypt(d, c1, wire.AlgSHA256, c2, c3)
			require.NoError(t, err)
			assert.Equal(t, data, got)
			c3[0] ^= 1
			_, err = c.Decrypt(d, c1, wire.AlgSHA256, c2, c3)
			var refused *crypt.Error
			require.ErrorAs(t, err, &refused)
			assert.Equal(t, wire.RCValue, refused.Code)
		}
		_, err = c.Decrypt(c.N, c.BaseMult(big.NewInt(2)), wire.AlgSHA256, nil, nil)
		var refused *crypt.Error
		require.ErrorAs(t, err, &refused)
		assert.Equal(t, wire.RCNoResult, refused.Code)
	}
}

func TestKDF2WithoutHash(t *testing.T) {
	t.Parallel()
	out := []byte{1, 2}
	crypt.KDF2(wire.AlgRSA, out, []byte("z"))
	assert.Equal(t, []byte{1, 2}, out)
}
