package main

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults/initcall"
)

// What is printed for QEMU's command line is pasted behind its name, as it is.
func TestTheReadyTextIsPastedIntoAShell(t *testing.T) {
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("there is no sh")
	}
	for _, console := range []string{"", "unix:/run/it's here/console.sock", "file:boot,1.log"} {
		set := &settings{dir: "/run/x", admin: "/run/x/admin.sock", console: console}
		set.control = []*endpoint{unixEndpoint("/run/x/tpm sock.ctrl")}
		set.deferral.until = initcall.LateSync
		d := &daemon{set: set}
		var text strings.Builder
		require.NoError(t, d.tellReady(&text))
		comments, options, _ := strings.Cut(text.String(), "\n-")
		for _, line := range strings.Split(comments, "\n") {
			assert.True(t, strings.HasPrefix(line, "#"), line)
		}
		cmd := exec.CommandContext(t.Context(), shell)
		cmd.Stdin = strings.NewReader(`arguments() { printf '%s\n' "$@"; }` + "\narguments \\\n-" + options)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		want := d.ready().QEMU
		if console != "" {
			want = append(want, "-append", d.ready().Append)
		}
		assert.Equal(t, want, strings.Split(strings.TrimSuffix(string(out), "\n"), "\n"))
	}
}
