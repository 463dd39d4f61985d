package crypt

import (
	"encoding/binary"
	"math/big"
	"math/bits"
	"sync"
)

// The search for primes that the reference does (TCG reference code, chapter
// "CryptPrimeSieve", as Part 1, annex "RSA Key Generation" allows) is part of
// what a primary seed means: another search finds other primes for the same
// seed. What follows is its behavior, not its code.

// sieveWords is the size of the field that is sieved around a candidate: 16,384
// odd numbers, one bit each.
const sieveWords = 256

// maxSievePrime is the largest prime that the reference sieves with.
const maxSievePrime = 65537

// maxTrialPrime is up to where we look for factors at most. A number with one
// above the limit of the reference is left in the field, because the order
// depends on it and because it costs the generator a base, but needs no test to
// be known as composite.
const maxTrialPrime = 1 << 18

// trialLimit gives up to where it pays to look for factors of numbers of a size:
// further would take longer than the tests that it spares.
func trialLimit(primeBits int) uint32 { return uint32(min(primeBits<<8, maxTrialPrime)) }

// sievePrimes are the odd primes up to maxTrialPrime in groups whose product
// fits 63 bits, so that a large number is divided once for each group.
var sievePrimes = sync.OnceValue(func() []sieveGroup {
	primes := oddPrimes(maxTrialPrime)
	var groups []sieveGroup
	for first, i, product := 0, 0, uint64(1); first < len(primes); i++ {
		if i < len(primes) {
			if over, p := bits.Mul64(product, uint64(primes[i])); over == 0 && p < 1<<63 {
				product = p
				continue
			}
		}
		groups = append(groups, newSieveGroup(product, primes[first:i]))
		first, product = i, 1
		i--
	}
	return groups
})

// oddPrimes are those up to limit.
func oddPrimes(limit int) []uint32 {
	composite := make([]bool, limit/2+1) // of 2i+1
	var primes []uint32
	for i := 1; 2*i+1 <= limit; i++ {
		if composite[i] {
			continue
		}
		p := 2*i + 1
		primes = append(primes, uint32(p))
		for m := p * p / 2; m < len(composite); m += p {
			composite[m] = true
		}
	}
	return primes
}

// sieveGroup is some primes and what it takes to divide by their product without
// a division.
type sieveGroup struct {
	primes  []uint32
	product uint64 // below 2^63
	inverse uint64 // of the product modulo 2^64
	r1, r2  uint64 // 2^64 and 2^128 modulo the product
}

func newSieveGroup(product uint64, primes []uint32) sieveGroup {
	g := sieveGroup{primes: primes, product: product, inverse: product}
	for range 5 { // from 3 bits to 96
		g.inverse *= 2 - product*g.inverse
	}
	_, g.r1 = bits.Div64(1, 0, product)
	_, g.r2 = bits.Div64(g.r1, 0, product)
	return g
}

// rest gives a number that leaves the same rests as n when it is divided by the
// primes of the group; n has its most significant word first.
func (g *sieveGroup) rest(n []uint64) uint64 {
	var r uint64
	for _, w := range n {
		// r·2^64 modulo the product, by Montgomery's reduction of r·r2
		hi, lo := bits.Mul64(r, g.r2)
		q, _ := bits.Mul64(lo*g.inverse, g.product)
		var carry uint64
		r, carry = bits.Sub64(hi, q, 0)
		r += g.product & -carry
		r, carry = bits.Add64(r, w, 0)
		r += g.r1 & -carry
	}
	return r
}

// field has a bit for each number of a sieve: bit i is base + 2i.
type field [sieveWords]uint64

// strike clears the multiples of p, where the base leaves rest.
func (f *field) strike(p, rest uint32) {
	first := (p - rest) / 2 // rest is odd
	switch {
	case rest == 0:
		first = 0
	case rest%2 == 0:
		first = p - rest/2
	}
	for i := first; i < 64*sieveWords; i += p {
		f[i/64] &^= 1 << (i % 64)
	}
}

func (f *field) set() {
	for i := range f {
		f[i] = ^uint64(0)
	}
}

// sieve holds the odd numbers from a base up.
type sieve struct {
	base  *big.Int
	left  field  // what the reference's sieve leaves
	rough field  // what has no factor above the reference's limit
	ones  uint32 // bits that are set in left
}

// newSieve makes the sieve around an odd number, whose base becomes the number
// or one less by up to 209. The multiples of the primes up to limit are gone
// from what is left, those primes themselves too if the number is that small.
// each is that of a search.
func newSieve(n *big.Int, limit uint32, workers int, each func(n int, f func(i int) bool)) *sieve {
	adjust := modWord(n, 105)
	if adjust%2 != 0 {
		adjust += 105
	}
	s := &sieve{base: new(big.Int).Sub(n, new(big.Int).SetUint64(adjust))}
	s.left.set()
	s.rough.set()
	words, groups, reach := words(s.base), sievePrimes(), max(limit, trialLimit(n.BitLen()))
	parts := make([]sieve, workers)
	each(workers, func(i int) bool {
		parts[i].fill(words, groups, i, workers, limit, reach)
		return false
	})
	for _, p := range parts {
		for i := range s.left {
			s.left[i] &= p.left[i]
			s.rough[i] &= p.rough[i]
		}
	}
	for _, w := range s.left {
		s.ones += uint32(bits.OnesCount64(w))
	}
	return s
}

// fill sets the fields and strikes with the primes up to reach in every step-th
// group.
func (s *sieve) fill(base []uint64, groups []sieveGroup, from, step int, limit, reach uint32) {
	s.left.set()
	s.rough.set()
	for i := from; i < len(groups); i += step {
		r := groups[i].rest(base)
		for _, p := range groups[i].primes {
			f := &s.left
			if p > reach {
				return
			} else if p > limit {
				f = &s.rough
			}
			f.strike(p, uint32(r%uint64(p)))
		}
	}
}

// words gives n with the most significant word first.
func words(n *big.Int) []uint64 {
	w := make([]uint64, (n.BitLen()+63)/64)
	b := n.FillBytes(make([]byte, 8*len(w)))
	for i := range w {
		w[i] = binary.BigEndian.Uint64(b[8*i:])
	}
	return w
}

// take removes the n-th of the numbers that are left, counted from 0, and gives
// it, and whether it is known to be composite. n must be below s.ones.
func (s *sieve) take(n uint32) (c *big.Int, composite bool) {
	for i, w := range s.left {
		ones := uint32(bits.OnesCount64(w))
		if n >= ones {
			n -= ones
			continue
		}
		for ; n > 0; n-- {
			w &= w - 1
		}
		bit := bits.TrailingZeros64(w)
		s.left[i] &^= 1 << bit
		s.ones--
		c = new(big.Int).Add(s.base, big.NewInt(2*int64(64*i+bit)))
		return c, s.rough[i]>>bit&1 == 0
	}
	panic("internal error: the sieve has fewer numbers than it counts")
}

// modWord gives n modulo m for n >= 0 and m > 0.
func modWord(n *big.Int, m uint64) uint64 {
	var r uint64
	words := n.Bits()
	for i := len(words) - 1; i >= 0; i-- {
		w := uint64(words[i])
		if bits.UintSize == 32 {
			_, r = bits.Div64(r>>32, r<<32|w, m)
			continue
		}
		_, r = bits.Div64(r, w, m)
	}
	return r
}
