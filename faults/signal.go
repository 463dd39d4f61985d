package faults

import (
	"context"
	"slices"
	"time"

	"github.com/swtpmd/swtpmd/transport"
)

// InitSignal stands for _TPM_Init among the codes of When.Commands: power-on and reset,
// which is no command. No TPM_CC has the value (TPM 2.0 Library Part 2, section "TPM_CC":
// bits 30 and 31 are reserved).
const InitSignal uint32 = 0xFFFFFFFF

// initName is how a rule spells it.
const initName = "_TPM_Init"

// signaled is implemented by faults that can happen at _TPM_Init.
type signaled interface {
	// atInit has the fault happen at the _TPM_Init that comes, which x stands for.
	atInit(x *exchange)
}

// atInit reports whether the rule is for _TPM_Init.
func (w *When) atInit() bool { return slices.Contains(w.Commands, InitSignal) }

// unsaid returns what a rule for _TPM_Init asks of a command, empty if nothing.
func (w *When) unsaid() string {
	if !w.atInit() {
		return ""
	}
	other := *w
	other.Commands, other.After, other.First, other.Last, other.Every, other.Chance, other.Times = nil, "", 0, 0, 0, 0, 0
	if len(other.words()) == 0 {
		return ""
	}
	return initName + " comes before its boot and from no client: all that can be said of it is its number, " + initName + "#N"
}

// notAtInit returns why a rule's fault cannot happen at _TPM_Init if it should, else
// nothing.
func notAtInit(r *Rule) string {
	if _, ok := r.fault().(signaled); ok || !r.When.atInit() {
		return ""
	}
	return r.fault().kind().Word + " is for commands, and " + initName + " is none: entropy and store can fail there"
}

// initialized calls next, which is _TPM_Init, with the faults of the rules for it.
func (l *Layer) initialized(next func() error) error {
	rules := l.set.Load().atInit
	if len(rules) == 0 {
		return next()
	}
	x := &exchange{layer: l, ctx: context.Background(), number: l.number.Load()}
	now := placeOf(l.clock)
	for _, r := range rules {
		if r.off() || r.after != nil && r.after.hits.Load() == 0 {
			continue
		}
		n, fires := r.fires()
		if !fires {
			continue
		}
		x.rule, x.decision = r, &Decision{
			Time: time.Now(), Number: x.number, Boot: now.boot, Level: now.level, Rule: r.name, Fault: r.text,
			Occurrence: n, Command: InitSignal, Outcome: Passed,
		}
		x.decisions = append(x.decisions, x.decision)
		r.fault.(signaled).atInit(x)
	}
	err := next()
	for _, d := range x.decisions {
		l.tell(*d)
	}
	return err
}

// switched reports whether a device can be given power.
func switched(d transport.Device) bool {
	_, ok := transport.As[transport.Power](d)
	return ok
}
