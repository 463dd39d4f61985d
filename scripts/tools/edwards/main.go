// Command edwards writes the assembly of emulator/crypt/internal/edwards: edwards_amd64.s in
// the folder that is its argument. Its test compares the file there with its output.
package main

import (
	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/swtpmd/swtpmd/scripts/tools/assembly"
)

var file = assembly.File{Package: "edwards", Name: "edwards_amd64.s", Functions: []func(*build.Context){addMultiples, fold}}

func main() { file.Main() }

// Numbers modulo 2^255 - 19 have five limbs of 51 bits, and registers eight such limbs, of
// eight numbers. A limb that is loose has a few bits more than 51, but is below 2^52.
const (
	limbs     = 5
	limbBits  = 51
	limbMask  = 1<<limbBits - 1
	folding   = 19 // 2^255 modulo the modulus
	register  = 64
	number    = limbs * register
	steps     = 8 // of eight digits each
	multiples = 8
)

// Where the coordinates of type points and its room are, in octets.
const (
	atX = iota * number
	atY
	atZ
	atT
	roomE
	roomF
	roomG
	roomH
)

// A writer writes a function.
type writer struct {
	*build.Context
	points      reg.GPVirtual
	mask, zeros reg.VecVirtual
}

// element is eight numbers.
type element [limbs]reg.VecVirtual

// function begins a function whose first argument is points.
func function(c *build.Context, name, signature, doc string) *writer {
	c.Function(name)
	c.Attributes(attr.NOSPLIT)
	c.SignatureExpr(signature)
	c.Doc(doc)
	c.Pragma("noescape")
	w := &writer{Context: c}
	w.points = w.pointer("p")
	w.mask, w.zeros = w.constant(limbMask), w.constant(0)
	return w
}

func (w *writer) pointer(name string) reg.GPVirtual {
	return w.Load(w.Param(name), w.GP64()).(reg.GPVirtual)
}

// constant is a register with eight times the same number.
func (w *writer) constant(n uint64) reg.VecVirtual {
	g, z := w.GP64(), w.ZMM()
	w.MOVQ(operand.U64(n), g)
	w.VPBROADCASTQ(g, z)
	return z
}

func at(base reg.Register, octets int) operand.Mem { return operand.Mem{Base: base, Disp: octets} }

func (w *writer) zero() reg.VecVirtual {
	z := w.ZMM()
	w.VMOVDQA64(w.zeros, z)
	return z
}

func (w *writer) load(base reg.Register, octets int) (e element) {
	for i := range e {
		e[i] = w.ZMM()
		w.VMOVDQU64(at(base, octets+i*register), e[i])
	}
	return e
}

func (w *writer) store(e element, octets int) {
	for i := range e {
		w.VMOVDQU64(e[i], at(w.points, octets+i*register))
	}
}

// carry brings limbs below 2^62 to loose ones.
func (w *writer) carry(e element) element {
	var carries element
	for i := range e {
		carries[i] = w.ZMM()
		w.VPSRLQ(operand.U8(limbBits), e[i], carries[i])
		w.VPANDQ(w.mask, e[i], e[i])
	}
	for i := 1; i < limbs; i++ {
		w.VPADDQ(carries[i-1], e[i], e[i])
	}
	w.VPMULLQ(w.constant(folding), carries[limbs-1], carries[limbs-1])
	w.VPADDQ(carries[limbs-1], e[0], e[0])
	return e
}

// add gives a + b, which need carry.
func (w *writer) add(a, b element) (sum element) {
	for i := range sum {
		sum[i] = w.ZMM()
		w.VPADDQ(a[i], b[i], sum[i])
	}
	return sum
}

// subtract gives a - b for loose b, which needs carry.
func (w *writer) subtract(a, b element) (difference element) {
	first, others := w.twice()
	for i := range difference {
		difference[i] = w.ZMM()
		twice := others
		if i == 0 {
			twice = first
		}
		w.VPADDQ(twice, a[i], difference[i])
		w.VPSUBQ(b[i], difference[i], difference[i])
	}
	return difference
}

// twice are the limbs of twice the modulus: the first, and the other ones.
func (w *writer) twice() (first, others reg.VecVirtual) {
	return w.constant(2 * (limbMask + 1 - folding)), w.constant(2 * limbMask)
}

// multiply gives a·b for loose numbers, column by column. A column is below 2^56, and with
// what the columns above it bring below 2^61.
func (w *writer) multiply(a, b element) element {
	var columns [2 * limbs]reg.VecVirtual
	for k := range columns {
		low, high := w.zero(), w.zero() // of the products' 104 bits, and high has weight 2
		for i := range limbs {
			if j := k - i; j >= 0 && j < limbs {
				w.VPMADD52LUQ(b[j], a[i], low)
			}
			if j := k - 1 - i; j >= 0 && j < limbs {
				w.VPMADD52HUQ(b[j], a[i], high)
			}
		}
		w.VPADDQ(high, high, high)
		w.VPADDQ(high, low, low)
		columns[k] = low
	}
	nineteen := w.constant(folding)
	for i := range limbs {
		w.VPMULLQ(nineteen, columns[limbs+i], columns[limbs+i])
		w.VPADDQ(columns[limbs+i], columns[i], columns[i])
	}
	return w.carry(element(columns[:limbs]))
}

