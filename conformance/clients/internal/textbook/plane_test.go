package textbook_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/elliptic"
	"crypto/sha256"
	"math/big"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/conformance/clients/internal/textbook"
)

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
