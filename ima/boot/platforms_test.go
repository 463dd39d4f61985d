package boot_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/ima/boot"
)

// What was reported of the machines: whether IMA goes into bypass at late and at
// late_sync, and when the TPM is registered.
func TestPlatforms(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		late, lateSync bool // bypass
		tpm            initcall.Level
	}{
		"arm64-crb-ffa": {true, false, initcall.Late},
		"arm64-pkvm":    {true, false, initcall.Late},
		"arm64-virt":    {false, false, initcall.Device},
		"crb-qemu":      {false, false, initcall.Device},
		"debian-qemu":   {false, false, initcall.Device},
		"gb200-spi":     {true, true, initcall.LateSync},
		"no-tpm":        {true, true, initcall.Firmware},
		"pc-tis":        {false, false, initcall.Device},
		"powervm":       {false, false, initcall.Device},
		"pseries-qemu":  {false, false, initcall.Device},
		"rpi4-spi":      {true, true, initcall.LateSync},
		"rpi5-spi":      {true, true, initcall.LateSync},
		"tpm-module":    {true, true, initcall.Userspace},
	}
	var names []string
	for name, test := range tests {
		names = append(names, name)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := platform(t, name)
			assert.Equal(t, name, p.Name)
			for strategy, bypass := range map[boot.Strategy]bool{boot.Late: test.late, boot.LateSync: test.lateSync} {
				for seed := range uint64(5) {
					r := machine{platform: p, config: boot.Config{Strategy: strategy, Seed: seed}, none: name == "no-tpm"}.boot(t)
					assert.Equal(t, bypass, r.Summary.Bypass, "%s, seed %d", strategy, seed)
					assert.Equal(t, test.tpm, r.Summary.TPMLevel, "%s, seed %d", strategy, seed)
					assert.True(t, r.Summary.Userspace)
				}
			}
		})
	}
	assert.ElementsMatch(t, names, boot.Platforms())
}

// Without a TPM the arm64 machine makes the list that was posted.
func TestARM64DualIsTheRealList(t *testing.T) {
	t.Parallel()
	r := machine{platform: platform(t, "arm64-crb-ffa"), config: boot.Config{Strategy: boot.Dual}, none: true}.boot(t)
	got, err := r.List.ReadFile("ascii_runtime_measurements")
	require.NoError(t, err)
	want, err := os.ReadFile("testdata/arm64-tcb.ascii")
	require.NoError(t, err)
	assert.Equal(t, string(want), string(got))
}

// A shorter self-test lets GB200 be in time for late_sync.
func TestGB200IsARace(t *testing.T) {
	t.Parallel()
	p := platform(t, "gb200-spi")
	for i := range p.Drivers {
		if p.Drivers[i].Kind == boot.TISSPI {
			p.Drivers[i].SelfTest /= 2
		}
	}
	assert.False(t, machine{platform: p, config: boot.Config{Strategy: boot.LateSync}}.boot(t).Summary.Bypass)
}

func TestPlatformTextIsAPlatformFile(t *testing.T) {
	t.Parallel()
	for _, name := range boot.Platforms() {
		p := platform(t, name)
		text, err := p.AppendText(nil)
		require.NoError(t, err)
		again := parse(t, string(text))
		assert.Equal(t, string(text), again.String(), name)
		a := machine{platform: p, config: boot.Config{Seed: 7}}.boot(t)
		b := machine{platform: again, config: boot.Config{Seed: 7}}.boot(t)
		assert.Equal(t, a.Events, b.Events, name)
	}
}

func TestUnknownPlatform(t *testing.T) {
	t.Parallel()
	_, err := boot.PlatformByName("vax")
	var unknown *boot.UnknownNameError
	require.ErrorAs(t, err, &unknown)
	assert.Contains(t, unknown.Known, "powervm")
}

