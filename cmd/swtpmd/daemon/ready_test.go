package daemon

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/options"
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
		set := &options.Set{Dir: "/run/x", Admin: "/run/it's here/admin.sock", Console: console}
		if console == "gdb" {
			set.Console, set.GDB.Path = "", "/run/it's here/gdb.sock"
		}
		set.Control = []*options.Endpoint{options.UnixEndpoint("/run/x/tpm sock.ctrl")}
		set.Deferral.Until = initcall.LateSync
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
		for _, word := range []string{"ctl", "--admin", set.Admin, "status"} {
			want = append(want, "swtpmd "+word)
		}
		assert.Equal(t, want, strings.Split(strings.TrimSuffix(string(out), "\n"), "\n"))
	}
}

func TestShellQuote(t *testing.T) {
	for text, want := range map[string]string{
		"socket,id=a,path=/run/x": "socket,id=a,path=/run/x",
		"":                        "''",
		"/a b":                    "'/a b'",
		"it's":                    `'it'\''s'`,
	} {
		assert.Equal(t, want, shellQuote(text))
	}
}
