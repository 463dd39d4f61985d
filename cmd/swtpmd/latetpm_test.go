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

// The pictures of the pages are those that the commands before them draw.
func TestThePicturesOfThePages(t *testing.T) {
	picture := regexp.MustCompile(`<!-- picture: swtpmd (.*) --svg=(docs/\S+) -->\n!\[[^]]*\]\((\S+)\)`)
	seen := 0
	for _, name := range pageNames(t) {
		for _, p := range picture.FindAllStringSubmatch(pageText(t, name), -1) {
			seen++
			assert.Equal(t, p[2], filepath.Join("docs", p[3]), name)
			drawn := filepath.Join(t.TempDir(), "picture.svg")
			code, _, errs := called(t, append(strings.Fields(p[1]), "--svg="+drawn)...)
			require.Equal(t, exitOK, code, errs)
			now, err := os.ReadFile(drawn)
			require.NoError(t, err)
			shown, err := os.ReadFile("../../" + p[2])
			require.NoError(t, err)
			assert.Equal(t, string(shown), string(now), "%s: scripts/late-tpm draws it anew", p[2])
		}
	}
	assert.GreaterOrEqual(t, seen, 3)
}
