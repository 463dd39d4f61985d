package campaign

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
)

// Outcome is a class of what came of a run. That of a simulated boot is its ending
// (ima/boot: Ending).
type Outcome string

// The outcomes of a command.
const (
	OK       Outcome = "ok"        // it exited with a code that is good
	Failed   Outcome = "failed"    // it exited with another code
	Crashed  Outcome = "crashed"   // a signal ended it
	TimedOut Outcome = "timed-out" // it had not ended when its time was over
)

// Result is what came of a run.
type Result struct {
	// Seed is the run's, Plan the text of the plan that it was under.
	Seed    uint64  `json:"seed"`
	Plan    string  `json:"plan"`
	Outcome Outcome `json:"outcome"`
	// Detail tells more of the outcome in a few words, such as "exit code 1".
	Detail string `json:"detail,omitempty"`
	// Output is the end of what a command wrote.
	Output string `json:"output,omitempty"`
	// Fired are the rules that decided about a command, in the order in which they did so
	// first.
	Fired []Fired `json:"fired,omitempty"`
	// Journal are the first decisions, and Decisions is how many there were.
	Journal   []Decision `json:"journal,omitempty"`
	Decisions int        `json:"decisions,omitempty"`
	// Took is how long the run took. No report has it, because no two runs take as long.
	Took time.Duration `json:"took_ns"`
}

// Fired is a rule that decided about commands.
type Fired struct {
	// Rule is its name, Fault what it does.
	Rule  string `json:"rule"`
	Fault string `json:"fault"`
	// Times is how often it fired.
	Times int `json:"times"`
	// Command and Level are those of the first time.
	Command string         `json:"command"`
	Level   initcall.Level `json:"level"`
	// Occurrences are the numbers of the first commands among those that the rule is for
	// (faults.Decision).
	Occurrences []uint64 `json:"occurrences"`
}

// Decision is what a rule did to a command: a faults.Decision without times.
type Decision struct {
	Number     uint64         `json:"number"`
	Boot       int            `json:"boot"`
	Level      initcall.Level `json:"level"`
	Rule       string         `json:"rule"`
	Occurrence uint64         `json:"occurrence"`
	Command    string         `json:"command"`
	Locality   uint8          `json:"locality,omitempty"`
	Outcome    faults.Outcome `json:"outcome"`
	Code       uint32         `json:"code,omitempty"`
	Detail     string         `json:"detail,omitempty"`
}

// CommandName returns the name of a command code, or its number.
func CommandName(code uint32) string {
	if name, _, ok := wire.CC(code).Command(); ok {
		return name
	}
	return fmt.Sprintf("%#x", code)
}

// targetText is a Target as JSON has it.
type targetText struct {
	Name  string `json:"name"`
	Count int    `json:"count,omitempty"`
}

// MarshalJSON returns the command's name and how often it is sent.
func (t Target) MarshalJSON() ([]byte, error) {
	return json.Marshal(targetText{CommandName(uint32(t.Code)), t.Count})
}

// UnmarshalJSON is the inverse of MarshalJSON.
func (t *Target) UnmarshalJSON(data []byte) error {
	var text targetText
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	code, err := ParseCommand(text.Name)
	if err != nil {
		return err
	}
	*t = Target{Code: code, Count: text.Count}
	return nil
}
