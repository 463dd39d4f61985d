package boot_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/ima/boot"
)

// withDevice is minimal with more keys of the TPM's device.
func withDevice(lines, keys string) string {
	return strings.Replace(minimal(lines), "device tpm0 driver=tpm", "device tpm0 driver=tpm "+keys, 1)
}

// A device that appears late is probed when it does, and brings what waited for
// it.
func TestADeviceAppears(t *testing.T) {
	t.Parallel()
	for what, text := range map[string]string{
		"the TPM":      withDevice("driver tpm kind=tis latency=1ms", "appears=3s"),
		"its supplier": withDevice("driver tpm kind=tis latency=1ms\ndriver regulator", "suppliers=vcc") + "device vcc driver=regulator appears=3s\ninitcall device regulator_init register=regulator\n",
	} {
		s := machine{platform: parse(t, text)}.boot(t).Summary
		require.True(t, s.TPMRegistered, what)
		assert.True(t, s.Bypass, what)
		assert.InDelta(t, 3.01, (s.TPMAt - s.KernelAt).Seconds(), 0.02, what)
		assert.Equal(t, initcall.Userspace, s.TPMLevel, what)
	}
	_, err := boot.ParsePlatform("x", strings.NewReader(withDevice("driver tpm kind=tis\ndriver bus", "parent=spi appears=1s")+"device spi driver=bus\n"))
	assert.ErrorContains(t, err, "appears when spi adds it")
}

// A probe that has failed is not retried by the kernel, but by who binds the
// device by hand.
func TestADeviceIsBoundByHand(t *testing.T) {
	t.Parallel()
	r := machine{platform: parse(t, withDevice("driver tpm kind=tis latency=1ms fail=19", "bind=3s"))}.boot(t)
	assert.True(t, r.Summary.Bypass)
	assert.True(t, r.Summary.TPMRegistered)
	assert.InDelta(t, 3.01, (r.Summary.TPMAt - r.Summary.KernelAt).Seconds(), 0.02)
	assert.Len(t, find(r, boot.ProbeFailed, ""), 1)
	assert.Equal(t, "sh", find(r, boot.ProbeBound, "")[0].Task)
}

// A TPM may fail after its probe: in field failure mode, with an error, or by
// taking longer than the kernel waits for an extend.
func TestATPMFailsAfterItsProbe(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		driver string
		lines  map[string]int
		took   time.Duration // of init_ima
	}{
		{"field-failure=yes", map[string]int{"TPM in field failure mode": 1, "ima: No suitable TPM algorithm": 1}, 0},
		{"after=0x101", map[string]int{"A TPM error (257) occurred attempting to read a pcr value": 10, "ima: Error Communicating to TPM chip": 12}, 0},
		{"after=-62", map[string]int{"ima: Error Communicating to TPM chip": 12}, 20*time.Minute + 750*time.Millisecond},
		{"slow=1s", map[string]int{"ima: Error Communicating to TPM chip, result: -62": 2}, 10*time.Second + 750*time.Millisecond},
		{"slow=700ms", map[string]int{"ima: Error Communicating": 0}, 7*time.Second + 700*time.Millisecond},
	} {
		r := machine{platform: parse(t, minimal("driver tpm kind=tis latency=1ms "+c.driver))}.boot(t)
		assert.False(t, r.Summary.Bypass, c.driver)
		for line, n := range c.lines {
			assert.Len(t, logs(r, line), n, "%s: %s", c.driver, line)
		}
		took := find(r, boot.InitcallReturned, "init_ima")
		require.Len(t, took, 1)
		assert.InDelta(t, c.took.Seconds(), took[0].Took.Seconds(), 0.1, c.driver)
	}
}
