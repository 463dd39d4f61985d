package campaign

import (
	"context"
	"sync"

	"github.com/swtpmd/swtpmd/faults"
)

// Runner runs the subject of a campaign once, under a plan that is its own, and returns
// what came of it: Result's Plan is filled in for it. It is called by several goroutines.
// An error is about the campaign and ends it, such as a command that cannot be started.
type Runner func(ctx context.Context, seed uint64, plan faults.Plan) (Result, error)

// Options say how the runs of a campaign go.
type Options struct {
	// Parallel is how many run at a time; 0 is one.
	Parallel int
	// Done is told each result, one at a time, as soon as it is there. An error ends the
	// campaign.
	Done func(*Result) error
}

// Run runs the seeds, each under the plan that d draws for it, and returns the first error:
// that of a plan, of a run, of Done or of ctx. What has been told to Done by then counts.
func Run(ctx context.Context, seeds []uint64, d *Draw, run Runner, o Options) error {
	p, err := d.pool()
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	next := make(chan uint64)
	var workers sync.WaitGroup
	var telling sync.Mutex
	one := func(seed uint64) error {
		plan, err := p.plan(seed)
		if err != nil {
			return err
		}
		result, err := run(ctx, seed, plan)
		if err != nil {
			return err
		}
		result.Seed, result.Plan = seed, plan.Text()
		telling.Lock()
		defer telling.Unlock()
		// A run that ctx has cut short has no outcome of its own.
		if err := ctx.Err(); err != nil {
			return err
		}
		return o.Done(&result)
	}
	for range max(o.Parallel, 1) {
		workers.Go(func() {
			for seed := range next {
				if err := one(seed); err != nil {
					stop(err)
					return
				}
			}
		})
	}
	for _, seed := range seeds {
		select {
		case next <- seed:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(next)
	workers.Wait()
	return context.Cause(ctx)
}
