// Package montgomery computes modulo odd numbers of 512, 1,024, 1,536 … 4,096 bits, the
// sizes of RSA keys and their primes: with MULX, ADCX, ADOX and AVX2 on processors of
// amd64 that have them. On others, and with the build tag purego, New gives nil and the
// caller has to do without; filippo.io/bigmod is faster there than what Go alone can do.
//
// The time that an operation takes depends on the sizes of its operands only, unless its
// comment says otherwise: no jump and no address depends on a word of a number. What is
// added for a carry is masked, all of a table is read for an entry.
//
// Numbers are slices of words with the least significant one first.
package montgomery

import (
	"encoding/binary"
	"math/big"
	"math/bits"
)

// blockWords is the number of words that the assembly works on at a time: sizes are
// multiples of it.
const blockWords = 8

// maxWords is the size of the largest modulus.
const maxWords = 64

// Exponents are taken five bits at a time.
const (
	windowBits   = 5
	tableEntries = 1 << windowBits
)

// scratch is where products are made.
type scratch [2 * maxWords]uint64

// Modulus is an odd number with its most significant bit set. It is not changed once
// made.
//
// With R = 2^(64·size) numbers are kept below R, not below the modulus, while they are
// computed with, and multiplied by R. What comes out of exported functions is below the
// modulus.
type Modulus struct {
	n       []uint64
	inverse uint64   // -1/n modulo 2^64
	one     []uint64 // R modulo n
	square  []uint64 // R² modulo n
}

// New prepares for computing modulo n. It gives nil if n is even or not of a size that
// the package knows, or if there is no fast code for this processor.
func New(n *big.Int) *Modulus {
	size := n.BitLen()
	if !available || size == 0 || size%(64*blockWords) != 0 || size > 64*maxWords || n.Bit(0) == 0 {
		return nil
	}
	return newModulus(n)
}

func newModulus(n *big.Int) *Modulus {
	size := n.BitLen() / 64
	m := &Modulus{n: Words(n, size), one: make([]uint64, size), square: make([]uint64, size)}
	m.inverse = m.n[0] // right in 3 bits
	for range 5 {
		m.inverse *= 2 - m.n[0]*m.inverse
	}
	m.inverse = -m.inverse
	var borrow uint64
	for i, w := range m.n {
		m.one[i], borrow = bits.Sub64(0, w, borrow)
	}
	// Size is odd·2^k words. 2^(64·odd) is doubled from 1, and squared k times gives R.
	var t scratch
	twos := bits.TrailingZeros(uint(64 * size))
	copy(m.square, m.one)
	for range 64 * size >> twos {
		m.add(m.square, m.square, m.square)
	}
	for range twos {
		m.mul(m.square, m.square, m.square, &t)
	}
	return m
}

// Size returns the number of words of the modulus.
func (m *Modulus) Size() int { return len(m.n) }

// Words gives n, which must fit, in size words.
func Words(n *big.Int, size int) []uint64 {
	b := n.FillBytes(make([]byte, 8*size))
	w := make([]uint64, size)
	for i := range w {
		w[i] = binary.BigEndian.Uint64(b[len(b)-8*i-8:])
	}
	return w
}

// Bytes gives x as a big-endian number.
func Bytes(x []uint64) []byte {
	b := make([]byte, 8*len(x))
	for i, w := range x {
		binary.BigEndian.PutUint64(b[len(b)-8*i-8:], w)
	}
	return b
}

// subtract sets z to x, less the modulus if carry is 1.
func (m *Modulus) subtract(z, x []uint64, carry uint64) {
	mask := -carry
	var borrow uint64
	for i, w := range m.n {
		z[i], borrow = bits.Sub64(x[i], w&mask, borrow)
	}
}

// add sets z to x + y. All three are below the modulus.
func (m *Modulus) add(z, x, y []uint64) {
	var carry uint64
	for i := range m.n {
		z[i], carry = bits.Add64(x[i], y[i], carry)
	}
	m.subtract(z, z, carry)
	m.least(z)
}

// least brings x below the modulus. x is below R, which is less than twice the modulus.
func (m *Modulus) least(x []uint64) {
	var borrow uint64
	for i, w := range m.n {
		_, borrow = bits.Sub64(x[i], w, borrow)
	}
	m.subtract(x, x, borrow^1)
}

// leave gives x/R, below the modulus.
func (m *Modulus) leave(x []uint64, t *scratch) []uint64 {
	one, z := make([]uint64, len(m.n)), make([]uint64, len(m.n))
	one[0] = 1
	m.mul(z, x, one, t)
	m.least(z)
	return z
}

