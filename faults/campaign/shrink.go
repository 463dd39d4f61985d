package campaign

import (
	"context"
	"errors"
	"fmt"

	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
)

// Trial is what came of a run under a plan that may have been made smaller.
type Trial struct {
	// Fails reports whether it still fails in the way that is looked for.
	Fails bool
	// Fired are the rules that fired.
	Fired []Fired
}

// Shrink makes failing plans smaller.
type Shrink struct {
	// Run tries a plan.
	Run func(context.Context, faults.Plan) (Trial, error)
	// MaxRuns bounds how often it is called; 0 is DefaultShrinkRuns.
	MaxRuns int
	// Progress, if set, is told each plan that was tried.
	Progress func(runs int, plan *faults.Plan, trial Trial)
}

// DefaultShrinkRuns is how many runs a Shrink does if it is not told.
const DefaultShrinkRuns = 500

// ErrPasses is the error of a plan that does not fail.
var ErrPasses = errors.New("the plan does not fail: there is nothing to look for")

// Plan returns the smallest plan it has found that still fails: first of the rules those
// that matter, by delta debugging, then of each rule the words that matter: a condition
// that is not needed is left out, of several commands one is kept, and of several
// occurrences that the rule decided about the one that matters. The same plan and the same
// trials give the same result. Runs is how many trials there were, cut reports whether
// MaxRuns ended the search.
//
// The error is ErrPasses, or that of Run.
func (s *Shrink) Plan(ctx context.Context, plan faults.Plan) (smallest faults.Plan, runs int, cut bool, err error) {
	x := &search{Shrink: s, ctx: ctx, known: make(map[string]Trial), most: s.MaxRuns}
	if x.most == 0 {
		x.most = DefaultShrinkRuns
	}
	x.best = plan
	if !x.try(plan) {
		if x.err == nil && !x.cut {
			x.err = ErrPasses
		}
		return plan, x.runs, x.cut, x.err
	}
	x.rules()
	for again := true; again && x.going(); {
		again = false
		for i := range x.best.Rules {
			again = x.words(i) || again
			again = x.narrow(i) || again
		}
		if again {
			x.rules()
		}
	}
	return x.best, x.runs, x.cut, x.err
}

// search is one run of a Shrink.
type search struct {
	*Shrink
	ctx   context.Context
	known map[string]Trial // by the plan's text
	best  faults.Plan
	fired []Fired // under best
	runs  int
	most  int
	cut   bool
	err   error
}

func (x *search) going() bool { return x.err == nil && !x.cut }

// try reports whether a plan fails; then it is the best one.
func (x *search) try(plan faults.Plan) bool {
	if !x.going() || plan.Validate() != nil {
		return false
	}
	text := plan.Text()
	trial, known := x.known[text]
	if !known {
		if x.runs == x.most {
			x.cut = true
			return false
		}
		x.runs++
		if trial, x.err = x.Run(x.ctx, plan); x.err != nil {
			return false
		}
		x.known[text] = trial
		if x.Progress != nil {
			x.Progress(x.runs, &plan, trial)
		}
	}
	if trial.Fails {
		x.best, x.fired = plan, trial.Fired
	}
	return trial.Fails
}

// rules leaves out rules that do not matter (Zeller's ddmin).
func (x *search) rules() {
	for parts := 2; len(x.best.Rules) > 1 && x.going(); {
		rules := x.best.Rules
		parts = min(parts, len(rules))
		smaller := false
		for i := 0; i < parts && !smaller; i++ {
			from, to := i*len(rules)/parts, (i+1)*len(rules)/parts
			smaller = x.try(x.with(rules[from:to]))
			if smaller {
				parts = 2
			}
		}
		for i := 0; i < parts && !smaller && parts > 2; i++ {
			from, to := i*len(rules)/parts, (i+1)*len(rules)/parts
			rest := append(rules[:from:from], rules[to:]...)
			if smaller = x.try(x.with(rest)); smaller {
				parts = max(parts-1, 2)
			}
		}
		if smaller {
			continue
		}
		if parts == len(rules) {
			return
		}
		parts *= 2
	}
}

