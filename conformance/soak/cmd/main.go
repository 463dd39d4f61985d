//go:build linux

// Command soak runs clients of swtpmd beside attacks, kills and power cuts; see
// usage.txt and package soak. scripts/soak builds and starts it.
package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/swtpmd/swtpmd/conformance/soak"
)

//go:embed usage.txt
var usage string

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
	exitBroken = 3
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// options are the command line.
type options struct {
	time                    time.Duration
	clients, kills, commits int
	seed                    uint64
	json, list              bool
	parts                   map[string]bool
	attacked, shipped       string
}

var parts = []string{"attacks", "kills", "transports", "power-cuts"}

func parse(args []string) (options, error) {
	o := options{parts: map[string]bool{}}
	flags := flag.NewFlagSet("soak", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.DurationVar(&o.time, "time", 10*time.Minute, "")
	flags.IntVar(&o.clients, "clients", 16, "")
	flags.IntVar(&o.kills, "kills", 0, "")
	flags.IntVar(&o.commits, "commits", 20, "")
	flags.Uint64Var(&o.seed, "seed", 0, "")
	flags.BoolVar(&o.json, "json", false, "")
	flags.BoolVar(&o.list, "list", false, "")
	only := flags.String("only", strings.Join(parts, ","), "")
	// What scripts/soak builds: the daemon that is attacked and the one that is
	// killed.
	flags.StringVar(&o.attacked, "attacked", "swtpmd", "")
	flags.StringVar(&o.shipped, "shipped", "swtpmd", "")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	for _, part := range strings.Split(*only, ",") {
		if !strings.Contains(","+strings.Join(parts, ",")+",", ","+part+",") || part == "" {
			return o, fmt.Errorf("--only: there is no part %q; there are %s", part, strings.Join(parts, ", "))
		}
		o.parts[part] = true
	}
	// What a TPM has room for at once, beside attackers.
	const most = 48
	switch {
	case o.time <= 0:
		return o, fmt.Errorf("--time %s: more than nothing is needed", o.time)
	case o.clients < 1 || o.clients > most:
		return o, fmt.Errorf("--clients %d: 1 to %d", o.clients, most)
	case o.kills < 0:
		return o, fmt.Errorf("--kills %d: 0 or more", o.kills)
	case o.commits < 1:
		return o, fmt.Errorf("--commits %d: at least 1", o.commits)
	}
	for o.seed == 0 {
		o.seed = rand.Uint64()
	}
	return o, nil
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, usage)
		return exitOK
	}
	if err != nil {
		fmt.Fprintf(stderr, "soak: %v; see scripts/soak --help\n", err)
		return exitUsage
	}
	if o.list {
		w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
		for _, a := range soak.Attacks() {
			fmt.Fprintf(w, "%s\t%s\n", a.Name, a.Does)
		}
		w.Flush()
		return exitOK
	}
	r, err := o.soak(ctx, stderr)
	if o.json {
		_ = json.NewEncoder(stdout).Encode(r)
	} else {
		r.print(stdout)
	}
	switch {
	case err != nil:
		fmt.Fprintf(stderr, "soak: %v\n", err)
		return exitBroken
	case len(r.failures()) > 0:
		return exitFailed
	}
	return exitOK
}

// results are those of the parts that were asked for.
type results struct {
	Attacks    *soak.Report          `json:"attacks,omitempty"`
	Kills      *soak.KillReport      `json:"kills,omitempty"`
	Transports *soak.TransportReport `json:"transports,omitempty"`
	PowerCuts  *soak.CutReport       `json:"power_cuts,omitempty"`
}

func (r *results) failures() []string {
	var all []string
	if r.Attacks != nil {
		all = append(all, r.Attacks.Failures...)
	}
	if r.Kills != nil {
		all = append(all, r.Kills.Failures...)
	}
	if r.Transports != nil {
		all = append(all, r.Transports.Failures...)
	}
	if r.PowerCuts != nil {
		all = append(all, r.PowerCuts.Failures...)
	}
	return all
}

// soak runs the parts. The error is of those that could not be made.
func (o *options) soak(ctx context.Context, stderr io.Writer) (*results, error) {
	fmt.Fprintf(stderr, "soak: --seed %d\n", o.seed)
	var mu sync.Mutex
	say := func(part string) func(string, ...any) {
		begin := time.Now()
		return func(format string, a ...any) {
			mu.Lock()
			defer mu.Unlock()
			fmt.Fprintf(stderr, "%s %s: %s\n", time.Since(begin).Round(time.Second), part, fmt.Sprintf(format, a...))
		}
	}
	var r results
	var errAttacks, errKills, errTransports, errCuts error
	var both sync.WaitGroup
	if o.parts["attacks"] {
		both.Go(func() {
			var report soak.Report
			report, errAttacks = soak.Run(ctx, soak.Plan{
				Program: o.attacked, Time: o.time, Clients: o.clients, Seed: o.seed,
				Bout: time.Second, AtOnce: 4, Say: say("attacks"),
			})
			r.Attacks = &report
		})
	}
	if o.parts["kills"] {
		both.Go(func() {
			var report soak.KillReport
			report, errKills = soak.Kill(ctx, soak.KillPlan{Program: o.shipped, Time: o.time, Kills: o.kills, Seed: o.seed, Say: say("kills")})
			r.Kills = &report
		})
	}
	both.Wait()
	if o.parts["transports"] && ctx.Err() == nil {
		var report soak.TransportReport
		report, errTransports = soak.Transports(ctx, soak.TransportPlan{Program: o.attacked, Time: o.time, Clients: o.clients, Seed: o.seed, Say: say("transports")})
		r.Transports = &report
	}
	if o.parts["power-cuts"] && ctx.Err() == nil {
		var report soak.CutReport
		report, errCuts = soak.CutPower(ctx, soak.CutPlan{Program: o.shipped, Commits: o.commits, AtOnce: 2, Say: say("power-cuts")})
		r.PowerCuts = &report
	}
	return &r, errors.Join(errAttacks, errKills, errTransports, errCuts, ctx.Err())
}

