package crypt_test

import (
	"bytes"
	stdcrypto "crypto"
	"crypto/rsa"
	"encoding/hex"
	"fmt"
	"math/big"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// rsaKey makes a key of the given size; the same one for all tests.
func rsaKey(t testing.TB, bits int) *crypt.RSAPrivateKey {
	t.Helper()
	k, err := crypt.GenerateRSA(seeded(byte(bits/1024)), bits, crypt.RSAOptions{})
	require.NoError(t, err)
	return k
}

// stdKey is the same key for the standard library.
func stdKey(t testing.TB, k *crypt.RSAPrivateKey) *rsa.PrivateKey {
	t.Helper()
	one := big.NewInt(1)
	phi := new(big.Int).Mul(new(big.Int).Sub(k.P, one), new(big.Int).Sub(k.Q, one))
	std := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: k.N, E: int(k.E)},
		D: new(big.Int).ModInverse(new(big.Int).SetUint64(uint64(k.E)), phi), Primes: []*big.Int{k.P, k.Q}}
	std.Precompute()
	require.NoError(t, std.Validate())
	return std
}

func TestGenerateRSA(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		bits     int
		exponent uint32
	}{{1024, 0}, {1024, 65537}, {1024, 65539}, {1024, 1<<31 - 1}, {1024, 4294967291}, {2048, 0}, {3072, 0}} {
		if testing.Short() && c.bits > 2048 {
			continue
		}
		t.Run(fmt.Sprint(c.bits, " ", c.exponent), func(t *testing.T) {
			t.Parallel()
			k, err := crypt.GenerateRSA(seeded(1), c.bits, crypt.RSAOptions{Exponent: c.exponent})
			require.NoError(t, err)
			assert.Equal(t, c.bits, k.N.BitLen())
			assert.Equal(t, c.bits/8, k.Size())
			assert.Equal(t, c.bits/2, k.P.BitLen())
			assert.Equal(t, c.bits/2, k.Q.BitLen())
			assert.True(t, k.P.ProbablyPrime(20) && k.Q.ProbablyPrime(20))
			want := c.exponent
			if want == 0 {
				want = 65537
			}
			assert.Equal(t, want, k.E)
			if want <= 1<<31-1 {
				stdKey(t, k) // takes no larger exponent
			}
			assert.Equal(t, k.N.Bytes(), k.Modulus())

			for _, prime := range []*big.Int{k.P, k.Q} {
				pub, err := crypt.NewRSAPublicKey(k.Modulus(), c.exponent)
				require.NoError(t, err)
				again, err := crypt.NewRSAPrivateKey(pub, prime.Bytes())
				require.NoError(t, err)
				assert.Equal(t, prime.Bytes(), again.Prime())
				message := bytes.Repeat([]byte{0x5A}, c.bits/8)
				sealed, err := again.Encrypt(message)
				require.NoError(t, err)
				for _, key := range []*crypt.RSAPrivateKey{k, again} {
					opened, err := key.Decrypt(sealed)
					require.NoError(t, err)
					assert.Equal(t, message, opened)
				}
			}
		})
	}
}

func TestRSARefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		bits     int
		exponent uint32
		code     wire.RC
	}{{0, 0, wire.RCValue}, {512, 0, wire.RCValue}, {1536, 0, wire.RCValue}, {5120, 0, wire.RCValue}, {-1024, 0, wire.RCValue},
		{1024, 3, wire.RCRange}, {1024, 65536, wire.RCRange}, {1024, 65535, wire.RCRange}, {1024, 257 * 257, wire.RCRange}, {1024, 65541, wire.RCRange}} {
		_, err := crypt.GenerateRSA(seeded(1), c.bits, crypt.RSAOptions{Exponent: c.exponent})
		assertCode(t, c.code, err)
		assertCode(t, c.code, crypt.CheckRSAParameters(c.bits, c.exponent))
	}

	k := rsaKey(t, 1024)
	n := k.Modulus()
	even, short := bytes.Clone(n), bytes.Clone(n)
	even[127] &^= 1
	short[0] &= 0x7F
	for _, m := range [][]byte{nil, n[:63], append(bytes.Repeat(n, 4), 1), even, short} {
		_, err := crypt.NewRSAPublicKey(m, 0)
		assertCode(t, wire.RCKey, err)
	}
	for _, e := range []uint32{1, 2, 65536} {
		_, err := crypt.NewRSAPublicKey(n, e)
		assertCode(t, wire.RCRange, err)
	}
	pub, err := crypt.NewRSAPublicKey(n, 0)
	require.NoError(t, err)
	other := new(big.Int).Add(k.P, big.NewInt(2)).Bytes()
	one := make([]byte, 64)
	one[63] = 1
	for _, prime := range [][]byte{nil, k.P.Bytes()[:63], append([]byte{0}, k.P.Bytes()...), other, make([]byte, 64), one} {
		_, err := crypt.NewRSAPrivateKey(pub, prime)
		assertCode(t, wire.RCBinding, err)
	}
	// Without an inverse of the exponent there is no private key.
	bad := uint32(0)
	for p := uint64(3); p < 1000; p += 2 {
		if new(big.Int).Mod(new(big.Int).Sub(k.P, big.NewInt(1)), new(big.Int).SetUint64(p)).Sign() == 0 {
			bad = uint32(p)
			break
		}
	}
	if bad != 0 {
		pub, err = crypt.NewRSAPublicKey(n, bad)
		require.NoError(t, err)
		_, err = crypt.NewRSAPrivateKey(pub, k.P.Bytes())
		assertCode(t, wire.RCBinding, err)
	}

	_, err = k.Encrypt(n)
	assertCode(t, wire.RCValue, err)
	_, err = k.Decrypt(n)
	assertCode(t, wire.RCSize, err)
}

