package edwards

import (
	"math/rand/v2"
	"testing"

	"filippo.io/edwards25519"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// libraryBase is the base point times a scalar below 2^255, by the library.
func libraryBase(t testing.TB, scalar *[Size]byte) []byte {
	t.Helper()
	var wide [64]byte
	copy(wide[:], scalar[:])
	s, err := edwards25519.NewScalar().SetUniformBytes(wide[:])
	require.NoError(t, err)
	return new(edwards25519.Point).ScalarBaseMult(s).Bytes()
}

// order is the order of the base point (RFC 8032, section 5.1).
var order = [Size]byte{
	0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
	31: 0x10,
}

// edges are scalars whose digits are the smallest, the largest, all the same, or one alone,
// and those around the order.
func edges() (all [][Size]byte) {
	for b := range 256 {
		var s [Size]byte
		for i := range s {
			s[i] = byte(b)
		}
		s[Size-1] &= 0x7f
		all = append(all, s)
	}
	for digit := range digitCount {
		for n := range 16 {
			var s [Size]byte
			s[digit/2] = byte(n << (digit % 2 * 4))
			s[Size-1] &= 0x7f
			all = append(all, s)
		}
	}
	for difference := -2; difference <= 2; difference++ {
		s := order
		s[0] = byte(int(s[0]) + difference)
		all = append(all, s)
	}
	return all
}

// Multiples of the base point are those of the library.
func TestMultiplyBase(t *testing.T) {
	t.Parallel()
	if !Available {
		t.Skip("this processor has no AVX512-IFMA")
	}
	scalars := edges()
	random := rand.NewChaCha8([32]byte{25})
	for range 2000 {
		var s [Size]byte
		random.Read(s[:])
		s[Size-1] &= 0x7f
		scalars = append(scalars, s)
	}
	for _, s := range scalars {
		got := MultiplyBase(&s)
		require.Equal(t, libraryBase(t, &s), got[:], "%x", s)
	}
}

// The digits of a scalar are from -8 to 8, and their sum is the scalar.
func TestDigits(t *testing.T) {
	t.Parallel()
	for _, s := range edges() {
		var d digits
		d.recode(&s)
		var sum [Size]byte
		carry := 0
		for i := range digitCount {
			require.LessOrEqual(t, d[i], int8(8))
			require.GreaterOrEqual(t, d[i], int8(-8))
			n := int(d[i]) + carry
			sum[i/2] |= byte(n&15) << (i % 2 * 4)
			carry = n >> 4
		}
		assert.Zero(t, carry)
		assert.Equal(t, s, sum)
	}
}

func FuzzMultiplyBase(f *testing.F) {
	if !Available {
		f.Skip("this processor has no AVX512-IFMA")
	}
	f.Add(order[:])
	f.Fuzz(func(t *testing.T, b []byte) {
		var s [Size]byte
		copy(s[:], b)
		s[Size-1] &= 0x7f
		got := MultiplyBase(&s)
		assert.Equal(t, libraryBase(t, &s), got[:])
	})
}

func BenchmarkMultiplyBase(b *testing.B) {
	s := [Size]byte{1, 2, 3, 31: 0x55}
	b.Run("library", func(b *testing.B) {
		k, err := edwards25519.NewScalar().SetBytesWithClamping(s[:])
		require.NoError(b, err)
		p := new(edwards25519.Point)
		for b.Loop() {
			p.ScalarBaseMult(k).Bytes()
		}
	})
	b.Run("here", func(b *testing.B) {
		if !Available {
			b.Skip("this processor has no AVX512-IFMA")
		}
		for b.Loop() {
			MultiplyBase(&s)
		}
	})
}
