package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/conformance/lab/kernelbuild"
)

// call runs a command line.
func call(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(t.Context(), args, &out, &err)
	return code, out.String(), err.String()
}

func TestBadCommandLines(t *testing.T) {
	t.Parallel()
	config := filepath.Join(t.TempDir(), "x.config")
	require.NoError(t, os.WriteFile(config, []byte("CONFIG_A=y\nno option\n"), 0o600))
	for line, says := range map[string]string{
		"":                                       "a command is missing",
		"make":                                   `"make" is no command`,
		"list arm64-6.1-late":                    "list takes no names",
		"list --all":                             "list takes no --all",
		"path":                                   "which kernel?",
		"path arm64-*":                           "path takes one name",
		"path arm64-6.1-late --jobs=2":           "path takes no --jobs",
		"build":                                  "which kernel?",
		"build arm64-6.1":                        `"arm64-6.1" names no kernel`,
		"build --all arm64-6.1-late":             "exclude each other",
		"build arm64-6.1-late --jobs=0":          "--jobs=0",
		"build arm64-6.1-late --suite=/x":        "no suite",
		"build arm64-6.1-late --unheard":         "unheard",
		"build arm64-6.1-late --config=/no/such": "no such file",
		"build arm64-6.1-late --config=" + config: `x.config, line 2: "no option" sets no option`,
	} {
		code, out, err := call(t, strings.Fields(line)...)
		assert.Equal(t, exitUsage, code, line)
		assert.Contains(t, err, says, line)
		assert.Contains(t, err, "See scripts/kernel-lab --help.", line)
		assert.Empty(t, out, line)
	}
}

func TestOptionsStandAnywhere(t *testing.T) {
	t.Parallel()
	config := filepath.Join(t.TempDir(), "x.config")
	require.NoError(t, os.WriteFile(config, []byte("CONFIG_A=y\n"), 0o600))
	o, err := parse([]string{"--jobs=3", "build", "arm64-6.1-late", "--suite=a", "x86_64-6.1-late", "--suite", "b", "--config=" + config})
	require.NoError(t, err)
	assert.Equal(t, "build", o.name)
	assert.Equal(t, 3, o.jobs)
	assert.Equal(t, suites{"a", "b"}, o.suites)
	require.Len(t, o.kernels, 2)
	assert.Equal(t, "CONFIG_A=y\n", o.kernels[1].Extra)
	o, err = parse([]string{"build", "--all"})
	require.NoError(t, err)
	assert.Equal(t, kernelbuild.Catalog(), o.kernels)
	assert.Equal(t, suites(kernelbuild.Suites), o.suites)
}

func TestHelpNamesEveryOption(t *testing.T) {
	t.Parallel()
	code, out, err := call(t, "--help")
	assert.Equal(t, exitDone, code)
	assert.Empty(t, err)
	named := map[string]bool{"all": true} // in the usage
	for _, m := range regexp.MustCompile(`(?m)^  --([a-z-]+)`).FindAllStringSubmatch(out, -1) {
		named[m[1]] = true
	}
	new(options).flags().VisitAll(func(f *flag.Flag) {
		assert.True(t, named[f.Name], "--%s is not in the help", f.Name)
		delete(named, f.Name)
	})
	delete(named, "help")
	assert.Empty(t, named, "options in the help that do not exist")
}

// entry puts a kernel into a cache, as a build leaves it.
func entry(t *testing.T, cache, name, version string) kernelbuild.Built {
	t.Helper()
	k, err := kernelbuild.ParseName(name)
	require.NoError(t, err)
	b := kernelbuild.Built{Kernel: k, Name: name, Key: k.Key(version), Package: k.Package(), Version: version, Method: "option", Size: 7_300_000, Seconds: 412}
	b.Folder = filepath.Join(cache, "kernels", name+"_"+b.Key)
	b.Image = filepath.Join(b.Folder, "Image")
	text, err := json.Marshal(b)
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(b.Folder, 0o755))
	require.NoError(t, os.WriteFile(b.Image, nil, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(b.Folder, "kernel.json"), text, 0o600))
	return b
}

func TestListAndPath(t *testing.T) {
	t.Parallel()
	cache := t.TempDir()
	code, out, err := call(t, "path", "arm64-7.3-late_sync", "--cache="+cache)
	assert.Equal(t, exitFailed, code)
	assert.Empty(t, out)
	assert.Contains(t, err, "scripts/kernel-lab build arm64-7.3-late_sync")

	b := entry(t, cache, "arm64-7.3-late_sync", "7.3.4-1")
	other := entry(t, cache, "x86_64-6.19-late", "6.19.2-1")
	code, out, err = call(t, "path", "arm64-7.3-late_sync", "--cache="+cache)
	assert.Equal(t, exitDone, code, err)
	assert.Equal(t, b.Image+"\n", out)
	code, out, _ = call(t, "path", "arm64-newest-late_sync", "--json", "--cache="+cache)
	assert.Equal(t, exitDone, code)
	var found kernelbuild.Built
	require.NoError(t, json.Unmarshal([]byte(out), &found))
	assert.Equal(t, b, found)

	code, out, _ = call(t, "list", "--cache="+cache)
	assert.Equal(t, exitDone, code)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	assert.Len(t, lines, 2+len(kernelbuild.Catalog()))
	assert.Regexp(t, `(?m)^arm64-6.1-late +no\s*$`, out)
	assert.Regexp(t, `(?m)^arm64-7.3-late_sync .*linux-source-7.3 7.3.4-1 +7.3 MB +412 s +late_sync by CONFIG_IMA_INIT_LATE_SYNC$`, out)
	assert.Contains(t, lines[len(lines)-1], other.Name)

	_, out, _ = call(t, "list", "--json", "--cache="+cache)
	var rows []listed
	require.NoError(t, json.Unmarshal([]byte(out), &rows))
	assert.Len(t, rows, 1+len(kernelbuild.Catalog()))
	assert.Equal(t, other.Image, rows[len(rows)-1].Image)
	assert.True(t, rows[len(rows)-1].Current)
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	made := &kernelbuild.MakeError{Kernel: "k", Err: &kernelbuild.EditError{}}
	for want, err := range map[int]error{
		exitUsage:  &usageError{errors.New("x")},
		exitFailed: errors.Join(nil, made),
		exitSetup:  &kernelbuild.MissingToolsError{},
	} {
		assert.Equal(t, want, exitCode(t.Context(), err), err)
	}
	assert.Equal(t, exitFailed, exitCode(t.Context(), &kernelbuild.NotBuiltError{}))
	assert.Equal(t, exitSetup, exitCode(t.Context(), &kernelbuild.SourceError{Err: errors.New("x")}))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	assert.Equal(t, exitSignaled, exitCode(ended, made))
}
