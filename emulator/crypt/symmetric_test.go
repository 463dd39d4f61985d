package crypt_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// sp80038a is the plain text of all examples of NIST SP 800-38A, appendix F.
const sp80038a = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51" +
	"30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"

const (
	ramp16 = "000102030405060708090a0b0c0d0e0f"
	aes128 = "2b7e151628aed2a6abf7158809cf4f3c"
	aes256 = "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"
)

func TestModesKnownAnswers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		mode               wire.AlgID
		key, iv, want, out string // out: what is left in iv
	}{
		{wire.AlgECB, aes128, "", "3ad77bb40d7a3660a89ecaf32466ef97f5d3d58503b9699de785895a96fdbaaf43b1cd7f598ece23881b00e3ed0306887b0c785e27e8ad3f8223207104725dd4", ""},
		{wire.AlgCBC, aes128, ramp16, "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b273bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7", "3ff1caa1681fac09120eca307586e1a7"},
		{wire.AlgCFB, aes128, ramp16, "3b3fd92eb72dad20333449f8e83cfb4ac8a64537a0b3a93fcde3cdad9f1ce58b26751f67a3cbb140b1808cf187a4f4dfc04b05357c5d1c0eeac4c66f9ff7f2e6", "c04b05357c5d1c0eeac4c66f9ff7f2e6"},
		{wire.AlgCFB, aes256, ramp16, "dc7e84bfda79164b7ecd8486985d386039ffed143b28b1c832113c6331e5407bdf10132415e54b92a13ed0a8267ae2f975a385741ab9cef82031623d55b1e471", "75a385741ab9cef82031623d55b1e471"},
		{wire.AlgOFB, aes128, ramp16, "3b3fd92eb72dad20333449f8e83cfb4a7789508d16918f03f53c52dac54ed8259740051e9c5fecf64344f7a82260edcc304c6528f659c77866a510d9c1d6ae5e", "c6d3416d29165c6fcb8e51a227ba994e"},
		{wire.AlgCTR, aes128, "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff", "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee", "f0f1f2f3f4f5f6f7f8f9fafbfcfdff03"},
	} {
		name := fmt.Sprint(c.mode, len(c.key)*4)
		block, err := crypt.NewBlockCipher(wire.AlgAES, unhex(t, c.key))
		require.NoError(t, err)
		iv, data := unhex(t, c.iv), unhex(t, sp80038a)
		require.NoError(t, crypt.Encrypt(block, c.mode, iv, data))
		assert.Equal(t, c.want, hex.EncodeToString(data), name)
		assert.Equal(t, c.out, hex.EncodeToString(iv), name)
		iv = unhex(t, c.iv)
		require.NoError(t, crypt.Decrypt(block, c.mode, iv, data))
		assert.Equal(t, sp80038a, hex.EncodeToString(data), name)
		assert.Equal(t, c.out, hex.EncodeToString(iv), name)
	}
}

// One call and many calls with the value that the last one left give the same,
// as long as the calls end with a block. The standard library has three of the
// modes.
func TestModesChain(t *testing.T) {
	t.Parallel()
	plain := bytes.Repeat([]byte("0123456789abcdef!"), 16)
	std := map[wire.AlgID]func(cipher.Block, []byte, []byte){
		wire.AlgCTR: func(b cipher.Block, iv, d []byte) { cipher.NewCTR(b, iv).XORKeyStream(d, d) },
		wire.AlgCBC: func(b cipher.Block, iv, d []byte) { cipher.NewCBCEncrypter(b, iv).CryptBlocks(d, d) },
		wire.AlgECB: func(b cipher.Block, _, d []byte) {
			for ; len(d) > 0; d = d[16:] {
				b.Encrypt(d, d)
			}
		},
	}
	for _, mode := range []wire.AlgID{wire.AlgCFB, wire.AlgOFB, wire.AlgCTR, wire.AlgCBC, wire.AlgECB} {
		for _, size := range []int{16, 24, 32} {
			block, err := crypt.NewBlockCipher(wire.AlgAES, bytes.Repeat([]byte{7}, size))
			require.NoError(t, err)
			whole, parts, iv := bytes.Clone(plain), bytes.Clone(plain), bytes.Repeat([]byte{0xFF}, 16)
			if f := std[mode]; f != nil {
				f(block, bytes.Clone(iv), whole)
			} else {
				require.NoError(t, crypt.Encrypt(block, mode, bytes.Clone(iv), whole))
			}
			chained := bytes.Clone(iv)
			for p := parts; len(p) > 0; p = p[min(len(p), 48):] {
				require.NoError(t, crypt.Encrypt(block, mode, chained, p[:min(len(p), 48)]))
			}
			assert.Equal(t, whole, parts, "%v %d", mode, size)
			for p := parts; len(p) > 0; p = p[min(len(p), 32):] {
				require.NoError(t, crypt.Decrypt(block, mode, iv, p[:min(len(p), 32)]))
			}
			assert.Equal(t, plain, parts, "%v %d", mode, size)
			if mode != wire.AlgECB {
				assert.Equal(t, chained, iv, "%v %d", mode, size)
			}
		}
	}
}

