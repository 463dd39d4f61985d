package crypt_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/mlkem"
	"testing"

	"filippo.io/mldsa"
	"github.com/cloudflare/circl/ecc/goldilocks"
	"github.com/cloudflare/circl/sign/ed448"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// What comes from outside in the algorithms of version 185 of the library: the
// libraries agree about it.

func FuzzVerifyMLDSA(f *testing.F) {
	for _, s := range mldsaSets {
		key, err := crypt.NewMLDSAKey(s.set, make([]byte, 32))
		require.NoError(f, err)
		signature, err := key.SignMu(pureMu(f, key.Public(), nil, []byte("message")), make([]byte, 32))
		require.NoError(f, err)
		f.Add(uint16(s.set), key.Public(), []byte("message"), signature)
		swapped := bytes.Clone(signature)
		end := len(swapped) - 8
		swapped[end-75], swapped[end-74] = swapped[end-74], swapped[end-75]
		f.Add(uint16(s.set), key.Public(), []byte("message"), swapped)
		full := bytes.Clone(signature)
		full[len(full)-1] = 0xFF
		f.Add(uint16(s.set), key.Public(), []byte("message"), full)
	}
	f.Fuzz(func(t *testing.T, n uint16, public, message, signature []byte) {
		set := wire.MLDSAParameterSet(n)
		got := crypt.MLDSAVerifyMu(set, public, pureMu(t, public, nil, message), signature)
		if !set.Known() {
			require.False(t, got)
			return
		}
		key, err := mldsa.NewPublicKey(mldsaSets[set-1].library, public)
		require.Equal(t, err == nil && mldsa.Verify(key, message, signature, nil) == nil, got)
	})
}

func FuzzEncapsulateMLKEM(f *testing.F) {
	for _, set := range mlkemSets {
		public, err := crypt.MLKEMPublic(set, make([]byte, 64))
		require.NoError(f, err)
		f.Add(uint16(set), public)
		f.Add(uint16(set), bytes.Repeat([]byte{0xFF}, len(public)))
	}
	f.Fuzz(func(t *testing.T, n uint16, public []byte) {
		set := wire.MLKEMParameterSet(n)
		shared, ciphertext, err := crypt.MLKEMEncapsulate(set, public, bytes.NewReader(make([]byte, 32)))
		switch set {
		case wire.MLKEM768:
			_, theirs := mlkem.NewEncapsulationKey768(public)
			require.Equal(t, theirs == nil, err == nil)
		case wire.MLKEM1024:
			_, theirs := mlkem.NewEncapsulationKey1024(public)
			require.Equal(t, theirs == nil, err == nil)
		case wire.MLKEM512:
		default:
			require.Error(t, err)
		}
		if err != nil {
			return
		}
		require.Len(t, ciphertext, set.CiphertextSize())
		if set != wire.MLKEM512 {
			wantShared, wantCiphertext := libraryEncapsulate(t, set, public, make([]byte, 32))
			require.Equal(t, wantShared, shared)
			require.Equal(t, wantCiphertext, ciphertext)
		}
	})
}

func FuzzDecapsulateMLKEM(f *testing.F) {
	for _, set := range mlkemSets {
		f.Add(uint16(set), make([]byte, 64), make([]byte, set.CiphertextSize()))
		f.Add(uint16(set), make([]byte, 64), bytes.Repeat([]byte{0xFF}, set.CiphertextSize()))
	}
	f.Fuzz(func(t *testing.T, n uint16, seed, ciphertext []byte) {
		set := wire.MLKEMParameterSet(n)
		shared, err := crypt.MLKEMDecapsulate(set, seed, ciphertext)
		require.Equal(t, set.Known() && len(seed) == 64 && len(ciphertext) == set.CiphertextSize(), err == nil)
		if err == nil {
			require.Len(t, shared, wire.MLKEMShared)
		}
	})
}

func FuzzVerifyEd25519(f *testing.F) {
	public, err := ed25519Public(make([]byte, 32))
	require.NoError(f, err)
	signature, err := signEd25519(make([]byte, 32), []byte("message"))
	require.NoError(f, err)
	f.Add(public, []byte("message"), signature)
	f.Add(make([]byte, 32), []byte("message"), make([]byte, 64)) // of low order
	f.Fuzz(func(t *testing.T, public, message, signature []byte) {
		if crypt.VerifyEd25519(public, message, signature) {
			require.True(t, ed25519.Verify(public, message, signature))
		} else if crypt.CheckEd25519(public) == nil {
			require.False(t, ed25519.Verify(public, message, signature))
		}
	})
}

