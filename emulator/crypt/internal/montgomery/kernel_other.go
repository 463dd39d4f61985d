//go:build !amd64 || purego

package montgomery

// available is false: the portable code is for tests, and nobody's arithmetic is faster
// by it.
const available = false

func (m *Modulus) mul(z, x, y []uint64, t *scratch) { m.mulPortable(z, x, y, t) }

func gather(z, table []uint64, index int) { gatherPortable(z, table, index) }
