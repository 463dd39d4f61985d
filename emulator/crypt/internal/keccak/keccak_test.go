package keccak

import (
	"crypto/sha3"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Four blocks of each sponge are those of the standard library.
func TestFour(t *testing.T) {
	t.Parallel()
	if !Available {
		t.Skip("this processor has no AVX2")
	}
	random := rand.NewChaCha8([32]byte{1})
	var f Four // is started again and again
	for _, rate := range []int{Rate128, Rate256} {
		for size := range 133 {
			head := make([]byte, size)
			random.Read(head)
			var ends [4][2]byte
			for i := range ends {
				random.Read(ends[i][:])
			}
			f.Start(rate, head, &ends)
			var libraries [4]*sha3.SHAKE
			for i := range libraries {
				libraries[i] = sha3.NewSHAKE128()
				if rate == Rate256 {
					libraries[i] = sha3.NewSHAKE256()
				}
				libraries[i].Write(slices.Concat(head, ends[i][:]))
			}
			for range 4 {
				f.Next()
				for i, x := range libraries {
					var got [MaxBlock]byte
					f.Block(got[:], i)
					want := make([]byte, rate)
					_, err := x.Read(want)
					require.NoError(t, err)
					assert.Equal(t, want, got[:rate])
				}
			}
		}
	}
}

func BenchmarkFour(b *testing.B) {
	if !Available {
		b.Skip("this processor has no AVX2")
	}
	b.Run("own", func(b *testing.B) {
		var f Four
		for b.Loop() {
			f.Next()
		}
	})
	b.Run("library", func(b *testing.B) {
		x, block := sha3.NewSHAKE256(), make([]byte, Rate256)
		for b.Loop() {
			for range 4 {
				_, _ = x.Read(block)
			}
		}
	})
}
