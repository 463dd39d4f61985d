package crypt

import (
	"math/big"
	"math/bits"
	"sync"
)

// The search for primes that the reference does (TCG reference code, chapter
// "CryptPrimeSieve", as Part 1, annex "RSA Key Generation" allows) is part of
// what a primary seed means: another search finds other primes for the same
// seed. What follows is its behaviour, not its code.

// sieveWords is the size of the field that is sieved around a candidate: 16,384
// odd numbers, one bit each.
const sieveWords = 256

// maxSievePrime is the largest prime that is sieved with.
const maxSievePrime = 65537

// sievePrimes are the odd primes up to maxSievePrime in groups whose product
// fits a word, so that a large number is divided once for each group.
var sievePrimes = sync.OnceValue(func() []sieveGroup {
	var composite [maxSievePrime + 1]bool
	var groups []sieveGroup
	group := sieveGroup{product: 1}
	for p := uint64(3); p <= maxSievePrime; p += 2 {
		if composite[p] {
			continue
		}
		for m := p * p; m <= maxSievePrime; m += 2 * p {
			composite[m] = true
		}
		if over, product := bits.Mul64(group.product, p); over == 0 {
			group.product = product
			group.primes = append(group.primes, uint32(p))
			continue
		}
		groups = append(groups, group)
		group = sieveGroup{product: p, primes: []uint32{uint32(p)}}
	}
	return append(groups, group)
})

type sieveGroup struct {
	product uint64
	primes  []uint32
}

// sieve is the field: bit i stands for the number base + 2i.
type sieve struct {
	base  *big.Int
	field [sieveWords]uint64
	ones  uint32 // bits that are set
}

// fill sets the field around an odd number, whose base becomes the number or
// one less by up to 209, and clears the multiples of the primes up to limit. It
// sets the bits of numbers that are left, which may themselves be primes up to
// limit only if the number is that small.
func (s *sieve) fill(n *big.Int, limit uint32) {
	adjust := modWord(n, 105)
	if adjust%2 != 0 {
		adjust += 105
	}
	s.base = new(big.Int).Sub(n, new(big.Int).SetUint64(adjust))
	for i := range s.field {
		s.field[i] = ^uint64(0)
	}
	for _, g := range sievePrimes() {
		rest := modWord(s.base, g.product)
		for _, p := range g.primes {
			if p > limit {
				s.count()
				return
			}
			s.strike(p, uint32(rest%uint64(p)))
		}
	}
	s.count()
}

// strike clears the multiples of p, where the base leaves rest.
func (s *sieve) strike(p, rest uint32) {
	first := (p - rest) / 2 // rest is odd
	switch {
	case rest == 0:
		first = 0
	case rest%2 == 0:
		first = p - rest/2
	}
	for i := first; i < 64*sieveWords; i += p {
		s.field[i/64] &^= 1 << (i % 64)
	}
}

func (s *sieve) count() {
	s.ones = 0
	for _, w := range s.field {
		s.ones += uint32(bits.OnesCount64(w))
	}
}

// take removes the n-th of the numbers that are left, counted from 0, and gives
// it. n must be below s.ones.
func (s *sieve) take(n uint32) *big.Int {
	for i, w := range s.field {
		c := uint32(bits.OnesCount64(w))
		if n >= c {
			n -= c
			continue
		}
		for ; n > 0; n-- {
			w &= w - 1
		}
		bit := bits.TrailingZeros64(w)
		s.field[i] &^= 1 << bit
		s.ones--
		return new(big.Int).Add(s.base, big.NewInt(2*int64(64*i+bit)))
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
