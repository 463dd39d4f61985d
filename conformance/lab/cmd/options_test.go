package main

import (
	"bytes"
	"flag"
	"io"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/conformance/lab"
)

func TestDaemonFlags(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"":                        "",
		"--defer-until=none":      "",
		"--defer-until=late_sync": "--defer-until=late_sync",
		"--defer-until=kernel --defer-from=firmware":                                                   "--defer-until=kernel --defer-from=firmware",
		"--defer-until late --defer-from firmware --while-deferred hold --hold-max 5s --defer-boots 1": "--defer-until=late --defer-from=firmware --while-deferred=hold --hold-max=5s --defer-boots=1",
	} {
		o, err := parse(strings.Fields(line))
		require.NoError(t, err, line)
		assert.Equal(t, want, strings.Join(o.daemonFlags(), " "))
	}
}

func TestBadCommandLines(t *testing.T) {
	t.Parallel()
	for line, says := range map[string]string{
		"--defer-until=noon":                       "late_sync",
		"--defer-until=late --defer-from=noon":     "late_sync",
		"--defer-until=late --while-deferred=sulk": "sulk",
		"--defer-until=kernel":                     "--defer-until=kernel defers nothing: --defer-from is kernel unless it is given; add --defer-from=firmware",
		"--defer-until=kernel --defer-from=kernel": "--defer-from=kernel; add --defer-from=firmware",
		"--defer-until=late --defer-from=late":     "begin before it ends",
		"--defer-until=early --defer-from=late":    "begin before it ends",
		"--defer-until=late --hold-max=-1s":        "not negative",
		"--defer-from=firmware":                    "need --defer-until",
		"--defer-boots=1":                          "need --defer-until",
		"--defer-until=late --defer-boots=-1":      "not negative",
		"--reference --defer-until=late":           "--reference is always on time",
		"--reference --swtpmd=/x":                  "exclude each other",
		"--reboot --reset":                         "exclude each other",
		"--device=tpm-spi":                         "tpm-crb",
		"--firmware=coreboot":                      "seabios",
		"--accel=hvf":                              "tcg",
		"--board=versatile":                        "it is one of q35, virt, pseries",
		"--board=virt --device=tpm-crb":            "the board virt has [tpm-tis-device]",
		"--board=pseries --firmware=ovmf":          "the board pseries has [slof]",
		"--board=pseries --tree=leds":              "only the board virt",
		"--device=tpm-spapr":                       "the board q35 has [tpm-tis tpm-crb]",
		"--timeout=0s":                             "--timeout",
		`--append="x`:                              "quotation marks",
		"--unheard-of":                             "unheard-of",
		"boot":                                     `"boot" is no option`,
	} {
		var out, err bytes.Buffer
		assert.Equal(t, exitUsage, run(t.Context(), strings.Fields(line), &out, &err), line)
		assert.Contains(t, err.String(), says, line)
		assert.Empty(t, out.String(), line)
	}
}

func TestMissingThingsAreASetupFailure(t *testing.T) {
	t.Parallel()
	var err bytes.Buffer
	code := run(t.Context(), []string{"--load-policy=" + filepath.Join(t.TempDir(), "none")}, io.Discard, &err)
	assert.Equal(t, exitSetup, code)
	assert.Contains(t, err.String(), "IMA policy")
}

// Each board has its own firmware and TPM without being told, and the help names every
// tree.
func TestBoards(t *testing.T) {
	t.Parallel()
	for _, b := range lab.Boards() {
		o, err := parse([]string{"--board=" + b.String()})
		require.NoError(t, err)
		assert.Equal(t, b, o.machine().Board)
		assert.Equal(t, b.Device(), o.machine().Device)
		assert.Equal(t, b.Firmware(), o.machine().Firmware)
		assert.Contains(t, usage, b.String())
	}
	require.NotEmpty(t, lab.Trees())
	for _, name := range lab.Trees() {
		assert.Contains(t, usage, name)
	}
	var err bytes.Buffer
	assert.Equal(t, exitSetup, run(t.Context(), []string{"--board=virt", "--tree=none", "--kernel=x"}, io.Discard, &err))
	assert.Contains(t, err.String(), "regulator-gpio")
}

func TestHelpNamesEveryOption(t *testing.T) {
	t.Parallel()
	var out, err bytes.Buffer
	require.Equal(t, exitVerdict, run(t.Context(), []string{"--help"}, &out, &err))
	assert.Empty(t, err.String())
	named := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^  --([a-z-]+)`).FindAllStringSubmatch(out.String(), -1) {
		named[m[1]] = true
	}
	var o options
	o.flags().VisitAll(func(f *flag.Flag) {
		assert.True(t, named[f.Name], "--%s is not in the help", f.Name)
		delete(named, f.Name)
	})
	delete(named, "help")
	assert.Empty(t, named, "options in the help that do not exist")
}

func TestAsyncProbeWaitsUnlessTold(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]time.Duration{
		"":                         0,
		"--async-probe":            awaitAsync,
		"--async-probe --await=1s": time.Second,
		"--async-probe --await=0s": 0,
	} {
		o, err := parse(strings.Fields(line))
		require.NoError(t, err)
		assert.Equal(t, want, o.awaitTime(), line)
	}
}
