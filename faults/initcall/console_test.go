package initcall_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// levelsOf returns the levels that a console printing text reaches, "|" where a
// new boot starts.
func levelsOf(t testing.TB, text string, markers ...initcall.Marker) string {
	t.Helper()
	console := newConsole(t, markers...)
	console.print(text)
	console.Flush()
	return console.levels()
}

// testConsole is a console with a clock whose events are kept.
type testConsole struct {
	*initcall.Console
	t      testing.TB
	clock  *initcall.Clock
	events []initcall.Event
}

func newConsole(t testing.TB, markers ...initcall.Marker) *testConsole {
	t.Helper()
	c := &testConsole{t: t, clock: new(initcall.Clock)}
	c.clock.Subscribe(func(e initcall.Event) { c.events = append(c.events, e) })
	var err error
	c.Console, err = initcall.NewConsole(c.clock, markers...)
	require.NoError(t, err)
	c.Trusting = true // the lines of most tests are no whole boot
	return c
}

func (c *testConsole) print(text string) {
	c.t.Helper()
	n, err := c.Write([]byte(text))
	require.NoError(c.t, err)
	require.Equal(c.t, len(text), n)
}

// levels returns the events since the last call.
func (c *testConsole) levels() string {
	var got []string
	for _, e := range c.events {
		name := e.Level.String()
		if e.Level == initcall.Firmware {
			name = "|"
		}
		got = append(got, name)
	}
	c.events = nil
	return strings.Join(got, " ")
}

const (
	linux61  = "[    0.000000] Linux version 6.1.0-56-amd64 (debian-kernel@lists.debian.org) #1 SMP\n"
	armStart = "[    0.000000] Booting Linux on physical CPU 0x0000000000 [0x411fd070]\n"
	initIMA  = "[    0.891410] calling  init_ima+0x0/0xc8 @ 1\n"
	lateSync = "[    1.253000] calling  regulator_init_complete+0x0/0x30 @ 1\n"
	runInit  = "[    1.407863] Run /init as init process\n"
)

