package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestNoCoreDumps: the process with the TPM's secrets is not dumped, but on
// demand.
func TestNoCoreDumps(t *testing.T) {
	if os.Getenv(testedProgram) != "" {
		t.Skip("asks this process, and the daemon is another one")
	}
	before, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = unix.Prctl(unix.PR_SET_DUMPABLE, uintptr(before), 0, 0, 0) })
	for _, c := range []struct {
		args []string
		want int
	}{{[]string{"--core-dumps"}, 1}, {nil, 0}} {
		require.NoError(t, unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0))
		d := daemonWith(t, c.args...)
		got, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
		require.NoError(t, err)
		assert.Equal(t, c.want, got, "%v", c.args)
		d.stop()
		require.Equal(t, exitOK, d.exitCode(t))
	}
}
