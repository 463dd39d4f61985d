package crypt_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"filippo.io/mldsa"
	"filippo.io/mldsa/mldsacrypto"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// mldsaSets are the parameter sets with what the library calls them.
var mldsaSets = []struct {
	set     wire.MLDSAParameterSet
	library mldsa.Parameters
}{
	{wire.MLDSA44, mldsa.MLDSA44()},
	{wire.MLDSA65, mldsa.MLDSA65()},
	{wire.MLDSA87, mldsa.MLDSA87()},
}

// stream gives bytes that depend on nothing but the seed.
func stream(seed byte) *rand.ChaCha8 { return rand.NewChaCha8([32]byte{seed}) }

func draw(r *rand.ChaCha8, n int) []byte {
	b := make([]byte, n)
	r.Read(b)
	return b
}

// pureMu is µ of a message, written at once.
func pureMu(t testing.TB, public, context, message []byte) []byte {
	m, err := crypt.NewMLDSAMu(public, context)
	require.NoError(t, err)
	m.Write(message)
	return m.Sum(nil)
}

// Keys and deterministic signatures are the library's, and each accepts what the
// other has signed.
func TestMLDSALikeLibrary(t *testing.T) {
	t.Parallel()
	for _, s := range mldsaSets {
		t.Run(s.set.String(), func(t *testing.T) {
			t.Parallel()
			r := stream(byte(s.set))
			for round := range 12 {
				seed, context, message := draw(r, 32), draw(r, round*23), draw(r, round*31)
				mine, err := crypt.NewMLDSAKey(s.set, seed)
				require.NoError(t, err)
				theirs, err := mldsa.NewPrivateKey(s.library, seed)
				require.NoError(t, err)
				require.Equal(t, theirs.PublicKey().Bytes(), mine.Public())
				assert.Equal(t, s.set, mine.Set())

				options := &mldsa.Options{Context: string(context)}
				mu := pureMu(t, mine.Public(), context, message)
				want, err := theirs.SignDeterministic(message, options)
				require.NoError(t, err)
				got, err := mine.SignMu(mu, make([]byte, 32))
				require.NoError(t, err)
				require.Equal(t, want, got)

				hedged, err := mine.SignMu(mu, draw(r, 32))
				require.NoError(t, err)
				assert.NotEqual(t, got, hedged)
				assert.NoError(t, mldsa.Verify(theirs.PublicKey(), message, hedged, options))
				public, err := crypt.NewMLDSAPublicKey(s.set, theirs.PublicKey().Bytes())
				require.NoError(t, err)
				assert.True(t, public.VerifyMu(mu, hedged))
				theirHedged, err := theirs.Sign(nil, mu, mldsacrypto.MLDSAMu)
				require.NoError(t, err)
				assert.True(t, public.VerifyMu(mu, theirHedged))
				assert.True(t, mine.VerifyMu(mu, theirHedged), "the private key verifies too")
			}
		})
	}
}

// What is not signed is refused, as by the library: each octet of a signature
// changed, another µ, another key.
func TestMLDSARefusesWhatIsNotSigned(t *testing.T) {
	t.Parallel()
	for _, s := range mldsaSets {
		t.Run(s.set.String(), func(t *testing.T) {
			t.Parallel()
			r := stream(byte(s.set) + 16)
			key, err := crypt.NewMLDSAKey(s.set, draw(r, 32))
			require.NoError(t, err)
			mu := draw(r, 64)
			signature, err := key.SignMu(mu, draw(r, 32))
			require.NoError(t, err)
			require.True(t, key.VerifyMu(mu, signature))
			for i := 0; i < len(signature); i += 1 + i%7 {
				bad := bytes.Clone(signature)
				bad[i] ^= 1 << (i % 8)
				assert.False(t, key.VerifyMu(mu, bad), "octet %d", i)
			}
			for i := range mu {
				bad := bytes.Clone(mu)
				bad[i] ^= 1
				assert.False(t, key.VerifyMu(bad, signature))
			}
			assert.False(t, key.VerifyMu(mu[:63], signature))
			assert.False(t, key.VerifyMu(append(mu, 0), signature))
			assert.False(t, key.VerifyMu(mu, signature[:len(signature)-1]))
			assert.False(t, key.VerifyMu(mu, append(signature[:len(signature):len(signature)], 0)))
			assert.False(t, key.VerifyMu(mu, nil))
			other := bytes.Clone(key.Public())
			other[40] ^= 4
			assert.False(t, crypt.MLDSAVerifyMu(s.set, other, mu, signature))
			assert.True(t, crypt.MLDSAVerifyMu(s.set, key.Public(), mu, signature))
			assert.False(t, crypt.MLDSAVerifyMu(s.set, key.Public()[1:], mu, signature))
			assert.False(t, crypt.MLDSAVerifyMu(0, key.Public(), mu, signature))
		})
	}
}

func TestMLDSARefusesSizes(t *testing.T) {
	t.Parallel()
	var refused *crypt.Error
	for _, set := range []wire.MLDSAParameterSet{0, 4, 0xFFFF} {
		_, err := crypt.NewMLDSAKey(set, make([]byte, 32))
		require.ErrorAs(t, err, &refused)
		assert.Equal(t, wire.RCParms, refused.Code)
		_, err = crypt.NewMLDSAPublicKey(set, nil)
		require.ErrorAs(t, err, &refused)
		assert.Equal(t, wire.RCParms, refused.Code)
	}
	for _, n := range []int{0, 31, 33, 64} {
		_, err := crypt.MLDSAPublic(wire.MLDSA44, make([]byte, n))
		require.ErrorAs(t, err, &refused)
		assert.Equal(t, wire.RCSize, refused.Code)
		_, err = crypt.MLDSASignMu(wire.MLDSA44, make([]byte, n), make([]byte, 64), make([]byte, 32))
		require.ErrorAs(t, err, &refused)
	}
	for _, sizes := range [][2]int{{63, 32}, {65, 32}, {64, 31}, {64, 33}, {0, 0}} {
		_, err := crypt.MLDSASignMu(wire.MLDSA44, make([]byte, 32), make([]byte, sizes[0]), make([]byte, sizes[1]))
		require.ErrorAs(t, err, &refused, "%v", sizes)
		assert.Equal(t, wire.RCSize, refused.Code)
	}
	_, err := crypt.NewMLDSAPublicKey(wire.MLDSA65, make([]byte, wire.MLDSA44.PublicSize()))
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, wire.RCSize, refused.Code)
}

