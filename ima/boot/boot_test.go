package boot_test

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/ima/boot"
	"github.com/swtpmd/swtpmd/transport"
)

// zeroAggregate is the boot aggregate of PCRs that are all zero, sha256.
const zeroAggregate = "7b6436b0c98f62380866d9432c2af0ee08ce16a171bda6951aecd95ee1307d61"

// selfTests are shared by the TPMs of all tests.
var selfTests crypt.SelfTests

// machine is a platform with the emulator as its TPM, behind faults.
type machine struct {
	platform *boot.Platform
	config   boot.Config
	rules    []faults.Rule
	none     bool // no TPM
}

func platform(t testing.TB, name string) *boot.Platform {
	t.Helper()
	p, err := boot.PlatformByName(name)
	require.NoError(t, err)
	return p
}

func parse(t testing.TB, text string) *boot.Platform {
	t.Helper()
	p, err := boot.ParsePlatform("test", strings.NewReader(text))
	require.NoError(t, err)
	return p
}

func (m machine) boot(t testing.TB) *boot.Result {
	t.Helper()
	if !m.none {
		m.config.Time = new(boot.Time)
		m.config.Clock = new(initcall.Clock)
		tpm, err := emulator.New(emulator.Platform{Clock: m.config.Time, Entropy: emulatortest.NewEntropy(m.config.Seed), SelfTest: selfTests.SelfTest}, emulator.Config{})
		require.NoError(t, err)
		m.config.Device, err = faults.Wrap(tpm, faults.Plan{Clock: m.config.Clock, Rules: m.rules})
		require.NoError(t, err)
	}
	r, err := boot.Run(context.Background(), m.platform, m.config)
	require.NoError(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(timeline(r))
		}
	})
	return r
}

func timeline(r *boot.Result) string {
	var b strings.Builder
	for _, e := range r.Events {
		line, _ := e.Line()
		b.WriteString(line + " <" + e.Task + ">\n")
	}
	return b.String()
}

func find(r *boot.Result, kind boot.EventKind, name string) (found []boot.Event) {
	for _, e := range r.Events {
		if e.Kind == kind && (name == "" || e.Name == name) {
			found = append(found, e)
		}
	}
	return found
}

func logs(r *boot.Result, part string) (found []boot.Event) {
	for _, e := range find(r, boot.LogLine, "") {
		if strings.Contains(e.Text, part) {
			found = append(found, e)
		}
	}
	return found
}

func TestPCBoots(t *testing.T) {
	t.Parallel()
	r := machine{platform: platform(t, "pc-tis")}.boot(t)
	s := r.Summary
	assert.True(t, s.Started)
	assert.False(t, s.Bypass)
	assert.True(t, s.Userspace)
	assert.Equal(t, initcall.Late, s.Level)
	require.Len(t, s.Aggregates, 1)
	assert.Equal(t, "boot_aggregate", s.Aggregates[0].Name)
	assert.False(t, s.Aggregates[0].Zero)
	assert.Equal(t, 4, s.Kept)
	assert.Equal(t, 4, s.Extended)
}

func TestProbeSendsWhatTheKernelSends(t *testing.T) {
	t.Parallel()
	tests := []struct {
		kind    string
		startup string
		want    []string
	}{
		{"tis", "yes", []string{"GetCapability", "SelfTest", "GetCapability", "GetCapability", "GetCapability", "GetRandom"}},
		{"tis", "no", []string{"GetCapability", "SelfTest", "Startup", "SelfTest", "GetCapability", "GetCapability", "GetCapability", "GetRandom"}},
		{"crb", "yes", []string{"SelfTest", "GetCapability", "GetCapability", "GetCapability", "GetRandom"}},
		{"ibmvtpm", "yes", []string{"GetCapability", "GetCapability", "SelfTest", "GetCapability", "GetCapability", "GetCapability", "GetRandom"}},
	}
	for _, test := range tests {
		t.Run(test.kind+" startup="+test.startup, func(t *testing.T) {
			t.Parallel()
			r := machine{platform: parse(t, minimal("firmware startup="+test.startup+"\ndriver tpm kind="+test.kind+" latency=1ms"))}.boot(t)
			var got []string
			for _, e := range find(r, boot.TPMCommand, "") {
				if e.Level == initcall.Device && e.Task == "init" {
					got = append(got, e.Name)
				}
			}
			assert.Equal(t, test.want, got)
			assert.True(t, r.Summary.TPMRegistered)
		})
	}
}

// minimal is a platform with a TPM whose driver is registered at device level.
func minimal(lines string) string {
	return `platform minimal
kernel 6.12 cmdline="ima_policy=tcb" jitter=0
` + lines + `
device tpm0 driver=tpm
initcall rootfs populate_rootfs initramfs=10ms
initcall device tpm_driver_init register=tpm
initcall late init_ima took=1ms ima
initcall late deferred_probe_initcall deferred-probe
initcall late_sync last took=1ms
userspace took=10ms
  exec /init
`
}

func TestSameSeedSameBytes(t *testing.T) {
	t.Parallel()
	bytes := func(seed uint64) string {
		m := machine{platform: platform(t, "pc-tis"), config: boot.Config{Seed: seed}}
		b, err := json.Marshal(m.boot(t))
		require.NoError(t, err)
		return string(b)
	}
	assert.Equal(t, bytes(1), bytes(1))
	assert.NotEqual(t, bytes(1), bytes(2))
}

func TestDeferralByLevelIsABypass(t *testing.T) {
	t.Parallel()
	for _, way := range []faults.WhileDeferred{faults.Fail, faults.Initialize, faults.Retry} {
		t.Run(way.String(), func(t *testing.T) {
			t.Parallel()
			r := machine{platform: platform(t, "pc-tis"), rules: []faults.Rule{faults.Defer(initcall.LateSync, way)}}.boot(t)
			assert.True(t, r.Summary.Bypass)
			assert.True(t, r.Summary.Aggregates[0].Zero)
			assert.Len(t, logs(r, "No TPM chip found, activating TPM-bypass!"), 1)
			assert.Zero(t, r.Summary.Extended)
		})
	}
}

func TestHeldCommandLetsTimeGoOn(t *testing.T) {
	t.Parallel()
	p := platform(t, "pc-tis")
	p.Kernel.CommandLine += " driver_async_probe=tpm_tis"
	r := machine{platform: p, rules: []faults.Rule{faults.Defer(initcall.LateSync, faults.Hold)}}.boot(t)
	assert.True(t, r.Summary.Bypass)
	assert.True(t, r.Summary.TPMRegistered)
	assert.GreaterOrEqual(t, r.Summary.TPMLevel, initcall.LateSync)
	assert.Less(t, r.Summary.TPMAt, r.Summary.UserspaceAt, "init waits for an asynchronous probe")
}

var _ transport.Device = (*trivialTPM)(nil)

func TestTrivialTPM(t *testing.T) {
	t.Parallel()
	start := time.Now()
	for range 100 {
		r, err := boot.Run(context.Background(), platform(t, "pc-tis"), boot.Config{Device: new(trivialTPM)})
		require.NoError(t, err)
		require.Equal(t, 4, r.Summary.Extended)
	}
	t.Log(time.Since(start) / 100)
}

func atoi(t testing.TB, s string) int {
	t.Helper()
	n, err := strconv.Atoi(strings.TrimSpace(s))
	require.NoError(t, err)
	return n
}
