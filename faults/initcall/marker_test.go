package initcall_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults/initcall"
)

// registered reads testdata/initcalls-6.1.txt: at which levels the kernel's
// source registers each function.
func registered(t *testing.T, release string) map[string][]initcall.Level {
	t.Helper()
	text, err := os.ReadFile("testdata/initcalls-" + release + ".txt")
	require.NoError(t, err)
	all := make(map[string][]initcall.Level)
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] == "#" {
			continue
		}
		for _, name := range fields[1:] {
			level, err := initcall.ParseLevel(name)
			require.NoError(t, err)
			all[fields[0]] = append(all[fields[0]], level)
		}
	}
	require.Greater(t, len(all), map[string]int{"6.1": 600}[release]+100)
	return all
}

// At each initcall of each real boot, the clock must stand at the level at which
// the kernel's source registers that very function.
func TestRealConsolesAgainstTheSource(t *testing.T) {
	calling := regexp.MustCompile(`calling  (\w+)\+0x0/0x[0-9a-f]+ @ 1`)
	quirk := regexp.MustCompile(`pci [0-9a-f:.]+: calling`)
	source := registered(t, "6.1")
	for _, name := range logs(t) {
		t.Run(filepath.Base(name), func(t *testing.T) {
			text, err := os.ReadFile(name)
			require.NoError(t, err)
			console := newConsole(t)
			console.Trusting = false
			console.Doubted = func(d initcall.Doubt) { assert.Equal(t, initcall.Userspace, d.Level, "%s: %s", d.Line, d.Reason) }
			checked, late := 0, 0
			for line := range bytes.Lines(text) {
				console.print(string(line))
				m := calling.FindSubmatch(line)
				if m == nil || quirk.Match(line) || console.clock.Level() == initcall.Userspace {
					continue
				}
				function := string(m[1])
				want := source[function]
				if strings.HasSuffix(name, "ima-late_sync.log") && function == "init_ima" {
					want = []initcall.Level{initcall.LateSync} // the change of that kernel
				}
				if want == nil {
					continue
				}
				checked++
				if level := console.clock.Level(); level < slices.Min(want) {
					late++
				} else {
					assert.Contains(t, want, level, "%s", function)
				}
			}
			assert.Greater(t, checked, 170)
			assert.LessOrEqual(t, late, mostLate[strings.HasPrefix(filepath.Base(name), "arm64")], "initcalls before their level is believed")
		})
	}
}

// mostLate is how many initcalls of a boot are called before their level is
// believed: the first of each level with a marker. The small arm64 kernel has one
// at pure, which is too few to believe core with its first.
var mostLate = map[bool]int{true: 14 + 2, false: 16}

func TestMarkers(t *testing.T) {
	source := registered(t, "6.1")
	seen := make(map[string]bool)
	inSource := 0
	last := initcall.Firmware
	for _, m := range initcall.Markers() {
		assert.GreaterOrEqual(t, m.Level, last, "%s: in the order of levels", m)
		last = m.Level
		assert.False(t, seen[m.String()], "%s twice", m)
		seen[m.String()] = true
		again, err := initcall.ParseMarker(m.String())
		require.NoError(t, err)
		assert.Equal(t, m, again)
		if at := source[m.Function]; at != nil && m.After == "" {
			inSource++
			assert.Equal(t, slices.Min(at), m.Level, "%s: a marker must not run ahead of any kernel", m)
		}
	}
	assert.Greater(t, inSource, 60)
	for _, release := range []string{"6.12", "7.3"} {
		newer := registered(t, release)
		for _, m := range initcall.Markers() {
			if at := newer[m.Function]; at != nil && m.After == "" {
				assert.LessOrEqual(t, m.Level, slices.Min(at), "%s: Linux %s calls it earlier", m, release)
			}
		}
	}

	initcall.Markers()[0].Level = initcall.Userspace
	assert.Equal(t, initcall.Early, initcall.Markers()[0].Level, "every caller gets its own")
}

func TestParseMarkerRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                                 "no level",
		"late_sync":                        "no level",
		"later=foo":                        "unknown initcall level",
		"late=":                            "no function",
		"late=foo,after=":                  "no function after",
		"late=,after=foo":                  "no function",
		"late=foo bar":                     "not a function's name",
		"late=foo+0x0":                     "not a function's name",
		"late=foo,before=bar":              "not a function's name",
		"late=foo,after=b-r":               "not a function's name",
		"late=" + strings.Repeat("f", 512): "longer than a kernel symbol",
		"late=f,after=" + strings.Repeat("f", 512): "longer than a kernel symbol",
	} {
		_, err := initcall.ParseMarker(text)
		var wrong *initcall.MarkerError
		require.ErrorAs(t, err, &wrong, "%.40q", text)
		assert.ErrorContains(t, err, want)
		assert.ErrorContains(t, err, "late_sync=regulator_init_complete", "the error shows what is wanted")
	}
}

// Consoles of many guests in one process share nothing but constant tables.
func TestConsolesInParallel(t *testing.T) {
	for _, name := range logs(t) {
		for range 4 {
			t.Run(filepath.Base(name), func(t *testing.T) {
				t.Parallel()
				text, err := os.ReadFile(name)
				require.NoError(t, err)
				want, err := os.ReadFile(strings.TrimSuffix(name, ".log") + ".events")
				require.NoError(t, err)
				assert.Equal(t, string(want), replay(t, text, 4096))
			})
		}
	}
}

func TestFunctionOf(t *testing.T) {
	for symbol, want := range map[string]string{
		"init_ima":        "init_ima",
		"init_ima.cfi_jt": "init_ima",
		"__initstub__kmod_ima__300_1112_init_ima7":                       "init_ima",
		"__initstub__kmod_core__400_6242_regulator_init_complete7s":      "regulator_init_complete",
		"__initstub__kmod_gpu_sched__180_178_drm_sched_fence_slab_init6": "drm_sched_fence_slab_init",
		"": "",
	} {
		assert.Equal(t, want, initcall.FunctionOf(symbol), symbol)
	}
}
