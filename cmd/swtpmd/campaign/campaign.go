// Package campaign is the subcommands campaign and shrink: a command run under many fault
// plans drawn from seeds, and a failing plan made small.
package campaign

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/campaign"
)

const help = `Usage: swtpmd campaign [flags] -- COMMAND [ARG]...
       swtpmd campaign --boot=PLATFORM [flags]
       swtpmd campaign merge [flags] FILE...   one report of several shards

Runs a command, or a simulated boot, under many fault plans, each drawn from a seed, and reports which
fault for which TPM command led to which outcome. Each run has a TPM of its own,
started up, and finds it by TPM2TOOLS_TCTI and its like (docs/campaigns.md). A
first run without any drawn fault must be good; plans are drawn for the commands
that the TPM gets in it.

The plans:
  --seeds=A..B           the seeds (default 1..100); N is 1..N
  --campaign-seed=N      another campaign has other plans for them (default 1)
  --rules=N              the most rules of a plan (default 4)
  --kinds=W,W            kinds of faults by their words, such as rc,hold (default all
                         that stay in the protocol)
  --commands=C,C         TPM commands that rules are for, such as PCR_Extend (default
                         those of the first run)
  --fault=RULE, --plan=FILE
                         rules that every run has besides, before its own; may be repeated
  --dangerous            faults that leave the protocol too (docs/faults.md)

The runs:
  --parallel=N           at a time (default the number of processors)
  --limit=DURATION       the longest a run may take (default 30s); then it is killed
  --ok=CODES             exit codes that are good (default 0), such as 0,1
  --no-startup           the TPM has power, and no TPM2_Startup
  --guest                the command runs a QEMU guest, which switches the TPM on by
                         $SWTPMD_CONTROL and writes its console to $SWTPMD_CONSOLE, a
                         file; rules may be for a part of its boot (docs/campaigns.md)
  --profile=P            the kind of TPM, as swtpmd --help has it
  --results=FILE         keep the results there as they come, a JSON object a line
  --resume               go on with a campaign whose results are there
  --quiet                no progress on stderr

A simulated boot in place of a command:
  --boot=PLATFORM        one of those that swtpmd boot --platforms names, or a file. The
                         machine is the same in each run, and rules may be for a part of
                         the boot
  --strategy=S, --attack=A, --kernel=RELEASE, --policy=TEXT
                         as swtpmd boot --help has them
  --ok=ENDS              ends that are good: measured, not-extended, bypass, field-failure,
                         failed, never-started, panic, endless (default: as without any
                         drawn fault)

A part of a campaign:
  --shard=I/N            the I-th of N parts of the seeds; 1/1 is the whole. Without it a
                         Slurm array, and with the number also a Kubernetes Indexed Job
                         and GNU parallel, tell which part this is
  --shards=N             their number (default $SWTPMD_SHARDS, or what Slurm says)

The report, on stdout and in files:
  --json                 as a JSON object
  --junit=FILE           as JUnit's XML, a test case a run
  --html=FILE            as one self-contained page, with pictures

Outcomes of a run: ok; failed, with another exit code; crashed, by a signal;
timed-out. Those of a boot are its ends. The report of the same results is the same, byte for byte.

Examples:
  swtpmd campaign -- ./test.sh
  swtpmd campaign --seeds=1..1000 --kinds=rc --limit=10s --ok=0,1 -- tpm2_getrandom 8
  swtpmd campaign --seeds=5000 --results=all.jsonl --resume --html=all.html -- ./test.sh
  swtpmd campaign --boot=powervm --seeds=2000 --html=powervm.html
  swtpmd campaign --shard=1/2 --results=a.jsonl -- ./test.sh
  swtpmd campaign --shard=2/2 --results=b.jsonl -- ./test.sh
  swtpmd campaign merge --junit=all.xml a.jsonl b.jsonl

Exit codes: 0 every run is good; 1 the campaign failed; 2 usage; 3 a run is not good.
`

// ExitFindings is the exit code of a campaign with a run that is not good.
const ExitFindings = 3

// Command is the subcommand campaign.
var Command = cli.Command{Name: "campaign", Help: help, Args: cli.ArgsAfterFlags, New: func(f *flag.FlagSet) cli.Run {
	w := new(words)
	w.define(f)
	return w.run
}}

// words is the command line of swtpmd campaign.
type words struct {
	subject
	output
	faults                  cli.Faults
	seeds, kinds, commands  string
	shard, results          string
	seed                    uint64
	rules, parallel, shards int
	resume, quiet           bool
	admit                   func() // has faults admit the dangerous ones
}