func TestConsoleDialects(t *testing.T) {
	for _, test := range []struct {
		name, text, want string
	}{
		// What moves the clock.
		{"banner", linux61, "kernel"},
		{"arm's line before the banner", armStart + linux61, "kernel"},
		{"arm32's line", "Booting Linux on physical CPU 0x0\n", "kernel"},
		{"calling", initIMA, "late"},
		{"returned", "[    0.9] x\n[    0.921351] initcall init_ima+0x0/0xc8 returned 0 after 30000 usecs\n", "late"},
		{"level of a newer kernel", "[    0.041980] entering initcall level: subsys\n", "subsys"},
		{"level of a kernel that names _sync", "[    0.041980] entering initcall level: late_sync\n", "late_sync"},
		{"early of a newer kernel", "[    0.041980] entering initcall level: early\n", "early"},
		{"tp_printk level", "[    5.988644] initcall_level: level=late\n", "late"},
		{"tp_printk console level", "[    0.000000] initcall_level: level=console\n", "kernel"},
		{"tp_printk start", "[    5.988644] initcall_start: func=init_ima+0x0/0xc8\n", "late"},
		{"tp_printk finish", "[    5.988644] initcall_finish: func=init_ima+0x0/0xc8 ret=0\n", "late"},
		{"userspace", runInit, "userspace"},
		{"another init", "[    1.407863] Run /usr/lib/systemd/systemd as init process\n", "userspace"},
		{"all LSMs in one", "[    0.8] x\n[    0.800000] calling  security_initcall_late+0x0/0x60 @ 1\n[    0.900000] calling  security_initcall_late_sync+0x0/0x60 @ 1\n", "late late_sync"},

		// How it may look.
		{"no time stamps", "Linux version 6.1.0\ncalling  init_ima+0x0/0xc8 @ 1\nRun /init as init process\n", "kernel late userspace"},
		{"caller of a thread", "[    0.891410][    T1] calling  init_ima+0x0/0xc8 @ 1\n", "late"},
		{"caller of a processor", "[    0.000000][    C0] Linux version 6.1.0\n", "kernel"},
		{"caller of a large thread number", "[    0.891410][T1234567] calling  init_ima+0x0/0xc8 @ 1\n", "late"},
		{"a week of uptime", "[604800.000001] calling  init_ima+0x0/0xc8 @ 1\n", "late"},
		{"CRLF", "[    0.891410] calling  init_ima+0x0/0xc8 @ 1\r\n", "late"},
		{"CR alone", "Booting from ROM...\rLinux version 6.1.0\r", "kernel"},
		{"no end of line", "Run /init as init process", "userspace"},
		{"log level before the stamp", "<6>[    0.891410] calling  init_ima+0x0/0xc8 @ 1\n", "late"},
		{"SeaBIOS before the banner", "Probing EDD (edd=off to disable)... o\x1bc\x1b[?7l\x1b[2J" + linux61, "kernel"},
		{"SeaBIOS before a banner without stamp", "Probing EDD (edd=off to disable)... o\x1bc\x1b[?7l\x1b[2JLinux version 6.1.0\n", "kernel"},
		{"line noise", "\x00\xff\xfe  Linux version 6.1.0\n", "kernel"},
		{"what a process writes before a message", "hello wor" + initIMA, "late"},
		{"two messages in a line", "[    0.1] [    0.100000] foo: bar" + initIMA, "late"},
		{"a long line before a message", strings.Repeat("x", 5000) + initIMA, "late"},
		{"a message and a long line", strings.TrimSpace(initIMA) + strings.Repeat("x", 5000) + "\n", "late"},
		{"dmesg -x", "kern  :debug : [    0.891410] calling  init_ima+0x0/0xc8 @ 1\n", "late"},
		{"dmesg -T", "[Sun Nov 29 12:22:58 2026] calling  init_ima+0x0/0xc8 @ 1\n", "late"},
		{"dmesg -e", "[Nov29 12:22] Linux version 6.1.0\n[  +0.000012] calling  init_ima+0x0/0xc8 @ 1\n", "kernel late"},
		{"dmesg -d", "[    0.891410 <    0.000012>] calling  init_ima+0x0/0xc8 @ 1\n", "late"},
		{"level without a stamp", "<7>calling  init_ima+0x0/0xc8 @ 1\n", "late"},
		{"syslog", "Nov 29 12:22:58 board kernel: [    0.891410] calling  init_ima+0x0/0xc8 @ 1\n", "late"},
		{"ChromeOS", "2026-11-29T12:22:58.123456Z INFO kernel: [    0.891410] calling  init_ima+0x0/0xc8 @ 1\n", "late"},
		{"journalctl", "Nov 29 12:22:58 board kernel: Linux version 6.1.0\nNov 29 12:22:58 board kernel: calling  init_ima+0x0/0xc8 @ 1\n", "kernel late"},
		{"journalctl -o short-monotonic", "[    0.891410] board kernel: calling  init_ima+0x0/0xc8 @ 1\n", "late"},
		{"clang's suffixes", "[    0.891410] calling  init_ima.cfi_jt+0x0/0x8 @ 1\n", "late"},

		// Link-time optimisation names every level.
		{"LTO", "[    0.5] x\n[    0.500000] calling  __initstub__kmod_gpu_sched__180_178_drm_sched_fence_slab_init6+0x0/0x8 @ 1\n", "device"},
		{"LTO rootfs", "[    0.500000] calling  __initstub__kmod_pci_dma__250_136_pci_iommu_initrootfs+0x0/0x8 @ 1\n", "rootfs"},
		{"LTO early", "[    0.500000] calling  __initstub__kmod_foo__1_2_bar_initearly+0x0/0x8 @ 1\n", "early"},
		{"LTO late_sync", "[    0.500000] calling  __initstub__kmod_core__400_6242_regulator_init_complete7s+0x0/0x8 @ 1\n", "late_sync"},
		{"LTO pure", "[    0.500000] calling  __initstub__kmod_min_addr__236_53_init_mmap_min_addr0+0x0/0x8 @ 1\n", "pure"},

		// What looks like it and is not.
		{"firmware", "SeaBIOS (version 1.16.2-debian-1.16.2-1)\niPXE (http://ipxe.org)\nEFI stub: Booting Linux Kernel...\nLoading Linux 6.1.0-56-amd64 ...\n", ""},
		{"ppc64le's Open Firmware stub", "Preparing to boot Linux version 6.1.0-50-powerpc64le (debian-kernel@lists.debian.org)\nBooting Linux via __start() @ 0x0000000000400000 ...\n", ""},
		{"secondary processor", "[    0.010000] CPU1: Booted secondary processor 0x0000000001 [0x411fd070]\n", ""},
		{"PCI quirk", "[    1.066587] pci 0000:00:00.0: calling  quirk_mmio_always_on+0x0/0x20 @ 1\n", ""},
		{"a device's message", "[    1.066587] foo 1: calling  init_ima+0x0/0x20 @ 1\n", ""},
		{"unknown function", "[    0.034479] calling  my_init+0x0/0xc4 @ 1\n", ""},
		{"beginning of a marker's name", "[    0.034479] calling  init_im+0x0/0xc4 @ 1\n", ""},
		{"cut in the name", "[    0.034479] calling  init_ima\n", ""},
		{"cut before the name", "[    0.034479] calling  \n[    0.034479] calling\n[    0.034479] initcall \n", ""},
		{"cut level", "[    0.041980] entering initcall level: lat\n", ""},
		{"unknown level", "[    0.041980] entering initcall level: pre_userspace\n[    0.041980] initcall_level: level=firmware\n[    0.041980] initcall_level: level=userspace\n", ""},
		{"loadable module", "[    0.034479] calling  init_ima+0x0/0x1000 [ima] @ 300\n", ""},
		{"raw address", "[    0.034479] calling  0xffffffff81000000 @ 1\n", ""},
		{"blacklisted", "[    0.034479] initcall init_ima blacklisted\n", ""},
		{"probe", "[    0.034479] probe of 1c22000.tpm returned 517 after 10 usecs\n", ""},
		{"not yet userspace", "[    0.569731] Freeing unused kernel memory: 320K\n", ""},
		{"a service's status", "[  OK  ] calling  init_ima+0x0/0xc8 @ 1\n", ""},
		{"Run something", "[    0.569731] Run fsck on /dev/sda1\n", ""},
		{"no time stamp after all", "[0.1] calling  init_ima+0x0/0xc8 @ 1\n", ""},
		{"LTO without a level", "[    0.500000] calling  __initstub__kmod_foo+0x0/0x8 @ 1\n", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, test.want, levelsOf(t, test.text))
		})
	}
}

