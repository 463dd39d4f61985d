package main

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults/initcall"
)

// All that the daemon prints, pasted after a command that goes on, gives that command
// the options and then asks the daemon.
func TestTheReadyTextIsPastedIntoAShell(t *testing.T) {
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("there is no sh")
	}
	for _, console := range []string{"", "unix:/run/it's here/console.sock", "file:boot,1.log", "gdb"} {
		set := &settings{dir: "/run/x", admin: "/run/it's here/admin.sock", console: console}
		if console == "gdb" {
			set.console, set.gdb.path = "", "/run/it's here/gdb.sock"
		}
		set.control = []*endpoint{unixEndpoint("/run/x/tpm sock.ctrl")}
		set.deferral.Until = initcall.LateSync
		var text strings.Builder
		require.NoError(t, tellReady(&text, set))
		cmd := exec.CommandContext(t.Context(), shell)
		cmd.Stdin = strings.NewReader(`qemu() { printf 'qemu %s\n' "$@"; }; swtpmd() { printf 'swtpmd %s\n' "$@"; }` + "\nqemu \\\n" + text.String())
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		var want []string
		for _, option := range newReady(set).QEMU {
			want = append(want, "qemu "+option)
		}
		if console != "" {
			want = append(want, "qemu -append", "qemu "+newReady(set).Append)
		}
		for _, word := range []string{"ctl", "--admin", set.admin, "status"} {
			want = append(want, "swtpmd "+word)
		}
		assert.Equal(t, want, strings.Split(strings.TrimSuffix(string(out), "\n"), "\n"))
	}
}
