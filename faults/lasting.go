package faults

import (
	"math"
	"slices"
	"time"
)

// Some faults last: what begins with the command for which a rule fired goes on for those
// that come later, whatever the rule is for. Init, power-off, a new boot, and the removal of
// the rule end it.
//
// What lasts is a rule of its own, which has the name and the fault of the rule that
// began it and is asked before those of the plan.

// begin makes the present fault last until its end: for a time, for a number of commands, or
// both; 0 is no bound. It does nothing if the fault lasts already.
func (x *exchange) begin(forTime time.Duration, commands int) {
	x.beginWith(forTime, commands, func() {})
}

// beginWith is begin, and calls prepare before the fault lasts.
func (x *exchange) beginWith(forTime time.Duration, commands int, prepare func()) {
	l, cause := x.layer, x.rule
	if cause.cause != nil {
		return
	}
	l.lastingMu.Lock()
	defer l.lastingMu.Unlock()
	born := l.seam.switched.Load() // before the era is looked at, which ends later
	if x.came.over.Load() && x.came.end.outcome == Reset {
		return // Init or PowerOff has come since
	}
	var list candidates
	if old := l.lasting.Load(); old != nil {
		list = *old
	}
	for _, r := range list {
		if r.cause == cause && !l.ended(r) {
			return
		}
	}
	r := &rule{name: cause.name, fault: cause.fault, text: cause.text, cause: cause, seed: cause.seed ^ math.MaxUint64}
	r.born = born
	r.When = When{FromBoot: x.decision.Boot, Boots: x.decision.Boot, Times: commands}
	if forTime > 0 {
		r.When.Before = l.sincePower() + forTime
	}
	kept := make(candidates, 0, len(list)+1)
	for _, r := range list {
		if !l.ended(r) {
			kept = append(kept, r)
		}
	}
	kept = append(kept, r)
	prepare()
	l.lasting.Store(&kept)
}

// lasts reports whether what a rule began goes on.
func (l *Layer) lasts(cause *rule) bool {
	list := l.lasting.Load()
	return list != nil && slices.ContainsFunc(*list, func(r *rule) bool { return r.cause == cause && !l.ended(r) })
}

// ended reports whether a fault that lasts is over.
func (l *Layer) ended(r *rule) bool {
	now := placeOf(l.clock)
	return r.off() || r.born != l.seam.switched.Load() || !r.When.inForce(now) || !r.When.inTime(l.sincePower()) ||
		r.When.Times > 0 && r.hits.Load() >= uint64(r.When.Times)
}

// endLasting ends all faults that last.
func (l *Layer) endLasting() {
	l.lastingMu.Lock()
	defer l.lastingMu.Unlock()
	l.lasting.Store(nil)
}

// withLasting returns the rules that may be for a command: those that last, and the plan's.
func (l *Layer) withLasting(plan candidates) candidates {
	lasting := l.lasting.Load()
	if lasting == nil {
		return plan
	}
	return append((*lasting)[:len(*lasting):len(*lasting)], plan...)
}
