// Package faults puts a TPM into the situations that its users must survive,
// without the TPM knowing.
//
// Wrap puts a Plan in front of a transport.Device: rules that say when (how far the
// boot has come, which command, the how manieth) and what then happens to the command.
// The first purpose is the TPM that comes late: Defer builds the rule for it, an
// initcall.Clock says how far the boot has come, and every decision is told to
// Plan.Journal. ParseRule reads a rule from one line of text, ParsePlan a plan from a
// file, and Kinds lists the faults there are.
//
// What a fault may not do: the transport's own question whether a TPM is there
// (transport.WithProbe) always passes, no rule decides while the device has no
// power, and a command that is held is let go by a reset, by power-off, by a new boot,
// by Cancel, by the end of its context and by the rule's own maximum, so that no
// stall outlives the one who asked for it. Each of them lets go every command
// that came before it, and none that came before a reset is executed after it.
package faults

import (
	"fmt"
	"slices"
	"time"

	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/transport"
)

// Plan says which faults a device shows. The zero value shows none.
type Plan struct {
	// Clock says how far the boot has come. A nil Clock stands at
	// initcall.Firmware for ever.
	Clock *initcall.Clock
	// Rules are asked in order. A rule decides about a command that its When is for;
	// unless its fault ends the matter (Kind.Ends), the rules after it are asked too.
	Rules []Rule
	// Seed is what chance is drawn from: the same seed and the same commands in the
	// same order give the same decisions.
	Seed uint64
	// Dangerous admits the faults that leave the protocol (Kind.Dangerous).
	Dangerous bool
	// Time returns the time since a fixed moment; When.Since counts in it. Nil is the
	// monotonic clock of the process.
	Time func() time.Duration
	// Journal, if set, is told every decision a rule took, after the
	// command's answer is known, in the order of the rules; of a command that is held
	// it is told when the hold begins too, with the outcome Held. It is called by the
	// goroutine that sends the command, so it may be called concurrently.
	// It must not send commands itself; it may move the clock, switch the
	// power and cancel, and what it does so concerns the held command too.
	Journal func(Decision)
}

// Rule is one fault, and when it happens.
type Rule struct {
	// Name tells the rule from others in the journal. An empty Name stands for the
	// text of the rule.
	Name string
	When When
	// Do is what happens to the command; nil is Pass.
	Do Fault
}

// fault returns what the rule does.
func (r *Rule) fault() Fault {
	if r.Do == nil {
		return Pass{}
	}
	return r.Do
}

// name returns the rule's name in the journal.
func (r *Rule) name() string {
	if r.Name == "" {
		return r.String()
	}
	return r.Name
}

// PlanError says which rule of a plan cannot work, and why.
type PlanError struct {
	// Rule is the rule's name, Index its place in the plan, from 0.
	Rule   string
	Index  int
	Reason string
}

func (e *PlanError) Error() string {
	return fmt.Sprintf("fault rule %q: %s", e.Rule, e.Reason)
}

// Validate finds rules that could never be in force, or not work. The error is a
// *PlanError.
func (p *Plan) Validate() error {
	names, before := make([]string, len(p.Rules)), make(map[string]int, len(p.Rules))
	for i := range p.Rules {
		names[i] = p.Rules[i].name()
	}
	for i := range p.Rules {
		r := &p.Rules[i]
		reason := r.When.impossible()
		if reason == "" {
			reason = p.refused(r)
		}
		if reason == "" {
			reason = p.unreachable(i, names, before)
		}
		if reason != "" {
			return &PlanError{Rule: names[i], Index: i, Reason: reason}
		}
		before[names[i]] = i
	}
	return nil
}

// checker is implemented by faults that not every plan can have.
type checker interface {
	// check returns why the plan cannot have the fault in this rule, empty if it can.
	check(p *Plan, r *Rule) string
}

// refused returns why the plan cannot have the fault of a rule, empty if it can.
func (p *Plan) refused(r *Rule) string {
	fault := r.fault()
	if k := fault.kind(); k.Dangerous != "" && !p.Dangerous {
		return fmt.Sprintf("%s leaves the protocol (%s): it needs Plan.Dangerous, or --dangerous", k.Word, k.Dangerous)
	}
	if reason := notAtInit(r); reason != "" {
		return reason
	}
	if c, ok := fault.(checker); ok {
		return c.check(p, r)
	}
	return ""
}

// needer is implemented by faults that not every device can have.
type needer interface {
	// needs returns what the device lacks, empty if nothing.
	needs(d transport.Device) string
}

// lacking returns a *PlanError if the device lacks what a rule's fault needs. First is the
// index of the first rule.
func lacking(d transport.Device, rules []Rule, first int) error {
	for i := range rules {
		if rules[i].When.atInit() && !switched(d) {
			return &PlanError{Rule: rules[i].name(), Index: first + i, Reason: "nobody can give this TPM power: " + initName + " never comes"}
		}
		n, ok := rules[i].fault().(needer)
		if !ok {
			continue
		}
		if reason := n.needs(d); reason != "" {
			return &PlanError{Rule: rules[i].name(), Index: first + i, Reason: reason}
		}
	}
	return nil
}

// unreachable returns why no command ever comes to rule i, empty if one may. Names are
// those of all rules, before has the rules before it.
func (p *Plan) unreachable(i int, names []string, before map[string]int) string {
	r := &p.Rules[i]
	if other, taken := before[names[i]]; taken {
		return fmt.Sprintf("rule %d has that name too; the journal could not tell them apart", other+1)
	}
	for j := range p.Rules[:i] {
		earlier := &p.Rules[j]
		if earlier.fault().kind().Ends && !r.When.atInit() && earlier.When.covers(&r.When) {
			return fmt.Sprintf("it is never asked: rule %q before it is for all of its commands", names[j])
		}
	}
	if r.When.After == "" {
		return ""
	}
	if r.When.After == names[i] {
		return "it waits for itself"
	}
	if !slices.Contains(names, r.When.After) {
		return fmt.Sprintf("it waits for a rule %q, and there is none", r.When.After)
	}
	if p.circle(i, names, before) {
		return fmt.Sprintf("it waits for rule %q, which waits for this one", r.When.After)
	}
	return ""
}

// circle reports whether rule i waits for itself through rules before it. That suffices:
// a circle of rules is found at its last one.
func (p *Plan) circle(i int, names []string, before map[string]int) bool {
	awaited := func(r Rule) bool { return r.When.After == names[i] }
	if !slices.ContainsFunc(p.Rules[:i], awaited) {
		return false
	}
	for after, steps := p.Rules[i].When.After, 0; steps <= i; steps++ {
		if after == names[i] {
			return true
		}
		j, ok := before[after]
		if !ok {
			return false
		}
		after = p.Rules[j].When.After
	}
	return false
}
