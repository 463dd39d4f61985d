//go:build amd64 && !purego

package edwards

import (
	"encoding/binary"
	"sync"
	"unsafe"

	"filippo.io/edwards25519"
	"filippo.io/edwards25519/field"
	"golang.org/x/sys/cpu"
)

//go:generate go -C ../../../../scripts/tools run ./edwards ../../emulator/crypt/internal/edwards

// Available reports whether this processor has what the package needs.
var Available = cpu.X86.HasAVX512F && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL && cpu.X86.HasAVX512IFMA

//go:noescape
func addMultiplesIFMA(p, t *uint64, d *int8)

//go:noescape
func foldIFMA(p, order, twiceD *uint64)

// A number modulo 2^255 - 19 has limbs of 51 bits, and an element eight of them side by side.
const (
	limbs    = 5
	limbBits = 51
	limbMask = 1<<limbBits - 1
	width    = 8
)

type element [limbs][width]uint64

// points are eight points in extended coordinates (RFC 8032, section 5.1.4), and room for
// what is between.
type points struct {
	x, y, z, t element
	_          [4]element
}

// table has the multiples of each step: y + x, y - x and 2·d·x·y.
type table [steps][multiples][3]element

// base is what a multiplication needs. It is made when it is first needed.
type base struct {
	table  table
	twiceD element
}

var made = sync.OnceValue(newBase)

func newBase() *base {
	b := new(base)
	one := new(field.Element).One()
	// d is -121665/121666.
	numerator, denominator := new(field.Element).Mult32(one, 121665), new(field.Element).Mult32(one, 121666)
	twiceD := new(field.Element).Negate(numerator)
	twiceD.Multiply(twiceD, denominator.Invert(denominator))
	twiceD.Add(twiceD, twiceD)
	for i := range width {
		b.twiceD.set(i, twiceD)
	}
	sums := make([]edwards25519.Point, 0, digitCount*multiples)
	power := edwards25519.NewGeneratorPoint()
	for range digitCount {
		sum := edwards25519.NewIdentityPoint()
		for range multiples {
			sums = append(sums, *sum.Add(sum, power))
		}
		power.Add(sum, sum)
	}
	inverses := invert(sums)
	for i := range sums {
		digit := i / multiples
		entry := &b.table[digit/width][i%multiples]
		x, y, _, _ := sums[i].ExtendedCoordinates()
		x.Multiply(x, &inverses[i])
		y.Multiply(y, &inverses[i])
		entry[0].set(digit%width, new(field.Element).Add(y, x))
		entry[1].set(digit%width, new(field.Element).Subtract(y, x))
		x.Multiply(x, y)
		entry[2].set(digit%width, x.Multiply(x, twiceD))
	}
	return b
}

// invert gives 1/z of each point with a single inversion: that of their product, from which
// the others follow.
func invert(p []edwards25519.Point) []field.Element {
	inverses := make([]field.Element, len(p))
	product := new(field.Element).One()
	for i := range p {
		inverses[i] = *product
		_, _, z, _ := p[i].ExtendedCoordinates()
		product.Multiply(product, z)
	}
	product.Invert(product)
	for i := len(p) - 1; i >= 0; i-- {
		inverses[i].Multiply(&inverses[i], product)
		_, _, z, _ := p[i].ExtendedCoordinates()
		product.Multiply(product, z)
	}
	return inverses
}

// set makes number i of an element that of the library.
func (e *element) set(i int, n *field.Element) {
	var words [4]uint64
	b := n.Bytes()
	for j := range words {
		words[j] = binary.LittleEndian.Uint64(b[8*j:])
	}
	e[0][i] = words[0] & limbMask
	e[1][i] = (words[0]>>51 | words[1]<<13) & limbMask
	e[2][i] = (words[1]>>38 | words[2]<<26) & limbMask
	e[3][i] = (words[2]>>25 | words[3]<<39) & limbMask
	e[4][i] = words[3] >> 12
}

// first is number 0 of an element, whose limbs have at most 63 bits, in that of the library.
func (e *element) first(n *field.Element) {
	l := [limbs]uint64{e[0][0], e[1][0], e[2][0], e[3][0], e[4][0]}
	for range 2 { // after the second all limbs but the first have 51 bits
		carry := uint64(0)
		for i := range l {
			l[i] += carry
			carry, l[i] = l[i]>>limbBits, l[i]&limbMask
		}
		l[0] += 19 * carry
	}
	carry := l[0] >> limbBits
	l[0] &= limbMask
	l[1] += carry
	var b [Size]byte
	binary.LittleEndian.PutUint64(b[0:], l[0]|l[1]<<51)
	binary.LittleEndian.PutUint64(b[8:], l[1]>>13|l[2]<<38)
	binary.LittleEndian.PutUint64(b[16:], l[2]>>26|l[3]<<25)
	binary.LittleEndian.PutUint64(b[24:], l[3]>>39|l[4]<<12)
	if _, err := n.SetBytes(b[:]); err != nil {
		panic("internal error: a number has not 32 octets")
	}
}

// folds are the points that the folds add to point i, so that point 0 is the sum of all.
var folds = [3][width]uint64{{4, 5, 6, 7, 0, 1, 2, 3}, {2, 3, 0, 1, 6, 7, 4, 5}, {1, 0, 3, 2, 5, 4, 7, 6}}

// alignment is the number of octets of a register: what is aligned to it is read faster.
const alignment = 64

// MultiplyBase returns the encoding of the base point times a scalar, which is
// little-endian and below 2^255.
func MultiplyBase(scalar *[Size]byte) (encoded [Size]byte) {
	var d digits
	d.recode(scalar)
	b := made()
	var room [unsafe.Sizeof(points{}) + alignment]byte
	at := unsafe.Pointer(&room)
	p := (*points)(unsafe.Add(at, -uintptr(at)%alignment))
	for i := range width {
		p.y[0][i], p.z[0][i] = 1, 1
	}
	first := &p.x[0][0]
	addMultiplesIFMA(first, &b.table[0][0][0][0][0], &d[0])
	for i := range folds {
		foldIFMA(first, &folds[i][0], &b.twiceD[0][0])
	}
	var x, y, z field.Element
	p.x.first(&x)
	p.y.first(&y)
	p.z.first(&z)
	z.Invert(&z)
	x.Multiply(&x, &z)
	copy(encoded[:], y.Multiply(&y, &z).Bytes())
	encoded[Size-1] |= byte(x.IsNegative() << 7)
	return encoded
}
