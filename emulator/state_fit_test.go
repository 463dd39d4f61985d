package emulator_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// The state of one TPM in another one: what it could not go on with is refused,
// and nothing is lost by that.
func TestStateOfAnotherTPM(t *testing.T) {
	t.Parallel()
	policy := func(h wire.Handle, alg wire.AlgID, size int) []byte {
		return et.Command(wire.CCSetPrimaryPolicy, handles{h}, et.NoAuth(), et.Sized(make([]byte, size)), et.U16(uint16(alg)))
	}
	index := func(alg wire.AlgID, size int) []byte {
		return define(wire.RHOwner, nvPublic{index: 0x01800001, alg: alg, size: size}, nil)
	}
	banks := func(algs ...wire.AlgID) (list []emulator.Bank) {
		for _, a := range algs {
			list = append(list, emulator.Bank{Alg: a})
		}
		return list
	}
	for name, tc := range map[string]struct {
		do   [][]byte
		want string
	}{
		"fits":             {nil, ""},
		"SHA-256":          {[][]byte{policy(wire.RHOwner, wire.AlgSHA256, 32), index(wire.AlgSHA256, 64)}, ""},
		"owner":            {[][]byte{policy(wire.RHOwner, wire.AlgSHA384, 48)}, "the owner's policy is with SHA384"},
		"endorsement":      {[][]byte{policy(wire.RHEndorsement, wire.AlgSHA512, 64)}, "the endorsement policy is with SHA512"},
		"lockout":          {[][]byte{policy(wire.RHLockout, wire.AlgSHA384, 48)}, "the lockout policy is with SHA384"},
		"index":            {[][]byte{index(wire.AlgSHA384, 64)}, "NV index 0x01800001 is with SHA384"},
		"large index":      {[][]byte{index(wire.AlgSHA256, 2000)}, "take 2152 bytes, this TPM has 2000"},
		"audit":            {[][]byte{setAudit(wire.AlgSHA384, nil, nil), setAudit(wire.AlgNull, []wire.CC{wire.CCGetRandom}, nil)}, "command audit is with SHA384"},
		"audit of nothing": {[][]byte{setAudit(wire.AlgSHA384, nil, nil)}, ""},
		"only one bank":    {[][]byte{et.Command(wire.CCPCRAllocate, handles{wire.RHPlatform}, et.NoAuth(), selections(et.Selection(wire.AlgSHA256)))}, "no PCR bank would be left: SHA384, as allocated, is none"},
	} {
		store := &et.Store{}
		made := et.New(t, et.WithStore(store), et.WithConfig(emulator.Config{Banks: banks(wire.AlgSHA384, wire.AlgSHA256)}))
		for _, command := range tc.do {
			require.Equal(t, wire.RCSuccess, send(t, made, command), name)
		}
		require.NoError(t, made.PowerOff())
		before, err := store.Load()
		require.NoError(t, err)

		l := emulator.DefaultLimits()
		l.Persistent, l.NVMemory = 1, 2000
		other, err := emulator.New(emulator.Platform{Store: store}, emulator.Config{
			Algorithms: without(emulator.DefaultAlgorithms(), wire.AlgSHA384, wire.AlgSHA512), Banks: banks(wire.AlgSHA256), Limits: l})
		require.NoError(t, err)
		err = other.Init()
		if tc.want == "" {
			assert.NoError(t, err, name)
			assert.True(t, other.Powered())
			continue
		}
		var bad *emulator.StateError
		if assert.ErrorAs(t, err, &bad, name) {
			assert.Contains(t, err.Error(), tc.want, name)
			assert.Contains(t, err.Error(), "the profile with which it was made")
		}
		assert.False(t, other.Powered(), name)
		after, err := store.Load()
		require.NoError(t, err)
		assert.Equal(t, before, after, name)
	}
}

// Permanent state with a persistent object that a TPM could not have, with more
// orderly indices than it has room for, or without seeds.
func TestStateThatMustNotBeLoaded(t *testing.T) {
	t.Parallel()
	hashes := []wire.AlgID{wire.AlgSHA1, wire.AlgSHA256, wire.AlgSHA384, wire.AlgSHA512}
	noECC := without(append(emulator.DefaultAlgorithms(), hashes...), wire.AlgECC, wire.AlgECDSA, wire.AlgECDH, wire.AlgECDAA, wire.AlgSM2, wire.AlgECSchnorr, wire.AlgECMQV)
	large := emulator.DefaultLimits()
	large.NVOrderlyMemory = 4096
	storage := func(tpm *et.TPM) {
		load(t, tpm, storagePrimary())
		succeed(t, tpm, evict(wire.RHOwner, object, 0x81000001))
	}
	for name, tc := range map[string]struct {
		from, to emulator.Config
		before   func(tpm *et.TPM)
		says     string
	}{
		"object":   {to: emulator.Config{Algorithms: noECC}, says: "persistent object 0x81000001 needs ECC, which", before: storage},
		"curve":    {to: emulator.Config{Curves: []wire.Curve{wire.CurveNISTP384, wire.CurveSM2P256}}, says: "persistent object 0x81000001 needs curve NIST_P256, which", before: storage},
		"key size": {to: emulator.Config{AESBits: []uint16{256}}, says: "persistent object 0x81000001 needs keys of 128 bits, which", before: storage},
		"orderly indices": {from: emulator.Config{Limits: large}, says: "orderly NV indices take", before: func(tpm *et.TPM) {
			succeed(t, tpm, define(wire.RHOwner, nvPublic{attributes: nvUsable | wire.NVOrderly, size: 2000}, nil))
		}},
		"seeds": {says: "the endorsement primary seed is missing", before: func(tpm *et.TPM) {
			tpm.Store.Commit(nil) // never manufactured
			tpm.Entropy.Fail(true)
			require.NoError(t, tpm.Init())
			require.Error(t, tpm.Failure())
		}},
	} {
		from, to := et.New(t, et.WithConfig(tc.from)), et.New(t, et.WithConfig(tc.to))
		tc.before(from)
		permanent, _, err := from.SaveState()
		require.NoError(t, err, name)
		require.NoError(t, to.PowerOff())
		old, err := to.Store.Load()
		require.NoError(t, err)
		err = to.LoadState(permanent, nil)
		require.ErrorContains(t, err, tc.says, name)
		now, err := to.Store.Load()
		require.NoError(t, err)
		assert.Equal(t, old, now, name)
		assert.NoError(t, to.Init(), name)
	}
}
