package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/conformance/lab/deferral"
)

// The simulation alone needs nothing and makes the whole table.
func TestSimulate(t *testing.T) {
	t.Parallel()
	var out, talk bytes.Buffer
	require.Equal(t, exitAgrees, run(t.Context(), []string{"--simulate"}, &out, &talk), talk.String())
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	assert.Len(t, lines, 2+2*len(deferral.Rows()))
	assert.Contains(t, out.String(), "| regulator-gpio, 6.1 | late | bypass | not booted |")
	assert.Contains(t, out.String(), "| regulator-gpio, 6.1 | late_sync | measured | not booted |")
	assert.Regexp(t, `\| regulator-gpio, 7\.3 \| late_sync \| race: \d+ of 16 measured \| not booted \|`, out.String())
	assert.Empty(t, talk.String())

	out.Reset()
	require.Equal(t, exitAgrees, run(t.Context(), []string{"--simulate", "--json", "--row=leds, 6.1"}, &out, &talk))
	var cells []deferral.Cell
	require.NoError(t, json.Unmarshal(out.Bytes(), &cells))
	require.Len(t, cells, 2)
	assert.Equal(t, "arm64-6.1-late", cells[0].Kernel)
	assert.Equal(t, []string{"c000000.tpm_tis"}, cells[0].Simulated.Postponed)
}

// A cell that is not as its row says is in the table, on stderr and in the exit code.
func TestACellThatDiffers(t *testing.T) {
	t.Parallel()
	cell := deferral.Cell{Row: "leds", Start: deferral.Late, Differs: "booted: the verdict is measured, not bypass",
		Booted: &deferral.Observed{Outcome: "measured", Binds: "late", Seconds: 1.5, Inside: "deferred_probe_initcall", Suppliers: []string{"leds"}}}
	var out, talk bytes.Buffer
	assert.Equal(t, exitDiffers, new(options).print([]deferral.Cell{cell}, &out, &talk))
	assert.Contains(t, out.String(), "| leds | late |  | measured (**booted: the verdict is measured, not bypass**) | leds | late, 1.50 s, `deferred_probe_initcall` |")
	assert.Equal(t, "deferral: leds, IMA at late: booted: the verdict is measured, not bypass\n", talk.String())
}

func TestBadCommandLines(t *testing.T) {
	t.Parallel()
	for line, says := range map[string]string{
		"--row=nothing": "--list", "--boots=0": "--boots=0", "--timeout=0s": "--timeout", "boot": `"boot" is no option`, "--unheard-of": "unheard-of",
	} {
		var out, talk bytes.Buffer
		assert.Equal(t, exitUsage, run(t.Context(), strings.Fields(line), &out, &talk), line)
		assert.Contains(t, talk.String(), says)
		assert.Empty(t, out.String())
	}
}

func TestHelpAndList(t *testing.T) {
	t.Parallel()
	var out, talk bytes.Buffer
	require.Equal(t, exitAgrees, run(t.Context(), []string{"--help"}, &out, &talk))
	named := map[string]bool{"help": true}
	for _, m := range regexp.MustCompile(`(?m)^  --([a-z-]+)`).FindAllStringSubmatch(out.String(), -1) {
		named[m[1]] = true
	}
	known := map[string]bool{"help": true}
	new(options).flags().VisitAll(func(f *flag.Flag) { known[f.Name] = true })
	assert.Equal(t, known, named)

	out.Reset()
	require.Equal(t, exitAgrees, run(t.Context(), []string{"--list"}, &out, &talk))
	assert.Len(t, strings.Fields(strings.ReplaceAll(out.String(), ", ", ",")), len(deferral.Rows()))
}
