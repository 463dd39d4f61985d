package crypt_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

func TestAlgorithmTable(t *testing.T) {
	t.Parallel()
	table := crypt.Algorithms()
	assert.True(t, slices.IsSortedFunc(table, func(a, b crypt.Algorithm) int { return int(a.ID) - int(b.ID) }))
	for i, a := range table {
		if i > 0 {
			assert.NotEqual(t, table[i-1].ID, a.ID)
		}
		assert.NotZero(t, a.Attributes, a.ID)
		assert.NotZero(t, a.Roles, a.ID)
		isHash := a.Roles&wire.RoleHash != 0
		assert.Equal(t, isHash, a.DigestSize != 0 && a.BlockSize != 0, a.ID)
		if isHash && a.Supported {
			assert.Equal(t, a.DigestSize, crypt.HashSize(a.ID))
			assert.Equal(t, a.BlockSize, crypt.NewHash(a.ID).BlockSize())
		}
	}
}

func TestRegistry(t *testing.T) {
	t.Parallel()
	r, err := crypt.NewRegistry(crypt.Selection{Algorithms: []wire.AlgID{wire.AlgSHA256, wire.AlgSHA1}})
	require.NoError(t, err)
	assert.Equal(t, []wire.AlgID{wire.AlgSHA1, wire.AlgSHA256}, r.Hashes())
	assert.Len(t, r.Rows(), 2)
	assert.Equal(t, 20, r.DigestSize(wire.AlgSHA1))
	assert.Zero(t, r.DigestSize(wire.AlgSHA384))
	assert.Equal(t, 2, r.Selectors().HashCount())
	assert.True(t, r.Selectors().Has(wire.AlgSHA1, wire.RoleHash))
	assert.False(t, r.Selectors().Has(wire.AlgSHA1, wire.RoleKDF))
	assert.Empty(t, r.Curves())

	r, err = crypt.NewRegistry(crypt.Selection{
		Algorithms: []wire.AlgID{wire.AlgECC, wire.AlgRSA, wire.AlgAES},
		Curves:     []wire.Curve{wire.CurveNISTP384, wire.CurveNISTP256, wire.CurveNISTP384},
		RSABits:    []uint16{3072, 2048},
	})
	require.NoError(t, err)
	assert.Equal(t, []wire.Curve{wire.CurveNISTP256, wire.CurveNISTP384}, r.Curves())
	assert.True(t, r.Selectors().HasCurve(wire.CurveNISTP384))
	assert.False(t, r.Selectors().HasCurve(wire.CurveNISTP521))

	assert.Equal(t, []uint16{2048, 3072}, r.Rows()[0].KeyBits)
	assert.True(t, r.Selectors().HasKeyBits(wire.AlgRSA, 3072))
	assert.False(t, r.Selectors().HasKeyBits(wire.AlgRSA, 1024))
	assert.True(t, r.Selectors().HasKeyBits(wire.AlgAES, 192))
	assert.Len(t, crypt.Algorithms()[0].KeyBits, 4, "the table is as it was")

	_, err = crypt.NewRegistry(crypt.Selection{AESBits: []uint16{128, 512}})
	var bits *crypt.UnsupportedBitsError
	require.ErrorAs(t, err, &bits)
	assert.EqualValues(t, 512, bits.Bits)
	assert.Contains(t, bits.Error(), "128 192 256")

	for _, curve := range []wire.Curve{wire.CurveNone, 0x0042, 0xFFFF} {
		_, err = crypt.NewRegistry(crypt.Selection{Curves: []wire.Curve{wire.CurveNISTP256, curve}})
		var un *crypt.UnsupportedCurveError
		require.ErrorAs(t, err, &un)
		assert.Equal(t, curve, un.Curve)
		assert.NotEmpty(t, un.Error())
	}
	for _, alg := range []wire.AlgID{wire.AlgTDES, wire.AlgNull, 0xFFFF} {
		_, err = crypt.NewRegistry(crypt.Selection{Algorithms: []wire.AlgID{wire.AlgSHA1, alg}})
		var un *crypt.UnsupportedError
		require.ErrorAs(t, err, &un)
		assert.Equal(t, alg, un.Alg)
		assert.NotEmpty(t, un.Error())
	}
}

