package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/rundir"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/verify"
)

// asProgram makes the test binary behave as swtpmd, for tests that need a
// process of its own.
const asProgram = "SWTPMD_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

const (
	exitOK         = cli.ExitOK
	exitFailed     = cli.ExitFailed
	exitUsage      = cli.ExitUsage
	exitCannotTell = verify.ExitCannotTell
	exitRejected   = verify.ExitRejected
)

// calledTime ends a daemon that should have refused to start.
const calledTime = 2 * time.Minute

// called runs swtpmd to its end and gives exit code, stdout and stderr.
func called(t *testing.T, args ...string) (int, string, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), calledTime)
	defer cancel()
	var out, errs bytes.Buffer
	code := run(ctx, args, cli.Streams{In: strings.NewReader(""), Out: &out, Err: &errs}, nil)
	return code, out.String(), errs.String()
}

func TestWrongCommandLines(t *testing.T) {
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"serve"}, "the commands are boot, campaign, chardev, commands, completion, conform, ctl, cuse, "},
		{[]string{"--defer-until=latest"}, "late_sync, userspace"},
		{[]string{"--nonsense"}, "see swtpmd --help; the flags are --admin, --backend, --busy-poll, --chroot, --console, --console-log, --core-dumps, --ctrl"},
		{[]string{"ctl", "--nonsense"}, "the flags are --admin, "},
		{[]string{"extra", "words"}, "unknown command"},
		{[]string{"--json", "extra"}, `unexpected argument "extra"`},
		{[]string{"--defer-until=late", "--console=tcp:1"}, "unix:PATH"},
		{[]string{"--defer-until=late", "--marker=late"}, "LEVEL=FUNCTION"},
		{[]string{"--defer-until=late", "--timeline=/does/not/exist"}, "builtin"},
		{[]string{"socket"}, "add --tpm2"},
		{[]string{"socket", "--tpm2"}, "add --ctrl"},
		{[]string{"socket", "--tpm2", "--ctrl", "type=unixio,path=x", "--dir=/x"}, "without the word socket"},
		{[]string{"socket", "--tpm2", "--ctrl", "type=unixio,path=x", "--defer-until=late"}, "add --console"},
		{[]string{"socket", "--tpm2", "--ctrl", "type=unixio,path=x", "more"}, "unexpected argument"},
		{[]string{"commands", "--format=xml"}, "table or json"},
		{[]string{"commands", "GetRandom"}, "unexpected argument"},
		{[]string{"measure", "--profile=tiny", "--tpm=/dev/tpm0", "x"}, "leave out one of the two"},
		{[]string{"--profile=laptop"}, "choose default, hardware-like, pc-client, roomy, tiny"},
		{[]string{"--profile=tiny", "--profile=default"}, "there is one already, tiny"},
		{[]string{"boot", "--profile=./not-there.profile"}, "not-there.profile"},
		{[]string{"ctl"}, "name a command: add, advance, disable, enable, events, fleet, journal"},
		{[]string{"ctl", "--json"}, "there is no command"},
		{[]string{"ctl", "reboot", "--json"}, `"reboot" is not a command`},
		{[]string{"ctl", "advance"}, "advance needs a word after it"},
		{[]string{"ctl", "add", "--json"}, "add needs a word after it"},
		{[]string{"ctl", "power", "on", "off"}, `power: unexpected argument "off"`},
		{[]string{"--fault=x for flag -y"}, `invalid value "x for flag -y" for flag --fault: column `},
		{[]string{"campaign", "--json=maybe"}, `invalid boolean value "maybe" for --json`},
		{[]string{"--fault"}, "flag needs an argument: --fault"},
		{[]string{"ctl", "status", "--nonsense"}, "the flags are --admin, "},
		{[]string{"--while-deferred=hold"}, "nothing is deferred, and --while-deferred would do nothing"},
		{[]string{"--defer-from=core", "--hold-max=1s", "--defer-boots=2", "--marker=late=f"}, "add --defer-until=LEVEL"},
		{[]string{"socket", "--tpm2", "--ctrl", "type=unixio,path=x", "--defer-from=core"}, "add --defer-until=LEVEL"},
		{[]string{"boot", "--while-deferred=retry"}, "add --defer-until=LEVEL"},
		{[]string{"matrix", "--defer-from=core"}, "add --defer-until=LEVEL"},
		{[]string{"--defer-until=late", "--defer-boots=-1"}, "in the first N boots only, or 0 for every boot"},
		{[]string{"--defer-until=late", "--timeline=builtin", "--marker=late=f"}, "leave out one of the two"},
		{[]string{"--fault=GetRandom"}, `a rule is what it is for, ": " and a fault`},
		{[]string{"--fault=GetRandom: fly"}, "column 12: "},
		{[]string{"boot", "--fault=*: rc=RETRY", "--fault=GetRandom: pass"}, `--fault "GetRandom: pass": it is never asked`},
		{[]string{"--plan=/does/not/exist"}, "no such file"},
		{[]string{"--fault-seed=1"}, "add --fault=RULE or --plan=FILE"},
		{[]string{"socket", "--tpm2", "--ctrl", "type=unixio,path=x", "--fault=level=late: rc=RETRY"}, "add --console"},
		{[]string{"--console=-"}, "a --fault with level="},
		{[]string{"ctl", "--admin=/x", "advance", "latest"}, "late_sync, userspace"},
	} {
		code, out, errs := called(t, c.args...)
		assert.Equal(t, exitUsage, code, "%v", c.args)
		assert.Empty(t, out, "%v", c.args)
		assert.Contains(t, errs, c.says, "%v", c.args)
	}
}

