package boot_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/boot"
)

func TestRunIsBounded(t *testing.T) {
	t.Parallel()
	t.Run("steps", func(t *testing.T) {
		t.Parallel()
		r, err := boot.Run(context.Background(), platform(t, "powervm"), boot.Config{Device: new(trivialTPM), MaxSteps: 20})
		var limit *boot.LimitError
		require.ErrorAs(t, err, &limit)
		assert.Equal(t, "steps", limit.Limit)
		assert.NotEmpty(t, r.Events, "what has happened until then")
		assert.False(t, r.Summary.Userspace)
	})
	t.Run("time", func(t *testing.T) {
		t.Parallel()
		p := platform(t, "pc-tis")
		p.Initcalls[0].Took, p.Initcalls[1].Took = 40*time.Minute, 40*time.Minute
		_, err := boot.Run(context.Background(), p, boot.Config{})
		var limit *boot.LimitError
		require.ErrorAs(t, err, &limit)
		assert.Equal(t, "time", limit.Limit)
	})
	t.Run("context", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_, err := boot.Run(ctx, platform(t, "debian-qemu"), boot.Config{Device: new(trivialTPM)})
		assert.ErrorIs(t, err, context.Canceled)
	})
}

// A command that is still held when the run ends is cancelled, and nothing of
// the run is left behind.
func TestRunEndsWithAHeldCommand(t *testing.T) {
	t.Parallel()
	d := &holdingTPM{hold: only(0x182, 1, time.Hour)}
	p := parse(t, minimal("driver tpm kind=tis latency=1ms"))
	p.Userspace.Accesses = append(p.Userspace.Accesses, boot.Access{Kind: boot.Exec, Path: "/bin/sh"})
	r, err := boot.Run(context.Background(), p, boot.Config{Device: d, Tail: 100 * time.Millisecond})
	require.NoError(t, err)
	assert.Equal(t, 2, d.canceled, "boot_aggregate timed out, init's record is cancelled at the end")
	assert.Equal(t, 1, r.Summary.Kept, "the second record's extend never ended")
}

func TestUnknownStrategyAndAttack(t *testing.T) {
	t.Parallel()
	var unknown *boot.UnknownNameError
	_, err := boot.Run(context.Background(), platform(t, "pc-tis"), boot.Config{Strategy: 99})
	require.ErrorAs(t, err, &unknown)
	_, err = boot.Run(context.Background(), platform(t, "pc-tis"), boot.Config{Attack: 99})
	require.ErrorAs(t, err, &unknown)
	var s boot.Strategy
	require.ErrorAs(t, s.UnmarshalText([]byte("later")), &unknown)
	for _, s := range boot.Strategies() {
		text, err := s.MarshalText()
		require.NoError(t, err)
		var again boot.Strategy
		require.NoError(t, again.UnmarshalText(text))
		assert.Equal(t, s, again)
	}
	for _, a := range boot.Attacks() {
		text, err := a.MarshalText()
		require.NoError(t, err)
		var again boot.Attack
		require.NoError(t, again.UnmarshalText(text))
		assert.Equal(t, a, again)
	}
}

// The clock passes every level in order, in the machine's time.
func TestClockPassesTheLevels(t *testing.T) {
	t.Parallel()
	clock := new(initcall.Clock)
	var events []initcall.Event
	clock.Subscribe(func(e initcall.Event) { events = append(events, e) })
	_, err := boot.Run(context.Background(), platform(t, "pc-tis"), boot.Config{Clock: clock})
	require.NoError(t, err)
	require.Len(t, events, len(initcall.Levels()))
	for i, e := range events {
		assert.Equal(t, initcall.Levels()[i], e.Level)
		assert.Equal(t, 1, e.Boot)
	}
	assert.Greater(t, events[len(events)-1].At, time.Second)
}

// The queue is extended in order, after the boot aggregate, at late_sync.
func TestQueueExtendsLate(t *testing.T) {
	t.Parallel()
	r := machine{platform: platform(t, "powervm"), config: boot.Config{Strategy: boot.Queue}}.boot(t)
	queued, extended := find(r, boot.RecordQueued, ""), find(r, boot.RecordExtended, "")
	require.Len(t, queued, 28)
	require.Len(t, extended, 31)
	assert.Equal(t, "boot_aggregate", extended[0].Name)
	for i, e := range queued {
		assert.Equal(t, initcall.Late, e.Level)
		assert.Equal(t, e.Name, extended[i+2].Name, "behind boot_aggregate and kernel_version")
		assert.Equal(t, initcall.LateSync, extended[i+2].Level)
	}
}

