package differential

import (
	"strings"

	"github.com/swtpmd/swtpmd/conformance"
)

// Case is one step with two answers that are not equal.
type Case struct {
	// Theirs is the name of the reference.
	Theirs string
	// Script and At give the step and all before it, with the bytes that the
	// reference got.
	Script Script
	At     int
	// OurOutcome and TheirOutcome are the answers; Detail says in words what
	// is different.
	OurOutcome, TheirOutcome Outcome
	Detail                   string

	// script is the same with its holes, theirs what the reference has answered
	// to it.
	script   Script
	theirs   []Outcome
	comparer *comparer
}

// Step gives the step the case is about.
func (c *Case) Step() Step { return c.Script[c.At] }

// Command gives the code of the command sent, 0 if there is none.
func (c *Case) Command() uint32 {
	if !c.Step().isCommand() {
		return 0
	}
	code, _ := conformance.CommandCode(c.Step().Data)
	return code
}

// Codes gives both response codes, 0xffffffff for no answer.
func (c *Case) Codes() (ours, theirs uint32) {
	return outcomeCode(c.OurOutcome), outcomeCode(c.TheirOutcome)
}

func outcomeCode(o Outcome) uint32 {
	if code, ok := conformance.ResponseCode(o.Response); ok && o.Err == nil {
		return code
	}
	return 0xffffffff
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

// applies says whether the entry is for a reference. A name may have a suffix
// behind a space ("swtpm 0.7.1").
func (d *Difference) applies(theirs string) bool {
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