func TestConsoleEvent(t *testing.T) {
	for _, test := range []struct {
		text  string
		at    time.Duration
		cause string
	}{
		{initIMA, 891410 * time.Microsecond, "[    0.891410] calling  init_ima+0x0/0xc8 @ 1"},
		{"Booting...\x1bc\x1b[2J[604800.000001][    T1] calling  init_ima+0x0/0xc8 @ 1  \r\n", 604800*time.Second + time.Microsecond, "[604800.000001][    T1] calling  init_ima+0x0/0xc8 @ 1"},
		{"\x1b[32mcalling  init_ima+0x0/0xc8 @ 1\n", initcall.NoTime, "calling  init_ima+0x0/0xc8 @ 1"},
		{"[    0.000000] Linux version \x07\xff\t6.1\n", 0, "[    0.000000] Linux version ???6.1"},
		{"[    0.000000] Linux version " + strings.Repeat("6", 5000) + "\n", 0, "[    0.000000] Linux version " + strings.Repeat("6", 160-29-3) + "..."},
	} {
		console := newConsole(t)
		console.print(test.text)
		require.Len(t, console.events, 1, "%.80q", test.text)
		assert.Equal(t, test.cause, console.events[0].Cause)
		assert.Equal(t, test.at, console.events[0].At)
		assert.Equal(t, 1, console.events[0].Boot)
	}
}

// What is decided must be decided with the line's last byte, not with the next
// line.
func TestConsoleIsPrompt(t *testing.T) {
	console := newConsole(t)
	for i := range len(initIMA) {
		assert.Empty(t, console.events, "after %q", initIMA[:i])
		console.print(initIMA[i : i+1])
	}
	assert.Equal(t, "late", console.levels())
}

func TestConsoleOnlyMovesForward(t *testing.T) {
	console := newConsole(t)
	console.print(linux61 + initIMA + lateSync + runInit)
	assert.Equal(t, "kernel late late_sync userspace", console.levels())
	console.print(initIMA + "calling  foo+0x0/0x10 @ 1\n[    0.041980] entering initcall level: subsys\n" + runInit)
	assert.Empty(t, console.levels(), "noise of processes")

	ahead := newConsole(t)
	require.NoError(t, ahead.clock.Advance(initcall.LateSync, initcall.NoTime, "by hand"))
	ahead.print(linux61 + initIMA + runInit)
	assert.Equal(t, "late_sync userspace", ahead.levels(), "somebody else is ahead")
}

