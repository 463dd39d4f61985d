package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults/control"
	"github.com/swtpmd/swtpmd/faults/initcall"
)

const (
	shutdownState10 = "80010000000c000001450001"
	startupState10  = "80010000000c000001440001"
)

// A guest that wakes from sleep has its TPM back where its boot is: it is not deferred
// once more. One that is reset in its sleep boots.
func TestAGuestThatSleepsDoesNotBoot(t *testing.T) {
	d := daemonWith(t, "--defer-until=late", "--defer-from=firmware", "--defer-boots=2")
	ctrl, tpm := connect(t, d.ready.Control), overSocket{connect(t, d.ready.Data)}
	admin := control.NewClient(d.ready.Admin)
	stands := func(boot int, level initcall.Level) {
		t.Helper()
		status, err := admin.Status(t.Context())
		require.NoError(t, err)
		assert.Equal(t, boot, status.Now.Boot)
		assert.Equal(t, level, status.Now.Level)
	}
	const good, failure = "80010000000a00000000", "80010000000a00000101"
	require.Equal(t, "00000000", asked(t, ctrl, cmdInit, 4))
	require.Equal(t, failure, asked(t, tpm, startupClear10, 10))
	_, err := admin.Advance(t.Context(), initcall.Userspace)
	require.NoError(t, err)
	require.Equal(t, good, asked(t, tpm, startupClear10, 10))
	value := extended(t, tpm)
	boot := 1

	for range 2 {
		require.Equal(t, good, asked(t, tpm, shutdownState10, 10))
		require.Equal(t, "00000000", asked(t, ctrl, cmdStop, 4))
		require.Equal(t, "00000000", asked(t, ctrl, cmdInit, 4))
		require.Equal(t, "00000000", asked(t, ctrl, cmdInit, 4), "firmware may reset twice")
		require.Equal(t, good, asked(t, tpm, startupState10, 10))
		stands(boot, initcall.Userspace)
		require.Equal(t, value, pcr10(t, tpm))
	}
	d.log.until(t, "the guest wakes from sleep")

	// A sleep that was given up, and a reset.
	require.Equal(t, good, asked(t, tpm, shutdownState10, 10))
	require.Equal(t, value, pcr10(t, tpm))
	require.Equal(t, "00000000", asked(t, ctrl, cmdInit, 4))
	stands(boot+1, initcall.Firmware)

	// A reset while the guest sleeps.
	_, err = admin.Advance(t.Context(), initcall.Userspace)
	require.NoError(t, err)
	require.Equal(t, good, asked(t, tpm, startupClear10, 10))
	require.Equal(t, good, asked(t, tpm, shutdownState10, 10))
	require.Equal(t, "00000000", asked(t, ctrl, cmdInit, 4))
	stands(boot+1, initcall.Userspace)
	require.Equal(t, good, asked(t, tpm, startupClear10, 10), "the third boot: on time")
	stands(boot+2, initcall.Firmware)
	d.stop()
	require.Equal(t, exitOK, d.exitCode(t))
}
