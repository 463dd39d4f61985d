package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/faults/control"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/mssim"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// mssimWith starts swtpmd mssim on ports that are free, and waits for its ready line.
func mssimWith(t *testing.T, args ...string) *running {
	t.Helper()
	dir := transporttest.Dir(t)
	ctx, stop := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	r := &running{log: new(lockedBuffer), ended: make(chan int, 1), stop: stop}
	args = append([]string{"mssim", "--dir", dir, "--json", "--port=0"}, args...)
	go func() {
		code := daemonOf(ctx, args, cli.Streams{In: strings.NewReader(""), Out: writer, Err: r.log})
		writer.Close()
		r.ended <- code
	}()
	t.Cleanup(func() {
		stop()
		if t.Failed() {
			t.Log(r.log.String())
		}
	})
	line, err := bufio.NewReader(reader).ReadBytes('\n')
	require.NoError(t, err, r.log.String())
	require.NoError(t, json.Unmarshal(line, &r.ready))
	require.True(t, r.ready.Ready)
	return r
}

func dialMSSIM(t *testing.T, network, command string) *mssim.TPM {
	t.Helper()
	tpm, err := mssim.Dial(t.Context(), network, command)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, tpm.Close()) })
	return tpm
}

// answers sends a command and returns the response in hexadecimal digits.
func answers(t *testing.T, tpm *mssim.TPM, command string) string {
	t.Helper()
	response, err := tpm.Send(t.Context(), 0, transporttest.Hex(t, command))
	require.NoError(t, err)
	return hex.EncodeToString(response)
}

// A TPM comes late after POWER_ON, stays where a client says POWER_ON again, and a reset
// begins the next boot.
func TestMSSIMDefers(t *testing.T) {
	t.Parallel()
	r := mssimWith(t, "--defer-from=firmware", "--defer-until=late_sync")
	tpm := dialMSSIM(t, "tcp", r.ready.Command)
	require.NoError(t, tpm.Init())
	const failure, success = "80010000000a00000101", "80010000000a00000000"
	require.Equal(t, failure, answers(t, tpm, startupClear10))
	admin := control.NewClient(r.ready.Admin)
	status, err := admin.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, initcall.Firmware, status.Now.Level)
	_, err = admin.Advance(t.Context(), initcall.LateSync)
	require.NoError(t, err)
	require.NoError(t, tpm.Signal(t.Context(), mssim.CmdPowerOn))
	require.Equal(t, success, answers(t, tpm, startupClear10))
	require.NoError(t, tpm.Signal(t.Context(), mssim.CmdReset))
	require.Equal(t, failure, answers(t, tpm, startupClear10), "the next boot")
	r.log.until(t, "RESET on the platform port")
	require.NoError(t, dialMSSIM(t, "tcp", r.ready.Command).Stop())
	assert.Equal(t, exitOK, r.exitCode(t))
}

// The switches of the platform port change what the TPM answers.
func TestMSSIMSwitches(t *testing.T) {
	t.Parallel()
	r := mssimWith(t, "--flags=startup-clear")
	tpm := dialMSSIM(t, "tcp", r.ready.Command)
	require.True(t, tpm.Powered())
	_, flags, err := tpm.Handshake(t.Context())
	require.NoError(t, err)
	assert.Equal(t, mssim.PlatformAvailable|mssim.InRawMode|mssim.SupportsPP, flags, "as the reference server")

	// TPM2_NV_DefineSpace changes what is stored, TPM2_GetRandom does not.
	const define = "8002 0000002D 0000012A 40000001 00000009 40000009 0000 00 0000 0000 000E 01500016 000B 00020002 0000 0004"
	code := func(command string) string {
		t.Helper()
		return answers(t, tpm, command)[12:20]
	}
	tpm.SetNVAvailable(false)
	require.Equal(t, "00000923", code(define), "TPM_RC_NV_UNAVAILABLE")
	require.Equal(t, "00000000", code("8001 0000000C 0000017B 0008"))
	tpm.SetNVAvailable(true)
	require.Equal(t, "00000000", code(define))

	// TPM2_PP_Commands needs physical presence (Part 3).
	const ppCommands = "8002 00000023 0000012D 4000000C 00000009 40000009 0000 00 0000 00000000 00000000"
	require.Equal(t, "00000990", code(ppCommands)[:8], "TPM_RC_PP of session 1")
	tpm.SetPresence(true)
	require.Equal(t, "00000000", code(ppCommands))

	tpm.FailNextSelfTest()
	const selfTest = "8001 0000000B 00000143 01"
	require.Equal(t, "00000101", code(selfTest))
	require.Equal(t, "00000101", code("8001 0000000C 0000017B 0008"), "failure mode")
	require.NoError(t, tpm.Init())
	require.Equal(t, "00000000", code(startupClear10))
	require.Equal(t, "00000000", code(selfTest))

	// TPM2_CreatePrimary of an RSA key searches primes, and gives up.
	tpm.SetCancel(true)
	createPrimary := hex.EncodeToString(transport.NewCommand(transport.TagSessions, 0x131, transporttest.Hex(t,
		"40000001 00000009 40000009 0000 00 0000"+
			"0004 0000 0000 0018 0001 000B 00040072 0000 0010 0014 000B 0800 00000000 0000 0000 00000000")))
	require.Equal(t, "00000909", code(createPrimary))
	tpm.SetCancel(false)
	require.Equal(t, "00000000", code(createPrimary))
}

