package crypt

import (
	"bytes"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"
)

// ramp is consecutive octets from first on.
func ramp(first byte) *[DRBGSeedSize]byte {
	var s [DRBGSeedSize]byte
	for i := range s {
		s[i] = first + byte(i)
	}
	return &s
}

// The known answer is that of the self-test of Go's own CTR_DRBG
// (crypto/internal/fips140/drbg): instantiate, reseed and generate, the last
// two with additional input.
func TestDRBGKnownAnswer(t *testing.T) {
	t.Parallel()
	var s DRBGState
	s.Instantiate(ramp(0x01))
	s.reseed(ramp(0x31), ramp(0x61))
	got := make([]byte, 32)
	s.generate(got, ramp(0x61))
	require.Equal(t, "6e6e479d24f86a3b7787a8f8186d985a53bebeeddeab9228f0f4ac6e10bf0193", hex.EncodeToString(got))
}

func TestDRBGDependsOnSeedAndStir(t *testing.T) {
	t.Parallel()
	read := func(seed byte, stir string) []byte {
		var s DRBGState
		s.Instantiate(ramp(seed))
		if stir != "" {
			s.Reseed(ramp(7), []byte(stir))
		}
		p := make([]byte, 40)
		n, err := s.Read(p)
		require.NoError(t, err)
		require.Equal(t, len(p), n)
		return p
	}
	require.Equal(t, read(1, ""), read(1, ""))
	require.NotEqual(t, read(1, ""), read(2, ""))
	require.NotEqual(t, read(1, "a"), read(1, "b"))
	long := bytes.Repeat([]byte("x"), 128)
	other := bytes.Clone(long)
	other[127] ^= 1
	require.NotEqual(t, read(1, string(long)), read(1, string(other)), "the last bit counts")
}

// Two requests are not one: the key changes after each.
func TestDRBGBacktrackingResistance(t *testing.T) {
	t.Parallel()
	var s DRBGState
	s.Instantiate(ramp(1))
	a, b := make([]byte, 16), make([]byte, 16)
	key := s.Key
	s.Read(a)
	require.NotEqual(t, key, s.Key)
	s.Read(b)
	require.NotEqual(t, a, b)
	require.EqualValues(t, 3, s.Reseeds)
}

// What is left of a block is thrown away, so that a shorter request gives the
// start of a longer one, and both leave the generator in the same state if they
// have as many blocks.
func TestDRBGPartialBlocks(t *testing.T) {
	t.Parallel()
	var start DRBGState
	start.Instantiate(ramp(1))
	long := start
	want := make([]byte, 48)
	long.Read(want)
	for n := range 48 {
		s, got := start, make([]byte, n)
		s.Read(got)
		require.Equal(t, want[:n], got)
		if n > 32 {
			require.Equal(t, long, s)
		}
	}
}

func TestDRBGAllocatesItsCipherOnly(t *testing.T) {
	gen := drbg(1)
	for _, n := range []int{7, 16, 40} {
		b := make([]byte, n)
		require.EqualValues(t, 2, testing.AllocsPerRun(10, func() { gen.Read(b) }), "key schedule and a block, for %d bytes", n)
	}
}

func TestDRBGLongRead(t *testing.T) {
	t.Parallel()
	var one, two DRBGState
	one.Instantiate(ramp(1))
	two.Instantiate(ramp(1))
	whole := make([]byte, drbgMaxRequest+5)
	one.Read(whole)
	parts := make([]byte, drbgMaxRequest+5)
	two.Read(parts[:drbgMaxRequest])
	two.Read(parts[drbgMaxRequest:])
	require.True(t, bytes.Equal(parts, whole))
}

func TestDRBGCounterWraps(t *testing.T) {
	t.Parallel()
	s := DRBGState{V: [16]byte{0: 0, 7: 1, 8: 0xFF, 9: 0xFF, 10: 0xFF, 11: 0xFF, 12: 0xFF, 13: 0xFF, 14: 0xFF, 15: 0xFF}}
	s.increment()
	require.Equal(t, [16]byte{7: 2}, s.V)
}
