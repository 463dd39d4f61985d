package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// example is a module with a knot of three files, one of two, names without a
// comment, words of the list, and an emulator that looks up a handle.
var example = map[string]string{
	"go.mod":         "module example.org/m\n\ngo 1.26\n",
	"README.md":      "Text.\n\nIt says\nwhether, behind the scenes.\n",
	"pages/style.md": "Not \"says whether\".\n",
	"p/a.go": `// Package p is an example.
package p

// A uses B's method.
func A() { var b B; b.M() }

const (
	// Said has a comment.
	Said = 1
	Bare = 2
	Line = 3 // of its own line
)
`,
	"p/b.go": `package p

type B struct{ c C }

func (B) M() {}

func (b B) Error() string { return b.c.s }

type (
	hidden struct{}
	// Shown has a comment.
	Shown struct{}
)

func (hidden) M() {}
`,
	"p/c.go": `package p

// C uses A, and its
// behaviour says
// whether that is so.
type C struct{ s string }

var _ = A

var message = "it is behind"
`,
	"p/d.go":      "package p\n\nfunc d() { e() }\n",
	"p/e.go":      "package p\n\nfunc e() { d() }\n",
	"p/lone.go":   "package p\n\nfunc lone() { d() }\n",
	"p/a_test.go": "package p\n\n// says whether\n\nfunc X() {}\n",
	"emulator/wire/wire.go": `// Package wire is an example.
package wire

// Handle is a handle.
type Handle uint32
`,
	"emulator/tpm.go": `// Package emulator is an example.
package emulator

import "example.org/m/emulator/wire"

// TPM is an example.
type TPM struct{ found int }

func (t *TPM) object(h wire.Handle) {
	if h > 1 {
		t.found++
	}
}

func (t *TPM) again(h wire.Handle) { t.object(h) }

func other(h wire.Handle) {}

func (t *TPM) send() {
	t.object(1)
	t.again(2)
	other(3)
}
`,
	"emulator/tpm_test.go": `package emulator

import "testing"

func send(b *testing.B) {
	var t TPM
	t.object(1)
	for b.Loop() {
		t.send()
	}
}

func BenchmarkPCRExtend(b *testing.B) { b.Run("1of1", send) }

func BenchmarkNV(b *testing.B) {
	b.Run("Read8", send)
	b.Run("Write8", send)
}

func BenchmarkLoadP256(b *testing.B) { send(b) }
`,
}

func inExample(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, text := range example {
		put(t, name, text)
	}
}

func put(t *testing.T, name, text string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
	require.NoError(t, os.WriteFile(name, []byte(text), 0o644))
}

// execute runs the command and returns what it prints.
func execute(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(t.Context(), args, &out, &err)
	return code, out.String(), err.String()
}

func measured(t *testing.T, args ...string) shape {
	t.Helper()
	code, stdout, stderr := execute(t, append([]string{"--json"}, args...)...)
	require.Equal(t, exitOK, code, stderr)
	var s shape
	require.NoError(t, json.Unmarshal([]byte(stdout), &s))
	return s
}

func of(t *testing.T, s shape, path string) figures {
	t.Helper()
	for _, p := range s.Packages {
		if p.Path == path {
			return p
		}
	}
	require.Fail(t, "there is no package "+path)
	return figures{}
}

func TestFiguresOfAPackage(t *testing.T) {
	inExample(t)
	p := of(t, measured(t, "--no-lookups"), "p")
	assert.Equal(t, [][]string{{"a.go", "b.go", "c.go"}, {"d.go", "e.go"}}, p.Knots)
	assert.Equal(t, []string{"a.go:10: Bare", "b.go:3: B", "b.go:5: B.M"}, p.Uncommented)
	assert.Equal(t, 6, p.Files, "without the tests")
	assert.Equal(t, 12+14+11+3+3+3, p.Lines)
	assert.Equal(t, 7+9+4+2+2+2, p.Code)
}

func TestCodeLines(t *testing.T) {
	assert.Equal(t, 4, codeLines([]byte("package p\n\n// no\n/* no\nno */\nvar s = `\n\n` // yes\n")))
}

func TestWords(t *testing.T) {
	inExample(t)
	places := map[string][]string{}
	for _, w := range measured(t, "--no-lookups").Words {
		places[w.Word] = w.Places
	}
	assert.Equal(t, []string{"README.md:3", "p/c.go:4"}, places["says whether"], "across the end of a line; not in tests and in the rules")
	assert.Equal(t, []string{"README.md:4", "p/c.go:10"}, places["behind"])
	assert.Equal(t, []string{"p/c.go:4"}, places["behaviour*"])
	assert.Empty(t, places["an own"])
}

func TestWordList(t *testing.T) {
	for _, wrong := range []string{"behind", "behind:", ": after"} {
		_, err := parseWords("# list\n" + wrong + "\n")
		assert.ErrorContains(t, err, "words.txt:2: ", wrong)
	}
}

func TestLookups(t *testing.T) {
	inExample(t)
	s := measured(t)
	require.Len(t, s.Lookups, len(benchmarks))
	for i, l := range s.Lookups {
		assert.Equal(t, lookups{benchmarks[i].command, 3, map[string]float64{"object": 2, "again": 1}}, l)
	}
}

