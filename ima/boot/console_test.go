package boot_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/ima/boot"
)

// console reads the console log of a real boot.
func console(t testing.TB, name string) string {
	t.Helper()
	log, err := os.ReadFile("../../faults/initcall/testdata/" + name + ".log")
	if err == nil {
		return string(log)
	}
	packed, err := os.ReadFile(filepath.Join("testdata/console", name+".log.gz"))
	require.NoError(t, err)
	reader, err := gzip.NewReader(bytes.NewReader(packed))
	require.NoError(t, err)
	log, err = io.ReadAll(reader)
	require.NoError(t, err)
	return string(log)
}

// reproduced makes the platform of a log. Its boots have the emulator as TPM.
func reproduced(t testing.TB, log, list string) (*boot.Reproduction, error) {
	t.Helper()
	var records io.Reader
	if list != "" {
		records = strings.NewReader(list)
	}
	return boot.FromConsole(strings.NewReader(log), records, func(p *boot.Platform, c boot.Config) (*boot.Result, error) {
		return machine{platform: p, config: c}.boot(t), nil
	})
}

func rendered(t testing.TB, c *boot.Comparison) string {
	t.Helper()
	var b strings.Builder
	require.NoError(t, c.Render(&b))
	return b.String()
}

// A platform made from a real console boots as the real machine did, and with
// IMA at late_sync as that machine would have.
func TestFromConsole(t *testing.T) {
	t.Parallel()
	const measured, bypass, failure = "measured", "TPM-bypass", "field failure mode, nothing measured"
	ms := func(n float64) time.Duration { return time.Duration(n * float64(time.Millisecond)) }
	tests := []struct {
		log      string
		strategy boot.Strategy
		calls    int // how many functions the log has
		release  string
		verdict  string
		ima      time.Duration  // when init_ima was called
		tpm      initcall.Level // where it registered, userspace and firmware for never
		bound    time.Duration  // 0 for never
		init     time.Duration  // when init was executed
		lateSync string         // the verdict if IMA had started at late_sync
		says     string         // what stood between IMA and its TPM
	}{
		{"arm64-6.1-eprobe-defer-ima-late", boot.Late, 184, "6.1.192", bypass, ms(304.945), initcall.Late, ms(507.064), ms(572.095), measured, "was deferred (-517"},
		{"arm64-6.1-eprobe-defer-ima-late_sync", boot.LateSync, 184, "6.1.192", measured, ms(999.101), initcall.Late, ms(971.666), ms(1260.398), measured, ""},
		{"x86_64-debian-6.1-tpm-on-time", boot.Late, 666, "6.1.0-56-amd64", measured, ms(3506.083), initcall.Device, ms(2597.782), ms(5368.739), measured, ""},
		{"x86_64-debian-6.1-async-probe-held-to-late_sync", boot.Late, 666, "6.1.0-56-amd64", bypass, ms(1946.309), initcall.LateSync, ms(2218.116), ms(2472.202), bypass, "had begun at device (1.69"},
		{"x86_64-debian-6.1-tp_printk-levels", boot.Late, 666, "6.1.0-56-amd64", bypass, ms(6574.655), initcall.Firmware, 0, ms(9859.56), bypass, "The machine has no TPM."},
		{"ppc64le-debian-6.1-pseries-tpm-on-time", boot.Late, 545, "6.1.0-50-powerpc64le", measured, ms(890.881), initcall.Device, ms(703.641), ms(1407.863), measured, ""},
		{"x86_64-debian-6.1-on-time", boot.Late, 666, "6.1.0-57-amd64", measured, ms(3679.999), initcall.Device, ms(3067.724), 0, measured, ""},
		{"x86_64-debian-6.1-defer-late", boot.Late, 666, "6.1.0-57-amd64", bypass, ms(4667.2), initcall.Firmware, 0, 0, bypass, "had failed (-19)"},
		{"x86_64-debian-6.1-defer-late_sync", boot.Late, 666, "6.1.0-57-amd64", bypass, ms(4765.454), initcall.Userspace, ms(10499.079), 0, bypass, "had failed (-19)"},
		{"x86_64-debian-6.1-initialize", boot.Late, 666, "6.1.0-57-amd64", bypass, ms(8431.895), initcall.Firmware, 0, 0, bypass, "had failed (-19)"},
		{"x86_64-debian-6.1-hold", boot.Late, 666, "6.1.0-57-amd64", bypass, ms(76056.395), initcall.Firmware, 0, 0, bypass, "had failed (-62)"},
		{"x86_64-debian-6.1-testing", boot.Late, 666, "6.1.0-57-amd64", failure, ms(11662.355), initcall.Device, ms(10217.082), 0, failure, ""},
		{"x86_64-debian-6.1-hold-async", boot.Late, 666, "6.1.0-57-amd64", bypass, ms(6223.301), initcall.LateSync, ms(6997.784), 0, bypass, "had begun at device (5.4"},
		{"x86_64-debian-6.1-hold-async-damaged", boot.Late, 666, "6.1.0-57-amd64", bypass, ms(8447.065), initcall.LateSync, ms(9915.141), 0, bypass, "had begun at device (5.6"},
		{"x86_64-debian-6.1-retry-async", boot.Late, 666, "6.1.0-57-amd64", bypass, ms(5180.669), initcall.LateSync, ms(6747.698), 0, bypass, "had begun at device (3.5"},
		{"x86_64-debian-6.1-crb-on-time", boot.Late, 666, "6.1.0-57-amd64", measured, ms(5968.035), initcall.Device, ms(4971.342), 0, measured, ""},
		{"x86_64-debian-6.1-crb-defer-late_sync", boot.Late, 666, "6.1.0-57-amd64", bypass, ms(5050.593), initcall.Firmware, 0, 0, bypass, "had failed (-19)"},
		{"x86_64-debian-6.1-fails-from-late", boot.Late, 666, "6.1.0-57-amd64", "the TPM failed commands of IMA: 11", ms(3683.959), initcall.Device, ms(3048.562), ms(4598.698), measured, ""},
		{"x86_64-debian-6.1-slow-from-late", boot.Late, 666, "6.1.0-57-amd64", "the TPM failed commands of IMA: 1", ms(9372.748), initcall.Device, ms(5714.248), ms(24971.303), measured, ""},
		{"x86_64-debian-6.1-crb-hold-async", boot.Late, 666, "6.1.0-57-amd64", bypass, ms(10330.256), initcall.Firmware, 0, 0, bypass, "had failed (-19)"},
	}
	for _, test := range tests {
		t.Run(test.log, func(t *testing.T) {
			t.Parallel()
			r, err := reproduced(t, console(t, test.log), "")
			require.NoError(t, err)
			text := rendered(t, &r.Comparison)
			require.NoError(t, r.Comparison.Err(), text)
			assert.Equal(t, test.strategy, r.Strategy)
			assert.Equal(t, test.release, r.Platform.Kernel.Release)
			row := func(what string) string {
				for _, row := range r.Comparison.Rows {
					if row.What == what {
						return row.Simulated
					}
				}
				return ""
			}
			assert.Equal(t, strconv.Itoa(test.calls), row("initcalls"), text)
			assert.Equal(t, test.verdict, row("verdict"))

			b := machine{platform: r.Platform, config: boot.Config{Strategy: r.Strategy, Tail: r.Tail}}.boot(t)
			s := b.Summary
			assert.Equal(t, test.verdict == bypass, s.Bypass)
			assert.Equal(t, test.verdict == failure, s.FieldFailure)
			assert.Equal(t, test.bound > 0, s.TPMRegistered)
			if test.bound > 0 {
				assert.Equal(t, test.tpm, s.TPMLevel)
				assert.InDelta(t, test.bound.Seconds(), (s.TPMAt - s.KernelAt).Seconds(), 0.02)
			}
			assert.InDelta(t, test.ima.Seconds(), (s.StartedAt - s.KernelAt).Seconds(), 0.02)
			if test.init > 0 {
				assert.InDelta(t, test.init.Seconds(), (s.UserspaceAt - s.KernelAt).Seconds(), 0.02)
			}
			if test.says == "" {
				assert.Nil(t, s.Missed)
			} else {
				assert.Contains(t, s.Missed.String(), test.says)
			}

			again, err := boot.ParsePlatform("again", strings.NewReader(r.Platform.String()))
			require.NoError(t, err)
			assert.Equal(t, r.Platform.String(), again.String())

			what := machine{platform: again, config: boot.Config{Strategy: boot.LateSync, Tail: r.Tail}}.boot(t).Summary
			assert.Equal(t, test.lateSync == bypass, what.Bypass, "with IMA at late_sync")
			assert.Equal(t, test.lateSync == failure, what.FieldFailure)
		})
	}
}

