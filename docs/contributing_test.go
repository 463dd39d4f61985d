package docs

import (
	"bytes"
	"encoding/json"
	"go/format"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// howTos is what makes TestContributing build and run the changes of CONTRIBUTING.md;
// scripts/test sets it to required.
const howTos = "SWTPMD_HOWTOS"

// step is a thing to do in CONTRIBUTING.md.
type step struct {
	chapter string
	kind    string // "new" and "edit" of a file, or "sh"
	file    string
	text    string
}

// steps reads the changes of CONTRIBUTING.md: files and edits of files, which a
// comment names, and shell. Lists indent them by three blanks.
func steps(text string) []step {
	text = regexp.MustCompile(`(?m)^ {3}`).ReplaceAllString(text, "")
	found := regexp.MustCompile("(?ms)^## (.*?)$|(?:^<!-- (new|edit): (\\S+) -->\n)?^```(\\S+)\n(.*?)^```$").FindAllStringSubmatch(text, -1)
	var all []step
	chapter := ""
	for _, m := range found {
		if m[1] != "" {
			chapter = m[1]
			continue
		}
		s := step{chapter: chapter, kind: m[2], file: m[3], text: m[5]}
		if s.kind == "" {
			s.kind = m[4]
		}
		all = append(all, s)
	}
	return all
}

// changed are the files that the steps have changed so far: path from the top, and
// text.
type changed map[string]string

// do makes the change of a step.
func (c changed) do(t *testing.T, s step) {
	t.Helper()
	path := filepath.Join("..", s.file)
	text := s.text
	switch s.kind {
	case "new":
		require.NoFileExists(t, path, "%s: it is to be new", s.chapter)
	case "edit":
		was, ok := c[s.file]
		if !ok {
			content, err := os.ReadFile(path)
			require.NoError(t, err, s.chapter)
			was = string(content)
		}
		from, to := sides(s.text)
		require.Equal(t, 1, strings.Count(was, from), "%s: %s has to have this once:\n%s", s.chapter, s.file, from)
		text = strings.Replace(was, from, to, 1)
	default:
		require.Fail(t, "unknown step", "%s: %q", s.chapter, s.kind)
	}
	if filepath.Ext(path) == ".go" {
		formatted, err := format.Source([]byte(text))
		require.NoError(t, err, "%s: %s", s.chapter, s.file)
		assert.Equal(t, string(formatted), text, "%s: %s is not as gofmt writes it", s.chapter, s.file)
	}
	c[s.file] = text
}

// overlay writes the changes for the go command, which takes them for those of the
// tree (go help build, "-overlay").
func (c changed) overlay(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	replace := make(map[string]string)
	for file, text := range c {
		from, err := filepath.Abs(filepath.Join("..", file))
		require.NoError(t, err)
		replace[from] = filepath.Join(dir, strings.ReplaceAll(file, "/", "_"))
		require.NoError(t, os.WriteFile(replace[from], []byte(text), 0o644))
	}
	encoded, err := json.Marshal(map[string]any{"Replace": replace})
	require.NoError(t, err)
	path := filepath.Join(dir, "overlay.json")
	require.NoError(t, os.WriteFile(path, encoded, 0o644))
	return path
}

// newFolder reports whether a chapter makes a file in a folder that is not there. The
// go command cannot run tests in a folder of an overlay alone.
func (c changed) newFolder(all []step, chapter string) bool {
	return slices.ContainsFunc(all, func(s step) bool {
		if s.chapter != chapter || s.kind != "new" {
			return false
		}
		_, err := os.Stat(filepath.Join("..", filepath.Dir(s.file)))
		return err != nil
	})
}

// tree makes a tree with the changes, of links to the files of this one.
func (c changed) tree(t *testing.T) string {
	t.Helper()
	top, err := filepath.Abs("..")
	require.NoError(t, err)
	dir := t.TempDir()
	for file, text := range c {
		path := filepath.Join(dir, file)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	require.NoError(t, filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path != top && strings.HasPrefix(entry.Name(), ".") {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		rel, err := filepath.Rel(top, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return os.MkdirAll(filepath.Join(dir, rel), 0o755)
		}
		if _, ok := c[rel]; ok {
			return nil
		}
		return os.Symlink(path, filepath.Join(dir, rel))
	}))
	return dir
}

// sides returns what an edit replaces, and by what.
func sides(diff string) (from, to string) {
	for line := range strings.Lines(diff) {
		switch mark, rest := line[:1], line[1:]; mark {
		case "-":
			from += rest
		case "+":
			to += rest
		case " ":
			from, to = from+rest, to+rest
		default:
			from, to = from+line, to+line // a line that is empty
		}
	}
	return from, to
}

// The changes that CONTRIBUTING.md works through fit the tree as they are written
// there, and what they tell to run succeeds.
func TestContributing(t *testing.T) {
	all := steps(pages(t)["CONTRIBUTING.md"])
	chapters := make(map[string]bool)
	files := make(changed)
	for _, s := range all {
		chapters[s.chapter] = true
		if s.kind != "sh" {
			files.do(t, s)
		}
	}
	assert.Len(t, chapters, 5)
	if os.Getenv(howTos) != "required" {
		t.Skipf("the changes fit; %s=required builds and runs them, as scripts/test does", howTos)
	}
	for _, s := range all {
		if s.kind != "sh" {
			continue
		}
		t.Run(s.chapter, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), "sh", "-eu", "-c", s.text)
			if files.newFolder(all, s.chapter) {
				cmd.Dir, cmd.Env = files.tree(t), append(os.Environ(), "GOFLAGS="+os.Getenv("GOFLAGS")+" -trimpath")
			} else {
				cmd.Dir, cmd.Env = "..", append(os.Environ(), "GOFLAGS="+os.Getenv("GOFLAGS")+" -overlay="+files.overlay(t))
			}
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			require.NoError(t, cmd.Run(), "%s\n%s", s.text, &out)
			assert.NotContains(t, out.String(), "no tests to run")
		})
	}
}

var (
	code     = regexp.MustCompile("`([^`\n]+)`|\\b(docs/[a-z-]+\\.md)\\b")
	filePath = regexp.MustCompile(`^[a-z][a-z0-9_./-]*/[a-z0-9_.-]+\.[a-z]+$`)
	named    = regexp.MustCompile(`^(?:([a-z]+)\.)?([A-Za-z][A-Za-z0-9]+)$`)
)

// What the text of CONTRIBUTING.md names between its blocks is there: files, and the
// names of Go.
func TestNamesOfContributing(t *testing.T) {
	text := fenced.ReplaceAllString(pages(t)["CONTRIBUTING.md"], "")
	known := make(map[string]bool)
	require.NoError(t, filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && path != ".." && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "testdata") {
			return fs.SkipDir
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		content, err := os.ReadFile(path)
		for _, word := range strings.FieldsFunc(string(content), func(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
			known[word] = true
		}
		return err
	}))
	files, names := 0, 0
	for _, m := range code.FindAllStringSubmatch(text, -1) {
		word := m[1] + m[2]
		switch {
		case filePath.MatchString(word):
			files++
			assert.FileExists(t, "../"+word)
		case named.MatchString(word):
			name := named.FindStringSubmatch(word)[2]
			if strings.ToLower(name) == name && !strings.Contains(word, ".") {
				break // a word such as a package's name
			}
			names++
			assert.True(t, known[name], "no Go file has %s", word)
		}
	}
	assert.Greater(t, files, 8)
	assert.Greater(t, names, 8)
}
