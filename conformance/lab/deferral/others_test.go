package deferral

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/conformance/lab"
)

// hold has a TPM answer nothing until late_sync.
var hold = []string{"--defer-until=late_sync", "--while-deferred=hold"}

// TestOtherBoards boots the machines that have no device tree to change: pseries with
// Debian's unmodified kernel, and q35 with the lab's own small ones. Where the driver
// probes in the background and the TPM is held, IMA at late is in bypass and the TPM
// registers by itself. It takes long: SWTPMD_LAB=boards runs it, where a kernel is there.
func TestOtherBoards(t *testing.T) {
	if os.Getenv("SWTPMD_LAB") != "boards" {
		t.Skip("SWTPMD_LAB=boards runs it; scripts/qemu-boot --board=pseries and scripts/kernel-lab build 'x86_64-6.1-*' get the kernels")
	}
	cache, err := lab.CacheDir("")
	require.NoError(t, err)
	apt := &lab.Apt{Cache: cache, Progress: t.Output()}
	swtpmd, remove, err := lab.BuildSwtpmd(t.Context(), "")
	require.NoError(t, err)
	t.Cleanup(remove)
	for _, c := range []struct {
		board  lab.Board
		kernel string // of scripts/kernel-lab; empty: Debian's
		held   bool
		word   lab.Word
		bound  lab.Bound
		record string
	}{
		{lab.PSeries, "", false, lab.Measured, lab.BoundInTime, "boot_aggregate"},
		{lab.PSeries, "", true, lab.Bypass, lab.BoundLater, "boot_aggregate"},
		{lab.Q35, "x86_64-6.1-late", false, lab.Measured, lab.BoundInTime, "boot_aggregate"},
		{lab.Q35, "x86_64-6.1-late", true, lab.Bypass, lab.BoundLater, "boot_aggregate"},
		{lab.Q35, "x86_64-6.1-late_sync", false, lab.Measured, lab.BoundInTime, "boot_aggregate_late"},
	} {
		name := c.board.String() + " " + c.kernel
		if c.held {
			name += " held"
		}
		t.Run(strings.TrimSpace(name), func(t *testing.T) {
			m := lab.Machine{Board: c.board, Firmware: c.board.Firmware(), Device: c.board.Device(), Accel: lab.TCG, IMAPolicy: "tcb|critical_data", AsyncProbe: c.held}
			config := lab.Config{Timeout: 5 * time.Minute, Progress: t.Output(), TPM: lab.Swtpmd(swtpmd, nil)}
			if c.held {
				config.Await, config.TPM = time.Minute, lab.Swtpmd(swtpmd, hold)
			}
			m.Tools, err = lab.CachedTools(apt, c.board)
			if err == nil && c.kernel == "" {
				m.Kernel, err = lab.CachedKernel(apt, c.board)
			} else if err == nil {
				m.Kernel, err = kernelIn(cache)(c.kernel)
			}
			if err != nil {
				t.Skip("no boot: ", err)
			}
			config.Machine = m
			record, err := lab.Run(t.Context(), config)
			require.NoError(t, err)
			verdict, err := lab.Judge(record)
			require.NoError(t, err)
			b := verdict.Last()
			t.Log(b.Sentence)
			assert.Equal(t, c.word, b.Word)
			assert.Equal(t, c.bound, b.Driver.Bound)
			assert.Empty(t, PCRMismatch(b))
			require.NotEmpty(t, b.List)
			assert.Contains(t, strings.Fields(b.List[0]), c.record)
			if !c.held {
				assert.Equal(t, "device", b.Driver.Level)
			}
		})
	}
}
