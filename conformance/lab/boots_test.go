package lab

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/ima"
)

// TestBoots boots Debian's kernel in QEMU against swtpmd. It is skipped where
// QEMU or the kernel is missing, unless SWTPMD_BOOTS is "required": then what
// is missing is fetched, and a boot that cannot be had fails. With "all" so are the boots
// that say of another way, limit or device what the others say of one: they take minutes.
func TestBoots(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("no boots with -short")
	}
	all, required := os.Getenv("SWTPMD_BOOTS") == "all", bootsRequired()
	b, err := equip(t, required)
	if err != nil && !required {
		t.Skip("no boots: ", err)
	}
	require.NoError(t, err)
	for _, c := range append(bootCases(), limitCases()...) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.more && !all {
				t.Skip("scripts/test --all-boots runs it")
			}
			c.check(t, b.boot(t, c))
		})
	}
	t.Run("gdbstub", func(t *testing.T) {
		t.Parallel()
		c := b.byTheKernel(t)
		c.check(t, b.boot(t, c))
	})
	t.Run("two guests of a fleet", func(t *testing.T) {
		t.Parallel()
		defer b.enter(true)()
		b.twoOfAFleet(t)
	})
}

// bootsRequired reports whether a boot that cannot be had is a failure.
func bootsRequired() bool {
	return slices.Contains([]string{"required", "all"}, os.Getenv("SWTPMD_BOOTS"))
}

// bench has what every boot needs.
type bench struct {
	machine Machine
	swtpmd  string
	cache   string
	qemuImg string        // of those that save guests
	queue   sync.Mutex    // held while waiting for places
	places  chan struct{} // taken by guests that run
}

// enter waits for places for a guest; all of them if it must be alone.
func (b *bench) enter(alone bool) (leave func()) {
	places := 1
	if alone {
		places = bootsAtOnce
	}
	b.queue.Lock()
	defer b.queue.Unlock()
	for range places {
		b.places <- struct{}{}
	}
	return func() {
		for range places {
			<-b.places
		}
	}
}

// bootsAtOnce is how many guests run at a time: each has two processors, and on
// a machine that is too busy the kernel's own timeouts fire.
const bootsAtOnce = 2

// bootTimeout bounds one boot on a busy machine.
const bootTimeout = 4 * time.Minute

// equip finds what the boots need. Without fetch it takes what is there.
func equip(t testing.TB, fetch bool) (*bench, error) {
	cache, err := CacheDir("")
	if err != nil {
		return nil, err
	}
	apt := &Apt{Cache: cache, Progress: t.Output()}
	b := &bench{places: make(chan struct{}, bootsAtOnce)}
	m := &b.machine
	firmware := SeaBIOS
	if fetch {
		firmware = OVMF // besides SeaBIOS, which comes with QEMU
	}
	if m.Tools, err = FindTools(t.Context(), apt, Q35, firmware, false, fetch); err != nil {
		return nil, err
	}
	if fetch {
		m.Kernel, err = DebianKernel(t.Context(), apt, Q35)
	} else {
		m.Kernel, err = CachedKernel(apt, Q35)
	}
	if err != nil {
		return nil, err
	}
	m.Accel, b.cache = Auto, cache
	m.Firmware, m.Device = SeaBIOS, TIS
	// A list of more than the boot aggregate is worth replaying.
	m.IMAPolicy = "tcb|critical_data"
	var remove func()
	if b.swtpmd, remove, err = BuildSwtpmd(t.Context(), ""); err == nil {
		t.Cleanup(remove)
	}
	return b, err
}

// bootCase is one boot and what must come of it.
type bootCase struct {
	name  string
	flags []string // the daemon's
	// alone is for a guest whose kernel must get from the TPM's probe to
	// late_sync in less than the 2.54 s for which the driver asks again.
	alone bool
	// more is for a boot that another one is like.
	more bool
	// waits is for a guest that does nothing for minutes: it takes no place.
	waits    bool
	firmware Firmware // SeaBIOS if empty
	setup    func(*Config)
	check    func(*testing.T, *Verdict)
	// console, if set, looks at the guest's console too.
	console func(t *testing.T, v *Verdict, log []byte)
}

