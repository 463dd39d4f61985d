//go:build linux

package soak

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/swtpmd/swtpmd/faults/initcall"
)

// Plan says what a soak does.
type Plan struct {
	// Program is the swtpmd to start.
	Program string
	// Time is for how long rounds of all attacks begin. There is one at least.
	Time time.Duration
	// Clients is how many behave well.
	Clients int
	// Bout is how long one attack takes.
	Bout time.Duration
	// AtOnce is how many attacks are made at a time.
	AtOnce int
	Seed   uint64
	// Say, if set, is told how far it is.
	Say func(format string, a ...any)
}

// AttackReport is what was done of one kind.
type AttackReport struct {
	Name  string `json:"name"`
	Bouts int    `json:"bouts"`
	// Blows counts connections, commands, requests or processes.
	Blows uint64 `json:"blows"`
}

// Report is what became of the clients.
type Report struct {
	Seed         uint64         `json:"seed"`
	Seconds      float64        `json:"seconds"`
	Clients      int            `json:"clients"`
	Commands     uint64         `json:"commands"`
	Acknowledged uint64         `json:"writes_acknowledged"`
	Lost         uint64         `json:"writes_lost"`
	Refused      uint64         `json:"nv_unavailable"`
	Canceled     uint64         `json:"canceled"`
	P50          time.Duration  `json:"p50_ns"`
	P99          time.Duration  `json:"p99_ns"`
	Max          time.Duration  `json:"max_ns"`
	Rounds       int            `json:"rounds"`
	Attacks      []AttackReport `json:"attacks"`
	LogLost      uint64         `json:"log_lines_lost"`
	// Before are the sizes of the clients' daemon before the first round, First
	// after it and Last after the last one, Most the largest RSS between.
	Before Size `json:"before"`
	First  Size `json:"first"`
	Last   Size `json:"last"`
	Most   int  `json:"most_rss_kib"`
	// GoroutinesBefore are those of a daemon with the same clients that was never
	// attacked, without those of Go's runtime.
	GoroutinesBefore int `json:"goroutines_before"`
	Goroutines       int `json:"goroutines"`
	// Ended is how long the deferred daemon took to end after SIGTERM.
	Ended time.Duration `json:"ended_ns"`
	// Failures are what should not have happened.
	Failures []string `json:"failures,omitempty"`
}

// Attacked counts the bouts of all attacks.
func (r *Report) Attacked() int {
	n := 0
	for _, a := range r.Attacks {
		n += a.Bouts
	}
	return n
}

// Run soaks a swtpmd. The error is one of the soak itself; what the daemon did
// wrong is in the Report.
func Run(ctx context.Context, p Plan) (Report, error) {
	// Short: a socket's path has 107 bytes.
	dir, err := os.MkdirTemp("", "soak")
	if err != nil {
		return Report{}, err
	}
	defer os.RemoveAll(dir)
	s := &soak{Plan: p, field: field{program: p.Program, dir: dir}}
	s.report.Seed, s.report.Clients = p.Seed, p.Clients
	if s.Say == nil {
		s.Say = func(string, ...any) {}
	}
	if err := s.untouched(ctx); err != nil {
		return s.report, err
	}
	if err := s.begin(ctx); err != nil {
		return s.report, errors.Join(err, s.kill())
	}
	begin := time.Now()
	err = s.rounds(ctx)
	s.report.Seconds = time.Since(begin).Seconds()
	if err == nil {
		err = s.end()
	}
	return s.report, errors.Join(err, s.kill())
}

// soak is one that is going on.
type soak struct {
	Plan
	field   field
	report  Report
	clients []*client
	// calm ends the clients, and resting waits for them.
	calm    context.CancelFunc
	resting sync.WaitGroup

	mu sync.Mutex // of report.Failures and report.Attacks
}

func (s *soak) failed(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	const most = 50
	if len(s.report.Failures) < most {
		s.report.Failures = append(s.report.Failures, err.Error())
		s.Say("FAILED: %v", err)
	}
}

// chance is a source of chance of its own for each part of the soak.
func (s *soak) chance(part uint64) *rand.Rand { return rand.New(rand.NewPCG(s.Seed, part)) }

