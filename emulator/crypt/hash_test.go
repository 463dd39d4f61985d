package crypt_test

import (
	"bytes"
	"encoding/hex"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// hashes are all hash algorithms of the table.
func hashes(t *testing.T) []wire.AlgID {
	var list []wire.AlgID
	for _, a := range crypt.Algorithms() {
		if a.Roles&wire.RoleHash != 0 {
			list = append(list, a.ID)
		}
	}
	require.Len(t, list, 10)
	return list
}

// supported are the hash algorithms that revision 1.59 of the library has, which other
// tests of this package have examples for.
func supported(t *testing.T) []wire.AlgID {
	list := slices.DeleteFunc(hashes(t), func(alg wire.AlgID) bool { return alg >= wire.AlgSHAKE256_192 })
	require.Len(t, list, 7)
	return list
}

// Digests of "abc" from the examples to FIPS 180-4 and FIPS 202, cut to the
// first eight octets.
var abc = map[wire.AlgID]string{
	wire.AlgSHA1:     "a9993e364706816a",
	wire.AlgSHA256:   "ba7816bf8f01cfea",
	wire.AlgSHA384:   "cb00753f45a35e8b",
	wire.AlgSHA512:   "ddaf35a193617aba",
	wire.AlgSHA3_256: "3a985da74fe225b2",
	wire.AlgSHA3_384: "ec01498288516fc9",
	wire.AlgSHA3_512: "b751850b1a57168a",

	wire.AlgSHAKE256_192: "483366601360a877", wire.AlgSHAKE256_256: "483366601360a877", wire.AlgSHAKE256_512: "483366601360a877",
}

func TestDigest(t *testing.T) {
	t.Parallel()
	for _, alg := range hashes(t) {
		d := crypt.Digest(alg, []byte("x"), []byte("abc"))
		assert.Equal(t, "78"+abc[alg], hex.EncodeToString(d[:9]), alg)
		assert.Len(t, d, 1+crypt.HashSize(alg), alg)

		h := crypt.NewHash(alg)
		h.Write([]byte("abc"))
		assert.Equal(t, d[1:], h.Sum(nil), alg)
	}
	assert.Equal(t, []byte("x"), crypt.Digest(wire.AlgSM3_256, []byte("x"), nil))
	assert.Nil(t, crypt.NewHash(wire.AlgSM3_256))
	assert.Zero(t, crypt.HashSize(wire.AlgNull))
}

func TestExtend(t *testing.T) {
	t.Parallel()
	for _, alg := range hashes(t) {
		n := crypt.HashSize(alg)
		pcr, digest := make([]byte, n), crypt.Digest(alg, nil, []byte("event"))
		want := crypt.Digest(alg, nil, append(make([]byte, n), digest...))
		crypt.Extend(alg, pcr, digest)
		assert.Equal(t, want, pcr, alg)
	}
}

func TestExtendDoesNotAllocate(t *testing.T) {
	for _, alg := range hashes(t) {
		pcr, digest := make([]byte, crypt.HashSize(alg)), make([]byte, crypt.HashSize(alg))
		assert.Zero(t, testing.AllocsPerRun(10, func() { crypt.Extend(alg, pcr, digest) }), alg)
	}
}

func TestHashStateRoundTrip(t *testing.T) {
	t.Parallel()
	for _, alg := range hashes(t) {
		h := crypt.NewHash(alg)
		h.Write([]byte("a message in "))
		b := crypt.MarshalHash(h)
		assert.LessOrEqual(t, len(b), 224, "state.HashState has room for it")
		g, err := crypt.UnmarshalHash(alg, b)
		require.NoError(t, err, alg)
		h.Write([]byte("two parts"))
		g.Write([]byte("two parts"))
		assert.Equal(t, h.Sum(nil), g.Sum(nil), alg)

		_, err = crypt.UnmarshalHash(alg, b[:len(b)-1])
		var bad *crypt.HashStateError
		require.ErrorAs(t, err, &bad, alg)
		assert.Equal(t, alg, bad.Alg)

		if crypt.BlockSize(alg) > 64 && alg != wire.AlgSHA384 && alg != wire.AlgSHA512 {
			for at, v := range map[int]int{1: 1, 2: crypt.BlockSize(alg)} { // it gives output; more waits than a block has
				changed := bytes.Clone(b)
				changed[len(b)-at] = byte(v)
				_, err = crypt.UnmarshalHash(alg, changed)
				require.ErrorAs(t, err, &bad, alg)
			}
		}
	}
	_, err := crypt.UnmarshalHash(wire.AlgNull, nil)
	var un *crypt.UnsupportedError
	require.ErrorAs(t, err, &un)
}

// RFC 4231, test case 2, and RFC 2202 for SHA-1.
func TestHMAC(t *testing.T) {
	t.Parallel()
	want := map[wire.AlgID]string{
		wire.AlgSHA1:   "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79",
		wire.AlgSHA256: "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
	}
	for alg, w := range want {
		assert.Equal(t, w, hex.EncodeToString(crypt.HMAC(alg, []byte("Jefe"), []byte("what do ya want "), []byte("for nothing?"))))
	}
	assert.Nil(t, crypt.HMAC(wire.AlgNull, []byte("Jefe")))
}
