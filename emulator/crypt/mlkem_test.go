package crypt_test

import (
	"bytes"
	"crypto/mlkem"
	"crypto/mlkem/mlkemtest"
	"crypto/sha3"
	"errors"
	"fmt"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

var mlkemSets = []wire.MLKEMParameterSet{wire.MLKEM512, wire.MLKEM768, wire.MLKEM1024}

// libraryEncapsulate encapsulates with the standard library.
func libraryEncapsulate(t testing.TB, set wire.MLKEMParameterSet, public, m []byte) (shared, ciphertext []byte) {
	if set == wire.MLKEM768 {
		key, err := mlkem.NewEncapsulationKey768(public)
		require.NoError(t, err)
		shared, ciphertext, err = mlkemtest.Encapsulate768(key, m)
		require.NoError(t, err)
		return shared, ciphertext
	}
	key, err := mlkem.NewEncapsulationKey1024(public)
	require.NoError(t, err)
	shared, ciphertext, err = mlkemtest.Encapsulate1024(key, m)
	require.NoError(t, err)
	return shared, ciphertext
}

// Encapsulation is the library's where it has the set, and decapsulation finds what
// was encapsulated.
func TestMLKEM(t *testing.T) {
	t.Parallel()
	for _, set := range mlkemSets {
		t.Run(set.String(), func(t *testing.T) {
			t.Parallel()
			r := stream(byte(set))
			for range 100 {
				seed, m := draw(r, 64), draw(r, 32)
				key, err := crypt.NewMLKEMKey(set, seed)
				require.NoError(t, err)
				assert.Equal(t, set, key.Set())
				public, err := crypt.MLKEMPublic(set, seed)
				require.NoError(t, err)
				require.Len(t, public, set.PublicSize())
				require.Equal(t, public, key.Public())

				shared, ciphertext, err := crypt.MLKEMEncapsulate(set, public, bytes.NewReader(m))
				require.NoError(t, err)
				require.Len(t, ciphertext, set.CiphertextSize())
				require.Len(t, shared, wire.MLKEMShared)
				if set != wire.MLKEM512 {
					wantShared, wantCiphertext := libraryEncapsulate(t, set, public, m)
					require.Equal(t, wantCiphertext, ciphertext)
					require.Equal(t, wantShared, shared)
				}
				found, err := key.Decapsulate(ciphertext)
				require.NoError(t, err)
				require.Equal(t, shared, found)

				at := int(m[0]) * len(ciphertext) / 256
				ciphertext[at] ^= 1 << (m[1] % 8)
				found, err = crypt.MLKEMDecapsulate(set, seed, ciphertext)
				require.NoError(t, err, "rejection is implicit")
				require.NotEqual(t, shared, found)
				require.Equal(t, rejected(seed, ciphertext), found)
			}
		})
	}
}

func TestMLKEMRefuses(t *testing.T) {
	t.Parallel()
	code := func(err error) wire.RC {
		var refused *crypt.Error
		require.ErrorAs(t, err, &refused)
		return refused.Code
	}
	for _, set := range []wire.MLKEMParameterSet{0, 4, 0xFFFF} {
		_, err := crypt.MLKEMPublic(set, make([]byte, 64))
		assert.Equal(t, wire.RCParms, code(err))
		_, _, err = crypt.MLKEMEncapsulate(set, nil, nil)
		assert.Equal(t, wire.RCParms, code(err))
		_, err = crypt.MLKEMDecapsulate(set, make([]byte, 64), nil)
		assert.Equal(t, wire.RCParms, code(err))
	}
	for _, set := range mlkemSets {
		for _, n := range []int{0, 32, 63, 65} {
			_, err := crypt.MLKEMPublic(set, make([]byte, n))
			assert.Equal(t, wire.RCSize, code(err))
		}
		n := set.PublicSize()
		for _, size := range []int{0, 1, n - 1, n + 1} {
			_, err := crypt.NewMLKEMPublicKey(set, make([]byte, size))
			assert.Equal(t, wire.RCSize, code(err))
		}
		n = set.CiphertextSize()
		for _, size := range []int{0, 1, n - 1, n + 1} {
			_, err := crypt.MLKEMDecapsulate(set, make([]byte, 64), make([]byte, size))
			assert.Equal(t, wire.RCSize, code(err))
		}

		// Each coefficient in turn is the modulus, then one less.
		public := make([]byte, set.PublicSize())
		for i := range (len(public) - 32) / 3 * 2 {
			at := i / 2 * 3
			put := func(v int) {
				if i%2 == 0 {
					public[at], public[at+1] = byte(v), byte(v>>8)
				} else {
					public[at+1], public[at+2] = byte(v<<4), byte(v>>4)
				}
			}
			put(3329)
			_, err := crypt.NewMLKEMPublicKey(set, public)
			require.Equal(t, wire.RCValue, code(err))
			put(3328)
			_, err = crypt.NewMLKEMPublicKey(set, public)
			require.NoError(t, err)
			put(0)
		}
		broken := errors.New("broken")
		_, _, err := crypt.MLKEMEncapsulate(set, public, iotest.ErrReader(broken))
		assert.ErrorIs(t, err, broken)
	}
}

func BenchmarkMLKEM(b *testing.B) {
	for _, set := range mlkemSets {
		r := stream(9)
		seed, m := draw(r, 64), draw(r, 32)
		key, err := crypt.NewMLKEMKey(set, seed)
		require.NoError(b, err)
		public, err := crypt.NewMLKEMPublicKey(set, key.Public())
		require.NoError(b, err)
		_, ciphertext, err := public.Encapsulate(bytes.NewReader(m))
		require.NoError(b, err)
		type pair struct {
			name         string
			mine, theirs func()
		}
		benches := []pair{
			{"Key", func() { crypt.NewMLKEMKey(set, seed) }, nil},
			{"Encapsulate", func() { public.Encapsulate(bytes.NewReader(m)) }, nil},
			{"KeyAndEncapsulate", func() { crypt.MLKEMEncapsulate(set, key.Public(), bytes.NewReader(m)) }, nil},
			{"Decapsulate", func() { key.Decapsulate(ciphertext) }, nil},
		}
		switch set {
		case wire.MLKEM768:
			dk, _ := mlkem.NewDecapsulationKey768(seed)
			benches[0].theirs = func() { mlkem.NewDecapsulationKey768(seed) }
			benches[1].theirs = func() { dk.EncapsulationKey().Encapsulate() }
			benches[2].theirs = func() { ek, _ := mlkem.NewEncapsulationKey768(key.Public()); ek.Encapsulate() }
			benches[3].theirs = func() { dk.Decapsulate(ciphertext) }
		case wire.MLKEM1024:
			dk, _ := mlkem.NewDecapsulationKey1024(seed)
			benches[0].theirs = func() { mlkem.NewDecapsulationKey1024(seed) }
			benches[1].theirs = func() { dk.EncapsulationKey().Encapsulate() }
			benches[2].theirs = func() { ek, _ := mlkem.NewEncapsulationKey1024(key.Public()); ek.Encapsulate() }
			benches[3].theirs = func() { dk.Decapsulate(ciphertext) }
		}
		for _, bench := range benches {
			for _, of := range []struct {
				name string
				run  func()
			}{{"own", bench.mine}, {"library", bench.theirs}} {
				if of.run == nil {
					continue
				}
				b.Run(fmt.Sprintf("%v/%s/%s", set, bench.name, of.name), func(b *testing.B) {
					for b.Loop() {
						of.run()
					}
				})
			}
		}
	}
}

// rejected is the secret that stands for a bad ciphertext: J(z | ciphertext) of FIPS
// 203, algorithm 18.
func rejected(seed, ciphertext []byte) []byte {
	return sha3.SumSHAKE256(append(bytes.Clone(seed[32:]), ciphertext...), 32)
}
