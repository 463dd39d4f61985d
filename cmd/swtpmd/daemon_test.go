package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/daemon"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/control"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// running is a daemon in this process.
type running struct {
	ready daemon.Ready
	log   *lockedBuffer
	ended chan int
	stop  context.CancelFunc
}

// exitCode waits for the end of the daemon and returns its exit code.
func (r *running) exitCode(t *testing.T) int {
	t.Helper()
	return transporttest.Receive(t, r.ended)
}

// lockedBuffer is a log that a test reads while the daemon writes.
type lockedBuffer struct {
	mu     sync.Mutex
	buf    bytes.Buffer
	closed chan struct{} // by the next write; nil while nobody waits
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed != nil {
		close(b.closed)
		b.closed = nil
	}
	return b.buf.Write(p)
}

// until waits until the log has the text, and returns it all.
func (b *lockedBuffer) until(t *testing.T, text string) string {
	t.Helper()
	expired := time.After(time.Minute)
	for {
		b.mu.Lock()
		all := b.buf.String()
		if b.closed == nil {
			b.closed = make(chan struct{})
		}
		next := b.closed
		b.mu.Unlock()
		if strings.Contains(all, text) {
			return all
		}
		select {
		case <-next:
		case <-expired:
			require.Contains(t, all, text, "the log, after half a minute")
		}
	}
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// testedProgram names the environment variable with a swtpmd to test in the place
// of the daemon in this process.
const testedProgram = "SWTPMD_TEST_PROGRAM"

// daemonWith starts a daemon and waits for its ready line.
func daemonWith(t *testing.T, args ...string) *running {
	t.Helper()
	dir, err := os.MkdirTemp("", "d") // short: a socket's path has 107 bytes
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	ctx, stop := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	r := &running{log: new(lockedBuffer), ended: make(chan int, 1), stop: stop}
	args = append([]string{"--dir", dir, "--json"}, args...)
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

// daemonOf is run in this process or in the one of testedProgram.
func daemonOf(ctx context.Context, args []string, s cli.Streams) int {
	path := os.Getenv(testedProgram)
	if path == "" {
		return run(ctx, args, s, nil)
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.In, s.Out, s.Err
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	_ = cmd.Run()
	return cmd.ProcessState.ExitCode()
}

func connect(t *testing.T, path string) net.Conn {
	t.Helper()
	conn, err := net.Dial("unix", path)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(time.Minute)))
	return conn
}

// asked sends bytes and reads an answer of n bytes.
func asked(t *testing.T, conn net.Conn, request string, n int) string {
	t.Helper()
	answer, err := exchange(conn, request, n)
	require.NoError(t, err, request)
	return answer
}

// askAtOnce is ask in a goroutine, of which the test receives the answer.
func askAtOnce(conn net.Conn, request string, n int) <-chan string {
	answer := make(chan string, 1)
	go func() {
		response, err := exchange(conn, request, n)
		if err != nil {
			response = err.Error()
		}
		answer <- response
	}()
	return answer
}

func exchange(conn net.Conn, request string, n int) (string, error) {
	bytes, err := hex.DecodeString(strings.ReplaceAll(request, " ", ""))
	if err != nil {
		return "", err
	}
	if _, err := conn.Write(bytes); err != nil {
		return "", err
	}
	answer := make([]byte, n)
	_, err = io.ReadFull(conn, answer)
	return hex.EncodeToString(answer), err
}

const (
	cmdInit     = "00000002 00000000"
	cmdShutdown = "00000003"
	cmdStop     = "0000000e"

	startupClear10 = "8001 0000000c 00000144 0000"
	selfTest10     = "8001 0000000b 00000143 00"
)

// guest writes console lines and waits until the clock has taken the last.
func guest(t *testing.T, console net.Conn, admin *control.Client, level initcall.Level, lines ...string) {
	t.Helper()
	for _, line := range lines {
		_, err := io.WriteString(console, line+"\r\n")
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool {
		status, err := admin.Status(t.Context())
		return err == nil && status.Now.Level == level
	}, time.Minute, time.Millisecond)
}

// consoleUntil returns the lines of a real boot's console after the one that has from
// in it, up to the next one that has until.
func consoleUntil(t *testing.T, from, until string) []string {
	t.Helper()
	text, err := os.ReadFile("../../faults/initcall/testdata/x86_64-debian-6.1-tpm-on-time.log")
	require.NoError(t, err)
	lines := strings.Split(string(text), "\n")
	has := func(what string) func(string) bool {
		return func(line string) bool { return strings.Contains(line, what) }
	}
	lines = lines[slices.IndexFunc(lines, has(from))+1:]
	return lines[:slices.IndexFunc(lines, has(until))+1]
}

func TestDaemonHoldsTheTPMBackUntilTheGuestIsThere(t *testing.T) {
	d := daemonWith(t, "--defer-until=late_sync")
	ctrl, data := connect(t, d.ready.Control), connect(t, d.ready.Data)
	console, admin := connect(t, d.ready.Console), control.NewClient(d.ready.Admin)

	assert.Equal(t, "80010000000a00000101", asked(t, data, selfTest10, 10), "no INIT yet")
	d.log.until(t, "--flags=startup-clear needs none")
	assert.Equal(t, "00000000", asked(t, ctrl, cmdInit, 4))
	assert.Equal(t, "80010000000a00000000", asked(t, data, startupClear10, 10), "firmware finds the TPM")

	guest(t, console, admin, initcall.Kernel, "[    0.000000] Linux version 6.1.0 (x@y) (gcc) #1 SMP")
	assert.Equal(t, "80010000000a00000101", asked(t, data, selfTest10, 10))
	guest(t, console, admin, initcall.Late, consoleUntil(t, "Linux version", "initcall init_ima")...)
	assert.Equal(t, "80010000000a00000101", asked(t, data, selfTest10, 10))
	_, err := io.WriteString(console, "[    3.000000] calling  regulator_init_complete+0x0/0x30 @ 1\r\n")
	require.NoError(t, err)
	d.log.until(t, "console line not believed")
	d.log.until(t, "its time is before")
	assert.Equal(t, "80010000000a00000101", asked(t, data, selfTest10, 10), "forged")
	guest(t, console, admin, initcall.LateSync, consoleUntil(t, "initcall init_ima", "initcall software_resume")...)
	assert.Equal(t, "80010000000a00000000", asked(t, data, selfTest10, 10))

	status, err := admin.Status(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 4205115*time.Microsecond, status.Now.At)
	assert.Contains(t, status.Now.Cause, "calling  software_resume")
	assert.Contains(t, status.Now.Confirmed, "initcall software_resume")
	assert.Equal(t, uint64(3), status.Outcomes["answered"])
	assert.Equal(t, 1, status.Now.Boot)
	for _, said := range []string{"TPM2_SelfTest", "TPM_RC_FAILURE", "level=late ", "defer-until=late_sync"} {
		d.log.until(t, said)
	}

	// A reset starts the next boot, deferred again once its kernel runs.
	assert.Equal(t, "00000000", asked(t, ctrl, cmdStop, 4))
	assert.Equal(t, "00000000", asked(t, ctrl, cmdInit, 4))
	assert.Equal(t, "80010000000a00000000", asked(t, data, startupClear10, 10))
	guest(t, console, admin, initcall.Kernel, "[    0.000000] Linux version 6.1.0 (x@y) (gcc) #1 SMP")
	assert.Equal(t, "80010000000a00000101", asked(t, data, selfTest10, 10))
	status, err = admin.Status(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 2, status.Now.Boot)

	assert.Equal(t, "00000000", asked(t, ctrl, cmdShutdown, 4))
	assert.Equal(t, exitOK, d.exitCode(t))
}

// A guest that QEMU has saved, or moved to another host, goes on with a daemon
// that has not seen it boot: its TPM is there, until the next boot.
func TestAGuestGoesOn(t *testing.T) {
	from, to := daemonWith(t), daemonWith(t, "--defer-from=firmware", "--defer-until=late_sync")
	source, target := connect(t, from.ready.Control), connect(t, to.ready.Control)
	require.Equal(t, "00000000", asked(t, source, cmdInit, 4))
	require.Equal(t, "80010000000a00000000", asked(t, connect(t, from.ready.Data), startupClear10, 10))
	for _, kind := range []string{"00000001", "00000002"} {
		head := asked(t, source, "0000000c 00000001 "+kind+" 00000000", 16)
		require.Equal(t, "0000000000000000", head[:16])
		size, err := strconv.ParseUint(head[24:], 16, 32)
		require.NoError(t, err)
		blob := asked(t, source, "", int(size))
		require.Equal(t, "00000000", asked(t, target, "0000000d 00000000 "+kind+" "+head[24:]+blob, 4))
	}
	require.Equal(t, "00000000", asked(t, target, "00000002 00000001", 4))
	data := connect(t, to.ready.Data)
	assert.Equal(t, "80010000000a00000000", asked(t, data, selfTest10, 10), "started already")
	status, err := control.NewClient(to.ready.Admin).Status(t.Context())
	require.NoError(t, err)
	assert.Equal(t, initcall.Userspace, status.Now.Level)

	require.Equal(t, "00000000", asked(t, target, cmdInit, 4))
	assert.Equal(t, "80010000000a00000101", asked(t, data, startupClear10, 10), "the next boot is deferred")
}

// waitHeld waits until a command is held.
func waitHeld(t *testing.T, d *running) {
	t.Helper()
	admin := control.NewClient(d.ready.Admin)
	require.Eventually(t, func() bool {
		status, err := admin.Status(t.Context())
		return err == nil && status.Outcomes[faults.Held] == 1
	}, time.Minute, time.Millisecond)
}

func TestCtlSeesAndSteersTheDaemon(t *testing.T) {
	d := daemonWith(t, "--defer-until=late", "--while-deferred=hold", "--defer-from=firmware", "--flags=not-need-init")
	data := connect(t, d.ready.Data)
	ctl := func(args ...string) string {
		code, out, errs := called(t, append([]string{"ctl", "--admin", d.ready.Admin}, args...)...)
		require.Equal(t, exitOK, code, errs)
		return out
	}
	assert.Equal(t, "firmware\n", ctl("level"))
	answer := askAtOnce(data, startupClear10, 10)
	waitHeld(t, d)
	select {
	case a := <-answer:
		t.Fatalf("answered %s while held", a)
	default:
	}
	assert.Equal(t, "late\n", ctl("advance", "late"))
	assert.Equal(t, "80010000000a00000000", transporttest.Receive(t, answer))

	assert.Contains(t, ctl("journal"), "released")
	assert.Contains(t, ctl("status"), "reached")
	assert.Equal(t, ctl("--json", "status"), ctl("status", "--json"))
	assert.Equal(t, "late\n", ctl("advance", "late", "--admin="+d.ready.Admin))
	pcrs := ctl("pcrs")
	assert.Equal(t, 24*4, strings.Count(pcrs, "\n"), pcrs)
	assert.Contains(t, pcrs, "sha256  17  "+strings.Repeat("ff", 32))
	var banks control.PCRs
	require.NoError(t, json.Unmarshal([]byte(ctl("--json", "pcrs")), &banks))
	assert.Equal(t, strings.Repeat("00", 20), banks["sha1"][10])

	code, _, errs := called(t, "ctl", "--admin", d.ready.Admin, "advance", "core")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errs, "cannot go back")
	d.stop()
	assert.Equal(t, exitOK, d.exitCode(t))
}

