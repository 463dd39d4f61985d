package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/options"
	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/faults/initcall"
)

func daemonDoc(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/daemon.md")
	require.NoError(t, err)
	return string(text)
}

// The tables of the daemon's reference have flags that are there, and all that
// defer.
func TestTheReferenceHasTheFlags(t *testing.T) {
	f := flag.NewFlagSet("test", flag.ContinueOnError)
	var set options.Set
	set.Define(f, options.InDaemon)
	f.Bool("profiles", false, "")
	f.Bool("print-profile", false, "")
	told := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `--([a-z-]+)").FindAllStringSubmatch(daemonDoc(t), -1) {
		told[row[1]] = true
		assert.NotNil(t, f.Lookup(row[1]), "--%s", row[1])
	}
	for _, name := range []string{"defer-until", "defer-from", "while-deferred", "hold-max", "defer-boots", "console", "console-log", "timeline", "levels", "system-map", "marker", "state", "tpmstate", "profile"} {
		assert.True(t, told[name], "--%s", name)
	}
}

// The table of profiles is made of what the profiles say.
func TestTheTableOfProfiles(t *testing.T) {
	var table strings.Builder
	like, err := emulator.ProfileByName("default")
	require.NoError(t, err)
	for _, name := range emulator.Profiles() {
		profile, err := emulator.ProfileByName(name)
		require.NoError(t, err)
		c := profile.Config
		// What a profile does not say is as in the default one.
		if c.Banks == nil {
			c.Banks, c.Curves = like.Config.Banks, like.Config.Curves
		}
		var banks []string
		for _, bank := range c.Banks {
			banks = append(banks, bank.Alg.String())
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s | %d | %d | %d | %d | %d |\n", name, profile.Title, strings.Join(banks, ", "),
			len(c.Curves), c.Limits.Transient, c.Limits.LoadedSessions, c.Limits.Buffer, len(profile.Config.Full().Commands))
	}
	assert.Contains(t, daemonDoc(t), "|---|---|---|---|---|---|---|---|\n"+table.String()+"\n")
}

// The table of what user space makes of a late TPM is what its script prints.
func TestTheTableOfLateUserSpace(t *testing.T) {
	version, err := exec.Command("tpm2_getrandom", "--version").Output()
	if err != nil || !strings.Contains(string(version), "5.4") {
		t.Skip("no tpm2-tools 5.4 in PATH: they are Debian 12's")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Second)
	defer cancel()
	script := exec.CommandContext(ctx, "../../scripts/late-userspace")
	script.Stderr = os.Stderr
	table, err := script.Output()
	require.NoError(t, err)
	assert.Contains(t, daemonDoc(t), "<!-- late-userspace -->\n"+string(table)+"<!-- end -->\n")
}

func TestTheTimelineOfTheReference(t *testing.T) {
	block := regexp.MustCompile("(?s)<!-- timeline -->\n```\n(.*?)```").FindStringSubmatch(daemonDoc(t))
	require.Len(t, block, 2)
	timeline, err := initcall.ParseTimeline(block[1])
	require.NoError(t, err)
	assert.Equal(t, initcall.LateSync, timeline[len(timeline)-1].Level)
}