// boot boots as c says, when it is its turn.
func (b *bench) boot(t *testing.T, c bootCase) *Verdict {
	t.Helper()
	if !c.waits {
		defer b.enter(c.alone)()
	}
	if c.firmware == OVMF && b.machine.Tools.OVMFCode == "" {
		t.Skip("no OVMF: it is fetched only with SWTPMD_BOOTS=required")
	}
	config := b.config(t, c)
	if c.console != nil && config.Keep == "" {
		config.Keep = t.TempDir()
	}
	record, err := Run(t.Context(), config)
	require.NoError(t, err)
	verdict, err := Judge(record)
	require.NoError(t, err)
	for _, boot := range verdict.Boots {
		t.Logf("%s (%.1f s): %s", boot.Word, record.Took.Seconds(), boot.Sentence)
	}
	if c.console != nil {
		log, err := os.ReadFile(filepath.Join(config.Keep, "console.log"))
		require.NoError(t, err)
		c.console(t, verdict, log)
	}
	return verdict
}

// config is how c is booted.
func (b *bench) config(t *testing.T, c bootCase) Config {
	config := Config{
		Machine: b.machine, TPM: Swtpmd(b.swtpmd, c.flags), Timeout: bootTimeout, Cache: b.cache,
		Policy: []byte("measure func=BPRM_CHECK\n"), Progress: t.Output(),
	}
	if dir := os.Getenv("SWTPMD_BOOTS_KEEP"); dir != "" {
		config.Keep = filepath.Join(dir, strings.ReplaceAll(c.name, " ", "-"))
	}
	if c.firmware != "" {
		config.Machine.Firmware = c.firmware
	}
	if c.setup != nil {
		c.setup(&config)
	}
	return config
}

func rebind(c *Config) { c.Rebind = true }

func async(c *Config) {
	c.Machine.AsyncProbe = true
	c.Await = 30 * time.Second
}

// forging has a process forge levels before init runs: the kernel waits for it
// while it asks for modules, within initcalls of device and late.
func forging(c *Config) {
	rebind(c)
	c.Modprobe = []byte("#!/bin/busybox sh\n" +
		"echo 'calling  regulator_init_complete+0x0/0x30 @ 1' >/dev/kmsg\n" +
		"echo 'entering initcall level: late_sync' >/dev/kmsg\n" +
		"echo 'Run /init as init process' >/dev/kmsg\n")
}

// notForged: the forged lines came before IMA looked for the TPM, they are what
// would have released it, and the kernel's own line did.
func notForged(t *testing.T, v *Verdict, log []byte) {
	b := v.Last()
	require.NotNil(t, b.Release)
	require.NotNil(t, b.IMA.LookedAt)
	assert.Equal(t, "late_sync", b.Release.Level)
	assert.NotContains(t, b.Release.Cause, "regulator_init_complete+0x0/0x30 @ 1")

	clock := new(initcall.Clock)
	trusting, err := initcall.NewConsole(clock)
	require.NoError(t, err)
	trusting.Trusting = true
	var believed initcall.Event
	defer clock.Subscribe(func(e initcall.Event) {
		if e.Level >= initcall.LateSync && believed.Level == initcall.Firmware {
			believed = e
		}
	})()
	trusting.Write(log)
	assert.Contains(t, believed.Cause, "regulator_init_complete+0x0/0x30 @ 1", "the guest has forged")
	assert.Less(t, believed.At, time.Duration(*b.IMA.LookedAt), "in time")
	assert.Less(t, believed.At, time.Duration(b.Release.At))
	t.Logf("forged at %s, released at %s: %s", believed.At, time.Duration(b.Release.At), b.Release.Cause)
}

