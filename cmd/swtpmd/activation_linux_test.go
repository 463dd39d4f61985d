package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/daemon"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/options"
	"golang.org/x/sys/unix"
)

// activated makes a command one that a service manager starts with these sockets.
func activated(t *testing.T, cmd *exec.Cmd, names string, sockets ...net.Listener) {
	t.Helper()
	sh, err := exec.LookPath("sh")
	require.NoError(t, err)
	cmd.Args = append([]string{"sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=` + strconv.Itoa(len(sockets)) + ` LISTEN_FDNAMES=` + names + ` exec "$0" "$@"`, cmd.Path}, cmd.Args[1:]...)
	cmd.Path = sh
	for _, socket := range sockets {
		file, err := socket.(interface{ File() (*os.File, error) }).File()
		require.NoError(t, err)
		t.Cleanup(func() { file.Close() })
		cmd.ExtraFiles = append(cmd.ExtraFiles, file)
	}
}

func listens(t *testing.T, network, address string) net.Listener {
	t.Helper()
	l, err := net.Listen(network, address)
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

// Sockets of a service manager are used in the place of the daemon's own, whichever
// command takes them, and in the background too; they are the manager's to remove.
func TestSocketActivation(t *testing.T) {
	for name, args := range map[string][]string{
		"plain": nil, "socket": {"socket", "--tpm2"}, "background": {"--daemon", "--log=level=0"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := shortDir(t)
			data, ctrl := filepath.Join(dir, "vm.sock"), filepath.Join(dir, "vm.sock.ctrl")
			m := newManager(t)
			if name != "socket" {
				args = append(args, "--dir="+filepath.Join(dir, "own"))
			}
			cmd := program(t, args...)
			cmd.Env = append(cmd.Env, m.env)
			// In the order of a unit that names the channels the other way round.
			activated(t, cmd, "a:a", listens(t, "unix", data), listens(t, "unix", ctrl))
			require.NoError(t, cmd.Start())
			require.Contains(t, m.told(t), "READY=1")
			c := connect(t, ctrl)
			assert.Equal(t, "00000000", asked(t, c, cmdInit, 4))
			assert.Equal(t, "80010000000a00000000", asked(t, connect(t, data), startupClear10, 10))
			assert.NoFileExists(t, filepath.Join(dir, "own", "tpm.sock"))
			assert.Equal(t, "00000000", asked(t, c, cmdShutdown, 4))
			assert.Equal(t, "STOPPING=1", m.told(t))
			require.NoError(t, cmd.Wait())
			assert.FileExists(t, data)
			assert.FileExists(t, ctrl)
		})
	}
}

// A TCP socket has a name that tells what it is for.
func TestSocketActivationByName(t *testing.T) {
	data, ctrl := listens(t, "tcp", "127.0.0.1:0"), listens(t, "tcp", "127.0.0.1:0")
	cmd := program(t, "socket", "--tpm2")
	activated(t, cmd, "server:ctrl", data, ctrl)
	require.NoError(t, cmd.Start())
	c, err := net.Dial("tcp", ctrl.Addr().String())
	require.NoError(t, err)
	defer c.Close()
	assert.Equal(t, "00000000", asked(t, c, cmdInit, 4))
	assert.Equal(t, "00000000", asked(t, c, cmdShutdown, 4))
	require.NoError(t, cmd.Wait())

	cmd = program(t, "--dir="+t.TempDir())
	activated(t, cmd, "vm.socket", data)
	said, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	assert.Equal(t, exitUsage, exit.ExitCode())
	assert.Contains(t, string(said), `nothing tells what descriptor 3 ("vm.socket") of the service manager is for`)
	assert.Contains(t, string(said), "FileDescriptorName=ctrl")
}

// What is meant for another process is not taken, and what the command line names is
// what it says.
func TestSocketsOfAnotherProcess(t *testing.T) {
	t.Setenv("LISTEN_PID", "1")
	t.Setenv("LISTEN_FDS", "2")
	set := new(options.Set)
	require.NoError(t, set.TakeActivated())
	assert.Empty(t, set.Control)

	dir := shortDir(t)
	odd := filepath.Join(dir, "odd") // by its path it would be for data
	cmd := program(t, "--json", "--dir="+filepath.Join(dir, "own"), "--ctrl=fd=3")
	activated(t, cmd, "", listens(t, "unix", odd))
	until(t, cmd)
	assert.Equal(t, "00000000", asked(t, connect(t, odd), cmdInit, 4))
	require.NoError(t, cmd.Process.Signal(unix.SIGTERM))
	require.NoError(t, cmd.Wait())

	cmd = program(t, "--dir="+dir)
	cmd.Env = append(cmd.Env, "LISTEN_FDNAMES=")
	cmd.Args, cmd.Path = []string{"sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=many exec "$0" "$@"`, cmd.Path, "--dir=" + dir}, "/bin/sh"
	said, err := cmd.CombinedOutput()
	require.Error(t, err)
	assert.True(t, strings.Contains(string(said), "LISTEN_FDS=many is no number of sockets"), "%s", said)
}

// unitFile returns a unit of the Debian package for the instance a, with the directories
// of a system below top and the program in place of the installed one.
func unitFile(t *testing.T, name, top, program string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../debian", name))
	require.NoError(t, err)
	return strings.NewReplacer("%t", top+"/run", "%S", top+"/lib", "%i", "a", "/usr/bin/swtpmd", program).Replace(string(text))
}

// The units of the Debian package are ones for systemd, and what they start serves on
// the sockets that they pass.
func TestTheUnitsOfSystemd(t *testing.T) {
	place := newShell(t)
	top := filepath.Dir(place.dir)
	bin := filepath.Join(top, "bin", "swtpmd")
	service, socket := unitFile(t, "swtpmd@.service", top, bin), unitFile(t, "swtpmd@.socket", top, bin)
	start := regexp.MustCompile("(?m)^ExecStart=(.*)$").FindStringSubmatch(service)
	require.NotNil(t, start)
	words := strings.Fields(strings.Replace(start[1], "$SWTPMD_FLAGS", "--profile=tiny --flags=startup-clear", 1))
	require.NoError(t, os.MkdirAll(filepath.Join(top, "run/swtpmd/a"), 0o700))
	var paths []string
	var sockets []net.Listener
	for _, line := range regexp.MustCompile("(?m)^ListenStream=(.*)$").FindAllStringSubmatch(socket, -1) {
		paths = append(paths, line[1])
		sockets = append(sockets, listens(t, "unix", line[1]))
	}
	require.Len(t, paths, 2)
	m := newManager(t)
	cmd := exec.CommandContext(t.Context(), words[0], words[1:]...)
	cmd.Env = append(place.env, m.env)
	activated(t, cmd, "swtpmd@a.socket:swtpmd@a.socket", sockets...)
	require.NoError(t, cmd.Start())
	require.Equal(t, "READY=1", m.told(t))
	random := "8001 0000000c 0000017b 0008"
	assert.Contains(t, asked(t, connect(t, filepath.Join(top, "run/swtpmd/a.sock")), random, 20), "800100000014000000000008")
	assert.FileExists(t, filepath.Join(top, "lib/swtpmd/a", daemon.StateFile))
	place.run(t, "swtpmd ctl --admin "+filepath.Join(top, "run/swtpmd/a/admin.sock")+" status")
	assert.Equal(t, "00000000", asked(t, connect(t, filepath.Join(top, "run/swtpmd/a.sock.ctrl")), cmdShutdown, 4))
	require.Equal(t, "STOPPING=1", m.told(t))
	require.NoError(t, cmd.Wait())

	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd-analyze is not installed: the units' words are not checked")
	}
	var files []string
	for name, text := range map[string]string{"swtpmd@a.service": service, "swtpmd@a.socket": socket} {
		files = append(files, filepath.Join(place.dir, name))
		require.NoError(t, os.WriteFile(files[len(files)-1], []byte(text), 0o644))
	}
	out, err := exec.CommandContext(t.Context(), "systemd-analyze", append([]string{"verify", "--man=no"}, files...)...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	assert.NotContains(t, string(out), "swtpmd@a", "a word that systemd ignores")
}