func (w *words) define(f *flag.FlagSet) {
	w.subject.define(f)
	w.output.define(f)
	f.StringVar(&w.seeds, "seeds", "1..100", "")
	f.Uint64Var(&w.seed, "campaign-seed", 1, "")
	f.IntVar(&w.rules, "rules", campaign.DefaultRules, "")
	f.StringVar(&w.kinds, "kinds", "", "")
	f.StringVar(&w.commands, "commands", "", "")
	own := flag.NewFlagSet("", flag.ContinueOnError)
	w.faults.Define(own)
	for _, name := range []string{"fault", "plan"} {
		f.Func(name, "", func(text string) error { return own.Set(name, text) })
	}
	w.admit = func() { _ = own.Set("dangerous", "true") }
	f.IntVar(&w.parallel, "parallel", runtime.NumCPU(), "")
	f.StringVar(&w.shard, "shard", "", "")
	f.IntVar(&w.shards, "shards", 0, "")
	f.StringVar(&w.results, "results", "", "")
	f.BoolVar(&w.resume, "resume", false, "")
	f.BoolVar(&w.quiet, "quiet", false, "")
}

func (w *words) run(ctx context.Context, args []string, s cli.Streams) error {
	if len(args) > 0 && args[0] == "merge" {
		return w.merge(args[1:], s)
	}
	header, draw, err := w.prepare(ctx, args)
	if err != nil {
		return err
	}
	var file *resultsFile
	var before *campaign.Campaign
	if w.results != "" {
		if file, before, err = openResults(w.results, w.resume); err != nil {
			return err
		}
	}
	all, err := w.runs(ctx, header, draw, file, before, s.Err)
	if closed := file.close(); err == nil && closed != nil {
		err = fmt.Errorf("--results: %w", closed)
	}
	if err != nil {
		return err
	}
	return w.report(all, s.Out)
}

// prepare returns what the campaign is, as far as the command line tells.
func (w *words) prepare(ctx context.Context, args []string) (*campaign.Header, *campaign.Draw, error) {
	if err := w.subject.prepare(ctx, args); err != nil {
		return nil, nil, err
	}
	switch {
	case w.parallel < 1:
		return nil, nil, cli.Usage(fmt.Errorf("--parallel=%d runs nothing", w.parallel), "1 is one run at a time")
	case w.rules < 1:
		return nil, nil, cli.Usage(fmt.Errorf("--rules=%d leaves no fault", w.rules), "1 is the least")
	case w.resume && w.results == "":
		return nil, nil, cli.Usage(errors.New("--resume without the results to go on with"), "add --results=FILE")
	}
	h := &campaign.Header{
		Version: campaign.Version, Seed: w.seed, Subject: w.words, Rules: w.rules, Kinds: split(w.kinds),
		Dangerous: w.dangerous, Good: w.outcomes, Options: w.options(), Levels: w.boots.Given() || w.guest, Virtual: w.boots.Given(),
	}
	given, err := w.given()
	if err != nil {
		return nil, nil, err
	}
	h.Given = given.Text()
	if h.First, h.Last, err = parseSeeds(w.seeds); err != nil {
		return nil, nil, err
	}
	if h.Targets, err = parseCommands(w.commands); err != nil {
		return nil, nil, err
	}
	if h.Shard, err = w.part(); err != nil {
		return nil, nil, cli.Usage(err, "")
	}
	if err := h.Validate(); err != nil {
		return nil, nil, cli.Usage(err, "")
	}
	draw := &campaign.Draw{Seed: h.Seed, Rules: h.Rules, Kinds: h.Kinds, Targets: h.Targets, Levels: h.Levels, Virtual: h.Virtual, Given: given}
	if _, err := draw.Plan(h.First); err != nil {
		return nil, nil, cli.Usage(err, "")
	}
	return h, draw, nil
}

// given returns the plan that every run has. The error is a *cli.UsageError.
func (w *words) given() (faults.Plan, error) {
	if w.dangerous {
		w.admit()
	}
	if err := w.faults.Check(nil, func() uint64 { return 0 }); err != nil {
		return faults.Plan{}, err
	}
	return w.faults.Plan(), nil
}

// part is the part of the campaign that this process runs.
func (w *words) part() (campaign.Shard, error) {
	if w.shard != "" {
		return campaign.ParseShard(w.shard)
	}
	return campaign.ShardOf(os.Getenv, w.shards)
}

func split(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, ",")
}

