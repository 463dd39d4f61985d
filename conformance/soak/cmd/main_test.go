//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/conformance/soak"
)

func called(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var stdout, stderr bytes.Buffer
	code = run(ctx, args, &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

func TestWrongCommandLines(t *testing.T) {
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"--only", "attacks,fires"}, `no part "fires"; there are attacks, kills, transports, power-cuts`},
		{[]string{"--only", ""}, `no part ""`},
		{[]string{"--time", "0s"}, "more than nothing"},
		{[]string{"--clients", "0"}, "1 to 48"},
		{[]string{"--clients", "49"}, "1 to 48"},
		{[]string{"--kills", "-1"}, "--kills -1"},
		{[]string{"--commits", "0"}, "--commits 0"},
		{[]string{"ten"}, `unexpected argument "ten"`},
		{[]string{"--nonsense"}, "nonsense"},
	} {
		code, out, errs := called(t, c.args...)
		assert.Equal(t, exitUsage, code, "%q", c.args)
		assert.Empty(t, out, "%q", c.args)
		assert.Contains(t, errs, c.says)
		assert.Contains(t, errs, "see scripts/soak --help")
	}
}

func TestList(t *testing.T) {
	code, out, errs := called(t, "--list")
	assert.Equal(t, exitOK, code)
	assert.Empty(t, errs)
	assert.Equal(t, len(soak.Attacks()), strings.Count(out, "\n"))
	_, help, _ := called(t, "--help")
	assert.Equal(t, usage, help)
}

// A soak that cannot be made says so, and leaves what there is.
func TestNoProgram(t *testing.T) {
	code, out, errs := called(t, "--attacked", "/does/not/exist", "--shipped", "/does/not/exist", "--json", "--seed", "5", "--time", "1s", "--only", "attacks,kills")
	assert.Equal(t, exitBroken, code)
	assert.Contains(t, errs, "--seed 5")
	assert.Contains(t, errs, "/does/not/exist")
	var r results
	require.NoError(t, json.Unmarshal([]byte(out), &r))
	assert.EqualValues(t, 5, r.Attacks.Seed)
	assert.Zero(t, r.Kills.Kills)
	assert.Nil(t, r.PowerCuts)
}

func TestResultsThatFailed(t *testing.T) {
	r := results{
		Attacks:   &soak.Report{Failures: []string{"one"}, P99: 1500 * time.Microsecond, Attacks: []soak.AttackReport{{Name: "x", Bouts: 3, Blows: 7}}},
		Kills:     &soak.KillReport{Failures: []string{"two"}},
		PowerCuts: &soak.CutReport{Failures: []string{"three"}},
	}
	assert.Equal(t, []string{"one", "two", "three"}, r.failures())
	var out bytes.Buffer
	r.print(&out)
	for _, said := range []string{"p99 1.5 ms", "3 times, 7 blows", "FAILED: one", "FAILED: three"} {
		assert.Contains(t, out.String(), said)
	}
}
