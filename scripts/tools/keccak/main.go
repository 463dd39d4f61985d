// Command keccak writes the assembly of emulator/crypt/internal/keccak: keccak_amd64.s in
// the folder that is its argument. Its test compares the file there with its output.
package main

import (
	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/swtpmd/swtpmd/scripts/tools/assembly"
)

var file = assembly.File{Package: "keccak", Name: "keccak_amd64.s", Functions: []func(*build.Context){permute}}

func main() { file.Main() }

// rotations are the offsets of rho (FIPS 202, table 2), modulo 64, of lane x, y at
// [5y + x].
func rotations() (r [25]int) {
	x, y := 1, 0
	for t := range 24 {
		r[5*y+x] = (t + 1) * (t + 2) / 2 % 64
		x, y = y, (2*x+3*y)%5
	}
	return r
}

// permute writes Keccak-f[1600] of four states whose lanes are side by side (FIPS 202,
// section 3.3). A round goes from one buffer to the other.
func permute(c *build.Context) {
	c.Function("permuteAVX2")
	c.Attributes(attr.NOSPLIT)
	c.SignatureExpr("func(state *uint64, scratch *uint64, constants *uint64)")
	c.Doc("permuteAVX2 is Keccak-f[1600] of four states. constants are those of the 24 rounds.")
	c.Pragma("noescape")
	state, scratch, constants := c.Load(c.Param("state"), c.GP64()), c.Load(c.Param("scratch"), c.GP64()), c.Load(c.Param("constants"), c.GP64())
	left := c.GP64()
	c.MOVQ(operand.U32(12), left)
	c.Label("rounds")
	round(c, state, scratch, operand.Mem{Base: constants})
	round(c, scratch, state, operand.Mem{Base: constants, Disp: 8})
	c.ADDQ(operand.U8(16), constants)
	c.DECQ(left)
	c.JNZ(operand.LabelRef("rounds"))
	c.VZEROUPPER()
	c.RET()
}

func lane(base reg.Register, x, y int) operand.Mem {
	return operand.Mem{Base: base, Disp: 32 * (x%5 + 5*(y%5))}
}

// rotate gives a, or a copy, rotated to the left.
func rotate(c *build.Context, a reg.VecVirtual, n int) reg.VecVirtual {
	if n == 0 {
		return a
	}
	up, down := c.YMM(), c.YMM()
	c.VPSLLQ(operand.U8(uint8(n)), a, up)
	c.VPSRLQ(operand.U8(uint8(64-n)), a, down)
	c.VPOR(up, down, up)
	return up
}

func round(c *build.Context, from, to reg.Register, constant operand.Mem) {
	var columns, d [5]reg.VecVirtual
	for x := range 5 {
		columns[x] = c.YMM()
		c.VMOVDQU(lane(from, x, 0), columns[x])
		for y := 1; y < 5; y++ {
			c.VPXOR(lane(from, x, y), columns[x], columns[x])
		}
	}
	for x := range 5 {
		d[x] = c.YMM()
		c.VPXOR(rotate(c, columns[(x+1)%5], 1), columns[(x+4)%5], d[x])
	}
	offsets := rotations()
	for y := range 5 {
		var row [5]reg.VecVirtual
		for x := range 5 {
			// Pi brings the lane here that was at fromX, fromY.
			fromX, fromY := (x+3*y)%5, x
			a := c.YMM()
			c.VPXOR(lane(from, fromX, fromY), d[fromX], a)
			row[x] = rotate(c, a, offsets[5*fromY+fromX])
		}
		for x := range 5 {
			out := c.YMM()
			c.VPANDN(row[(x+2)%5], row[(x+1)%5], out)
			c.VPXOR(row[x], out, out)
			if x == 0 && y == 0 {
				rc := c.YMM()
				c.VPBROADCASTQ(constant, rc)
				c.VPXOR(rc, out, out)
			}
			c.VMOVDQU(out, lane(to, x, y))
		}
	}
}
