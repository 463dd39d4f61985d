//go:build linux

package soak

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"github.com/swtpmd/swtpmd/transport/raw"
)

// KillPlan says how often a daemon is killed.
type KillPlan struct {
	Program string
	// Kills is how many there are, and Time for how long, whichever is over first;
	// 0 is no limit.
	Kills int
	Time  time.Duration
	Seed  uint64
	Say   func(format string, a ...any)
}

// KillReport is what became of the writes.
type KillReport struct {
	Seed         uint64  `json:"seed"`
	Seconds      float64 `json:"seconds"`
	Kills        int     `json:"kills"`
	Acknowledged uint64  `json:"writes_acknowledged"`
	// Unanswered are those that were on the disk when the daemon was killed
	// before it could answer.
	Unanswered uint64 `json:"writes_unanswered"`
	Lost       uint64 `json:"writes_lost"`
	// Records are the same numbers for each record.
	Records  []RecordReport `json:"records"`
	Failures []string       `json:"failures,omitempty"`
}

// RecordReport is what became of the writes to one record.
type RecordReport struct {
	Name         string `json:"name"`
	Acknowledged uint64 `json:"writes_acknowledged"`
	Unanswered   uint64 `json:"writes_unanswered"`
	Lost         uint64 `json:"writes_lost"`
}

// newWriters returns a client for each record.
func newWriters() []*writer {
	return []*writer{
		{record: &ordinary{index: firstIndex}, report: RecordReport{Name: "NV index"}},
		{record: &ordinary{index: firstIndex + 1}, report: RecordReport{Name: "another NV index"}},
		{record: &counter{index: firstIndex + 2}, report: RecordReport{Name: "NV counter"}},
		{record: &orderly{counter{index: firstIndex + 3, attributes: nvOrderly}}, report: RecordReport{Name: "orderly NV counter"}},
		{record: &persistent{first: firstPersistent}, report: RecordReport{Name: "persistent objects"}},
	}
}

// killTime is the longest that a daemon lives while clients write.
const killTime = 100 * time.Millisecond

// One kill in so many is of a daemon that starts, up to earlyTime after that.
const (
	earlyKills = 8
	earlyTime  = 30 * time.Millisecond
)

// Kill starts a daemon again and again on the same state, has clients count up in NV
// indices, NV counters and persistent objects, and sends SIGKILL at a moment of chance.
// After each start every record must hold what was acknowledged last, or the write after
// it; an orderly counter may be further, by what it jumps.
func Kill(ctx context.Context, p KillPlan) (KillReport, error) {
	dir, err := os.MkdirTemp("", "soak")
	if err != nil {
		return KillReport{}, err
	}
	defer os.RemoveAll(dir)
	if p.Say == nil {
		p.Say = func(string, ...any) {}
	}
	k := &killing{KillPlan: p, dir: dir, rnd: rand.New(rand.NewPCG(p.Seed, 1<<33)), writers: newWriters()}
	k.report.Seed = p.Seed
	begin := time.Now()
	for (p.Kills == 0 || k.report.Kills < p.Kills) && (p.Time == 0 || time.Since(begin) < p.Time) && ctx.Err() == nil {
		kill := k.once
		if k.rnd.IntN(earlyKills) == 0 {
			kill = k.early
		}
		if err = kill(ctx); err != nil {
			break
		}
		k.report.Kills++
		if k.report.Kills%100 == 0 {
			k.sum()
			k.Say("%d kills, %d writes acknowledged, %d lost", k.report.Kills, k.report.Acknowledged, k.report.Lost)
		}
	}
	if err == nil {
		err = k.read(ctx)
	}
	k.report.Seconds = time.Since(begin).Seconds()
	k.sum()
	return k.report, err
}

// sum makes the report's sums of those of the records.
func (k *killing) sum() {
	r := &k.report
	r.Acknowledged, r.Unanswered, r.Lost, r.Records = 0, 0, 0, nil
	for _, w := range k.writers {
		r.Acknowledged += w.report.Acknowledged
		r.Unanswered += w.report.Unanswered
		r.Lost += w.report.Lost
		r.Records = append(r.Records, w.report)
	}
}

