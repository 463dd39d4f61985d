package crypt

import (
	"math/big"
	"math/bits"
	"slices"

	"github.com/swtpmd/swtpmd/emulator/crypt/internal/montgomery"
)

// rsaFast is the private operation for keys whose numbers package montgomery has code
// for.
type rsaFast struct {
	n, p, q *montgomery.Modulus
	e       uint
	dp, dq  []byte
	qi      []uint64 // 1/q modulo p
	factor  []uint64 // q
}

// newRSAFast gives nil if there is no code for the numbers of k; qi is 1/k.Q modulo k.P.
func newRSAFast(k *RSAPrivateKey, qi *big.Int) *rsaFast {
	if k.assembled == nil || k.P.BitLen() != k.Q.BitLen() {
		return nil
	}
	f := &rsaFast{n: k.assembled, p: montgomery.New(k.P), q: montgomery.New(k.Q), e: uint(k.E)}
	if f.p == nil || f.q == nil || f.n.Size() != 2*f.p.Size() {
		return nil
	}
	size := f.p.Size()
	// As long as the primes whatever their values, as time depends on the lengths.
	f.dp, f.dq = make([]byte, 8*size), make([]byte, 8*size)
	copy(f.dp[len(f.dp)-len(k.p.d):], k.p.d)
	copy(f.dq[len(f.dq)-len(k.q.d):], k.q.d)
	f.qi, f.factor = montgomery.Words(qi, size), montgomery.Words(k.Q, size)
	return f
}

// exp gives c to the power of the private exponent by the Chinese remainder theorem. ok
// reports whether the public operation leads back to c: a result that is wrong modulo
// one prime only, by a fault of the processor or of code, would tell the factors (Boneh,
// DeMillo and Lipton, 1997). It does not for keys from outside with a factor that is not
// prime either.
func (f *rsaFast) exp(c *big.Int) (z *big.Int, ok bool) {
	x := montgomery.Words(c, f.n.Size())
	var m1, m2 []uint64
	both(func() { m1 = f.p.Exp(x, f.dp) }, func() { m2 = f.q.Exp(x, f.dq) })
	h := f.p.Mul(f.p.Sub(m1, f.p.Reduce(m2)), f.qi)
	y := productPlus(h, f.factor, m2)
	return new(big.Int).SetBytes(montgomery.Bytes(y)), slices.Equal(f.n.ExpVarTime(y, f.e), x)
}

// productPlus gives x·y + z in twice as many words as each has. Its time does not depend
// on them.
func productPlus(x, y, z []uint64) []uint64 {
	sum := make([]uint64, 2*len(x))
	copy(sum, z)
	for i, w := range x {
		var upper uint64
		for j, v := range y {
			hi, lo := bits.Mul64(v, w)
			var carry uint64
			lo, carry = bits.Add64(lo, sum[i+j], 0)
			hi += carry
			sum[i+j], carry = bits.Add64(lo, upper, 0)
			upper = hi + carry
		}
		sum[i+len(y)] = upper
	}
	return sum
}
