package crypt

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

func TestModWord(t *testing.T) {
	t.Parallel()
	source := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		n := new(big.Int)
		for range source.IntN(20) {
			n.Lsh(n, 64).Or(n, new(big.Int).SetUint64(source.Uint64()))
		}
		m := source.Uint64()>>source.IntN(64) | 1
		require.Equal(t, new(big.Int).Mod(n, new(big.Int).SetUint64(m)).Uint64(), modWord(n, m), "%v mod %d", n, m)
	}
}

func TestSievePrimes(t *testing.T) {
	t.Parallel()
	var all []uint32
	for _, g := range sievePrimes() {
		product := uint64(1)
		for _, p := range g.primes {
			product *= uint64(p)
		}
		require.Equal(t, product, g.product)
		require.Less(t, product, uint64(1)<<63)
		all = append(all, g.primes...)
	}
	assert.Len(t, all, 22999, "23,000 primes are below 2^18, one of them is even")
	assert.Equal(t, []uint32{3, 5, 7, 11, 13}, all[:5])
	for i, p := range all {
		require.True(t, big.NewInt(int64(p)).ProbablyPrime(0))
		require.True(t, i == 0 || all[i-1] < p)
	}
	assert.EqualValues(t, 8167, all[1023], "the reference counts from 3")
	assert.Contains(t, all, uint32(maxSievePrime))
}

// Division by multiplication gives what division gives.
func TestSieveGroupRest(t *testing.T) {
	t.Parallel()
	source := rand.New(rand.NewPCG(7, 8))
	for range 2000 {
		product := source.Uint64()>>(1+source.IntN(60)) | 1
		if product == 1 {
			continue
		}
		g := newSieveGroup(product, nil)
		n := make([]uint64, source.IntN(34))
		for i := range n {
			switch source.IntN(4) {
			case 0: // 0
			case 1:
				n[i] = math.MaxUint64
			default:
				n[i] = source.Uint64()
			}
		}
		number := new(big.Int)
		for _, w := range n {
			number.Lsh(number, 64).Or(number, new(big.Int).SetUint64(w))
		}
		require.Equal(t, modWord(number, product), g.rest(n)%product, "%v mod %d", number, product)
		require.Equal(t, number, new(big.Int).SetBytes(bytesOf(words(number))))
	}
}

func bytesOf(words []uint64) []byte {
	var b []byte
	for _, w := range words {
		b = binary.BigEndian.AppendUint64(b, w)
	}
	return b
}

// The sieve leaves exactly the odd numbers without a factor that the reference
// looks for, and knows those with one that only we look for.
func TestSieveLeaves(t *testing.T) {
	t.Parallel()
	source := rand.New(rand.NewPCG(3, 4))
	for i, limit := range []uint32{8167, 38891, maxSievePrime - 2, maxSievePrime} {
		b := make([]byte, 64)
		for i := range b {
			b[i] = byte(source.Uint32())
		}
		b[63] |= 1
		n := new(big.Int).SetBytes(b)
		s := newSieve(n, limit, 1+i, inTurn)
		require.Zero(t, modWord(s.base, 105))
		require.EqualValues(t, 1, s.base.Bit(0))
		off := new(big.Int).Sub(n, s.base)
		require.True(t, off.Sign() >= 0 && off.Cmp(big.NewInt(210)) < 0)

		left := map[string]bool{} // whether it is composite
		for ones := s.ones; s.ones > 0; ones-- {
			require.Equal(t, ones, s.ones)
			c, composite := s.take(s.ones - 1)
			left[c.String()] = composite
		}
		want := 0
		for i := range int64(64 * sieveWords) {
			c := new(big.Int).Add(s.base, big.NewInt(2*i))
			free, rough := true, true
			for _, g := range sievePrimes() {
				rest := modWord(c, g.product)
				for _, p := range g.primes {
					divides := rest%uint64(p) == 0
					free = free && (p > limit || !divides)
					rough = rough && (p > trialLimit(512) || !divides)
				}
				if !free {
					break
				}
			}
			composite, ok := left[c.String()]
			require.Equal(t, free, ok, "%d", i)
			if free {
				require.Equal(t, !rough, composite, "%d", i)
				want++
			}
		}
		assert.Len(t, left, want)
		assert.Panics(t, func() { s.take(0) })
	}
}

