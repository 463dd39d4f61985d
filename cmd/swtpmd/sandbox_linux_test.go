package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/daemon"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/options"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/sandbox"
	"github.com/swtpmd/swtpmd/faults/control"
	"github.com/swtpmd/swtpmd/faults/initcall"
)

// wholeSandbox skips a test where the kernel has no whole sandbox. It asks a
// daemon, since to ask the kernel would be to confine this process.
func wholeSandbox(t *testing.T, program string) {
	t.Helper()
	t.Setenv(testedProgram, program)
	d := daemonWith(t)
	status, err := control.NewClient(d.ready.Admin).Status(t.Context())
	require.NoError(t, err)
	if status.Sandbox != string(options.SandboxFull) {
		t.Skipf("the kernel has a sandbox of kind %q only", status.Sandbox)
	}
	d.stop()
	require.Equal(t, exitOK, d.exitCode(t))
}

// attempts returns what a daemon with planted code could do, by act.
func attempts(t *testing.T, flag string, acts []string) map[string]string {
	t.Helper()
	t.Setenv("SWTPMD_PLANTED", strings.Join(acts, " "))
	d := daemonWith(t, flag, "--log=level=1")
	d.stop()
	require.Equal(t, exitOK, d.exitCode(t))
	log := d.log.String()
	results := map[string]string{}
	for _, act := range acts {
		_, rest, found := strings.Cut(log, "act="+act+" result=")
		if !assert.True(t, found, "%s in %s", act, log) {
			continue
		}
		results[act], _, _ = strings.Cut(rest, "\n")
	}
	return results
}

// TestPlantedCodeReachesNothing: a daemon that somebody has taken over can do
// nothing outside of what its command line names, with --sandbox=full; and all of
// it without, so that the acts are real ones.
func TestPlantedCodeReachesNothing(t *testing.T) {
	wholeSandbox(t, built(t))
	t.Setenv(testedProgram, built(t, "-tags=swtpmd_planted"))
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	require.NoError(t, os.WriteFile(secret, []byte("precious"), 0o600))
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer tcp.Close()
	abstract := "@swtpmd-" + strconv.Itoa(os.Getpid())
	there, err := net.Listen("unix", abstract)
	require.NoError(t, err)
	defer there.Close()

	byLandlock := []string{
		"read:" + secret, "make:" + filepath.Join(dir, "made"), "cut:" + secret,
		"exec:/bin/true", "listen:127.0.0.1:0", "connect:tcp:" + tcp.Addr().String(), "connect:unix:" + abstract,
	}
	if os.Geteuid() == 0 {
		byLandlock = append(byLandlock, "read:/etc/shadow")
	}
	bySeccomp := []string{
		"chmod:" + secret, "udp:", "netlink:", "signal:" + strconv.Itoa(os.Getpid()), "dumpable:", "code:",
	}
	all := append(append([]string{}, byLandlock...), bySeccomp...)

	for act, result := range attempts(t, "--sandbox=off", all) {
		assert.Equal(t, "done", result, act)
	}
	require.NoError(t, os.Remove(filepath.Join(dir, "made")))
	require.NoError(t, os.WriteFile(secret, []byte("precious"), 0o600))
	refused := func(results map[string]string, acts []string) {
		for _, act := range acts {
			if !strings.Contains(results[act], "permission denied") {
				assert.Contains(t, results[act], "operation not permitted", act)
			}
		}
	}
	results := attempts(t, "--sandbox=landlock", all)
	// Landlock's first version knows no network, and Go listens with MPTCP, which
	// no version does.
	refused(results, []string{byLandlock[0], byLandlock[1], byLandlock[2], byLandlock[3]})
	for _, act := range bySeccomp {
		assert.Equal(t, "done", results[act], act)
	}
	// Those that a user may be denied anyway, and one that would end the daemon.
	all = append(all, "namespace:", "trace:"+strconv.Itoa(os.Getpid()), "exec-here:/bin/true")
	refused(attempts(t, "--sandbox=full", all), all)
	text, err := os.ReadFile(secret)
	require.NoError(t, err)
	assert.Equal(t, "precious", string(text))
	assert.NoFileExists(t, filepath.Join(dir, "made"))
}

