package crypt

import (
	"crypto/sha3"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/crypt/internal/keccak"
	"github.com/swtpmd/swtpmd/emulator/crypt/internal/ring"
)

// randomPoly has coefficients of less than bound in absolute value, and the largest of them.
func randomPoly(r *rand.Rand, bound int32) (p dsaPoly) {
	for i := range p {
		switch r.IntN(8) {
		case 0:
			p[i] = bound - 1
		case 1:
			p[i] = 1 - bound
		default:
			p[i] = int32(r.Int64N(2*int64(bound)-1) - int64(bound) + 1)
		}
	}
	return p
}

// What package ring computes are the same numbers as those of the portable code, at the
// bounds that it allows too.
func TestRingIsPortable(t *testing.T) {
	t.Parallel()
	if !ring.Available {
		t.Skip("this processor has no AVX2")
	}
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	for range 100 {
		a, b := randomPoly(r, dsaQ+1), randomPoly(r, dsaQ)
		for name, f := range map[string]struct {
			of             dsaPoly
			fast, portable func(p *dsaPoly)
		}{
			"ntt":        {a, (*dsaPoly).ntt, (*dsaPoly).nttPortable},
			"inverseNTT": {b, (*dsaPoly).inverseNTT, (*dsaPoly).inverseNTTPortable},
			"add":        {a, func(p *dsaPoly) { p.add(&b) }, func(p *dsaPoly) { p.addPortable(&b) }},
			"subtract":   {a, func(p *dsaPoly) { p.subtract(&b) }, func(p *dsaPoly) { p.subtractPortable(&b) }},
			"canonical":  {b, (*dsaPoly).canonical, (*dsaPoly).canonicalPortable},
			"reduce":     {randomPoly(r, 1<<31-1<<22), (*dsaPoly).reduce, (*dsaPoly).reducePortable},
			"multiply":   {a, func(p *dsaPoly) { p.multiply(&a, &b) }, func(p *dsaPoly) { p.multiplyPortable(&a, &b) }},
		} {
			got, want := f.of, f.of
			f.fast(&got)
			f.portable(&want)
			require.Equal(t, want, got, "%s, seed %d", name, seed)
		}
		for n := 1; n <= 7; n++ {
			row, vector := make([]dsaPoly, n), make([]dsaPoly, n)
			for i := range row {
				row[i], vector[i] = randomPoly(r, dsaQ), randomPoly(r, 9*dsaQ)
			}
			var got, want dsaPoly
			got.dot(row, vector)
			want.dotPortable(row, vector)
			require.Equal(t, want, got, "dot of %d, seed %d", n, seed)
		}
		bound := r.Int32N(dsaQ) + 1
		for _, p := range []dsaPoly{randomPoly(r, bound), randomPoly(r, bound+1)} {
			require.Equal(t, p.withinPortable(bound), p.within(bound), "within %d, seed %d", bound, seed)
		}
	}
}

// One coefficient at the bound is found wherever it is.
func TestRingWithin(t *testing.T) {
	t.Parallel()
	for i := range dsaN {
		for _, a := range []int32{5, -5} {
			var p dsaPoly
			p[i] = a
			assert.False(t, p.within(5), i)
			assert.True(t, p.within(6), i)
		}
	}
}

// All numbers below the modulus are rounded as the portable code does it.
func TestRingRoundsAll(t *testing.T) {
	t.Parallel()
	for _, gamma2 := range []int32{dsaGamma44, dsaGamma65} {
		for first := int32(0); first < dsaQ; first += dsaN {
			var got, want, gotHigh, wantHigh dsaPoly
			for i := range got {
				got[i] = min(first+int32(i), dsaQ-1)
			}
			want = got
			got.round(&gotHigh, gamma2)
			want.roundPortable(&wantHigh, gamma2)
			if got != want || gotHigh != wantHigh {
				require.Equal(t, wantHigh, gotHigh, "high parts from %d on", first)
				require.Equal(t, want, got, "low parts from %d on", first)
			}
		}
	}
}

// Polynomials that are drawn four at a time are those that are drawn one after the other, and
// so are masks.
func TestDrawFours(t *testing.T) {
	t.Parallel()
	if !keccak.Available {
		t.Skip("this processor has no AVX2")
	}
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	var rho [32]byte
	var mask [64]byte
	for range 10 {
		for i := range mask {
			rho[i%32], mask[i] = byte(r.Uint32()), byte(r.Uint32())
		}
		for i := range mldsaSets {
			p := &mldsaSets[i]
			want := make([]dsaPoly, p.k*p.l)
			for j := range want {
				want[j].drawUniform(sha3.NewSHAKE128(), rho[:], byte(j%p.l), byte(j/p.l))
			}
			require.Equal(t, want, p.expandMatrix(rho[:]), "seed %d", seed)
			small := make([]dsaPoly, p.k+p.l)
			p.drawSmalls(sha3.NewSHAKE256(), mask[:], small)
			masks := maskSource{x: sha3.NewSHAKE256(), seed: mask, bits: p.gamma1Bits + 1}
			for j := range small {
				var one, drawn dsaPoly
				one.drawSmall(sha3.NewSHAKE256(), mask[:], uint16(j), p.eta)
				require.Equal(t, one, small[j], "seed %d", seed)
				one.drawMask(sha3.NewSHAKE256(), mask[:], uint16(j), p.gamma1Bits+1)
				masks.draw(&drawn)
				require.Equal(t, one, drawn, "seed %d", seed)
			}
		}
	}
}