// The state of µ goes through bytes after any part of the message.
func TestMLDSAMuState(t *testing.T) {
	t.Parallel()
	public, message := make([]byte, wire.MLDSA44.PublicSize()), draw(stream(1), 500)
	want := pureMu(t, public, []byte("context"), message)
	for cut := range message {
		m, err := crypt.NewMLDSAMu(public, []byte("context"))
		require.NoError(t, err)
		m.Write(message[:cut])
		m.Sum(nil) // changes nothing
		state, err := m.MarshalBinary()
		require.NoError(t, err)
		var again crypt.MLDSAMu
		require.NoError(t, again.UnmarshalBinary(state))
		again.Write(message[cut:])
		require.Equal(t, append([]byte("x"), want...), again.Sum([]byte("x")))
	}
}

func TestMLDSAMuRefuses(t *testing.T) {
	t.Parallel()
	var refused *crypt.Error
	_, err := crypt.NewMLDSAMu(nil, make([]byte, 256))
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, wire.RCSize, refused.Code)
	_, err = crypt.NewHashMLDSAMu(nil, make([]byte, 256), wire.AlgSHA256)
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, wire.RCSize, refused.Code)
	for _, hash := range []wire.AlgID{wire.AlgNull, wire.AlgSHA1, wire.AlgSM3_256, wire.AlgSHAKE256_256, wire.AlgRSA} {
		assert.False(t, crypt.HashMLDSAHash(hash))
		_, err := crypt.NewHashMLDSAMu(nil, nil, hash)
		require.ErrorAs(t, err, &refused, hash)
		assert.Equal(t, wire.RCHash, refused.Code)
	}

	m, err := crypt.NewMLDSAMu(nil, nil)
	require.NoError(t, err)
	state, err := m.MarshalBinary()
	require.NoError(t, err)
	before := m.Sum(nil)
	for name, change := range map[string]func(b []byte) []byte{
		"empty":     func([]byte) []byte { return nil },
		"short":     func(b []byte) []byte { return b[1:] },
		"long":      func(b []byte) []byte { return append(b, 0) },
		"magic":     func(b []byte) []byte { b[0]++; return b },
		"SHAKE128":  func(b []byte) []byte { b[4] = 168; return b },
		"too full":  func(b []byte) []byte { b[len(b)-2] = 136; return b },
		"squeezing": func(b []byte) []byte { b[len(b)-1] = 1; return b },
	} {
		var bad *crypt.HashStateError
		require.ErrorAs(t, m.UnmarshalBinary(change(bytes.Clone(state))), &bad, name)
		assert.NotEmpty(t, bad.Error())
		assert.Equal(t, before, m.Sum(nil), name)
	}
}

func BenchmarkMLDSA(b *testing.B) {
	for _, s := range mldsaSets {
		r := stream(9)
		seed, mu := draw(r, 32), draw(r, 64)
		mine, err := crypt.NewMLDSAKey(s.set, seed)
		require.NoError(b, err)
		theirs, err := mldsa.NewPrivateKey(s.library, seed)
		require.NoError(b, err)
		message := draw(r, 32)
		messageMu := pureMu(b, mine.Public(), nil, message)
		signature, err := theirs.SignDeterministic(message, nil)
		require.NoError(b, err)
		public, random := mine.Public(), make([]byte, 32)
		ready, err := crypt.NewMLDSAPublicKey(s.set, public)
		require.NoError(b, err)
		readyTheirs, err := mldsa.NewPublicKey(s.library, public)
		require.NoError(b, err)
		ms := make([][]byte, 64) // signatures take a random number of attempts
		for i := range ms {
			ms[i] = draw(r, 64)
		}
		_ = mu
		for _, bench := range []struct {
			name         string
			mine, theirs func(i int)
		}{
			{"Key", func(int) { crypt.NewMLDSAKey(s.set, seed) }, func(int) { mldsa.NewPrivateKey(s.library, seed) }},
			{"Sign", func(i int) { mine.SignMu(ms[i%64], random) }, func(i int) { theirs.SignDeterministic(ms[i%64], mldsacrypto.MLDSAMu) }},
			{"Verify", func(int) { ready.VerifyMu(messageMu, signature) }, func(int) { mldsa.Verify(readyTheirs, message, signature, nil) }},
			{"KeyAndVerify", func(int) { crypt.MLDSAVerifyMu(s.set, public, messageMu, signature) },
				func(int) {
					k, _ := mldsa.NewPublicKey(s.library, public)
					mldsa.Verify(k, message, signature, nil)
				}},
		} {
			for _, of := range []struct {
				name string
				run  func(int)
			}{{"own", bench.mine}, {"library", bench.theirs}} {
				b.Run(fmt.Sprintf("%v/%s/%s", s.set, bench.name, of.name), func(b *testing.B) {
					for i := 0; b.Loop(); i++ {
						of.run(i)
					}
				})
			}
		}
	}
}
