package tour

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestChaptersProveSomethingAboutEveryTool(t *testing.T) {
	t.Parallel()
	chapters, err := Chapters()
	require.NoError(t, err)
	tools := Tools(chapters)
	assert.GreaterOrEqual(t, len(tools), 100)
	for _, tool := range tools {
		assert.True(t, strings.HasPrefix(tool, "tpm2_"), tool)
	}
	for _, chapter := range chapters {
		assert.NotEmpty(t, chapter.Steps, chapter.Name)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, want string }{
		{"tpm2_getrandom 8", `t.txt:1: a line before the first step`},
		{"# comment\n\nstep tpm2_getrandom", `t.txt:3: a step is`},
		{"step tpm2_x: y\nsudo tpm2_x", `t.txt:2: "sudo tpm2_x" is neither an act nor a program`},
		{"step tpm2_x: y\nfails 0x1 sudo", `"fails 0x1 sudo" is neither`},
		{"step tpm2_x: y\nfails 0x1", `"fails 0x1" is neither`},
		{"step tpm2_x: y\nsame one", `it is: same FILE FILE`},
		{"step tpm2_x: y\nis one 00 01", `it is: is FILE HEX`},
		{"step tpm2_x: y\nwrite one 'two", `a quote is not closed`},
		{"step tpm2_x: y\ntpm2_x\nwrite one two", `step "y" looks at nothing`},
		{"step tpm2_x: y\nsame one two", `step "y" does not run tpm2_x`},
		{"step tpm2_x,tpm2_z: y\nfails 0x1 tpm2_x", `step "y" does not run tpm2_z`},
		{"step tpm2_x: y\ntpm2_x\nprints a\nstep tpm2_z: w\ntpm2_z", `step "w" looks at nothing`},
	} {
		_, err := Parse("t.txt", c.text)
		var wrong *ScriptError
		require.ErrorAs(t, err, &wrong, c.text)
		assert.Contains(t, err.Error(), c.want)
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	chapter, err := Parse("nv.txt", "# c\nstep tpm2_a,tpm2_b: it: works\n  tpm2_a 'x  y' \"|\"\nreset\nfails 0x1 from f keep tpm2_b\n")
	require.NoError(t, err)
	assert.Equal(t, "nv", chapter.Name)
	require.Len(t, chapter.Steps, 1)
	step := chapter.Steps[0]
	assert.Equal(t, []string{"tpm2_a", "tpm2_b"}, step.Tools)
	assert.Equal(t, "it: works", step.Proves)
	assert.True(t, step.Resets)
	assert.Equal(t, line{"nv.txt", 3, []string{"tpm2_a", "x  y", "|"}}, step.lines[0])
	m, words := manners(step.lines[2].words)
	assert.Equal(t, manner{fails: "0x1", from: "f", keep: true}, m)
	assert.Equal(t, []string{"tpm2_b"}, words)
}

func TestSays(t *testing.T) {
	t.Parallel()
	const said = "ErrorCode (0x0000099d)\nERROR: Esys_Unseal(0x99D) - tpm:session(1):a policy check failed"
	for _, c := range []struct {
		want string
		says bool
	}{
		{"0x99D", true}, {"0x99d", true}, {"0x099D", true}, {"policy check", true}, {"(0x99", true},
		{"0x99", false}, {"0x9D", false}, {"0x19D", false}, {"Policy", false},
	} {
		assert.Equal(t, c.says, says(said, c.want), c.want)
	}
	assert.True(t, says("Esys Finish ErrorCode (0x00000282)", "0x282"), "not every tool prints the short form")
}

// TestActs runs acts and openssl, and no TPM.
func TestActs(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed (Debian package openssl); scripts/test installs it")
	}
	for _, c := range []struct{ lines, fails string }{
		{"write a 'x y'\nbytes b 782079\nsame a b\nis a 782079\nsize a 3\nhas a 2079 78", ""},
		{"write a x\nwrite b y\nsame a b", "they differ: 78 and 79"},
		{"write a x\nwrite b y\ndiffers a b", ""},
		{"write a x\nwrite b x\ndiffers a b", "both are 78"},
		{"write a x\nis a 79", "it is 78"},
		{"write a x\nis a zz", "it is 78"},
		{"write a x\nsize a 2", "it has 1 bytes: 78"},
		{"write a x\nhas a 79", "79 is not in 78"},
		{"bytes a 000000\nzeros a 3", ""},
		{"bytes a 000001\nzeros a 3", "it is 000001"},
		{"bytes a 000000\nzeros a 2", "it is 000000"},
		{"bytes a 0102\nbytes b ff\nmore a b 3\nmore b a -3", ""},
		{"bytes a 0102\nbytes b ff\nmore a b 2", "it is 3 more"},
		{"bytes a xy", "invalid byte"},
		{"write a abc\nwrite b de\njoin c a b a\nslice d c 2 6\nslice e c 5\nwrite want cdea\nsame d want\nsame e a", ""},
		{"write a abc\nslice b a 2 4", "it has 3 bytes only"},
		{"write a abc\nslice b a 3 2", "it has 3 bytes only"},
		{"bytes a 0001\nflip a 0\nis a 0101\nflip a 2", "it has 2 bytes only"},
		{"write a abc\nopenssl dgst -sha256 -r a\nlet SUM '^([0-9a-f]{64})'\nopenssl dgst -sha256 -binary -out b a\nis b {SUM}\nopenssl dgst -sha256 -r a\nprints {hex:b} *a\nsilent {HEX:b}", ""},
		{"openssl version\nlet NUMBER 'LibreSSL ([0-9])'", "not found; it printed:\nOpenSSL"},
		{"openssl version\nprints LibreSSL", `not printed: ["LibreSSL"]; it printed:` + "\nOpenSSL"},
		{"openssl version\nsilent OpenSSL", `printed: ["OpenSSL"]`},
		{"write a abc\nopenssl enc -base64 -in a\nprints YWJj\nwrite b {size:a}{NONE}\nwrite c 3{NONE}\nsame b c", ""},
		{"from a openssl dgst -sha256", "no such file"},
		{"write a abc\nfrom a openssl enc -base64\nprints YWJj", ""},
		{"openssl nothing", "exit status 1"},
		{"fails nothing openssl nothing", ""},
		{"fails something openssl nothing", "exit status 1"},
		{"fails OpenSSL openssl version", "it succeeded"},
		{"eventually openssl version\nprints OpenSSL", ""},
		{"is {hex:none} 00", "no such file"},
	} {
		chapter, err := Parse("t.txt", "step openssl: it\nopenssl version\nprints OpenSSL\n"+c.lines)
		require.NoError(t, err, c.lines)
		r := &run{dir: t.TempDir(), names: map[string]string{}}
		err = r.step(context.Background(), chapter.Steps[0])
		if c.fails == "" {
			assert.NoError(t, err, c.lines)
		} else {
			assert.ErrorContains(t, err, c.fails, c.lines)
		}
	}
}

// TestEventuallyRepeats runs a program that fails the first time.
func TestEventuallyRepeats(t *testing.T) {
	t.Parallel()
	r := &run{dir: t.TempDir()}
	program := r.path("program")
	require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\n[ -e ran ] && echo again || { >ran; exit 1; }\n"), 0o700))
	require.NoError(t, r.repeat(context.Background(), manner{}, []string{program}))
	out, err := r.read("stdout")
	require.NoError(t, err)
	assert.Equal(t, "again\n", string(out))

	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\nexit 3\n"), 0o700))
	assert.Error(t, r.repeat(ctx, manner{}, []string{program}), "what never succeeds ends with the context")
}
