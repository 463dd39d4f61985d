package curve448_test

import (
	"crypto/sha3"
	"encoding/hex"
	"math/rand/v2"
	"testing"

	"github.com/cloudflare/circl/dh/x448"
	"github.com/cloudflare/circl/ecc/goldilocks"
	"github.com/cloudflare/circl/sign/ed448"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/conformance/differential/curve448"
)

func octets(t *testing.T, digits string) []byte {
	t.Helper()
	b, err := hex.DecodeString(digits)
	require.NoError(t, err)
	return b
}

// Vectors of RFC 8032, sections 7.4 and 7.5, without a context.
func TestSignaturesOfRFC8032(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		variant                          curve448.Variant
		seed, public, message, signature string
	}{
		"no octet": {
			curve448.Ed448,
			"6c82a562cb808d10d632be89c8513ebf6c929f34ddfa8c9f63c9960ef6e348a3528c8a3fcc2f044e39a3fc5b94492f8f032e7549a20098f95b",
			"5fd7449b59b461fd2ce787ec616ad46a1da1342485a70e1f8a0ea75d80e96778edf124769b46c7061bd6783df1e50f6cd1fa1abeafe8256180",
			"",
			"533a37f6bbe457251f023c0d88f976ae2dfb504a843e34d2074fd823d41a591f2b233f034f628281f2fd7a22ddd47d7828c59bd0a21bfd3980" +
				"ff0d2028d4b18a9df63e006c5d1c2d345b925d8dc00b4104852db99ac5c7cdda8530a113a0f4dbb61149f05a7363268c71d95808ff2e652600",
		},
		"1 octet": {
			curve448.Ed448,
			"c4eab05d357007c632f3dbb48489924d552b08fe0c353a0d4a1f00acda2c463afbea67c5e8d2877c5e3bc397a659949ef8021e954e0a12274e",
			"43ba28f430cdff456ae531545f7ecd0ac834a55d9358c0372bfa0c6c6798c0866aea01eb00742802b8438ea4cb82169c235160627b4c3a9480",
			"03",
			"26b8f91727bd62897af15e41eb43c377efb9c610d48f2335cb0bd0087810f4352541b143c4b981b7e18f62de8ccdf633fc1bf037ab7cd77980" +
				"5e0dbcc0aae1cbcee1afb2e027df36bc04dcecbf154336c19f0af7e0a6472905e799f1953d2a0ff3348ab21aa4adafd1d234441cf807c03a00",
		},
		"12 octets": {
			curve448.Ed448,
			"258cdd4ada32ed9c9ff54e63756ae582fb8fab2ac721f2c8e676a72768513d939f63dddb55609133f29adf86ec9929dccb52c1c5fd2ff7e21b",
			"3ba16da0c6f2cc1f30187740756f5e798d6bc5fc015d7c63cc9510ee3fd44adc24d8e968b6e46e6f94d19b945361726bd75e149ef09817f580",
			"64a65f3cdedcdd66811e2915",
			"7eeeab7c4e50fb799b418ee5e3197ff6bf15d43a14c34389b59dd1a7b1b85b4ae90438aca634bea45e3a2695f1270f07fdcdf7c62b8efeaf00" +
				"b45c2c96ba457eb1a8bf075a3db28e5c24f6b923ed4ad747c3c9e03c7079efb87cb110d3a99861e72003cbae6d6b8b827e4e6c143064ff3c00",
		},
		"abc": {
			curve448.Ed448ph,
			"833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42ef7822e0d5104127dc05d6dbefde69e3ab2cec7c867c6e2c49",
			"259b71c19f83ef77a7abd26524cbdb3161b590a48f7d17de3ee0ba9c52beb743c09428a131d6b1b57303d90d8132c276d5ed3d5d01c0f53880",
			"616263",
			"822f6901f7480f3d5f562c592994d9693602875614483256505600bbc281ae381f54d6bce2ea911574932f52a4e6cadd78769375ec3ffd1b80" +
				"1a0d9b3f4030cd433964b6457ea39476511214f97469b57dd32dbc560a9a94d00bff07620464a3ad203df7dc7ce360c3cd3696d9d9fab90f00",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seed, message, signature := octets(t, c.seed), octets(t, c.message), octets(t, c.signature)
			if c.variant == curve448.Ed448ph {
				message = sha3.SumSHAKE256(message, 64)
			}
			public := curve448.Public(seed)
			assert.Equal(t, octets(t, c.public), public)
			assert.Equal(t, signature, c.variant.Sign(seed, message))
			assert.True(t, c.variant.Verify(public, message, signature))
			assert.False(t, (1-c.variant).Verify(public, message, signature), "the other variant")
		})
	}
}

