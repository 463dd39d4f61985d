// Command ring writes the assembly of emulator/crypt/internal/ring: ring_amd64.s in the
// folder that is its argument. Its test compares the file there with its output.
package main

import (
	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/swtpmd/swtpmd/scripts/tools/assembly"
)

var file = assembly.File{Package: "ring", Name: "ring_amd64.s", Functions: []func(*build.Context){ntt, inverseNTT, dot, elementwise, within}}

func main() { file.Main() }

// The modulus of ML-DSA, and 1/modulus modulo 2^32.
const (
	modulus = 8380417
	inverse = 58728449
)

// Sizes in octets: of a vector register, of a polynomial, and of the parts of a table of
// zetas, see type zetas of the package.
const (
	vector     = 32
	polynomial = 1024
	pair       = 8
	wideSize   = 8 * pair
	narrowSize = 8 * pair
	laneSize   = 2 * vector
	lanesSize  = 4 * 3 * laneSize
	blockSize  = narrowSize + lanesSize
)

// A writer writes a function whose numbers are 32 bits wide, eight to a register.
type writer struct {
	*build.Context
	q reg.VecVirtual
}

// function begins a function.
func function(c *build.Context, name, signature, doc string) *writer {
	c.Function(name)
	c.Attributes(attr.NOSPLIT)
	c.SignatureExpr(signature)
	c.Doc(doc)
	c.Pragma("noescape")
	return &writer{Context: c}
}

// constant is a register with eight times the same number.
func (w *writer) constant(n int) reg.VecVirtual {
	g, x, y := w.GP32(), w.XMM(), w.YMM()
	w.MOVL(operand.U32(uint32(n)), g)
	w.VMOVD(g, x)
	w.VPBROADCASTD(x, y)
	return y
}

func (w *writer) pointer(name string) reg.GPVirtual {
	return w.Load(w.Param(name), w.GP64()).(reg.GPVirtual)
}

func at(base reg.Register, octets int) operand.Mem { return operand.Mem{Base: base, Disp: octets} }

// zeta is a factor, and itself times inverse, for the even lanes and moved there for the
// odd ones.
type zeta struct{ even, odd, evenInverse, oddInverse reg.VecVirtual }

// same is a zeta that is the same in all lanes.
func (w *writer) same(base reg.Register, octets int) zeta {
	z, i := w.YMM(), w.YMM()
	w.VPBROADCASTD(at(base, octets), z)
	w.VPBROADCASTD(at(base, octets+4), i)
	return zeta{z, z, i, i}
}

// lanes is a zeta that is another one in each lane.
func (w *writer) lanes(base reg.Register, octets int) zeta {
	z := zeta{w.YMM(), w.YMM(), w.YMM(), w.YMM()}
	w.VMOVDQU(at(base, octets), z.even)
	w.VMOVDQU(at(base, octets+vector), z.evenInverse)
	w.VPSRLQ(operand.U8(32), z.even, z.odd)
	w.VPSRLQ(operand.U8(32), z.evenInverse, z.oddInverse)
	return z
}

// multiply gives a·z times 2^-32 modulo q, between -q and q.
func (w *writer) multiply(a reg.VecVirtual, z zeta) reg.VecVirtual {
	even, odd, t0, t1 := w.YMM(), w.YMM(), w.YMM(), w.YMM()
	w.VPSRLQ(operand.U8(32), a, odd)
	w.VPMULDQ(z.evenInverse, a, t0)
	w.VPMULDQ(z.oddInverse, odd, t1)
	w.VPMULDQ(z.even, a, even)
	w.VPMULDQ(z.odd, odd, odd)
	return w.reduce(even, odd, t0, t1)
}

// reduce gives what of the products in even and odd lanes is left when q times the lower
// halves of t0 and t1 clears their lower halves.
func (w *writer) reduce(even, odd, t0, t1 reg.VecVirtual) reg.VecVirtual {
	w.VPMULDQ(w.q, t0, t0)
	w.VPMULDQ(w.q, t1, t1)
	w.VPSUBQ(t0, even, even)
	w.VPSUBQ(t1, odd, odd)
	w.VPSRLQ(operand.U8(32), even, even)
	w.VPBLENDD(operand.U8(0xAA), odd, even, even)
	return even
}

// forward is a butterfly of the transformation: low, high = low + high·z, low - high·z.
func (w *writer) forward(low, high reg.VecVirtual, z zeta) {
	t := w.multiply(high, z)
	w.VPSUBD(t, low, high)
	w.VPADDD(t, low, low)
}

// backward is one of the inverse: low, high = low + high, (low - high)·z.
func (w *writer) backward(low, high reg.VecVirtual, z zeta) {
	d := w.YMM()
	w.VPSUBD(high, low, d)
	w.VPADDD(high, low, low)
	w.VMOVDQA(w.multiply(d, z), high)
}