func TestTimelineReleasesTheTPM(t *testing.T) {
	path := filepath.Join(t.TempDir(), "timeline")
	require.NoError(t, os.WriteFile(path, []byte("kernel 0s\nlate 30ms\n"), 0o600))
	d := daemonWith(t, "--defer-until=late", "--defer-from=firmware", "--timeline", path, "--while-deferred=hold")
	assert.Empty(t, d.ready.Console)
	ctrl, data := connect(t, d.ready.Control), connect(t, d.ready.Data)
	assert.Equal(t, "00000000", asked(t, ctrl, cmdInit, 4))
	assert.Equal(t, "80010000000a00000000", asked(t, data, startupClear10, 10))
	status, err := control.NewClient(d.ready.Admin).Status(t.Context())
	require.NoError(t, err)
	assert.Equal(t, initcall.Late, status.Now.Level)
}

func TestATimelineWithoutALevelIsRefused(t *testing.T) {
	for text, says := range map[string]string{
		"# nothing\n\n": "the TPM would never come",
		"late\n":        "LEVEL TIME",
	} {
		path := filepath.Join(t.TempDir(), "timeline")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		code, out, errs := called(t, "--dir", t.TempDir(), "--defer-until=late", "--timeline", path)
		assert.Equal(t, exitUsage, code)
		assert.Empty(t, out)
		assert.Contains(t, errs, path)
		assert.Contains(t, errs, says)
	}
}

