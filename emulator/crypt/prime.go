package crypt

import (
	"encoding/binary"
	"math/big"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"filippo.io/bigmod"

	"github.com/swtpmd/swtpmd/emulator/crypt/internal/montgomery"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Lineage is a family of implementations that make the same keys from the same
// primary seeds. It matters for RSA keys of 3,072 and 4,096 bits only, and for
// few of them.
type Lineage uint8

// The lineages that differ.
const (
	// LineageReference is the TCG reference code, library revision 1.54 and
	// later.
	LineageReference Lineage = iota
	// LineageLibtpms is libtpms from 0.7 on with its seed compatibility level 1:
	// it does not sieve with the prime 65,537.
	LineageLibtpms
)

// sieveLimit gives the largest prime to sieve with.
func (l Lineage) sieveLimit(primeBits int) uint32 {
	switch {
	case primeBits <= 512:
		return 8167 // the 1,024th prime or so
	case primeBits <= 1024:
		return 38891 // the 4,096th
	case l == LineageLibtpms:
		return maxSievePrime - 2
	}
	return maxSievePrime
}

// millerRabinRounds is how many bases a prime must pass (FIPS 186-3, appendix
// C.3, table C.3).
func millerRabinRounds(primeBits int) int {
	switch {
	case primeBits < 511:
		return 8
	case primeBits < 1536:
		return 5
	}
	return 4
}

// primeSearch finds primes for one RSA key.
//
// All its requests to the generator are for as many bytes as a prime has, and
// which request serves which purpose depends on the outcome of tests only. That
// permits to test several candidates at once: requests are made ahead as if all
// but the last failed, and made undone when one did not. What is found and the
// state in which the generator is left do not depend on the number of workers.
type primeSearch struct {
	gen      *DRBGState
	bits     int
	exponent uint32
	lineage  Lineage
	canceled func() bool
	workers  int
	ahead    []draw // requests made that were not needed yet
}

// testsAhead is how many candidates there are for each worker in a batch, which
// take some milliseconds: with fewer, waking workers up and waiting for the last
// of them takes a large part of the time, with more it takes long to be canceled.
func testsAhead(primeBits int) int { return max(2, 4096/primeBits) }

// draw is what a request gave and the generator's state after it.
type draw struct {
	value *big.Int
	after DRBGState
}

// peek gives the i-th request from now, counted from 0, without using it up.
func (s *primeSearch) peek(i int) *big.Int {
	for len(s.ahead) <= i {
		var d draw
		d.after = *s.gen
		if len(s.ahead) > 0 {
			d.after = s.ahead[len(s.ahead)-1].after
		}
		b := make([]byte, s.bits/8)
		d.after.Read(b)
		d.value = new(big.Int).SetBytes(b)
		s.ahead = append(s.ahead, d)
	}
	return s.ahead[i].value
}

// use uses up the next n requests.
func (s *primeSearch) use(n int) {
	if n > 0 {
		s.peek(n - 1)
		*s.gen = s.ahead[n-1].after
		s.ahead = s.ahead[n:]
	}
}

// next finds a prime. It fails only when canceled.
func (s *primeSearch) next() (*big.Int, error) {
	for {
		if s.canceled != nil && s.canceled() {
			return nil, refuse("RSA key generation", wire.RCCanceled, "it was canceled")
		}
		b := s.peek(0).FillBytes(make([]byte, s.bits/8))
		s.use(1)
		adjustCandidate(b)
		if p := s.around(new(big.Int).SetBytes(b)); p != nil {
			return p, nil
		}
	}
}

// adjustCandidate makes a number odd and maps its upper 32 bits onto the range
// from 0xB505 0000, which is about half the square root of two, up: a product
// of two such numbers has all its bits.
func adjustCandidate(b []byte) {
	top := binary.BigEndian.Uint32(b)
	const span = 0x10000 - 0xB505
	binary.BigEndian.PutUint32(b, 0xB5050000+(top>>16)*span+((top&0xFFFF)*span)>>16)
	b[len(b)-1] |= 1
}

// suspect is a number that may be prime, with the position of its first base in
// the requests to come.
type suspect struct {
	n         *big.Int
	less1     *big.Int // n-1
	base      int
	composite bool // it has a factor, and no base will be found that it passes with
}

// around finds a prime among the numbers around n: nil if there is none or the
// search was canceled. The order in which it looks at what the sieve leaves is
// given by the lower 32 bits of n.
func (s *primeSearch) around(n *big.Int) *big.Int {
	first := uint32(modWord(n, 1<<32)) | 1<<31
	f := newSieve(n, s.lineage.sieveLimit(s.bits), s.workers, s.each)
	var batch []suspect
	for {
		next, tests := 0, 0
		if len(batch) > 0 {
			next, tests = batch[len(batch)-1].base+1, len(batch)
		}
		for tests < testsAhead(s.bits)*s.workers && f.ones > 0 {
			c, composite := f.take(first % f.ones)
			// The exponent must not divide c-1; the reference does not want
			// it to divide c either.
			if r := modWord(c, uint64(s.exponent)); r <= 1 {
				continue
			}
			batch = append(batch, s.suspect(c, composite, &next))
			if !composite {
				tests++
			}
		}
		if len(batch) == 0 || s.canceled != nil && s.canceled() {
			return nil
		}
		prime, rest := s.test(batch)
		if prime != nil {
			return prime
		}
		batch = rest
	}
}

// suspect finds the base of c at next or later, and moves next past it.
func (s *primeSearch) suspect(c *big.Int, composite bool, next *int) suspect {
	p := suspect{n: c, less1: new(big.Int).Sub(c, big.NewInt(1)), base: *next, composite: composite}
	for !p.admits(s.peek(p.base)) {
		p.base++
	}
	*next = p.base + 1
	return p
}

// admits reports whether b can be a base: 1 < b < n-1.
func (p *suspect) admits(b *big.Int) bool {
	return b.BitLen() > 1 && b.Cmp(p.less1) < 0
}

// test tests the suspects of a batch at once, and uses up the requests for them.
// It returns the first one that is prime. If one passed with its first base and
// failed with another, it returns those after it with new bases, else none.
func (s *primeSearch) test(batch []suspect) (prime *big.Int, rest []suspect) {
	passed := make([]bool, len(batch))
	s.each(len(batch), func(i int) bool {
		p := &batch[i]
		passed[i] = !p.composite && p.passes(s.ahead[p.base].value)
		return passed[i]
	})
	if i := slices.Index(passed, true); i >= 0 {
		used, ok := s.confirm(&batch[i])
		s.use(used)
		if ok {
			s.ahead = nil
			return batch[i].n, nil
		}
		next := 0
		for _, p := range batch[i+1:] {
			rest = append(rest, s.suspect(p.n, p.composite, &next))
		}
		return nil, rest
	}
	s.use(batch[len(batch)-1].base + 1)
	return nil, nil
}

// confirm tests a suspect that passed once with the other bases. It gives the
// number of requests that were needed, which are fewer if a base fails.
func (s *primeSearch) confirm(p *suspect) (used int, ok bool) {
	at := make([]int, millerRabinRounds(s.bits)-1)
	next := p.base + 1
	for i := range at {
		at[i] = s.suspect(p.n, p.composite, &next).base
	}
	passed := make([]bool, len(at))
	s.each(len(at), func(i int) bool {
		passed[i] = p.passes(s.ahead[at[i]].value)
		return !passed[i]
	})
	for i, ok := range passed {
		if !ok {
			return at[i] + 1, false
		}
	}
	return next, true
}

// each calls f for 0, 1, 2 … n-1, as many at once as there are workers, and no
// further once a call says that it is enough.
func (s *primeSearch) each(n int, f func(i int) (enough bool)) {
	var next atomic.Int64
	var enough atomic.Bool
	work := func() {
		for !enough.Load() {
			i := int(next.Add(1)) - 1
			if i >= n {
				return
			}
			if f(i) {
				enough.Store(true)
			}
		}
	}
	var wg sync.WaitGroup
	for range min(s.workers, n) - 1 {
		wg.Go(work)
	}
	work()
	wg.Wait()
}

// passes is one round of the Miller-Rabin test (FIPS 186-4, appendix C.3.1).
func (p *suspect) passes(base *big.Int) bool {
	twos := p.less1.TrailingZeroBits()
	odd := new(big.Int).Rsh(p.less1, twos)
	if m := montgomery.New(p.n); m != nil {
		return m.StrongProbablePrime(montgomery.Words(base, m.Size()), odd.Bytes(), twos)
	}
	return p.passesPortable(base, odd, twos)
}

// passesPortable is passes for the number odd·2^twos + 1 without package montgomery.
func (p *suspect) passesPortable(base, odd *big.Int, twos uint) bool {
	if unrolled(p.n) {
		return passesFast(newModulus(p.n), base, odd, twos)
	}
	z := odd.Exp(base, odd, p.n)
	if z.IsUint64() && z.Uint64() == 1 {
		return true
	}
	for j := uint(1); ; j++ {
		if z.Cmp(p.less1) == 0 {
			return true
		}
		if j >= twos {
			return false
		}
		z.Mul(z, z).Mod(z, p.n)
	}
}

// passesFast is passes for a number odd·2^twos + 1 of a size that bigmod has
// code for.
func passesFast(n *bigmod.Modulus, base, odd *big.Int, twos uint) bool {
	z := residue(base, n)
	z.Exp(z, odd.Bytes(), n)
	if z.IsOne() == 1 {
		return true
	}
	for j := uint(1); ; j++ {
		if z.IsMinusOne(n) == 1 {
			return true
		}
		if j >= twos {
			return false
		}
		z.Mul(z, n)
	}
}

// primeWorkers is how many candidates are tested at once.
func primeWorkers() int { return min(runtime.GOMAXPROCS(0), 8) }