func inTurn(n int, f func(i int) bool) {
	for i := range n {
		f(i)
	}
}

// What is called is the numbers from 0 to at least the first that is enough.
func TestEachStops(t *testing.T) {
	t.Parallel()
	for workers := range 5 {
		for n := range 20 {
			for first := range n + 1 {
				called := make([]atomic.Int32, n)
				s := &primeSearch{workers: workers}
				s.each(n, func(i int) bool {
					called[i].Add(1)
					return i >= first
				})
				over := false
				for i := range called {
					c := called[i].Load()
					require.LessOrEqual(t, c, int32(1))
					require.False(t, c == 1 && over, "%d is called without the one before", i)
					require.True(t, c == 1 || i > first, "%d is not called", i)
					require.False(t, c == 1 && i >= first+max(1, workers), "%d of %d is called after %d was enough", i, n, first)
					over = c == 0
				}
			}
		}
	}
}

func TestSieveTakesInOrder(t *testing.T) {
	t.Parallel()
	s := sieve{base: big.NewInt(1000), ones: 4}
	s.left[0], s.left[2] = 0b1001, 1<<63|1
	s.rough[2] = 1 << 63
	for _, c := range []struct {
		n         uint32
		want      int64
		composite bool
	}{{2, 1000 + 2*128, true}, {2, 1000 + 2*191, false}, {0, 1000, true}, {0, 1006, true}} {
		got, composite := s.take(c.n)
		assert.Equal(t, c.want, got.Int64())
		assert.Equal(t, c.composite, composite)
	}
	assert.Zero(t, s.ones)
}

func TestAdjustCandidate(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"0000000000000000": "b505000000000001",
		"ffffffffffffffff": "ffffffffffffffff",
		"8000000000000002": "da82800000000003",
		"0001ffff00000000": "b50595f500000001", // 0x4AFB + 0xFFFF·0x4AFB/2^16, rounded down
	} {
		n, ok := new(big.Int).SetString(in, 16)
		require.True(t, ok)
		b := n.FillBytes(make([]byte, 8))
		adjustCandidate(b)
		assert.Equal(t, want, fmt.Sprintf("%x", b))
	}
	low := make([]byte, 64)
	adjustCandidate(low)
	product := new(big.Int).SetBytes(low)
	assert.Equal(t, 1024, product.Mul(product, product).BitLen(), "the smallest product has all bits")
}

func TestMillerRabin(t *testing.T) {
	t.Parallel()
	for n := int64(5); n < 700; n += 2 {
		p := suspect{n: big.NewInt(n), less1: big.NewInt(n - 1)}
		passes := 0
		for b := int64(2); b < n-1; b++ {
			require.True(t, p.admits(big.NewInt(b)))
			if p.passes(big.NewInt(b)) {
				passes++
			}
		}
		if big.NewInt(n).ProbablyPrime(0) {
			require.EqualValues(t, n-3, passes, "%d is prime", n)
		} else {
			require.LessOrEqual(t, int64(passes), n/4, "%d is composite", n)
		}
		for _, b := range []int64{0, 1, n - 1, n} {
			require.False(t, p.admits(big.NewInt(b)))
		}
	}
	assert.Equal(t, 8, millerRabinRounds(510))
	assert.Equal(t, 5, millerRabinRounds(511))
	assert.Equal(t, 5, millerRabinRounds(1535))
	assert.Equal(t, 4, millerRabinRounds(1536))
}