// transpose moves the lanes of two registers from coefficients 0…7 | 8…15 to the orders in
// which coefficients that are 4, 2 and 1 apart face each other, and back.
type pairOfRegisters struct{ low, high reg.VecVirtual }

func (w *writer) apart4(v pairOfRegisters) pairOfRegisters {
	p := pairOfRegisters{w.YMM(), w.YMM()}
	w.VPERM2I128(operand.U8(0x20), v.high, v.low, p.low)
	w.VPERM2I128(operand.U8(0x31), v.high, v.low, p.high)
	return p
}

func (w *writer) apart2(v pairOfRegisters) pairOfRegisters {
	p := pairOfRegisters{w.YMM(), w.YMM()}
	w.VPUNPCKLQDQ(v.high, v.low, p.low)
	w.VPUNPCKHQDQ(v.high, v.low, p.high)
	return p
}

func (w *writer) apart1(v pairOfRegisters) pairOfRegisters {
	p := pairOfRegisters{w.YMM(), w.YMM()}
	w.VSHUFPS(operand.U8(0x88), v.high, v.low, p.low)
	w.VSHUFPS(operand.U8(0xDD), v.high, v.low, p.high)
	return p
}

// together1 undoes apart1. The other two undo themselves.
func (w *writer) together1(v pairOfRegisters) pairOfRegisters {
	p := pairOfRegisters{w.YMM(), w.YMM()}
	w.VPUNPCKLDQ(v.high, v.low, p.low)
	w.VPUNPCKHDQ(v.high, v.low, p.high)
	return p
}

// loadEight loads eight registers that are so many octets apart.
func (w *writer) loadEight(base reg.Register, stride int) (v [8]reg.VecVirtual) {
	for i := range v {
		v[i] = w.YMM()
		w.VMOVDQU(at(base, i*stride), v[i])
	}
	return v
}

func (w *writer) storeEight(v [8]reg.VecVirtual, base reg.Register, stride int) {
	for i := range v {
		w.VMOVDQU(v[i], at(base, i*stride))
	}
}

// loop writes body to run n times.
func (w *writer) loop(label string, n int, body func()) {
	left := w.GP64()
	w.MOVQ(operand.U32(uint32(n)), left)
	w.Label(label)
	body()
	w.DECQ(left)
	w.JNZ(operand.LabelRef(label))
}

func ntt(c *build.Context) {
	w := function(c, "nttAVX2", "func(p *int32, zetas *int32)", "nttAVX2 transforms p, see NTT.")
	p, zetas := w.pointer("p"), w.pointer("zetas")
	w.q = w.constant(modulus)
	column := w.GP64()
	w.MOVQ(p, column)
	w.loop("wide", 4, func() {
		v := w.loadEight(column, polynomial/8)
		z := w.same(zetas, 0)
		for i := range 4 {
			w.forward(v[i], v[i+4], z)
		}
		for half := range 2 {
			z := w.same(zetas, (1+half)*pair)
			for i := range 2 {
				w.forward(v[4*half+i], v[4*half+i+2], z)
			}
		}
		for i := range 4 {
			w.forward(v[2*i], v[2*i+1], w.same(zetas, (3+i)*pair))
		}
		w.storeEight(v, column, polynomial/8)
		w.ADDQ(operand.U8(vector), column)
	})
	w.ADDQ(operand.U8(wideSize), zetas)
	w.loop("block", 4, func() {
		v := w.loadEight(p, vector)
		for half := range 2 {
			z := w.same(zetas, half*pair)
			for i := range 2 {
				w.forward(v[4*half+i], v[4*half+i+2], z)
			}
		}
		for i := range 4 {
			w.forward(v[2*i], v[2*i+1], w.same(zetas, (2+i)*pair))
		}
		for i := range 4 {
			table := narrowSize + i*3*laneSize
			x := w.apart4(pairOfRegisters{v[2*i], v[2*i+1]})
			w.forward(x.low, x.high, w.lanes(zetas, table))
			x = w.apart2(x)
			w.forward(x.low, x.high, w.lanes(zetas, table+laneSize))
			x = w.apart1(x)
			w.forward(x.low, x.high, w.lanes(zetas, table+2*laneSize))
			x = w.apart4(w.apart2(w.together1(x)))
			v[2*i], v[2*i+1] = x.low, x.high
		}
		w.storeEight(v, p, vector)
		w.ADDQ(operand.U32(8*vector), p)
		w.ADDQ(operand.U32(blockSize), zetas)
	})
	w.VZEROUPPER()
	w.RET()
}