// The hashes that HASH_MLDSA keys may name are those that have a µ.
func TestRolesOfHashMLDSA(t *testing.T) {
	t.Parallel()
	for _, a := range crypt.Algorithms() {
		assert.Equal(t, a.Roles&wire.RoleHashMLDSA != 0, crypt.HashMLDSAHash(a.ID), a.ID)
	}
}

// Default, and what each user of version 1.59 has, is without what came later.
func TestParameterSets(t *testing.T) {
	t.Parallel()
	s := crypt.Complete().Selectors()
	for _, a := range crypt.Algorithms() {
		for set := range uint16(5) {
			assert.Equal(t, len(a.ParameterSets) > 0 && set >= 1 && set <= 3, s.HasParameterSet(a.ID, set))
		}
	}
	assert.True(t, s.ExternalMu())

	var refused *crypt.UnsupportedSetError
	_, err := crypt.NewRegistry(crypt.Selection{MLKEMSets: []wire.MLKEMParameterSet{wire.MLKEM512, 4}})
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, crypt.UnsupportedSetError{Alg: wire.AlgMLKEM, Set: 4, Want: []uint16{1, 2, 3}}, *refused)
	assert.Contains(t, refused.Error(), "MLKEM with parameter set 4")
	_, err = crypt.NewRegistry(crypt.Selection{MLDSASets: []wire.MLDSAParameterSet{0}})
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, wire.AlgMLDSA, refused.Alg)
}

func TestCompleteRegistry(t *testing.T) {
	t.Parallel()
	s := crypt.Complete().Selectors()
	assert.True(t, s.HasKeyBits(wire.AlgRSA, 2048))
	assert.False(t, s.HasKeyBits(wire.AlgRSA, 512))
	assert.True(t, s.HasCurve(wire.CurveNISTP256))
	assert.False(t, s.HasCurve(wire.CurveBNP256))
}

// Part 2, chapter "Interface Types": which algorithms each type takes.
func TestRolesOfAlgorithms(t *testing.T) {
	t.Parallel()
	hashes := []wire.AlgID{wire.AlgSHA1, wire.AlgSHA256, wire.AlgSHA384, wire.AlgSHA512, wire.AlgSHA3_256, wire.AlgSHA3_384, wire.AlgSHA3_512,
		wire.AlgSHAKE256_192, wire.AlgSHAKE256_256, wire.AlgSHAKE256_512}
	ciphers := []wire.AlgID{wire.AlgTDES, wire.AlgAES, wire.AlgCamellia}
	modes := []wire.AlgID{wire.AlgCTR, wire.AlgOFB, wire.AlgCBC, wire.AlgCFB, wire.AlgECB}
	for role, want := range map[wire.Role][]wire.AlgID{
		wire.RoleHash:            hashes,
		wire.RoleMACScheme:       append([]wire.AlgID{wire.AlgCMAC}, hashes...),
		wire.RoleSymmetricObject: ciphers,
		wire.RoleSymmetric:       append([]wire.AlgID{wire.AlgXOR}, ciphers...),
		wire.RoleCipherMode:      modes,
		wire.RoleSymmetricMode:   append([]wire.AlgID{wire.AlgCMAC}, modes...),
		wire.RoleSigScheme: {wire.AlgHMAC, wire.AlgRSASSA, wire.AlgRSAPSS, wire.AlgECDSA, wire.AlgECDAA,
			wire.AlgSM2, wire.AlgECSchnorr, wire.AlgEdDSA, wire.AlgHashEdDSA, wire.AlgMLDSA, wire.AlgHashMLDSA},
		wire.RolePublic: {wire.AlgRSA, wire.AlgKeyedHash, wire.AlgECC, wire.AlgSymCipher,
			wire.AlgMLKEM, wire.AlgMLDSA, wire.AlgHashMLDSA},
		wire.RoleHashMLDSA: {wire.AlgSHA256, wire.AlgSHA384, wire.AlgSHA512,
			wire.AlgSHA3_256, wire.AlgSHA3_384, wire.AlgSHA3_512, wire.AlgSHAKE256_512},
		wire.RoleRSADecrypt:     {wire.AlgRSAES, wire.AlgOAEP},
		wire.RoleECCKeyExchange: {wire.AlgECDH, wire.AlgSM2, wire.AlgECMQV},
	} {
		var got []wire.AlgID
		for _, a := range crypt.Algorithms() {
			if a.Roles&role != 0 {
				got = append(got, a.ID)
			}
		}
		assert.ElementsMatch(t, want, got, "role %#x", role)
	}
}
