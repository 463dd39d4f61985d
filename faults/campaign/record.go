package campaign

import (
	"slices"
	"strconv"
	"sync"

	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/faults"
)

// Bounds of what a result keeps of a run.
const (
	maxJournal     = 64
	maxOccurrences = 16
	maxFired       = 256
)

// Record collects the decisions of one run. The zero value is ready for use, by several
// goroutines.
type Record struct {
	mu        sync.Mutex
	fired     []Fired
	journal   []Decision
	decisions int
}

// Add takes a decision: it is a faults.Plan.Journal.
func (r *Record) Add(d faults.Decision) {
	if d.Outcome == faults.Held {
		return // one of the other outcomes follows
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.decisions++
	name := CommandName(d.Command)
	if len(r.journal) < maxJournal {
		r.journal = append(r.journal, Decision{
			Number: d.Number, Boot: d.Boot, Level: d.Level, Rule: d.Rule, Occurrence: d.Occurrence, Command: name,
			Locality: d.Locality, Outcome: d.Outcome, Code: d.Code, Detail: d.Detail,
		})
	}
	at := slices.IndexFunc(r.fired, func(f Fired) bool { return f.Rule == d.Rule })
	if at < 0 {
		if len(r.fired) == maxFired {
			return
		}
		at = len(r.fired)
		r.fired = append(r.fired, Fired{Rule: d.Rule, Fault: d.Fault, Command: name, Level: d.Level})
	}
	f := &r.fired[at]
	f.Times++
	if len(f.Occurrences) < maxOccurrences {
		f.Occurrences = append(f.Occurrences, d.Occurrence)
	}
}

// Into puts what was collected into a result.
func (r *Record) Into(result *Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	result.Fired, result.Journal, result.Decisions = slices.Clone(r.fired), slices.Clone(r.journal), r.decisions
}

// CommandError is a text that is no TPM command.
type CommandError struct {
	Text string
}

func (e *CommandError) Error() string {
	return strconv.Quote(e.Text) + " is no TPM command; write its name as Part 3 has it, such as PCR_Extend, or its code, such as 0x182"
}

// ParseCommand returns the command with a name, or a number. The error is a
// *CommandError.
func ParseCommand(text string) (wire.CC, error) {
	if code, ok := wire.CommandByName(text); ok {
		return code, nil
	}
	code, err := strconv.ParseUint(text, 0, 32)
	if err != nil {
		return 0, &CommandError{text}
	}
	return wire.CC(code), nil
}
