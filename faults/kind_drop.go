package faults

import "time"

// Drop has the TPM execute the command, and its answer lost: the sender waits until the rule
// is no longer in force, and gets ErrNoAnswer then.
type Drop struct {
	Max time.Duration // ends the wait; 0 is DefaultHoldMax
}

var dropKind = Kind{
	Word: "drop", Value: "[MAX]", Group: Bytes,
	Doc: "The TPM executes the command, and its answer is lost: nothing comes until the rule is no longer in force, for MAX at most (" +
		DefaultHoldMax.String() + " if it is not given), and then an error (TPM_RC_FAILURE over a socket).",
	Example: "PCR_Extend#2: drop=5s",
	parse: func(value string) (Fault, error) {
		longest, err := parseMax(value)
		return Drop{longest}, err
	},
}

func (Drop) kind() *Kind                     { return &dropKind }
func (d Drop) String() string                { return withMax("drop", d.Max) }
func (d Drop) check(p *Plan, r *Rule) string { return checkMax(d.Max, p, r) }

func (d Drop) apply(x *exchange) ([]byte, error) {
	if response, err := x.next(); x.gone(err) {
		return response, err
	}
	return x.hold(orDefault(d.Max), x.lose)
}
