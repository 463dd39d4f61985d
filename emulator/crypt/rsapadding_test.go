package crypt

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

var paddingHashes = []wire.AlgID{wire.AlgSHA1, wire.AlgSHA256, wire.AlgSHA384, wire.AlgSHA512,
	wire.AlgSHA3_256, wire.AlgSHA3_384, wire.AlgSHA3_512, wire.AlgNull}

func TestPSSSaltSize(t *testing.T) {
	t.Parallel()
	assert.Equal(t, 32, PSSSaltSize(32, 128))
	assert.Equal(t, 62, PSSSaltSize(64, 128))
	assert.Equal(t, 0, PSSSaltSize(64, 66))
	assert.Equal(t, 0, PSSSaltSize(64, 60))
}

func TestPaddingNeedsRoom(t *testing.T) {
	t.Parallel()
	code := func(err error) wire.RC {
		var e *Error
		require.ErrorAs(t, err, &e)
		return e.Code
	}
	_, err := padSSA(wire.AlgSHA512, make([]byte, 64), 19+64+10)
	assert.Equal(t, wire.RCSize, code(err))
	_, err = padSSA(wire.AlgSHA512, make([]byte, 64), 19+64+11)
	assert.NoError(t, err)
	_, err = padPSS(drbg(1), wire.AlgSHA512, nil, 65)
	assert.Equal(t, wire.RCSize, code(err))
	em, err := padPSS(drbg(1), wire.AlgSHA512, nil, 66)
	require.NoError(t, err)
	assert.True(t, checkPSS(wire.AlgSHA512, nil, em))
}

// What padding gives, and what is left of it after any one byte was changed.
func TestPaddingIsExact(t *testing.T) {
	t.Parallel()
	message, label := []byte("message"), []byte("label\x00")
	for i := range 128 {
		em, err := padOAEP(drbg(1), wire.AlgSHA256, label, message, 128)
		require.NoError(t, err)
		em[i] ^= 1
		_, err = unpadOAEP(wire.AlgSHA256, label, em)
		assert.Error(t, err, "OAEP byte %d", i)

		em, err = padPSS(drbg(1), wire.AlgSHA256, message, 128)
		require.NoError(t, err)
		em[i] ^= 1
		assert.False(t, checkPSS(wire.AlgSHA256, message, em), "PSS byte %d", i)
	}
	em, err := padES(drbg(1), message, 128)
	require.NoError(t, err)
	for _, i := range []int{0, 1} {
		bad := bytes.Clone(em)
		bad[i] ^= 1
		_, err = unpadES(bad)
		assert.Error(t, err, "RSAES byte %d", i)
	}
	for i, ok := range map[int]bool{2: false, 9: false, 10: true} {
		bad := bytes.Clone(em)
		bad[i] = 0
		_, err = unpadES(bad)
		assert.Equal(t, ok, err == nil, "RSAES with a zero at %d", i)
	}
	_, err = unpadES(bytes.Repeat([]byte{1}, 128))
	assert.Error(t, err)
	noEnd := bytes.Repeat([]byte{1}, 128)
	noEnd[0], noEnd[1] = 0, 2
	_, err = unpadES(noEnd)
	assert.Error(t, err)
}

// A block of OAEP with the right label in which something other than 1, or
// nothing, separates the message from the zeros.
func TestOAEPWantsItsSeparator(t *testing.T) {
	t.Parallel()
	const h = 32
	for separator, ok := range map[byte]bool{0: false, 1: true, 2: false} {
		em := make([]byte, 128)
		seed, db := em[1:1+h], em[1+h:]
		copy(db, Digest(wire.AlgSHA256, nil, []byte("label")))
		db[len(db)-1] = separator
		MGF1(wire.AlgSHA256, db, seed)
		MGF1(wire.AlgSHA256, seed, db)
		message, err := unpadOAEP(wire.AlgSHA256, []byte("label"), em)
		assert.Equal(t, ok, err == nil, "%d", separator)
		assert.Empty(t, message)
	}
}

func FuzzPad(f *testing.F) {
	f.Add(uint8(1), 128, []byte("label\x00"), []byte("message"))
	f.Add(uint8(3), 256, []byte(nil), make([]byte, 190))
	f.Fuzz(func(t *testing.T, h uint8, size int, label, message []byte) {
		if size < 0 || size > 1024 {
			return
		}
		hash := paddingHashes[int(h)%len(paddingHashes)]
		if em, err := padOAEP(drbg(h), hash, label, message, size); err == nil {
			got, err := unpadOAEP(hash, label, em)
			require.NoError(t, err)
			require.True(t, bytes.Equal(message, got))
		}
		if em, err := padES(drbg(h), message, size); err == nil {
			got, err := unpadES(em)
			require.NoError(t, err)
			require.True(t, bytes.Equal(message, got))
		}
		if em, err := padPSS(drbg(h), hash, message, size); err == nil {
			require.True(t, checkPSS(hash, message, em))
		}
		if em, err := padSSA(hash, message, size); err == nil {
			require.Len(t, em, size)
		}
	})
}

func FuzzUnpad(f *testing.F) {
	message := []byte("message")
	oaep, err := padOAEP(drbg(1), wire.AlgSHA256, nil, message, 128)
	require.NoError(f, err)
	pss, err := padPSS(drbg(1), wire.AlgSHA256, message, 128)
	require.NoError(f, err)
	es, err := padES(drbg(1), message, 128)
	require.NoError(f, err)
	for _, em := range [][]byte{oaep, pss, es, nil} {
		f.Add(uint8(1), []byte(nil), em)
	}
	f.Fuzz(func(t *testing.T, h uint8, label, em []byte) {
		hash := paddingHashes[int(h)%len(paddingHashes)]
		if got, err := unpadES(bytes.Clone(em)); err == nil {
			require.LessOrEqual(t, len(got), len(em)-11)
		}
		if got, err := unpadOAEP(hash, label, bytes.Clone(em)); err == nil {
			require.LessOrEqual(t, len(got), len(em)-2*HashSize(hash)-2)
		}
		checkPSS(hash, label, bytes.Clone(em))
	})
}