// sums stores E = B - A, H = B + A, F = D - C and G = D + C for A in roomE and C in roomF.
func (w *writer) sums(b, d element) {
	a := w.load(w.points, roomE)
	w.store(w.carry(w.subtract(b, a)), roomE)
	w.store(w.carry(w.add(b, a)), roomH)
	c := w.load(w.points, roomF)
	w.store(w.carry(w.subtract(d, c)), roomF)
	w.store(w.carry(w.add(d, c)), roomG)
}

// products stores X = E·F, Y = G·H, T = E·H and Z = F·G.
func (w *writer) products() {
	for _, p := range [][3]int{{atX, roomE, roomF}, {atY, roomG, roomH}, {atT, roomE, roomH}, {atZ, roomF, roomG}} {
		w.store(w.multiply(w.load(w.points, p[1]), w.load(w.points, p[2])), p[0])
	}
}

// addMultiples writes the eight steps.
func addMultiples(c *build.Context) {
	w := function(c, "addMultiplesIFMA", "func(p, t *uint64, d *int8)",
		"addMultiplesIFMA adds to point i of p the multiples that digits i, 8+i, … choose from t.")
	table, digits, left := w.pointer("t"), w.pointer("d"), w.GP64()
	w.MOVQ(operand.U32(steps), left)
	w.Label("step")
	w.choose(table, digits)
	a := w.carry(w.subtract(w.load(w.points, atY), w.load(w.points, atX)))
	w.store(w.multiply(a, w.load(w.points, roomE)), roomE)
	w.store(w.multiply(w.load(w.points, atT), w.load(w.points, roomF)), roomF)
	b := w.carry(w.add(w.load(w.points, atY), w.load(w.points, atX)))
	b = w.multiply(b, w.load(w.points, roomH))
	z := w.load(w.points, atZ)
	w.sums(b, w.add(z, z))
	w.products()
	w.ADDQ(operand.U32(multiples*3*number), table)
	w.ADDQ(operand.U8(register/8), digits)
	w.DECQ(left)
	w.JNZ(operand.LabelRef("step"))
	w.VZEROUPPER()
	w.RET()
}

// choose stores y - x, y + x and 2·d·x·y of the multiples that eight digits name as E, H and
// F. All multiples are read, whatever the digits are.
func (w *writer) choose(table, digits reg.GPVirtual) {
	d, size, count, negative := w.ZMM(), w.ZMM(), w.zero(), w.K()
	w.VPMOVSXBQ(at(digits, 0), d)
	w.VPMOVQ2M(d, negative)
	w.VPABSQ(d, size)
	one := w.constant(1)
	var chosen [3]element // the identity, for a digit that is 0
	for i := range chosen {
		for j := range chosen[i] {
			chosen[i][j] = w.zero()
		}
	}
	w.VMOVDQA64(one, chosen[0][0])
	w.VMOVDQA64(one, chosen[1][0])
	for m := range multiples {
		w.VPADDQ(one, count, count)
		equal := w.K()
		w.VPCMPEQQ(count, size, equal)
		for i := range chosen {
			for j := range chosen[i] {
				w.VMOVDQU64(at(table, (3*m+i)*number+j*register), equal, chosen[i][j])
			}
		}
	}
	first, others := w.twice()
	for j := range limbs {
		other := w.ZMM()
		w.VPBLENDMQ(chosen[0][j], chosen[1][j], negative, other)
		w.VMOVDQA64(chosen[1][j], negative, chosen[0][j])
		chosen[1][j] = other
		twice := others
		if j == 0 {
			twice = first
		}
		w.VPSUBQ(chosen[2][j], twice, negative, chosen[2][j])
	}
	w.store(chosen[0], roomH)
	w.store(chosen[1], roomE)
	w.store(chosen[2], roomF)
}

// fold writes the sum of points.
func fold(c *build.Context) {
	w := function(c, "foldIFMA", "func(p, order, twiceD *uint64)",
		"foldIFMA adds to each point of p the one that order names for it.")
	pointer, order := w.pointer("order"), w.ZMM()
	w.VMOVDQU64(at(pointer, 0), order)
	twiceD := w.pointer("twiceD")
	other := func(e element) (o element) {
		for i := range e {
			o[i] = w.ZMM()
			w.VPERMQ(e[i], order, o[i])
		}
		return o
	}
	a := w.carry(w.subtract(w.load(w.points, atY), w.load(w.points, atX)))
	w.store(w.multiply(a, other(a)), roomE)
	t := w.load(w.points, atT)
	w.store(w.multiply(w.multiply(t, other(t)), w.load(twiceD, 0)), roomF)
	z := w.load(w.points, atZ)
	w.store(w.multiply(z, other(z)), roomG)
	b := w.carry(w.add(w.load(w.points, atY), w.load(w.points, atX)))
	b = w.multiply(b, other(b))
	z = w.load(w.points, roomG)
	w.sums(b, w.add(z, z))
	w.products()
	w.VZEROUPPER()
	w.RET()
}
