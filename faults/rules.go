package faults

import (
	"fmt"
	"slices"
)

// RuleStatus is a rule and what has become of it.
type RuleStatus struct {
	Rule
	// Name is the rule's name in the journal, also if Rule has none.
	Name string
	// Disabled reports whether Enable has disabled the rule.
	Disabled bool
	// InForce reports whether the boot is where the rule applies, and the rule is not
	// disabled.
	InForce bool
	// Lasts reports whether a fault that the rule began goes on.
	Lasts bool
	// Fitted counts the commands that the rule was asked about and was for, but for its
	// counting fields; Fired counts those that it decided about.
	Fitted, Fired uint64
}

// Rules returns the rules in their order.
func (l *Layer) Rules() []RuleStatus {
	now := l.clock.Now()
	var list []RuleStatus
	for _, r := range l.set.Load().rules {
		off := r.disabled.Load()
		list = append(list, RuleStatus{
			Rule: r.Rule, Name: r.name, Disabled: off, InForce: !off && r.When.InForce(now), Lasts: l.lasts(r),
			Fitted: r.fitted.Load(), Fired: r.hits.Load(),
		})
	}
	return list
}

// UnknownRuleError is the answer to the name of a rule that the layer does not have.
type UnknownRuleError struct {
	Name string
}

func (e *UnknownRuleError) Error() string {
	return fmt.Sprintf("there is no fault rule %q", e.Name)
}

// Add adds rules after those that there are. The error is a *PlanError, and no rule is
// added then.
func (l *Layer) Add(rules ...Rule) error {
	l.changes.Lock()
	defer l.changes.Unlock()
	kept := l.set.Load().rules
	if err := l.valid(kept, rules); err != nil {
		return err
	}
	if err := lacking(l.next, rules, len(kept)); err != nil {
		return err
	}
	l.prepare(rules)
	l.set.Store(newRuleSet(rules, l.plan.Seed, kept))
	return nil
}

// Remove removes a rule. Commands that it holds are let go. The error is an
// *UnknownRuleError, or a *PlanError for another rule that cannot be without it.
func (l *Layer) Remove(name string) error {
	l.changes.Lock()
	defer l.changes.Unlock()
	rules := l.set.Load().rules
	i := slices.IndexFunc(rules, func(r *rule) bool { return r.name == name })
	if i < 0 {
		return &UnknownRuleError{name}
	}
	removed := rules[i]
	kept := slices.Delete(slices.Clone(rules), i, i+1)
	if err := l.valid(kept, nil); err != nil {
		return err
	}
	l.set.Store(newRuleSet(nil, l.plan.Seed, kept))
	l.withdraw(removed, "rule removed")
	return nil
}

// Enable enables a rule, or disables it: commands that it holds are let go then. The error is an *UnknownRuleError.
func (l *Layer) Enable(name string, on bool) error {
	l.changes.Lock()
	defer l.changes.Unlock()
	for _, r := range l.set.Load().rules {
		if r.name != name {
			continue
		}
		r.disabled.Store(!on)
		if !on {
			l.withdraw(r, "rule disabled")
		}
		return nil
	}
	return &UnknownRuleError{name}
}

// valid returns why the rules that are kept and those that are new cannot be together.
func (l *Layer) valid(kept candidates, rules []Rule) error {
	plan := l.plan
	for _, r := range kept {
		plan.Rules = append(plan.Rules, r.Rule)
	}
	plan.Rules = append(plan.Rules, rules...)
	return plan.Validate()
}

// withdraw marks a rule as gone and lets go what it holds.
func (l *Layer) withdraw(r *rule, cause string) {
	r.disabled.Store(true)
	l.seam.at("disabled", nil)
	l.seam.withdraw(r, release{Released, cause})
}