// enter gives x·R, for x of the size of the modulus or twice that.
func (m *Modulus) enter(x []uint64, t *scratch) []uint64 {
	size := len(m.n)
	z := make([]uint64, size)
	m.mul(z, x[:size], m.square, t)
	if len(x) > size {
		upper := make([]uint64, size)
		m.mul(upper, x[size:], m.square, t) // the upper half, times R
		m.mul(upper, upper, m.square, t)
		m.least(z)
		m.least(upper)
		m.add(z, z, upper)
	}
	return z
}

// Reduce gives x modulo the modulus. x has as many words as that or twice as many.
func (m *Modulus) Reduce(x []uint64) []uint64 {
	var t scratch
	return m.leave(m.enter(x, &t), &t)
}

// Sub gives x - y. Both are below the modulus.
func (m *Modulus) Sub(x, y []uint64) []uint64 {
	z := make([]uint64, len(m.n))
	var borrow, carry uint64
	for i := range z {
		z[i], borrow = bits.Sub64(x[i], y[i], borrow)
	}
	mask := -borrow
	for i, w := range m.n {
		z[i], carry = bits.Add64(z[i], w&mask, carry)
	}
	return z
}

// Mul gives x·y. Both are of the size of the modulus.
func (m *Modulus) Mul(x, y []uint64) []uint64 {
	var t scratch
	z := make([]uint64, len(m.n))
	m.mul(z, m.enter(x, &t), y, &t)
	m.least(z)
	return z
}

// Exp gives x to the power of e, a big-endian number, whose length may be known to
// everybody. x has as many words as the modulus or twice as many.
func (m *Modulus) Exp(x []uint64, e []byte) []uint64 {
	var t scratch
	return m.leave(m.power(m.enter(x, &t), e, &t), &t)
}

// power is Exp from and to numbers multiplied by R.
func (m *Modulus) power(x []uint64, e []byte, t *scratch) []uint64 {
	size := len(m.n)
	table := make([]uint64, tableEntries*size)
	copy(table, m.one)
	copy(table[size:], x)
	for i := 2; i < tableEntries; i++ {
		m.mul(table[i*size:(i+1)*size], table[(i-1)*size:i*size], x, t)
	}
	z, factor := make([]uint64, size), make([]uint64, size)
	at := (8*len(e) + windowBits - 1) / windowBits * windowBits
	copy(z, m.one)
	for first := true; at > 0; first = false {
		at -= windowBits
		gather(factor, table, window(e, at))
		if first {
			copy(z, factor)
			continue
		}
		for range windowBits {
			m.mul(z, z, z, t)
		}
		m.mul(z, z, factor, t)
	}
	clear(table)
	return z
}

// window gives the bits of e from at up, counted from the least significant one.
func window(e []byte, at int) int {
	i := len(e) - 1 - at/8
	w := int(e[i])
	if i > 0 {
		w |= int(e[i-1]) << 8
	}
	return w >> (at % 8) & (tableEntries - 1)
}

// ExpVarTime gives x to the power of e, which may be known to everybody: the time depends
// on it. x is of the size of the modulus.
func (m *Modulus) ExpVarTime(x []uint64, e uint) []uint64 {
	var t scratch
	base := m.enter(x, &t)
	z := make([]uint64, len(m.n))
	copy(z, m.one)
	for i := bits.Len(e) - 1; i >= 0; i-- {
		m.mul(z, z, z, &t)
		if e>>i&1 == 1 {
			m.mul(z, z, base, &t)
		}
	}
	return m.leave(z, &t)
}

// StrongProbablePrime is one round of the Miller-Rabin test (FIPS 186-5, appendix B.3.1)
// of the modulus n = odd·2^twos + 1 with a base; odd is a big-endian number. The time
// depends on twos and the outcome.
func (m *Modulus) StrongProbablePrime(base []uint64, odd []byte, twos uint) bool {
	var t scratch
	z := m.power(m.enter(base, &t), odd, &t)
	number := make([]uint64, len(m.n))
	less1 := m.Sub(number, m.one)
	for j := uint(0); ; j++ {
		copy(number, z)
		m.least(number)
		if j == 0 && same(number, m.one) || same(number, less1) {
			return true
		}
		if j+1 >= twos {
			return false
		}
		m.mul(z, z, z, &t)
	}
}

func same(x, y []uint64) bool {
	var differ uint64
	for i := range x {
		differ |= x[i] ^ y[i]
	}
	return differ == 0
}
