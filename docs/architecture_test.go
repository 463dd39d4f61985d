package docs

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "github.com/swtpmd/swtpmd/"

// arrows says what of this module a package may import. A package may always
// import what lives below it, and everything may import the standard library;
// what else there is in the world is listed in foreign. Commands may
// import everything.
var arrows = map[string][]string{
	"transport":                 {},
	"transport/internal/serve":  {"transport/internal/socket"},
	"transport/internal/socket": {"transport"},
	"transport/ask":             {"transport", "emulator/wire"},
	"transport/raw":             {"transport", "transport/internal/serve", "transport/internal/socket"},
	// swtpm's data channel is a raw one; its client is raw's.
	"transport/swtpm":          {"transport", "transport/raw", "transport/internal/serve", "transport/internal/socket"},
	"transport/transporttest":  {"transport"},
	"emulator":                 {"emulator/wire", "emulator/crypt", "emulator/state"},
	"emulator/wire":            {},
	"emulator/crypt":           {"emulator/wire"},
	"emulator/state":           {"emulator/wire"},
	"emulator/emulatortest":    {"emulator", "emulator/wire", "emulator/crypt", "emulator/state"},
	"emulator/reference":       {"transport"},
	"faults":                   {"transport", "faults/initcall", "emulator/wire"},
	"faults/initcall":          {"transport"},
	"faults/control":           {"faults", "faults/initcall"},
	"ima":                      {},
	"ima/attest":               {"ima", "transport", "transport/ask", "emulator/wire"},
	"ima/boot":                 {"ima", "faults/initcall", "transport"},
	"ima/boot/draw":            {"ima", "ima/boot", "ima/verify", "faults", "faults/initcall"},
	"ima/cel":                  {"ima"},
	"ima/evidence":             {"ima", "ima/attest", "ima/cel"},
	"ima/files":                {"ima"},
	"ima/verify":               {"ima"},
	"conformance":              {"transport", "ima"},
	"conformance/differential": {"conformance", "transport"},
	"conformance/tour":         {},
	"conformance/soak":         {"conformance", "transport", "transport/raw", "faults/control", "faults/initcall"},
	"conformance/soak/soakrun": {"conformance/soak"},
	"conformance/clients":      {},
	"conformance/lab":          {"faults", "faults/control", "faults/initcall", "ima"},
	"docs":                     {},

	// The campaign stands above the rooms of the differential suite.
	"conformance/differential/wire":         {"conformance"},
	"conformance/differential/conversation": {"conformance", "conformance/differential/wire", "transport"},
	"conformance/differential/comparison":   {"conformance", "conformance/differential/wire", "conformance/differential/conversation", "transport"},
	"conformance/differential/generator":    {"conformance", "conformance/differential/wire", "conformance/differential/conversation"},
	"conformance/differential/known":        {"conformance", "conformance/differential/wire", "conformance/differential/conversation", "conformance/differential/comparison"},

	// Stands in for a simulator, in the tests of conformance/clients.
	"conformance/clients/internal/simulator": {"emulator"},
}

// foreign says which modules outside the standard library a package may import.
var foreign = map[string][]string{
	"transport":                 {"golang.org/x/sys/"},
	"transport/internal/socket": {"golang.org/x/sys/"},
	"transport/ask":             {"transport", "emulator/wire"},
	"transport/raw":             {"golang.org/x/sys/"},
	"transport/swtpm":           {"golang.org/x/sys/"},
	"transport/transporttest":   {"golang.org/x/sys/", "github.com/stretchr/testify/"},
	"emulator/crypt":            {"filippo.io/bigmod"},
	"emulator/state":            {"golang.org/x/sys/"},
	"ima/files":                 {"golang.org/x/sys/"},
	"faults/initcall":           {"github.com/fsnotify/fsnotify", "golang.org/x/sys/"},
	"emulator/reference":        {"github.com/google/go-tpm-tools/simulator"},
	"emulator/emulatortest":     {"github.com/google/go-tpm/", "github.com/stretchr/testify/"},
	"conformance":               {"github.com/google/go-tpm/"},
	"conformance/lab":           {"golang.org/x/sys/"},
	"conformance/soak":          {"golang.org/x/sys/"},

	"conformance/differential/wire":         {"github.com/google/go-tpm/"},
	"conformance/differential/conversation": {"github.com/google/go-tpm/"},
	"conformance/differential/comparison":   {"github.com/google/go-tpm/"},
	"conformance/differential/generator":    {"github.com/google/go-tpm/"},
	"conformance/differential/known":        {"github.com/google/go-tpm/"},

	"conformance/clients/internal/simulator": {"github.com/google/go-tpm/legacy/tpm2"},
}

type pkg struct {
	path    string   // below the module
	command bool     // package main
	imports []string // import paths
}

func list(t *testing.T) []pkg {
	t.Helper()
	out := goList(t, "-f", `{{.ImportPath}} {{.Name}} {{join .Imports " "}}`, module+"...")
	var all []pkg
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		all = append(all, pkg{strings.TrimPrefix(fields[0], module), fields[1] == "main", fields[2:]})
	}
	require.Greater(t, len(all), 5, "go list found no packages")
	return all
}

func goList(t *testing.T, args ...string) string {
	t.Helper()
	command := exec.Command("go", append([]string{"list"}, args...)...)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	require.NoError(t, err, stderr.String())
	return string(out)
}

func TestImportArrows(t *testing.T) {
	for _, p := range list(t) {
		if p.command || strings.HasPrefix(p.path, "cmd/") {
			continue
		}
		allowed, known := arrows[p.path]
		if !assert.True(t, known, "%s has no row in arrows: who may it import?", p.path) {
			continue
		}
		for _, imported := range p.imports {
			if own, ok := strings.CutPrefix(imported, module); ok {
				assert.True(t, slices.Contains(allowed, own) || strings.HasPrefix(own, p.path+"/"),
					"%s imports %s, which lies against the arrows", p.path, own)
				continue
			}
			if domain, _, _ := strings.Cut(imported, "/"); !strings.Contains(domain, ".") {
				continue // standard library
			}
			ok := slices.ContainsFunc(foreign[p.path], func(prefix string) bool { return strings.HasPrefix(imported, prefix) })
			assert.True(t, ok, "%s imports %s, which foreign does not allow", p.path, imported)
		}
	}
}

func TestShippedBinaryContainsNoTestsAndNoCgo(t *testing.T) {
	deps := strings.Fields(goList(t, "-deps", module+"cmd/swtpmd"))
	require.Contains(t, deps, module+"emulator")
	for _, dep := range deps {
		assert.False(t, strings.Contains(dep, "google/go-tpm/") || strings.Contains(dep, "google/go-tpm-tools/") || strings.Contains(dep, "google/go-attestation/") || strings.Contains(dep, "stretchr/testify") || dep == "testing",
			"the shipped binary contains %s", dep)
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
