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
	profile   cli.Profile
	kind      string // value of --profile
	dangerous bool

	flags *flag.FlagSet // that the fields are bound to
	words []string      // of the command
	codes []int         // exit codes that are good
}

// subjectFlags are those that define defines.
var subjectFlags = []string{"limit", "ok", "no-startup", "profile", "dangerous"}

func (w *subject) define(f *flag.FlagSet) {
	w.flags = f
	f.DurationVar(&w.limit, "limit", 30*time.Second, "")
	f.StringVar(&w.good, "ok", "", "")
	f.BoolVar(&w.noStartup, "no-startup", false, "")
	own := flag.NewFlagSet("", flag.ContinueOnError)
	w.profile.Define(own)
	f.Func("profile", "", func(text string) error {
		w.kind = text
		return own.Set("profile", text)
	})
	f.BoolVar(&w.dangerous, "dangerous", false, "")
}

// options returns the flags of the subject that the command line has, as it has them.
func (w *subject) options() (list []string) {
	w.flags.Visit(func(f *flag.Flag) {
		if slices.Contains(subjectFlags, f.Name) {
			list = append(list, "--"+f.Name+"="+w.text(f))
		}
	})
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
func (w *subject) prepare(words []string) error {
	w.words = words
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

// outcomes are the good ones.
func (w *subject) outcomes() []campaign.Outcome { return []campaign.Outcome{campaign.OK} }

// given returns the plan that every run has.
func (w *subject) given(file string) (faults.Plan, error) {
	plan := faults.Plan{Clock: new(initcall.Clock), Dangerous: w.dangerous}
	if file == "" {
		return plan, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return plan, cli.Usage(fmt.Errorf("--plan: %w", err), "")
	}
	if plan, err = faults.ParsePlan(file, text, plan); err != nil {
		return plan, cli.Usage(fmt.Errorf("--plan: %w", err), "")
	}
	return plan, nil
}

// runner runs the subject. done removes what the runs have left.
func (w *subject) runner() (r *commandRunner, done func(), err error) {
	dir, err := runDirectory()
	if err != nil {
		return nil, nil, err
	}
	r = &commandRunner{subject: w, dir: dir, selfTests: new(crypt.SelfTests)}
	return r, func() { _ = os.RemoveAll(dir) }, nil
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
// TPM got. The error is a *baselineError for a run that is not good.
func (w *subject) baseline(ctx context.Context, r *commandRunner, given faults.Plan) ([]campaign.Target, error) {
	sent := new(sentCommands)
	result, err := r.runCounted(ctx, 0, given, sent)
	switch {
	case err != nil:
		return nil, err
	case !slices.Contains(w.outcomes(), result.Outcome):
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
