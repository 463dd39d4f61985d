package boot_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/ima/boot"
)

func console(t testing.TB, name string) io.Reader {
	t.Helper()
	log, err := os.ReadFile("../../faults/initcall/testdata/" + name + ".log")
	require.NoError(t, err)
	return bytes.NewReader(log)
}

// A platform made from a real console boots as the real machine did.
func TestFromConsole(t *testing.T) {
	t.Parallel()
	tests := []struct {
		log      string
		strategy boot.Strategy
		calls    int // how many functions the log has
		release  string
		bypass   bool
		ima      time.Duration // when init_ima was called
		tpm      initcall.Level
		init     time.Duration // when init was executed
	}{
		{"arm64-6.1-eprobe-defer-ima-late", boot.Late, 185, "6.1.192", true, 304945 * time.Microsecond, initcall.Late, 572095 * time.Microsecond},
		{"arm64-6.1-eprobe-defer-ima-late_sync", boot.LateSync, 186, "6.1.192", false, 999101 * time.Microsecond, initcall.Late, 1260398 * time.Microsecond},
		{"x86_64-debian-6.1-tpm-on-time", boot.Late, 666, "6.1.0-56-amd64", false, 3518 * time.Millisecond, initcall.Device, 5368 * time.Millisecond},
		{"x86_64-debian-6.1-async-probe-held-to-late_sync", boot.Late, 666, "6.1.0-56-amd64", true, 1946 * time.Millisecond, initcall.LateSync, 2472 * time.Millisecond},
		{"x86_64-debian-6.1-tp_printk-levels", boot.Late, 666, "6.1.0-56-amd64", true, 6581 * time.Millisecond, initcall.Firmware, 9859 * time.Millisecond},
		{"ppc64le-debian-6.1-pseries-tpm-on-time", boot.Late, 544, "6.1.0-50-powerpc64le", false, 891 * time.Millisecond, initcall.Device, 1407 * time.Millisecond},
	}
	for _, test := range tests {
		t.Run(test.log, func(t *testing.T) {
			t.Parallel()
			p, err := boot.FromConsole(console(t, test.log), nil)
			require.NoError(t, err)
			assert.Equal(t, test.calls, len(p.Initcalls))
			assert.Equal(t, test.release, p.Kernel.Release)
			p.Firmware.Took = 0
			r := machine{platform: p, config: boot.Config{Strategy: test.strategy}}.boot(t)
			s := r.Summary
			assert.Equal(t, test.bypass, s.Bypass)
			assert.Equal(t, test.tpm, s.TPMLevel)
			assert.InEpsilon(t, test.ima.Seconds(), s.StartedAt.Seconds(), 0.06)
			assert.InEpsilon(t, test.init.Seconds(), s.UserspaceAt.Seconds(), 0.06)

			again, err := boot.ParsePlatform("again", strings.NewReader(p.String()))
			require.NoError(t, err)
			assert.Equal(t, p.String(), again.String())
		})
	}
}

// With the list that was posted, the console of another pseries machine becomes
// a machine that makes the list.
func TestFromConsoleWithList(t *testing.T) {
	t.Parallel()
	p, err := boot.FromConsole(console(t, "ppc64le-debian-6.1-pseries-tpm-on-time"), strings.NewReader(realList(t)))
	require.NoError(t, err)
	require.Len(t, p.Helpers, 1)
	assert.Len(t, p.Helpers[0].Accesses, 28)
	assert.Equal(t, "ima-sig", p.Kernel.Template)
	p.Kernel.Release = "7.1.0-rc1+"
	r := machine{platform: p, config: boot.Config{Strategy: boot.Dual, Policy: "tcb|critical_data"}}.boot(t)
	got, err := r.List.ReadFile("ascii_runtime_measurements")
	require.NoError(t, err)
	assert.Equal(t, realList(t), string(got))
}

// In bypass IMA sends no commands, so all of init_ima's time is its own.
func TestFromConsoleTimeOfIMA(t *testing.T) {
	t.Parallel()
	took := func(log string) time.Duration {
		p, err := boot.FromConsole(console(t, log), nil)
		require.NoError(t, err)
		for _, c := range p.Initcalls {
			if c.Name == "init_ima" {
				return c.Took
			}
		}
		return -1
	}
	assert.InDelta(t, 24.6, took("arm64-6.1-eprobe-defer-ima-late").Seconds()*1000, 0.3)
	assert.Zero(t, took("arm64-6.1-eprobe-defer-ima-late_sync"), "ten PCRs were read and one extended")
}

func TestFromConsoleRefuses(t *testing.T) {
	t.Parallel()
	var wrong *boot.ConsoleError
	_, err := boot.FromConsole(strings.NewReader("[    0.000000] Linux version 6.1\n"), nil)
	require.ErrorAs(t, err, &wrong)
	assert.Contains(t, err.Error(), "initcall_debug")

	_, err = boot.FromConsole(failingReader{}, nil)
	require.ErrorAs(t, err, &wrong)
	assert.ErrorIs(t, err, errBroken)

	_, err = boot.FromConsole(console(t, "arm64-6.1-eprobe-defer-ima-late"), strings.NewReader("10 nonsense\n"))
	require.ErrorAs(t, err, &wrong)
	assert.Contains(t, err.Error(), "measurement list")
}

var errBroken = errors.New("broken")

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, errBroken }
