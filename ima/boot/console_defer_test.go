package boot_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/ima/boot"
)

// deferredLog is the log of a real boot with a deferred TPM in which the retries
// are others: the lines, by their times, in place of what the log has of the TPM's
// success.
func deferredLog(t *testing.T, lines ...string) string {
	t.Helper()
	log := console(t, "arm64-6.1-eprobe-defer-ima-late")
	log, _, _ = strings.Cut(log, "\n=== ")
	var b strings.Builder
	next := 0
	for line := range strings.Lines(log) {
		stamp, text, _ := strings.Cut(strings.TrimSpace(line), "] ")
		for ; next < len(lines) && lines[next][:13] < stamp && strings.HasPrefix(stamp, "["); next++ {
			b.WriteString(lines[next] + "\n")
		}
		switch {
		case strings.Contains(line, "c000000.tpm_tis") && stamp > "[    0.400000", strings.HasPrefix(text, "tpm tpm0: "):
			continue
		case strings.HasPrefix(text, "initcall deferred_probe_initcall"):
			line = strings.Replace(line, "after 63808", "after 63000", 1)
		}
		b.WriteString(line)
	}
	for ; next < len(lines); next++ {
		b.WriteString(lines[next] + "\n")
	}
	return b.String()
}

// What a log shows of a deferred TPM is kept: how often it was tried, and when it
// was bound. A later start of IMA is a remedy only where it would have been one.
func TestFromConsoleKeepsADeferral(t *testing.T) {
	t.Parallel()
	const (
		again  = "[    0.464700] probe of c000000.tpm_tis returned -517 after 10 usecs"
		second = "[    0.466000] probe of c000000.tpm_tis returned -517 after 10 usecs"
		end    = "[   14.000000] reboot: Power down"
	)
	bound := func(at float64) string {
		return fmt.Sprintf("[%12.6f] probe of c000000.tpm_tis returned 0 after 10000 usecs", at)
	}
	for name, c := range map[string]struct {
		log      string
		level    initcall.Level // where it was bound
		at       time.Duration  // 0 for never
		tries    int            // that end with -517, at least
		lateSync bool           // IMA at late_sync would have found it
	}{
		"first retry":            {deferredLog(t, bound(0.49), end), initcall.Late, 490 * time.Millisecond, 1, true},
		"second trigger":         {deferredLog(t, again, bound(0.49), end), initcall.Late, 490 * time.Millisecond, 2, true},
		"after late_sync":        {deferredLog(t, again, second, bound(0.571), end), initcall.LateSync, 571 * time.Millisecond, 3, false},
		"in userspace":           {deferredLog(t, again, second, bound(3.5), end), initcall.Userspace, 3500 * time.Millisecond, 3, false},
		"retried in userspace":   {deferredLog(t, again, second, strings.Replace(again, " 0.4", " 2.4", 1), bound(3.5), end), initcall.Userspace, 3500 * time.Millisecond, 4, false},
		"deferred probe's end":   {deferredLog(t, again, second, bound(10.53), end), initcall.Userspace, 10530 * time.Millisecond, 3, false},
		"never":                  {deferredLog(t, again, second, end), initcall.Firmware, 0, 3, false},
		"never, by the driver":   {strings.ReplaceAll(deferredLog(t, again, second, end), "_tis returned -517", "_tis returned 517"), initcall.Firmware, 0, 3, false},
		"failed when retried":    {deferredLog(t, "[    0.490000] probe of c000000.tpm_tis returned 110 after 100 usecs", end), initcall.Firmware, 0, 1, false},
		"with the driver's name": {strings.ReplaceAll(deferredLog(t, again, bound(0.49), end), "tpm_tis returned", "tpm_tis with driver tpm_tis returned"), initcall.Late, 490 * time.Millisecond, 2, true}, // Linux 7.3
		"a supplier is named":    {deferredLog(t, "[    0.300000] tpm_tis c000000.tpm_tis: probe deferral - supplier regulator-tpm not ready", bound(0.49), end), initcall.Late, 490 * time.Millisecond, 1, true},
		"a time stamp is wrong":  {strings.Replace(deferredLog(t, bound(0.49), end), "[    0.320", "[   33.320", 1), initcall.Late, 490 * time.Millisecond, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := reproduced(t, c.log, "")
			require.NoError(t, err)
			text := rendered(t, &r.Comparison)
			require.NoError(t, r.Comparison.Err(), text)
			b := machine{platform: r.Platform, config: boot.Config{Tail: r.Tail}}.boot(t)
			s := b.Summary
			assert.True(t, s.Bypass)
			assert.Equal(t, c.at > 0, s.TPMRegistered)
			if c.at > 0 {
				assert.Equal(t, c.level, s.TPMLevel)
				assert.InDelta(t, c.at.Seconds(), (s.TPMAt - s.KernelAt).Seconds(), 0.02)
			}
			assert.GreaterOrEqual(t, len(find(b, boot.ProbeDeferred, "c000000.tpm_tis")), c.tries)

			late := machine{platform: r.Platform, config: boot.Config{Strategy: boot.LateSync, Tail: r.Tail}}.boot(t).Summary
			assert.Equal(t, !c.lateSync, late.Bypass, "with IMA at late_sync")
		})
	}
}
