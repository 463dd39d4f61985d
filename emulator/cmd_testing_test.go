package emulator_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// testResult is the answer to TPM2_GetTestResult.
func testResult(tb testing.TB, tpm *et.TPM) (data []byte, result wire.RC) {
	tb.Helper()
	rsp := tpm.Execute(0, et.Command(wire.CCGetTestResult, nil, nil))
	require.Equal(tb, wire.RCSuccess, et.ResponseCode(rsp))
	r := wire.NewReader(et.Parameters(rsp, false), nil)
	data, result = r.Sized(64), wire.RC(r.U32())
	require.Equal(tb, wire.RCSuccess, r.RC())
	require.Zero(tb, r.Len())
	return data, result
}

func incremental(algs ...wire.AlgID) []byte {
	p := et.U32(uint32(len(algs)))
	for _, a := range algs {
		p = append(p, et.U16(uint16(a))...)
	}
	return et.Command(wire.CCIncrementalSelfTest, nil, nil, p)
}

func TestSelfTest(t *testing.T) {
	t.Parallel()
	for _, full := range []uint8{0, 1} {
		tpm := et.New(t, et.WithConfig(emulator.Config{NeedsTest: true}))
		data, result := testResult(t, tpm)
		assert.Empty(t, data)
		assert.Equal(t, wire.RCNeedsTest, result)
		assert.Equal(t, wire.RCSuccess, send(t, tpm, et.Command(wire.CCSelfTest, nil, nil, et.U8(full))))
		_, result = testResult(t, tpm)
		assert.Equal(t, wire.RCSuccess, result)
		require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
		_, result = testResult(t, tpm)
		assert.Equal(t, wire.RCNeedsTest, result, "_TPM_Init forgets it")
		assert.Equal(t, wire.RCValue.Parameter(1), send(t, tpm, et.Command(wire.CCSelfTest, nil, nil, et.U8(2))))
	}
}

// Whoever runs many TPMs tests each algorithm once, and can have one fail.
func TestSelfTestOfThePlatform(t *testing.T) {
	t.Parallel()
	var tested []wire.AlgID
	broken := errors.New("broken")
	tpm, err := emulator.New(emulator.Platform{SelfTest: func(alg wire.AlgID) error {
		tested = append(tested, alg)
		if alg == wire.AlgSHA256 {
			return broken
		}
		return nil
	}}, emulator.Config{})
	require.NoError(t, err)
	require.NoError(t, tpm.Init())
	send := func(command []byte) wire.RC {
		rsp, err := tpm.Send(t.Context(), 0, command)
		require.NoError(t, err)
		return et.ResponseCode(rsp)
	}
	require.Equal(t, wire.RCSuccess, send(et.Command(wire.CCStartup, nil, nil, et.U16(uint16(wire.SUClear)))))
	assert.Equal(t, wire.RCSuccess, send(incremental(wire.AlgSHA1)))
	assert.Equal(t, wire.RCFailure, send(incremental(wire.AlgSHA256)))
	assert.Equal(t, []wire.AlgID{wire.AlgSHA1, wire.AlgSHA256}, tested)
	assert.ErrorIs(t, tpm.Failure(), broken)
}

// Without a word to the contrary the TPM counts as tested at its start; which
// tests have run is seen in the to-do list.
func TestTestedFromTheStart(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]wire.RC{
		"default": wire.RCSuccess, "tiny": wire.RCSuccess, "roomy": wire.RCSuccess, "pc-client": wire.RCNeedsTest, "hardware-like": wire.RCNeedsTest,
	} {
		p, err := emulator.ProfileByName(name)
		require.NoError(t, err)
		data, result := testResult(t, et.New(t, et.WithConfig(p.Config)))
		assert.Empty(t, data, name)
		assert.Equal(t, want, result, name)
	}
	data, result := testResult(t, et.New(t))
	assert.Empty(t, data)
	assert.Equal(t, wire.RCSuccess, result)
	assert.NotEmpty(t, et.Parameters(et.New(t).Execute(0, incremental()), false)[4:])
}

func TestIncrementalSelfTest(t *testing.T) {
	t.Parallel()
	hashes := []wire.AlgID{wire.AlgSHA1, wire.AlgSHA256, wire.AlgSHA384, wire.AlgSHA512}
	// The rest of what is on is tested at once, so that the lists are short.
	rest := slices.DeleteFunc(emulator.DefaultAlgorithms(), func(a wire.AlgID) bool { return slices.Contains(hashes, a) })
	tpm := et.New(t, et.WithConfig(emulator.Config{NeedsTest: true}))
	todo := func(algs ...wire.AlgID) []byte { return et.Parameters(tpm.Execute(0, incremental(algs...)), false) }
	assert.Len(t, todo(), 4+2*(len(rest)+len(hashes)))
	assert.Equal(t, []byte{0, 0, 0, 4, 0, 4, 0, 0xB, 0, 0xC, 0, 0xD}, todo(rest...))
	assert.Equal(t, []byte{0, 0, 0, 2, 0, 0xC, 0, 0xD}, todo(wire.AlgSHA256, wire.AlgSHA1, wire.AlgSHA1))
	_, result := testResult(t, tpm)
	assert.Equal(t, wire.RCNeedsTest, result)
	assert.Equal(t, []byte{0, 0, 0, 0}, todo(wire.AlgSHA384, wire.AlgSHA512))
	_, result = testResult(t, tpm)
	assert.Equal(t, wire.RCSuccess, result)

	tpm = et.New(t)
	assert.Equal(t, wire.RCValue.Parameter(1), send(t, tpm, incremental(wire.AlgSHA1, wire.AlgCamellia)))
	assert.Equal(t, wire.RCValue.Parameter(1), send(t, tpm, incremental(wire.AlgNull)))
	assert.Equal(t, wire.RCSize.Parameter(1), send(t, tpm, incremental(make([]wire.AlgID, 65)...)))
	assert.Len(t, todo(), 4+2*(len(rest)+len(hashes)), "an error has tested nothing")
}

func TestGetRandom(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	seen := map[string]bool{}
	for n, want := range map[uint16]int{0: 0, 1: 1, 32: 32, 64: 64, 65: 64, 0xFFFF: 64} {
		p := et.Parameters(tpm.Execute(0, et.Command(wire.CCGetRandom, nil, nil, et.U16(n))), false)
		assert.Len(t, p, 2+want, n)
		if want > 8 {
			assert.False(t, seen[string(p[2:10])])
			seen[string(p[2:10])] = true
		}
	}
}

func TestStirRandom(t *testing.T) {
	t.Parallel()
	random := func(stir ...string) string {
		tpm := et.New(t, et.WithSeed(1))
		for _, s := range stir {
			require.Equal(t, wire.RCSuccess, send(t, tpm, et.Command(wire.CCStirRandom, nil, nil, et.Sized([]byte(s)))))
		}
		return string(et.Parameters(tpm.Execute(0, et.Command(wire.CCGetRandom, nil, nil, et.U16(32))), false))
	}
	assert.Equal(t, random(), random())
	assert.Equal(t, random("a"), random("a"))
	assert.NotEqual(t, random(), random(""))
	assert.NotEqual(t, random("a"), random("b"))
	tpm := et.New(t)
	assert.Equal(t, wire.RCSuccess, send(t, tpm, et.Command(wire.CCStirRandom, nil, nil, et.Sized(make([]byte, 128)))))
	assert.Equal(t, wire.RCSize.Parameter(1), send(t, tpm, et.Command(wire.CCStirRandom, nil, nil, et.Sized(make([]byte, 129)))))
}