// One address serves clients of both protocols.
func TestMSSIMServesSwtpmsClients(t *testing.T) {
	t.Parallel()
	r := mssimWith(t)
	conn := func(address string) net.Conn {
		c, err := net.Dial("tcp", address)
		require.NoError(t, err)
		t.Cleanup(func() { c.Close() })
		require.NoError(t, c.SetDeadline(time.Now().Add(time.Minute)))
		return c
	}
	// As tcti-swtpm begins, and as its Reset.
	require.NoError(t, conn(r.ready.Command).Close())
	require.Equal(t, "00000000", asked(t, conn(r.ready.Platform), "00000005 00", 4))
	require.Equal(t, "00000000", asked(t, conn(r.ready.Platform), "00000002 00000001", 4))
	require.Equal(t, "80010000000a00000000", asked(t, conn(r.ready.Command), startupClear10, 10))
	// As tcti-mssim does, to the same TPM.
	tpm := dialMSSIM(t, "tcp", r.ready.Command)
	require.True(t, tpm.Powered())
	require.NoError(t, tpm.Signal(t.Context(), mssim.CmdPowerOn))
	require.Equal(t, "80010000000a00000100", answers(t, tpm, startupClear10), "it has been started")
}

func TestMSSIMAtAUnixSocket(t *testing.T) {
	t.Parallel()
	path := transporttest.SocketPath(t)
	r := mssimWith(t, "--unix="+path, "--flags=startup-clear")
	assert.Equal(t, "mssim:path="+path, r.ready.TCTI)
	assert.Equal(t, path+".ctrl", r.ready.Platform)
	tpm := dialMSSIM(t, "unix", path)
	assert.Equal(t, "80010000000a00000000", answers(t, tpm, "8001 0000000B 00000143 00"))
	r.stop()
	assert.Equal(t, exitOK, r.exitCode(t))
	assert.NoFileExists(t, path)
	assert.NoFileExists(t, path+".ctrl")
}

func TestMSSIMRefusals(t *testing.T) {
	for _, c := range []struct{ flag, says string }{
		{"--port=65535", "1 to 65534"},
		{"--port=x", "1 to 65534"},
		{"--bind=nonsense", "address in numbers"},
		{"--ctrl=type=tcp,port=1", "flag provided but not defined"},
		{"extra", "unexpected argument"},
	} {
		code, out, errs := called(t, "mssim", c.flag)
		assert.Equal(t, exitUsage, code, c.flag)
		assert.Empty(t, out)
		assert.Contains(t, errs, c.says, c.flag)
	}
	code, _, errs := called(t, "mssim", "--unix=x", "--bind=::1")
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, errs, "exclude each other")

	l, err := mssim.ListenTCP(t.Context(), 0, "127.0.0.1")
	require.NoError(t, err)
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Command[0].Addr().String())
	require.NoError(t, err)
	code, out, errs := called(t, "mssim", "--port", port)
	assert.Equal(t, exitFailed, code)
	assert.Empty(t, out, "not ready")
	assert.Contains(t, errs, "address already in use")
}

// What it prints can be pasted into a shell, for tpm2-tools and for IBM's TSS.
func TestMSSIMPrintsWhatToPaste(t *testing.T) {
	place := newShell(t)
	out := place.run(t, `swtpmd mssim -d --port=0 --dir="$PWD/m" --pid=file=m.pid --log=file=m.log --flags=startup-clear >ready
trap 'kill $(cat m.pid)' EXIT
. ./ready
echo "$TPM2TOOLS_TCTI $TPM_COMMAND_PORT"`)
	assert.Regexp(t, `mssim:host=127\.0\.0\.1,port=(\d+) \d+`, out)
	assert.Contains(t, out, "level    firmware", "swtpmd ctl status has run")
	place.isQuiet(t)
}

// The clients of others, where they are installed.
func TestMSSIMWithClientsOfOthers(t *testing.T) {
	t.Parallel()
	r := mssimWith(t)
	host, port, err := net.SplitHostPort(r.ready.Command)
	require.NoError(t, err)
	_, platform, err := net.SplitHostPort(r.ready.Platform)
	require.NoError(t, err)
	run := func(t *testing.T, name string, args ...string) string {
		t.Helper()
		path, err := exec.LookPath(name)
		if err != nil {
			t.Skipf("%s is not installed; scripts/test installs it", name)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, path, args...)
		cmd.Dir = t.TempDir()
		cmd.Env = append(os.Environ(), "TPM_INTERFACE_TYPE=socsim", "TPM_SERVER_TYPE=mssim", "TPM_SERVER_NAME="+host,
			"TPM_COMMAND_PORT="+port, "TPM_PLATFORM_PORT="+platform)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s %v: %s", name, args, out)
		return string(out)
	}
	t.Run("tpm2-tools by tcti-mssim", func(t *testing.T) {
		run(t, "tpm2_startup", "-T", r.ready.TCTI, "-c")
		assert.Len(t, run(t, "tpm2_getrandom", "-T", r.ready.TCTI, "--hex", "8"), 16)
	})
	t.Run("tpm2-tools by tcti-swtpm", func(t *testing.T) {
		tcti := "swtpm:host=" + host + ",port=" + port
		run(t, "tpm2_startup", "-T", tcti, "-c")
		assert.Len(t, run(t, "tpm2_getrandom", "-T", tcti, "--hex", "8"), 16)
	})
	t.Run("IBM's TSS", func(t *testing.T) {
		run(t, "tsspowerup")
		run(t, "tssstartup", "-c")
		assert.Contains(t, run(t, "tssgetrandom", "-by", "8"), "randomBytes length 8")
	})
}
