package known

import (
	"strings"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/comparison"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
)

// Case is one step with two answers that are not equal.
type Case struct {
	// Theirs is the name of the reference.
	Theirs string
	// Script and At give the step and all before it, with the bytes that the
	// reference got.
	Script conversation.Script
	At     int
	// OurOutcome and TheirOutcome are the answers; Detail says in words what
	// is different.
	OurOutcome, TheirOutcome conversation.Outcome
	Detail                   string

	// Played is the same with its holes, theirs what the reference has answered
	// to it.
	Played  conversation.Script
	Answers []conversation.Outcome
	Pair    *comparison.Pair
}

// Step gives the step the case is about.
func (c *Case) Step() conversation.Step { return c.Script[c.At] }

// Command gives the code of the command sent, 0 if there is none.
func (c *Case) Command() uint32 {
	if !c.Step().IsCommand() {
		return 0
	}
	code, _ := conformance.CommandCode(c.Step().Data)
	return code
}

// Codes gives both response codes, 0xffffffff for no answer.
func (c *Case) Codes() (ours, theirs uint32) {
	return c.OurOutcome.Code(), c.TheirOutcome.Code()
}

// Difference is a known difference: a class of cases that are no finding, and
// why.
type Difference struct {
	// ID names the entry in reports.
	ID string
	// Against are the names of the references it applies to; none stands for
	// all.
	Against []string
	// Reason says why both are left as they are: what the specification says,
	// and who depends on it.
	Reason string
	// Diverges says that the two devices have different state afterwards, so
	// that the rest of the script cannot be compared. They have also if only
	// one of them succeeded.
	Diverges bool
	// Match says whether a case belongs here.
	Match func(*Case) bool
}

// Applies says whether the entry is for a reference. A name may have a suffix
// behind a space ("swtpm 0.7.1").
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