func TestModesPartialBlock(t *testing.T) {
	t.Parallel()
	block, err := crypt.NewBlockCipher(wire.AlgAES, make([]byte, 16))
	require.NoError(t, err)
	stream := make([]byte, 16)
	block.Encrypt(stream, stream)
	for _, mode := range []wire.AlgID{wire.AlgCFB, wire.AlgOFB, wire.AlgCTR} {
		iv, data := make([]byte, 16), []byte{1, 2, 3}
		require.NoError(t, crypt.Encrypt(block, mode, iv, data))
		assert.Equal(t, []byte{1 ^ stream[0], 2 ^ stream[1], 3 ^ stream[2]}, data, mode)
		switch mode {
		case wire.AlgCFB:
			assert.Equal(t, append(bytes.Clone(data), make([]byte, 13)...), iv, "cipher text filled with zeros")
		case wire.AlgOFB:
			assert.Equal(t, stream, iv)
		case wire.AlgCTR:
			assert.Equal(t, append(make([]byte, 15), 1), iv)
		}
		want := bytes.Clone(iv)
		iv = make([]byte, 16)
		require.NoError(t, crypt.Decrypt(block, mode, iv, data))
		assert.Equal(t, []byte{1, 2, 3}, data, mode)
		assert.Equal(t, want, iv, mode)
	}
	for _, mode := range []wire.AlgID{wire.AlgCBC, wire.AlgECB} {
		data := []byte{1, 2, 3}
		assertCode(t, wire.RCSize, crypt.Encrypt(block, mode, make([]byte, 16), data))
		assertCode(t, wire.RCSize, crypt.Decrypt(block, mode, make([]byte, 16), data))
		assert.Equal(t, []byte{1, 2, 3}, data, "a refusal changes nothing")
	}
}

func TestModesRefuse(t *testing.T) {
	t.Parallel()
	block, err := crypt.NewBlockCipher(wire.AlgAES, make([]byte, 16))
	require.NoError(t, err)
	for _, mode := range []wire.AlgID{wire.AlgCFB, wire.AlgOFB, wire.AlgCTR, wire.AlgCBC} {
		assertCode(t, wire.RCSize, crypt.Encrypt(block, mode, make([]byte, 15), nil))
		assertCode(t, wire.RCSize, crypt.Decrypt(block, mode, nil, make([]byte, 16)))
		iv := []byte("an initial value")
		require.NoError(t, crypt.Encrypt(block, mode, iv, nil))
		assert.Equal(t, "an initial value", string(iv))
	}
	for _, mode := range []wire.AlgID{wire.AlgNull, wire.AlgAES, wire.AlgCMAC} {
		assertCode(t, wire.RCMode, crypt.Encrypt(block, mode, make([]byte, 16), make([]byte, 16)))
		assertCode(t, wire.RCMode, crypt.Decrypt(block, mode, make([]byte, 16), make([]byte, 16)))
	}
	for _, size := range []int{0, 15, 17, 31, 33} {
		_, err := crypt.NewBlockCipher(wire.AlgAES, make([]byte, size))
		assertCode(t, wire.RCKeySize, err)
	}
	assert.Equal(t, aes.BlockSize, crypt.CipherBlockSize(wire.AlgAES))
	assert.Zero(t, crypt.CipherBlockSize(wire.AlgCamellia))
}

func FuzzModes(f *testing.F) {
	f.Add(uint16(wire.AlgCFB), []byte("some data to encrypt"))
	f.Add(uint16(wire.AlgCBC), make([]byte, 32))
	f.Fuzz(func(t *testing.T, mode uint16, data []byte) {
		block, err := crypt.NewBlockCipher(wire.AlgAES, make([]byte, 16))
		require.NoError(t, err)
		one, two, got := make([]byte, 16), make([]byte, 16), bytes.Clone(data)
		if crypt.Encrypt(block, wire.AlgID(mode), one, got) != nil {
			require.Equal(t, data, got)
			return
		}
		require.NoError(t, crypt.Decrypt(block, wire.AlgID(mode), two, got))
		require.Equal(t, len(data), len(got))
		require.True(t, bytes.Equal(data, got))
		require.Equal(t, one, two)
	})
}

func BenchmarkModes(b *testing.B) {
	block, err := crypt.NewBlockCipher(wire.AlgAES, make([]byte, 16))
	require.NoError(b, err)
	for _, mode := range []wire.AlgID{wire.AlgCFB, wire.AlgOFB, wire.AlgCTR, wire.AlgCBC, wire.AlgECB} {
		b.Run(mode.String(), func(b *testing.B) {
			iv, data := make([]byte, 16), make([]byte, 1024)
			b.SetBytes(1024)
			b.ReportAllocs()
			for b.Loop() {
				if crypt.Encrypt(block, mode, iv, data) != nil {
					b.Fatal("refused")
				}
			}
		})
	}
}