// oneByOne is the search for a prime among given numbers as it is written down:
// one number, one base, one request after the other.
func oneByOne(gen *DRBGState, size int, numbers []*big.Int) *big.Int {
	one := big.NewInt(1)
	for _, n := range numbers {
		p := suspect{n: n, less1: new(big.Int).Sub(n, one)}
		ok := true
		for round := 0; ok && round < millerRabinRounds(8*size); round++ {
			base := new(big.Int)
			for base.Cmp(one) <= 0 || base.Cmp(p.less1) >= 0 {
				b := make([]byte, size)
				gen.Read(b)
				base.SetBytes(b)
			}
			ok = strongProbablePrime(n, base)
		}
		if ok {
			return n
		}
	}
	return nil
}

// Numbers tested at once are found and leave the generator as if they had been
// tested one by one. Numbers of eight bits have many bases that they pass
// although they are composite, and many that are out of range.
func TestSpeculationChangesNothing(t *testing.T) {
	t.Parallel()
	source := rand.New(rand.NewPCG(5, 6))
	liars := 0
	for trial := range 3000 {
		var numbers []*big.Int
		for range 1 + source.IntN(8) {
			numbers = append(numbers, big.NewInt(int64(129+2*source.IntN(63))))
		}
		want := *drbg(byte(trial))
		prime := oneByOne(&want, 1, numbers)

		got := *drbg(byte(trial))
		s := &primeSearch{gen: &got, bits: 8, workers: 1 + source.IntN(4)}
		var batch []suspect
		var found *big.Int
		for rest := numbers; found == nil && (len(rest) > 0 || len(batch) > 0); {
			next := 0
			if len(batch) > 0 {
				next = batch[len(batch)-1].base + 1
			}
			for len(batch) < s.workers && len(rest) > 0 {
				batch = append(batch, s.suspect(rest[0], false, &next))
				rest = rest[1:]
			}
			found, batch = s.test(batch)
			if batch != nil {
				liars++
			}
		}
		require.Equal(t, prime, found, "trial %d", trial)
		require.Equal(t, want, got, "trial %d", trial)
	}
	assert.Greater(t, liars, 10, "some numbers passed once and failed later")
}

func TestGenerateRSADoesNotDependOnWorkers(t *testing.T) {
	t.Parallel()
	for seed := range byte(4) {
		var keys []*RSAPrivateKey
		var after []DRBGState
		for _, workers := range []int{1, 2, 5} {
			gen := drbg(seed)
			k, err := GenerateRSA(gen, 1024, RSAOptions{Workers: workers})
			require.NoError(t, err)
			keys, after = append(keys, k), append(after, *gen)
		}
		for i := range keys {
			assert.Zero(t, keys[0].P.Cmp(keys[i].P))
			assert.Zero(t, keys[0].Q.Cmp(keys[i].Q))
			assert.Equal(t, after[0], after[i])
		}
	}
}

// A prime of which the exponent divides the predecessor would have no private
// exponent.
func TestPrimesSuitTheExponent(t *testing.T) {
	t.Parallel()
	s := &primeSearch{gen: drbg(1), bits: 512, exponent: 3, workers: 2}
	for range 4 {
		p, err := s.next()
		require.NoError(t, err)
		require.True(t, p.ProbablyPrime(20))
		require.EqualValues(t, 2, modWord(p, 3))
	}
}

func TestGenerateRSACancels(t *testing.T) {
	t.Parallel()
	for limit := range 4 {
		polls := 0
		_, err := GenerateRSA(drbg(1), 2048, RSAOptions{Canceled: func() bool { polls++; return polls > limit }})
		var refused *Error
		require.ErrorAs(t, err, &refused)
		assert.Equal(t, wire.RCCanceled, refused.Code)
	}
}

func FuzzSieveGroupRest(f *testing.F) {
	f.Add(uint64(15), []byte{1, 2, 3})
	f.Add(uint64(1)<<63-1, bytes.Repeat([]byte{0xFF}, 128))
	f.Fuzz(func(t *testing.T, product uint64, n []byte) {
		product = product>>1 | 1
		if product == 1 || len(n) > 1024 {
			return
		}
		g := newSieveGroup(product, nil)
		number := new(big.Int).SetBytes(n)
		if want, got := modWord(number, product), g.rest(words(number))%product; want != got {
			t.Fatalf("%v mod %d is %d, not %d", number, product, want, got)
		}
	})
}
