package boot_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/ima/boot"
)

// What binds while another probe is about to defer is not missed
// (deferred_trigger_count).
func TestTriggerDuringProbe(t *testing.T) {
	t.Parallel()
	r := machine{platform: parse(t, `platform race
kernel 6.12 jitter=0
driver tpm kind=crb async=yes took=50ms
driver vcc took=10ms
device tpm0 driver=tpm needs=vcc
device vcc driver=vcc
initcall late init_ima ima
initcall late deferred_probe_initcall deferred-probe
initcall late tpm_init register=tpm
initcall late vcc_init register=vcc
`)}.boot(t)
	assert.Len(t, find(r, boot.ProbeDeferred, "tpm0"), 1)
	bound := find(r, boot.ProbeBound, "tpm0")
	require.Len(t, bound, 1)
	assert.Less(t, bound[0].At, time.Second, "not by the timeout of deferred probing")
}

// The first of the two flushes of deferred_probe_initcall comes before suppliers
// are given up.
func TestDomainThatBindsInTheFirstFlush(t *testing.T) {
	t.Parallel()
	r := machine{platform: parse(t, `platform flush
kernel 6.12 jitter=0 modules=no
driver tpm kind=tis
driver power took=1ms
driver clock took=1ms
device tpm0 driver=tpm domains=power
device power driver=power needs=clock
device clock driver=clock
initcall device tpm_init register=tpm
initcall device power_init register=power,clock
initcall late init_ima ima
initcall late deferred_probe_initcall deferred-probe
`)}.boot(t)
	assert.Len(t, find(r, boot.ProbeBound, "tpm0"), 1)
}

// Only kernels with modules have a timeout of deferred probing.
func TestTimeoutOfKernelsWithoutModules(t *testing.T) {
	t.Parallel()
	for modules, want := range map[string]int{"yes": 1, "no": 0} {
		r := machine{platform: parse(t, `platform timeout
kernel 6.12 modules=`+modules+`
driver tpm kind=tis
device tpm0 driver=tpm needs=nobody
device nobody
initcall device tpm_init register=tpm
initcall late init_ima ima
initcall late deferred_probe_initcall deferred-probe
`)}.boot(t)
		assert.Len(t, logs(r, "platform tpm0: deferred probe pending"), want, modules)
	}
}

func TestDriverAsyncProbe(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"":                             "init",
		"driver_async_probe=tpm":       "async",
		"driver_async_probe=other,tpm": "async",
		"driver_async_probe=other":     "init",
		"driver_async_probe=*":         "async",
		"driver_async_probe=*,tpm":     "init",
		"driver-async-probe=tpm":       "async",
		"-- driver_async_probe=tpm":    "init",
	}
	for arg, task := range tests {
		p := parse(t, minimal("driver tpm kind=tis"))
		p.Kernel.CommandLine += " " + arg
		assert.Equal(t, task, find(machine{platform: p}.boot(t), boot.ProbeBound, "tpm0")[0].Task, arg)
	}
}

// The timeout of deferred probing starts anew with each driver.
func TestTimeoutIsExtendedByDrivers(t *testing.T) {
	t.Parallel()
	text := `platform timeout
kernel 6.12 cmdline="ima_policy=tcb deferred_probe_timeout=2" jitter=0
driver tpm kind=tis
driver late module
device tpm0 driver=tpm suppliers=nobody
device nobody
initcall device tpm_init register=tpm
initcall late init_ima ima
initcall late deferred_probe_initcall deferred-probe
userspace
  exec /init
`
	without := machine{platform: parse(t, text)}.boot(t)
	with := machine{platform: parse(t, text+"  wait 1s\n  load /late.ko driver=late\n")}.boot(t)
	a, b := find(without, boot.ProbeBound, "tpm0"), find(with, boot.ProbeBound, "tpm0")
	require.Len(t, a, 1)
	require.Len(t, b, 1)
	assert.InDelta(t, 1.0, (b[0].At - a[0].At).Seconds(), 0.01)
}

// A domain is given up with an error once the kernel knows that no driver comes
// (driver_deferred_probe_check_state).
func TestDomains(t *testing.T) {
	t.Parallel()
	tests := []struct {
		kernel string
		code   int
		says   string
	}{
		{"modules=no", -19, "ignoring dependency for device, assuming no driver"},
		{`cmdline="deferred_probe_timeout=1"`, -110, "deferred probe timeout, ignoring dependency"},
	}
	for _, test := range tests {
		r := machine{platform: parse(t, `platform domains
kernel 6.12 jitter=0 `+test.kernel+`
driver tpm kind=tis
device tpm0 driver=tpm domains=power
device power
initcall device tpm_init register=tpm
initcall late init_ima ima
initcall late deferred_probe_initcall deferred-probe
`)}.boot(t)
		deferred, failed := find(r, boot.ProbeDeferred, "tpm0"), find(r, boot.ProbeFailed, "tpm0")
		require.NotEmpty(t, deferred)
		assert.Equal(t, 517, deferred[0].Code, "the bus's own")
		require.Len(t, failed, 1)
		assert.Equal(t, test.code, failed[0].Code)
		assert.NotEmpty(t, logs(r, test.says))
	}
}

// With a root file system on disk the kernel waits for probes before it is
// mounted.
func TestDiskWaitsForProbes(t *testing.T) {
	t.Parallel()
	for disk, waits := range map[string]bool{"": false, " disk": true} {
		r := machine{platform: parse(t, `platform disk
kernel 6.12 jitter=0
driver tpm kind=tis took=300ms
driver vcc took=1ms
device tpm0 driver=tpm suppliers=vcc
device vcc driver=vcc
initcall device tpm_init register=tpm
initcall late init_ima ima
initcall late deferred_probe_initcall deferred-probe
initcall late zz_init register=vcc
userspace`+disk+`
  exec /sbin/init
`)}.boot(t)
		assert.Equal(t, waits, r.Summary.TPMLevel == initcall.LateSync, disk)
	}
}
