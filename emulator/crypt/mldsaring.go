package crypt

// Arithmetic in the ring of ML-DSA: polynomials of 256 coefficients modulo
// dsaQ and X^256 + 1 (FIPS 204, sections 2.3 and 7.5). Nothing here branches on
// a coefficient or uses one as an index. What is called portable here is done by package
// ring on processors that it has code for, see mldsafast.go.

const (
	dsaN = 256
	dsaQ = 8380417 // 2^23 - 2^13 + 1
	dsaD = 13      // bits that are dropped from t

	dsaQInv  = 58728449 // 1/dsaQ modulo 2^32
	dsaUnity = 41978    // 2^64/256 modulo dsaQ: two Montgomery factors, and the mean of 256
)

// dsaPoly is a polynomial. Its coefficients are signed and stand for their
// residues; each function says how large they may be. Products are in the NTT
// domain and lack the Montgomery factor 2^32, which inverseNTT puts back.
type dsaPoly [dsaN]int32

// dsaZetas are the powers of 1753, a 512th root of unity, in the order in which
// nttPortable uses them, times 2^32.
var dsaZetas = func() (zetas [dsaN]int32) {
	root := uint64(1)
	var powers [dsaN]uint64
	for i := range powers {
		powers[i] = root
		root = root * 1753 % dsaQ
	}
	for i := range zetas {
		reversed := 0
		for bit := range 8 {
			reversed |= i >> bit & 1 << (7 - bit)
		}
		zetas[i] = int32(powers[reversed] << 32 % dsaQ)
	}
	return zetas
}()

// dsaMontgomery gives a·2^-32 modulo dsaQ, between -dsaQ and dsaQ, for a of at
// most 2^31·dsaQ in absolute value.
func dsaMontgomery(a int64) int32 {
	t := int32(a) * dsaQInv
	return int32((a - int64(t)*dsaQ) >> 32)
}

// dsaReduce gives a residue of a in -3/4·dsaQ…3/4·dsaQ for a < 2^31 - 2^22. For |a| <
// 2·dsaQ it is the one closest to 0 if that one is below 2^21 in absolute value.
func dsaReduce(a int32) int32 { return a - (a+1<<22)>>23*dsaQ }

// dsaCanonical gives the residue of a in 0…dsaQ-1 for |a| < dsaQ.
func dsaCanonical(a int32) int32 { return a + a>>31&dsaQ }

// nttPortable transforms p in place, from coefficients of at most dsaQ in absolute value
// to some of less than 9·dsaQ.
func (p *dsaPoly) nttPortable() {
	k := 0
	for size := dsaN / 2; size > 0; size /= 2 {
		for start := 0; start < dsaN; start += 2 * size {
			k++
			zeta := int64(dsaZetas[k])
			low, high := p[start:start+size], p[start+size:start+2*size]
			high = high[:len(low)]
			for i, a := range low {
				t := dsaMontgomery(zeta * int64(high[i]))
				low[i], high[i] = a+t, a-t
			}
		}
	}
}

// inverseNTTPortable is the inverse of ntt, times 2^32, for coefficients of less than
// dsaQ in absolute value. Those it gives are less than dsaQ/2 + 2^15.
func (p *dsaPoly) inverseNTTPortable() {
	k := dsaN
	for size := 1; size < dsaN; size *= 2 {
		for start := 0; start < dsaN; start += 2 * size {
			k--
			zeta := -int64(dsaZetas[k])
			low, high := p[start:start+size], p[start+size:start+2*size]
			high = high[:len(low)]
			for i, a := range low {
				b := high[i]
				low[i], high[i] = a+b, dsaMontgomery(zeta*int64(a-b))
			}
		}
	}
	for i, a := range p {
		p[i] = dsaMontgomery(dsaUnity * int64(a))
	}
}

// dotPortable sets p to the product of a row of a matrix and a vector, all of them in the
// NTT domain, as many polynomials as the vector has. Coefficients of the row are
// below dsaQ in absolute value, those of the vector below 9·dsaQ, those of p
// below dsaQ.
func (p *dsaPoly) dotPortable(row, vector []dsaPoly) {
	row = row[:len(vector)]
	for i := range p {
		sum := int64(0)
		for j := range vector {
			sum += int64(row[j][i]) * int64(vector[j][i])
		}
		p[i] = dsaMontgomery(sum)
	}
}

// multiplyPortable sets p to a·b with the bounds of dot.
func (p *dsaPoly) multiplyPortable(a, b *dsaPoly) {
	for i := range p {
		p[i] = dsaMontgomery(int64(a[i]) * int64(b[i]))
	}
}

func (p *dsaPoly) addPortable(a *dsaPoly) {
	for i := range p {
		p[i] += a[i]
	}
}

func (p *dsaPoly) subtractPortable(a *dsaPoly) {
	for i := range p {
		p[i] -= a[i]
	}
}

// canonicalPortable makes coefficients of less than dsaQ in absolute value those in
// 0…dsaQ-1.
func (p *dsaPoly) canonicalPortable() {
	for i, a := range p {
		p[i] = dsaCanonical(a)
	}
}

// reducePortable is dsaReduce of all coefficients.
func (p *dsaPoly) reducePortable() {
	for i, a := range p {
		p[i] = dsaReduce(a)
	}
}

// withinPortable reports whether all coefficients are less than bound in absolute value. It
// takes the same time for all of them.
func (p *dsaPoly) withinPortable(bound int32) bool {
	over := int32(0)
	for _, a := range p {
		sign := a >> 31
		over |= bound - 1 - (a ^ sign) + sign
	}
	return over >= 0
}

// split is Power2Round of FIPS 204, algorithm 35, for coefficients in 0…dsaQ-1:
// p = high·2^13 + low with low in -2^12+1…2^12.
func (p *dsaPoly) split(high, low *dsaPoly) {
	for i, a := range p {
		high[i] = (a + 1<<(dsaD-1) - 1) >> dsaD
		low[i] = a - high[i]<<dsaD
	}
}

// Values of gamma2 of FIPS 204, table 1. Rounding knows both as constants, so
// that no division is made of which the time depends on the number.
const (
	dsaGamma44 = (dsaQ - 1) / 88
	dsaGamma65 = (dsaQ - 1) / 32
)

// dsaRound is Decompose of FIPS 204, algorithm 36, for a in 0…dsaQ-1: a = high·2·gamma2
// + low modulo dsaQ, low in -gamma2…gamma2.
func dsaRound(a, gamma2 int32) (high, low int32) {
	top := int32(16)
	if gamma2 == dsaGamma44 {
		high, top = int32(uint32(a+dsaGamma44-1)/(2*dsaGamma44)), 44
	} else {
		high = int32(uint32(a+dsaGamma65-1) / (2 * dsaGamma65))
	}
	low = a - high*2*gamma2
	wrap := (top - 1 - high) >> 31 // all ones if high is top, which stands for 0
	return high &^ wrap, low + wrap
}

// roundPortable sets p's high parts in high and leaves the low ones in p, see dsaRound.
func (p *dsaPoly) roundPortable(high *dsaPoly, gamma2 int32) {
	for i, a := range p {
		high[i], p[i] = dsaRound(a, gamma2)
	}
}
