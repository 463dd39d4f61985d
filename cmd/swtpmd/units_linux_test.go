package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// The units of the Debian package, under systemd in a container: the first client starts a
// TPM, which has a user of its own, logs to the journal, and keeps its state over SIGKILL,
// a stop, and the end of a guest.
func TestUnitsUnderSystemd(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("a container takes root")
	}
	for _, name := range []string{"systemd-nspawn", "systemd-sysusers", "unshare", "tpm2_nvread", "swtpm_ioctl"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("%s is not installed; scripts/test installs it", name)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	dir := t.TempDir()
	shipped := filepath.Join(dir, "swtpmd")
	build := exec.CommandContext(ctx, "go", "build", "-o", shipped, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)

	root := filepath.Join(dir, "container")
	require.NoError(t, os.Mkdir(root, 0o700))
	cmd := exec.CommandContext(ctx, "unshare", "--mount", "--propagation", "private", "sh", "testdata/units/host.sh", root, shipped, "../../debian")
	var text bytes.Buffer
	cmd.Stdout, cmd.Stderr = &text, &text
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 77 {
		t.Skipf("no container here: %s", &text)
	}
	require.NoError(t, err, "%s", &text)
	var said []string
	for line := range strings.Lines(text.String()) {
		if line, ok := strings.CutPrefix(line, "said: "); ok {
			said = append(said, strings.TrimSpace(line))
		}
	}
	sandbox := "full"
	const version = 1 // LANDLOCK_CREATE_RULESET_VERSION
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, version); errno != 0 {
		sandbox = "seccomp" // this kernel has no Landlock
	}
	assert.Equal(t, []string{
		"sockets active active",
		"before a client inactive",
		"with a client active",
		"user swtpmd-guest",
		"after a reload kept",
		"after SIGKILL kept",
		"after a stop kept",
		"users swtpmd-guest swtpmd-other-1",
		"after its guest inactive active",
		"with the next guest active",
		"somebody else 1",
		"sockets that are left",
		"sandboxes sandbox=" + sandbox,
		"failed",
	}, said, "%s", &text)
}
