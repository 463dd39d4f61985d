package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// example is a module with a target that has nothing to find, one that finds a
// branch, and one that fails.
var example = map[string]string{
	"go.mod":      "module example.org/m\n\ngo 1.24\n",
	"deep/in.txt": "seed",
	"deep/p/p.go": `package p

func Long(b []byte) bool {
	if len(b) > 3 {
		return true
	}
	return false
}

func Never() bool {
	return false
}
`,
	"deep/p/p_test.go": `package p

import (
	"os"
	"testing"
)

func FuzzNothing(f *testing.F) {
	f.Fuzz(func(t *testing.T, n uint8, b, c []byte) {})
}

func FuzzLong(f *testing.F) {
	if _, err := os.ReadFile("../in.txt"); err != nil {
		f.Fatal(err)
	}
	Never()
	f.Add([]byte("a"))
	f.Fuzz(func(t *testing.T, b []byte) { Long(b) })
}

func FuzzBad(f *testing.F) {
	f.Add("a")
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 1 {
			t.Error("it is too long")
		}
	})
}
`,
}

func inExample(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range example {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	t.Chdir(dir)
	t.Setenv("GOFLAGS", "-mod=mod")
	t.Setenv("FUZZTIME", "")
}

// called runs the command and returns what it prints.
func called(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(t.Context(), args, &out, &err)
	return code, out.String(), err.String()
}

func TestTargetsAreFoundAndChosen(t *testing.T) {
	inExample(t)
	all, err := find(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 3)
	assert.Equal(t, []string{"byte", "[]byte", "[]byte"}, all[0].arguments)
	code, stdout, _ := called(t, "--list", `deep/p\.FuzzB`, "Long$")
	assert.Equal(t, exitOK, code)
	assert.Equal(t, "deep/p.FuzzLong\ndeep/p.FuzzBad\n", stdout)
}

func TestFailureIsReportedAndTheOthersRun(t *testing.T) {
	inExample(t)
	code, stdout, stderr := called(t, "--time", "2000x", "--fresh", "--no-coverage", "Bad", "Nothing")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, stderr, "it is too long")
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	require.Len(t, lines, 3)
	assert.Regexp(t, `^deep/p\.FuzzNothing +2000 +\d+ +\d+ +-$`, lines[1])
	assert.Regexp(t, `^deep/p\.FuzzBad .* FAILED$`, lines[2])
	inputs, err := filepath.Glob("deep/p/testdata/fuzz/FuzzBad/*")
	require.NoError(t, err)
	assert.Len(t, inputs, 1, "the input that fails is kept")
	assert.NoFileExists(t, ".cache")
}

func TestKeepTakesWhatAddsCoverage(t *testing.T) {
	inExample(t)
	stale := filepath.Join(".cache", "fuzz", "deep", "p", "FuzzLong", "stale")
	require.NoError(t, os.MkdirAll(filepath.Dir(stale), 0o755))
	require.NoError(t, os.WriteFile(stale, []byte("go test fuzz v1\nstring(\"of other arguments\")\n"), 0o644))

	row := func(args ...string) (r result) {
		code, stdout, stderr := called(t, append(args, "--json", "FuzzLong")...)
		require.Equal(t, exitOK, code, stderr)
		require.NoError(t, json.Unmarshal([]byte(stdout), &r))
		return r
	}
	seeds := row("--time", "1x")
	assert.InDelta(t, 50, seeds.Coverage, 0.01, "2 of 4: no branch, and not what the set-up calls")
	campaign := row("--time", "3000x", "--keep")
	assert.Equal(t, 3000, campaign.Executions)
	assert.Positive(t, campaign.New)
	assert.Equal(t, 1, campaign.Kept)
	assert.InDelta(t, 75, campaign.Coverage, 0.01)
	assert.Positive(t, campaign.aMinute())
	again := row("--time", "1x", "--fresh")
	assert.Equal(t, campaign.Coverage, again.Coverage, "the kept input alone")
	assert.Zero(t, row("--time", "3000x", "--keep").Kept, "nothing is added to the kept one")
}

