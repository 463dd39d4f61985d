package faults

import "time"

// Stall has the TPM execute the command, and keeps its answer until the rule is no longer in
// force.
type Stall struct {
	Max time.Duration // ends the wait; 0 is DefaultHoldMax
}

var stallKind = Kind{
	Word: "stall", Value: "[MAX]", Group: Bytes,
	Doc: "The TPM executes the command, and its answer is kept until the rule is no longer in force, for MAX at most (" +
		DefaultHoldMax.String() + " if it is not given). A reset, power-off, new boot or cancel ends that, and the answer is lost.",
	Example: "level=late..userspace: stall=20s",
	parse: func(value string) (Fault, error) {
		longest, err := parseMax(value)
		return Stall{longest}, err
	},
}

func (Stall) kind() *Kind                     { return &stallKind }
func (s Stall) String() string                { return withMax("stall", s.Max) }
func (s Stall) check(p *Plan, r *Rule) string { return checkMax(s.Max, p, r) }

func (s Stall) apply(x *exchange) ([]byte, error) {
	response, err := x.next()
	if x.gone(err) {
		return response, err
	}
	return x.hold(orDefault(s.Max), func() ([]byte, error) { return response, nil })
}
