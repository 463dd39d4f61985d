package daemon

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/options"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/sandbox"
)

// What is removed at the end is neither read nor written.
func TestReach(t *testing.T) {
	for _, set := range []options.Set{{Console: "unix:/run/c/console.sock"}, {GDB: options.GdbWords{Path: "/run/c/gdb.sock"}}} {
		set.Admin = "/run/a/admin.sock"
		set.State.Dir, set.PID.File = "/var/lib/tpm", "/run/p/pid"
		r, err := reachOf(&set)
		require.NoError(t, err)
		assert.True(t, r.UnixSockets)
		met := false
		for _, p := range r.Paths {
			met = met || p.Name == "/run/c" && p.May&sandbox.ConnectToUnix != 0
			if p.Name != "/var/lib/tpm" {
				assert.Zero(t, p.May&(sandbox.Read|sandbox.Write|sandbox.MakeFiles), p.Name)
			}
		}
		assert.True(t, met)
	}
}
