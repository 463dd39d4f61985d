package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/conform"
	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/transport/raw"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// conformReport is what the tests read of --json.
type conformReport struct {
	Target  string
	AsFound bool
	Totals  map[string]int
	Cases   []struct{ Name, Clause, Status, Why string }
}

func readReport(t *testing.T, data []byte) *conformReport {
	t.Helper()
	var report conformReport
	require.NoError(t, json.Unmarshal(data, &report), "%s", data)
	sum := 0
	for _, n := range report.Totals {
		sum += n
	}
	require.Equal(t, len(report.Cases), sum, "each case has a status")
	return &report
}

// Two ways to the same daemon: the reports of one are files, that of the other is stdout.
func TestConform(t *testing.T) {
	d := daemonWith(t, "--flags=startup-clear")
	dir := t.TempDir()
	object, junit, page := filepath.Join(dir, "r.json"), filepath.Join(dir, "r.xml"), filepath.Join(dir, "r.html")
	code, out, errs := called(t, "conform", "--target=swtpm:ctrl="+d.ready.Control, "--section=31.13", "--section", "swtpm", "--json="+object, "--junit", junit, "--html", page)
	assert.Equal(t, exitOK, code, "%s%s", out, errs)
	assert.Regexp(t, `(?m)^\d+ cases: \d+ pass, 0 fail, \d+ refused; \d+ commands in .* waiting for the TPM$`, out)
	assert.Contains(t, out, "the TPM is as it was found")
	assert.Empty(t, errs)
	data, err := os.ReadFile(object)
	require.NoError(t, err)
	report := readReport(t, data)
	assert.True(t, report.AsFound)
	assert.Equal(t, "swtpm:ctrl="+d.ready.Control, report.Target)
	assert.Greater(t, report.Totals["pass"], 20)
	for _, c := range report.Cases {
		assert.Contains(t, []string{"31.13", "swtpm_ioctls(3)"}, c.Clause)
	}
	var suite struct {
		Tests int `xml:"tests,attr"`
	}
	data, err = os.ReadFile(junit)
	require.NoError(t, err)
	require.NoError(t, xml.Unmarshal(data, &suite))
	assert.Equal(t, len(report.Cases), suite.Tests)
	data, err = os.ReadFile(page)
	require.NoError(t, err)
	assert.Contains(t, string(data), report.Cases[0].Name)

	code, out, _ = called(t, "conform", "--target=unix:"+d.ready.Data, "--run=before TPM2_Startup", "--destructive", "--json", "--quiet")
	assert.Equal(t, exitOK, code)
	other := readReport(t, []byte(out))
	assert.Equal(t, len(other.Cases), other.Totals["not supported"], "a socket of commands alone cannot reset: %v", other.Totals)

	code, out, _ = called(t, "conform", "--table", object)
	assert.Equal(t, exitOK, code)
	assert.Contains(t, out, "| Part 3, 31 |")
}

func TestConformLists(t *testing.T) {
	code, out, errs := called(t, "conform", "--list", "--section=31.13")
	assert.Equal(t, exitOK, code)
	assert.Empty(t, errs)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	for _, line := range lines {
		assert.Regexp(t, `^Part 3 31\.13 +NV_Read`, line)
	}
	code, out, _ = called(t, "conform", "--list", "--json", "--section=31.13")
	assert.Equal(t, exitOK, code)
	assert.Len(t, readReport(t, []byte(out)).Cases, len(lines))
}

func TestConformRefusesWrongCommandLines(t *testing.T) {
	d := daemonWith(t, "--flags=startup-clear")
	target := "--target=unix:" + d.ready.Data
	empty := filepath.Join(t.TempDir(), "empty.json")
	require.NoError(t, os.WriteFile(empty, []byte("{}"), 0o600))
	for _, c := range []struct {
		says string
		args []string
	}{
		{"no TPM is named", nil},
		{"is no address of a TPM", []string{"--target=tpm"}},
		{"--run: error parsing regexp", []string{target, "--run=("}},
		{"no case has such a name or section", []string{target, "--section=99"}},
		{"--timeout=0s is no time", []string{target, "--timeout=0s"}},
		{"--html: open /does/not/exist", []string{target, "--html=/does/not/exist"}},
		{"--json and --junit are both -", []string{target, "--json", "--junit=-"}},
		{"--owner-auth: open /does/not/exist", []string{target, "--owner-auth=file:/does/not/exist"}},
		{"--owner-auth: the authorization value that was given is of no use", []string{target, "--owner-auth=wrong"}},
		{"no report is named", []string{"--table"}},
		{"it has no cases", []string{"--table", empty}},
		{"is no report", []string{"--table", os.Args[0]}},
		{"unexpected argument", []string{target, "more"}},
		{"resource-manager", []string{target, "--resource-manager=perhaps"}},
	} {
		code, out, errs := called(t, append([]string{"conform"}, c.args...)...)
		assert.Equal(t, exitUsage, code, "%v", c.args)
		assert.Empty(t, out, "%v", c.args)
		assert.Contains(t, errs, c.says, "%v", c.args)
	}
}