// A hook that comes while another task's extend is held waits for it, and the
// list and the PCR keep one order.
func TestHooksWaitForEachOther(t *testing.T) {
	t.Parallel()
	p := parse(t, `platform two
kernel 6.12 cmdline="ima_policy=tcb" jitter=0
firmware startup
driver tpm kind=tis latency=1ms
driver slow took=1ms async=yes
device tpm0 driver=tpm
initcall rootfs populate_rootfs initramfs=1ms
initcall device tpm_init register=tpm
initcall late init_ima ima
initcall late deferred_probe_initcall deferred-probe
initcall late_sync last took=1ms
userspace took=1ms
  exec /init
  wait 1ms
  exec /bin/a
`)
	d := &holdingTPM{hold: only(0x182, 2, 500*time.Millisecond)}
	r, err := boot.Run(context.Background(), p, boot.Config{Device: d})
	require.NoError(t, err)
	extended := find(r, boot.RecordExtended, "")
	require.Len(t, extended, 3)
	assert.Greater(t, extended[2].At-extended[1].At, 500*time.Millisecond)
}

// A hook that comes while init_ima extends its second record in another task is
// measured: the policy is in force by then.
func TestHooksDuringInit(t *testing.T) {
	t.Parallel()
	p := parse(t, `platform during
kernel 6.12 cmdline="ima_policy=tcb|critical_data" jitter=0
firmware startup
driver tpm kind=tis-spi took=50ms latency=1ms
device tpm0 driver=tpm
helper gap
  exec /sbin/modprobe
initcall rootfs populate_rootfs initramfs=1ms
initcall device tpm_init register=tpm
initcall late init_ima ima
initcall late deferred_probe_initcall deferred-probe
initcall late long took=100ms
initcall late_sync selftest helper=gap
userspace
  exec /init
`)
	d := &holdingTPM{hold: func(n int, code uint32) time.Duration {
		if code == 0x182 && n == 2 {
			return 500 * time.Millisecond
		}
		return 0
	}}
	r, err := boot.Run(context.Background(), p, boot.Config{Strategy: boot.Notifier, Device: d})
	require.NoError(t, err)
	assert.Equal(t, "async", r.Summary.Task)
	assert.Zero(t, r.Summary.Lost)
	extended := find(r, boot.RecordExtended, "")
	require.Len(t, extended, 4)
	assert.Equal(t, []string{"boot_aggregate", "kernel_version", "/sbin/modprobe", "/init"},
		[]string{extended[0].Name, extended[1].Name, extended[2].Name, extended[3].Name})
}

// Times vary with the seed, within the platform's jitter.
func TestJitter(t *testing.T) {
	t.Parallel()
	p := platform(t, "pc-tis")
	at := func(seed uint64, jitter int) time.Duration {
		p := *p
		p.Kernel.Jitter = jitter
		return machine{platform: &p, config: boot.Config{Seed: seed}}.boot(t).Summary.KernelAt
	}
	assert.Equal(t, 1200*time.Millisecond, at(1, 0))
	assert.NotEqual(t, at(1, 5), at(2, 5))
	for seed := range uint64(20) {
		assert.InDelta(t, 1.2, at(seed, 5).Seconds(), 0.05*1.2)
	}
}

func TestFirmwareDependsOnTheSeed(t *testing.T) {
	t.Parallel()
	a := machine{platform: platform(t, "pc-tis"), config: boot.Config{Seed: 1}}.boot(t)
	b := machine{platform: platform(t, "pc-tis"), config: boot.Config{Seed: 2}}.boot(t)
	assert.NotEqual(t, a.PCRs[ima.SHA256][0], b.PCRs[ima.SHA256][0])
	assert.NotEqual(t, a.Summary.Aggregates[0].Digest, b.Summary.Aggregates[0].Digest)
}

// What becomes ready at one time runs in the order in which it was started.
func TestTiesKeepTheirOrder(t *testing.T) {
	t.Parallel()
	r := machine{platform: parse(t, minimal("driver tpm kind=tis\ninitcall device a async=5ms\ninitcall device b async=5ms\ninitcall device c async=5ms"))}.boot(t)
	var order []string
	for _, e := range r.Events {
		if len(e.Name) == 1 && (e.Kind == boot.AsyncStarted || e.Kind == boot.AsyncEnded) {
			order = append(order, e.Name)
		}
	}
	assert.Equal(t, []string{"a", "b", "c", "a", "b", "c"}, order)
}