// with returns the plan with other rules.
func (x *search) with(rules []faults.Rule) faults.Plan {
	plan := x.best
	plan.Rules = append([]faults.Rule(nil), rules...)
	return plan
}

// changed returns the plan with rule i changed.
func (x *search) changed(i int, change func(*faults.When)) faults.Plan {
	plan := x.with(x.best.Rules)
	change(&plan.Rules[i].When)
	return plan
}

// drops are the conditions of a rule that may not be needed, with what leaves them out.
var drops = []struct {
	has  func(*faults.When) bool
	drop func(*faults.When)
}{
	{func(w *faults.When) bool { return w.After != "" }, func(w *faults.When) { w.After = "" }},
	{func(w *faults.When) bool { return w.Client != "" }, func(w *faults.When) { w.Client = "" }},
	{func(w *faults.When) bool { return w.Sessions != faults.AnySessions }, func(w *faults.When) { w.Sessions = faults.AnySessions }},
	{func(w *faults.When) bool { return len(w.Localities) > 0 }, func(w *faults.When) { w.Localities = nil }},
	{func(w *faults.When) bool { return len(w.Handles) > 0 }, func(w *faults.When) { w.Handles = nil }},
	{func(w *faults.When) bool { return len(w.PCRs) > 0 }, func(w *faults.When) { w.PCRs = nil }},
	{func(w *faults.When) bool { return w.Since > 0 || w.Before > 0 }, func(w *faults.When) { w.Since, w.Before = 0, 0 }},
	{func(w *faults.When) bool { return w.Boots > 0 || w.FromBoot > 0 }, func(w *faults.When) { w.Boots, w.FromBoot = 0, 0 }},
	{func(w *faults.When) bool { return w.Until != initcall.Firmware }, func(w *faults.When) { w.Until = initcall.Firmware }},
	{func(w *faults.When) bool { return w.From != initcall.Firmware }, func(w *faults.When) { w.From = initcall.Firmware }},
	{func(w *faults.When) bool { return w.Chance > 0 }, func(w *faults.When) { w.Chance = 0 }},
	{func(w *faults.When) bool { return w.Every > 1 }, func(w *faults.When) { w.Every = 0 }},
	{func(w *faults.When) bool { return w.Times > 0 }, func(w *faults.When) { w.Times = 0 }},
}

// words leaves conditions of rule i out, and commands of several. It reports whether it
// did.
func (x *search) words(i int) (smaller bool) {
	for _, d := range drops {
		if d.has(&x.best.Rules[i].When) && x.try(x.changed(i, d.drop)) {
			smaller = true
		}
	}
	for _, code := range x.best.Rules[i].When.Commands {
		if len(x.best.Rules[i].When.Commands) == 1 {
			break
		}
		if x.try(x.changed(i, func(w *faults.When) { w.Commands = []uint32{code} })) {
			return true
		}
	}
	return smaller
}

// narrow has rule i decide about one command in place of several: one of those that it
// decided about. It reports whether it did.
func (x *search) narrow(i int) bool {
	rule := &x.best.Rules[i]
	w := &rule.When
	if w.First > 0 && w.First == w.Last {
		return false
	}
	name := rule.Name
	if name == "" {
		name = rule.String()
	}
	for _, f := range x.fired {
		if f.Rule != name {
			continue
		}
		for _, n := range f.Occurrences {
			only := func(w *faults.When) {
				w.First, w.Last = int(n), int(n)
				w.Every, w.Chance, w.Times = 0, 0, 0
			}
			if x.try(x.changed(i, only)) {
				return true
			}
		}
		// The command that it met is one of every command.
		break
	}
	return false
}

// String returns the trial in a word.
func (t Trial) String() string {
	if t.Fails {
		return fmt.Sprintf("fails, %d rules fired", len(t.Fired))
	}
	return "passes"
}
