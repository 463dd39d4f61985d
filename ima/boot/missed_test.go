package boot_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/ima/boot"
)

// What is said of a missed TPM is what the boot would have needed: it is given
// that, and no more, and measures.
func TestMissedSaysWhatABootNeeds(t *testing.T) {
	t.Parallel()
	causes := map[boot.MissedCause]int{}
	for _, name := range boot.Platforms() {
		for _, way := range []struct {
			until initcall.Level
			mode  faults.WhileDeferred
		}{{initcall.Firmware, faults.Fail}, {initcall.DeviceSync, faults.Fail}, {initcall.LateSync, faults.Retry}, {initcall.Userspace, faults.Fail}} {
			m := machine{platform: platform(t, name), none: name == "no-tpm"}
			deferred := func(until initcall.Level) machine {
				m := m
				m.rules = nil
				if until > initcall.Firmware {
					m.rules = []faults.Rule{faults.Defer(until, way.mode)}
				}
				return m
			}
			s := deferred(way.until).boot(t).Summary
			require.Equal(t, s.Bypass, s.Missed != nil, name)
			if !s.Bypass {
				continue
			}
			causes[s.Missed.Cause]++
			switch s.Missed.Cause {
			case boot.Failed:
				// A TPM there at the level of the probe is measured, at the
				// next one not, although that is before IMA looks.
				require.True(t, s.Missed.Last.Refused, name)
				at := s.Missed.Last.Level
				assert.False(t, deferred(at).boot(t).Summary.Bypass, "%s: %s", name, s.Missed)
				assert.Less(t, at+1, s.Level, name)
				assert.True(t, deferred(at+1).boot(t).Summary.Bypass, "%s: %s", name, s.Missed)
			case boot.Deferred:
				// No TPM is there early enough; an IMA that looks after the
				// retry finds one.
				assert.True(t, deferred(initcall.Firmware).boot(t).Summary.Bypass, name)
				if s.Missed.TPM == "" {
					later := deferred(initcall.Firmware)
					later.config.Strategy = boot.LateSync
					assert.False(t, later.boot(t).Summary.Bypass, "%s: %s", name, s.Missed)
				}
			case boot.Probing, boot.NotProbed:
				later := deferred(initcall.Firmware)
				later.config.Strategy = boot.Notifier
				assert.False(t, later.boot(t).Summary.Bypass, "%s: %s", name, s.Missed)
			case boot.NoTPM:
				assert.Equal(t, "no-tpm", name)
			}
		}
	}
	assert.Len(t, causes, 5, "%v", causes)
}

func TestMissedInWords(t *testing.T) {
	t.Parallel()
	late := []faults.Rule{faults.Defer(initcall.LateSync, faults.Fail)}
	for _, c := range []struct {
		platform string
		rules    []faults.Rule
		want     string
	}{
		{"pc-tis", late, `^The probe of MSFT0101:00 at device \(\S+ s\) had failed \(-19\), and the kernel does not retry what has failed\. To be measured, the TPM has to answer that probe, at device; after it is too late, even if before IMA looks\.$`},
		{"arm64-pkvm", nil, `^The probe of MSFT0101:00 at device \(\S+ s\) was deferred \(-517, its driver needs arm-ffa-2\) and retried only at late \(\S+ s\)\. To be measured, it has to be retried before IMA looks\.$`},
		{"arm64-pkvm", late, `when it failed \(-19\), which is final\. To be measured, it has to be retried before IMA looks, and the TPM has to answer by then\.$`},
		{"gb200-spi", nil, `^The probe of spi-PRP0001:00 had begun at device \(\S+ s\) and not ended\.`},
		{"rpi4-spi", nil, `^The probe of fe204000\.spi, on which spi0\.1 depends, at device \(\S+ s\) was deferred \(-517, supplier fe101000\.cprman\)`},
		{"rpi5-spi", nil, `^The probe of 1000120000\.pcie, on which spi0\.1 depends, had begun`},
		{"tpm-module", nil, `^No driver had tried MSFT0101:00 by then; the first probe was at userspace`},
	} {
		r := machine{platform: platform(t, c.platform), rules: c.rules}.boot(t)
		require.NotNil(t, r.Summary.Missed, c.platform)
		assert.Regexp(t, c.want, r.Summary.Missed.String())
	}
	r := machine{platform: platform(t, "no-tpm"), none: true}.boot(t)
	assert.Equal(t, "The machine has no TPM.", r.Summary.Missed.String())
}

// What fails, or is missing, may be another device's driver.
func TestMissedForAnotherReason(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ devices, register, want string }{
		{"driver spi fail=5\ndevice spi0 driver=spi\ndevice tpm0 driver=tpm parent=spi0", "tpm,spi",
			"The probe of spi0, on which tpm0 depends, at device ("},
		{"driver spi fail=5\ndevice spi0 driver=spi\ndevice tpm0 driver=tpm parent=spi0", "tpm,spi",
			"had failed (-5), and the kernel does not retry what has failed. To be measured, it has to succeed."},
		{"driver vcc\ndevice vcc driver=vcc\ndevice tpm0 driver=tpm needs=vcc", "tpm",
			"when it was deferred again. To be measured, it has to be retried before IMA looks."},
		{"driver spi\ndevice spi0 driver=spi\ndevice tpm0 driver=tpm parent=spi0", "tpm",
			"No driver had tried spi0, on which tpm0 depends, by then. To be measured"},
		{"driver spi\ndevice spi0 driver=spi\ndevice tpm0 driver=tpm parent=spi0", "spi",
			"No driver had tried tpm0 by then. To be measured"},
	} {
		r := machine{platform: parse(t, "platform other\nkernel 6.12 jitter=0\ndriver tpm kind=tis\n"+c.devices+
			"\ninitcall device bus_init register="+c.register+"\ninitcall late init_ima ima\ninitcall late deferred_probe_initcall deferred-probe\n")}.boot(t)
		require.NotNil(t, r.Summary.Missed)
		assert.Contains(t, r.Summary.Missed.String(), c.want)
	}
}
