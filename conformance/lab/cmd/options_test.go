package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/conformance/lab"
	"github.com/swtpmd/swtpmd/conformance/lab/kernelbuild"
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
		"--memory=lots":                            "--memory=lots",
		"--memory=0":                               "--memory=0",
		"--processors=-1":                          "from 1 to 8",
		"--processors=9":                           "from 1 to 8",
		"--print-command --json":                   "exclude each other",
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

func TestTheGuestsHardware(t *testing.T) {
	t.Parallel()
	o, err := parse([]string{"--memory=2G", "--processors=4", "--qemu-arg=-drive", "--qemu-arg", "if=virtio,file=a b", "--initrd=/i"})
	require.NoError(t, err)
	m := o.machine()
	assert.Equal(t, "2G", m.Memory)
	assert.Equal(t, 4, m.Processors)
	assert.Equal(t, []string{"-drive", "if=virtio,file=a b"}, m.QEMUArgs)
	assert.Equal(t, "/i", m.Initrd)
}

func TestKernelsByFileAndByName(t *testing.T) {
	t.Parallel()
	apt := &lab.Apt{Cache: t.TempDir()}
	file := filepath.Join(t.TempDir(), "bzImage")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	got, err := findKernel(t.Context(), apt, &lab.Machine{Kernel: file})
	require.NoError(t, err)
	assert.Equal(t, file, got)
	for name, says := range map[string]string{
		"x86_64-7.3-late_sync": "scripts/kernel-lab build x86_64-7.3-late_sync",
		"/no/such/image":       "scripts/kernel-lab list",
	} {
		_, err := findKernel(t.Context(), apt, &lab.Machine{Kernel: name})
		var setup *lab.SetupError
		require.ErrorAs(t, err, &setup)
		assert.Contains(t, err.Error(), says)
	}

	k, err := kernelbuild.ParseName("x86_64-7.3-late_sync")
	require.NoError(t, err)
	built := kernelbuild.Built{Kernel: k, Name: k.Name(), Key: k.Key("7.3.4-1"), Package: k.Package(), Version: "7.3.4-1"}
	folder := filepath.Join(apt.Cache, "kernels", built.Name+"_"+built.Key)
	text, err := json.Marshal(built)
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(folder, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "kernel.json"), text, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "Image"), nil, 0o600))
	got, err = findKernel(t.Context(), apt, &lab.Machine{Kernel: "x86_64-7.3-late_sync"})
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(folder, "Image"), got)
}

func TestWordsAreQuotedForAShell(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]string{
		"":        "''",
		"-m":      "-m",
		"a,b=/c":  "a,b=/c",
		"a b":     "'a b'",
		"it's $x": `'it'\''s $x'`,
	} {
		assert.Equal(t, want, quote(word))
	}
}
