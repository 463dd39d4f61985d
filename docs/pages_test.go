package docs

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
)

var update = flag.Bool("update", false, "rewrite the generated parts of the pages")

// pages returns the text of each page: those at the top of the module and those here,
// by their path from the top.
func pages(t *testing.T) map[string]string {
	t.Helper()
	found := make(map[string]string)
	for _, pattern := range []string{"../*.md", "*.md"} {
		names, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, name := range names {
			text, err := os.ReadFile(name)
			require.NoError(t, err)
			found[filepath.Join("docs", name)] = string(text)
		}
	}
	require.Contains(t, found, "README.md")
	require.Contains(t, found, "docs/qemu.md")
	return found
}

// support is the table of what the engine has, from the command table.
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

func TestThePageOfCommandsListsThoseOfTheTable(t *testing.T) {
	const begin, end = "<!-- commands -->\n", "<!-- /commands -->"
	before, rest, ok := strings.Cut(pages(t)["docs/commands.md"], begin)
	require.True(t, ok)
	table, after, ok := strings.Cut(rest, end)
	require.True(t, ok)
	if *update {
		require.NoError(t, os.WriteFile("commands.md", []byte(before+begin+support()+end+after), 0o644))
		return
	}
	assert.Equal(t, support(), table, "go test ./docs -update writes it anew")
}

// Go code in a page stands in a test that runs, so that it compiles and does what the
// page tells. CONTRIBUTING.md shows code that is to be added; its own test is
// TestContributing.
func TestGoOfThePagesStandsInRunningTests(t *testing.T) {
	block := regexp.MustCompile("(?s)(?:<!-- example: (\\S+) -->\n)?```go\n(.*?)```")
	seen := 0
	for page, text := range pages(t) {
		if page == "CONTRIBUTING.md" {
			continue
		}
		for _, example := range block.FindAllStringSubmatch(text, -1) {
			seen++
			if !assert.NotEmpty(t, example[1], "%s shows Go code, and names no test file that has it:\n%s", page, example[2]) {
				continue
			}
			assert.True(t, strings.HasSuffix(example[1], "_test.go"), "%s: %s is no test", page, example[1])
			source, err := os.ReadFile("../" + example[1])
			if assert.NoError(t, err, page) {
				assert.Contains(t, string(source), example[2], "the example of %s is not in %s", page, example[1])
			}
		}
	}
	assert.GreaterOrEqual(t, seen, 6)
}

var (
	link    = regexp.MustCompile(`\]\(([^):#]*)(?:#([^)]*))?\)`)
	heading = regexp.MustCompile(`(?m)^#+ +(.*)$`)
	fenced  = regexp.MustCompile("(?ms)^ *```.*?^ *```$")
	script  = regexp.MustCompile(`\b(scripts/[a-z0-9-]+)\b`)
	goPath  = regexp.MustCompile(`github\.com/swtpmd/swtpmd/([a-z0-9/]+)`)
)

// anchor returns what a heading is linked by: lower case, hyphens for spaces, and
// no other signs.
func anchor(heading string) string {
	heading = strings.ToLower(strings.ReplaceAll(heading, " ", "-"))
	return regexp.MustCompile(`[^a-z0-9_-]`).ReplaceAllString(heading, "")
}

// What a page names is there: the pages and chapters it links to, scripts, and
// packages by their import path.
func TestWhatPagesNameExists(t *testing.T) {
	all := pages(t)
	for page, text := range all {
		text = fenced.ReplaceAllString(text, "")
		for _, to := range link.FindAllStringSubmatch(text, -1) {
			target := page
			if to[1] != "" {
				target = filepath.Join(filepath.Dir(page), to[1])
			}
			_, err := os.Stat("../" + target)
			assert.NoError(t, err, "%s links to %s", page, to[0])
			if to[2] == "" {
				continue
			}
			var anchors []string
			for _, h := range heading.FindAllStringSubmatch(all[target], -1) {
				anchors = append(anchors, anchor(h[1]))
			}
			assert.Contains(t, anchors, to[2], "%s links to a chapter of %s", page, target)
		}
		for _, name := range script.FindAllString(text, -1) {
			_, err := os.Stat("../" + name)
			assert.NoError(t, err, page)
		}
		for _, path := range goPath.FindAllStringSubmatch(text, -1) {
			files, err := filepath.Glob("../" + path[1] + "/*.go")
			require.NoError(t, err)
			assert.NotEmpty(t, files, "%s: %s is no package", page, path[0])
		}
	}
}

// A page that nobody links to is not found.
func TestTheREADMELeadsToEachPage(t *testing.T) {
	all := pages(t)
	for page := range all {
		if page != "README.md" {
			assert.Contains(t, all["README.md"], "]("+page+")")
		}
	}
}

// Go files name pages too.
func TestPagesThatGoFilesNameExist(t *testing.T) {
	named := regexp.MustCompile(`\bdocs/([a-z-]+\.md)\b`)
	var wrong []string
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			if entry != nil && strings.HasPrefix(entry.Name(), ".") && path != ".." {
				return filepath.SkipDir
			}
			return err
		}
		if ext := filepath.Ext(path); ext != ".go" && ext != ".txt" {
			return nil
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, page := range named.FindAllSubmatch(source, -1) {
			if _, err := os.Stat(string(page[1])); err != nil {
				wrong = append(wrong, path+" names "+string(page[0]))
			}
		}
		return nil
	})
	require.NoError(t, err)
	slices.Sort(wrong)
	assert.Empty(t, wrong)
}
