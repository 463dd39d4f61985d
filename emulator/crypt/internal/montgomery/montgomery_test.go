package montgomery

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// number makes one of so many bits out of words that are 0, all ones or anything, which
// is where carries go far.
func number(source *rand.Rand, bits int) *big.Int {
	b := make([]byte, 0, bits/8)
	for len(b) < cap(b) {
		var w uint64
		switch source.IntN(4) {
		case 0:
		case 1:
			w = math.MaxUint64
		default:
			w = source.Uint64()
		}
		b = binary.BigEndian.AppendUint64(b, w)
	}
	return new(big.Int).SetBytes(b)
}

func power2(bits int) *big.Int { return new(big.Int).Lsh(big.NewInt(1), uint(bits)) }

func plus(x *big.Int, d int64) *big.Int { return new(big.Int).Add(x, big.NewInt(d)) }

// moduli are the edges of a size and some between.
func moduli(source *rand.Rand, bits int) []*big.Int {
	all := []*big.Int{plus(power2(bits-1), 1), plus(power2(bits), -1), plus(power2(bits), -3),
		plus(new(big.Int).Add(power2(bits-1), power2(bits/2)), -1)}
	for range 3 {
		n := number(source, bits)
		all = append(all, n.SetBit(n, bits-1, 1).SetBit(n, 0, 1))
	}
	return all
}

// numbers are the edges of those below R, and some between.
func numbers(source *rand.Rand, n *big.Int) []*big.Int {
	r := power2(n.BitLen())
	all := []*big.Int{new(big.Int), big.NewInt(1), big.NewInt(2), plus(n, -1), n, plus(r, -1), new(big.Int).Sub(r, n)}
	if next := plus(n, 1); next.Cmp(r) < 0 {
		all = append(all, next)
	}
	for range 3 {
		all = append(all, number(source, n.BitLen()))
	}
	return all
}

func value(x []uint64) *big.Int { return new(big.Int).SetBytes(Bytes(x)) }

func requireEqual(t *testing.T, want, got *big.Int, format string, args ...any) {
	t.Helper()
	if want.Cmp(got) != 0 {
		require.FailNow(t, "not equal", "%x, not %x: %s", got, want, fmt.Sprintf(format, args...))
	}
}

var sizes = []int{512, 1024, 1536, 2048, 2560, 3072, 4096}

func TestProduct(t *testing.T) {
	t.Parallel()
	source := rand.New(rand.NewPCG(1, 2))
	for _, bits := range sizes {
		for _, n := range moduli(source, bits) {
			m := newModulus(n)
			invR := new(big.Int).ModInverse(power2(bits), n)
			var s, s2 scratch
			for i := range s {
				s[i] = math.MaxUint64 // what another product left
			}
			all := numbers(source, n)
			for _, x := range all {
				for _, y := range all {
					got, portable := make([]uint64, m.Size()), make([]uint64, m.Size())
					m.mul(got, Words(x, m.Size()), Words(y, m.Size()), &s)
					m.mulPortable(portable, Words(x, m.Size()), Words(y, m.Size()), &s2)
					require.Equal(t, portable, got, "%x·%x mod %x", x, y, n)
					want := new(big.Int).Mul(x, y)
					want.Mul(want, invR).Mod(want, n)
					requireEqual(t, want, new(big.Int).Mod(value(got), n), "%x·%x mod %x", x, y, n)

					// The result may be in the place of a factor.
					m.mul(got, Words(x, m.Size()), Words(y, m.Size()), &s)
					z := Words(x, m.Size())
					m.mul(z, z, Words(y, m.Size()), &s)
					require.Equal(t, got, z)
				}
			}
		}
	}
}