func (r *results) print(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if a := r.Attacks; a != nil {
		fmt.Fprintf(w, "seed\t%d\n", a.Seed)
		fmt.Fprintf(w, "time\t%.0f s\n", a.Seconds)
		fmt.Fprintf(w, "clients\t%d\n", a.Clients)
		fmt.Fprintf(w, "commands\t%d\n", a.Commands)
		fmt.Fprintf(w, "answered within\tp50 %s, p99 %s, all %s\n", ms(a.P50), ms(a.P99), ms(a.Max))
		fmt.Fprintf(w, "writes\t%d acknowledged, %d lost\n", a.Acknowledged, a.Lost)
		fmt.Fprintf(w, "sent again\t%d after TPM_RC_NV_UNAVAILABLE, %d after TPM_RC_CANCELED\n", a.Refused, a.Canceled)
		fmt.Fprintf(w, "attacks\t%d of %d kinds in %d rounds\n", a.Attacked(), len(a.Attacks), a.Rounds)
		for _, kind := range a.Attacks {
			fmt.Fprintf(w, "  %s\t%d times, %d blows\n", kind.Name, kind.Bouts, kind.Blows)
		}
		fmt.Fprintf(w, "log\t%d lines lost, because nobody reads it\n", a.LogLost)
		fmt.Fprintf(w, "memory\t%d KiB before, %d after the first round, %d after the last, at most %d between\n", a.Before.RSS, a.First.RSS, a.Last.RSS, a.Most)
		fmt.Fprintf(w, "descriptors\t%d before, %d after the last round\n", a.Before.Descriptors, a.Last.Descriptors)
		fmt.Fprintf(w, "threads\t%d before, %d after the first round, %d after the last\n", a.Before.Threads, a.First.Threads, a.Last.Threads)
		fmt.Fprintf(w, "goroutines\t%d never attacked, %d after the last round\n", a.GoroutinesBefore, a.Goroutines)
		fmt.Fprintf(w, "SIGTERM\tended in %s, with nobody reading its log\n", ms(a.Ended))
	}
	if k := r.Kills; k != nil {
		fmt.Fprintf(w, "kills\t%d in %.0f s, seed %d\n", k.Kills, k.Seconds, k.Seed)
		fmt.Fprintf(w, "writes before kills\t%d acknowledged, %d lost; %d were there without an answer\n", k.Acknowledged, k.Lost, k.Unanswered)
		for _, r := range k.Records {
			fmt.Fprintf(w, "  %s\t%d acknowledged, %d lost; %d were there without an answer\n", r.Name, r.Acknowledged, r.Lost, r.Unanswered)
		}
	}
	if t := r.Transports; t != nil {
		printTransports(w, t)
	}
	if p := r.PowerCuts; p != nil {
		fmt.Fprintf(w, "power cuts\tat %d points of %d commits, %d images, %d of them distinct, %d lost\n", p.Points, p.Commits, p.Images, p.Distinct, p.Lost)
	}
	w.Flush()
	for _, failure := range r.failures() {
		fmt.Fprintf(out, "FAILED: %s\n", failure)
	}
}

func printTransports(w io.Writer, t *soak.TransportReport) {
	fmt.Fprintf(w, "transports\t%d clients, %.0f s, seed %d\n", t.Clients, t.Seconds, t.Seed)
	for _, r := range t.Transports {
		fmt.Fprintf(w, "  %s\t%d clients, %d connections, %d commands; p50 %s, p99 %s, all %s; %d writes acknowledged, %d lost\n",
			r.Name, r.Clients, r.Connections, r.Commands, ms(r.P50), ms(r.P99), ms(r.Max), r.Acknowledged, r.Lost)
	}
	for _, s := range t.Servers {
		fmt.Fprintf(w, "  %s\t%d, %d, %d KiB; %d, %d, %d descriptors; %d, %d, %d threads; before, after half of the time, after all; goroutines %d at rest, %d after all\n",
			s.Name, s.Before.RSS, s.Middle.RSS, s.Last.RSS, s.Before.Descriptors, s.Middle.Descriptors, s.Last.Descriptors,
			s.Before.Threads, s.Middle.Threads, s.Last.Threads, s.GoroutinesBefore, s.Goroutines)
	}
}

// ms writes a time in milliseconds.
func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", d.Seconds()*1000) }
