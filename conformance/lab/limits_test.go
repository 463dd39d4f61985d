package lab

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/ima"
)

// How long Linux waits for a command (drivers/char/tpm/tpm2-cmd.c, tpm-interface.c of 6.1):
// 120 s for the first, which finds out whether the TPM is a TPM 2.0; 2 s for TPM2_SelfTest;
// 0.75 s for TPM2_GetCapability and TPM2_PCR_Extend. The cases keep clear of the limits, so
// that a busy machine changes nothing.

// fault returns the flag of a rule that is for the kernel's commands.
func fault(rule string) []string { return []string{"--fault=level=kernel.. " + rule} }

// early returns the flag of a rule that is for the kernel's commands before late_sync.
func early(rule string) []string { return []string{"--fault=level=kernel..late_sync " + rule} }

// limitCases are boots with a TPM that is slow: below a limit of the kernel and above it.
func limitCases() []bootCase {
	return []bootCase{
		{name: "first command 5 s", flags: fault("GetCapability#1: delay=5s"), check: slowBoot(5 * time.Second)},
		{name: "first command 125 s", waits: true, flags: early("GetCapability#1: delay=125s"), setup: rebind, check: gaveUp(19)},
		{name: "self-test 1 s", more: true, flags: fault("SelfTest: delay=1s"), check: slowBoot(time.Second)},
		{name: "self-test 4 s", flags: early("SelfTest: delay=4s"), setup: rebind, check: gaveUp(62)},
		{name: "later capabilities 0.3 s", more: true, flags: fault("GetCapability#2-: delay=300ms"), check: slowBoot(300 * time.Millisecond)},
		{name: "later capabilities 1.5 s", flags: early("GetCapability#2-: delay=1500ms"), check: slowCapabilities},
		{name: "extend 0.3 s", more: true, flags: fault("PCR_Extend: delay=300ms"), check: slowBoot(0)},
		{name: "extend 1.5 s", flags: fault("PCR_Extend#1: delay=1500ms"), check: extendTimedOut},
		{name: "all 0.3 s", more: true, flags: fault("*: delay=300ms"), check: slowBoot(2 * time.Second)},
		{name: "all 1.2 s", flags: early("*: delay=1200ms"), check: slowCapabilities},
		{name: "all 4 s", more: true, flags: early("*: delay=4s"), setup: rebind, check: gaveUp(62)},
		{name: "fail, async", more: true, flags: []string{"--defer-until=late_sync"}, check: failedAsync,
			setup: func(c *Config) { c.Machine.AsyncProbe = true; rebind(c) }},
		{name: "initialize, async", more: true, flags: []string{"--defer-until=late_sync", "--while-deferred=initialize"}, check: failedAsync,
			setup: func(c *Config) { c.Machine.AsyncProbe = true; rebind(c) }},
	}
}

// slowBoot: all is well, and IMA looked for the TPM no earlier than the rule let it.
func slowBoot(least time.Duration) func(*testing.T, *Verdict) {
	return func(t *testing.T, v *Verdict) {
		b := v.Last()
		assertMeasured(t, b)
		assert.Equal(t, BoundInTime, b.Driver.Bound)
		require.NotNil(t, b.IMA.LookedAt)
		assert.Greater(t, time.Duration(*b.IMA.LookedAt), least)
	}
}

// gaveUp: the driver gives up with an error, ETIME (62) or ENODEV (19) of what it took for a
// TPM 1.2, IMA finds no TPM, and a later bind brings it.
func gaveUp(code int) func(*testing.T, *Verdict) {
	return func(t *testing.T, v *Verdict) {
		b := v.Last()
		assertBypass(t, b)
		assert.Equal(t, BoundByHand, b.Driver.Bound)
		require.NotNil(t, b.Driver.Failed)
		assert.Equal(t, code, b.Driver.Failed.Code)
		assertSamePCRs(t, b)
	}
}

// slowCapabilities: the driver registers a TPM whose banks it could not read.
func slowCapabilities(t *testing.T, v *Verdict) {
	b := v.Last()
	assert.Equal(t, NoSuitableBank, b.Word)
	assert.True(t, b.Driver.FieldFailure)
	assert.False(t, b.IMA.Bypass)
	assert.True(t, b.Aggregate.Zero)
}

// extendTimedOut: the record stands in the list, the TPM has extended it, and IMA does not
// know.
func extendTimedOut(t *testing.T, v *Verdict) {
	b := v.Last()
	assert.Equal(t, PCRMismatch, b.Word)
	assert.Contains(t, strings.Join(b.IMA.Lines, "\n"), "ima: Error Communicating to TPM chip, result: -62")
	require.Contains(t, b.TPMPCRs, ima.SHA256)
	assert.False(t, b.IMA.Bypass)
}

// failedAsync: a driver that probes beside the initcalls fails as fast.
func failedAsync(t *testing.T, v *Verdict) { bypassed(BoundByHand)(t, v) }
