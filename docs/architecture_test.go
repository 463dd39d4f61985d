package docs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	module           = "github.com/swtpmd/swtpmd/"
	architecturePath = "architecture.md"
)

// layers are the parts of the module, the lowest first. A package imports what is in
// its own layer or in a lower one. The longest name that a path begins with counts.
var layers = []string{
	"emulator/wire", "emulator/crypt", "emulator/state", "transport", "emulator", "faults", "ima", "transport/fleet", "conformance", "docs", "cmd",
}

// apart are packages that must not import each other, though their layers would let
// them. The dots stand for what is below; commands are free.
var apart = []struct{ from, to, because string }{
	{"cmd...", "conformance/differential...", "the shipped binary has the conformance suite in it, and no campaigns"},
	{"conformance/conform...", "emulator...", "the suite asks any TPM, and shares no code with one"},
	{"emulator/provision", "emulator", "it takes any TPM"},
	{"faults...", "emulator", "faults go between a transport and any TPM"},
	{"faults...", "emulator/state", "faults go between a transport and any TPM"},
	{"ima...", "emulator", "IMA takes any TPM"},
	{"ima...", "emulator/state", "IMA takes any TPM"},
	{"ima/cel", "ima/measure", "a list is read without a kernel that makes one"},
	{"ima...", "faults", "only the pictures know of faults; except ima/boot/draw"},
	{"conformance", "emulator...", "the suite takes the emulator for one TPM among others"},
	{"conformance/differential...", "emulator...", "the suite takes the emulator for one TPM among others"},
	{"conformance/soak", "emulator...", "the soak asks a daemon in a process of its own"},
}

// withoutIO are packages that do no input and output: what they need is given to
// them.
var withoutIO = []string{"emulator", "emulator/wire", "emulator/crypt", "ima", "ima/boot", "ima/measure", "ima/verify", "faults", "faults/campaign", "emulator/provision"}

// pkg is a package of this module.
type pkg struct {
	path    string   // below the module
	command bool     // package main
	doc     string   // the first sentence of its comment
	own     []string // what it imports of this module, below the module
	foreign []string // modules of others that it imports from
	std     []string // what it imports of the standard library
}

// list returns the packages of this module as they are built for Linux with cgo, on
// every machine.
func list(t *testing.T) []pkg {
	t.Helper()
	type entry struct {
		ImportPath, Name, Doc string
		Standard              bool
		Module                *struct{ Path string }
		Imports               []string
	}
	all := map[string]entry{}
	decoder := json.NewDecoder(strings.NewReader(goCommand(t, "1", "list", "-deps", "-json=ImportPath,Name,Doc,Standard,Module,Imports", module+"...")))
	for decoder.More() {
		var e entry
		require.NoError(t, decoder.Decode(&e))
		all[e.ImportPath] = e
	}
	var packages []pkg
	for path, e := range all {
		below, ok := strings.CutPrefix(path, module)
		if !ok {
			continue
		}
		p := pkg{path: below, command: e.Name == "main", doc: e.Doc}
		for _, imported := range e.Imports {
			own, ok := strings.CutPrefix(imported, module)
			switch from := all[imported]; {
			case ok:
				p.own = append(p.own, own)
			case from.Module != nil:
				p.foreign = append(p.foreign, from.Module.Path)
			case imported != "C" && imported != "unsafe":
				p.std = append(p.std, imported)
			}
		}
		slices.Sort(p.own)
		slices.Sort(p.foreign)
		p.foreign = slices.Compact(p.foreign)
		packages = append(packages, p)
	}
	slices.SortFunc(packages, func(a, b pkg) int {
		if d := layer(a.path) - layer(b.path); d != 0 {
			return d
		}
		return strings.Compare(a.path, b.path)
	})
	require.Greater(t, len(packages), 20, "go list has found no packages")
	return packages
}

// goCommand returns what go prints for Linux, with cgo or as the binary is shipped.
func goCommand(t *testing.T, cgo string, args ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", args...)
	command.Env = append(os.Environ(), "GOOS=linux", "CGO_ENABLED="+cgo)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	require.NoError(t, err, stderr.String())
	return string(out)
}