type killing struct {
	KillPlan
	dir     string
	rnd     *rand.Rand
	report  KillReport
	writers []*writer
}

// writer counts up in a record.
type writer struct {
	record
	sent, acknowledged uint64
	report             RecordReport
	err                error // an answer that was wrong
}

// early kills a daemon while it starts.
func (k *killing) early(ctx context.Context) error {
	cmd := k.launch().command()
	if err := cmd.Start(); err != nil {
		return err
	}
	wait(ctx, time.Duration(k.rnd.Int64N(int64(earlyTime))))
	err := cmd.Process.Kill()
	_ = cmd.Wait()
	return err
}

// once starts the daemon, looks at what is there, and kills it while it writes.
func (k *killing) once(ctx context.Context) error {
	d, err := k.start(ctx)
	if err != nil {
		return err
	}
	defer d.kill()
	if err := k.check(ctx, d); err != nil {
		return err
	}
	after := time.Duration(k.rnd.Int64N(int64(killTime)))
	var writing sync.WaitGroup
	for _, w := range k.writers {
		writing.Go(func() { w.write(ctx, d.ready.Data) })
	}
	wait(ctx, after)
	d.kill()
	writing.Wait()
	for _, w := range k.writers {
		if w.err != nil {
			return fmt.Errorf("%s: %w", w.report.Name, w.err)
		}
	}
	return nil
}

func (k *killing) launch() launch {
	return launch{program: k.Program, dir: k.dir, stateful: true, words: []string{"--flags=startup-clear"}}
}

func (k *killing) start(ctx context.Context) (*daemon, error) { return k.launch().start(ctx) }

// read looks at what the last kill has left.
func (k *killing) read(ctx context.Context) error {
	d, err := k.start(context.WithoutCancel(ctx))
	if err != nil {
		return err
	}
	if err := k.check(context.WithoutCancel(ctx), d); err != nil {
		d.kill()
		return err
	}
	_, err = d.stop()
	return err
}

// check compares every record with what was sent and acknowledged.
func (k *killing) check(ctx context.Context, d *daemon) error {
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	tpm, err := raw.Dial(ctx, "unix", d.ready.Data)
	if err != nil {
		return err
	}
	defer tpm.Close()
	for _, w := range k.writers {
		if err := w.check(ctx, tpm); err != nil {
			return fmt.Errorf("kill %d: %s: %w", k.report.Kills, w.report.Name, err)
		}
		if w.err != nil {
			k.report.Failures = append(k.report.Failures, fmt.Sprintf("kill %d: %s: %v", k.report.Kills, w.report.Name, w.err))
			w.err = nil
		}
	}
	return nil
}

// check compares the record with what was sent and acknowledged, and goes on from what
// it holds. What is not as it should be is the writer's err.
func (w *writer) check(ctx context.Context, tpm *raw.Client) error {
	if err := w.prepare(ctx, tpm); err != nil {
		return err
	}
	got, err := w.read(ctx, tpm, w.acknowledged)
	if err != nil {
		return err
	}
	switch {
	case !w.allows(got, w.acknowledged, w.sent):
		w.report.Lost += max(w.acknowledged, got) - min(w.acknowledged, got)
		w.err = fmt.Errorf("it holds %d; %d was sent, %d acknowledged", got, w.sent, w.acknowledged)
	case got == w.sent && w.sent > w.acknowledged: // not what an orderly counter jumps
		w.report.Unanswered++
	}
	w.sent, w.acknowledged = got, got
	return nil
}

// write writes until the daemon is killed.
func (w *writer) write(ctx context.Context, path string) {
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	tpm, err := raw.Dial(ctx, "unix", path)
	if err != nil {
		return
	}
	defer tpm.Close()
	for {
		w.sent++
		response, err := tpm.Send(ctx, 0, w.next(w.sent))
		if err != nil {
			return
		}
		if rc(response) != rcSuccess {
			w.err = fmt.Errorf("write %d answered %#x", w.sent, rc(response))
			return
		}
		w.acknowledged = w.sent
		w.report.Acknowledged++
	}
}
