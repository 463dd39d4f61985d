package campaign

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/simulate"
	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/campaign"
	"github.com/swtpmd/swtpmd/faults/initcall"
)

// subject is the command that is run again and again, as the command line has it.
type subject struct {
	limit     time.Duration
	good      string
	noStartup bool
	guest     bool
	boots     simulate.Repeated
	profile   cli.Profile
	kind      string // value of --profile
	dangerous bool

	flags *flag.FlagSet // that the fields are bound to
	words []string      // of the command
	codes []int         // exit codes that are good
	// outcomes are the good ones, empty if the first run tells.
	outcomes []campaign.Outcome
}

// The flags that define defines: those of both subjects, of a command and of a simulated
// boot.
var (
	bothFlags    = []string{"ok", "profile", "dangerous"}
	commandFlags = []string{"limit", "no-startup", "guest"}
	bootFlags    = simulate.RepeatedFlags
)

func (w *subject) define(f *flag.FlagSet) {
	w.flags = f
	f.DurationVar(&w.limit, "limit", 30*time.Second, "")
	f.StringVar(&w.good, "ok", "", "")
	f.BoolVar(&w.noStartup, "no-startup", false, "")
	f.BoolVar(&w.guest, "guest", false, "")
	own := flag.NewFlagSet("", flag.ContinueOnError)
	w.profile.Define(own)
	f.Func("profile", "", func(text string) error {
		w.kind = text
		return own.Set("profile", text)
	})
	f.BoolVar(&w.dangerous, "dangerous", false, "")
	w.boots.Define(f)
}

// givenOf returns those of some flags that the command line has.
func (w *subject) givenOf(names []string) (list []string) {
	w.flags.Visit(func(f *flag.Flag) {
		if slices.Contains(names, f.Name) {
			list = append(list, f.Name)
		}
	})
	return list
}

// options returns the flags of the subject that the command line has, as it has them.
func (w *subject) options() (list []string) {
	for _, name := range w.givenOf(slices.Concat(bothFlags, commandFlags, bootFlags)) {
		list = append(list, "--"+name+"="+w.text(w.flags.Lookup(name)))
	}
	return list
}

// text returns the value of a flag as it was given.
func (w *subject) text(f *flag.Flag) string {
	if f.Name == "profile" {
		return w.kind
	}
	return f.Value.String()
}

// prepare takes the words of the command and checks all. The error is a *cli.UsageError.
func (w *subject) prepare(ctx context.Context, words []string) error {
	if w.boots.Given() {
		return w.prepareBoot(ctx, words)
	}
	if given := w.givenOf(bootFlags); len(given) > 0 {
		return cli.Usage(fmt.Errorf("--%s without a simulated boot", given[0]), "add --boot=PLATFORM")
	}
	w.words, w.outcomes = words, []campaign.Outcome{campaign.OK}
	if w.limit <= 0 {
		return cli.Usage(fmt.Errorf("--limit=%s is not a time for a run", w.limit), "such as 30s")
	}
	if len(words) == 0 {
		return cli.Usage(errors.New("no command is named"), "put it after the flags and --, as in: swtpmd campaign -- ./test.sh")
	}
	if _, err := exec.LookPath(words[0]); err != nil {
		return cli.Usage(err, "the command after -- must be a program that can be run")
	}
	w.codes = []int{0}
	if w.good == "" {
		return nil
	}
	w.codes = nil
	for text := range strings.SplitSeq(w.good, ",") {
		code, err := strconv.ParseUint(text, 10, 8)
		if err != nil {
			return cli.Usage(fmt.Errorf("--ok: %q is no exit code", text), "such as --ok=0,1")
		}
		w.codes = append(w.codes, int(code))
	}
	return nil
}

// repeat returns what runs the subject. done removes what the runs have left.
func (w *subject) repeat() (r runner, done func(), err error) {
	if w.boots.Given() {
		return &bootRunner{&w.boots}, moreGarbage(), nil
	}
	dir, err := runDirectory()
	if err != nil {
		return nil, nil, err
	}
	return &commandRunner{subject: w, dir: dir, selfTests: new(crypt.SelfTests)}, func() { _ = os.RemoveAll(dir) }, nil
}

// runner runs the subject once. Where sent is not nil it counts the commands for the TPM.
type runner interface {
	run(ctx context.Context, seed uint64, plan faults.Plan, sent *sentCommands) (campaign.Result, error)
}

// baselineError says what came of a run without any drawn fault.
type baselineError struct {
	result campaign.Result
}

func (e *baselineError) Error() string {
	text := "without any drawn fault the run is not good: " + string(e.result.Outcome)
	if e.result.Detail != "" {
		text += ", " + e.result.Detail
	}
	text += "; a campaign begins with a run that is (--ok tells which are)"
	if e.result.Output != "" {
		text += "\n" + e.result.Output
	}
	return text
}

// baseline runs the subject under the given plan alone, and returns the commands that the
// TPM got. A boot without --ok is good if it ends as this one does. The error is a
// *baselineError for a run that is not good.
func (w *subject) baseline(ctx context.Context, r runner, given faults.Plan) ([]campaign.Target, error) {
	sent := new(sentCommands)
	result, err := r.run(ctx, 0, given, sent)
	if len(w.outcomes) == 0 {
		w.outcomes = []campaign.Outcome{result.Outcome}
	}
	switch {
	case err != nil:
		return nil, err
	case !slices.Contains(w.outcomes, result.Outcome):
		return nil, &baselineError{result}
	}
	targets := sent.targets()
	if len(targets) == 0 {
		return nil, errors.New("without any drawn fault the run sends the TPM no command: no fault can matter to it")
	}
	return targets, nil
}

// parseCommands reads TPM commands with commas between them.
func parseCommands(text string) (list []campaign.Target, err error) {
	if text == "" {
		return nil, nil
	}
	seen := make(map[wire.CC]bool)
	for name := range strings.SplitSeq(text, ",") {
		code, err := campaign.ParseCommand(name)
		if err != nil {
			return nil, cli.Usage(fmt.Errorf("--commands: %w", err), "")
		}
		if !seen[code] {
			list = append(list, campaign.Target{Code: code})
		}
		seen[code] = true
	}
	return list, nil
}

// bare returns a plan without rules.
func (w *subject) bare() faults.Plan {
	return faults.Plan{Clock: new(initcall.Clock), Dangerous: w.dangerous}
}