// launch starts one of the daemons, whose log nobody reads and shows every command.
func (s *soak) launch(ctx context.Context, name string, words ...string) (*daemon, error) {
	dir := filepath.Join(s.field.dir, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	words = append(words, "--log=level=5")
	return launch{program: s.Program, dir: dir, stateful: true, blocked: true, words: words}.start(ctx)
}

// steadyWords start the TPM of the clients.
const steadyWords = "--flags=startup-clear"

// untouched counts the goroutines of a daemon with the same clients and no attack.
func (s *soak) untouched(ctx context.Context) error {
	d, err := s.launch(ctx, "u", steadyWords)
	if err != nil {
		return err
	}
	defer d.kill()
	clients, err := s.connect(ctx, d)
	for _, c := range clients {
		defer c.tpm.Close()
	}
	if err != nil {
		return err
	}
	now, err := size(d.ready.PID)
	if err != nil {
		return err
	}
	n, said, err := d.goroutines(now.Descriptors)
	if err == nil && len(n) == 0 {
		err = fmt.Errorf("no goroutines in what swtpmd said after SIGQUIT: %.1000s", said)
	}
	s.report.GoroutinesBefore = n.sum()
	return err
}

func (s *soak) connect(ctx context.Context, d *daemon) ([]*client, error) {
	var clients []*client
	for n := range s.Plan.Clients {
		c, err := newClient(ctx, d.ready.Data, n, s.chance(uint64(n)))
		if err != nil {
			return clients, err
		}
		clients = append(clients, c)
	}
	return clients, nil
}

// begin starts the daemons and the clients.
func (s *soak) begin(ctx context.Context) error {
	var err error
	if s.field.steady, err = s.launch(ctx, "s", steadyWords); err != nil {
		return err
	}
	if s.field.late, err = s.launch(ctx, "l", "--defer-from=firmware", "--defer-until=late"); err != nil {
		return err
	}
	s.field.held, err = s.launch(ctx, "h", "--defer-from=firmware", "--defer-until=late", "--while-deferred=hold", "--hold-max=200ms")
	if err != nil {
		return err
	}
	if s.clients, err = s.connect(ctx, s.field.steady); err != nil {
		return err
	}
	if s.report.Before, err = size(s.field.steady.ready.PID); err != nil {
		return err
	}
	ctx, s.calm = context.WithCancel(ctx)
	for _, c := range s.clients {
		s.resting.Go(func() {
			if err := c.run(ctx); err != nil {
				s.failed(err)
			}
		})
	}
	return nil
}

// rounds makes rounds of all attacks until time is over.
func (s *soak) rounds(ctx context.Context) error {
	end := time.Now().Add(s.Time)
	rnd := s.chance(1 << 32)
	for s.report.Rounds == 0 || time.Now().Before(end) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !s.field.steady.running() {
			return nil // as the clients have seen
		}
		s.round(ctx, rnd)
		s.report.Rounds++
		now, err := settle(ctx, s.field.steady.ready.PID, s.report.Before.Descriptors)
		if err != nil {
			s.failed(err)
		}
		if s.report.Rounds == 1 {
			s.report.First = now
		}
		s.report.Last, s.report.Most = now, max(s.report.Most, now.RSS)
		s.Say("%d attacks in %d rounds; RSS %d KiB, %d descriptors, %d threads", s.report.Attacked(), s.report.Rounds, now.RSS, now.Descriptors, now.Threads)
		s.look(ctx)
	}
	return nil
}

// round makes every attack once, some at a time, in an order of chance.
func (s *soak) round(ctx context.Context, rnd *rand.Rand) {
	attacks := Attacks()
	if s.report.Attacks == nil {
		for _, a := range attacks {
			s.report.Attacks = append(s.report.Attacks, AttackReport{Name: a.Name})
		}
	}
	slots := make(chan struct{}, max(s.AtOnce, 1))
	var alone sync.Mutex
	var fights sync.WaitGroup
	for _, n := range rnd.Perm(len(attacks)) {
		a := &attacks[n]
		seed := rnd.Uint64()
		slots <- struct{}{}
		fights.Go(func() {
			defer func() { <-slots }()
			if a.alone {
				alone.Lock()
				defer alone.Unlock()
			}
			s.fight(ctx, a, n, seed)
		})
	}
	fights.Wait()
}

func (s *soak) fight(ctx context.Context, a *Attack, n int, seed uint64) {
	dir, err := os.MkdirTemp(s.field.dir, "a")
	if err != nil {
		s.failed(err)
		return
	}
	defer os.RemoveAll(dir)
	b := &bout{field: &s.field, rnd: rand.New(rand.NewPCG(seed, 0)), dir: dir}
	if err := a.fight(ctx, b, s.Bout); err != nil {
		s.failed(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.report.Attacks[n].Bouts++
	s.report.Attacks[n].Blows += b.blows
}

// look asks every daemon how it is.
func (s *soak) look(ctx context.Context) {
	for name, d := range map[string]*daemon{"steady": s.field.steady, "late": s.field.late, "held": s.field.held} {
		ctx, cancel := context.WithTimeout(ctx, commandTime)
		status, err := d.admin.Status(ctx)
		d.admin.Close()
		cancel()
		switch {
		case err != nil:
			s.failed(fmt.Errorf("the %s daemon: %w", name, err))
		case status.Failure != "":
			s.failed(fmt.Errorf("the %s TPM is in failure mode: %s", name, status.Failure))
		case name != "steady" && status.Now.Level >= initcall.Late:
			s.failed(fmt.Errorf("the %s TPM was released: %s", name, status.Now.Cause))
		}
		if name == "steady" {
			s.report.LogLost = status.LogLost
		}
	}
}

// end has the clients rest and looks at what is left of the daemons.
func (s *soak) end() error {
	s.calm()
	s.resting.Wait()
	var times []time.Duration
	for _, c := range s.clients {
		s.report.Commands += c.commands
		s.report.Acknowledged += c.acknowledged
		s.report.Lost += c.lost
		s.report.Refused += c.refused
		s.report.Canceled += c.canceled
		times = append(times, c.took...)
	}
	s.report.P50, s.report.P99, s.report.Max = percentile(times, 50), percentile(times, 99), percentile(times, 100)
	n, said, err := s.field.steady.goroutines(s.report.Before.Descriptors)
	if err != nil {
		s.failed(err)
	}
	s.report.Goroutines = n.sum()
	if i := strings.Index(said, "DATA RACE"); i >= 0 {
		s.failed(fmt.Errorf("a data race: %.4000s", said[i:]))
	}
	if n.sum() > s.report.GoroutinesBefore {
		s.failed(fmt.Errorf("%d goroutines are left, and a daemon that was not attacked has %d: %v", n.sum(), s.report.GoroutinesBefore, n))
	}
	took, err := s.field.late.stop()
	s.report.Ended = took
	if err != nil {
		s.failed(err)
	}
	return nil
}

// kill ends what is still there.
func (s *soak) kill() error {
	if s.calm != nil {
		s.calm()
	}
	for _, d := range []*daemon{s.field.steady, s.field.late, s.field.held} {
		if d != nil {
			d.kill()
		}
	}
	s.resting.Wait()
	for _, c := range s.clients {
		c.tpm.Close()
	}
	return nil
}