// Vectors of RFC 7748, sections 5.2 and 6.2.
func TestExchangesOfRFC7748(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ scalar, u, secret string }{
		{
			"3d262fddf9ec8e88495266fea19a34d28882acef045104d0d1aae121700a779c984c24f8cdd78fbff44943eba368f54b29259a4f1c600ad3",
			"06fce640fa3487bfda5f6cf2d5263f8aad88334cbd07437f020f08f9814dc031ddbdc38c19c6da2583fa5429db94ada18aa7a7fb4ef8a086",
			"ce3e4ff95a60dc6697da1db1d85e6afbdf79b50a2412d7546d5f239fe14fbaadeb445fc66a01b0779d98223961111e21766282f73dd96b6f",
		},
		{
			"203d494428b8399352665ddca42f9de8fef600908e0d461cb021f8c538345dd77c3e4806e25f46d3315c44e0a5b4371282dd2c8d5be3095f",
			"0fbcc2f993cd56d3305b0b7d9e55d4c1a8fb5dbb52f8e9a1e9b6201b165d015894e56c4d3570bee52fe205e28a78b91cdfbde71ce8d157db",
			"884a02576239ff7a2f2f63b2db6a9ff37047ac13568e1e30fe63c4a7ad1b3ee3a5700df34321d62077e63633c575c1c954514e99da7c179d",
		},
		{
			"9a8f4925d1519f5775cf46b04b5800d4ee9ee8bae8bc5565d498c28dd9c9baf574a9419744897391006382a6f127ab1d9ac2d8c0a598726b",
			"0500000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
			"9b08f7cc31b7e3e67d22d5aea121074a273bd2b83de09c63faa73d2c22c5d9bbc836647241d953d40c5b12da88120d53177f80e532c41fa0",
		},
		{
			"9a8f4925d1519f5775cf46b04b5800d4ee9ee8bae8bc5565d498c28dd9c9baf574a9419744897391006382a6f127ab1d9ac2d8c0a598726b",
			"3eb7a829b0cd20f5bcfc0b599b6feccf6da4627107bdb0d4f345b43027d8b972fc3e34fb4232a13ca706dcb57aec3dae07bdc1c67bf33609",
			"07fff4181ac6cc95ec1c16a94a0f74d12da232ce40a77552281d282bb60c0b56fd2464c335543936521c24403085d59a449a5037514a879d",
		},
	} {
		u := octets(t, c.u)
		secret, ok := curve448.Exchange(octets(t, c.scalar), u)
		assert.True(t, ok)
		assert.Equal(t, octets(t, c.secret), secret)
		if u[0] == 5 {
			assert.Equal(t, secret, curve448.ExchangePublic(octets(t, c.scalar)))
		}
	}
}

// What the library makes of random input is what the package makes of it, and each takes
// the signatures of the other.
func TestIsThatOfTheLibrary(t *testing.T) {
	t.Parallel()
	rng := rand.NewChaCha8([32]byte{0x44, 8})
	random := func(n int) []byte {
		b := make([]byte, n)
		rng.Read(b)
		return b
	}
	for i := range 8 {
		seed, message := random(curve448.KeySize), random(9*i)
		key := ed448.NewKeyFromSeed(seed)
		public := curve448.Public(seed)
		require.Equal(t, []byte(key[ed448.SeedSize:]), public)
		require.True(t, curve448.IsPublic(public))
		for variant, library := range map[curve448.Variant]ed448.SchemeID{curve448.Ed448: ed448.ED448, curve448.Ed448ph: ed448.ED448Ph} {
			options := ed448.SignerOptions{Scheme: library}
			signed := message
			if variant == curve448.Ed448ph {
				signed = sha3.SumSHAKE256(message, 64)
			}
			made, err := key.Sign(nil, message, options)
			require.NoError(t, err)
			require.Equal(t, made, variant.Sign(seed, signed))
			for _, at := range []int{0, 55, 57, 112} {
				changed := append([]byte(nil), made...)
				changed[at] ^= 1
				require.False(t, variant.Verify(public, signed, changed), "byte %d", at)
				require.False(t, ed448.VerifyAny(ed448.PublicKey(public), message, changed, options), "byte %d", at)
			}
		}
		var scalar, other, want x448.Key
		copy(scalar[:], random(curve448.ExchangeSize))
		copy(other[:], random(curve448.ExchangeSize))
		require.True(t, x448.Shared(&want, &scalar, &other))
		secret, ok := curve448.Exchange(scalar[:], other[:])
		require.True(t, ok)
		require.Equal(t, want[:], secret)
	}
}

// Half of all strings are the y of a point, and those that circl takes are the same.
func TestIsPublic(t *testing.T) {
	t.Parallel()
	rng := rand.NewChaCha8([32]byte{0x44, 9})
	taken := 0
	for range 40 {
		b := make([]byte, curve448.KeySize)
		rng.Read(b)
		b[curve448.KeySize-1] &= 0x80
		_, err := goldilocks.FromBytes(b)
		assert.Equal(t, err == nil, curve448.IsPublic(b), "%x", b)
		if err == nil {
			taken++
		}
	}
	assert.Greater(t, taken, 10)
	one := make([]byte, curve448.KeySize)
	one[0] = 1
	assert.True(t, curve448.IsPublic(one), "(0, 1)")
	one[curve448.KeySize-1] = 0x80
	assert.False(t, curve448.IsPublic(one), "(-0, 1)")
	assert.False(t, curve448.IsPublic(one[1:]), "a byte less")
	second := make([]byte, curve448.KeySize) // p + 1 is 1 again: 2^448 - 2^224
	for i := 28; i < 56; i++ {
		second[i] = 0xff
	}
	assert.False(t, curve448.IsPublic(second), "p + 1 for 1")
}

// Points of low order give no secret (RFC 7748, section 6.2): u is 0, 1 or -1.
func TestLowOrder(t *testing.T) {
	t.Parallel()
	zero, one := make([]byte, curve448.ExchangeSize), make([]byte, curve448.ExchangeSize)
	one[0] = 1
	minus := make([]byte, curve448.ExchangeSize)
	for i := range minus {
		minus[i] = 0xff
	}
	minus[0], minus[28] = 0xfe, 0xfe
	for _, u := range [][]byte{zero, one, minus} {
		secret, ok := curve448.Exchange(one, u)
		assert.False(t, ok, "%x", u)
		assert.Equal(t, zero, secret)
	}
}
