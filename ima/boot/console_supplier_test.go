package boot_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/ima/boot"
)

// A TPM that waits for a supplier which is retried asynchronously is in bypass with IMA at
// late, and a race with IMA at late_sync, whichever way the boot of the log ended: each of
// these kernels was seen to do both.
func TestFromConsoleSeesAnAsynchronousSupplier(t *testing.T) {
	t.Parallel()
	const name = "arm64-7.3-async-supplier"
	const tried = "[    0.985288] probe of c000000.tpm_tis with driver tpm_tis returned -517 after 28 usecs\r\n"
	const bound = "[    0.993921] probe of regulator-tpm with driver another returned 0 after 8489 usecs\r\n"
	unknown := strings.ReplaceAll(console(t, name), "reg-fixed-voltage", "another")
	require.Contains(t, unknown, tried)
	require.Contains(t, unknown, bound)
	overlap := strings.Replace(unknown, tried, "", 1)
	overlap = strings.Replace(overlap, bound, bound+"[    0.993922] probe of c000000.tpm_tis with driver tpm_tis returned -517 after 9000 usecs\r\n", 1)
	for name, c := range map[string]struct {
		log string
		as  boot.Strategy
	}{
		"the TPM was retried in vain before it":         {unknown, boot.Late},
		"the retry in vain ended after it":              {overlap, boot.Late},
		"the TPM was not; its driver is known for that": {console(t, name+"-first"), boot.Kconfig},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := reproduced(t, c.log, "")
			require.NoError(t, err)
			require.NoError(t, r.Comparison.Err(), rendered(t, &r.Comparison))
			assert.Equal(t, c.as, r.Strategy)
			assert.True(t, slices.ContainsFunc(r.Platform.Devices, func(d boot.Device) bool { return d.Name == "regulator-tpm" }))

			ends := func(strategy boot.Strategy) map[bool]int {
				bypass := map[bool]int{}
				for seed := range uint64(16) {
					config := boot.Config{Strategy: strategy, Seed: seed, Scatter: boot.RaceWindow}
					if seed == 0 {
						config.Scatter = 0 // as in the log
					}
					bypass[machine{platform: r.Platform, config: config}.boot(t).Summary.Bypass]++
				}
				return bypass
			}
			assert.Equal(t, map[bool]int{true: 16}, ends(boot.Late))
			assert.Len(t, ends(boot.Kconfig), 2)
			s := machine{platform: r.Platform, config: boot.Config{Strategy: boot.Kconfig}}.boot(t).Summary
			require.NotNil(t, s.Race)
			assert.Equal(t, initcall.LateSync, s.Race.Level)
			assert.Nil(t, machine{platform: r.Platform, config: boot.Config{Strategy: boot.Late}}.boot(t).Summary.Race, "init_ima precedes deferred_probe_initcall")
		})
	}
}

// A supplier that the kernel deferred once more, or after the TPM, was retried in its turn:
// what deferred_probe_initcall waits for is no race.
func TestFromConsoleSeesASupplierInItsTurn(t *testing.T) {
	t.Parallel()
	log := console(t, "arm64-7.3-async-supplier")
	const first = "] probe of regulator-tpm with driver reg-fixed-voltage returned -517"
	require.Contains(t, log, first)
	for name, log := range map[string]string{
		"deferred once more": strings.Replace(log, "] probe of c000000.tpm_tis with driver tpm_tis returned -517 after 28", first+" after 0 usecs\n[    0.985288] probe of c000000.tpm_tis with driver tpm_tis returned -517 after 28", 1),
		"not deferred":       strings.Replace(log, first, "] probe of another with driver reg-fixed-voltage returned -517", 1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := reproduced(t, log, "")
			require.NoError(t, err)
			require.NoError(t, r.Comparison.Err(), rendered(t, &r.Comparison))
			s := machine{platform: r.Platform, config: boot.Config{Strategy: boot.Kconfig}}.boot(t).Summary
			assert.Nil(t, s.Race)
			assert.False(t, s.Bypass)
		})
	}
}
