package faults

import "time"

// Absent is a TPM that is not there: the command does not come to it, and the sender waits
// until the rule is no longer in force, and gets ErrNoAnswer then.
type Absent struct {
	Max time.Duration // ends the wait; 0 is DefaultHoldMax
}

var absentKind = Kind{
	Word: "absent", Value: "[MAX]", Group: Availability,
	Doc: "The command does not come to the TPM, and nothing comes back until the rule is no longer in force, for MAX at most (" +
		DefaultHoldMax.String() + " if it is not given), and then an error (TPM_RC_FAILURE over a socket). " +
		"Linux gives up before, by its own time limits.",
	Example: "level=kernel..late: absent=10s",
	parse: func(value string) (Fault, error) {
		longest, err := parseMax(value)
		return Absent{longest}, err
	},
}

func (Absent) kind() *Kind                     { return &absentKind }
func (a Absent) String() string                { return withMax("absent", a.Max) }
func (a Absent) check(p *Plan, r *Rule) string { return checkMax(a.Max, p, r) }

func (a Absent) apply(x *exchange) ([]byte, error) { return x.hold(orDefault(a.Max), x.lose) }