func bootCases() []bootCase {
	lateSync := "--defer-until=late_sync"
	return []bootCase{
		readmeBoot(),
		{name: "on time, tis", check: onTime("tpm_tis")},
		{name: "on time, crb", setup: func(c *Config) { c.Machine.Device = CRB }, check: onTime("tpm_crb")},

		{name: "fail", flags: []string{lateSync}, setup: rebind, check: bypassed(BoundByHand)},
		{name: "fail, crb", more: true, flags: []string{lateSync}, check: bypassed(BoundByHand),
			setup: func(c *Config) { c.Machine.Device = CRB; rebind(c) }},
		{name: "initialize", flags: []string{lateSync, "--while-deferred=initialize"}, setup: rebind, check: bypassed(BoundByHand)},
		{name: "retry", flags: []string{lateSync, "--while-deferred=retry"}, setup: rebind, check: gaveUpRetrying},
		{name: "testing", flags: []string{lateSync, "--while-deferred=testing"}, setup: rebind, check: fieldFailed},

		{name: "forging initramfs", flags: []string{lateSync}, setup: forging, check: bypassed(BoundByHand), console: notForged},

		{name: "hold, async", flags: []string{lateSync, "--while-deferred=hold"}, setup: async, check: cameByItself},
		{name: "retry, async", more: true, alone: true, flags: []string{lateSync, "--while-deferred=retry"}, setup: async, check: cameByItself},
		{name: "testing, async", more: true, alone: true, flags: []string{lateSync, "--while-deferred=testing"}, setup: async, check: cameByItself},

		{name: "absent from power-on", flags: []string{"--defer-from=firmware", "--defer-until=kernel"}, check: firmwareMeasuredNothing},
		{name: "on time, ovmf", firmware: OVMF, check: onTime("tpm_tis")},
		{name: "fail, ovmf", more: true, firmware: OVMF, flags: []string{lateSync}, setup: rebind, check: bypassed(BoundByHand)},
		{name: "late in the first boot, reboot", flags: []string{lateSync, "--defer-boots=1"}, check: lateThenOnTime,
			setup: func(c *Config) { c.Restart = GuestReboot }},
		{name: "late in the first boot, reset", flags: []string{lateSync, "--defer-boots=1"}, check: lateThenOnTime,
			setup: func(c *Config) { c.Restart = SystemReset }},
	}
}

// onTime: IMA has measured, and what it says is what the TPM holds.
func onTime(driver string) func(*testing.T, *Verdict) {
	return func(t *testing.T, v *Verdict) {
		b := v.Last()
		assertMeasured(t, b)
		assert.Equal(t, driver, b.Driver.Name)
		assert.Equal(t, BoundInTime, b.Driver.Bound)
		assert.Nil(t, b.Release)
		assertFirmwareMeasured(t, b, true)
	}
}

// assertMeasured checks a boot in which all was well. The values are compared
// here once more, so that a verdict that says yes to everything is found out.
func assertMeasured(t *testing.T, b *BootVerdict) {
	t.Helper()
	require.Equal(t, Measured, b.Word)
	require.Contains(t, b.TPMPCRs, ima.SHA256)
	expected, err := ima.CalcBootAggregate(ima.BankOf(ima.SHA256), b.TPMPCRs)
	require.NoError(t, err)
	assert.Equal(t, "sha256:"+expected.String(), b.Aggregate.Algorithm+":"+b.Aggregate.Digest.String())
	assert.False(t, b.Aggregate.Zero)
	require.GreaterOrEqual(t, len(b.List), 3, "boot_aggregate, kernel_version and busybox")
	require.Len(t, b.Banks, len(b.TPMPCRs))
	for _, bank := range b.Banks {
		assert.Equal(t, bank.Replayed, b.TPMPCRs[bank.Bank][imaPCR], bank.Bank)
		assert.Equal(t, bank.Replayed, b.GuestPCRs[bank.Bank][imaPCR], bank.Bank)
	}
	assertSamePCRs(t, b)
}

// assertSamePCRs checks that the guest reads from its TPM what the TPM says.
func assertSamePCRs(t *testing.T, b *BootVerdict) {
	t.Helper()
	require.NotEmpty(t, b.TPMPCRs)
	assert.Equal(t, b.TPMPCRs, b.GuestPCRs)
}

// assertFirmwareMeasured checks whether the firmware has measured into PCR 0-7.
func assertFirmwareMeasured(t *testing.T, b *BootVerdict, want bool) {
	t.Helper()
	for algo, bank := range b.TPMPCRs {
		for pcr := range 8 {
			require.Contains(t, bank, pcr)
			zero := bytes.Equal(bank[pcr], make([]byte, algo.Size()))
			assert.Equal(t, want, !zero, "PCR %d of %s is %s", pcr, algo, bank[pcr])
		}
	}
}

