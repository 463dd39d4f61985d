package crypt

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// somePrime gives a prime of a size in bits, a multiple of eight, that leaves
// rest when it is divided by four.
func somePrime(t testing.TB, gen *DRBGState, bits int, rest uint64) *big.Int {
	t.Helper()
	s := &primeSearch{gen: gen, bits: bits, exponent: 65537, workers: 2}
	for {
		p, err := s.next()
		require.NoError(t, err)
		if modWord(p, 4) == rest {
			return p
		}
	}
}

// Both operations are what math/big says they are, for keys that bigmod has code
// for and others, sizes that no key generation gives and factors of unlike size.
func TestRSAAgreesWithExponentiation(t *testing.T) {
	t.Parallel()
	source, gen := rand.New(rand.NewPCG(9, 10)), drbg(9)
	for _, bits := range [][2]int{{256, 256}, {264, 256}, {256, 264}, {512, 512}, {480, 504}, {520, 512}, {768, 768}, {1024, 1024},
		{1536, 1536}, {2048, 2048}, {0, 1016}, {1016, 0}} {
		t.Run(fmt.Sprint(bits), func(t *testing.T) {
			primes := [2]*big.Int{big.NewInt(3), big.NewInt(3)} // a TPM does not ask for more in a key from outside
			for i, b := range bits {
				if b != 0 {
					primes[i] = somePrime(t, gen, b, 3)
				}
			}
			p, q, one := primes[0], primes[1], big.NewInt(1)
			n := new(big.Int).Mul(p, q)
			phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
			for _, e := range []uint32{65537, 1<<32 - 5} {
				exponent := new(big.Int).SetUint64(uint64(e))
				d := new(big.Int).ModInverse(exponent, phi)
				if d == nil {
					continue
				}
				k := newRSAPrivateKey(newRSAPublicKey(n, e), p, q)
				require.NotNil(t, k)
				numbers := []*big.Int{new(big.Int), one, big.NewInt(2), p, q, new(big.Int).Sub(n, p), new(big.Int).Sub(n, one)}
				for range 3 {
					b := make([]byte, len(n.Bytes())+8)
					for i := range b {
						b[i] = byte(source.Uint32())
					}
					numbers = append(numbers, new(big.Int).Mod(new(big.Int).SetBytes(b), n))
				}
				for _, c := range numbers {
					want := new(big.Int).Exp(c, d, n)
					require.Zero(t, k.expPortable(c).Cmp(want), "%v^%v mod %v", c, d, n)
					require.Zero(t, k.exp(c).Cmp(want), "%v^%v mod %v", c, d, n)
					if k.crt != nil {
						got, ok := k.crt.exp(c)
						require.True(t, ok && got.Cmp(want) == 0, "%v^%v mod %v", c, d, n)
					}
					require.Equal(t, new(big.Int).Exp(c, exponent, n).FillBytes(make([]byte, k.Size())), k.apply(c), "%v^%d mod %v", c, e, n)
				}
			}
		})
	}
}

// A result with a fault in one half does not leave.
func TestRSAFaultDoesNotLeave(t *testing.T) {
	t.Parallel()
	k, err := GenerateRSA(drbg(1), 1024, RSAOptions{})
	require.NoError(t, err)
	if k.crt == nil {
		t.Skip("this processor has no fast code, or it is left out by the tag purego")
	}
	c := big.NewInt(12345)
	want, ok := k.crt.exp(c)
	require.True(t, ok)
	for _, fault := range []func(f *rsaFast){
		func(f *rsaFast) { f.dp[len(f.dp)-1] ^= 2 },
		func(f *rsaFast) { f.dq[0] ^= 1 },
		func(f *rsaFast) { f.qi[3] ^= 1 << 40 },
		func(f *rsaFast) { f.factor[7] ^= 1 << 63 },
	} {
		bad := *newRSAFast(k, new(big.Int).ModInverse(k.Q, k.P))
		fault(&bad)
		got, ok := bad.exp(c)
		require.False(t, ok)
		require.NotEqual(t, want, got)
		broken := *k
		broken.crt = &bad
		require.Zero(t, want.Cmp(broken.exp(c)), "the portable code answers")
	}
}

func TestUnrolledSizes(t *testing.T) {
	t.Parallel()
	for bits, want := range map[int]bool{512: false, 960: false, 961: true, 1024: true, 1025: false, 1536: true, 2048: true, 3072: false, 4096: false} {
		assert.Equal(t, want, unrolled(new(big.Int).Lsh(big.NewInt(1), uint(bits-1))), bits)
	}
}