// confinedTests are tests of daemons that have to hold for confined ones: state,
// blobs, consoles, logs, pid files, descriptors, the admin socket.
var confinedTests = []string{
	"TestStateOutlivesTheDaemon", "TestStateFileModeAndNeighbours", "TestTwoDaemonsOnOneStateDirectory",
	"TestAGuestGoesOn", "TestDaemonHoldsTheTPMBackUntilTheGuestIsThere", "TestTheConsoleChangesHands",
	"TestAConsoleFileThatComesLater", "TestTheConsoleLogHasWhatWasRead", "TestTheConsoleLogIsNewInEveryRun",
	"TestTimelineReleasesTheTPM", "TestCtlSeesAndSteersTheDaemon", "TestFailureModeIsExplained",
	"TestInheritedDescriptors", "TestLogIntoADescriptor", "TestLogKeepsSecrets",
	"TestDaemonGoesToTheBackgroundWhenReady", "TestHangupEndsTheDaemonInOrder", "TestAProfileOfOnesOwn",
	"TestLogsAreOpenedAnew", "TestCapturesAreOpenedAnew", "TestATerminalThatIsClosedEndsTheDaemon", "TestTheServiceManagerIsToldOfStartAndEnd",
}

// TestTheDaemonWorksInItsSandbox runs them with swtpmd as it is shipped.
func TestTheDaemonWorksInItsSandbox(t *testing.T) {
	if os.Getenv(testedProgram) != "" {
		t.Skip("inside of itself")
	}
	wholeSandbox(t, built(t))
	self, err := os.Executable()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, self, "-test.v", "-test.run=^("+strings.Join(confinedTests, "|")+")$")
	said, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", said)
	for _, name := range confinedTests {
		assert.Contains(t, string(said), "--- PASS: "+name+" ")
	}
}

// A QEMU with server=on takes the console's socket away and makes its own; when
// it is gone, swtpmd listens again.
func TestTheConsoleChangesHands(t *testing.T) {
	d := daemonWith(t, "--defer-until=late_sync")
	admin := control.NewClient(d.ready.Admin)
	require.Equal(t, "00000000", asked(t, connect(t, d.ready.Control), cmdInit, 4))
	require.NoError(t, os.Remove(d.ready.Console))
	qemu, err := net.Listen("unix", d.ready.Console)
	require.NoError(t, err)
	defer qemu.Close()
	require.NoError(t, qemu.(*net.UnixListener).SetDeadline(time.Now().Add(time.Minute)))
	console, err := qemu.Accept()
	require.NoError(t, err)
	guest(t, console, admin, initcall.Kernel, "[    0.000000] Linux version 6.1.0 (x@y) (gcc) #1 SMP")
	require.NoError(t, qemu.Close())
	require.NoError(t, console.Close())

	var again net.Conn
	require.Eventually(t, func() bool {
		again, err = net.Dial("unix", d.ready.Console)
		return err == nil
	}, time.Minute, time.Millisecond)
	defer again.Close()
	info, err := os.Stat(d.ready.Console)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	// What was printed between the two is not known: a reset begins anew.
	require.Equal(t, "00000000", asked(t, connect(t, d.ready.Control), cmdInit, 4))
	guest(t, again, admin, initcall.Kernel, "[    0.000000] Linux version 6.1.0 (x@y) (gcc) #1 SMP")
	d.stop()
	require.Equal(t, exitOK, d.exitCode(t))
	assert.NoFileExists(t, d.ready.Console)
}

// The file of a console may be made after the daemon, and be replaced.
func TestAConsoleFileThatComesLater(t *testing.T) {
	path := filepath.Join(t.TempDir(), "console")
	d := daemonWith(t, "--defer-until=late_sync", "--console=file:"+path)
	admin := control.NewClient(d.ready.Admin)
	ctrl := connect(t, d.ready.Control)
	for range 2 {
		require.Equal(t, "00000000", asked(t, ctrl, cmdInit, 4))
		file, err := os.Create(path + ".new")
		require.NoError(t, err)
		require.NoError(t, os.Rename(path+".new", path))
		before, err := admin.Status(t.Context())
		require.NoError(t, err)
		require.Equal(t, initcall.Firmware, before.Now.Level)
		_, err = io.WriteString(file, "[    0.000000] Linux version 6.1.0 (x@y) (gcc) #1 SMP\n")
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			status, err := admin.Status(t.Context())
			return err == nil && status.Now.Level == initcall.Kernel
		}, time.Minute, time.Millisecond)
		require.NoError(t, file.Close())
	}
}

// A daemon in a test process must not confine it.
func TestASharedProcessIsNotConfined(t *testing.T) {
	code, _, errs := called(t, "--dir", t.TempDir(), "--sandbox=full")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errs, "--sandbox=full: "+daemon.ErrShared.Error())
	d := daemonWith(t)
	status, err := control.NewClient(d.ready.Admin).Status(t.Context())
	require.NoError(t, err)
	if os.Getenv(testedProgram) == "" {
		assert.Equal(t, string(options.SandboxOff), status.Sandbox)
	}
	code, _, errs = called(t, "--sandbox=on")
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, errs, "it is off, landlock or full")
}