// assertBypass checks a boot in which IMA found no TPM.
func assertBypass(t *testing.T, b *BootVerdict) {
	t.Helper()
	require.Equal(t, Bypass, b.Word)
	assert.Contains(t, strings.Join(b.IMA.Lines, "\n"), "ima: No TPM chip found, activating TPM-bypass!")
	assert.True(t, b.Aggregate.Zero)
	assert.Equal(t, "late", b.IMA.LookedLevel)
	require.NotNil(t, b.Release)
	assert.Equal(t, "late_sync", b.Release.Level)
	assert.Greater(t, b.Release.At, *b.IMA.LookedAt, "released after IMA had looked")
	require.NotEmpty(t, b.Banks)
	for _, bank := range b.Banks {
		assert.True(t, bank.TPM.Zero, "PCR %d of %s", imaPCR, bank.Bank)
		assert.False(t, bank.TPM.Match)
	}
	assertFirmwareMeasured(t, b, true)
}

// bypassed: IMA found no TPM, and the TPM works once its driver is bound.
func bypassed(bound Bound) func(*testing.T, *Verdict) {
	return func(t *testing.T, v *Verdict) {
		b := v.Last()
		assertBypass(t, b)
		assert.Equal(t, bound, b.Driver.Bound)
		assert.NotZero(t, b.Release.Decisions["answered"])
		assertSamePCRs(t, b)
	}
}

// gaveUpRetrying: the driver asks again 8 times and for 2.5 s a command, and
// gives up at the third command (tpm_transmit, tpm2_probe).
func gaveUpRetrying(t *testing.T, v *Verdict) {
	bypassed(BoundByHand)(t, v)
	assert.Greater(t, time.Duration(*v.Last().IMA.LookedAt), 7*time.Second)
}

// fieldFailed: a TPM whose self-test never ends is registered, but has no banks.
func fieldFailed(t *testing.T, v *Verdict) {
	b := v.Last()
	assert.Equal(t, NoSuitableBank, b.Word)
	assert.True(t, b.Driver.FieldFailure)
	assert.Equal(t, BoundInTime, b.Driver.Bound)
	assert.Contains(t, strings.Join(b.IMA.Lines, "\n"), "No suitable TPM algorithm for boot aggregate")
	assert.False(t, b.IMA.Bypass)
	assert.True(t, b.Aggregate.Zero)
	assert.Empty(t, b.GuestPCRs, "the guest sees no bank")
	for _, bank := range b.Banks {
		assert.True(t, bank.TPM.Zero, bank.Bank)
	}
}

// cameByItself: IMA found no TPM, and the driver registered it later without
// help.
func cameByItself(t *testing.T, v *Verdict) {
	b := v.Last()
	assertBypass(t, b)
	assert.Equal(t, BoundLater, b.Driver.Bound)
	require.NotNil(t, b.Driver.At)
	assert.Greater(t, *b.Driver.At, b.Release.At, "the driver waited for the release")
	assert.Nil(t, b.Driver.Failed, "what the other driver says of the device is not the TPM's probe")
	assert.False(t, b.Driver.FieldFailure)
	assertSamePCRs(t, b)
}

// firmwareMeasuredNothing: SeaBIOS found no TPM, the kernel did and started it.
func firmwareMeasuredNothing(t *testing.T, v *Verdict) {
	b := v.Last()
	assertMeasured(t, b)
	assertFirmwareMeasured(t, b, false)
	require.NotNil(t, b.Release)
	assert.Equal(t, "kernel", b.Release.Level)
	assert.NotZero(t, b.Release.Decisions["answered"], "SeaBIOS has asked")
}

// lateThenOnTime: the second boot does not remember the first.
func lateThenOnTime(t *testing.T, v *Verdict) {
	require.Len(t, v.Boots, 2)
	assertBypass(t, &v.Boots[0])
	assert.Equal(t, NeverBound, v.Boots[0].Driver.Bound)
	assertMeasured(t, &v.Boots[1])
	assertFirmwareMeasured(t, &v.Boots[1], true)
	assert.Nil(t, v.Boots[1].Release)
}
