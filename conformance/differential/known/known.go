package known

import (
	"strings"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/comparison"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
)

// Case is one step with two answers that differ.
type Case struct {
	// Theirs is the name of the reference.
	Theirs string
	// Script has the step, at index At, and all steps before it, with the bytes
	// that the reference received.
	Script conversation.Script
	At     int
	// OurOutcome and TheirOutcome are the answers; Detail describes the
	// difference in words.
	OurOutcome, TheirOutcome conversation.Outcome
	Detail                   string

	// Played is the same with its holes, theirs what the reference has answered
	// to it.
	Played  conversation.Script
	Answers []conversation.Outcome
	Pair    *comparison.Pair
}

// Step returns the step that the answers are to.
func (c *Case) Step() conversation.Step { return c.Script[c.At] }

// Command returns the code of the command sent, 0 if the step sends none.
func (c *Case) Command() uint32 {
	if !c.Step().IsCommand() {
		return 0
	}
	code, _ := conformance.CommandCode(c.Step().Data)
	return code
}

// Codes returns both response codes, 0xffffffff for no answer.
func (c *Case) Codes() (ours, theirs uint32) {
	return c.OurOutcome.Code(), c.TheirOutcome.Code()
}

// Difference is a known difference: a class of cases that are not findings, with
// the reason.
type Difference struct {
	// ID names the entry in reports.
	ID string
	// Against are the names of the references that the entry is for; nil stands
	// for all.
	Against []string
	// Reason explains why both devices stay as they are: what the specification
	// says, and which clients depend on it.
	Reason string
	// Diverges reports whether the two devices have different states afterwards, so
	// that the rest of the script cannot be compared. The states also differ if
	// only one of the devices succeeded.
	Diverges bool
	// Match reports whether the entry explains a case.
	Match func(*Case) bool
}

// Applies reports whether the entry is for the reference of that name. What follows
// a space in the name does not count ("swtpm 0.7.1").
func (d *Difference) Applies(theirs string) bool {
	if len(d.Against) == 0 {
		return true
	}
	name, _, _ := strings.Cut(theirs, " ")
	for _, against := range d.Against {
		if against == name {
			return true
		}
	}
	return false
}