func TestABenchmarkThatIsNotThere(t *testing.T) {
	inExample(t)
	put(t, "emulator/tpm_test.go", "package emulator\n")
	code, stdout, stderr := execute(t)
	assert.Equal(t, exitBroken, code)
	assert.Empty(t, stdout)
	assert.Contains(t, stderr, "there is no benchmark ^BenchmarkPCRExtend$/^1of1$")
}

func TestTreesSideBySide(t *testing.T) {
	inExample(t)
	for _, args := range [][]string{{"init", "-q"}, {"add", "."}, {"-c", "user.name=n", "-c", "user.email=e@example.org", "commit", "-qm", "first"}} {
		out, err := exec.Command("git", args...).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	put(t, "p/c.go", "package p\n\n// C is alone.\ntype C struct{ s string }\n")
	put(t, "q/q.go", "// Package q is new.\npackage q\n")
	code, stdout, stderr := execute(t, "--no-lookups", "HEAD", ".")
	require.Equal(t, exitOK, code, stderr)
	lines := map[string]string{}
	for line := range strings.Lines(stdout) {
		fields := strings.Fields(line)
		if len(fields) > 0 {
			lines[fields[0]] = strings.Join(fields[1:], " ")
		}
	}
	assert.Equal(t, "→ .", lines["HEAD"])
	assert.Equal(t, "6 → 6 46 → 40 26 → 24 3,2 → 2 3 → 3", lines["p"])
	assert.Equal(t, "- → 1 - → 2 - → 1 - → 0 - → 0", lines["q"])
	assert.Equal(t, "2 → 1", strings.TrimPrefix(lines["says"], "whether "))

	for _, revision := range []string{"nowhere", "--output=x"} {
		code, stdout, stderr = execute(t, "--no-lookups", "--", revision)
		assert.Equal(t, exitBroken, code)
		assert.Empty(t, stdout)
		assert.Contains(t, stderr, "shape: "+revision)
	}
	assert.NoFileExists(t, "x")
}

func TestWhatDoesNotBuildIsNamed(t *testing.T) {
	inExample(t)
	put(t, "p/d.go", "package p\n\nfunc d() { f() }\n")
	code, _, stderr := execute(t, "--no-lookups")
	assert.Equal(t, exitBroken, code)
	assert.Contains(t, stderr, "undefined: f")
	t.Chdir(t.TempDir())
	code, _, stderr = execute(t)
	assert.Equal(t, exitBroken, code)
	assert.NotEmpty(t, stderr)
}

func TestLimits(t *testing.T) {
	s := shape{
		Packages: []figures{
			{Path: "a", Code: 11, Knots: [][]string{{"x.go", "y.go", "z.go"}}, Uncommented: []string{"x.go:1: X"}},
			{Path: "b", Code: 9, Knots: [][]string{{"x.go", "y.go"}}},
		},
		Words: []word{{Word: "an own", Instead: "its own", Places: []string{"x.go:7"}}},
	}
	list, err := parseLimits("# some\nknot 3 a\nknot 1 * # of others\ncode 10 a\nuncommented 0 *\nword 0 an own\ncode 5 c\n")
	require.NoError(t, err)
	assert.Equal(t, []string{
		"code of a is 11, at most 10: 0 files",
		"uncommented of a is 1, at most 0: x.go:1: X",
		"knot of b is 2, at most 1: x.go y.go",
		"word of an own is 1, at most 0: instead: its own: x.go:7",
		"limits.txt: there is no code of c",
	}, exceeded(s, list))
	for _, wrong := range []string{"knot a", "knot x a", "knot -1 a", "lines 1 a"} {
		_, err := parseLimits("\n" + wrong)
		assert.ErrorContains(t, err, "limits.txt:2: ", wrong)
	}
	_, err = parseLimits(limitsText)
	assert.NoError(t, err)
}

func TestCheckNamesWhatIsExceeded(t *testing.T) {
	inExample(t)
	code, stdout, stderr := execute(t, "--check", "--no-lookups")
	assert.Equal(t, exitExceeded, code)
	assert.Contains(t, stdout, "PACKAGE")
	assert.Contains(t, stderr, "shape: uncommented of p is 3, at most 0: a.go:10: Bare, b.go:3: B, b.go:5: B.M\n")
	assert.Contains(t, stderr, "shape: word of says whether is 2, at most 0: instead: reports whether: README.md:3, p/c.go:4\n")
}

func TestProfile(t *testing.T) {
	functions := []function{{"f", "a.go", 3, 9, 10}}
	calls, err := called("mode: count\nm/a.go:5.1,6.2 1 7\nm/a.go:3.10,4.2 1 4\nm/a.go:3.2,3.4 1 1\nm/b.go:3.10,4.2 1 9\nm/a.go:10.1,11.2 1 8\n", functions)
	require.NoError(t, err)
	assert.Equal(t, map[string]int{"f": 4}, calls)
	_, err = called("mode: count\nm/a.go 1\n", functions)
	assert.ErrorContains(t, err, `"m/a.go 1" is no line of a profile`)
}

func TestUsage(t *testing.T) {
	code, stdout, _ := execute(t, "--help")
	assert.Equal(t, exitOK, code)
	assert.Equal(t, usage, stdout)
	for _, args := range [][]string{{"--unknown"}, {"--check", "a", "b"}} {
		code, stdout, stderr := execute(t, args...)
		assert.Equal(t, exitUsage, code, args)
		assert.Empty(t, stdout, args)
		assert.Contains(t, stderr, "see scripts/shape --help", args)
	}
}
