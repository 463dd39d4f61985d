package main

import (
	"bytes"
	"flag"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/conformance/lab/lateattack"
)

func TestBadCommandLines(t *testing.T) {
	t.Parallel()
	for line, says := range map[string]string{
		"--scene=nothing": "--list", "--timeout=0s": "--timeout", "boot": `"boot" is no option`, "--unheard-of": "unheard-of",
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
	require.Equal(t, exitAsSaid, run(t.Context(), []string{"--help"}, &out, &talk))
	named := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^  --([a-z-]+)`).FindAllStringSubmatch(out.String(), -1) {
		named[m[1]] = true
	}
	known := map[string]bool{"help": true}
	new(options).flags().VisitAll(func(f *flag.Flag) { known[f.Name] = true })
	assert.Equal(t, known, named)
	for _, s := range lateattack.Scenes() {
		assert.Contains(t, out.String(), s.Kernel())
	}

	out.Reset()
	require.Equal(t, exitAsSaid, run(t.Context(), []string{"--list"}, &out, &talk))
	assert.Equal(t, len(lateattack.Scenes()), strings.Count(out.String(), "\n"))
}