func TestAPackageThatDoesNotBuild(t *testing.T) {
	inExample(t)
	require.NoError(t, os.WriteFile("deep/p/p.go", []byte("package p\n\nfunc x() { y() }\n"), 0o644))
	code, _, stderr := called(t, "--fresh", "Nothing")
	assert.Equal(t, exitBroken, code)
	assert.Contains(t, stderr, "deep/p.FuzzNothing: the tests do not build")
	assert.Contains(t, stderr, "undefined: y")
}

func TestUsage(t *testing.T) {
	code, stdout, _ := called(t, "--help")
	assert.Equal(t, exitOK, code)
	assert.Equal(t, usage, stdout)
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"--time", "soon"}, `--time "soon": neither a time`},
		{[]string{"--time", "-1s"}, `--time "-1s": neither a time`},
		{[]string{"--time", "0x"}, `--time "0x": a count`},
		{[]string{"--parallel", "0"}, "--parallel 0"},
		{[]string{"a("}, `TARGET "a("`},
		{[]string{"--minimize"}, "not defined"},
	} {
		code, stdout, stderr := called(t, tc.args...)
		assert.Equal(t, exitUsage, code, tc.args)
		assert.Empty(t, stdout, tc.args)
		assert.Contains(t, stderr, tc.want, tc.args)
	}
	inExample(t)
	code, _, stderr := called(t, "FuzzOfNoPackage")
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, stderr, "no target")
}

func TestProfile(t *testing.T) {
	blocks, err := parseProfile("mode: atomic\na.go:1.2,3.4 2 0\na.go:1.2,3.4 2 7\nb.go:1.1,1.2 1 0\n")
	require.NoError(t, err)
	assert.Equal(t, map[string]block{"a.go:1.2,3.4": {2, 7}, "b.go:1.1,1.2": {1, 0}}, blocks)
	for _, wrong := range []string{"a.go:1.2,3.4 2\n", "a.go:1.2,3.4 x 1\n", "a.go:1.2,3.4 1 x\n"} {
		_, err := parseProfile(wrong)
		assert.Error(t, err, wrong)
	}
}

func TestWhatHangsIsEnded(t *testing.T) {
	// A shell's background jobs ignore SIGINT, and so would what they start.
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, syscall.SIGINT)
	defer signal.Stop(interrupts)
	for _, want := range []syscall.Signal{syscall.SIGQUIT, syscall.SIGINT} {
		t.Run(want.String(), func(t *testing.T) {
			ctx, patience := t.Context(), time.Millisecond
			command := exec.Command("sh", "-c", "sleep 1000; true")
			if want == syscall.SIGINT {
				canceled, cancel := context.WithCancel(ctx)
				defer cancel()
				ctx, patience = canceled, time.Hour
				// The outer shell waits for the inner one, which must end too. dash
				// loses an interrupt that comes while it starts a program, so the
				// interrupt waits for the inner shell's word.
				command = exec.Command("sh", "-c", "sh -c 'echo; exec sleep 1000'; true")
				command.Stdout = onWrite(cancel)
			} else {
				command.Stdout = new(bytes.Buffer)
			}
			err := inTime(ctx, command, patience)
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit)
			assert.Equal(t, want, exit.Sys().(syscall.WaitStatus).Signal())
		})
	}
}

// onWrite is called when something is written to it.
type onWrite func()

func (f onWrite) Write(b []byte) (int, error) {
	f()
	return len(b), nil
}

func TestBestTakesTheInputThatAddsMost(t *testing.T) {
	inputs := []map[string]bool{{"a": true, "b": true}, {"c": true}, {"c": true, "d": true}, {"d": true, "e": true}}
	which, gain := best(inputs, map[string]bool{"a": true, "b": true})
	assert.Equal(t, []int{2, 2}, []int{which, gain})
	_, gain = best(inputs[:1], inputs[0])
	assert.Zero(t, gain)
}
