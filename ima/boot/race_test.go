package boot_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/ima/boot"
)

// racing is a machine whose TPM is probed beside pid 1, with commands that take
// latency; before is how long pid 1 takes from device to IMA at late.
func racing(t *testing.T, latency, before time.Duration) *boot.Platform {
	t.Helper()
	p := parse(t, minimal("firmware startup\ndriver tpm kind=tis-spi latency="+latency.String()))
	p.Initcalls = append(p.Initcalls, boot.Initcall{Level: initcall.DeviceSync, Name: "long", Took: before})
	return p
}

func TestRaces(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	tests := []struct {
		name            string
		latency, before time.Duration
		strategy        boot.Strategy
		until           initcall.Level
		while           faults.WhileDeferred
		race            bool
		early           bool // the TPM comes before IMA looks
	}{
		{"in time, narrowly", ms, 50 * ms, boot.Late, initcall.Firmware, 0, true, true},
		{"too late, narrowly", 10 * ms, 50 * ms, boot.Late, initcall.Firmware, 0, true, false},
		{"in time", ms, 500 * ms, boot.Late, initcall.Firmware, 0, false, true},
		{"too late", 100 * ms, 50 * ms, boot.Late, initcall.Firmware, 0, false, false},
		{"released just before IMA looks", ms, 50 * ms, boot.Late, initcall.Late, faults.Hold, true, false},
		{"released after IMA has looked", ms, 50 * ms, boot.Late, initcall.LateSync, faults.Hold, false, false},
		{"the same, told to retry", ms, 50 * ms, boot.Late, initcall.LateSync, faults.Retry, false, false},
		{"released before the second look", ms, 50 * ms, boot.LateSync, initcall.LateSync, faults.Hold, true, false},
		{"who waits for the TPM does not race", 10 * ms, 50 * ms, boot.Deny, initcall.Firmware, 0, false, false},
		{"nor does who is told", 10 * ms, 50 * ms, boot.Notifier, initcall.Firmware, 0, false, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m := machine{platform: racing(t, test.latency, test.before), config: boot.Config{Strategy: test.strategy}}
			if test.until != initcall.Firmware {
				m.rules = []faults.Rule{faults.Defer(test.until, test.while)}
			}
			s := m.boot(t).Summary
			require.True(t, s.TPMRegistered)
			if !test.race {
				assert.Nil(t, s.Race)
				return
			}
			require.NotNil(t, s.Race)
			assert.Equal(t, test.early, s.Race.Margin > 0, "%v", s.Race.Margin)
			assert.Equal(t, s.Race.LookedAt-s.TPMAt, s.Race.Margin)
			assert.Less(t, s.Race.Margin.Abs(), boot.RaceWindow)
			assert.Equal(t, test.strategy == boot.LateSync, s.Race.Level == initcall.LateSync)
			assert.Equal(t, !test.early, s.Bypass)
		})
	}
}

// A probe that pid 1 waits for, at its own level or in deferred_probe_initcall, is
// no race however near it is.
func TestOrderIsNoRace(t *testing.T) {
	t.Parallel()
	p := parse(t, minimal("firmware startup\ndriver tpm kind=tis latency=1ms"))
	for _, s := range boot.Strategies() {
		assert.Nil(t, machine{platform: p, config: boot.Config{Strategy: s}}.boot(t).Summary.Race, s)
		deferred := machine{platform: platform(t, "arm64-crb-ffa"), config: boot.Config{Strategy: s}}.boot(t)
		assert.Nil(t, deferred.Summary.Race, s)
	}
}

// waiting is a machine whose TPM waits for a device that is retried asynchronously, by
// way of another if there is one.
func waiting(t *testing.T, by string) *boot.Platform {
	t.Helper()
	p := parse(t, minimal(`firmware startup
driver tpm kind=tis latency=1ms
driver regulator async took=2ms
driver other took=1ms
device regulator driver=regulator needs=clock
device other driver=other needs=regulator
device clock driver=clock
driver clock took=1ms
initcall subsys regulators_init register=regulator,other
initcall fs long took=50ms`))
	p.Drivers[1].Took = 0 // so that it binds while deferred_probe_initcall waits
	p.Devices[len(p.Devices)-1].Needs = []string{by}
	p.Initcalls = append(p.Initcalls, boot.Initcall{Level: initcall.DeviceSync, Name: "clocks_init", Register: []string{"clock"}})
	return p
}

// What pid 1 waits for is a race all the same where the wait depends on asynchronous work:
// deferred_probe_initcall retries the TPM if its supplier has bound, and goes on if not.
func TestAnAsynchronousSupplierIsARace(t *testing.T) {
	t.Parallel()
	for _, by := range []string{"regulator", "other"} {
		s := machine{platform: waiting(t, by), config: boot.Config{Strategy: boot.LateSync}}.boot(t).Summary
		require.NotNil(t, s.Race, by)
		assert.Equal(t, initcall.LateSync, s.Race.Level)
		assert.Nil(t, machine{platform: waiting(t, by), config: boot.Config{Strategy: boot.Late}}.boot(t).Summary.Race, by)
	}
	p := waiting(t, "regulator")
	p.Devices[slices.IndexFunc(p.Devices, func(d boot.Device) bool { return d.Name == "regulator" })].Needs = nil
	s := machine{platform: p, config: boot.Config{Strategy: boot.LateSync}}.boot(t).Summary
	assert.Nil(t, s.Race, "it bound long before, and nobody was deferred")
	assert.Equal(t, initcall.Device, s.TPMLevel)
}

// Where threads wait for a processor, a race ends in both ways; without one the
// end is always the same.
func TestScatterShowsHowARaceEnds(t *testing.T) {
	t.Parallel()
	bypasses := func(before time.Duration) (n int) {
		for seed := range uint64(40) {
			m := machine{platform: racing(t, time.Millisecond, before), config: boot.Config{Seed: seed, Scatter: boot.RaceWindow}}
			if m.boot(t).Summary.Bypass {
				n++
			}
		}
		return n
	}
	n := bypasses(50 * time.Millisecond)
	assert.Greater(t, n, 4)
	assert.Less(t, n, 36)
	assert.Zero(t, bypasses(time.Second))
	m := machine{platform: racing(t, time.Millisecond, 50*time.Millisecond), config: boot.Config{Seed: 3, Scatter: boot.RaceWindow}}
	assert.Equal(t, m.boot(t).Summary, m.boot(t).Summary, "the same seed, the same boot")
}

func TestKconfigOfAKernelWithoutTheOption(t *testing.T) {
	t.Parallel()
	for profile, want := range map[string]string{
		"6.12": "Linux 6.12 has no CONFIG_IMA_INIT_LATE_SYNC, which came with 7.3; this is how it would boot with the option carried back",
		"7.3":  "",
	} {
		p := platform(t, "pc-tis")
		p.Kernel.Profile, p.Kernel.Release = profile, ""
		assert.Equal(t, want, machine{platform: p, config: boot.Config{Strategy: boot.Kconfig}}.boot(t).Summary.WhatIf)
		assert.Empty(t, machine{platform: p}.boot(t).Summary.WhatIf)
	}
}