// The machine is not watched longer than Tail.
func TestTail(t *testing.T) {
	t.Parallel()
	p := parse(t, minimal("driver tpm kind=tis")+"  wait 30m\n  exec /bin/sh\n")
	p.Kernel.CommandLine += " deferred_probe_timeout=0" // nothing else is going on
	now := new(boot.Time)
	r, err := boot.Run(context.Background(), p, boot.Config{Device: new(trivialTPM), Time: now, Tail: time.Second})
	require.NoError(t, err)
	assert.LessOrEqual(t, now.Now(), r.Summary.UserspaceAt+time.Second)
	assert.False(t, r.Summary.Userspace)
	assert.Equal(t, 2, r.Summary.Kept)
}

// A file that is used twice before IMA starts is one lost record.
func TestLostFilesCountOnce(t *testing.T) {
	t.Parallel()
	p := parse(t, minimal("driver tpm kind=tis\nhelper twice\n  read /etc/a\n  read /etc/a\n  map /etc/a\ninitcall device request helper=twice\n"))
	assert.Equal(t, 1, machine{platform: p}.boot(t).Summary.Lost)
}

// A reboot of the same TPM: its clock goes on, the boot is the same again.
func TestReboot(t *testing.T) {
	t.Parallel()
	now, clock := new(boot.Time), new(initcall.Clock)
	tpm, err := emulator.New(emulator.Platform{Clock: now, Entropy: emulatortest.NewEntropy(1), SelfTest: selfTests.SelfTest}, emulator.Config{})
	require.NoError(t, err)
	config := boot.Config{Device: tpm, Time: now, Clock: clock}
	first, err := boot.Run(context.Background(), platform(t, "pc-tis"), config)
	require.NoError(t, err)
	after := now.Now()
	second, err := boot.Run(context.Background(), platform(t, "pc-tis"), config)
	require.NoError(t, err)
	assert.Equal(t, first.Events, second.Events)
	assert.Equal(t, first.PCRs, second.PCRs)
	assert.Equal(t, 2*after, now.Now())
	assert.Equal(t, 2, clock.Now().Boot)
}

// One platform may be booted by several goroutines.
func TestPlatformIsShared(t *testing.T) {
	t.Parallel()
	p := platform(t, "powervm")
	for _, strategy := range boot.Strategies() {
		t.Run(strategy.String(), func(t *testing.T) {
			t.Parallel()
			for _, attack := range boot.Attacks() {
				r := machine{platform: p, config: boot.Config{Strategy: strategy, Attack: attack}}.boot(t)
				assert.Equal(t, attack != boot.NoAttack && strategy != boot.Deny, r.Summary.Attack.Ran)
			}
		})
	}
}

// An initramfs on tmpfs: the built-in policy spares it, since 6.14 for reading
// only.
func TestInitramfsOnTmpfs(t *testing.T) {
	t.Parallel()
	for kernel, kept := range map[string]int{"6.12": 1, "7.3": 3} {
		p := parse(t, minimal("driver tpm kind=tis\nfs rootfs type=tmpfs magic=0x1021994")+"  map /lib/libc.so.6\n  read /etc/passwd\n")
		p.Kernel.Profile = kernel
		assert.Equal(t, kept, machine{platform: p}.boot(t).Summary.Kept, kernel)
	}
}

// A usermode helper before the initramfs level fails and measures nothing; one
// that comes while it is unpacked waits.
func TestHelpersWaitForTheInitramfs(t *testing.T) {
	t.Parallel()
	text := minimal("firmware startup\ndriver tpm kind=tis\nhelper modprobe\n  exec /sbin/modprobe\ninitcall fs early_request helper=modprobe\ninitcall device request helper=modprobe\n")
	r := machine{platform: parse(t, text)}.boot(t)
	ended := find(r, boot.HelperEnded, "modprobe")
	require.Len(t, ended, 2)
	assert.Equal(t, -16, ended[0].Code)
	assert.Zero(t, ended[1].Code)
	var unpacked boot.Event
	for _, e := range find(r, boot.AsyncEnded, "do_populate_rootfs") {
		unpacked = e
	}
	assert.GreaterOrEqual(t, find(r, boot.HelperCalled, "modprobe")[0].At, unpacked.At)
	assert.Equal(t, 1, r.Summary.Lost, "one file, before IMA")
}