// With the list that was posted, the console of another pseries machine becomes
// a machine that makes the list.
func TestFromConsoleWithList(t *testing.T) {
	t.Parallel()
	r, err := reproduced(t, console(t, "ppc64le-debian-6.1-pseries-tpm-on-time"), realList(t))
	require.NoError(t, err)
	p := r.Platform
	require.Len(t, p.Helpers, 1)
	assert.Len(t, p.Helpers[0].Accesses, 28)
	assert.Equal(t, "ima-sig", p.Kernel.Template)
	assert.Equal(t, boot.Dual, r.Strategy, "the list has two boot aggregates")
	assert.Contains(t, rendered(t, &r.Comparison), "  same     records       32, 1 of them not simulated (violations, buffers, files that had changed); simulated: 31, 31 of them the same\n")
	require.NoError(t, r.Comparison.Err())
	p.Kernel.Release = "7.1.0-rc1+"
	b := machine{platform: p, config: boot.Config{Strategy: boot.Dual, Policy: "tcb|critical_data"}}.boot(t)
	got, err := b.List.ReadFile("ascii_runtime_measurements")
	require.NoError(t, err)
	assert.Equal(t, realList(t), string(got))
}

// A file that was measured again after it had changed contradicts nothing: a
// platform has one content for each file.
func TestFromConsoleWithAListOfChangedFiles(t *testing.T) {
	t.Parallel()
	list, err := os.ReadFile("../verify/testdata/debian-6.1-file.ascii")
	require.NoError(t, err)
	r, err := reproduced(t, console(t, "x86_64-debian-6.1-on-time"), string(list))
	require.NoError(t, err)
	assert.Contains(t, rendered(t, &r.Comparison), "  same     records       10, 4 of them not simulated (violations, buffers, files that had changed); simulated: 6, 6 of them the same\n")
}

