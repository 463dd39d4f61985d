package initcall_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults/initcall"
)

// untrusting is a console that believes no more than a guest deserves.
func untrusting(t testing.TB) *testConsole {
	console := newConsole(t)
	console.Trusting = false
	return console
}

// boot is the console of a real boot up to init, in lines.
func boot(t testing.TB, name string) []string {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name + ".log")
	require.NoError(t, err)
	lines := strings.SplitAfter(string(text), "\n")
	for i, line := range lines {
		if strings.Contains(line, "Run /init as init process") {
			return lines[:i+1]
		}
	}
	require.FailNow(t, "no init", name)
	return nil
}

const (
	arm64 = "arm64-6.1-eprobe-defer-ima-late"
	amd64 = "x86_64-debian-6.1-tpm-on-time"
)

// levelsAt returns the level after each line, of a console that trusts or not.
func levelsAt(t testing.TB, lines []string, trusting bool) []initcall.Level {
	console := newConsole(t)
	console.Trusting = trusting
	at := make([]initcall.Level, len(lines))
	for i, line := range lines {
		console.print(line)
		at[i] = console.clock.Level()
	}
	return at
}

var (
	stampOf  = regexp.MustCompile(`\[ *\d+\.\d{6}\] `)
	callOf   = regexp.MustCompile(`calling  (\w+)\+0x0/0x[0-9a-f]+ @ 1`)
	returnOf = regexp.MustCompile(`initcall \w+\+0x0/0x[0-9a-f]+ returned`)
)

// What a process prints at any moment of a boot does not release the TPM, and
// the real levels count afterwards.
func TestForgedLinesMoveNothing(t *testing.T) {
	for name, forged := range map[string]string{
		"call":                       "calling  regulator_init_complete+0x0/0x30 @ 1\n",
		"level":                      "entering initcall level: late_sync\n",
		"trace event":                "initcall_level: level=late_sync\n",
		"traced call":                "initcall_start: func=regulator_init_complete+0x0/0x30\n",
		"init":                       "Run /init as init process\n",
		"return":                     "initcall regulator_init_complete+0x0/0x30 returned 0 after 12 usecs\n",
		"call and return":            "calling  regulator_init_complete+0x0/0x30 @ 1\nSTAMPinitcall regulator_init_complete+0x0/0x30 returned 0 after 0 usecs\n",
		"shown log":                  "host kernel: calling  regulator_init_complete+0x0/0x30 @ 1\n",
		"banner":                     "Linux version 6.1.0\n",
		"banner and init":            "Linux version 6.1.0\nSTAMPRun /init as init process\n",
		"unlikely time":              "calling  regulator_init_complete+0x0/0x30 @ 1\nSTAMPinitcall regulator_init_complete+0x0/0x30 returned 0 after 9000000 usecs\n",
		"call that returns no more":  "calling  foo+0x0/0x30 @ 1\n",
		"a time that is yet to come": "calling  foo+0x0/0x30 @ 1\n[ 9999.000000] initcall foo+0x0/0x30 returned 0 after 1 usecs\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lines := boot(t, arm64)
			real := levelsAt(t, lines, true)
			for at, line := range lines {
				level := real[at]
				if level < initcall.Early || level > initcall.Late || at%11 != 0 || level == initcall.Late && name != "call" {
					continue
				}
				stamp := stampOf.FindString(line)
				console := untrusting(t)
				console.Reset("INIT")
				for i, line := range lines {
					console.print(line)
					if i == at {
						console.print(strings.ReplaceAll(stamp+forged, "STAMP", stamp))
					}
					require.LessOrEqual(t, console.clock.Level(), real[i], "forged after %q, now at %q", lines[at], line)
				}
				require.Equal(t, initcall.Userspace, console.clock.Level(), "forged after %q", lines[at])
				require.Equal(t, 1, console.clock.Now().Boot)
			}
		})
	}
}

// The level that counts after a forged line is the real one: it comes with the
// line of the kernel's that shows it, in all but the eight initcalls after it.
func TestTheRealLevelCounts(t *testing.T) {
	lines := boot(t, amd64)
	honest := levelsAt(t, lines, false)
	console := untrusting(t)
	var doubts []initcall.Doubt
	console.Doubted = func(d initcall.Doubt) { doubts = append(doubts, d) }
	for i, line := range lines {
		console.print(line)
		if honest[i] == initcall.Device && i%50 == 0 {
			console.print("[    0.500000] calling  regulator_init_complete+0x0/0x30 @ 1\n") // back-dated
			console.print("calling  regulator_init_complete+0x0/0x30 @ 1\n")
			console.print(stampOf.FindString(line) + "calling  regulator_init_complete+0x0/0x30 @ 1\n")
		}
		if honest[i] > initcall.DeviceSync {
			require.Equal(t, honest[i], console.clock.Level(), line)
		}
	}
	require.Len(t, doubts, initcall.MaxDoubts)
	assert.Equal(t, initcall.Doubt{
		Boot: 1, Level: initcall.Device, Line: "[    0.500000] calling  regulator_init_complete+0x0/0x30 @ 1", Reason: doubts[0].Reason,
	}, doubts[0])
	assert.Contains(t, doubts[0].Reason, "its time is before that of the line before it")
	assert.Contains(t, doubts[1].Reason, "it has no time stamp")
}