// initramfs_async=0 has populate_rootfs wait.
func TestInitramfsAsync(t *testing.T) {
	t.Parallel()
	for arg, waits := range map[string]bool{"": false, " initramfs_async=0": true, " initramfs-async=0": true, " -- initramfs_async=0": false} {
		p := parse(t, minimal("driver tpm kind=tis"))
		p.Kernel.CommandLine += arg
		r := machine{platform: p}.boot(t)
		returned := find(r, boot.InitcallReturned, "populate_rootfs")[0]
		assert.Equal(t, waits, returned.Took >= 10*time.Millisecond, arg)
	}
}

// An IMA that cannot start says so and measures nothing.
func TestIMAThatFails(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"pc-tis", "powervm"} {
		p := platform(t, name)
		p.Kernel.CommandLine += " ima_hash=sha256"
		p.Kernel.Unavailable = append(p.Kernel.Unavailable, ima.SHA1)
		r := machine{platform: p}.boot(t)
		assert.True(t, r.Summary.Started)
		assert.NotZero(t, r.Summary.StartError)
		assert.Zero(t, r.Summary.Kept)
		assert.Empty(t, r.Summary.Aggregates)
	}
}

// An empty name of a template keeps IMA from starting; the boot goes on.
func TestEmptyTemplateKeepsIMAFromStarting(t *testing.T) {
	t.Parallel()
	p := platform(t, "pc-tis")
	p.Kernel.CommandLine += " ima-template="
	r := machine{platform: p}.boot(t)
	assert.NotZero(t, r.Summary.StartError)
	assert.Zero(t, r.Summary.Kept)
	assert.Len(t, logs(r, "ima: Invalid field with length 0"), 1)
	assert.Len(t, logs(r, "ima: template  init failed, result: -22"), 1)
}

// Faults that never end leave the PCRs readable.
func TestPCRsAreReadPastFaults(t *testing.T) {
	t.Parallel()
	rule := faults.Rule{Name: "for ever", When: faults.When{From: initcall.Kernel}, Do: faults.Answer(0x101)}
	r := machine{platform: platform(t, "pc-tis"), rules: []faults.Rule{rule}}.boot(t)
	assert.True(t, r.Summary.Bypass)
	require.Len(t, r.PCRs, 4)
	for bank, values := range r.PCRs {
		require.Len(t, values, 11, bank)
		assert.NotEqual(t, make([]byte, bank.Size()), []byte(values[0]), "firmware measured")
		assert.Equal(t, make([]byte, bank.Size()), []byte(values[10]), "nobody extended")
	}
}

func TestEventLines(t *testing.T) {
	t.Parallel()
	at := 1234567 * time.Microsecond
	tests := []struct {
		event  boot.Event
		want   string
		kernel bool
	}{
		{boot.Event{Kind: boot.LogLine, Text: "ima: x"}, "ima: x", true},
		{boot.Event{Kind: boot.InitcallCalled, Name: "init_ima"}, "calling  init_ima @ 1", true},
		{boot.Event{Kind: boot.InitcallReturned, Name: "init_ima", Code: -517, Took: 3 * time.Millisecond}, "initcall init_ima returned -517 after 3000 usecs", true},
		{boot.Event{Kind: boot.ProbeDeferred, Name: "tpm0", Code: -517}, "probe of tpm0 returned -517 after 0 usecs", true},
		{boot.Event{Kind: boot.ProbeFailed, Name: "tpm0", Code: -62}, "probe of tpm0 returned 62 after 0 usecs", true},
		{boot.Event{Kind: boot.LevelReached, Level: initcall.Late}, "entering initcall level: late", true},
		{boot.Event{Kind: boot.LevelReached, Level: initcall.RootFS}, "entering initcall level: rootfs", false},
		{boot.Event{Kind: boot.LevelReached, Level: initcall.LateSync}, "entering initcall level: late_sync", false},
		{boot.Event{Kind: boot.TPMCommand, Task: "init", Name: "SelfTest", Code: 0x100}, "-- init: TPM2_SelfTest -> 0x100 after 0 usecs", false},
		{boot.Event{Kind: boot.RecordLost, Name: "/init"}, "-- record_lost /init", false},
	}
	for _, test := range tests {
		test.event.At = at
		line, kernel := test.event.LineSince(time.Second)
		assert.Equal(t, "[    0.234567] "+test.want, line)
		assert.Equal(t, test.kernel, kernel)
		line, _ = test.event.Line()
		assert.Equal(t, "[    1.234567] "+test.want, line)
	}
}
