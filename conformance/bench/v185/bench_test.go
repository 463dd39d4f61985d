//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Benchmark has every side of every row, one after the other, so that benchstat
// compares a command with what is beside it (-col /side).
func Benchmark(b *testing.B) {
	device, err := start()
	require.NoError(b, err)
	for _, r := range rows() {
		sides, err := r.open(device, sessionHMAC)
		require.NoError(b, err, r.name)
		for _, s := range sides {
			b.Run("row="+strings.ReplaceAll(r.name, " ", "_")+"/side="+s.name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if s.before != nil {
						b.StopTimer()
						s.before()
						b.StartTimer()
					}
					if err := s.run(); err != nil {
						b.Fatal(err)
					}
					if s.after != nil {
						b.StopTimer()
						if err := s.after(); err != nil {
							b.Fatal(err)
						}
						b.StartTimer()
					}
				}
			})
		}
		device.flushAll()
	}
}

// Every row is measured, and those without RSA with both kinds of sessions: its sides answer,
// the TPM's answers are those of the libraries, and nothing stays loaded.
func TestRows(t *testing.T) {
	t.Parallel()
	for session, only := range map[string]string{sessionHMAC: "", sessionPassword: "^[^ ]+ [^ ]+$"} {
		s, err := parse([]string{"--rounds", "1", "--time", "1ns", "--session", session, "--rows", only, "--json"})
		require.NoError(t, err)
		var out bytes.Buffer
		require.NoError(t, run(&s, &out))
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		measured := slices.DeleteFunc(rows(), func(r row) bool { return session == sessionPassword && strings.Contains(r.name, "RSA") })
		require.Len(t, lines, len(measured))
		for i, line := range lines {
			var r result
			require.NoError(t, json.Unmarshal([]byte(line), &r))
			assert.Equal(t, measured[i].name, r.Row)
			assert.Positive(t, r.Command, r.Row)
			require.NotEmpty(t, r.Beside, r.Row)
			for _, b := range r.Beside {
				assert.Positive(t, b.Ratio, r.Row)
			}
		}
	}
}

// The ratio of a round is the command's time by the other one's, and with RSA the other
// way round.
func TestCompare(t *testing.T) {
	t.Parallel()
	sides := []side{{name: sideCommand}, {name: sideLibrary}, {name: sideRSA}}
	r := compare("Quote", sides, [][]float64{{10, 20, 30}, {5, 20, 10}, {100, 100, 300}})
	assert.Equal(t, result{Row: "Quote", Command: 20, Beside: []beside{
		{Side: sideLibrary, Time: 10, Ratio: 2, Lowest: 1, Highest: 3},
		{Side: sideRSA, Time: 100, Ratio: 10, Lowest: 5, Highest: 10},
	}}, r)
	var out bytes.Buffer
	require.NoError(t, printResults(&out, []result{{Row: "Quote", Command: 20, Beside: r.Beside[:1]}}, false))
	assert.Regexp(t, `Quote +20\.0 +10\.0 +2\.00 +1\.00 +3\.00`, out.String())
}

// A wrong command line is refused.
func TestParse(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--rounds", "0"}, {"--time", "0s"}, {"--rows", "("}, {"--session", "none"}, {"--clock", "sun"}, {"more"}, {"--what"}} {
		_, err := parse(args)
		assert.Error(t, err, args)
	}
}