// troubled is a TPM with which something happens before one of its commands.
type troubled struct {
	*emulator.TPM
	left  atomic.Int32 // commands up to that one
	event func(ctx context.Context)
}

// Send implements transport.Device.
func (d *troubled) Send(ctx context.Context, locality uint8, command []byte) ([]byte, error) {
	if d.left.Add(-1) == 0 {
		d.event(ctx)
	}
	return d.TPM.Send(ctx, locality, command)
}

// troubledTPM serves a TPM on a socket, and returns the flag that names it. With its
// command number after, event happens; without event its server dies.
func troubledTPM(t *testing.T, after int32, event func(context.Context)) (target string) {
	t.Helper()
	tpm, err := emulator.New(emulator.Platform{}, emulator.Config{})
	require.NoError(t, err)
	require.NoError(t, tpm.Init())
	d := &troubled{TPM: tpm, event: event}
	d.left.Store(after)
	path := filepath.Join(transporttest.Dir(t), "s")
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	server := raw.NewServer(d, raw.Options{})
	served, closed := make(chan error, 1), make(chan struct{})
	end := sync.OnceFunc(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // what hangs is given up
		_ = server.Close(ctx)
		close(closed)
	})
	if event == nil {
		d.event = func(context.Context) {
			go end()
			<-closed // the connection too: no answer, not even that of a server that ends
		}
	}
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		end()
		transporttest.Receive(t, closed)
		transporttest.Receive(t, served)
	})
	return "--target=unix:" + path
}

// A TPM that gets into failure mode fails the one case, and is asked no other, unless the run may
// reset it.
func TestConformOfATPMInFailureMode(t *testing.T) {
	section := "--section=31.7"
	d := daemonWith(t, "--flags=startup-clear", "--fault=NV_Write#2-: rc=TPM_RC_FAILURE", "--fault=ReadClock: rc=TPM_RC_FAILURE")
	code, out, errs := called(t, "conform", "--target=unix:"+d.ready.Data, section, "--json", "--quiet")
	assert.Equal(t, conform.ExitGone, code)
	assert.Regexp(t, `the TPM is in failure mode since the case "NV_Write.*reset it`, errs)
	report := readReport(t, []byte(out))
	assert.Equal(t, 1, report.Totals["fail"])
	assert.Greater(t, report.Totals["not run"], 10)

	d = daemonWith(t, "--flags=startup-clear", "--fault=NV_Write#2: store=fail")
	code, out, _ = called(t, "conform", "--target=swtpm:ctrl="+d.ready.Control, section, "--destructive", "--quiet")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, out, "got TPM_RC_FAILURE, 0x101; the TPM was in failure mode then, and was reset")
	assert.Contains(t, out, " 1 fail")
	assert.NotContains(t, out, "not run")
}

// An interrupted run says so, and leaves the TPM as it was found.
func TestConformIsInterrupted(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	target := troubledTPM(t, 400, func(context.Context) { interrupt() })
	var out, errs bytes.Buffer
	code := run(ctx, []string{"conform", target, "--json"}, cli.Streams{In: strings.NewReader(""), Out: &out, Err: &errs}, nil)
	assert.Equal(t, exitFailed, code)
	assert.Regexp(t, `interrupted after \d+ of \d+ cases`, errs.String())
	report := readReport(t, out.Bytes())
	assert.True(t, report.AsFound)
	assert.Greater(t, report.Totals["pass"], 10)
	assert.Greater(t, report.Totals["not run"], 1000)
	assert.Zero(t, report.Totals["fail"])

	code, text, _ := called(t, "conform", target, "--section=31.13", "--quiet")
	assert.Equal(t, exitOK, code, "nothing of the run before is in the way: %s", text)
}

// A TPM that is lost is the failure of the case that was asked, whose name is told.
func TestConformLosesTheTPM(t *testing.T) {
	for _, c := range []struct {
		name, says string
		after      int32
		event      func(context.Context)
	}{
		{"it dies", `the TPM is gone: TPM2_\w+ in the case "`, 200, nil},
		{"it hangs", `the TPM did not answer within 5s \(see --timeout\): TPM2_\w+ in the case "`, 200, func(ctx context.Context) { <-ctx.Done() }},
		{"it is none", `nothing answers there as a TPM: TPM2_Startup`, 1, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			code, out, errs := called(t, "conform", troubledTPM(t, c.after, c.event), "--section=31", "--timeout=5s", "--json", "--quiet")
			assert.Equal(t, conform.ExitGone, code)
			assert.Regexp(t, c.says, errs)
			if c.after == 1 {
				assert.Empty(t, out)
				return
			}
			report := readReport(t, []byte(out))
			assert.False(t, report.AsFound)
			assert.Equal(t, 1, report.Totals["fail"])
		})
	}
}

func TestConformCannotReachATPM(t *testing.T) {
	for target, says := range map[string]string{
		"unix:/does/not/exist": "nothing listens there", "mssim:path=/does/not/exist": "nothing listens there",
		"/dev/does-not-exist": "the kernel has no TPM there",
	} {
		code, out, errs := called(t, "conform", "--target="+target)
		assert.Equal(t, conform.ExitGone, code, target)
		assert.Empty(t, out, target)
		assert.Contains(t, errs, says, target)
	}
}
