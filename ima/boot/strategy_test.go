package boot_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/boot"
)

// column is a kind of machine in the table of strategies. Each has a helper in
// the gap between init_ima and late_sync that uses three files (28 in f), and an
// init.
type column string

const (
	onTime    column = "a"  // TPM at device
	deferred  column = "b"  // TPM deferred until deferred_probe_initcall
	asyncTail column = "c"  // TPM's asynchronous probe outlasts late_sync
	asyncSoon column = "c'" // TPM's asynchronous probe ends between late and late_sync
	module    column = "d"  // TPM's driver is a module
	absent    column = "e"  // no TPM
	gap       column = "f"  // TPM at device, many files in the gap
	early     column = "g"  // TPM at device, and two files at device level
)

func (c column) platform(t testing.TB) *boot.Platform {
	driver, device, register := "driver tpm kind=tis took=2ms latency=1ms", "device tpm0 driver=tpm", "register=tpm"
	supplier, load, activity := "", "", ""
	files := 3
	switch c {
	case deferred:
		supplier = "driver vcc took=2ms\ndevice vcc driver=vcc\ninitcall device_sync vcc_init register=vcc"
		device += " suppliers=vcc"
	case asyncTail:
		driver = "driver tpm kind=tis-spi took=500ms latency=1ms"
	case asyncSoon:
		driver = "driver tpm kind=tis-spi took=60ms latency=1ms"
	case module:
		driver, register = driver+" module", ""
		load = "  load /lib/modules/tpm.ko driver=tpm\n  exec /bin/sh\n"
	case absent:
		driver, device, register = "", "", ""
	case gap:
		files = 28
	case early:
		activity = "helper early\n  exec /sbin/early\n  read /etc/early.conf\ninitcall device stm_init helper=early"
	}
	var helper strings.Builder
	helper.WriteString("helper gap\n  exec /sbin/modprobe\n")
	for n := 1; n < files; n++ {
		fmt.Fprintf(&helper, "  read /etc/modprobe.d/%d.conf\n", n)
	}
	return parse(t, `platform column
kernel 7.3 cmdline="ima_policy=tcb" jitter=0 access=1ms
firmware startup measure=0,1,2,3,4,5,6,7
`+driver+"\n"+device+"\n"+helper.String()+`
initcall rootfs populate_rootfs initramfs=1ms
initcall device tpm_driver_init took=1ms `+register+"\n"+activity+"\n"+supplier+`
initcall late init_ima took=1ms ima
initcall late signature_selftest took=1ms helper=gap
initcall late deferred_probe_initcall deferred-probe
initcall late last took=100ms
initcall late_sync regulator_init_complete took=1ms
userspace took=10ms
  exec /init
`+load)
}

// outcome is a cell: the boot aggregates (B, BL, with a 0 if they are zero),
// records kept/extended, and what else is not zero.
func outcome(r *boot.Result) string {
	s := r.Summary
	var words []string
	for _, a := range s.Aggregates {
		name := map[string]string{ima.BootAggregateName: "B", ima.BootAggregateLateName: "BL"}[a.Name]
		if a.Zero {
			name += "0"
		}
		words = append(words, name)
	}
	words = append(words, fmt.Sprintf("%d/%d", s.Kept, s.Extended))
	for _, count := range []struct {
		name string
		n    int
	}{{"lost", s.Lost}, {"queued", s.Queued}, {"denied", s.Denied}} {
		if count.n > 0 {
			words = append(words, fmt.Sprint(count.name, " ", count.n))
		}
	}
	switch {
	case s.Bypass:
		words = append(words, "bypass")
	case !s.Started:
		words = append(words, "never")
	}
	if s.Panic != "" {
		words = append(words, "panic")
	}
	return strings.Join(words, " ")
}

// A kernel without TPM drivers has nothing to retry for.
func TestRetryWithoutTPMDrivers(t *testing.T) {
	t.Parallel()
	p := absent.platform(t)
	p.Kernel.NoTPM = true
	assert.Equal(t, "B0 5/0 bypass", outcome(machine{platform: p, config: boot.Config{Strategy: boot.Retry}}.boot(t)))
}

