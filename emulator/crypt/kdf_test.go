package crypt_test

import (
	"bytes"
	stdcrypto "crypto"
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	require.NoError(t, err)
	return b
}

// stdHash names the hashes for code that is not ours.
var stdHash = map[wire.AlgID]stdcrypto.Hash{
	wire.AlgSHA1: stdcrypto.SHA1, wire.AlgSHA256: stdcrypto.SHA256, wire.AlgSHA384: stdcrypto.SHA384,
	wire.AlgSHA512: stdcrypto.SHA512, wire.AlgSHA3_256: stdcrypto.SHA3_256, wire.AlgSHA3_384: stdcrypto.SHA3_384,
	wire.AlgSHA3_512: stdcrypto.SHA3_512,
}

// go-tpm derives independently of us. It counts the label with one zero and
// leaves bits alone that do not fill an octet, so those are compared apart.
func TestKDFsAgreeWithGoTPM(t *testing.T) {
	t.Parallel()
	key, u, v := []byte("a key of some length"), []byte("context U"), []byte("context V")
	for alg, std := range stdHash {
		for _, bits := range []int{8, 128, 160, 256, 512, 1024, 2048} {
			for _, label := range []string{"STORAGE", "ATH", "DUPLICATE"} {
				name := fmt.Sprint(alg, " ", bits, " ", label)
				assert.Equal(t, tpm2.KDFa(std, key, label, u, v, bits), crypt.KDFa(alg, key, label, u, v, bits), name)
				assert.Equal(t, tpm2.KDFe(std, key, label, u, v, bits), crypt.KDFe(alg, key, label, u, v, bits), name)
			}
		}
	}
}

func TestKDFaEdges(t *testing.T) {
	t.Parallel()
	one := crypt.KDFa(wire.AlgSHA256, []byte("k"), "L", nil, nil, 256)
	assert.Equal(t, one, crypt.KDFa(wire.AlgSHA256, []byte("k"), "L\x00", nil, nil, 256), "the label's zero is counted once")
	assert.NotEqual(t, one, crypt.KDFa(wire.AlgSHA256, []byte("k"), "L\x00\x00\x01", nil, nil, 256))
	assert.Equal(t, one, crypt.KDFa(wire.AlgSHA256, []byte("k"), "L", []byte{}, []byte{}, 256))
	assert.Equal(t,
		crypt.AppendHMAC(wire.AlgSHA256, nil, []byte("k"), []byte{0, 0, 0, 1, 0, 0, 0, 1, 0}),
		crypt.KDFa(wire.AlgSHA256, []byte("k"), "", nil, nil, 256), "no label is a zero")
	assert.Equal(t, crypt.KDFe(wire.AlgSHA1, []byte("z"), "L", nil, nil, 160), crypt.KDFe(wire.AlgSHA1, []byte("z"), "L\x00", nil, nil, 160))

	for bits := 1; bits <= 24; bits++ {
		for _, got := range [][]byte{
			crypt.KDFa(wire.AlgSHA512, []byte("k"), "L", nil, nil, bits),
			crypt.KDFe(wire.AlgSHA512, []byte("z"), "L", nil, nil, bits),
		} {
			require.Len(t, got, (bits+7)/8)
			if r := bits % 8; r != 0 {
				assert.Zero(t, got[0]>>r, "%d bits", bits)
			}
		}
	}

	for _, bits := range []int{-1, 0, 1<<18 + 1} {
		assert.Nil(t, crypt.KDFa(wire.AlgSHA256, nil, "L", nil, nil, bits))
		assert.Nil(t, crypt.KDFe(wire.AlgSHA256, nil, "L", nil, nil, bits))
	}
	assert.Nil(t, crypt.KDFa(wire.AlgNull, nil, "L", nil, nil, 8))
	assert.Nil(t, crypt.KDFe(wire.AlgNull, nil, "L", nil, nil, 8))
}

// Long contexts do not fit the space that short ones are gathered in.
func TestKDFLongInputs(t *testing.T) {
	t.Parallel()
	long := bytes.Repeat([]byte{0xA5}, 3000)
	assert.Equal(t, tpm2.KDFa(stdcrypto.SHA256, long, "L", long, long, 512), crypt.KDFa(wire.AlgSHA256, long, "L", long, long, 512))
	assert.Equal(t, tpm2.KDFe(stdcrypto.SHA256, long, "L", long, long, 512), crypt.KDFe(wire.AlgSHA256, long, "L", long, long, 512))
}

func TestXORObfuscation(t *testing.T) {
	t.Parallel()
	for _, alg := range supported(t) {
		for _, n := range []int{0, 1, 20, 64, 65, 1000} {
			plain := bytes.Repeat([]byte("ab"), n)[:n]
			data := bytes.Clone(plain)
			crypt.XORObfuscation(alg, []byte("key"), []byte("newer"), []byte("older"), data)
			if n > 0 {
				mask := tpm2.KDFa(stdHash[alg], []byte("key"), "XOR", []byte("newer"), []byte("older"), 8*n)
				want := make([]byte, n)
				for i := range want {
					want[i] = plain[i] ^ mask[i]
				}
				assert.Equal(t, want, data, "%v %d", alg, n)
			}
			crypt.XORObfuscation(alg, []byte("key"), []byte("newer"), []byte("older"), data)
			assert.Equal(t, plain, data)
		}
	}
	data := []byte("data")
	crypt.XORObfuscation(wire.AlgNull, []byte("key"), nil, nil, data)
	assert.Equal(t, []byte("data"), data)
}

// The examples are those that implementations of RFC 8017 commonly test with.
func TestMGF1(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		alg        wire.AlgID
		seed, want string
	}{
		{wire.AlgSHA1, "foo", "1ac907"},
		{wire.AlgSHA1, "foo", "1ac9075cd4"},
		{wire.AlgSHA1, "bar", "bc0c655e01"},
		{wire.AlgSHA1, "bar", "bc0c655e016bc2931d85a2e675181adcef7f581f76df2739da74faac41627be2f7f415c89e983fd0ce80ced9878641cb4876"},
		{wire.AlgSHA256, "bar", "382576a7841021cc28fc4c0948753fb8312090cea942ea4c4e735d10dc724b155f9f6069f289d61daca0cb814502ef04eae1"},
	} {
		mask := make([]byte, len(c.want)/2)
		crypt.MGF1(c.alg, mask, []byte(c.seed))
		assert.Equal(t, c.want, hex.EncodeToString(mask))
		crypt.MGF1(c.alg, mask, []byte(c.seed))
		assert.Equal(t, make([]byte, len(mask)), mask, "MGF1 combines")
	}
	mask := []byte{1}
	crypt.MGF1(wire.AlgNull, mask, nil)
	assert.Equal(t, []byte{1}, mask)
}

func BenchmarkKDFa(b *testing.B) {
	key, u, v := make([]byte, 32), make([]byte, 32), make([]byte, 32)
	b.ReportAllocs()
	for b.Loop() {
		crypt.KDFa(wire.AlgSHA256, key, "CFB", u, v, 256)
	}
}