// What the initramfs is unpacked into decides whether /init is measured: a tmpfs
// is spared by tcb. The list's own records go before what the command line says.
func TestFromConsoleRootFileSystem(t *testing.T) {
	t.Parallel()
	const zero = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
	aggregate := "10 4f38ef8f82bbc2a73f2169c57ff5c76e14ce353d ima-sig " + zero + " boot_aggregate \n"
	init, err := os.ReadFile("testdata/console/init.ascii")
	require.NoError(t, err)
	log := console(t, "x86_64-debian-6.1-defer-late")
	for _, c := range []struct {
		log, list string
		kept      int
	}{
		{log, "", 1},
		{strings.ReplaceAll(log, "ima_policy=tcb", "ima_policy=tcb root=/dev/vda"), "", 2},
		{strings.ReplaceAll(log, "ima_policy=tcb", "ima_policy=tcb rootfstype=ramfs"), "", 2},
		{log, aggregate, 1},
		{log, aggregate + string(init), 2},
	} {
		r, err := reproduced(t, c.log, c.list)
		require.NoError(t, err)
		require.NoError(t, r.Comparison.Err())
		b := machine{platform: r.Platform}.boot(t)
		assert.Equal(t, c.kept, b.Summary.Kept)
	}
}

// When the log's kernel starts IMA is read from the log, whatever the function is
// called that does.
func TestFromConsoleReadsTheStrategy(t *testing.T) {
	t.Parallel()
	late, lateSync := console(t, "arm64-6.1-eprobe-defer-ima-late"), console(t, "arm64-6.1-eprobe-defer-ima-late_sync")
	newer := func(log string) string {
		return strings.ReplaceAll(log, "Linux version 6.1.192", "Linux version 7.3.1")
	}
	renamed := func(log, name string) string { return strings.ReplaceAll(log, " init_ima+", " "+name+"+") }
	const again = "[    0.571000] calling  init_ima+0x0/0xc8 @ 1\n[    0.571001] initcall init_ima+0x0/0xc8 returned 0 after 1 usecs\n"
	beforeInit := func(log, lines string) string {
		return strings.Replace(log, "[    0.572095] Run /init", lines+"[    0.572095] Run /init", 1)
	}
	_, ima, _ := strings.Cut(late, "[    0.305284] ima: ")
	ima, _, _ = strings.Cut(ima, "[    0.329607]")
	ima = "[    0.305284] ima: " + ima
	retried := strings.Replace(strings.Replace(late, ima, "", 1), "initcall init_ima+0x0/0xc8 returned 0", "initcall init_ima+0x0/0xc8 returned -517", 1)
	for name, c := range map[string]struct {
		log  string
		want boot.Strategy
	}{
		"late":                  {late, boot.Late},
		"late_sync":             {lateSync, boot.LateSync},
		"late, 7.3":             {newer(renamed(late, "security_initcall_late")), boot.Late},
		"late_sync, 7.3":        {newer(renamed(lateSync, "security_initcall_late_sync")), boot.Kconfig},
		"link-time optimized":   {renamed(late, "__initstub__kmod_ima__300_1112_init_ima7"), boot.Late},
		"twice":                 {beforeInit(late, again), boot.Dual},
		"-EPROBE_DEFER at late": {beforeInit(retried, strings.Replace(again, "calling  init_ima+0x0/0xc8 @ 1\n", "calling  init_ima+0x0/0xc8 @ 1\n[    0.571000] ima: Allocated hash algorithm: sha256\n", 1)), boot.Retry},
	} {
		r, err := reproduced(t, c.log, "")
		require.NoError(t, err, name)
		assert.Equal(t, c.want, r.Strategy, name)
		assert.NoError(t, r.Comparison.Err(), "%s\n%s", name, rendered(t, &r.Comparison))
	}
}

