package main

import (
	"errors"
	"fmt"
	"io"
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
	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/capture"
	"golang.org/x/sys/unix"
)

// fileWith waits until a file has a text, and returns it all.
func fileWith(t *testing.T, path, text string) string {
	t.Helper()
	var all []byte
	require.Eventually(t, func() bool {
		all, _ = os.ReadFile(path)
		return strings.Contains(string(all), text)
	}, time.Minute, time.Millisecond, "%s in %s", text, path)
	return string(all)
}

// logrotate renames a log and sends SIGHUP: the daemon serves on, and every line is in
// one of the files.
func TestLogsAreOpenedAnew(t *testing.T) {
	dir := t.TempDir()
	log, copied := filepath.Join(dir, "log"), filepath.Join(dir, "console")
	cmd := program(t, "--json", "--dir", shortDir(t), "--log=level=5,file="+log, "--console-log="+copied)
	r := until(t, cmd)
	ctrl, data, console := connect(t, r.Control), connect(t, r.Data), connect(t, r.Console)
	require.Equal(t, "00000000", asked(t, ctrl, cmdInit, 4))
	require.Equal(t, "80010000000a00000000", asked(t, data, startupClear10, 10))
	const rounds, commands = 5, 40
	for i := range rounds {
		for range commands {
			asked(t, data, selfTest10, 10)
		}
		_, err := fmt.Fprintf(console, "line %d\n", i)
		require.NoError(t, err)
		fileWith(t, copied, fmt.Sprintf("line %d\n", i))
		for _, path := range []string{log, copied} {
			require.NoError(t, os.Rename(path, fmt.Sprintf("%s.%d", path, i)))
		}
		require.NoError(t, cmd.Process.Signal(unix.SIGHUP))
		fileWith(t, log, `msg="files opened anew" cause=SIGHUP`)
	}
	require.Equal(t, "00000000", asked(t, ctrl, cmdShutdown, 4))
	require.NoError(t, cmd.Wait())

	all := func(path string) (text string) {
		for i := range rounds {
			part, err := os.ReadFile(fmt.Sprintf("%s.%d", path, i))
			require.NoError(t, err)
			text += string(part)
		}
		last, err := os.ReadFile(path)
		require.NoError(t, err)
		return text + string(last)
	}
	assert.Equal(t, rounds*commands, strings.Count(all(log), "name=TPM2_SelfTest"))
	assert.Contains(t, all(log), "ending")
	assert.Equal(t, "line 0\nline 1\nline 2\nline 3\nline 4\n", all(copied))
	info, err := os.Stat(log)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

// A manager that reloads a daemon with nothing to open anew must not end it.
func TestAServiceWithoutFilesGoesOn(t *testing.T) {
	m := newManager(t)
	dir := shortDir(t)
	cmd := program(t, "--dir", dir)
	cmd.Env = append(cmd.Env, m.env)
	require.NoError(t, cmd.Start())
	require.Equal(t, "READY=1", m.told(t))
	require.NoError(t, cmd.Process.Signal(unix.SIGHUP))
	assert.True(t, strings.HasPrefix(m.told(t), "RELOADING=1\nMONOTONIC_USEC="))
	assert.Equal(t, "READY=1", m.told(t))
	assert.Equal(t, "00000000", asked(t, connect(t, filepath.Join(dir, "tpm.sock.ctrl")), cmdInit, 4))
	require.NoError(t, cmd.Process.Signal(unix.SIGTERM))
	assert.Equal(t, "STOPPING=1", m.told(t))
	require.NoError(t, cmd.Wait())
}

// onTerminal starts a daemon on a terminal of its own and returns the terminal's other
// end.
func onTerminal(t *testing.T, cmd *exec.Cmd) *os.File {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("there are no terminals here: %v", err)
	}
	t.Cleanup(func() { master.Close() })
	require.NoError(t, unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("there are no terminals here: %v", err)
	}
	t.Cleanup(func() { slave.Close() })
	cmd.Stdin = slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	return master
}

// A terminal that is closed ends the daemon that runs on it, with a log in a file too;
// SIGHUP of somebody else opens that anew.
func TestATerminalThatIsClosedEndsTheDaemon(t *testing.T) {
	minded(t)
	log := filepath.Join(t.TempDir(), "log")
	cmd := program(t, "--json", "--log=file="+log)
	terminal := onTerminal(t, cmd)
	r := until(t, cmd)
	require.NoError(t, cmd.Process.Signal(unix.SIGHUP))
	fileWith(t, log, "files opened anew")
	assert.Equal(t, "00000000", asked(t, connect(t, r.Control), cmdInit, 4))
	require.NoError(t, terminal.Close())
	require.NoError(t, cmd.Wait())
	assert.NoDirExists(t, r.Dir)
	assert.Contains(t, fileWith(t, log, "ending"), "cause=signal")
}

