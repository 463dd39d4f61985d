package clients_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// suites are test suites of other projects. All of them run against
// github.com/google/go-tpm-tools/simulator; here a module with this name that has
// only internal/simulator in it stands in its place.
var suites = []struct {
	pkg string
	// least is how many tests pass, subtests counted.
	least int
	// differ are the tests that want the simulator's answer, which differs
	// from ours for the reason given.
	differ map[string]string
}{
	{pkg: "github.com/google/go-tpm/tpm2/test", least: 280, differ: map[string]string{
		"TestTestParms/rsa3072_-_unsupported": "the emulator has RSA keys of 3072 bits, the simulator's build has not",
	}},
	{pkg: "github.com/google/go-tpm/legacy/tpm2/test", least: 130},
	{pkg: "github.com/google/go-attestation/attest", least: 160},
}

func TestSuitesOfClients(t *testing.T) {
	t.Parallel()
	modfile := inPlaceOfTheSimulator(t)
	for _, suite := range suites {
		t.Run(suite.pkg, func(t *testing.T) {
			t.Parallel()
			passed, failed := runSuite(t, modfile, suite.pkg)
			assert.GreaterOrEqual(t, passed, suite.least)
			for test, said := range failed {
				_, known := suite.differ[test]
				assert.True(t, known, "%s fails:\n%s", test, said)
			}
			for test, reason := range suite.differ {
				assert.Contains(t, failed, test, "no longer: %s", reason)
			}
		})
	}
}

// inPlaceOfTheSimulator writes a go.mod like ours in which the emulator takes the
// simulator's place.
func inPlaceOfTheSimulator(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	stand := filepath.Join(dir, "go-tpm-tools")
	require.NoError(t, os.MkdirAll(filepath.Join(stand, "simulator"), 0o700))
	write := func(name string, content []byte) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	read := func(name string) []byte {
		content, err := os.ReadFile(name)
		require.NoError(t, err)
		return content
	}
	write("go-tpm-tools/go.mod", []byte("module github.com/google/go-tpm-tools\n\ngo 1.26.0\n"))
	write("go-tpm-tools/simulator/simulator.go", read("internal/simulator/simulator.go"))
	write("go.mod", fmt.Appendf(read("../../go.mod"), "\nreplace github.com/google/go-tpm-tools => %s\n", stand))
	write("go.sum", read("../../go.sum"))
	return filepath.Join(dir, "go.mod")
}

// runSuite gives how many tests passed, and what those said that failed: the
// innermost ones, for a failed subtest fails its parents too.
func runSuite(t *testing.T, modfile, pkg string) (passed int, failed map[string]string) {
	t.Helper()
	command := exec.Command("go", "test", "-modfile", modfile, "-json", "-timeout", "10m", pkg)
	var diagnostics bytes.Buffer
	command.Stderr = &diagnostics
	out, err := command.Output()
	if err != nil {
		require.ErrorAs(t, err, new(*exec.ExitError))
	}
	said := map[string]*strings.Builder{}
	failed = map[string]string{}
	for line := range bytes.Lines(out) {
		var event struct{ Action, Test, Output string }
		require.NoError(t, json.Unmarshal(line, &event), "%s", line)
		if said[event.Test] == nil {
			said[event.Test] = new(strings.Builder)
		}
		said[event.Test].WriteString(event.Output)
		switch {
		case event.Action == "pass" && event.Test != "":
			passed++
		case event.Action == "fail": // without a name: the package
			failed[event.Test] = said[event.Test].String()
		}
	}
	all := slices.Collect(maps.Keys(failed))
	maps.DeleteFunc(failed, func(test, _ string) bool {
		return slices.ContainsFunc(all, func(other string) bool {
			return other != test && (test == "" || strings.HasPrefix(other, test+"/"))
		})
	})
	assert.NotEmpty(t, out, diagnostics.String())
	return passed, failed
}