// strongProbablePrime is one round of the Miller-Rabin test by its definition.
func strongProbablePrime(n, base *big.Int) bool {
	one := big.NewInt(1)
	less1 := new(big.Int).Sub(n, one)
	odd := new(big.Int).Rsh(less1, less1.TrailingZeroBits())
	if new(big.Int).Exp(base, odd, n).Cmp(one) == 0 {
		return true
	}
	for ; odd.Cmp(less1) < 0; odd.Lsh(odd, 1) {
		if new(big.Int).Exp(base, odd, n).Cmp(less1) == 0 {
			return true
		}
	}
	return false
}

// Numbers of all sizes pass and fail alike, whoever multiplies.
func TestMillerRabinOfLargeNumbers(t *testing.T) {
	t.Parallel()
	source, gen := rand.New(rand.NewPCG(11, 12)), drbg(11)
	for _, bits := range []int{512, 1024, 1536, 2048} {
		check := func(n, base *big.Int) bool {
			p := suspect{n: n, less1: new(big.Int).Sub(n, big.NewInt(1))}
			require.True(t, p.admits(base))
			want := strongProbablePrime(n, base)
			require.Equal(t, want, p.passes(base), "%v with base %v", n, base)
			twos := p.less1.TrailingZeroBits()
			require.Equal(t, want, p.passesPortable(base, new(big.Int).Rsh(p.less1, twos), twos), "%v with base %v", n, base)
			return want
		}
		random := func() *big.Int {
			b := make([]byte, bits/8)
			for i := range b {
				b[i] = byte(source.Uint32())
			}
			b[0] &= 0x7F
			return new(big.Int).SetBytes(b)
		}
		for _, rest := range []uint64{1, 3} {
			if bits > 1024 && rest == 3 {
				continue // takes long
			}
			p := somePrime(t, gen, bits, rest)
			for range 4 {
				require.True(t, check(p, random()))
			}
			require.True(t, check(p, big.NewInt(2)))
		}
		// A number one above a multiple of a large power of two is squared often.
		n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
		n.Add(n, new(big.Int).Lsh(big.NewInt(5), uint(bits/2))).Add(n, big.NewInt(1))
		require.False(t, check(n, random()))
		// A composite number has bases that it passes with: here the square
		// root of -1. And 1 has square roots that it does not pass with.
		p, q := somePrime(t, gen, bits/2, 1), somePrime(t, gen, bits/2, 1)
		n = new(big.Int).Mul(p, q)
		less1 := func(m *big.Int) *big.Int { return new(big.Int).Sub(m, big.NewInt(1)) }
		i, j := new(big.Int).ModSqrt(less1(p), p), new(big.Int).ModSqrt(less1(q), q)
		require.True(t, check(n, chinese(i, p, j, q)))
		require.False(t, check(n, chinese(big.NewInt(1), p, less1(q), q)))
		require.False(t, check(n, random()))
	}
}

// chinese gives the number that leaves a with p and b with q.
func chinese(a, p, b, q *big.Int) *big.Int {
	h := new(big.Int).Sub(a, b)
	h.Mul(h, new(big.Int).ModInverse(q, p)).Mod(h, p)
	return h.Mul(h, q).Add(h, b)
}

// The primes are those of a search that knows no factor but the reference's,
// tests one number after the other and by the definition.
func TestSearchIsTheReferences(t *testing.T) {
	t.Parallel()
	for seed := range byte(6) {
		want := *drbg(seed)
		var prime *big.Int
		for prime == nil {
			b := make([]byte, 64)
			want.Read(b)
			adjustCandidate(b)
			f := newSieve(new(big.Int).SetBytes(b), 8167, 1, inTurn)
			var numbers []*big.Int
			for first := uint32(modWord(new(big.Int).SetBytes(b), 1<<32)) | 1<<31; f.ones > 0; {
				if c, _ := f.take(first % f.ones); modWord(c, 65537) > 1 {
					numbers = append(numbers, c)
				}
			}
			prime = oneByOne(&want, 64, numbers)
		}
		got := *drbg(seed)
		s := &primeSearch{gen: &got, bits: 512, exponent: 65537, workers: 2}
		p, err := s.next()
		require.NoError(t, err)
		assert.Equal(t, prime, p)
		assert.Equal(t, want, got)
	}
}