func TestPlatformErrors(t *testing.T) {
	t.Parallel()
	const head = "platform x\nkernel 6.12\n"
	const end = "initcall late init_ima ima\ninitcall late deferred_probe_initcall deferred-probe\n"
	tests := []struct {
		name, text string
		line       int
		says       string
	}{
		{"empty", "", 0, "no name"},
		{"no platform line", "kernel 6.12\n", 1, "begins with its platform line"},
		{"unknown directive", head + "devise tpm0\n", 3, `directive "devise"`},
		{"unknown key", head + end + "device tpm0 suplier=x\n", 5, `key "suplier"`},
		{"key twice", head + "driver a took=1s took=2s\n", 3, "twice"},
		{"directive twice", head + "kernel 6.1\n", 3, "second time"},
		{"too few words", head + "initcall late\n", 3, "needs 2 words"},
		{"no key", head + "driver a fast\n", 3, "no key=value"},
		{"open quote", "platform x title=\"a b\n", 1, "not closed"},
		{"control character", "platform x\x01\n", 1, "no text"},
		{"unknown kernel", "platform x\nkernel 2.4\n" + end, 2, "no kernel profile"},
		{"unknown hash", "platform x\nkernel 6.12 hash=crc32\n" + end, 2, "crc32"},
		{"unknown template", "platform x\nkernel 6.12 template=imaginary\n" + end, 2, "imaginary"},
		{"unknown level", head + end + "initcall lately f\n", 5, "lately"},
		{"no initcall level", head + end + "initcall userspace f\n", 5, "not at userspace"},
		{"negative duration", head + "driver a took=-1s\n", 3, "negative"},
		{"no duration", head + "driver a took=long\n", 3, "no duration"},
		{"longer than a boot", head + "driver a took=100h\n", 3, "longer than a boot"},
		{"unknown kind", head + "driver a kind=ps2\n", 3, "ps2"},
		{"no errno", head + "driver a fail=0\n", 3, "no number from 1"},
		{"two devices of a name", head + end + "device a\ndevice a\n", 6, "another device"},
		{"two drivers of a name", head + end + "driver a\ndriver a\n", 6, "another driver"},
		{"two initcalls of a name", head + end + "initcall late init_ima\n", 5, "another initcall"},
		{"two helpers of a name", head + end + "helper a\nhelper a\n", 6, "another helper"},
		{"two TPMs", head + end + "driver a kind=tis\ndevice x driver=a\ndevice y driver=a\n", 7, "a simulated machine has one"},
		{"no driver", head + end + "device a driver=b\n", 5, `no driver "b"`},
		{"no supplier", head + end + "device a suppliers=b\n", 5, `no device "b"`},
		{"waits for itself", head + end + "device a suppliers=a\n", 5, "waits for itself: a needs a"},
		{"circle", head + end + "device a suppliers=b\ndevice b needs=c\ndevice c parent=a\n", 5, "waits for itself: a needs b needs c needs a"},
		{"circle behind", head + end + "device z needs=a\ndevice a suppliers=b\ndevice b domains=a\n", 6, "waits for itself: a needs b needs a"},
		{"IMA never starts", head + "initcall late deferred_probe_initcall deferred-probe\n", 0, "IMA would never start"},
		{"nothing is retried", head + "initcall late init_ima ima\n", 0, "no deferred device would ever bind"},
		{"IMA at device", head + "initcall device init_ima ima\n", 3, "done at late, not at device"},
		{"IMA twice", head + end + "initcall late again ima\n", 5, "init_ima is ima already"},
		{"two actions", head + "initcall late f ima deferred-probe\n", 3, "is ima already"},
		{"registers nothing", head + end + "initcall device f register=x\n", 5, `no driver "x"`},
		{"registers a module", head + end + "driver a module\ninitcall device f register=a\n", 6, "is a module"},
		{"registers twice", head + end + "driver a\ninitcall device f register=a\ninitcall device g register=a\n", 7, "registered by f already"},
		{"no helper", head + end + "initcall device f helper=x\n", 5, `no helper "x"`},
		{"loads what is built in", head + end + "driver a\nuserspace\n  load /a.ko driver=a\n", 7, "module=yes"},
		{"relative path", head + end + "userspace\n  exec init\n", 6, "absolute"},
		{"no file system", head + end + "userspace\n  exec /init fs=ext4\n", 6, `no file system "ext4"`},
		{"access of nobody", head + "exec /init\n", 3, "below a helper"},
		{"short digest", head + "userspace\n  exec /init digest=sha256:00\n", 4, "64 hex digits"},
		{"two digests", head + end + "userspace\n  exec /a digest=sha1:" + strings.Repeat("00", 20) + "\n  read /a digest=sha1:" + strings.Repeat("11", 20) + "\n", 7, "another digest"},
		{"measures without starting", head + "firmware measure=0\n" + end, 3, "startup=yes"},
		{"measures into IMA's", head + "firmware startup measure=10\n" + end, 3, "PCR 10"},
		{"long line", "platform x title=" + strings.Repeat("x", 5000) + "\n", 1, "longer than"},
		{"aggregate of no hash", head + "aggregate sha256\n" + end, 3, "no digest"},
		{"no magic", head + "fs ext4 type=ext4\n", 3, "magic"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := boot.ParsePlatform("x.platform", strings.NewReader(test.text))
			var wrong *boot.PlatformError
			require.ErrorAs(t, err, &wrong)
			assert.Contains(t, err.Error(), test.says)
			assert.Equal(t, test.line, wrong.Line)
			assert.Equal(t, "x.platform", wrong.File)
		})
	}
}

// What a program builds is checked like a file.
func TestBuiltPlatformsAreChecked(t *testing.T) {
	t.Parallel()
	tests := map[string]func(p *boot.Platform){
		"negative duration": func(p *boot.Platform) { p.Initcalls[0].Took = -1 },
		"no kind":           func(p *boot.Platform) { p.Drivers[0].Kind = 99 },
		"no action":         func(p *boot.Platform) { p.Initcalls[0].Action = 99 },
		"no access":         func(p *boot.Platform) { p.Userspace.Accesses[0].Kind = 99 },
		"no errno":          func(p *boot.Platform) { p.Initcalls[0].Fail = -1 },
		"name with blank":   func(p *boot.Platform) { p.Devices[0].Name = "a b" },
		"jitter":            func(p *boot.Platform) { p.Kernel.Jitter = 101 },
		"quote in path":     func(p *boot.Platform) { p.Userspace.Accesses[0].Path = `/a"b` },
	}
	for name, change := range tests {
		p := platform(t, "pc-tis")
		change(p)
		var wrong *boot.PlatformError
		assert.ErrorAs(t, p.Validate(), &wrong, name)
		_, err := boot.Run(t.Context(), p, boot.Config{})
		assert.ErrorAs(t, err, &wrong, name)
		_, err = p.AppendText(nil)
		assert.ErrorAs(t, err, &wrong, name)
	}
}
