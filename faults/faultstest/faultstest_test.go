package faultstest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/transport"
)

var (
	selfTest  = transport.NewCommand(transport.TagNoSessions, 0x143, []byte{0})
	getRandom = transport.NewCommand(transport.TagNoSessions, 0x17b, []byte{0, 8})
	success   = transport.AppendResponse(nil, 0)
)

// bare answers success, chip has a power switch too.
type (
	bare struct{}
	chip struct {
		bare
		transport.Power
	}
)

func (bare) Send(context.Context, uint8, []byte) ([]byte, error) { return success, nil }
func (chip) Powered() bool                                       { return true }

func send(t *testing.T, d transport.Device, command []byte) []byte {
	t.Helper()
	response, err := d.Send(t.Context(), 0, command)
	require.NoError(t, err)
	return response
}

// watched is a test that fails.
type watched struct {
	testing.TB
	failed  bool
	said    []string
	cleanup []func()
}

func (w *watched) Cleanup(f func())                  { w.cleanup = append(w.cleanup, f) }
func (w *watched) Failed() bool                      { return w.failed }
func (w *watched) Log(args ...any)                   { w.said = append(w.said, fmt.Sprint(args...)) }
func (w *watched) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

func (w *watched) end() {
	for _, f := range w.cleanup {
		f()
	}
}

func TestAFailingTestTellsItsSeedAndWhatRulesDid(t *testing.T) {
	t.Setenv(SeedVariable, "0x2A")
	w := &watched{TB: t}
	tpm := New(w, new(chip), "GetRandom#2: rc=TPM_RC_RETRY", "name=other SelfTest: rc=0x999")
	for range 3 {
		send(t, tpm, getRandom)
	}
	w.failed = true
	w.end()
	assert.Equal(t, []string{`faults: FAULTS_SEED=42 repeats this run
faults: rule "GetRandom#2: rc=TPM_RC_RETRY" fired for 1 of 3 commands that it fits
faults: rule "name=other SelfTest: rc=0x999" fired for 0 of 0 commands that it fits
faults: command 2, GetRandom, was answered TPM_RC_RETRY by rule "GetRandom#2: rc=TPM_RC_RETRY"`}, w.said)

	w = &watched{TB: t}
	New(w, new(chip), "*: rc=1")
	w.end()
	assert.Empty(t, w.said, "of a test that succeeds")
}

func TestRulesOfATestAreTextOrValues(t *testing.T) {
	tpm := New(t, new(chip), faults.Defer(initcall.LateSync, faults.Fail))
	require.NoError(t, tpm.Clock.Advance(initcall.Device, initcall.NoTime, "test"))
	assert.NotEqual(t, success, send(t, tpm, selfTest))
	require.NoError(t, tpm.Clock.Advance(initcall.LateSync, initcall.NoTime, "test"))
	assert.Equal(t, success, send(t, tpm, selfTest))
	assert.Len(t, tpm.Decisions(), 1)
	assert.Equal(t, uint64(1), tpm.Rules()[0].Fired)

	_, ok := transport.As[transport.Power](tpm)
	assert.True(t, ok, "what the device can do besides is found")
	_, ok = transport.As[transport.Power](New[string](t, new(bare)))
	assert.False(t, ok)

	w := &watched{TB: t}
	assert.PanicsWithValue(t, `faultstest: rule "GetRandom#0: rc=1": column 1: after # stands N, N-M, N- or -M, with numbers from 1, and not "0"`,
		func() { New(w, new(chip), "GetRandom#0: rc=1") })
	assert.Panics(t, func() { New(w, new(chip), "*: pass", "SelfTest: rc=1") })
	t.Setenv(SeedVariable, "x")
	assert.Panics(t, func() { New[string](w, new(chip)) })
}

// A command that is held when the test ends is let go.
func TestATestLeavesNobodyBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &watched{TB: t}
		tpm := New(w, new(chip), "*: hold=10m")
		var response []byte
		var err error
		go func() { response, err = tpm.Send(t.Context(), 0, selfTest) }()
		synctest.Wait()
		w.end()
		synctest.Wait()
		require.NoError(t, err)
		assert.Equal(t, transport.AppendResponse(nil, 0x909), response)
	})
}

func TestEveryInputOfAFuzzerIsAPlan(t *testing.T) {
	seen := make(map[string]bool)
	inputs := seeds()
	for i := range 3000 {
		input := make([]byte, i%25)
		for j := range input {
			input[j] = byte(i*7919>>(j%11) + i*j)
		}
		inputs = append(inputs, input)
	}
	for _, input := range inputs {
		list := rulesOf(input)
		for _, r := range list {
			word, _, _ := strings.Cut(r.Do.String(), "=")
			seen[word] = true
			again, err := faults.ParseRule(r.String())
			require.NoError(t, err)
			assert.Equal(t, r.String(), again.String())
			assert.NotZero(t, r.When.Times)
		}
		_, err := faults.Wrap(new(chip), faults.Plan{Rules: list})
		require.NoError(t, err)
	}
	for _, word := range []string{"rc", "gone", "flap", "hmac", "failure"} {
		assert.True(t, seen[word], word)
	}
}