func inverseNTT(c *build.Context) {
	w := function(c, "inverseNTTAVX2", "func(p *int32, zetas *int32)", "inverseNTTAVX2 transforms p back, see InverseNTT.")
	p, zetas := w.pointer("p"), w.pointer("zetas")
	w.q = w.constant(modulus)
	block, table := w.GP64(), w.GP64()
	w.MOVQ(p, block)
	w.LEAQ(at(zetas, wideSize), table)
	w.loop("block", 4, func() {
		v := w.loadEight(block, vector)
		for i := range 4 {
			from := narrowSize + i*3*laneSize
			x := w.apart1(w.apart2(w.apart4(pairOfRegisters{v[2*i], v[2*i+1]})))
			w.backward(x.low, x.high, w.lanes(table, from+2*laneSize))
			x = w.together1(x)
			w.backward(x.low, x.high, w.lanes(table, from+laneSize))
			x = w.apart2(x)
			w.backward(x.low, x.high, w.lanes(table, from))
			x = w.apart4(x)
			v[2*i], v[2*i+1] = x.low, x.high
		}
		for i := range 4 {
			w.backward(v[2*i], v[2*i+1], w.same(table, (2+i)*pair))
		}
		for half := range 2 {
			z := w.same(table, half*pair)
			for i := range 2 {
				w.backward(v[4*half+i], v[4*half+i+2], z)
			}
		}
		w.storeEight(v, block, vector)
		w.ADDQ(operand.U32(8*vector), block)
		w.ADDQ(operand.U32(blockSize), table)
	})
	w.loop("wide", 4, func() {
		v := w.loadEight(p, polynomial/8)
		for i := range 4 {
			w.backward(v[2*i], v[2*i+1], w.same(zetas, (3+i)*pair))
		}
		for half := range 2 {
			z := w.same(zetas, (1+half)*pair)
			for i := range 2 {
				w.backward(v[4*half+i], v[4*half+i+2], z)
			}
		}
		z := w.same(zetas, 0)
		for i := range 4 {
			w.backward(v[i], v[i+4], z)
		}
		unity := w.same(zetas, 7*pair)
		for i := range v {
			w.VMOVDQU(w.multiply(v[i], unity), at(p, i*polynomial/8))
		}
		w.ADDQ(operand.U8(vector), p)
	})
	w.VZEROUPPER()
	w.RET()
}

func dot(c *build.Context) {
	w := function(c, "dotAVX2", "func(p *int32, row *int32, vector *int32, n int)", "dotAVX2 sets p to the product of n polynomials each, see Dot.")
	p, row, vec, n := w.pointer("p"), w.pointer("row"), w.pointer("vector"), w.pointer("n")
	w.q = w.constant(modulus)
	inv := w.constant(inverse)
	w.loop("column", polynomial/vector, func() {
		even, odd, x, y, t := w.YMM(), w.YMM(), w.YMM(), w.YMM(), w.YMM()
		a, b, left := w.GP64(), w.GP64(), w.GP64()
		w.VPXOR(even, even, even)
		w.VPXOR(odd, odd, odd)
		w.MOVQ(row, a)
		w.MOVQ(vec, b)
		w.MOVQ(n, left)
		w.Label("product")
		w.VMOVDQU(at(a, 0), x)
		w.VMOVDQU(at(b, 0), y)
		w.VPMULDQ(x, y, t)
		w.VPADDQ(t, even, even)
		w.VPSRLQ(operand.U8(32), x, x)
		w.VPSRLQ(operand.U8(32), y, y)
		w.VPMULDQ(x, y, t)
		w.VPADDQ(t, odd, odd)
		w.ADDQ(operand.U32(polynomial), a)
		w.ADDQ(operand.U32(polynomial), b)
		w.DECQ(left)
		w.JNZ(operand.LabelRef("product"))
		t0, t1 := w.YMM(), w.YMM()
		w.VPMULDQ(inv, even, t0)
		w.VPMULDQ(inv, odd, t1)
		w.VMOVDQU(w.reduce(even, odd, t0, t1), at(p, 0))
		for _, g := range []reg.GPVirtual{p, row, vec} {
			w.ADDQ(operand.U8(vector), g)
		}
	})
	w.VZEROUPPER()
	w.RET()
}

// each begins a function of one or two polynomials that treats each coefficient alike, and
// ends it when body has written what becomes of eight.
func each(c *build.Context, name, doc string, second bool, prepare func(*writer), body func(w *writer, x, y operand.Mem)) {
	signature, pointers := "func(p *int32)", []string{"p"}
	if second {
		signature, pointers = "func(p *int32, a *int32)", []string{"p", "a"}
	}
	w := function(c, name, signature, doc)
	var at2 [2]reg.GPVirtual
	for i, n := range pointers {
		at2[i] = w.pointer(n)
	}
	prepare(w)
	w.loop("eight", polynomial/vector, func() {
		if second {
			body(w, at(at2[0], 0), at(at2[1], 0))
			w.ADDQ(operand.U8(vector), at2[1])
		} else {
			body(w, at(at2[0], 0), operand.Mem{})
		}
		w.ADDQ(operand.U8(vector), at2[0])
	})
	w.VZEROUPPER()
	w.RET()
}

