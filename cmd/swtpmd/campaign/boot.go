package campaign

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/simulate"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/campaign"
	"github.com/swtpmd/swtpmd/ima/boot"
)

// The outcomes of a boot besides its endings.
const (
	// notExtended: IMA has a TPM, and not all of its list is in the PCR.
	notExtended campaign.Outcome = "not-extended"
	// endless: the boot came to no end.
	endless campaign.Outcome = "endless"
)

// ends are the outcomes of a boot.
var ends = []campaign.Outcome{
	campaign.Outcome(boot.EndMeasured), notExtended, campaign.Outcome(boot.EndBypass), campaign.Outcome(boot.EndFieldFailure),
	campaign.Outcome(boot.EndStartFailed), campaign.Outcome(boot.EndNeverStarted), campaign.Outcome(boot.EndPanic), endless,
}

// prepareBoot makes the machine that is booted. The error is a *cli.UsageError.
func (w *subject) prepareBoot(ctx context.Context, words []string) error {
	if len(words) > 0 {
		return cli.Usage(fmt.Errorf("--boot and the command %q: one of them is run", words[0]), "")
	}
	if given := w.givenOf(commandFlags); len(given) > 0 {
		return cli.Usage(fmt.Errorf("--%s is for a command, and --boot is given", given[0]), "")
	}
	w.words = append([]string{"swtpmd", "boot"}, w.options()...)
	w.outcomes = nil
	for _, text := range split(w.good) {
		end := campaign.Outcome(text)
		if !slices.Contains(ends, end) {
			var names []string
			for _, end := range ends {
				names = append(names, string(end))
			}
			return cli.Usage(fmt.Errorf("--ok: no boot ends as %q", text), "the ends are "+strings.Join(names, ", "))
		}
		w.outcomes = append(w.outcomes, end)
	}
	return w.boots.Prepare(ctx, w.profile)
}

// moreGarbage has the garbage of many short boots collected less often, until restore is
// called. A value of GOGC is the user's.
func moreGarbage() (restore func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	before := debug.SetGCPercent(400)
	return func() { debug.SetGCPercent(before) }
}

// bootRunner boots a simulated machine.
type bootRunner struct{ machine *simulate.Repeated }

// run is runner.run. The machine does not depend on the seed.
func (r *bootRunner) run(ctx context.Context, _ uint64, plan faults.Plan, sent *sentCommands) (result campaign.Result, err error) {
	var record campaign.Record
	plan.Journal = record.Add
	var count func([]byte)
	if sent != nil {
		count = sent.add
	}
	start := time.Now()
	booted, err := r.machine.Boot(ctx, plan, count)
	result.Took = time.Since(start)
	record.Into(&result)
	var limit *boot.LimitError
	switch {
	case errors.As(err, &limit):
		result.Outcome, result.Detail = endless, limit.Error()
		return result, nil
	case err != nil:
		return result, err
	}
	s := &booted.Summary
	result.Outcome = campaign.Outcome(s.Ending())
	if s.Ending() == boot.EndMeasured && s.Unextended > 0 {
		result.Outcome = notExtended
	}
	result.Detail = measured(s)
	return result, nil
}

// measured says what the measurement list lacks.
func measured(s *boot.Summary) string {
	text := "all records extended"
	if s.Unextended > 0 {
		text = fmt.Sprintf("%d of %d records not extended", s.Unextended, s.Kept)
	}
	if s.Lost > 0 {
		text += ", " + cli.Plural(s.Lost, "use of a file", "uses of files") + " lost"
	}
	return text
}
