package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/capture"
	"github.com/swtpmd/swtpmd/transport/dial"
	"github.com/swtpmd/swtpmd/transport/swtpm"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// exchanges reads a capture.
func exchanges(t *testing.T, name string) (list []capture.Exchange) {
	t.Helper()
	file, err := os.Open(name)
	require.NoError(t, err)
	defer file.Close()
	r := capture.NewReader(file)
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			assert.Zero(t, r.Lost())
			return list
		}
		require.NoError(t, err)
		list = append(list, *e)
	}
}

// codeOf sends a command to a TPM and returns the response code.
func codeOf(t *testing.T, address string, locality uint8, command []byte) wire.RC {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tpm, err := dial.Dial(ctx, address)
	require.NoError(t, err)
	response, err := tpm.Send(ctx, locality, command)
	require.NoError(t, err)
	require.NoError(t, tpm.Close())
	return wire.RC(transport.ResponseCode(response))
}

var (
	getEight = transport.NewCommand(transport.TagNoSessions, uint32(wire.CCGetRandom), []byte{0, 8})
	selfTest = transport.NewCommand(transport.TagNoSessions, uint32(wire.CCSelfTest), []byte{0})
)

// What the daemon sends itself is in the capture and the trace, what a deferral answers
// is marked, and a second daemon appends to both.
func TestPcapAndTrace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pcap, line := filepath.Join(dir, "a.pcapng"), filepath.Join(dir, "trace")
	for run := range 2 {
		d := daemonWith(t, "--flags=startup-clear", "--defer-until=late", "--defer-from=core", "--pcap=file="+pcap+",mode=0640", "--trace="+line)
		address := "swtpm:path=" + d.ready.Data
		require.Equal(t, wire.RCSuccess, codeOf(t, address, 3, getEight))
		code, _, errs := called(t, "ctl", "--admin="+d.ready.Admin, "advance", "core")
		require.Equal(t, exitOK, code, errs)
		require.Equal(t, wire.RCFailure, codeOf(t, address, 0, selfTest))
		d.stop()
		require.Equal(t, exitOK, d.exitCode(t))

		list := exchanges(t, pcap)
		require.Len(t, list, 3*(run+1))
		startup, random, late := list[3*run], list[3*run+1], list[3*run+2]
		assert.True(t, startup.Own)
		assert.Equal(t, getEight, random.Command)
		assert.EqualValues(t, 3, random.Locality)
		assert.Len(t, random.Response, 20)
		assert.False(t, random.Synthetic || random.Own)
		assert.Equal(t, selfTest, late.Command)
		assert.True(t, late.Synthetic)
	}
	text, err := os.ReadFile(line)
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	require.Len(t, lines, 6)
	assert.Regexp(t, `^\S+ TPM2_Startup\(\) -> TPM_RC_SUCCESS \(0x000\) sent=12 received=10 took=\S+ own$`, lines[0])
	assert.Regexp(t, `^\S+ TPM2_GetRandom\(\) -> TPM_RC_SUCCESS \(0x000\) sent=12 received=20 took=\S+ locality=3$`, lines[1])
	assert.Regexp(t, `^\S+ TPM2_SelfTest\(\) -> TPM_RC_FAILURE \(0x101\) sent=11 received=10 took=\S+ unseen$`, lines[5])
	info, err := os.Stat(pcap)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o640), info.Mode().Perm()|0o640, "umask takes from it only")

	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip("tshark is not installed; scripts/setup installs it")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "tshark", "-r", pcap, "-T", "fields", "-e", "tpm.req.cc", "-Y", "tpm.req.cc").Output()
	require.NoError(t, err)
	assert.Equal(t, strings.Repeat("0x00000144\n0x0000017b\n0x00000143\n", 2), string(out))
}

// A trace on stdout comes after the ready line.
func TestTraceOnStdout(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "d")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	ctx, stop := context.WithCancel(t.Context())
	out, ended := new(lockedBuffer), make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"--dir", dir, "--json", "--flags=startup-clear", "--trace=-"},
			cli.Streams{In: strings.NewReader(""), Out: out, Err: io.Discard}, nil)
	}()
	out.until(t, "TPM2_Startup")
	require.Equal(t, wire.RCSuccess, codeOf(t, "unix:"+filepath.Join(dir, "tpm.sock"), 0, getEight))
	text := out.until(t, "TPM2_GetRandom")
	stop()
	require.Equal(t, exitOK, transporttest.Receive(t, ended))
	lines := strings.Split(strings.TrimSpace(text), "\n")
	require.Len(t, lines, 3)
	assert.True(t, json.Valid([]byte(lines[0])), "the ready line comes first")
}

