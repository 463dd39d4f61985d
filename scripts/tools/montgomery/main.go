// Command montgomery writes the assembly of emulator/crypt/internal/montgomery:
// mul_amd64.s in the folder that is its argument. Its test compares the file there with its
// output.
package main

import (
	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/swtpmd/swtpmd/scripts/tools/assembly"
)

var file = assembly.File{Package: "montgomery", Name: "mul_amd64.s", Functions: []func(*build.Context){mul, gather}}

func main() { file.Main() }

// blockWords is the number of words that the registers hold; numbers are so many blocks
// long.
const blockWords = 8

// sum is a sum that is kept in registers, its least significant word first. The last
// register is for the word that a row adds on top.
type sum [blockWords + 1]reg.GPPhysical

// shift drops the least significant word, whose register becomes the one on top.
func (s *sum) shift() {
	low := s[0]
	copy(s[:], s[1:])
	s[blockWords] = low
}

// multiplier writes parts of mul.
type multiplier struct {
	*build.Context
	sum    sum
	lo, hi reg.GPPhysical
	// The pointers to the words to multiply with, to the block to multiply and to the
	// words that go in and out.
	with, block, words reg.GPPhysical
}

func word(base reg.Register, i int) operand.Mem { return operand.Mem{Base: base, Disp: 8 * i} }

// row adds block·DX to the sum, and to its least significant word what in adds. Both
// flags must be clear and the register on top 0. The words' lower halves go along the
// carry flag, the upper ones along the overflow flag; there is no carry from the top.
func (m *multiplier) row(in func()) {
	in()
	for i := range blockWords {
		m.MULXQ(word(m.block, i), m.lo, m.hi)
		m.ADCXQ(m.lo, m.sum[i])
		m.ADOXQ(m.hi, m.sum[i+1])
	}
	m.ADCQ(operand.U8(0), m.sum[blockWords])
}

// multiply adds the product of eight words and a block to sum and words: the lower half
// to words, what is above to sum.
func (m *multiplier) multiply() {
	for i := range blockWords {
		m.MOVQ(word(m.with, i), reg.RDX)
		top := m.sum[blockWords]
		m.XORQ(top, top)
		m.row(func() { m.ADOXQ(word(m.words, i), m.sum[0]) })
		m.MOVQ(m.sum[0], word(m.words, i))
		m.sum.shift()
	}
}

// reduce adds the multiple of block that clears the sum's eight words, and moves the sum
// down by as many. The factor goes to the eight words at factor.
func (m *multiplier) reduce(inverse, factor operand.Mem) {
	top := m.sum[blockWords]
	m.XORQ(top, top)
	for i := range blockWords {
		m.MOVQ(m.sum[0], reg.RDX)
		m.IMULQ(inverse, reg.RDX)
		m.MOVQ(reg.RDX, factor.Offset(8*i))
		m.XORQ(m.lo, m.lo)
		m.row(func() {})
		m.sum.shift() // the word on top is 0 now
	}
}

// loop writes body, which keeps the order of the sum's registers, to run as often as the
// counter in memory, which must not be 0, says. Registers change their place in body, so
// it puts them back.
func (m *multiplier) loop(label string, counter operand.Mem, body func()) {
	m.Label(label)
	before := m.sum
	body()
	m.restore(before)
	m.DECQ(counter)
	m.JNZ(operand.LabelRef(label))
}

// restore moves the sum to the registers it was in before.
func (m *multiplier) restore(before sum) {
	// After eight rows the nine registers stand one place on: what is in sum[i] belongs
	// into before[i], and before[i] is free when it comes to it from the top down.
	for i := blockWords - 1; i >= 0; i-- {
		if m.sum[i] != before[i] {
			m.MOVQ(m.sum[i], before[i])
		}
	}
	m.sum = before
}