// A verification in pieces says what the one of a whole message says, and the library
// agrees about keys without a part of small order.
func FuzzVerifyEd448(f *testing.F) {
	key, err := crypt.NewEd448Key(make([]byte, 57))
	require.NoError(f, err)
	f.Add(key.Public(), []byte("message"), key.Sign([]byte("message")))
	f.Add(append([]byte{1}, make([]byte, 56)...), []byte("message"), append([]byte{1}, make([]byte, 113)...))
	f.Add(make([]byte, 57), []byte("message"), make([]byte, 114)) // of order 4
	f.Fuzz(func(t *testing.T, public, message, signature []byte) {
		got := verifyEd448(public, message, signature)
		v, err := crypt.NewEd448Verification(public, signature[:min(57, len(signature))])
		if err != nil {
			require.False(t, got)
			return
		}
		v.Write(message[:len(message)/2])
		v.Write(message[len(message)/2:])
		require.Equal(t, got, v.Verify(signature))
		p, err := goldilocks.FromBytes(public)
		require.NoError(t, err)
		without, err := goldilocks.Curve{}.ScalarMult(&goldilocks.Scalar{1}, p).MarshalBinary()
		require.NoError(t, err)
		if bytes.Equal(without, public) {
			require.Equal(t, ed448.Verify(public, message, signature, ""), got)
		}
	})
}

// States that are restored can be written to and saved again.
func FuzzUnmarshalVerification(f *testing.F) {
	m, err := crypt.NewMLDSAMu([]byte("key"), []byte("context"))
	require.NoError(f, err)
	state, err := m.MarshalBinary()
	require.NoError(f, err)
	f.Add(state)
	public, err := ed25519Public(make([]byte, 32))
	require.NoError(f, err)
	v, err := crypt.NewEd25519Verification(public, make([]byte, 32))
	require.NoError(f, err)
	state, err = v.MarshalBinary()
	require.NoError(f, err)
	f.Add(state)
	public, err = ed448Public(make([]byte, 57))
	require.NoError(f, err)
	larger, err := crypt.NewEd448Verification(public, make([]byte, 57))
	require.NoError(f, err)
	state, err = larger.MarshalBinary()
	require.NoError(f, err)
	f.Add(state)
	f.Fuzz(func(t *testing.T, state []byte) {
		var m crypt.MLDSAMu
		if m.UnmarshalBinary(state) == nil {
			again, err := m.MarshalBinary()
			require.NoError(t, err)
			require.Equal(t, state, again)
			m.Write(make([]byte, 300))
			m.Sum(nil)
		}
		var v crypt.Ed25519Verification
		if v.UnmarshalBinary(state) == nil {
			v.Write(make([]byte, 300))
			v.Verify(make([]byte, 64))
		}
		var larger crypt.Ed448Verification
		if larger.UnmarshalBinary(state) == nil {
			again, err := larger.MarshalBinary()
			require.NoError(t, err)
			require.Equal(t, state, again)
			larger.Write(make([]byte, 300))
			larger.Verify(make([]byte, 114))
		}
	})
}

func FuzzDecapsulateDHKEM(f *testing.F) {
	for i, c := range dhkems {
		key, err := c.library.DeriveKeyPair(make([]byte, 66))
		require.NoError(f, err)
		private, err := key.Bytes()
		require.NoError(f, err)
		f.Add(uint8(i), private, key.PublicKey().Bytes())
	}
	point, err := crypt.X448Public(make([]byte, 56))
	require.NoError(f, err)
	f.Add(uint8(len(dhkems)), make([]byte, 56), point)
	f.Fuzz(func(t *testing.T, i uint8, private, ciphertext []byte) {
		curve, hash, size := wire.CurveCurve448, wire.AlgSHA512, 64
		if at := int(i) % (len(dhkems) + 1); at < len(dhkems) {
			curve, hash, size = dhkems[at].curve, dhkems[at].hash, dhkems[at].size
		}
		k, err := crypt.NewDHKEM(curve, hash)
		require.NoError(t, err)
		shared, err := k.Decapsulate(private, ciphertext)
		if err == nil {
			require.Len(t, shared, size)
		}
	})
}