// layer returns the position of a package in layers, -1 for none.
func layer(path string) int {
	best := -1
	for i, name := range layers {
		if covers(name+"...", path) && (best < 0 || len(name) > len(layers[best])) {
			best = i
		}
	}
	return best
}

// covers reports whether a package is the one of a pattern, or below it if the
// pattern ends with dots.
func covers(pattern, path string) bool {
	name, all := strings.CutSuffix(pattern, "...")
	return path == name || all && strings.HasPrefix(path, name+"/")
}

const tableHead = "| package | what is in it | imports of this module | of others |\n|---|---|---|---|\n"

// arrows is a row of the table of packages.
type arrows struct{ text, own, foreign string }

var rowPattern = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| (.*) \\| (.*) \\| (.*) \\|$")

// render returns the table of packages. What is in a package is what the table says
// already; of a package without a row it is the first sentence of its comment.
func render(packages []pkg, rows map[string]arrows) string {
	var b strings.Builder
	b.WriteString(tableHead)
	for _, p := range packages {
		text := rows[p.path].text
		if text == "" {
			text = strings.TrimSuffix(p.doc, ".")
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", p.path, text, cell(p.own), cell(p.foreign))
	}
	return b.String()
}

// picture returns the layers, the highest first, and the packages that each has.
func picture(packages []pkg) string {
	var b strings.Builder
	b.WriteString("```\n")
	for i, name := range slices.Backward(layers) {
		line := fmt.Sprintf("%-16s", name)
		for _, p := range packages {
			below := strings.TrimPrefix(p.path, name+"/")
			if layer(p.path) != i || p.path == name || strings.Contains(p.path, "internal/") {
				continue
			}
			if len(line)+len(below) > 90 {
				b.WriteString(strings.TrimRight(line, " ") + "\n")
				line = strings.Repeat(" ", 16)
			}
			line += below + "  "
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	b.WriteString("```\n")
	return b.String()
}

func cell(names []string) string {
	if len(names) == 0 {
		return "nothing"
	}
	return "`" + strings.Join(names, "`, `") + "`"
}

// generated returns the page, cut around the part with a name.
func generated(t *testing.T, name string) (before, part, after string) {
	t.Helper()
	begin, end := "<!-- "+name+" -->\n", "<!-- /"+name+" -->\n"
	text, err := os.ReadFile(architecturePath)
	require.NoError(t, err)
	before, rest, begins := strings.Cut(string(text), begin)
	part, after, ends := strings.Cut(rest, end)
	require.True(t, begins && ends, "%s has no part %s", architecturePath, name)
	return before + begin, part, end + after
}

func TestPictureOfTheLayers(t *testing.T) {
	want := picture(list(t))
	before, part, after := generated(t, "layers")
	if *update {
		require.NoError(t, os.WriteFile(architecturePath, []byte(before+want+after), 0o644))
		return
	}
	assert.Equal(t, want, part, "go test ./docs -update writes it anew")
}

// The table of packages is what may be imported: every import has its place in it,
// and nothing else has.
func TestTableOfPackagesHasEveryImportAndNoOther(t *testing.T) {
	packages := list(t)
	before, table, after := generated(t, "packages")
	rows := parseRows(table)
	if *update {
		require.NoError(t, os.WriteFile(architecturePath, []byte(before+render(packages, rows)+after), 0o644))
		return
	}
	const remedy = "if that is meant: go test ./docs -update"
	for _, p := range packages {
		row, ok := rows[p.path]
		delete(rows, p.path)
		if !assert.True(t, ok, "the table has no row for %s; %s", p.path, remedy) {
			continue
		}
		assert.Equal(t, row.own, cell(p.own), "what %s imports of this module; %s", p.path, remedy)
		assert.Equal(t, row.foreign, cell(p.foreign), "the modules that %s imports from; %s", p.path, remedy)
	}
	for path := range rows {
		assert.Fail(t, "there is no package "+path, remedy)
	}
	if !t.Failed() {
		assert.Equal(t, render(packages, parseRows(table)), table, remedy)
	}
}

func parseRows(table string) map[string]arrows {
	rows := map[string]arrows{}
	for _, m := range rowPattern.FindAllStringSubmatch(table, -1) {
		rows[m[1]] = arrows{m[2], m[3], m[4]}
	}
	return rows
}

// What the table cannot permit.
func TestImportsGoDownTheLayers(t *testing.T) {
	packages := list(t)
	commands := map[string]bool{}
	for _, p := range packages {
		commands[p.path] = p.command
	}
	for _, p := range packages {
		assert.GreaterOrEqual(t, layer(p.path), 0, "%s is in no layer", p.path)
		for _, own := range p.own {
			assert.GreaterOrEqual(t, layer(p.path), layer(own), "%s imports %s, which is in a higher layer", p.path, own)
			assert.False(t, commands[own], "%s imports the command %s", p.path, own)
			if p.command {
				continue
			}
			for _, rule := range apart {
				assert.False(t, covers(rule.from, p.path) && covers(rule.to, own) && !strings.Contains(rule.because, "except "+p.path),
					"%s imports %s: %s", p.path, own, rule.because)
			}
		}
		if slices.Contains(withoutIO, p.path) {
			for _, std := range p.std {
				assert.NotContains(t, []string{"os", "os/exec", "os/signal", "net", "net/http", "syscall"}, std, "%s does no I/O", p.path)
			}
			assert.NotContains(t, p.foreign, "golang.org/x/sys", "%s does no I/O", p.path)
		}
	}
	for _, rule := range apart {
		for _, pattern := range []string{rule.from, rule.to} {
			assert.True(t, slices.ContainsFunc(packages, func(p pkg) bool { return covers(pattern, p.path) }), "there is no package %s", pattern)
		}
	}
}

func TestEveryDirectDependencyHasALine(t *testing.T) {
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	require.NoError(t, json.Unmarshal([]byte(goCommand(t, "1", "mod", "edit", "-json", "../go.mod")), &mod))
	text, err := os.ReadFile(architecturePath)
	require.NoError(t, err)
	_, section, ok := strings.Cut(string(text), "\n## Dependencies\n")
	require.True(t, ok)
	var listed []string // packages or modules
	for _, row := range regexp.MustCompile("(?m)^\\| (`.*`) \\|").FindAllStringSubmatch(section, -1) {
		for _, name := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row[1], -1) {
			listed = append(listed, name[1])
		}
	}
	for _, r := range mod.Require {
		has := slices.ContainsFunc(listed, func(name string) bool { return covers(r.Path+"...", name) })
		assert.Equal(t, !r.Indirect, has, "%s in the table of dependencies", r.Path)
		listed = slices.DeleteFunc(listed, func(name string) bool { return covers(r.Path+"...", name) })
	}
	assert.Empty(t, listed, "no dependencies any more")
}

// A verdict comes from the evidence alone: what judges a list has no code that
// makes one, in any package below it.
func TestVerifyRunsNoIMA(t *testing.T) {
	const verify, measure = module + "ima/verify", module + "ima/measure"
	assert.NotContains(t, strings.Fields(goCommand(t, "0", "list", "-deps", verify)), measure)
	assert.Contains(t, strings.Fields(goCommand(t, "0", "list", "-deps", module+"ima/boot")), measure, "where IMA runs")
}

func TestShippedBinaryContainsNoTestsAndNoCgo(t *testing.T) {
	deps := strings.Fields(goCommand(t, "0", "list", "-deps", module+"cmd/swtpmd"))
	require.Contains(t, deps, module+"emulator")
	none := []string{"testing", "runtime/cgo", "github.com/google/go-tpm-tools...", "github.com/google/go-attestation...", "github.com/stretchr/testify...",
		module + "conformance/lab...", module + "conformance/differential/generator", module + "conformance/differential/known", module + "emulator/emulatortest", module + "emulator/reference", module + "transport/transporttest"}
	for _, dep := range deps {
		for _, pattern := range none {
			assert.False(t, covers(pattern, dep), "the shipped binary contains %s", dep)
		}
	}
}

// maxLines is how long a file may grow before it must be two.
const maxLines = 900

func TestFilesStayShort(t *testing.T) {
	root := ".."
	seen := 0
	err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && path != root {
			return filepath.SkipDir
		}
		if entry.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		seen++
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		assert.LessOrEqual(t, bytes.Count(content, []byte("\n")), maxLines, "lines of %s", path)
		return nil
	})
	require.NoError(t, err)
	require.Greater(t, seen, 5)
}
