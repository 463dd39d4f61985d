//go:build amd64 && !purego

package montgomery

import "golang.org/x/sys/cpu"

//go:generate go -C ../../../../scripts/tools run ./montgomery ../../emulator/crypt/internal/montgomery

// available reports whether this processor has what the fast code needs.
var available = cpu.X86.HasADX && cpu.X86.HasBMI2 && cpu.X86.HasAVX2

//go:noescape
func mulADX(z, x, y, n, t *uint64, inverse uint64, blocks int)

//go:noescape
func gatherAVX2(z, table *uint64, index, blocks int)

func (m *Modulus) mul(z, x, y []uint64, t *scratch) {
	if !available {
		m.mulPortable(z, x, y, t)
		return
	}
	clear(t[:len(m.n)])
	mulADX(&z[0], &x[0], &y[0], &m.n[0], &t[0], m.inverse, len(m.n)/blockWords)
}

func gather(z, table []uint64, index int) {
	if !available {
		gatherPortable(z, table, index)
		return
	}
	gatherAVX2(&z[0], &table[0], index, len(z)/blockWords)
}
