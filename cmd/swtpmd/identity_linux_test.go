package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/daemon"
	"github.com/swtpmd/swtpmd/faults/control"
	"golang.org/x/sys/unix"
)

// nobody is a user with no rights (Debian Policy, "Users and groups").
const nobody = 65534

func needsRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
}

// owner returns the user whose a file is.
func owner(t *testing.T, path string) uint32 {
	t.Helper()
	var info unix.Stat_t
	require.NoError(t, unix.Lstat(path, &info), path)
	return info.Uid
}

// status returns a line of a process's status file.
func status(t *testing.T, pid int, key string) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(text), "\n"+key+":")
	require.True(t, found, key)
	line, _, _ := strings.Cut(rest, "\n")
	return strings.Join(strings.Fields(line), " ")
}

// Root starts it, and another user's daemon serves: with no group and no capability of
// root's, in its sandbox, and every file is that user's.
func TestRunAs(t *testing.T) {
	needsRoot(t)
	own := program(t, "--json")
	s, err := control.NewClient(until(t, own).Admin).Status(t.Context())
	require.NoError(t, err)
	usual := s.Sandbox
	require.NoError(t, own.Process.Signal(unix.SIGTERM))
	require.NoError(t, own.Wait())
	for _, who := range []string{"nobody", "65534", "nobody:nogroup", "65534:65534"} {
		dir := shortDir(t)
		require.NoError(t, os.Chown(dir, nobody, nobody))
		log, state, pidFile := filepath.Join(dir, "log"), filepath.Join(dir, "state"), filepath.Join(dir, "pid")
		cmd := program(t, "--json", "--runas="+who, "--dir="+dir, "--state="+state, "--log=file="+log, "--pid=file="+pidFile, "--flags=startup-clear")
		r := until(t, cmd)
		pid := cmd.Process.Pid
		for _, id := range []string{"Uid", "Gid"} {
			assert.Equal(t, "65534 65534 65534 65534", status(t, pid, id), who)
		}
		groups := status(t, pid, "Groups")
		assert.Contains(t, []string{"", "65534"}, groups, who)
		for _, set := range []string{"CapPrm", "CapEff"} {
			assert.Equal(t, "0000000000000000", status(t, pid, set), who)
		}
		for _, path := range []string{r.Control, r.Data, r.Admin, log, pidFile, filepath.Join(state, daemon.StateFile)} {
			assert.EqualValues(t, nobody, owner(t, path), path)
		}
		s, err := control.NewClient(r.Admin).Status(t.Context())
		require.NoError(t, err)
		assert.Equal(t, usual, s.Sandbox, who)
		// It can open its log anew, and remove what it has made.
		require.NoError(t, os.Rename(log, log+".1"))
		require.NoError(t, cmd.Process.Signal(unix.SIGHUP))
		fileWith(t, log, "files opened anew")
		require.NoError(t, cmd.Process.Signal(unix.SIGTERM))
		require.NoError(t, cmd.Wait())
		for _, path := range []string{r.Control, r.Data, r.Admin, pidFile} {
			assert.NoFileExists(t, path)
		}
	}
}

// With --chroot paths are below the new root, as with swtpm, in the background too,
// where there is no /dev/null.
func TestChroot(t *testing.T) {
	root := shortDir(t)
	args := []string{"socket", "--tpm2", "--chroot=" + root, "--tpmstate", "dir=/state", "--ctrl", "type=unixio,path=/ctrl",
		"--log", "file=/log", "--pid", "file=/pid", "--daemon"}
	if os.Geteuid() == 0 {
		require.NoError(t, os.Chown(root, nobody, nobody))
		args = append(args, "--runas=nobody")
	}
	m := newManager(t)
	cmd := program(t, args...)
	cmd.Env = append(cmd.Env, m.env)
	if os.Geteuid() != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}}
	}
	said, err := cmd.CombinedOutput()
	if err != nil && os.Geteuid() != 0 && cmd.ProcessState == nil {
		t.Skipf("no user namespaces here: %v", err)
	}
	require.NoError(t, err, "%s", said)
	require.Contains(t, m.told(t), "READY=1")
	for _, name := range []string{"state/" + daemon.StateFile + ".lock", "ctrl", "log", "pid"} {
		assert.FileExists(t, filepath.Join(root, name))
	}
	var pid int
	text, err := os.ReadFile(filepath.Join(root, "pid"))
	require.NoError(t, err)
	_, err = fmt.Sscan(string(text), &pid)
	require.NoError(t, err)
	if os.Geteuid() == 0 {
		at, err := os.Readlink(fmt.Sprintf("/proc/%d/root", pid))
		require.NoError(t, err)
		assert.Equal(t, root, at)
	}
	ctrl := connect(t, filepath.Join(root, "ctrl"))
	assert.Equal(t, "00000000", asked(t, ctrl, cmdInit, 4))
	require.NoError(t, os.Rename(filepath.Join(root, "log"), filepath.Join(root, "log.1")))
	require.NoError(t, unix.Kill(pid, unix.SIGHUP))
	require.Contains(t, m.told(t), "RELOADING=1")
	require.Contains(t, m.told(t), "READY=1")
	assert.FileExists(t, filepath.Join(root, "log"))
	assert.Equal(t, "00000000", asked(t, ctrl, cmdShutdown, 4))
	assert.Equal(t, "STOPPING=1", m.told(t))
	require.Eventually(t, func() bool {
		_, err := os.Stat(filepath.Join(root, "pid"))
		return os.IsNotExist(err)
	}, calledTime, 1e6)
}

// Who may not change user or root is told, and nothing is made.
func TestRunAsWithoutRoot(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct{ flag, says string }{
		{"--runas=65533", "--runas=65533: "},
		{"--chroot=" + dir, "--chroot: chroot " + dir + ": operation not permitted"},
		{"--chroot=" + filepath.Join(dir, "none"), "--chroot: chroot " + filepath.Join(dir, "none") + ": no such file or directory"},
	} {
		if strings.HasSuffix(c.flag, "none") {
			needsRoot(t)
		}
		cmd := program(t, c.flag, "--dir="+filepath.Join(dir, "made"))
		if os.Geteuid() == 0 && !strings.HasSuffix(c.flag, "none") {
			// Go's test binary is root's, in a directory of root's: it is opened before.
			setpriv, err := exec.LookPath("setpriv")
			if err != nil {
				t.Skip("setpriv is not installed (Debian package util-linux)")
			}
			cmd.Args = append([]string{"setpriv", "--bounding-set=-all", "--inh-caps=-all", cmd.Path}, cmd.Args[1:]...)
			cmd.Path = setpriv
		}
		said, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit)
		assert.Equal(t, exitFailed, exit.ExitCode(), "%s", said)
		assert.Contains(t, string(said), c.says)
		assert.Contains(t, string(said), "it takes root's capabilities")
		assert.NoDirExists(t, filepath.Join(dir, "made"))
	}
	code, _, errs := called(t, "--runas=no-such-user")
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, errs, "unknown user no-such-user")
	code, _, errs = called(t, "--dir="+dir, "--chroot="+dir)
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errs, daemon.ErrShared.Error())
}
