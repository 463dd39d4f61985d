package crypt_test

import (
	"encoding/hex"
	"math/big"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Both parties get the same.
func TestZGen2PhaseAgrees(t *testing.T) {
	t.Parallel()
	for _, id := range every {
		c, gen := crypt.CurveOf(id), seeded(4)
		key := func() (*big.Int, crypt.Point) {
			d, q, err := c.GenerateKey(gen)
			require.NoError(t, err)
			return d, q
		}
		ds, qs := key()
		de, qe := key()
		es, rs := key()
		ee, re := key()
		for _, scheme := range []wire.AlgID{wire.AlgECDH, wire.AlgECMQV, wire.AlgSM2} {
			a1, a2, err := c.ZGen2Phase(scheme, ds, de, rs, re)
			require.NoError(t, err)
			b1, b2, err := c.ZGen2Phase(scheme, es, ee, qs, qe)
			require.NoError(t, err)
			assert.True(t, a1.Equal(b1) && a2.Equal(b2), "%#x %v", id, scheme)
			assert.Equal(t, scheme == wire.AlgECDH, !a2.Infinity())
			c1, _, err := c.ZGen2Phase(scheme, de, de, rs, re)
			require.NoError(t, err)
			assert.False(t, a1.Equal(c1), "another static key")
			_, c2, err := c.ZGen2Phase(scheme, ds, ds, rs, re)
			require.NoError(t, err)
			assert.Equal(t, scheme != wire.AlgECDH, a2.Equal(c2))

			_, _, err = c.ZGen2Phase(scheme, new(big.Int), new(big.Int), rs, re)
			assertCode(t, wire.RCNoResult, err)
		}
		_, _, err := c.ZGen2Phase(wire.AlgECDH, ds, new(big.Int), rs, re)
		assertCode(t, wire.RCNoResult, err)
		_, _, err = c.ZGen2Phase(wire.AlgECDSA, ds, de, rs, re)
		assertCode(t, wire.RCScheme, err)
	}
}

// The MQV point written down with the numbers of SP 800-56A, section 5.7.2: for
// P-256 the lower 128 bits of x and 2^128.
func TestECMQVOnP256(t *testing.T) {
	t.Parallel()
	c, gen := crypt.CurveOf(wire.CurveNISTP256), seeded(5)
	ds, _, err := c.GenerateKey(gen)
	require.NoError(t, err)
	de, qe, err := c.GenerateKey(gen)
	require.NoError(t, err)
	es, rs, err := c.GenerateKey(gen)
	require.NoError(t, err)
	ee, re, err := c.GenerateKey(gen)
	require.NoError(t, err)
	avf := func(p crypt.Point) *big.Int {
		x, _ := c.EncodePoint(p)
		return new(big.Int).SetBytes(append([]byte{1}, x[16:]...))
	}
	ours := new(big.Int).Add(de, new(big.Int).Mul(avf(qe), ds))
	theirs := new(big.Int).Add(ee, new(big.Int).Mul(avf(re), es))
	want := c.BaseMult(ours.Mul(ours, theirs))
	got, _, err := c.ZGen2Phase(wire.AlgECMQV, ds, de, rs, re)
	require.NoError(t, err)
	assert.True(t, want.Equal(got))
}

// The SM2 point written down with the numbers of GB/T 32918.3: the lower 127 bits
// of x and 2^127.
func TestSM2KeyExchange(t *testing.T) {
	t.Parallel()
	c, gen := crypt.CurveOf(wire.CurveSM2P256), seeded(6)
	ds, _, err := c.GenerateKey(gen)
	require.NoError(t, err)
	de, qe, err := c.GenerateKey(gen)
	require.NoError(t, err)
	es, rs, err := c.GenerateKey(gen)
	require.NoError(t, err)
	ee, re, err := c.GenerateKey(gen)
	require.NoError(t, err)
	bar := func(p crypt.Point) *big.Int {
		x, _ := c.EncodePoint(p)
		x[16] |= 0x80
		return new(big.Int).SetBytes(x[16:])
	}
	ours := new(big.Int).Add(ds, new(big.Int).Mul(bar(qe), de))
	theirs := new(big.Int).Add(es, new(big.Int).Mul(bar(re), ee))
	want := c.BaseMult(ours.Mul(ours, theirs))
	got, _, err := c.ZGen2Phase(wire.AlgSM2, ds, de, rs, re)
	require.NoError(t, err)
	assert.True(t, want.Equal(got))
}

// The example of GB/T 32918.5, annex A, with the digest and the ephemeral key
// given there.
func TestSM2KnownAnswer(t *testing.T) {
	t.Parallel()
	c := crypt.CurveOf(wire.CurveSM2P256)
	d := hexInt(t, "3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8")
	digest := unhex(t, "F0B43E94BA45ACCAACE692ED534382EB17E6AB5A19CE7B31F4486FDFC0D28640")
	k := hexInt(t, "59276E27D506861A16680F3AD9C02DCCEF3CC1FA3CDBE4CE6D54B80DEAC1BC21")
	r, s, err := c.SignSM2(drawn(c, k), d, digest)
	require.NoError(t, err)
	assert.Equal(t, "f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3", hex.EncodeToString(c.EncodeScalar(r)))
	assert.Equal(t, "b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa", hex.EncodeToString(c.EncodeScalar(s)))
	q := c.BaseMult(d)
	assert.True(t, c.VerifySM2(q, digest, r, s))

	one := big.NewInt(1)
	assert.False(t, c.VerifySM2(q, digest[1:], r, s))
	assert.False(t, c.VerifySM2(c.Base(), digest, r, s))
	assert.False(t, c.VerifySM2(q, digest, new(big.Int).Add(r, one), s))
	assert.False(t, c.VerifySM2(q, digest, r, new(big.Int).Add(s, c.N)))
	assert.False(t, c.VerifySM2(q, digest, new(big.Int), s))
	assert.False(t, c.VerifySM2(q, digest, r, new(big.Int).Sub(c.N, r)), "r + s = 0")

	_, _, err = c.SignSM2(&broken{}, d, digest)
	assert.ErrorContains(t, err, "no entropy")
	_, _, err = c.SignSM2(seeded(1), new(big.Int).Sub(c.N, one), digest)
	assertCode(t, wire.RCNoResult, err)
}
