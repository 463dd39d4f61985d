package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The README's commands, one after the other in an empty directory, print what it
// shows, line by line in that order; lines in between are left out there.
func TestREADMECommandsPrintWhatItShows(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	shown := regexp.MustCompile("(?s)<!-- run: swtpmd (.*?) -->\n```\n(.*?)```").FindAllStringSubmatch(string(readme), -1)
	require.NotEmpty(t, shown)
	t.Chdir(t.TempDir())
	for _, block := range shown {
		code, out, errs := called(t, strings.Fields(block[1])...)
		require.NotContains(t, []int{exitFailed, exitUsage}, code, "%s: %s", block[1], errs)
		rest := "\n" + out
		for _, line := range strings.Split(strings.TrimSuffix(block[2], "\n"), "\n") {
			_, after, found := strings.Cut(rest, "\n"+line+"\n")
			require.True(t, found, "swtpmd %s does not print %q, or not there; it prints\n%s", block[1], line, out)
			rest = "\n" + after
		}
		assert.NotEmpty(t, block[2])
	}
}

// The commands that the README shows the output of are those that it tells to
// run, and the first one needs nothing but a fresh clone.
func TestREADMETellsWhatItShows(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	text := strings.ReplaceAll(string(readme), "\\\n", " ")
	commands := regexp.MustCompile(`(?m)^    (\./|go run \./cmd/)swtpmd (.*)$`).FindAllStringSubmatch(text, -1)
	require.NotEmpty(t, commands)
	told := map[string]bool{}
	for _, c := range commands {
		told[strings.Join(strings.Fields(c[2]), " ")] = true
	}
	for _, block := range regexp.MustCompile("<!-- run: swtpmd (.*?) -->").FindAllStringSubmatch(string(readme), -1) {
		assert.True(t, told[block[1]], "swtpmd %s", block[1])
	}
	assert.Equal(t, []string{"go run ./cmd/", "boot --defer-until=late_sync"}, commands[0][1:])
}

// The README says which Go is needed, and which deferrals are measured.
func TestREADMESaysWhatIsTrue(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	mod, err := os.ReadFile("../../go.mod")
	require.NoError(t, err)
	needs := regexp.MustCompile(`(?m)^go ([0-9]+\.[0-9]+)`).FindSubmatch(mod)
	require.NotNil(t, needs)
	assert.Contains(t, string(readme), "Go ("+string(needs[1])+" or newer)")

	assert.Contains(t, string(readme), "So `--defer-until=device_sync` ends in the same way, and only\n`--defer-until=device` is measured.")
	for until, says := range map[string]string{"device_sync": "IMA went into TPM-bypass", "device": "IMA measured"} {
		code, out, errs := called(t, "boot", "--defer-until="+until)
		require.Equal(t, exitOK, code, errs)
		assert.Contains(t, out, says, until)
	}
}