func TestHelpNamesEveryCommand(t *testing.T) {
	_, out, _ := called(t, "--help")
	for _, c := range subcommands(nil) {
		if c.Name != "" {
			assert.Contains(t, out, "\n       swtpmd "+c.Name+" ")
		}
	}
}

func TestHelpAndVersionGoToStdout(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"-h"}, {"socket", "--help"}, {"chardev", "--help"}, {"cuse", "--help"}, {"ctl", "--help"}, {"commands", "--help"}, {"--version"}, {"--profiles"}} {
		code, out, errs := called(t, args...)
		assert.Equal(t, exitOK, code, "%v", args)
		assert.NotEmpty(t, out, "%v", args)
		assert.Empty(t, errs, "%v", args)
	}
}

func TestCtlWithoutADaemon(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	t.Setenv("SWTPMD_ADMIN", "")
	code, _, errs := called(t, "ctl", "status")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errs, "--admin")
	code, _, errs = called(t, "ctl", "--admin", t.TempDir()+"/none", "status")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errs, "/none")
}

func TestASocketThatIsTakenIsRefused(t *testing.T) {
	dir := t.TempDir()
	path := dir + "/" + rundir.Control
	require.NoError(t, os.WriteFile(path, []byte("precious"), 0o600))
	code, out, errs := called(t, "--dir", dir)
	assert.Equal(t, exitFailed, code)
	assert.Empty(t, out, "not ready")
	assert.Contains(t, errs, path)
	kept, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, "precious", string(kept))
}

func TestInterruptEndsTheDaemon(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	var out, errs bytes.Buffer
	code := run(ctx, []string{"--dir", dir, "--json"}, cli.Streams{In: strings.NewReader(""), Out: &out, Err: &errs}, nil)
	assert.Equal(t, exitOK, code, errs.String())
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, left, "every socket is gone")
}

// built builds swtpmd as it is shipped, without cgo.
func built(t *testing.T, flags ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "swtpmd")
	cmd := exec.CommandContext(t.Context(), "go", append(append([]string{"build", "-o", path}, flags...), ".")...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	said, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", said)
	return path
}
