package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/daemon"
	"golang.org/x/sys/unix"
)

// onDisk makes a command one that runs where disk is a file system of its own in memory,
// prepared by a script; it skips the test where nobody may mount one.
func onDisk(t *testing.T, cmd *exec.Cmd, disk, options, script string) {
	t.Helper()
	attributes := &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}}
	try := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "tmpfs", disk)
	try.SysProcAttr = attributes
	if said, err := try.CombinedOutput(); err != nil {
		t.Skipf("no file system can be mounted here: %v: %s", err, said)
	}
	cmd.SysProcAttr = attributes
	cmd.Args = append([]string{"sh", "-euc", "mount -t tmpfs -o " + options + " tmpfs \"$DISK\"; " + script + "\nexec \"$0\" \"$@\"", cmd.Path}, cmd.Args[1:]...)
	cmd.Path = "/bin/sh"
	cmd.Env = append(cmd.Env, "DISK="+disk)
}

// On a disk that is full or read-only a TPM that is there serves what changes nothing,
// and says why it does no more; one that is not there yet is refused, with the directory
// and the cause. The state stays as it was.
func TestStateOnADiskThatTakesNothing(t *testing.T) {
	good := filepath.Join(t.TempDir(), "good")
	require.NoError(t, os.WriteFile(good, stateOf(t), 0o600))
	const (
		full     = `head -c 1M /dev/zero >"$DISK"/filler 2>/dev/null || true`
		readOnly = `mount -o remount,ro "$DISK"`
		copied   = `cp "$GOOD" "$DISK"/` + daemon.StateFile + `; touch "$DISK"/` + daemon.StateFile + `.lock; `
	)
	for name, c := range map[string]struct{ script, cause string }{
		"full":      {copied + full, "no space left on device"},
		"read-only": {copied + readOnly, "read-only file system"},
	} {
		t.Run(name, func(t *testing.T) {
			disk := t.TempDir()
			cmd := program(t, "--json", "--dir="+shortDir(t), "--state="+disk)
			cmd.Env = append(cmd.Env, "GOOD="+good)
			onDisk(t, cmd, disk, "size=256k", c.script)
			said := new(lockedBuffer)
			cmd.Stderr = said
			r := until(t, cmd)
			ctrl, data := connect(t, r.Control), connect(t, r.Data)
			require.Equal(t, "00000000", asked(t, ctrl, cmdInit, 4))
			// Startup counts up in NV memory.
			assert.Equal(t, "80010000000a00000923", asked(t, data, startupClear10, 10), "TPM_RC_NV_UNAVAILABLE")
			said.until(t, "state cannot be written: commands that change it answer TPM_RC_NV_UNAVAILABLE")
			assert.Contains(t, said.String(), "dir="+disk)
			assert.Contains(t, said.String(), c.cause)
			require.Equal(t, "00000000", asked(t, ctrl, cmdShutdown, 4))
			require.NoError(t, cmd.Wait())
		})
	}
	// A TPM that would have to be made is refused: so is one whose lock cannot be.
	for name, c := range map[string]struct {
		script string
		says   []string
	}{
		"full":      {full, []string{"--flags: TPM2_Startup: TPM_RC_NV_UNAVAILABLE", "no space left on device"}},
		"read-only": {readOnly, []string{"cannot be locked", "read-only file system", "make it writable once"}},
	} {
		disk := t.TempDir()
		cmd := program(t, "--json", "--dir="+shortDir(t), "--state="+disk, "--flags=startup-clear")
		onDisk(t, cmd, disk, "size=256k", c.script)
		said, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit, "%s: %s", name, said)
		assert.Equal(t, exitFailed, exit.ExitCode(), "%s: %s", name, said)
		for _, says := range append(c.says, disk) {
			assert.Contains(t, string(said), says, name)
		}
	}
}