func TestRawRSA(t *testing.T) {
	t.Parallel()
	k := rsaKey(t, 1024)
	raw := wire.Scheme{Alg: wire.AlgNull}
	for _, m := range [][]byte{nil, {0}, {1}, {0, 0, 2}, new(big.Int).Sub(k.N, big.NewInt(1)).Bytes(), append(make([]byte, 9), k.P.Bytes()...), k.Q.Bytes()} {
		sealed, err := crypt.EncryptRSA(nil, &k.RSAPublicKey, raw, nil, m)
		require.NoError(t, err)
		require.Len(t, sealed, 128)
		want := new(big.Int).Exp(new(big.Int).SetBytes(m), big.NewInt(65537), k.N)
		assert.Equal(t, want.FillBytes(make([]byte, 128)), sealed)
		opened, err := crypt.DecryptRSA(k, raw, nil, sealed)
		require.NoError(t, err)
		assert.Equal(t, new(big.Int).SetBytes(m).FillBytes(make([]byte, 128)), opened)
	}
	_, err := crypt.DecryptRSA(k, raw, nil, make([]byte, 127))
	assertCode(t, wire.RCSize, err)
	_, err = crypt.EncryptRSA(nil, &k.RSAPublicKey, wire.Scheme{Alg: wire.AlgRSASSA}, nil, nil)
	assertCode(t, wire.RCScheme, err)
	_, err = crypt.DecryptRSA(k, wire.Scheme{Alg: wire.AlgRSASSA}, nil, nil)
	assertCode(t, wire.RCScheme, err)
	_, err = crypt.SignRSA(nil, k, raw, nil)
	assertCode(t, wire.RCScheme, err)
	assert.False(t, crypt.VerifyRSA(&k.RSAPublicKey, raw, nil, make([]byte, 128)))
}

