package crypt_test

import (
	"bytes"
	"crypto/hmac"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

func TestHMACAgreesWithTheStandardLibrary(t *testing.T) {
	t.Parallel()
	for _, alg := range supported(t) {
		assert.Equal(t, crypt.NewHash(alg).BlockSize(), crypt.BlockSize(alg))
		for _, keySize := range []int{0, 1, 63, 64, 65, 104, 128, 136, 137, 200} {
			for _, size := range []int{0, 1, 500, 512, 513, 2000} {
				key, message := bytes.Repeat([]byte{0x5A}, keySize), bytes.Repeat([]byte{0x17}, size)
				std := hmac.New(stdHash[alg].New, key)
				std.Write(message)
				want := std.Sum([]byte("x"))
				half := size / 2
				assert.Equal(t, want, crypt.AppendHMAC(alg, []byte("x"), key, message[:half], nil, message[half:]), "%v %d %d", alg, keySize, size)

				m := crypt.NewHMAC(alg, key)
				require.Equal(t, alg, m.Alg())
				m.Write(message[:half])
				m.Write(message[half:])
				assert.Equal(t, want, m.Finish([]byte("x")))
				m.Reset()
				m.Write(message)
				assert.Equal(t, want, m.Finish([]byte("x")), "after Reset")
			}
		}
	}
	assert.Equal(t, []byte("x"), crypt.AppendHMAC(wire.AlgNull, []byte("x"), nil))
	assert.Nil(t, crypt.NewHMAC(wire.AlgNull, nil))
	assert.Zero(t, crypt.BlockSize(wire.AlgNull))
}

// RFC 4231, test cases 1, 6 and 7.
func TestHMACKnownAnswers(t *testing.T) {
	t.Parallel()
	long := bytes.Repeat([]byte{0xAA}, 131)
	for _, c := range []struct {
		alg       wire.AlgID
		key, data []byte
		want      string
	}{
		{wire.AlgSHA256, bytes.Repeat([]byte{0x0B}, 20), []byte("Hi There"), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
		{wire.AlgSHA256, long, []byte("Test Using Larger Than Block-Size Key - Hash Key First"), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
		{wire.AlgSHA256, long, []byte("This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed before being used by the HMAC algorithm."), "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
		{wire.AlgSHA384, bytes.Repeat([]byte{0x0B}, 20), []byte("Hi There"), "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6"},
	} {
		assert.Equal(t, c.want, hex.EncodeToString(crypt.AppendHMAC(c.alg, nil, c.key, c.data)))
	}
}

func TestShortHMACDoesNotAllocate(t *testing.T) {
	key, a, b, dst := make([]byte, 32), make([]byte, 64), make([]byte, 300), make([]byte, 0, 64)
	for _, alg := range hashes(t) {
		assert.Zero(t, testing.AllocsPerRun(10, func() { crypt.AppendHMAC(alg, dst, key, a, b) }), alg)
	}
}

// What a session does for each command: an HMAC of the command, one of the
// response, and the encryption of a parameter.
func TestSessionsAllocateLittle(t *testing.T) {
	key, nonces, data := make([]byte, 64), make([]byte, 64), make([]byte, 256)
	assert.EqualValues(t, 1, testing.AllocsPerRun(10, func() { crypt.HMAC(wire.AlgSHA256, key, nonces, data) }), "HMAC: the result")
	assert.EqualValues(t, 1, testing.AllocsPerRun(10, func() { crypt.KDFa(wire.AlgSHA256, key, "ATH", nonces[:32], nonces[32:], 256) }), "KDFa: the result")
	assert.EqualValues(t, 2, testing.AllocsPerRun(10, func() {
		k := crypt.KDFa(wire.AlgSHA256, key, "CFB", nonces[:32], nonces[32:], 256)
		block, err := crypt.NewBlockCipher(wire.AlgAES, k[:16])
		require.NoError(t, err)
		require.NoError(t, crypt.Encrypt(block, wire.AlgCFB, k[16:], data))
	}), "CFB: KDFa and the key schedule")
	assert.Zero(t, testing.AllocsPerRun(10, func() { crypt.XORObfuscation(wire.AlgSHA256, key, nonces[:32], nonces[32:], data) }))
}

func TestHMACStateRoundTrip(t *testing.T) {
	t.Parallel()
	for _, alg := range hashes(t) {
		m := crypt.NewHMAC(alg, []byte("key"))
		m.Write([]byte("a message in "))
		b, err := m.MarshalBinary()
		require.NoError(t, err)
		n, err := crypt.UnmarshalHMAC(b)
		require.NoError(t, err)
		m.Write([]byte("two parts"))
		n.Write([]byte("two parts"))
		want := crypt.AppendHMAC(alg, nil, []byte("key"), []byte("a message in two parts"))
		assert.Equal(t, want, m.Finish(nil))
		assert.Equal(t, want, n.Finish(nil))
		n.Reset()
		n.Write([]byte("a message in two parts"))
		assert.Equal(t, want, n.Finish(nil), "the key was restored too")

		for i := range b {
			_, err := crypt.UnmarshalHMAC(b[:i])
			var bad *crypt.HashStateError
			require.ErrorAs(t, err, &bad)
		}
	}
}

// RFC 4493, section 4.
func TestCMACKnownAnswers(t *testing.T) {
	t.Parallel()
	key, message := unhex(t, "2b7e151628aed2a6abf7158809cf4f3c"), unhex(t, sp80038a)
	for n, want := range map[int]string{
		0:  "bb1d6929e95937287fa37d129b756746",
		16: "070a16b46b4d4144f79bdd9dd04a287c",
		40: "dfa66747de9ae63030ca32611497c827",
		64: "51f0bebf7e3b9d92fc49741779363cfe",
	} {
		m, err := crypt.NewCMAC(wire.AlgAES, key)
		require.NoError(t, err)
		assert.Equal(t, 16, m.Size())
		for cut := 0; cut <= n; cut++ {
			m.Reset()
			m.Write(message[:cut])
			b, err := m.MarshalBinary()
			require.NoError(t, err)
			restored, err := crypt.UnmarshalCMAC(b)
			require.NoError(t, err)
			for _, m := range []*crypt.CMACState{m, restored} {
				c, err := m.Write(message[cut:n])
				require.NoError(t, err)
				assert.Equal(t, n-cut, c)
				assert.Equal(t, "78"+want, hex.EncodeToString(m.Finish([]byte("x"))), "%d of %d", cut, n)
			}
		}
	}
}

func TestCMACRefuses(t *testing.T) {
	t.Parallel()
	_, err := crypt.NewCMAC(wire.AlgTDES, make([]byte, 16))
	var un *crypt.UnsupportedError
	assert.ErrorAs(t, err, &un)
	_, err = crypt.NewCMAC(wire.AlgAES, make([]byte, 15))
	assertCode(t, wire.RCKeySize, err)

	m, err := crypt.NewCMAC(wire.AlgAES, make([]byte, 32))
	require.NoError(t, err)
	good, err := m.MarshalBinary()
	require.NoError(t, err)
	for i := range good {
		_, err := crypt.UnmarshalCMAC(good[:i])
		assertCode(t, wire.RCSize, err)
	}
	full := bytes.Clone(good)
	full[3+32] = 17
	_, err = crypt.UnmarshalCMAC(full)
	assertCode(t, wire.RCValue, err)
	other := bytes.Clone(good)
	other[1]++
	_, err = crypt.UnmarshalCMAC(other)
	assert.ErrorAs(t, err, &un)
}

// assertCode wants an *Error with the given response code.
func assertCode(t testing.TB, code wire.RC, err error) {
	t.Helper()
	var e *crypt.Error
	if assert.ErrorAs(t, err, &e) {
		assert.Equal(t, code, e.Code, e.Error())
	}
}

func FuzzUnmarshalHMAC(f *testing.F) {
	for alg := range stdHash {
		b, _ := crypt.NewHMAC(alg, []byte("key")).MarshalBinary()
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := crypt.UnmarshalHMAC(b)
		if err != nil {
			return
		}
		again, err := m.MarshalBinary()
		require.NoError(t, err)
		n, err := crypt.UnmarshalHMAC(again)
		require.NoError(t, err)
		m.Write([]byte("more"))
		n.Write([]byte("more"))
		require.Equal(t, m.Finish(nil), n.Finish(nil))
	})
}

func FuzzUnmarshalCMAC(f *testing.F) {
	m, err := crypt.NewCMAC(wire.AlgAES, make([]byte, 16))
	require.NoError(f, err)
	b, _ := m.MarshalBinary()
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := crypt.UnmarshalCMAC(b)
		if err != nil {
			return
		}
		again, err := m.MarshalBinary()
		require.NoError(t, err)
		require.Equal(t, b, again)
		m.Write(make([]byte, 20))
		require.Len(t, m.Finish(nil), 16)
	})
}

func BenchmarkHMAC(b *testing.B) {
	key, data, dst := make([]byte, 32), make([]byte, 64), make([]byte, 0, 32)
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			crypt.AppendHMAC(wire.AlgSHA256, dst, key, data)
		}
	})
	b.Run("state", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m := crypt.NewHMAC(wire.AlgSHA256, key)
			m.Write(data)
			m.Finish(dst)
		}
	})
}