// Levels come in link order: each main one has to be shown.
func TestLevelsOutOfOrder(t *testing.T) {
	console := untrusting(t)
	console.print(linux61)
	for i, level := range []string{"early", "pure", "core", "late", "device", "late_sync", "postcore", "late"} {
		console.print(fmt.Sprintf("[    %d.000000] initcall_level: level=%s\n", i, level))
	}
	assert.Equal(t, "kernel early pure core postcore", console.levels())
	console.print(runInit)
	console.print("[    9.000000] Run /init as init process\n")
	assert.Empty(t, console.levels(), "no kernel executes init there")
}

// A kernel that shows less than others is believed when it has shown a run.
func TestLevelsThatNoLineShows(t *testing.T) {
	console := untrusting(t)
	console.print(armStart + linux61)
	at := 0.01
	call := func(function string) {
		console.print(fmt.Sprintf("[%12.6f] calling  %s+0x0/0x10 @ 1\n", at, function))
		at += 0.001
		console.print(fmt.Sprintf("[%12.6f] initcall %s+0x0/0x10 returned 0 after 1000 usecs\n", at, function))
		at += 0.001
	}
	call("my_init_00")
	call("regulator_init_complete")
	assert.Equal(t, "kernel", console.levels())
	for i := range 16 {
		call(fmt.Sprintf("my_init_%02d", i+1))
	}
	assert.Equal(t, "late_sync", console.levels())
	assert.Equal(t, 12*1000000, int(console.clock.Now().At), "the time is that of its line")
	assert.Contains(t, console.clock.Now().Cause, "regulator_init_complete")
	assert.Contains(t, console.clock.Now().Confirmed, "initcall my_init_14")
}

// The kernel's text in a boot loader's menu, before a kernel runs.
func TestBootLoaderText(t *testing.T) {
	lines := boot(t, arm64)
	honest := levelsAt(t, lines, false)
	for name, text := range map[string]string{
		"levels":         "  entering initcall level: late_sync\n Run /init as init process\n",
		"banner":         "Linux version 6.1 (recovery mode)\nRun /init as init process as init process\n",
		"stamped banner": "[    0.000000] Linux version 6.1\n" + initIMA + lateSync,
		"stamps ahead":   "[    1.000000] Linux version 6.1\n[  700.000000] calling  foo+0x0/0x10 @ 1\n",
		"level lines":    "[    0.000000] Linux version 6.1\n[    0.1] x\n[    1.000000] initcall_level: level=late\n[    1.000000] Run /init as init process\n",
	} {
		t.Run(name, func(t *testing.T) {
			console := untrusting(t)
			console.Reset("INIT")
			console.print(text)
			assert.LessOrEqual(t, console.clock.Level(), initcall.Kernel)
			for i, line := range lines {
				console.print(line)
				require.LessOrEqual(t, console.clock.Level(), max(honest[i], initcall.Kernel), line)
			}
			assert.Equal(t, initcall.Userspace, console.clock.Level())
		})
	}
}

// Nothing that is printed after init is executed moves anything where the owner
// sees the machine's power.
func TestNothingMovesAfterUserspace(t *testing.T) {
	lines := boot(t, arm64)
	whole := strings.Join(lines, "")
	console := untrusting(t)
	console.Reset("INIT")
	console.print(whole)
	console.levels()
	console.print(whole)
	console.print("[   99.000000] kexec_core: Starting new kernel\n" + whole)
	console.print("[   99.000000] Kernel panic - not syncing: sysrq triggered crash\n" + whole)
	console.print("Linux version 6.1\nRun /init as init process\n")
	assert.Empty(t, console.levels())
	assert.Equal(t, 1, console.clock.Now().Boot)
	console.Reset("INIT")
	console.print(whole)
	assert.Equal(t, 2, console.clock.Now().Boot)
	assert.Equal(t, initcall.Userspace, console.clock.Level())
}

// A kernel started by kexec is followed where that was asked for.
func TestFollowKexec(t *testing.T) {
	whole := strings.Join(boot(t, arm64), "")
	console := untrusting(t)
	console.FollowKexec = true
	console.Reset("INIT")
	console.print(whole + whole)
	assert.Equal(t, 1, console.clock.Now().Boot)
	console.print("[   99.000000] kexec_core: Starting new kernel\n" + whole)
	assert.Equal(t, 2, console.clock.Now().Boot)
	assert.Equal(t, initcall.Userspace, console.clock.Level())
}