// A TPM whose driver is a module comes when userspace loads it, and no start of
// IMA before that finds it.
func TestFromConsoleWithAModule(t *testing.T) {
	t.Parallel()
	log := console(t, "x86_64-debian-6.1-tp_printk-levels")
	log, _, _ = strings.Cut(log, "\n=== INIT")
	r, err := reproduced(t, strings.Replace(log, "initcall_level: level=early", "x\n[    0.900000] ACPI: TPM2 0x000000003FFD2550 00004C (v04 BOCHS)\n[    0.935988] initcall_level: level=early", 1), "")
	require.NoError(t, err)
	assert.Contains(t, rendered(t, &r.Comparison), "the firmware's tables have a TPM, and the log shows no driver that tried it")

	log += `
[   11.000000] calling  init_tis+0x0/0x1000 [tpm_tis] @ 150
[   11.010000] tpm_tis MSFT0101:00: 2.0 TPM (device-id 0x1, rev-id 1)
[   11.100000] probe of MSFT0101:00 returned 0 after 95000 usecs
[   11.110000] initcall init_tis+0x0/0x1000 [tpm_tis] returned 0 after 110000 usecs
`
	r, err = reproduced(t, log, "")
	require.NoError(t, err)
	text := rendered(t, &r.Comparison)
	require.NoError(t, r.Comparison.Err(), text)
	assert.Contains(t, text, "  note     tpm_tis is a module\n")
	for _, strategy := range []boot.Strategy{boot.Late, boot.LateSync} {
		s := machine{platform: r.Platform, config: boot.Config{Strategy: strategy, Tail: r.Tail}}.boot(t).Summary
		assert.True(t, s.Bypass)
		assert.True(t, s.TPMRegistered)
		assert.Equal(t, initcall.Userspace, s.TPMLevel)
		assert.InDelta(t, 11.1, (s.TPMAt - s.KernelAt).Seconds(), 0.1)
	}
}

// Time in which the kernel prints is not an initcall's, and init_ima's commands
// are part of what it takes.
func TestFromConsoleTimes(t *testing.T) {
	t.Parallel()
	for log, want := range map[string]float64{"arm64-6.1-eprobe-defer-ima-late": 24.599, "arm64-6.1-eprobe-defer-ima-late_sync": 26.026} {
		r, err := reproduced(t, console(t, log), "")
		require.NoError(t, err)
		b := machine{platform: r.Platform, config: boot.Config{Strategy: r.Strategy}}.boot(t)
		took := find(b, boot.InitcallReturned, "init_ima")
		require.Len(t, took, 1)
		assert.InDelta(t, want, took[0].Took.Seconds()*1000, 0.2, log)
	}
}

