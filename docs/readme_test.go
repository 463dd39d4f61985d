package docs

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
)

var update = flag.Bool("update", false, "rewrite the generated parts of README.md")

const readmePath = "../README.md"

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(readmePath)
	require.NoError(t, err)
	return string(text)
}

// support is the README's table of what the engine has, from the command table.
func support() string {
	var order []string
	has, missing := map[string][]string{}, map[string][]string{}
	for _, c := range emulator.Commands() {
		if has[c.Chapter] == nil && missing[c.Chapter] == nil {
			order = append(order, c.Chapter)
		}
		if c.Implemented() {
			has[c.Chapter] = append(has[c.Chapter], c.Name)
		} else {
			missing[c.Chapter] = append(missing[c.Chapter], c.Name)
		}
	}
	var b strings.Builder
	b.WriteString("| chapter of Part 3 | commands | not there |\n|---|---|---|\n")
	for _, chapter := range order {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", chapter, strings.Join(has[chapter], ", "), strings.Join(missing[chapter], ", "))
	}
	return b.String()
}

func TestREADMEListsTheCommandsOfTheTable(t *testing.T) {
	const begin, end = "<!-- commands -->\n", "<!-- /commands -->"
	text := readme(t)
	before, rest, ok := strings.Cut(text, begin)
	require.True(t, ok)
	table, after, ok := strings.Cut(rest, end)
	require.True(t, ok)
	if *update {
		require.NoError(t, os.WriteFile(readmePath, []byte(before+begin+support()+end+after), 0o644))
		return
	}
	assert.Equal(t, support(), table, "go test ./docs -update writes it anew")
}

func TestREADMEExamplesStandInRunningTests(t *testing.T) {
	examples := regexp.MustCompile("(?s)<!-- example: (\\S+) -->\n```go\n(.*?)```").FindAllStringSubmatch(readme(t), -1)
	require.NotEmpty(t, examples)
	for _, example := range examples {
		source, err := os.ReadFile("../" + example[1])
		require.NoError(t, err)
		assert.Contains(t, string(source), example[2], "the README's example is not in %s", example[1])
		assert.True(t, strings.HasSuffix(example[1], "_test.go"))
	}
}

func TestREADMELinksAndScriptsExist(t *testing.T) {
	text := readme(t)
	names := regexp.MustCompile(`\]\(([a-z][^):#]*)\)`).FindAllStringSubmatch(text, -1)
	names = append(names, regexp.MustCompile(`\b(scripts/[a-z-]+)\b`).FindAllStringSubmatch(text, -1)...)
	require.NotEmpty(t, names)
	for _, name := range names {
		_, err := os.Stat("../" + name[1])
		assert.NoError(t, err)
	}
}