func elementwise(c *build.Context) {
	nothing := func(*writer) {}
	each(c, "addAVX2", "addAVX2 adds a to p.", true, nothing, func(w *writer, p, a operand.Mem) {
		x := w.YMM()
		w.VMOVDQU(p, x)
		w.VPADDD(a, x, x)
		w.VMOVDQU(x, p)
	})
	each(c, "subtractAVX2", "subtractAVX2 subtracts a from p.", true, nothing, func(w *writer, p, a operand.Mem) {
		x := w.YMM()
		w.VMOVDQU(p, x)
		w.VPSUBD(a, x, x)
		w.VMOVDQU(x, p)
	})
	var half reg.VecVirtual
	each(c, "reduceAVX2", "reduceAVX2 reduces p, see Reduce.", false, func(w *writer) {
		w.q, half = w.constant(modulus), w.constant(1<<22)
	}, func(w *writer, p, _ operand.Mem) {
		x, t := w.YMM(), w.YMM()
		w.VMOVDQU(p, x)
		w.VPADDD(half, x, t)
		w.VPSRAD(operand.U8(23), t, t)
		w.VPMULLD(w.q, t, t)
		w.VPSUBD(t, x, x)
		w.VMOVDQU(x, p)
	})
	each(c, "canonicalAVX2", "canonicalAVX2 makes p canonical, see Canonical.", false, func(w *writer) {
		w.q = w.constant(modulus)
	}, func(w *writer, p, _ operand.Mem) {
		x, t := w.YMM(), w.YMM()
		w.VMOVDQU(p, x)
		w.VPSRAD(operand.U8(31), x, t)
		w.VPAND(w.q, t, t)
		w.VPADDD(t, x, x)
		w.VMOVDQU(x, p)
	})
	round(c, "round44AVX2", (modulus-1)/88, 11275, 24, 43)
	round(c, "round65AVX2", (modulus-1)/32, 1025, 22, 15)
}

// round writes Decompose of FIPS 204, algorithm 36: the high part is the multiple of
// 2·gamma2 that is closest, found with a product and a shift, and above top it is 0.
func round(c *build.Context, name string, gamma2, factor, shift, top int) {
	var consts [7]reg.VecVirtual
	each(c, name, name+" sets a to the high parts of p, and leaves the low ones there, see Round.", true, func(w *writer) {
		w.q = w.constant(modulus)
		for i, n := range []int{127, factor, 1 << (shift - 1), top, 2 * gamma2, (modulus - 1) / 2} {
			consts[i] = w.constant(n)
		}
	}, func(w *writer, p, a operand.Mem) {
		x, high, t := w.YMM(), w.YMM(), w.YMM()
		w.VMOVDQU(p, x)
		w.VPADDD(consts[0], x, high)
		w.VPSRAD(operand.U8(7), high, high)
		w.VPMULLD(consts[1], high, high)
		w.VPADDD(consts[2], high, high)
		w.VPSRAD(operand.U8(uint8(shift)), high, high)
		w.VPCMPGTD(consts[3], high, t) // high > top
		w.VPANDN(high, t, high)
		w.VMOVDQU(high, a)
		w.VPMULLD(consts[4], high, t)
		w.VPSUBD(t, x, x)
		w.VPCMPGTD(consts[5], x, t)
		w.VPAND(w.q, t, t)
		w.VPSUBD(t, x, x)
		w.VMOVDQU(x, p)
	})
}

func within(c *build.Context) {
	w := function(c, "withinAVX2", "func(p *int32, bound int32) (over int32)", "withinAVX2 gives 0 if all of p are below bound in absolute value.")
	p, bound := w.pointer("p"), w.GP32()
	w.Load(w.Param("bound"), bound)
	w.DECL(bound)
	x, limit, over := w.XMM(), w.YMM(), w.YMM()
	w.VMOVD(bound, x)
	w.VPBROADCASTD(x, limit)
	w.VPXOR(over, over, over)
	w.loop("eight", polynomial/vector, func() {
		a, t := w.YMM(), w.YMM()
		w.VPABSD(at(p, 0), a)
		w.VPCMPGTD(limit, a, t)
		w.VPOR(t, over, over)
		w.ADDQ(operand.U8(vector), p)
	})
	mask := w.GP32()
	w.VPMOVMSKB(over, mask)
	w.Store(mask, w.ReturnIndex(0))
	w.VZEROUPPER()
	w.RET()
}