// What was asked for and cannot be had is refused; without a word it is what there
// is, and the log says what is missing.
func TestSandboxesThatTheKernelLacks(t *testing.T) {
	here := func(sandbox.Reach) (int, error) { return 7, nil }
	none := func(sandbox.Reach) (int, error) { return 0, fmt.Errorf("landlock: %w", sandbox.ErrUnsupported) }
	filter := func(sandbox.Reach) error { return nil }
	noFilter := func(sandbox.Reach) error { return fmt.Errorf("seccomp: %w", sandbox.ErrUnsupported) }
	for _, c := range []struct {
		args    []string
		has     daemon.Sandboxes
		inForce options.SandboxMode
		fails   string // what is refused
		warns   string
	}{
		{nil, daemon.Sandboxes{Landlock: here, Seccomp: filter}, options.SandboxFull, "", ""},
		{nil, daemon.Sandboxes{Landlock: here, Seccomp: noFilter}, options.SandboxLandlock, "", "seccomp: this system has no such sandbox"},
		{nil, daemon.Sandboxes{Landlock: none, Seccomp: filter}, options.SandboxSeccomp, "", "landlock: this system has no such sandbox"},
		{nil, daemon.Sandboxes{Landlock: none, Seccomp: noFilter}, options.SandboxOff, "", "no such sandbox; seccomp: this system"},
		{[]string{"--seccomp=action=none"}, daemon.Sandboxes{Landlock: here, Seccomp: filter}, options.SandboxLandlock, "", ""},
		{[]string{"--seccomp=action=kill"}, daemon.Sandboxes{Landlock: here, Seccomp: filter}, options.SandboxFull, "", ""},
		{[]string{"--sandbox=off"}, daemon.Sandboxes{Landlock: here, Seccomp: filter}, options.SandboxOff, "", ""},
		{[]string{"--sandbox=landlock"}, daemon.Sandboxes{Landlock: here, Seccomp: noFilter}, options.SandboxLandlock, "", ""},
		{[]string{"--sandbox=landlock"}, daemon.Sandboxes{Landlock: none, Seccomp: filter}, "", "say --sandbox=off to run without", ""},
		{[]string{"--sandbox=full"}, daemon.Sandboxes{Landlock: here, Seccomp: filter}, options.SandboxFull, "", ""},
		{[]string{"--sandbox=full"}, daemon.Sandboxes{Landlock: none, Seccomp: filter}, "", "--sandbox=full: landlock", ""},
		{[]string{"--sandbox=full"}, daemon.Sandboxes{Landlock: here, Seccomp: noFilter}, "", "say --sandbox=landlock to run without", ""},
	} {
		dir := t.TempDir()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		var out, errs bytes.Buffer
		args := append([]string{"--json", "--dir", dir}, c.args...)
		code := run(ctx, args, cli.Streams{In: strings.NewReader(""), Out: &out, Err: &errs}, &c.has)
		left, err := os.ReadDir(dir)
		require.NoError(t, err)
		assert.Empty(t, left, "%v: its sockets are gone", args)
		if c.fails != "" {
			assert.Equal(t, exitFailed, code, "%v", args)
			assert.Contains(t, errs.String(), c.fails)
			assert.Empty(t, out.String(), "not ready")
			continue
		}
		assert.Equal(t, exitOK, code, "%v: %s", args, errs.String())
		assert.Contains(t, errs.String(), "sandbox="+string(c.inForce), "%v", args)
		assert.Equal(t, c.warns != "", strings.Contains(errs.String(), "level=WARN"), errs.String())
		assert.Contains(t, errs.String(), c.warns)
	}
}

// TestDumpsInTheSandbox: SIGQUIT tells what the daemon does, and with
// --core-dumps the kernel still writes the core file.
func TestDumpsInTheSandbox(t *testing.T) {
	program := built(t)
	wholeSandbox(t, program)
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `ulimit -c unlimited && exec "$0" --json --core-dumps --sandbox=full`, program)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOTRACEBACK=crash")
	said := new(lockedBuffer)
	cmd.Stderr = said
	until(t, cmd)
	require.NoError(t, cmd.Process.Signal(syscall.SIGQUIT))
	var exit *exec.ExitError
	require.ErrorAs(t, cmd.Wait(), &exit)
	assert.Contains(t, said.String(), "goroutine ")
	pattern, err := os.ReadFile("/proc/sys/kernel/core_pattern")
	require.NoError(t, err)
	if strings.ContainsAny(string(pattern), "|@%/") {
		t.Logf("core files of this system are not here: %s", pattern)
		return
	}
	cores, err := filepath.Glob(filepath.Join(dir, "core*"))
	require.NoError(t, err)
	assert.NotEmpty(t, cores, exit.String())
}
