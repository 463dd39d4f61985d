package campaign

import (
	"context"
	"flag"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/simulate"
	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/campaign"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// nineRules leave the boot of powervm as it is, but for a command that is sent again. With
// the one that is drawn they are ten.
const nineRules = `name=extends PCR_Extend#2-4: pass
PCR_Read/2: pass
level=kernel..late GetCapability#2: pass
level=device..late_sync SelfTest: pass
GetRandom p=0.5: pass
NV_Write: rc=NV_RATE
level=late_sync.. after=extends locality=3: rc=FAILURE
handle=0x81000001: rc=HANDLE
GetCapability#3: rc=RETRY
`

// BenchmarkBoots compares a campaign over simulated boots with a plan of ten rules, results
// written to a file, with the same boots under no plan, on as many processors as -cpu says:
//
//	go test ./cmd/swtpmd/campaign -run - -bench Boots -cpu 1,2 -count 6
func BenchmarkBoots(b *testing.B) {
	defer moreGarbage()()
	var machine simulate.Repeated
	f := flag.NewFlagSet("", flag.ContinueOnError)
	machine.Define(f)
	require.NoError(b, f.Set("boot", "powervm"))
	require.NoError(b, machine.Prepare(b.Context(), cli.Profile{}))

	b.Run("plan=none", func(b *testing.B) {
		var next atomic.Int64
		var workers sync.WaitGroup
		for range runtime.GOMAXPROCS(0) {
			workers.Go(func() {
				for next.Add(1) <= int64(b.N) {
					if _, err := machine.Boot(b.Context(), faults.Plan{}, nil); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		transporttest.Wait(b, &workers)
		perSecond(b)
	})
	b.Run("plan=10rules", func(b *testing.B) {
		given, err := faults.ParsePlan("nine", []byte(nineRules), faults.Plan{Clock: new(initcall.Clock)})
		require.NoError(b, err)
		quote := []campaign.Target{{Code: wire.CCQuote, Count: 1}} // which no boot sends
		d := campaign.Draw{Seed: 1, Rules: 1, Kinds: []string{"rc"}, Targets: quote, Levels: true, Given: given}
		file, _, err := openResults(filepath.Join(b.TempDir(), "results"), false)
		require.NoError(b, err)
		runner := &bootRunner{&machine}
		seeds := make([]uint64, b.N)
		for i := range seeds {
			seeds[i] = uint64(i)
		}
		b.ResetTimer()
		err = campaign.Run(b.Context(), seeds, &d, func(ctx context.Context, seed uint64, plan faults.Plan) (campaign.Result, error) {
			return runner.run(ctx, seed, plan, nil)
		}, campaign.Options{Parallel: runtime.GOMAXPROCS(0), Done: func(r *campaign.Result) error { return file.write(r) }})
		require.NoError(b, err)
		require.NoError(b, file.close())
		perSecond(b)
	})
}

func perSecond(b *testing.B) {
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "boots/s")
}