// parseSeeds reads A..B, or N for 1..N.
func parseSeeds(text string) (first, last uint64, err error) {
	a, b, isRange := strings.Cut(text, "..")
	if !isRange {
		a, b = "1", text
	}
	var err2 error
	first, err = strconv.ParseUint(a, 10, 64)
	last, err2 = strconv.ParseUint(b, 10, 64)
	if err != nil || err2 != nil {
		return 0, 0, cli.Usage(fmt.Errorf("--seeds=%s is no range of seeds", text), "such as 1..1000")
	}
	return first, last, nil
}

// runs runs what has no result yet, and returns all results.
func (w *words) runs(ctx context.Context, h *campaign.Header, draw *campaign.Draw, file *resultsFile, before *campaign.Campaign, talk io.Writer) (*campaign.Campaign, error) {
	runner, done, err := w.repeat()
	if err != nil {
		return nil, err
	}
	defer done()
	if before != nil {
		h.Good = before.Header.Good
		if len(h.Targets) == 0 {
			h.Targets = before.Header.Targets
		}
	} else {
		targets, err := w.baseline(ctx, runner, draw.Given)
		if err != nil {
			return nil, err
		}
		h.Good = w.outcomes
		if len(h.Targets) == 0 {
			h.Targets = targets
		}
	}
	draw.Targets = h.Targets
	all := &campaign.Campaign{Header: *h}
	switch {
	case before == nil:
		err = file.write(h)
	case before.Header.Shard != h.Shard:
		err = cli.Usage(fmt.Errorf("--results: %s is shard %q, and this is %q", w.results, before.Header.Shard, h.Shard), "name another file")
	default:
		all.Results = before.Results
		if err := before.Header.Same(h); err != nil {
			return nil, cli.Usage(fmt.Errorf("--resume: %s: %w", w.results, err), "give the flags and the command of that campaign, or name another file")
		}
	}
	if err != nil {
		return nil, err
	}
	return all, w.rest(ctx, all, draw, runner, file, talk)
}

// rest runs the seeds that have no result.
func (w *words) rest(ctx context.Context, all *campaign.Campaign, draw *campaign.Draw, runner runner, file *resultsFile, talk io.Writer) error {
	had := make(map[uint64]bool, len(all.Results))
	for i := range all.Results {
		had[all.Results[i].Seed] = true
	}
	var seeds []uint64
	for _, seed := range all.Header.Seeds() {
		if !had[seed] {
			seeds = append(seeds, seed)
		}
	}
	if w.quiet {
		talk = io.Discard
	}
	p := newProgress(talk, &all.Header, len(seeds))
	err := campaign.Run(ctx, seeds, draw, func(ctx context.Context, seed uint64, plan faults.Plan) (campaign.Result, error) {
		return runner.run(ctx, seed, plan, nil)
	}, campaign.Options{Parallel: w.parallel, Done: func(r *campaign.Result) error {
		if err := file.write(r); err != nil {
			return fmt.Errorf("--results: %w", err)
		}
		all.Results = append(all.Results, *r)
		p.add(r)
		return nil
	}})
	p.end()
	all.Sort()
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("interrupted after %d of %d runs", len(all.Results), len(all.Header.Seeds()))
		if w.results != "" {
			err = fmt.Errorf("%w; --resume goes on with them", err)
		}
	}
	return err
}

// progress tells on stderr how far a campaign is.
type progress struct {
	out         io.Writer
	header      *campaign.Header
	runs, of    int
	bad         int
	start, told time.Time
}

// talkTime is the time between two lines of progress, maxTold how many findings are told
// as they come.
const (
	talkTime = 2 * time.Second
	maxTold  = 10
)

func newProgress(out io.Writer, h *campaign.Header, of int) *progress {
	return &progress{out: out, header: h, of: of, start: time.Now(), told: time.Now()}
}

// add tells of a result. It is called by one goroutine at a time.
func (p *progress) add(r *campaign.Result) {
	p.runs++
	if !p.header.IsGood(r.Outcome) {
		p.bad++
		if p.bad <= maxTold {
			fmt.Fprintf(p.out, "seed %d: %s, %s\n", r.Seed, r.Outcome, r.Detail)
		}
	}
	if time.Since(p.told) >= talkTime {
		p.told = time.Now()
		p.tell()
	}
}

func (p *progress) tell() {
	rate := float64(p.runs) / max(time.Since(p.start).Seconds(), 1e-3)
	fmt.Fprintf(p.out, "%d of %d runs, %d not good, %.0f a second\n", p.runs, p.of, p.bad, rate)
}

// end tells of all.
func (p *progress) end() { p.tell() }