func mul(c *build.Context) {
	c.Function("mulADX")
	c.Attributes(attr.NOSPLIT)
	c.SignatureExpr("func(z, x, y, n, t *uint64, inverse uint64, blocks int)")
	c.Doc("mulADX is mul with MULX, ADCX and ADOX. t is 0 up to as many words as n has.")
	c.Pragma("noescape")
	m := &multiplier{Context: c,
		sum: sum{reg.R8, reg.R9, reg.R10, reg.R11, reg.R12, reg.R13, reg.R14, reg.R15, reg.RAX},
		lo:  reg.RBX, hi: reg.RBP, with: reg.RSI, block: reg.RDI, words: reg.RCX}
	param := func(name string) operand.Mem {
		b, err := c.Param(name).Resolve()
		if err != nil {
			panic(err)
		}
		return b.Addr
	}
	factor := c.AllocLocal(8 * blockWords)
	outer, inner, carry, at, y := c.AllocLocal(8), c.AllocLocal(8), c.AllocLocal(8), c.AllocLocal(8), c.AllocLocal(8)
	size := operand.U8(8 * blockWords)
	set := func(to, from operand.Mem) {
		c.MOVQ(from, m.lo)
		c.MOVQ(m.lo, to)
	}
	set(outer, param("blocks"))
	set(at, param("t"))
	set(y, param("y"))
	c.XORL(m.lo.As32(), m.lo.As32())
	c.MOVQ(m.lo, carry)

	// t += x·y for a block of y …
	c.Label("block")
	set(inner, param("blocks"))
	c.MOVQ(param("x"), m.with)
	c.MOVQ(y, m.block)
	c.MOVQ(at, m.words)
	for i := range blockWords {
		c.XORL(m.sum[i].As32(), m.sum[i].As32())
	}
	m.loop("product", inner, func() {
		m.multiply()
		c.ADDQ(size, m.with)
		c.ADDQ(size, m.words)
	})
	for i := range blockWords {
		c.MOVQ(m.sum[i], word(m.words, i))
	}

	// … and what of n clears the lowest block of t, which is left.
	first := m.sum
	c.MOVQ(at, m.words)
	c.MOVQ(param("n"), m.block)
	for i := range blockWords {
		c.MOVQ(word(m.words, i), m.sum[i])
	}
	m.reduce(param("inverse"), factor)
	m.restore(first)
	c.LEAQ(factor, m.with)
	c.MOVQ(param("blocks"), m.lo)
	c.DECQ(m.lo)
	c.JZ(operand.LabelRef("top"))
	c.MOVQ(m.lo, inner)
	m.loop("reduction", inner, func() {
		c.ADDQ(size, m.words)
		c.ADDQ(size, m.block)
		m.multiply()
	})
	c.Label("top")
	c.MOVQ(carry, m.lo)
	c.NEGQ(m.lo)
	for i := range blockWords {
		c.ADCQ(word(m.words, blockWords+i), m.sum[i])
		c.MOVQ(m.sum[i], word(m.words, blockWords+i))
	}
	c.SBBQ(m.lo, m.lo)
	c.NEGQ(m.lo)
	c.MOVQ(m.lo, carry)
	c.ADDQ(size, at)
	c.ADDQ(size, y)
	c.DECQ(outer)
	c.JNZ(operand.LabelRef("block"))

	m.subtract(param, at, carry)
	c.RET()
}

// subtract writes z = t - n if there is a carry, else z = t, in the same time.
func (m *multiplier) subtract(param func(string) operand.Mem, at, carry operand.Mem) {
	mask, borrow, z := m.lo, m.hi, m.with
	m.MOVQ(carry, mask)
	m.NEGQ(mask)
	m.MOVQ(param("z"), z)
	m.MOVQ(param("n"), m.block)
	m.MOVQ(at, m.words)
	m.MOVQ(param("blocks"), reg.RDX)
	m.XORL(borrow.As32(), borrow.As32())
	size := operand.U8(8 * blockWords)
	m.Label("subtraction")
	for i := range blockWords {
		m.MOVQ(word(m.block, i), m.sum[i])
		m.ANDQ(mask, m.sum[i])
	}
	m.NEGQ(borrow)
	for i := range blockWords {
		m.MOVQ(word(m.words, i), reg.RAX)
		m.SBBQ(m.sum[i], reg.RAX)
		m.MOVQ(reg.RAX, word(z, i))
	}
	m.SBBQ(borrow, borrow)
	m.NEGQ(borrow)
	for _, p := range []reg.GPPhysical{z, m.block, m.words} {
		m.ADDQ(size, p)
	}
	m.DECQ(reg.RDX)
	m.JNZ(operand.LabelRef("subtraction"))
}

// tableEntries is the number of numbers in a table.
const tableEntries = 32

func gather(c *build.Context) {
	c.Function("gatherAVX2")
	c.Attributes(attr.NOSPLIT)
	c.SignatureExpr("func(z, table *uint64, index, blocks int)")
	c.Doc("gatherAVX2 is gather with AVX2: it reads all of the table.")
	c.Pragma("noescape")
	z, table, index, blocks := c.Load(c.Param("z"), c.GP64()), c.Load(c.Param("table"), c.GP64()), c.GP64(), c.Load(c.Param("blocks"), c.GP64())
	c.Load(c.Param("index"), index)
	wanted, one, at, mask, lower, upper, part := c.YMM(), c.YMM(), c.YMM(), c.YMM(), c.YMM(), c.YMM(), c.YMM()
	x, entry, stride, left := c.XMM(), c.GP64(), c.GP64(), c.GP64()
	c.MOVQ(index, x)
	c.VPBROADCASTQ(x, wanted)
	c.MOVQ(operand.U32(1), left)
	c.MOVQ(left, x)
	c.VPBROADCASTQ(x, one)
	c.MOVQ(blocks, stride)
	c.SHLQ(operand.U8(6), stride)

	c.Label("column")
	c.MOVQ(table, entry)
	c.MOVQ(operand.U32(tableEntries), left)
	for _, v := range []reg.VecVirtual{at, lower, upper} {
		c.VPXOR(v, v, v)
	}
	c.Label("entry")
	c.VPCMPEQQ(at, wanted, mask)
	c.VPADDQ(one, at, at)
	c.VPAND(operand.Mem{Base: entry}, mask, part)
	c.VPOR(part, lower, lower)
	c.VPAND(operand.Mem{Base: entry, Disp: 32}, mask, part)
	c.VPOR(part, upper, upper)
	c.ADDQ(stride, entry)
	c.DECQ(left)
	c.JNZ(operand.LabelRef("entry"))
	c.VMOVDQU(lower, operand.Mem{Base: z})
	c.VMOVDQU(upper, operand.Mem{Base: z, Disp: 32})
	c.ADDQ(operand.U8(64), z)
	c.ADDQ(operand.U8(64), table)
	c.DECQ(blocks)
	c.JNZ(operand.LabelRef("column"))
	c.VZEROUPPER()
	c.RET()
}
