package emulator_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// broken are the ways into failure mode with the code that tells them.
func broken(t *testing.T) map[uint32]*et.TPM {
	list := map[uint32]*et.TPM{}

	tpm := et.New(t, et.WithoutPower())
	tpm.Entropy.Fail(true)
	require.NoError(t, tpm.Init())
	tpm.Entropy.Fail(false)
	list[1] = tpm

	tpm = et.New(t)
	tpm.Store.DieAt(1)
	require.Equal(t, wire.RCFailure, send(t, tpm, changeAuth(wire.RHOwner, nil, pw)))
	tpm.Store.DieAt(0)
	list[2] = tpm
	return list
}

func TestFailureMode(t *testing.T) {
	t.Parallel()
	for code, tpm := range broken(t) {
		var failure *emulator.FailureError
		require.ErrorAs(t, tpm.Failure(), &failure)
		assert.Equal(t, code, failure.Code)
		assert.ErrorIs(t, failure, et.ErrInjected)
		assert.True(t, tpm.Powered())

		assert.Equal(t, wire.RCFailure, tpm.Startup(0, wire.SUClear))
		for _, p := range packets() {
			if p.bytes != nil && p.code != wire.CCGetTestResult && p.code != wire.CCGetCapability {
				assert.Equal(t, wire.RCFailure, send(t, tpm, p.bytes), p.name)
			}
		}
		data, result := testResult(t, tpm)
		assert.Equal(t, []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, byte(code)}, data)
		assert.Equal(t, wire.RCFailure, result)
		assert.Error(t, tpm.HashStart())
		assert.Error(t, tpm.HashData(nil))
		assert.Error(t, tpm.HashEnd())

		require.NoError(t, tpm.Init())
		assert.NoError(t, tpm.Failure())
		assert.Equal(t, wire.RCSuccess, tpm.Startup(0, wire.SUClear), "only _TPM_Init leaves it")
	}
}

// GetCapability gives one property of those that tell the maker.
func TestFailureModeCapability(t *testing.T) {
	t.Parallel()
	tpm := broken(t)[1]
	for _, tc := range []struct {
		property, count uint32
		more            byte
		got             uint32 // the property, 0 for none
	}{
		{0, 1, 1, 0x105}, {0x100, 100, 1, 0x105}, {0x106, 1, 1, 0x106}, {0x10B, 1, 1, 0x10B},
		{0x10C, 1, 0, 0x10C}, {0x10D, 1, 0, 0}, {0x105, 0, 1, 0},
	} {
		p := et.Parameters(tpm.Execute(0, getCapability(wire.CapTPMProperties, tc.property, tc.count)), false)
		r := wire.NewReader(p, nil)
		assert.Equal(t, tc.more, r.U8(), "%+v", tc)
		assert.EqualValues(t, wire.CapTPMProperties, r.U32())
		if tc.got == 0 {
			assert.Zero(t, r.U32())
		} else {
			assert.EqualValues(t, 1, r.U32())
			assert.Equal(t, tc.got, r.U32())
			if v := r.U32(); tc.got == 0x106 {
				assert.EqualValues(t, 0x53572020, v)
			}
		}
		assert.Zero(t, r.Len())
	}
	for name, c := range map[string][]byte{
		"other capability":   getCapability(wire.CapAlgs, 0, 1),
		"with sessions":      et.Command(wire.CCGetTestResult, nil, et.NoAuth()),
		"trailing":           et.Command(wire.CCGetTestResult, nil, nil, et.U8(0)),
		"short capability":   et.Command(wire.CCGetCapability, nil, nil, et.U32(6), et.U32(0)),
		"long capability":    et.Command(wire.CCGetCapability, nil, nil, et.U32(6), et.U32(0), et.U32(1), et.U8(0)),
		"empty":              nil,
		"cut":                et.Command(wire.CCGetTestResult, nil, nil)[:9],
		"wrong size":         append(et.Command(wire.CCGetTestResult, nil, nil), 0),
		"unknown command":    et.Command(0x999, nil, nil),
		"tag of TPM 1.2":     append([]byte{0, 0xC1}, et.Command(wire.CCGetTestResult, nil, nil)[2:]...),
		"not what it is for": et.Command(wire.CCGetRandom, nil, nil, et.U16(1)),
	} {
		assert.Equal(t, []byte{0x80, 1, 0, 0, 0, 10, 0, 0, 1, 1}, tpm.Execute(0, c), name)
	}
}

// Wherever the store dies, the next _TPM_Init finds the state before or after
// the command, never something between or nothing.
func TestStoreDiesAtEveryWrite(t *testing.T) {
	t.Parallel()
	for n := 1; n <= 5; n++ {
		store := &et.Store{}
		tpm := et.New(t, et.WithStore(store), et.WithoutStartup())
		store.DieAt(n + 1) // the first was that of Init
		steps := []func() wire.RC{
			func() wire.RC { return tpm.Startup(0, wire.SUClear) },
			func() wire.RC { return send(t, tpm, changeAuth(wire.RHOwner, nil, []byte("1"))) },
			func() wire.RC { return send(t, tpm, changeAuth(wire.RHOwner, []byte("1"), []byte("2"))) },
			func() wire.RC { return tpm.Shutdown(wire.SUState) },
			func() wire.RC { return send(t, tpm, extend(0)) },
		}
		for i, step := range steps {
			want := wire.RCSuccess
			if i+1 >= n {
				want = wire.RCFailure
			}
			assert.Equal(t, want, step(), "write %d, step %d", n, i)
		}
		store.DieAt(0)
		require.NoError(t, tpm.Init())
		resume := wire.RCValue.Parameter(1)
		if n == 5 {
			resume = wire.RCSuccess // the shutdown was recorded and its withdrawal was not
		}
		assert.Equal(t, resume, tpm.Startup(0, wire.SUState), n)
		tpm.Startup(0, wire.SUClear)
		password := map[int]string{1: "", 2: "", 3: "1", 4: "2", 5: "2"}[n]
		assert.Equal(t, wire.RCSuccess, send(t, tpm, changeAuth(wire.RHOwner, []byte(password), nil)), n)
	}
}

func TestEntropyFailsLater(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	tpm.Entropy.Fail(true)
	assert.Equal(t, wire.RCSuccess, send(t, tpm, et.Command(wire.CCGetRandom, nil, nil, et.U16(8))), "no entropy is read")
	assert.Equal(t, wire.RCFailure, send(t, tpm, et.Command(wire.CCStirRandom, nil, nil, et.Sized(nil))))
	_, result := testResult(t, tpm)
	assert.Equal(t, wire.RCFailure, result)
}
