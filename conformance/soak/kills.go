//go:build linux

package soak

import (
	"context"
	"encoding/binary"
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
	Unanswered uint64   `json:"writes_unanswered"`
	Lost       uint64   `json:"writes_lost"`
	Failures   []string `json:"failures,omitempty"`
}

// killWriters is how many clients write to a daemon that is killed.
const killWriters = 4

// killTime is the longest that a daemon lives while clients write.
const killTime = 100 * time.Millisecond

// One kill in so many is of a daemon that starts, up to earlyTime after that.
const (
	earlyKills = 8
	earlyTime  = 30 * time.Millisecond
)

// Kill starts a daemon again and again on the same state, has clients count up in NV
// indices, and sends SIGKILL at a moment of chance. After each start every index must
// hold what was acknowledged last, or the write after it.
func Kill(ctx context.Context, p KillPlan) (KillReport, error) {
	dir, err := os.MkdirTemp("", "soak")
	if err != nil {
		return KillReport{}, err
	}
	defer os.RemoveAll(dir)
	if p.Say == nil {
		p.Say = func(string, ...any) {}
	}
	k := &killing{KillPlan: p, dir: dir, rnd: rand.New(rand.NewPCG(p.Seed, 1<<33))}
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
			k.Say("%d kills, %d writes acknowledged, %d lost", k.report.Kills, k.report.Acknowledged, k.report.Lost)
		}
	}
	if err == nil {
		err = k.read(ctx)
	}
	k.report.Seconds = time.Since(begin).Seconds()
	return k.report, err
}

type killing struct {
	KillPlan
	dir     string
	rnd     *rand.Rand
	report  KillReport
	writers [killWriters]writer
}

// writer counts up in an NV index.
type writer struct {
	sent, acknowledged uint64
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
	for n := range k.writers {
		k.report.Acknowledged -= k.writers[n].acknowledged
	}
	var writing sync.WaitGroup
	for n := range k.writers {
		writing.Go(func() { k.writers[n].write(ctx, d.ready.Data, n) })
	}
	wait(ctx, after)
	d.kill()
	writing.Wait()
	for n := range k.writers {
		k.report.Acknowledged += k.writers[n].acknowledged
		if err := k.writers[n].err; err != nil {
			return err
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

// check compares every index with what was sent and acknowledged.
func (k *killing) check(ctx context.Context, d *daemon) error {
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	tpm, err := raw.Dial(ctx, "unix", d.ready.Data)
	if err != nil {
		return err
	}
	defer tpm.Close()
	for n := range k.writers {
		w := &k.writers[n]
		index := uint32(firstIndex + n)
		response, err := tpm.Send(ctx, 0, nvRead(index, nil, 8))
		if err != nil {
			return err
		}
		if rc(response) == rcHandle1 && w.sent == 0 {
			if response, err = tpm.Send(ctx, 0, nvDefine(index, nvAuthRead|nvAuthWrite|nvNoDA, nil, 8)); err != nil {
				return err
			}
			if rc(response) != rcSuccess {
				return &codeError{"TPM2_NV_DefineSpace", rc(response)}
			}
			continue
		}
		got, err := number(response)
		if err != nil {
			return fmt.Errorf("kill %d: %w", k.report.Kills, err)
		}
		if got < w.acknowledged || got > w.sent {
			k.report.Lost += max(w.acknowledged, got) - min(w.acknowledged, got)
			k.report.Failures = append(k.report.Failures, fmt.Sprintf("kill %d: index %d has %d; %d was sent, %d acknowledged", k.report.Kills, n, got, w.sent, w.acknowledged))
		} else {
			k.report.Unanswered += got - w.acknowledged
		}
		w.sent, w.acknowledged = got, got
	}
	return nil
}

// write writes until the daemon is killed.
func (w *writer) write(ctx context.Context, path string, n int) {
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	tpm, err := raw.Dial(ctx, "unix", path)
	if err != nil {
		return
	}
	defer tpm.Close()
	for {
		w.sent++
		response, err := tpm.Send(ctx, 0, nvWrite(uint32(firstIndex+n), binary.BigEndian.AppendUint64(nil, w.sent)))
		if err != nil {
			return
		}
		if rc(response) != rcSuccess {
			w.err = &codeError{"TPM2_NV_Write", rc(response)}
			return
		}
		w.acknowledged = w.sent
	}
}
