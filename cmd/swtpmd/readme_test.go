package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What a page shows is what the command before it prints, line by line in that order;
// lines in between are left out there. The commands of a page run one after the other
// in an empty directory, and the page tells the reader to run them.
func TestCommandsOfThePagesPrintWhatTheyShow(t *testing.T) {
	shown := regexp.MustCompile("(?s)<!-- run: swtpmd (.*?) -->\n```\n(.*?)```")
	told := regexp.MustCompile(`(?m)^    (?:\./|go run \./cmd/)?swtpmd (.*)$`)
	seen := 0
	for _, name := range pageNames(t) {
		text := pageText(t, name)
		blocks := shown.FindAllStringSubmatch(text, -1)
		if len(blocks) == 0 {
			continue
		}
		seen++
		var commands []string
		for _, c := range told.FindAllStringSubmatch(strings.ReplaceAll(text, "\\\n", " "), -1) {
			commands = append(commands, strings.Join(strings.Fields(c[1]), " "))
		}
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Chdir(t.TempDir())
			for _, block := range blocks {
				assert.Contains(t, commands, block[1])
				prints(t, strings.Fields(block[1]), block[2])
			}
		})
	}
	assert.GreaterOrEqual(t, seen, 3)
}

// prints checks that swtpmd, called with args, prints these lines in this order.
func prints(t *testing.T, args []string, lines string) {
	t.Helper()
	code, out, errs := called(t, args...)
	require.NotContains(t, []int{exitFailed, exitUsage}, code, "%s: %s", args, errs)
	require.NotEmpty(t, lines)
	rest := "\n" + out
	for line := range strings.Lines(lines) {
		_, after, found := strings.Cut(rest, "\n"+line)
		require.True(t, found, "swtpmd %s does not print %q, or not there; it prints\n%s", args, line, out)
		rest = "\n" + after
	}
}

// The README's first command needs nothing but a fresh clone.
func TestTheFirstCommandOfTheREADME(t *testing.T) {
	first := regexp.MustCompile(`(?m)^    .*swtpmd [a-z-].*$`).FindString(pageText(t, "../../README.md"))
	assert.Equal(t, "    go run ./cmd/swtpmd boot --defer-until=late_sync", first)
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
