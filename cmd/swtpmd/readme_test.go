package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The README's commands print what it shows, line by line in that order; lines
// in between are left out there.
func TestREADMECommandsPrintWhatItShows(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	shown := regexp.MustCompile("(?s)<!-- run: swtpmd (.*?) -->\n```\n(.*?)```").FindAllStringSubmatch(string(readme), -1)
	require.NotEmpty(t, shown)
	for _, block := range shown {
		_, out, errs := called(t, strings.Fields(block[1])...)
		require.Empty(t, errs, block[1])
		rest := "\n" + out
		for _, line := range strings.Split(strings.TrimSuffix(block[2], "\n"), "\n") {
			_, after, found := strings.Cut(rest, "\n"+line+"\n")
			require.True(t, found, "swtpmd %s does not print %q, or not there; it prints\n%s", block[1], line, out)
			rest = "\n" + after
		}
		assert.NotEmpty(t, block[2])
	}
}
