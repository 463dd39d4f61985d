package campaign

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/campaign"
)

const shrinkHelp = `Usage: swtpmd shrink [flags] PLAN -- COMMAND [ARG]...
       swtpmd shrink [flags] --result=FILE --seed=N [-- COMMAND [ARG]...]

Makes a fault plan with which a command fails smaller: first it leaves out rules
that do not matter, then words of rules, and of several occurrences that a rule
decides about it keeps one. The smallest plan that still fails goes to stdout.
Each run has a TPM of its own, as in swtpmd campaign; the command tells by its
exit code whether it fails. What is looked for is the outcome of the first run:
failed, crashed or timed-out.

  --result=FILE          results of a campaign, with the plan and the command
  --seed=N               the run in it; without it the TPM's seed (default 1)
  --max-runs=N           run the command so often at most (default 500)
  --limit=DURATION, --ok=CODES, --no-startup, --guest, --profile=P, --dangerous,
  --boot=PLATFORM and what goes with it
                         as swtpmd campaign has them; with --result they are those of
                         the campaign
  --quiet                no progress on stderr

Examples:
  swtpmd shrink failing.plan -- ./test.sh
  swtpmd campaign --results=all.jsonl -- ./test.sh
  swtpmd shrink --result=all.jsonl --seed=17 >small.plan

The smallest plan is run three times more, since a command that fails now and then
shrinks to rules that do not matter.

Exit codes: 0 the plan on stdout fails; 1 it does not fail, or not each time, or a run failed to start;
2 usage; 3 the plan on stdout fails, and --max-runs ended the search for a smaller one.
`

// ExitCut is the exit code of a search that was ended.
const ExitCut = 3

// Shrink is the subcommand shrink.
var Shrink = cli.Command{Name: "shrink", Help: shrinkHelp, Args: cli.ArgsAfterFlags, New: func(f *flag.FlagSet) cli.Run {
	w := new(shrinkWords)
	w.define(f)
	return w.run
}}

// shrinkWords is the command line of swtpmd shrink.
type shrinkWords struct {
	subject
	result  string
	seed    uint64
	maxRuns int
	quiet   bool
}

func (w *shrinkWords) define(f *flag.FlagSet) {
	w.subject.define(f)
	f.StringVar(&w.result, "result", "", "")
	f.Uint64Var(&w.seed, "seed", 1, "")
	f.IntVar(&w.maxRuns, "max-runs", campaign.DefaultShrinkRuns, "")
	f.BoolVar(&w.quiet, "quiet", false, "")
}

func (w *shrinkWords) run(ctx context.Context, args []string, s cli.Streams) error {
	if w.maxRuns < 1 {
		return cli.Usage(fmt.Errorf("--max-runs=%d runs nothing", w.maxRuns), "1 is the least")
	}
	prepare := w.fromPlan
	if w.result != "" {
		prepare = w.fromResult
	}
	plan, err := prepare(ctx, args)
	if err != nil {
		return err
	}
	talk := s.Err
	if w.quiet {
		talk = io.Discard
	}
	smallest, cut, err := w.shrink(ctx, plan, talk)
	var flaky *flakyError
	if err != nil && !errors.As(err, &flaky) {
		return err
	}
	if _, err := io.WriteString(s.Out, smallest.Text()); err != nil {
		return err
	}
	if flaky != nil {
		return flaky
	}
	if cut {
		return &cli.ExitError{Code: ExitCut}
	}
	return nil
}

// fromPlan takes a plan's file and a command.
func (w *shrinkWords) fromPlan(ctx context.Context, args []string) (faults.Plan, error) {
	var plan faults.Plan
	if len(args) == 1 && w.boots.Given() {
		args = append(args, "--")
	}
	if len(args) < 2 || args[1] != "--" {
		return plan, cli.Usage(errors.New("a plan and a command are needed"), "as in: swtpmd shrink failing.plan -- ./test.sh")
	}
	text, err := os.ReadFile(args[0])
	if err != nil {
		return plan, err
	}
	if err := w.subject.prepare(ctx, args[2:]); err != nil {
		return plan, err
	}
	return faults.ParsePlan(args[0], text, w.bare())
}

// fromResult takes the plan and the command of a campaign's run.
func (w *shrinkWords) fromResult(ctx context.Context, args []string) (plan faults.Plan, err error) {
	c, _, err := readResults(w.result)
	switch {
	case err != nil:
		return plan, err
	case c == nil:
		return plan, fmt.Errorf("--result: %s: there are no results", w.result)
	}
	result := c.Result(w.seed)
	if result == nil {
		return plan, cli.Usage(fmt.Errorf("--seed=%d: %s has no such run", w.seed, w.result), "name one that it has")
	}
	if err := w.flags.Parse(c.Header.Options); err != nil {
		return plan, fmt.Errorf("--result: %s: its options: %w", w.result, err)
	}
	if len(args) == 0 && !w.boots.Given() {
		args = c.Header.Subject
	}
	if err := w.subject.prepare(ctx, args); err != nil {
		return plan, err
	}
	w.outcomes = c.Header.Good
	return campaign.PlanOf(result, w.bare())
}

// shrink looks for the smallest plan that fails in the same way.
func (w *shrinkWords) shrink(ctx context.Context, plan faults.Plan, talk io.Writer) (smallest faults.Plan, cut bool, err error) {
	runner, done, err := w.repeat()
	if err != nil {
		return plan, false, err
	}
	defer done()
	if len(w.outcomes) == 0 {
		if _, err := w.baseline(ctx, runner, w.bare()); err != nil {
			return plan, false, err
		}
	}
	var wanted campaign.Outcome
	search := campaign.Shrink{MaxRuns: w.maxRuns}
	search.Run = func(ctx context.Context, plan faults.Plan) (campaign.Trial, error) {
		result, err := runner.run(ctx, w.seed, plan, nil)
		if wanted == "" {
			wanted = result.Outcome
			fmt.Fprintf(talk, "%d rules: %s, %s\n", len(plan.Rules), result.Outcome, result.Detail)
		}
		return campaign.Trial{Fails: result.Outcome == wanted && !slices.Contains(w.outcomes, wanted), Fired: result.Fired}, err
	}
	search.Progress = func(runs int, plan *faults.Plan, trial campaign.Trial) {
		fmt.Fprintf(talk, "run %d, %s: %s\n", runs, cli.Plural(len(plan.Rules), "rule", "rules"), trial)
	}
	smallest, runs, cut, err := search.Plan(ctx, plan)
	if err == nil {
		err = steady(ctx, search.Run, smallest)
		fmt.Fprintf(talk, "%s of %d left after %s\n", cli.Plural(len(smallest.Rules), "rule", "rules"), len(plan.Rules), cli.Plural(runs, "run", "runs"))
	}
	return smallest, cut, err
}

// repeats is how often the smallest plan is run again.
const repeats = 3

// flakyError reports that the same plan does not fail each time.
type flakyError struct{ failed int }

func (e *flakyError) Error() string {
	return fmt.Sprintf("the plan on stdout failed in %d of %d more runs: the command does not do the same each time, and other rules may matter; have it fail for one reason alone", e.failed, repeats)
}

// steady runs a plan again. The error is a *flakyError if it does not fail each time.
func steady(ctx context.Context, run func(context.Context, faults.Plan) (campaign.Trial, error), plan faults.Plan) error {
	failed := 0
	for range repeats {
		trial, err := run(ctx, plan)
		if err != nil {
			return err
		}
		if trial.Fails {
			failed++
		}
	}
	if failed < repeats {
		return &flakyError{failed}
	}
	return nil
}