// At late_sync security/ is linked before everything that platforms have there.
func TestLateSyncComesFirst(t *testing.T) {
	t.Parallel()
	r := machine{platform: onTime.platform(t), config: boot.Config{Strategy: boot.LateSync}}.boot(t)
	started, other := find(r, boot.IMAStarted, ""), find(r, boot.InitcallCalled, "regulator_init_complete")
	assert.LessOrEqual(t, started[0].At, other[0].At)
}

// The design table: eight strategies on machines a to g. Of the gap's three
// files and init, with the boot aggregate, a complete list has five records.
func TestStrategyTable(t *testing.T) {
	t.Parallel()
	tests := []struct {
		strategy boot.Strategy
		options  boot.Options
		column   column
		want     string
	}{
		// Late: good with a TPM on time, bypass for ever otherwise; what came
		// before late is lost.
		{boot.Late, boot.Options{}, onTime, "B 5/5"},
		{boot.Late, boot.Options{}, deferred, "B0 5/0 bypass"},
		{boot.Late, boot.Options{}, asyncTail, "B0 5/0 bypass"},
		{boot.Late, boot.Options{}, asyncSoon, "B0 5/0 bypass"},
		{boot.Late, boot.Options{}, module, "B0 7/0 bypass"},
		{boot.Late, boot.Options{}, absent, "B0 5/0 bypass"},
		{boot.Late, boot.Options{}, gap, "B 30/30"},
		{boot.Late, boot.Options{}, early, "B 5/5 lost 2"},

		// LateSync: good with a deferred TPM, the gap is lost always; an
		// asynchronous probe may still miss it.
		{boot.LateSync, boot.Options{}, onTime, "B 2/2 lost 3"},
		{boot.LateSync, boot.Options{}, deferred, "B 2/2 lost 3"},
		{boot.LateSync, boot.Options{}, asyncTail, "B0 2/0 lost 3 bypass"},
		{boot.LateSync, boot.Options{}, asyncSoon, "B 2/2 lost 3"},
		{boot.LateSync, boot.Options{}, module, "B0 4/0 lost 3 bypass"},
		{boot.LateSync, boot.Options{}, absent, "B0 2/0 lost 3 bypass"},
		{boot.LateSync, boot.Options{}, gap, "B 2/2 lost 28"},
		{boot.LateSync, boot.Options{}, early, "B 2/2 lost 5"},

		// Retry: the gap is lost only where the TPM was late, and where there
		// is none.
		{boot.Retry, boot.Options{}, onTime, "B 5/5"},
		{boot.Retry, boot.Options{}, deferred, "BL 2/2 lost 3"},
		{boot.Retry, boot.Options{}, asyncTail, "BL0 2/0 lost 3 bypass"},
		{boot.Retry, boot.Options{}, asyncSoon, "BL 2/2 lost 3"},
		{boot.Retry, boot.Options{}, module, "BL0 4/0 lost 3 bypass"},
		{boot.Retry, boot.Options{}, absent, "BL0 2/0 lost 3 bypass"},
		{boot.Retry, boot.Options{}, gap, "B 30/30"},
		{boot.Retry, boot.Options{}, early, "B 5/5 lost 2"},

		// Kconfig: LateSync with a name of its own.
		{boot.Kconfig, boot.Options{}, onTime, "BL 2/2 lost 3"},
		{boot.Kconfig, boot.Options{}, deferred, "BL 2/2 lost 3"},
		{boot.Kconfig, boot.Options{}, asyncTail, "BL0 2/0 lost 3 bypass"},
		{boot.Kconfig, boot.Options{}, asyncSoon, "BL 2/2 lost 3"},
		{boot.Kconfig, boot.Options{}, module, "BL0 4/0 lost 3 bypass"},
		{boot.Kconfig, boot.Options{}, absent, "BL0 2/0 lost 3 bypass"},
		{boot.Kconfig, boot.Options{}, gap, "BL 2/2 lost 28"},
		{boot.Kconfig, boot.Options{}, early, "BL 2/2 lost 5"},

		// Dual: nothing of the gap is lost; in bypass both aggregates are
		// zero, and the chip is not looked for again.
		{boot.Dual, boot.Options{}, onTime, "B BL 6/6"},
		{boot.Dual, boot.Options{}, deferred, "B0 BL0 6/0 bypass"},
		{boot.Dual, boot.Options{}, asyncTail, "B0 BL0 6/0 bypass"},
		{boot.Dual, boot.Options{}, asyncSoon, "B0 BL0 6/0 bypass"},
		{boot.Dual, boot.Options{}, module, "B0 BL0 8/0 bypass"},
		{boot.Dual, boot.Options{}, absent, "B0 BL0 6/0 bypass"},
		{boot.Dual, boot.Options{}, gap, "B BL 31/31"},
		{boot.Dual, boot.Options{}, early, "B BL 6/6 lost 2"},

		// Queue: the gap is complete and extended late, or never; what came
		// before late is in it only if hooks act before init_ima.
		{boot.Queue, boot.Options{}, onTime, "B 5/5 queued 3"},
		{boot.Queue, boot.Options{}, deferred, "BL 5/5 queued 3"},
		{boot.Queue, boot.Options{}, asyncTail, "BL0 5/0 queued 3 bypass"},
		{boot.Queue, boot.Options{}, asyncSoon, "BL 5/5 queued 3"},
		{boot.Queue, boot.Options{}, module, "BL0 7/0 queued 3 bypass"},
		{boot.Queue, boot.Options{}, absent, "BL0 5/0 queued 3 bypass"},
		{boot.Queue, boot.Options{}, gap, "B 30/30 queued 28"},
		{boot.Queue, boot.Options{}, early, "B 5/5 lost 2 queued 3"},
		{boot.Queue, boot.Options{HooksFrom: initcall.Device}, early, "B 7/7 queued 5"},

		// Deny: nothing is lost, but programs in the gap fail; without a TPM
		// init itself does, if nobody says that there is none.
		{boot.Deny, boot.Options{}, onTime, "B 2/2 denied 1"},
		{boot.Deny, boot.Options{}, deferred, "B 2/2 denied 1"},
		{boot.Deny, boot.Options{}, asyncTail, "B 2/2 denied 1"},
		{boot.Deny, boot.Options{}, asyncSoon, "B 2/2 denied 1"},
		{boot.Deny, boot.Options{}, module, "0/0 denied 2 never panic"},
		{boot.Deny, boot.Options{ExemptModules: true}, module, "B 2/2 lost 2 denied 1"},
		{boot.Deny, boot.Options{}, absent, "0/0 denied 2 never panic"},
		{boot.Deny, boot.Options{KnowsNoTPM: true}, absent, "B0 2/0 denied 1 bypass"},
		{boot.Deny, boot.Options{}, gap, "B 2/2 denied 1"},
		{boot.Deny, boot.Options{}, early, "B 2/2 lost 2 denied 1"},
		{boot.Deny, boot.Options{HooksFrom: initcall.Device}, early, "B 2/2 denied 2"},

		// Notifier: good at any time, loses what precedes the chip, and never
		// starts without one.
		{boot.Notifier, boot.Options{}, onTime, "B 5/5"},
		{boot.Notifier, boot.Options{}, deferred, "B 2/2 lost 3"},
		{boot.Notifier, boot.Options{}, asyncTail, "B 2/2 lost 3"},
		{boot.Notifier, boot.Options{}, asyncSoon, "B 2/2 lost 3"},
		{boot.Notifier, boot.Options{}, module, "B 2/2 lost 5"},
		{boot.Notifier, boot.Options{}, absent, "0/0 lost 4 never"},
		{boot.Notifier, boot.Options{Fallback: true}, absent, "B0 2/0 lost 3 bypass"},
		{boot.Notifier, boot.Options{}, gap, "B 30/30"},
		{boot.Notifier, boot.Options{}, early, "B 5/5 lost 2"},
	}
	for _, test := range tests {
		t.Run(fmt.Sprintf("%s %s %+v", test.strategy, test.column, test.options), func(t *testing.T) {
			t.Parallel()
			r := machine{platform: test.column.platform(t), config: boot.Config{Strategy: test.strategy, Options: test.options}}.boot(t)
			assert.Equal(t, test.want, outcome(r))
		})
	}
}