// A kernel whose IMA starts one level later calls the same function.
func TestConsoleInitIMAOfAChangedKernel(t *testing.T) {
	const deferred = "[    0.9] x\n[    0.900000] calling  deferred_probe_initcall+0x0/0x110 @ 1\n"
	assert.Equal(t, "late", levelsOf(t, initIMA+deferred))
	assert.Equal(t, "late late_sync", levelsOf(t, deferred+initIMA))

	console := newConsole(t)
	console.print(linux61 + deferred + linux61 + initIMA)
	assert.Equal(t, "kernel late | kernel late", console.levels(), "it is forgotten with the boot")
}

func TestConsoleMarkers(t *testing.T) {
	const mine = "[    0.500000] calling  my_init+0x0/0xc4 @ 1\n"
	marker := func(text string) initcall.Marker {
		m, err := initcall.ParseMarker(text)
		require.NoError(t, err)
		return m
	}
	assert.Equal(t, "", levelsOf(t, mine))
	assert.Equal(t, "late_sync", levelsOf(t, mine, marker("late_sync=my_init")), "one more")
	assert.Equal(t, "late_sync", levelsOf(t, initIMA, marker("late_sync=init_ima")), "another meaning")
	assert.Equal(t, "", levelsOf(t, initIMA, marker("firmware=init_ima")), "no meaning")
	assert.Equal(t, "late", levelsOf(t, initIMA+mine, marker("late_sync=my_init,after=foo")))
	assert.Equal(t, "late late_sync", levelsOf(t, initIMA+mine, marker("late_sync=my_init,after=init_ima"), marker("device=my_init")),
		"the furthest of two meanings")
	assert.Equal(t, "late late_sync", levelsOf(t, initIMA+mine, marker("late_sync=my_init,after=init_ima")))

	_, err := initcall.NewConsole(new(initcall.Clock), initcall.Marker{Function: "a b", Level: initcall.Late})
	var wrong *initcall.MarkerError
	require.ErrorAs(t, err, &wrong)
	assert.Equal(t, "late=a b", wrong.Text)
}

func TestConsoleWithoutPower(t *testing.T) {
	console := newConsole(t)
	console.print("SeaBIOS\n" + armStart + linux61)
	assert.Equal(t, "kernel", console.levels())
	console.print(linux61)
	assert.Equal(t, "| kernel", console.levels(), "reset before the first initcall")
	console.print(armStart + armStart)
	assert.Equal(t, "| kernel | kernel", console.levels(), "reset before the banner")
	console.print(initIMA + runInit + "some process")
	assert.Equal(t, "late userspace", console.levels())
	console.print("\nLinux version 6.1.0-56-amd64 (debian-kernel@lists.debian.org)\n")
	assert.Empty(t, console.levels(), "cat /proc/version, as this kernel's lines have time stamps")
	console.print(armStart + linux61 + initIMA)
	boot := console.clock.Now().Boot
	assert.Equal(t, "| kernel late", console.levels())
	assert.Equal(t, 5, boot)
	console.print(armStart + initIMA)
	assert.Equal(t, "| kernel late", console.levels(), "a banner may be lost")
}

func TestConsoleThatIsFollowedTooLate(t *testing.T) {
	console := newConsole(t)
	console.print(initIMA)
	console.print(linux61)
	assert.Equal(t, "late | kernel", console.levels())
}

func TestConsoleWithPower(t *testing.T) {
	console := newConsole(t)
	console.Reset("INIT")
	assert.Equal(t, []initcall.Event{{Boot: 1, Level: initcall.Firmware, At: initcall.NoTime, Cause: "INIT"}}, console.events)
	console.levels()
	console.print(armStart + linux61 + initIMA + runInit)
	assert.Equal(t, "kernel late userspace", console.levels())

	console.print(armStart + linux61 + initIMA + runInit)
	assert.Empty(t, console.levels(), "dmesg")
	assert.Equal(t, initcall.Userspace, console.clock.Level())

	console.Reset("INIT again")
	console.print("rest of the old boot\n" + initIMA + runInit)
	assert.Equal(t, "|", console.levels(), "the old boot's lines")
	console.print("SeaBIOS\n" + linux61 + initIMA)
	assert.Equal(t, "kernel late", console.levels())
	assert.Equal(t, 2, console.clock.Now().Boot)
}