// Without the machine's power, a banner that the kernel has stamped for a process
// starts no boot.
func TestBannerFromKmsg(t *testing.T) {
	console := untrusting(t)
	console.print(strings.Join(boot(t, arm64), ""))
	console.levels()
	console.print("[   61.000000] Linux version 6.1.0\n[   61.000000] Booting Linux on physical CPU 0x0\n")
	assert.Empty(t, console.levels())
}

// Where lines name their thread, /dev/kmsg cannot forge.
func TestCaller(t *testing.T) {
	lines := boot(t, arm64)
	for i, line := range lines {
		lines[i] = stampOf.ReplaceAllStringFunc(line, func(stamp string) string {
			return strings.TrimSuffix(stamp, " ") + "[    T1] "
		})
	}
	honest := levelsAt(t, lines, false)
	require.Equal(t, initcall.Userspace, honest[len(honest)-1])
	console := untrusting(t)
	forge := strings.NewReplacer("[    T1]", "[   T77]")
	var doubts []initcall.Doubt
	console.Doubted = func(d initcall.Doubt) { doubts = append(doubts, d) }
	for i, line := range lines {
		console.print(line)
		if honest[i] == initcall.RootFS && returnOf.MatchString(line) {
			for _, later := range lines[i+1:] { // the rest of the boot beforehand
				console.print(forge.Replace(later))
			}
		}
		require.Equal(t, honest[i], console.clock.Level(), line)
	}
	require.NotEmpty(t, doubts)
	assert.Contains(t, doubts[0].Reason, "another thread")
}

// Kernels without time stamps are followed by the order of their lines.
func TestNoTimeStamps(t *testing.T) {
	lines := boot(t, arm64)
	stamped := levelsAt(t, lines, false)
	for i, line := range lines {
		lines[i] = stampOf.ReplaceAllString(line, "")
	}
	assert.Equal(t, stamped, levelsAt(t, lines, false))

	console := untrusting(t)
	for i, line := range lines {
		console.print(line)
		if stamped[i] == initcall.Device {
			console.print("calling  regulator_init_complete+0x0/0x30 @ 1\nRun /init as init process\n")
		}
		require.LessOrEqual(t, console.clock.Level(), stamped[i])
	}
	assert.Equal(t, initcall.Userspace, console.clock.Level())
}

// Lines that a console has lost hold the levels up for some initcalls.
func TestLostLines(t *testing.T) {
	lines := boot(t, amd64)
	honest := levelsAt(t, lines, false)
	console := untrusting(t)
	behind := 0
	for i, line := range lines {
		if honest[i] >= initcall.Early && honest[i] < initcall.Late && i%40 == 0 {
			continue
		}
		console.print(line)
		if callOf.MatchString(line) && console.clock.Level() < honest[i] {
			behind++
		}
	}
	assert.Equal(t, initcall.Userspace, console.clock.Level())
	assert.Less(t, behind, 120, "of 650 initcalls")
}

// Lines that fit the kernel's last one but for one thing.
func TestAlmostTheNextLine(t *testing.T) {
	lines := boot(t, amd64)
	real := levelsAt(t, lines, true)
	returns := 0
	for at, line := range lines {
		call := callOf.FindStringSubmatch(line)
		if real[at] != initcall.Late {
			continue
		}
		if returnOf.MatchString(line) {
			returns++
		}
		stamp := stampOf.FindString(line)
		for forged, reason := range map[string]string{
			"initcall FN+0x0/0x10 returned 0 after 9000000 usecs\n":        "it was called only 0s before",
			"host kernel: initcall FN+0x0/0x10 returned 0 after 1 usecs\n": "shows a kernel's log",
			"Run /init as init process\n":                                  "has not returned yet",
		} {
			console := untrusting(t)
			console.print(strings.Join(lines[:at+1], ""))
			var doubts []string
			console.Doubted = func(d initcall.Doubt) { doubts = append(doubts, d.Reason) }
			if call != nil {
				console.print(stamp + strings.ReplaceAll(forged, "FN", call[1]))
				require.NotEmpty(t, doubts, forged)
				assert.Contains(t, doubts[0], reason)
				continue
			}
			if returns == 2 {
				console.print(stamp + "Run /init as init process\n") // and yet it goes on
				console.print(strings.Join(lines[at+1:at+80], ""))
				assert.Equal(t, initcall.Late, console.clock.Level())
			}
		}
		if returns > 2 {
			return
		}
	}
	t.Error("no late initcalls")
}
