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
	audit := func(alg wire.AlgID) []byte {
		return et.Command(wire.CCSetCommandCodeAuditStatus, handles{wire.RHOwner}, et.NoAuth(), et.U16(uint16(alg)), et.U32(0), et.U32(0))
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
		"fits":          {nil, ""},
		"SHA-256":       {[][]byte{policy(wire.RHOwner, wire.AlgSHA256, 32), index(wire.AlgSHA256, 64)}, ""},
		"owner":         {[][]byte{policy(wire.RHOwner, wire.AlgSHA384, 48)}, "the owner's policy is with SHA384"},
		"endorsement":   {[][]byte{policy(wire.RHEndorsement, wire.AlgSHA512, 64)}, "the endorsement policy is with SHA512"},
		"lockout":       {[][]byte{policy(wire.RHLockout, wire.AlgSHA384, 48)}, "the lockout policy is with SHA384"},
		"index":         {[][]byte{index(wire.AlgSHA384, 64)}, "NV index 0x01800001 is with SHA384"},
		"large index":   {[][]byte{index(wire.AlgSHA256, 2000)}, "take 2152 bytes, this TPM has 2000"},
		"audit":         {[][]byte{audit(wire.AlgSHA384)}, "command audit is with SHA384"},
		"only one bank": {[][]byte{et.Command(wire.CCPCRAllocate, handles{wire.RHPlatform}, et.NoAuth(), selections(et.Selection(wire.AlgSHA256)))}, "no PCR bank would be left"},
	} {
		store := &et.Store{}
		made := et.New(t, et.WithStore(store), et.WithConfig(emulator.Config{Banks: banks(wire.AlgSHA384, wire.AlgSHA256)}))
		for _, command := range append([][]byte{audit(wire.AlgSHA256)}, tc.do...) {
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