// Logs as people post them.
func TestFromConsoleReadsPrefixes(t *testing.T) {
	t.Parallel()
	log := console(t, "arm64-6.1-eprobe-defer-ima-late")
	log, _, _ = strings.Cut(log, "\n=== ")
	plain, err := reproduced(t, log, "")
	require.NoError(t, err)
	lines := strings.Split(strings.TrimRight(log, "\r\n"), "\n")
	prefixed := func(f func(string) string) string {
		var b strings.Builder
		for _, line := range lines {
			b.WriteString(f(strings.TrimRight(line, "\r")) + "\n")
		}
		return b.String()
	}
	before := func(prefix string) func(string) string {
		return func(line string) string { return prefix + line }
	}
	after := func(what string) func(string) string {
		return func(line string) string { return strings.Replace(line, "] ", what, 1) }
	}
	for name, f := range map[string]func(string) string{
		"dmesg -r":       before("<6>"),
		"dmesg -x":       before("kern  :debug : "),
		"syslog":         before("Nov 29 12:22:58 board kernel: "),
		"rsyslog":        before("2026-11-29T12:22:58.123456+00:00 board kernel: "),
		"ChromeOS":       before("2026-11-29T12:22:58.123456Z INFO kernel: "),
		"journalctl":     after("] board kernel: "),
		"caller":         after("][    T1] "),
		"dmesg's caller": after("] [    T1] "),
		"dmesg -d":       after(" <    0.000012>] "),
		"colors": func(line string) string {
			return "\x1b[32m" + strings.Replace(line, "] ", "] \x1b[0m\x1b[33m", 1) + "\x1b[0m"
		},
		"two boots": func(line string) string { return line },
	} {
		text := prefixed(f)
		if name == "two boots" {
			text += text
		}
		r, err := reproduced(t, text, "")
		require.NoError(t, err, name)
		assert.NoError(t, r.Comparison.Err(), name)
		assert.Equal(t, plain.Platform.String(), r.Platform.String(), name)
	}
}

// An asynchronous probe may end a few milliseconds from IMA's look. What IMA found decides
// on which side of it the TPM registered.
func TestFromConsoleOfATightRace(t *testing.T) {
	t.Parallel()
	log := console(t, "arm64-6.1-async-after-the-look")
	const bypass = "ima: No TPM chip found, activating TPM-bypass!"
	line := log[strings.LastIndex(log[:strings.Index(log, bypass)], "\n")+1:]
	line, _, _ = strings.Cut(line, "\n")
	for _, c := range []struct {
		log   string
		found bool
	}{{log, false}, {strings.Replace(log, line+"\n", "", 1), true}} {
		r, err := reproduced(t, c.log, "")
		require.NoError(t, err)
		require.NoError(t, r.Comparison.Err())
		ended := machine{platform: r.Platform, config: boot.Config{Strategy: r.Strategy}}.boot(t)
		assert.Equal(t, !c.found, ended.Summary.Bypass)
		assert.Equal(t, c.found, ended.Summary.TPMAt <= ended.Summary.StartedAt)
	}
}

// The clock by which the kernel says how long a probe took may run apart from that of its
// lines: a probe seems to have begun in the initcall before. It ended in its driver's.
func TestFromConsoleOfAProbeThatSeemsToBeginEarlier(t *testing.T) {
	t.Parallel()
	refusal := regexp.MustCompile(`(calling  crb_acpi_driver_init.*\n.*\n?.*probe of MSFT0101:00 returned 19 after )\d+`)
	for _, name := range []string{"x86_64-debian-6.1-on-time", "x86_64-debian-6.1-defer-late"} {
		log := console(t, name)
		changed := refusal.ReplaceAllString(log, "${1}2500")
		require.NotEqual(t, log, changed)
		r, err := reproduced(t, changed, "")
		require.NoError(t, err)
		require.NoError(t, r.Comparison.Err(), rendered(t, &r.Comparison))
	}
}

// An asynchronous probe may end in the initcall of another driver of TPMs.
func TestFromConsoleOfAnAsynchronousProbeThatEndsInAnotherInitcall(t *testing.T) {
	t.Parallel()
	log := console(t, "x86_64-debian-6.1-defer-late")
	before, rest, ok := strings.Cut(log, "[    4.045649] tpm_tis")
	require.True(t, ok)
	_, after, ok := strings.Cut(rest, "[    4.056267]")
	require.True(t, ok)
	log = before + `[    4.039406] initcall init_tis+0x0/0xda returned 0 after 180 usecs
[    4.039752] calling  crb_acpi_driver_init+0x0/0x11 @ 1
[    4.052510] probe of MSFT0101:00 returned 19 after 13221 usecs
[    4.056267]` + strings.Replace(after, " 630 usecs", " 16700 usecs", 1)
	log = strings.ReplaceAll(log, "initcall_debug", "driver_async_probe=tpm_tis initcall_debug")
	r, err := reproduced(t, log, "")
	require.NoError(t, err)
	require.NoError(t, r.Comparison.Err(), rendered(t, &r.Comparison))
	i := slices.IndexFunc(r.Comparison.Rows, func(row boot.ComparisonRow) bool { return row.What == "probe of MSFT0101:00" })
	require.GreaterOrEqual(t, i, 0)
	require.Equal(t, "returned 19 at device (4.052510 s)", r.Comparison.Rows[i].Log)
}