// The standard library opens what we seal and seals what we open.
func TestRSAEncryptionAgreesWithTheStandardLibrary(t *testing.T) {
	t.Parallel()
	for _, bits := range []int{1024, 2048} {
		k := rsaKey(t, bits)
		std, size := stdKey(t, k), k.Size()
		for _, hash := range []wire.AlgID{wire.AlgSHA1, wire.AlgSHA256, wire.AlgSHA384} {
			scheme := wire.Scheme{Alg: wire.AlgOAEP, Hash: hash}
			for _, label := range []string{"", "DUPLICATE\x00"} {
				for _, n := range []int{0, 1, size - 2*crypt.HashSize(hash) - 2} {
					m := bytes.Repeat([]byte{7}, n)
					sealed, err := crypt.EncryptRSA(seeded(3), &k.RSAPublicKey, scheme, []byte(label), m)
					require.NoError(t, err)
					opened, err := rsa.DecryptOAEP(stdHash[hash].New(), nil, std, sealed, []byte(label))
					require.NoError(t, err)
					assert.True(t, bytes.Equal(m, opened))
					sealed, err = rsa.EncryptOAEP(stdHash[hash].New(), seeded(4), &std.PublicKey, m, []byte(label))
					require.NoError(t, err)
					opened, err = crypt.DecryptRSA(k, scheme, []byte(label), sealed)
					require.NoError(t, err)
					assert.True(t, bytes.Equal(m, opened))
					_, err = crypt.DecryptRSA(k, scheme, []byte("IDENTITY\x00"), sealed)
					assertCode(t, wire.RCValue, err)
				}
				_, err := crypt.EncryptRSA(seeded(3), &k.RSAPublicKey, scheme, nil, make([]byte, size-2*crypt.HashSize(hash)-1))
				assertCode(t, wire.RCValue, err)
			}
		}
		scheme := wire.Scheme{Alg: wire.AlgRSAES}
		for _, n := range []int{0, 1, size - 11} {
			m := bytes.Repeat([]byte{7}, n)
			sealed, err := crypt.EncryptRSA(seeded(5), &k.RSAPublicKey, scheme, nil, m)
			require.NoError(t, err)
			//lint:ignore SA1019 RSAES is what TPM 2.0 has
			opened, err := rsa.DecryptPKCS1v15(nil, std, sealed)
			require.NoError(t, err)
			assert.True(t, bytes.Equal(m, opened))
			//lint:ignore SA1019 RSAES is what TPM 2.0 has
			sealed, err = rsa.EncryptPKCS1v15(nil, &std.PublicKey, m)
			require.NoError(t, err)
			opened, err = crypt.DecryptRSA(k, scheme, nil, sealed)
			require.NoError(t, err)
			assert.True(t, bytes.Equal(m, opened))
		}
		_, err := crypt.EncryptRSA(seeded(5), &k.RSAPublicKey, scheme, nil, make([]byte, size-10))
		assertCode(t, wire.RCValue, err)
	}
	k := rsaKey(t, 1024)
	_, err := crypt.EncryptRSA(seeded(3), &k.RSAPublicKey, wire.Scheme{Alg: wire.AlgOAEP, Hash: wire.AlgSHA512}, nil, nil)
	assertCode(t, wire.RCHash, err)
	_, err = crypt.EncryptRSA(seeded(3), &k.RSAPublicKey, wire.Scheme{Alg: wire.AlgOAEP, Hash: wire.AlgNull}, nil, nil)
	assertCode(t, wire.RCHash, err)
	for _, alg := range []wire.AlgID{wire.AlgOAEP, wire.AlgRSAES} {
		_, err = crypt.EncryptRSA(&broken{}, &k.RSAPublicKey, wire.Scheme{Alg: alg, Hash: wire.AlgSHA1}, nil, nil)
		assert.ErrorContains(t, err, "no entropy")
		sealed, err := crypt.EncryptRSA(&broken{draws: 1}, &k.RSAPublicKey, wire.Scheme{Alg: alg, Hash: wire.AlgSHA1}, nil, []byte("x"))
		require.NoError(t, err)
		opened, err := crypt.DecryptRSA(k, wire.Scheme{Alg: alg, Hash: wire.AlgSHA1}, nil, sealed)
		require.NoError(t, err, "fill of zeros is avoided")
		assert.Equal(t, "x", string(opened))
	}
}