func TestOperations(t *testing.T) {
	t.Parallel()
	source := rand.New(rand.NewPCG(3, 4))
	for _, bits := range sizes {
		if testing.Short() && bits > 2048 {
			continue
		}
		for i, n := range moduli(source, bits) {
			m := newModulus(n)
			size := m.Size()
			all := numbers(source, n)
			for _, x := range all {
				requireEqual(t, new(big.Int).Mod(x, n), value(m.Reduce(Words(x, size))), "modulo %x", n)
				for _, y := range all {
					double := new(big.Int).Add(new(big.Int).Mul(x, power2(bits)), y)
					requireEqual(t, new(big.Int).Mod(double, n), value(m.Reduce(Words(double, 2*size))), "%x mod %x", double, n)
					product := new(big.Int).Mul(x, y)
					requireEqual(t, product.Mod(product, n), value(m.Mul(Words(x, size), Words(y, size))), "modulo %x", n)
					if x.Cmp(n) < 0 && y.Cmp(n) < 0 {
						difference := new(big.Int).Sub(x, y)
						requireEqual(t, difference.Mod(difference, n), value(m.Sub(Words(x, size), Words(y, size))), "modulo %x", n)
					}
				}
			}
			exponents := []*big.Int{new(big.Int), big.NewInt(1), big.NewInt(31), big.NewInt(32), big.NewInt(65537)}
			if bits <= 2048 && i%2 == 0 {
				exponents = append(exponents, number(source, bits), plus(power2(bits), -1))
			}
			for j, e := range exponents {
				x := all[(i+3*j)%len(all)]
				want := new(big.Int).Exp(x, e, n)
				requireEqual(t, want, value(m.Exp(Words(x, size), e.Bytes())), "%x^%x mod %x", x, e, n)
				requireEqual(t, want, value(m.Exp(Words(x, size), append([]byte{0, 0}, e.Bytes()...))), "modulo %x", n)
				if e.IsUint64() {
					requireEqual(t, want, value(m.ExpVarTime(Words(x, size), uint(e.Uint64()))), "modulo %x", n)
				}
			}
		}
	}
}

func TestGather(t *testing.T) {
	t.Parallel()
	source := rand.New(rand.NewPCG(5, 6))
	for _, bits := range sizes {
		size := bits / 64
		table := make([]uint64, tableEntries*size)
		for i := range table {
			table[i] = source.Uint64()
		}
		for i := range tableEntries {
			got, portable := make([]uint64, size), make([]uint64, size)
			gather(got, table, i)
			gatherPortable(portable, table, i)
			require.Equal(t, table[i*size:(i+1)*size], got)
			require.Equal(t, got, portable)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for _, n := range []*big.Int{new(big.Int), big.NewInt(3), plus(power2(1024), -2), plus(power2(1024), 1), plus(power2(1022), 1), plus(power2(4607), 1)} {
		assert.Nil(t, New(n), "%x", n)
	}
	assert.Equal(t, available, New(plus(power2(1024), -1)) != nil)
}

func FuzzProduct(f *testing.F) {
	f.Add(uint8(1), []byte{1}, []byte{0xFF}, []byte{3})
	f.Fuzz(func(t *testing.T, blocks uint8, x, y, n []byte) {
		size := (int(blocks)%8 + 1) * blockWords
		below := func(b []byte) *big.Int { return new(big.Int).SetBytes(b[:min(len(b), 8*size)]) }
		modulus := below(n)
		modulus.SetBit(modulus, 64*size-1, 1).SetBit(modulus, 0, 1)
		m := newModulus(modulus)
		a, b := below(x), below(y)
		got, portable := make([]uint64, size), make([]uint64, size)
		var s scratch
		m.mul(got, Words(a, size), Words(b, size), &s)
		m.mulPortable(portable, Words(a, size), Words(b, size), &s)
		require.Equal(t, portable, got, "%x·%x mod %x", a, b, modulus)
		want := new(big.Int).Mul(a, b)
		requireEqual(t, want.Mod(want, modulus), value(m.Mul(Words(a, size), Words(b, size))), "%x·%x mod %x", a, b, modulus)
	})
}

func BenchmarkProduct(b *testing.B) {
	source := rand.New(rand.NewPCG(7, 8))
	for _, bits := range []int{1024, 2048} {
		m := newModulus(moduli(source, bits)[4])
		x := Words(number(source, bits), m.Size())
		var s scratch
		b.Run(fmt.Sprint(bits), func(b *testing.B) {
			for b.Loop() {
				m.mul(x, x, x, &s)
			}
		})
		b.Run(fmt.Sprint(bits, "/portable"), func(b *testing.B) {
			for b.Loop() {
				m.mulPortable(x, x, x, &s)
			}
		})
	}
}

func BenchmarkExp(b *testing.B) {
	source := rand.New(rand.NewPCG(9, 10))
	for _, bits := range []int{1024, 2048} {
		m := newModulus(moduli(source, bits)[4])
		x := Words(number(source, bits), m.Size())
		e := number(source, bits).FillBytes(make([]byte, bits/8))
		b.Run(fmt.Sprint(bits), func(b *testing.B) {
			for b.Loop() {
				m.Exp(x, e)
			}
		})
	}
}
