package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Who asks too early is told what can be done at a command line.
func TestPCRsBeforeTheTPMRuns(t *testing.T) {
	d := daemonWith(t)
	code, _, errs := called(t, "ctl", "--admin", d.ready.Admin, "pcrs")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errs, "start the guest, or run swtpm_ioctl --unix "+d.ready.Control+" -i, or begin with --flags=startup-clear")
	assert.NotContains(t, errs, "call Init")

	require.Equal(t, "00000000", asked(t, connect(t, d.ready.Control), cmdInit, 4))
	code, _, errs = called(t, "ctl", "--admin", d.ready.Admin, "pcrs")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errs, "tpm2_startup -c")
	d.stop()
	require.Equal(t, exitOK, d.exitCode(t))
}