func TestRSASignatureAgreesWithTheStandardLibrary(t *testing.T) {
	t.Parallel()
	for _, bits := range []int{1024, 2048} {
		k := rsaKey(t, bits)
		std := stdKey(t, k)
		for _, hash := range supported(t) {
			name := fmt.Sprint(bits, hash)
			digest := crypt.Digest(hash, nil, []byte(name))
			ssa, pss := wire.Scheme{Alg: wire.AlgRSASSA, Hash: hash}, wire.Scheme{Alg: wire.AlgRSAPSS, Hash: hash}

			sig, err := crypt.SignRSA(nil, k, ssa, digest)
			require.NoError(t, err)
			want, err := rsa.SignPKCS1v15(nil, std, stdHash[hash], digest)
			require.NoError(t, err)
			assert.Equal(t, want, sig, name)
			assert.True(t, crypt.VerifyRSA(&k.RSAPublicKey, ssa, digest, sig))
			assert.False(t, crypt.VerifyRSA(&k.RSAPublicKey, pss, digest, sig))

			sig, err = crypt.SignRSA(seeded(1), k, pss, digest)
			require.NoError(t, err)
			salt := min(crypt.HashSize(hash), bits/8-crypt.HashSize(hash)-2)
			require.NoError(t, rsa.VerifyPSS(&std.PublicKey, stdHash[hash], digest, sig, &rsa.PSSOptions{SaltLength: salt}), name)
			for _, length := range []int{salt, 0, 1} {
				sig, err = rsa.SignPSS(seeded(2), std, stdHash[hash], digest, &rsa.PSSOptions{SaltLength: max(length, rsa.PSSSaltLengthEqualsHash)})
				require.NoError(t, err)
				assert.True(t, crypt.VerifyRSA(&k.RSAPublicKey, pss, digest, sig), "a salt of %d", length)
			}
			for i := range sig {
				bad := bytes.Clone(sig)
				bad[i] ^= 1
				if !assert.False(t, crypt.VerifyRSA(&k.RSAPublicKey, pss, digest, bad)) {
					break
				}
				if i > 8 {
					break
				}
			}
			digest[0] ^= 1
			assert.False(t, crypt.VerifyRSA(&k.RSAPublicKey, pss, digest, sig))
			assert.False(t, crypt.VerifyRSA(&k.RSAPublicKey, ssa, digest, want))
			assert.False(t, crypt.VerifyRSA(&k.RSAPublicKey, ssa, digest, want[1:]))
			assert.False(t, crypt.VerifyRSA(&k.RSAPublicKey, ssa, digest, k.Modulus()))
			_, err = crypt.SignRSA(nil, k, ssa, digest[1:])
			assertCode(t, wire.RCValue, err)
		}
		for _, alg := range []wire.AlgID{wire.AlgRSASSA, wire.AlgRSAPSS} {
			_, err := crypt.SignRSA(seeded(1), k, wire.Scheme{Alg: alg, Hash: wire.AlgNull}, nil)
			assertCode(t, wire.RCScheme, err)
		}
		_, err := crypt.SignRSA(&broken{}, k, wire.Scheme{Alg: wire.AlgRSAPSS, Hash: wire.AlgSHA1}, make([]byte, 20))
		assert.ErrorContains(t, err, "no entropy")
	}
}

// A key is used by many at once.
func TestRSAKeyIsShared(t *testing.T) {
	t.Parallel()
	k := rsaKey(t, 1024)
	var wg sync.WaitGroup
	want, err := k.Decrypt([]byte("number"))
	require.NoError(t, err)
	for range 8 {
		wg.Go(func() {
			got, err := k.Decrypt([]byte("number"))
			assert.NoError(t, err)
			assert.Equal(t, want, got)
		})
	}
	transporttest.Wait(t, &wg)
}

// Keys are golden, so that a change of the search cannot go unnoticed where no
// reference makes such keys.
func TestRSA4096IsStable(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	k, err := crypt.GenerateRSA(seeded(1), 4096, crypt.RSAOptions{})
	require.NoError(t, err)
	digest := crypt.Digest(wire.AlgSHA256, nil, k.Modulus())
	assert.Equal(t, rsa4096Digest, hex.EncodeToString(digest))
	stdKey(t, k)
}

const rsa4096Digest = "a1e53502dc1c3facaecf57427c01f9635758854154d8e33c1c532e21a4d7fe19"

func BenchmarkRSA(b *testing.B) {
	for _, bits := range []int{1024, 2048, 3072} {
		k := rsaKey(b, bits)
		std := stdKey(b, k)
		digest := make([]byte, 32)
		ssa := wire.Scheme{Alg: wire.AlgRSASSA, Hash: wire.AlgSHA256}
		sig, err := crypt.SignRSA(nil, k, ssa, digest)
		require.NoError(b, err)
		b.Run(fmt.Sprint(bits, "/sign"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := crypt.SignRSA(nil, k, ssa, digest); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprint(bits, "/sign-std"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := rsa.SignPKCS1v15(nil, std, stdcrypto.SHA256, digest); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprint(bits, "/verify"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !crypt.VerifyRSA(&k.RSAPublicKey, ssa, digest, sig) {
					b.Fatal("not valid")
				}
			}
		})
		b.Run(fmt.Sprint(bits, "/generate"), func(b *testing.B) {
			gen := seeded(1)
			for b.Loop() {
				if _, err := crypt.GenerateRSA(gen, bits, crypt.RSAOptions{}); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprint(bits, "/generate-one-worker"), func(b *testing.B) {
			gen := seeded(1)
			for b.Loop() {
				if _, err := crypt.GenerateRSA(gen, bits, crypt.RSAOptions{Workers: 1}); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprint(bits, "/generate-std"), func(b *testing.B) {
			for b.Loop() {
				if _, err := rsa.GenerateKey(nil, bits); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