// Another TPM is served through the daemon: with faults, levels and a capture in front of
// it, by each protocol.
func TestBackend(t *testing.T) {
	t.Parallel()
	behind := daemonWith(t, "--flags=startup-clear")
	pcap := filepath.Join(t.TempDir(), "b.pcapng")
	for _, backend := range []string{"unix:" + behind.ready.Data, "unix://" + behind.ready.Data + "?single", "swtpm:path=" + behind.ready.Data, "swtpm:ctrl=" + behind.ready.Control} {
		d := daemonWith(t, "--backend="+backend, "--defer-until=late", "--defer-from=firmware", "--pcap=file="+pcap+",truncate")
		assert.Equal(t, backend, d.ready.Backend)
		address := "unix:" + d.ready.Data
		require.Equal(t, wire.RCFailure, codeOf(t, address, 0, getEight), backend)
		code, _, errs := called(t, "ctl", "--admin="+d.ready.Admin, "advance", "late")
		require.Equal(t, exitOK, code, errs)
		require.Equal(t, wire.RCSuccess, codeOf(t, address, 0, getEight), backend)
		code, out, errs := called(t, "ctl", "--admin="+d.ready.Admin, "--json", "status")
		require.Equal(t, exitOK, code, errs)
		var status struct {
			Powered bool
			Now     struct{ Boot int }
		}
		require.NoError(t, json.Unmarshal([]byte(out), &status))
		assert.True(t, status.Powered, backend)
		assert.Equal(t, 1, status.Now.Boot, backend)
		code, out, errs = called(t, "ctl", "--admin="+d.ready.Admin, "pcrs")
		require.Equal(t, exitOK, code, errs)
		assert.Contains(t, out, "sha256")
		d.stop()
		require.Equal(t, exitOK, d.exitCode(t))
		list := exchanges(t, pcap)
		require.Greater(t, len(list), 3, backend)
		assert.True(t, list[0].Synthetic)
		assert.False(t, list[1].Synthetic)
		assert.True(t, list[2].Own, "ctl pcrs")
	}
}

// GET_INFO is asked of a swtpm behind, and of nothing else.
func TestInfoOfABackend(t *testing.T) {
	t.Parallel()
	behind := daemonWith(t, "--flags=startup-clear", "--profile=tiny")
	ask := func(control string) ([]byte, error) {
		c, err := swtpm.DialControl(t.Context(), "unix", control)
		require.NoError(t, err)
		defer c.Close()
		return c.InfoText(t.Context(), swtpm.InfoSpecification|swtpm.InfoAttributes|swtpm.InfoActiveProfile)
	}
	want, err := ask(behind.ready.Control)
	require.NoError(t, err)
	require.Contains(t, string(want), "tiny")
	front := daemonWith(t, "--backend=swtpm:path="+behind.ready.Data)
	got, err := ask(front.ready.Control)
	require.NoError(t, err)
	assert.Equal(t, string(want), string(got))
	unknown := daemonWith(t, "--backend=unix:"+behind.ready.Data)
	_, err = ask(unknown.ready.Control)
	var refused *swtpm.ResultError
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, swtpm.SizeError, refused.Result)
}

// The guest's power is that of the TPM behind, where the protocol has it, and --flags
// does there what it does with our own.
func TestPowerOfABackend(t *testing.T) {
	t.Parallel()
	behind := daemonWith(t)
	front := daemonWith(t, "--backend=swtpm:path="+behind.ready.Data, "--flags=startup-clear")
	require.Equal(t, wire.RCSuccess, codeOf(t, "unix:"+front.ready.Data, 0, getEight))
	require.Equal(t, wire.RCSuccess, codeOf(t, "unix:"+behind.ready.Data, 0, getEight))

	again := daemonWith(t, "--backend=unix:"+behind.ready.Data, "--flags=startup-clear")
	assert.Contains(t, again.log.until(t, "started up before"), "no switch")
}

func TestBackendsAndCapturesThatAreRefused(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Symlink("/dev/null", filepath.Join(dir, "link")))
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--backend=cloud"}, exitUsage, "unix:PATH"},
		{[]string{"--backend=unix:/a", "--backend=unix:/b"}, exitUsage, "there is one already"},
		{[]string{"--backend=unix:/a", "--state=" + dir}, exitUsage, "keeps its state itself; leave out one of the two"},
		{[]string{"--backend=unix:/a", "--profile=tiny"}, exitUsage, "leave out one of the two"},
		{[]string{"--backend=unix:" + dir + "/none"}, exitFailed, "nothing listens there"},
		{[]string{"--pcap="}, exitUsage, "it needs a file"},
		{[]string{"--pcap=file=a,speed=1"}, exitUsage, "unknown word"},
		{[]string{"--pcap=file=a,fd=3"}, exitUsage, "either file= or fd="},
		{[]string{"--pcap=file=a,mode=9"}, exitUsage, "octal"},
		{[]string{"--pcap=" + filepath.Join(dir, "link")}, exitUsage, "no regular file"},
		{[]string{"--pcap=" + dir}, exitUsage, "no regular file"},
		{[]string{"--pcap=" + dir + "/none/a"}, exitFailed, "--pcap: open"},
		{[]string{"--trace=" + dir + "/none/a"}, exitFailed, "--trace: open"},
		{[]string{"--trace=-", "--daemon"}, exitUsage, "name a file"},
		{[]string{"--pcap=fd=999"}, exitFailed, "open it for swtpmd, as with 999>FILE"},
	} {
		code, out, errs := called(t, c.args...)
		assert.Equal(t, c.code, code, "%v: %s", c.args, errs)
		assert.Empty(t, out, "%v", c.args)
		assert.Contains(t, strings.ReplaceAll(errs, "\nhint: ", "; "), c.says, "%v", c.args)
	}
}
