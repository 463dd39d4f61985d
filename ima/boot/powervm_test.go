package boot_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/boot"
)

func realList(t testing.TB) string {
	t.Helper()
	list, err := os.ReadFile("testdata/powervm.ascii")
	require.NoError(t, err)
	return string(list)
}

// The list that was posted comes out byte for byte, and the TPM has its replay.
func TestPowerVMDualIsTheRealList(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		r := machine{platform: platform(t, "powervm"), config: boot.Config{Strategy: boot.Dual, Seed: seed}}.boot(t)
		got, err := r.List.ReadFile("ascii_runtime_measurements_sha1")
		require.NoError(t, err)
		assert.Equal(t, realList(t), string(got))
		assert.Equal(t, 32, r.Summary.Extended)
		// Computed by an independent script from the posted list.
		assert.Equal(t, "1647304e41c043affdb9e0f0dad46ad3d7678a9d", r.PCRs[ima.SHA1][10].String())
		assert.Equal(t, "f661ea4bb7099b9f1150e781419dcbf7e9f710147359b1aeb0b867177a793fbd", r.PCRs[ima.SHA256][10].String())
	}
}

// Every file of the list matches every bank.
func TestPowerVMListsReplay(t *testing.T) {
	t.Parallel()
	r := machine{platform: platform(t, "powervm"), config: boot.Config{Strategy: boot.Dual}}.boot(t)
	read := 0
	for _, f := range r.List.Files() {
		bank, ok := strings.CutPrefix(f.Name, "binary_runtime_measurements_")
		if !ok {
			continue
		}
		content, err := r.List.ReadFile(f.Name)
		require.NoError(t, err)
		algo, err := ima.ParseHashAlgo(bank)
		require.NoError(t, err)
		list, err := ima.Open(content, ima.Format{Digest: algo})
		require.NoError(t, err)
		comparison, err := ima.Compare(list, ima.PCRs{algo: {10: r.PCRs[algo][10]}})
		require.NoError(t, err)
		assert.True(t, comparison.Match(), bank)
		assert.Empty(t, comparison.Damaged, bank)
		assert.Equal(t, 32, comparison.Records)
		read++
	}
	assert.Equal(t, 4, read)
}

func TestPowerVMGap(t *testing.T) {
	t.Parallel()
	tests := map[boot.Strategy]struct{ kept, lost, denied int }{
		boot.Late:     {31, 0, 0},
		boot.LateSync: {3, 28, 0},
		boot.Retry:    {31, 0, 0},
		boot.Kconfig:  {3, 28, 0},
		boot.Dual:     {32, 0, 0},
		boot.Queue:    {31, 0, 0},
		boot.Deny:     {3, 0, 1},
		boot.Notifier: {31, 0, 0},
	}
	require.Len(t, tests, len(boot.Strategies()))
	for strategy, want := range tests {
		s := machine{platform: platform(t, "powervm"), config: boot.Config{Strategy: strategy}}.boot(t).Summary
		assert.Equal(t, want.kept, s.Kept, strategy)
		assert.Equal(t, want.kept, s.Extended, strategy)
		assert.Equal(t, want.lost, s.Lost, strategy)
		assert.Equal(t, want.denied, s.Denied, strategy)
		assert.Equal(t, initcall.Device, s.TPMLevel, strategy)
	}
}

// tenRules are some of every sort: two hold or delay, some fire, some look at handles, PCRs
// and chance, and some are for commands that no boot sends.
func tenRules(t testing.TB) (rules []faults.Rule) {
	t.Helper()
	for _, text := range []string{
		"name=a level=kernel..device GetCapability: delay=1us",
		"name=b PCR_Extend#100-: rc=TPM_RC_FAILURE",
		"name=c GetRandom p=0.5: delay=1us..3us",
		"name=d NV_Read/3: rc=TPM_RC_NV_RATE",
		"name=e pcr=16 PCR_Read: rc=TPM_RC_RETRY",
		"name=f handle=0x81000001: rc=TPM_RC_HANDLE",
		"name=g locality=4: rc=TPM_RC_LOCALITY",
		"name=h client=other: rc=TPM_RC_CANCELED",
		"name=i after=b SelfTest: rc=TPM_RC_TESTING",
		"name=j boot=2..: rc=TPM_RC_REBOOT",
	} {
		r, err := faults.ParseRule(text)
		require.NoError(t, err)
		rules = append(rules, r)
	}
	return rules
}

func BenchmarkPowerVM(b *testing.B) {
	p := platform(b, "powervm")
	for _, test := range []struct {
		name  string
		rules []faults.Rule
	}{{"without rules", nil}, {"ten rules", tenRules(b)}} {
		b.Run(test.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				config := boot.Config{Strategy: boot.Dual, Device: new(trivialTPM)}
				if test.rules != nil {
					config.Time, config.Clock = new(boot.Time), new(initcall.Clock)
					var err error
					config.Device, err = faults.Wrap(config.Device, faults.Plan{
						Clock: config.Clock, Time: config.Time.Now, Rules: test.rules, Journal: func(faults.Decision) {},
					})
					require.NoError(b, err)
				}
				r, err := boot.Run(context.Background(), p, config)
				if err != nil || r.Summary.Extended != 32 {
					b.Fatal(err, r.Summary.Extended)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "boots/s")
		})
	}
}