func TestShutdownReleasesAHeldCommand(t *testing.T) {
	d := daemonWith(t, "--defer-until=userspace", "--while-deferred=hold", "--defer-from=firmware", "--hold-max=1h")
	ctrl, data := connect(t, d.ready.Control), connect(t, d.ready.Data)
	assert.Equal(t, "00000000", asked(t, ctrl, cmdInit, 4))
	answer := askAtOnce(data, selfTest10, 10)
	waitHeld(t, d)
	assert.Equal(t, "00000000", asked(t, ctrl, cmdStop, 4))
	assert.Equal(t, "80010000000a00000101", transporttest.Receive(t, answer), "QEMU must not hang")
}

// program is a swtpmd process made of this test binary.
func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self := os.Getenv(testedProgram)
	if self == "" {
		var err error
		self, err = os.Executable()
		require.NoError(t, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), calledTime)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

func TestDaemonGoesToTheBackgroundWhenReady(t *testing.T) {
	dir, err := os.MkdirTemp("", "d")
	require.NoError(t, err)
	defer os.RemoveAll(dir)
	pidFile, path, log := filepath.Join(dir, "pid"), filepath.Join(dir, "ctrl"), filepath.Join(dir, "log")
	cmd := program(t, "socket", "--tpm2", "--tpmstate", "dir="+dir, "--ctrl", "type=unixio,path="+path,
		"--pid", "file="+pidFile, "--log", "file="+log, "--daemon")
	said, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", said)
	assert.Empty(t, said)

	// The parent has returned: socket and pid file are there already.
	text, err := os.ReadFile(pidFile)
	require.NoError(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	require.NoError(t, err)
	assert.NotEqual(t, cmd.Process.Pid, pid)
	conn := connect(t, path)
	assert.Equal(t, "00000000", asked(t, conn, cmdInit, 4))
	assert.Equal(t, "00000000", asked(t, conn, cmdShutdown, 4))
	require.Eventually(t, func() bool {
		_, err := os.Stat(pidFile)
		return os.IsNotExist(err)
	}, time.Minute, time.Millisecond, "it removes its pid file at the end")
	logged, err := os.ReadFile(log)
	require.NoError(t, err)
	assert.Contains(t, string(logged), "state is kept")
}

func TestABackgroundDaemonThatFailsSaysSo(t *testing.T) {
	dir := t.TempDir()
	taken := filepath.Join(dir, "taken")
	require.NoError(t, os.WriteFile(taken, nil, 0o600))
	cmd := program(t, "socket", "--tpm2", "--ctrl", "type=unixio,path="+taken, "--daemon")
	said, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	assert.Equal(t, exitFailed, exit.ExitCode())
	assert.Contains(t, string(said), taken)
}