// minded has programs that the test starts mind SIGHUP, also where the tests run under
// nohup(1): a signal that is caught here has its default action in them, and one that is
// ignored here is ignored there.
func minded(t *testing.T) {
	t.Helper()
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, unix.SIGHUP)
	t.Cleanup(func() { signal.Stop(caught) })
}

// Under nohup(1) a closed terminal ends nothing, and the log is opened anew all the same.
func TestNohupWithALog(t *testing.T) {
	nohup, err := exec.LookPath("nohup")
	require.NoError(t, err)
	log := filepath.Join(t.TempDir(), "log")
	cmd := program(t)
	cmd.Args, cmd.Path = append([]string{"nohup", cmd.Path}, "--json", "--log=file="+log), nohup
	cmd.Stderr = new(strings.Builder)
	terminal := onTerminal(t, cmd)
	r := until(t, cmd)
	require.NoError(t, os.Rename(log, log+".1"))
	require.NoError(t, terminal.Close())
	require.NoError(t, cmd.Process.Signal(unix.SIGHUP))
	fileWith(t, log, "files opened anew")
	ctrl := connect(t, r.Control)
	assert.Equal(t, "00000000", asked(t, ctrl, cmdInit, 4))
	assert.Equal(t, "00000000", asked(t, ctrl, cmdShutdown, 4))
	require.NoError(t, cmd.Wait())
}

// The snippet of the Debian package, by logrotate itself.
func TestLogrotate(t *testing.T) {
	logrotate, err := exec.LookPath("logrotate")
	if err != nil {
		t.Skip("logrotate is not installed")
	}
	dir := t.TempDir()
	text, err := os.ReadFile("../../debian/swtpmd.logrotate")
	require.NoError(t, err)
	config := filepath.Join(dir, "config")
	place := strings.NewReplacer("/var/log/swtpmd", dir, "/run/swtpmd", dir)
	require.NoError(t, os.WriteFile(config, []byte(place.Replace(string(text))), 0o600))
	log, pidFile := filepath.Join(dir, "vm.log"), filepath.Join(dir, "vm.pid")
	cmd := program(t, "--json", "--log=file="+log, "--pid=file="+pidFile)
	r := until(t, cmd)
	require.Equal(t, "00000000", asked(t, connect(t, r.Control), cmdInit, 4))
	fileWith(t, log, "event=INIT")
	rotated := exec.CommandContext(t.Context(), logrotate, "--force", "--state="+filepath.Join(dir, "state"), config)
	said, err := rotated.CombinedOutput()
	require.NoError(t, err, "%s", said)
	fileWith(t, log, "files opened anew")
	assert.NotContains(t, fileWith(t, log, "files opened anew"), "event=INIT")
	assert.Contains(t, fileWith(t, log+".1", "event=INIT"), "event=INIT")
	require.NoError(t, cmd.Process.Signal(unix.SIGTERM))
	require.NoError(t, cmd.Wait())
}

// A capture and a trace go on in new files, each of which is whole.
func TestCapturesAreOpenedAnew(t *testing.T) {
	dir := t.TempDir()
	pcap, traced := filepath.Join(dir, "pcap"), filepath.Join(dir, "trace")
	cmd := program(t, "--json", "--dir", shortDir(t), "--pcap="+pcap, "--trace="+traced, "--log=file="+filepath.Join(dir, "log"), "--flags=startup-clear")
	r := until(t, cmd)
	data := connect(t, r.Data)
	const rounds, commands = 3, 7
	for i := range rounds {
		for range commands {
			asked(t, data, selfTest10, 10)
		}
		for _, path := range []string{pcap, traced, filepath.Join(dir, "log")} {
			require.NoError(t, os.Rename(path, fmt.Sprintf("%s.%d", path, i)))
		}
		require.NoError(t, cmd.Process.Signal(unix.SIGHUP))
		fileWith(t, filepath.Join(dir, "log"), "files opened anew")
	}
	require.NoError(t, cmd.Process.Signal(unix.SIGTERM))
	require.NoError(t, cmd.Wait())
	captured, lines := 0, 0
	for i := range rounds + 1 {
		end := fmt.Sprintf(".%d", i)
		if i == rounds {
			end = ""
		}
		text, err := os.ReadFile(traced + end)
		require.NoError(t, err)
		lines += strings.Count(string(text), "SelfTest")
		file, err := os.Open(pcap + end)
		require.NoError(t, err)
		reader := capture.NewReader(file)
		for {
			e, err := reader.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err, end)
			if code, _ := transport.CommandCode(e.Command); code == 0x143 {
				captured++
			}
		}
		require.NoError(t, file.Close())
	}
	assert.Equal(t, rounds*commands, lines)
	assert.Equal(t, rounds*commands, captured)
}