// A log that is not whole, and one without time stamps, are told for what they
// are.
func TestFromConsoleRefuses(t *testing.T) {
	t.Parallel()
	log := console(t, "x86_64-debian-6.1-hold-async")
	without := func(from, to string) string { // the lines from one to before the other
		before, rest, ok := strings.Cut(log, from)
		require.True(t, ok)
		before = before[:strings.LastIndex(before, "\n")+1]
		left, rest, ok := strings.Cut(rest, to)
		require.True(t, ok)
		return before + left[strings.LastIndex(left, "\n")+1:] + to + rest
	}
	only := func(words ...string) string {
		var b strings.Builder
		for line := range strings.Lines(log) {
			for _, word := range words {
				if strings.Contains(strings.ToLower(line), word) {
					b.WriteString(line)
					break
				}
			}
		}
		return b.String()
	}
	head, _, _ := strings.Cut(log, "calling  init_ima+")
	_, tail, _ := strings.Cut(log, "calling  populate_rootfs+")
	for name, c := range map[string]struct{ log, says string }{
		"an excerpt":   {only("tpm", "ima"), "not a whole log: it begins at 0.000000 s without the kernel's first lines"},
		"its end":      {tail, "without the kernel's first lines"},
		"its begin":    {head, "it has no init_ima: it ends before, or the kernel has no IMA"},
		"before init":  {strings.Split(log, "Run /init")[0], "before init is executed"},
		"a gap":        {without("initcall ipc_init+", "initcall io_uring_init+"), "lines are missing at line"},
		"a level less": {without("calling  ia32_binfmt_init+", "calling  init_ima+"), "it has no initcall at device"},
		"dropped":      {strings.Replace(log, "\n", "\n** 42 printk messages dropped **\n", 70), "says that the kernel dropped lines"},
	} {
		r, err := reproduced(t, c.log, "")
		require.NoError(t, err, name)
		var contradiction *boot.ContradictionError
		require.ErrorAs(t, r.Comparison.Err(), &contradiction, name)
		assert.Contains(t, contradiction.Error(), c.says, name)
	}

	var wrong *boot.ConsoleError
	_, err := reproduced(t, "[    0.000000] Linux version 6.1\n", "")
	require.ErrorAs(t, err, &wrong)
	assert.Contains(t, err.Error(), "initcall_debug")
	for _, line := range []string{"Nov 29 12:22:58 board kernel: ", "[Sun Nov 29 12:22:58 2026] ", ""} {
		_, err = reproduced(t, "\n"+line+"Linux version 6.1.0\n"+line+"calling  init_tis+0x0/0x10 @ 1\n", "")
		require.ErrorAs(t, err, &wrong)
		assert.Equal(t, 2, wrong.Line)
		assert.Contains(t, err.Error(), "a line must begin with one, such as [    1.234567], after any prefix")
	}

	// Some lines have a time stamp all the same, such as those of two lines in one.
	_, err = reproduced(t, "[    0.000000] Linux version 6.1.0\n[    0.000000] Command line: initcall_debug\n"+
		"[Sun Nov 29 12:22:58 2026] calling  init_tis+0x0/0x10 @ 1\n", "")
	require.ErrorAs(t, err, &wrong)
	assert.Equal(t, 3, wrong.Line)
	assert.Contains(t, err.Error(), "a line must begin with one")

	_, err = boot.FromConsole(failingReader{}, nil, nil)
	require.ErrorAs(t, err, &wrong)
	assert.ErrorIs(t, err, errBroken)
	_, err = reproduced(t, console(t, "arm64-6.1-eprobe-defer-ima-late"), "10 nonsense\n")
	require.ErrorAs(t, err, &wrong)
	assert.Contains(t, err.Error(), "measurement list")
}

// A list of another machine contradicts the log.
func TestFromConsoleWithAForeignList(t *testing.T) {
	t.Parallel()
	r, err := reproduced(t, console(t, "x86_64-debian-6.1-defer-late"), realList(t))
	require.NoError(t, err)
	assert.ErrorContains(t, r.Comparison.Err(), "records: in the log")
}

var errBroken = errors.New("broken")

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, errBroken }
