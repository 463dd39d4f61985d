package initcall_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults/initcall"
)

// FuzzConsole prints any bytes: nothing may break, levels only move forward
// within a boot, boots count one by one, and where the bytes are cut into
// writes makes no difference.
func FuzzConsole(f *testing.F) {
	for _, name := range logs(f) {
		text, err := os.ReadFile(name)
		require.NoError(f, err)
		f.Add(text[:min(len(text), 40_000)], uint16(999), true) // untrusting
		for _, at := range []string{"Linux version", "calling  populate_rootfs", "calling  init_ima", "Run /init"} {
			i := max(0, strings.Index(string(text), at)-100)
			f.Add(text[i:min(len(text), i+300)], uint16(len(text)), false)
		}
	}
	f.Add([]byte(strings.Repeat("x", 990)+initIMA), uint16(991), true)
	f.Add([]byte("\x1b[2J\x1b[\x1b"+linux61+initIMA+armStart), uint16(17), true)
	f.Add([]byte("calling  __initstub__kmod_a__1_2_b7s+0x0\nKernel panic - not syncing\n"+linux61+linux61), uint16(5), true)
	f.Add([]byte("calling  __initstub____+0x\n[999999999.999999] Linux version "), uint16(3), false)
	f.Fuzz(func(t *testing.T, text []byte, cut uint16, power bool) {
		trusting := cut%2 == 0
		whole := fuzzed(t, power, trusting, text)
		at := min(int(cut), len(text))
		require.Equal(t, whole, fuzzed(t, power, trusting, text[:at], text[at:]))
		single := make([][]byte, len(text))
		for i := range text {
			single[i] = text[i : i+1]
		}
		require.Equal(t, whole, fuzzed(t, power, trusting, single...))

		last := initcall.Event{Boot: 1}
		for _, e := range whole {
			require.LessOrEqual(t, len(e.Cause), 160)
			require.LessOrEqual(t, len(e.Confirmed), 160)
			require.NotContains(t, e.Cause, "\n")
			if e.Level == initcall.Firmware && (e.Boot == last.Boot+1 || power && e.Boot == 1) {
				last = e
				continue
			}
			require.Equal(t, last.Boot, e.Boot)
			require.Greater(t, e.Level, last.Level)
			require.GreaterOrEqual(t, e.At, initcall.NoTime)
			last = e
		}
	})
}

func fuzzed(t *testing.T, power, trusting bool, writes ...[]byte) []initcall.Event {
	console := newConsole(t)
	console.Trusting = trusting
	console.FollowKexec = power
	if power {
		console.Reset("power")
	}
	for _, p := range writes {
		console.Write(p)
	}
	console.Flush()
	return console.events
}

func FuzzParseMarker(f *testing.F) {
	f.Add("late_sync=my_func")
	f.Add("late_sync=init_ima,after=deferred_probe_initcall")
	f.Add("late=a=b,after=")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := initcall.ParseMarker(text)
		if err != nil {
			var wrong *initcall.MarkerError
			require.ErrorAs(t, err, &wrong)
			return
		}
		require.Equal(t, text, m.String())
		_, err = initcall.NewConsole(new(initcall.Clock), m)
		require.NoError(t, err)
	})
}

func FuzzParseSource(f *testing.F) {
	f.Add("unix:/run/console")
	f.Add("file:console.log")
	f.Add("-")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := initcall.ParseSource(text)
		if err != nil {
			var wrong *initcall.SourceError
			require.ErrorAs(t, err, &wrong)
			return
		}
		require.Equal(t, text, s.String())
	})
}