// The reset is told while a line of the old boot is half read: what follows is
// no line of its own.
func TestConsoleResetWithinALine(t *testing.T) {
	console := newConsole(t)
	console.print(linux61 + "something else: ")
	console.Reset("INIT")
	console.print("Linux version 6.1.0 is what I run\n")
	assert.Equal(t, "kernel |", console.levels())
	console.print("Linux version 6.1.0\n")
	assert.Equal(t, "kernel", console.levels())

	console.print("[    0.100000] half a li")
	console.Reset("INIT")
	console.print(linux61)
	assert.Equal(t, "| kernel", console.levels(), "the new kernel's first line has a stamp")

	console.print("[    0.000000] Linux version 6")
	console.Reset("INIT")
	console.print(".1.0 of the old boot\n")
	assert.Equal(t, "|", console.levels())

	console.Reset("INIT")
	console.print("Linux version 6.1.0\n")
	assert.Equal(t, "| kernel", console.levels(), "nothing of the old boot was under way")
}

func TestConsoleRestartsWithoutPower(t *testing.T) {
	for _, line := range []string{
		"[   99.000000] kexec_core: Starting new kernel\n",
		"[   99.000000] Starting new kernel\n",
		"[   99.000000] Starting crashdump kernel...\n[   99.1] Bye!\n",
		"[   99.000000] Kernel panic - not syncing: sysrq triggered crash\n",
	} {
		console := newConsole(t)
		console.FollowKexec = true
		console.Reset("INIT")
		console.print(linux61 + initIMA + runInit)
		console.levels()
		console.print(line)
		assert.Empty(t, console.levels())
		console.print(armStart + linux61)
		require.Len(t, console.events, 2)
		assert.Equal(t, strings.TrimSpace(strings.SplitN(line, "\n", 2)[0]), console.events[0].Cause, "the boot's cause is no power cycle")
		assert.Equal(t, 2, console.events[0].Boot)
		assert.Equal(t, "| kernel", console.levels())
		console.print(initIMA + linux61)
		assert.Equal(t, "late", console.levels(), "once only")
	}

	console := newConsole(t)
	console.Reset("INIT")
	console.print(linux61 + "[   99.000000] kexec_core: Starting new kernel\n")
	console.Reset("INIT")
	console.print(linux61 + linux61)
	assert.Equal(t, "| kernel | kernel", console.levels(), "a reset comes first")
}

// Reset and Write come from different connections.
func TestConsoleResetAgainstWrite(t *testing.T) {
	console := newConsole(t)
	console.Reset("first")
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 200 {
			console.Write([]byte(initIMA + runInit)) // of the old boot
		}
	}()
	for range 200 {
		console.Reset("again")
	}
	transporttest.Receive(t, done)
	for _, e := range console.events {
		require.Equal(t, initcall.Firmware, e.Level, "nothing of the old boot counts")
	}
	console.print(linux61)
	assert.Equal(t, initcall.Kernel, console.clock.Level())
}

func ExampleConsole() {
	var clock initcall.Clock
	clock.Subscribe(func(e initcall.Event) { fmt.Printf("%-9s %6s  %s\n", e.Level, e.At, e.Cause) })
	console, err := initcall.NewConsole(&clock)
	if err != nil {
		fmt.Println(err)
		return
	}
	console.Trusting = true // a few lines out of a log, nobody's guest
	fmt.Fprint(console, "[    0.000000] Linux version 6.1.192\r\n",
		"[    0.298806] calling  kernel_panic_sysfs_init+0x0/0x2c @ 1\r\n",
		"[    0.500000] calling  init_ima+0x0/0x",
		"c8 @ 1\r\n[    0.516873] calling  amba_stub_drv_init+0x0/0x8 @ 1\r\n",
		"[    0.572095] Run /init as init process\r\n")
	// Output:
	// kernel        0s  [    0.000000] Linux version 6.1.192
	// late      298.806ms  [    0.298806] calling  kernel_panic_sysfs_init+0x0/0x2c @ 1
	// late_sync 516.873ms  [    0.516873] calling  amba_stub_drv_init+0x0/0x8 @ 1
	// userspace 572.095ms  [    0.572095] Run /init as init process
}

func ExampleConsole_Reset() {
	var clock initcall.Clock
	console, _ := initcall.NewConsole(&clock)
	console.Reset("CMD_INIT")
	fmt.Fprint(console, "[    0.000000] Linux version 6.1.192\n[    0.572095] Run /init as init process\n")
	console.Reset("CMD_INIT") // the guest was reset; this is still the old boot's:
	fmt.Fprint(console, "[    1.500000] calling  init_ima+0x0/0xc8 @ 1\n")
	fmt.Println(clock.Now().Boot, clock.Level())
	// Output: 2 firmware
}
