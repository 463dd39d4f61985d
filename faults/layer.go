package faults

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/transport"
)

// ErrNoPower is what Send returns for a command that a rule is for while the device
// has no power. No rule decides about it, and the device does not see it.
var ErrNoPower = errors.New("the TPM has no power: it answers after the next Init")

// Layer is the rules between the sender of commands and a device. Wrap makes it, and Of
// finds it in a chain of devices.
type Layer struct {
	next  transport.Device
	plan  Plan // but for the rules
	clock *initcall.Clock
	power transport.Power // of next, nil if it has none
	time  func() time.Duration

	set    atomic.Pointer[ruleSet] // the rules in force
	number atomic.Uint64           // of the last command
	since  atomic.Int64            // time of the last Init
	kept   sync.Map                // what faults keep: see keeps
	guard  atomic.Pointer[guard]   // nil before a fault needs one

	// lasting are the faults that last, nil if none does.
	lasting   atomic.Pointer[candidates]
	lastingMu sync.Mutex // held while they change

	changes sync.Mutex // held while the rules change
	seam    *seam
	outer   bool // there is another layer below
}

// Wrap returns next as seen through the plan, or a *PlanError. The device it returns
// implements transport.Canceler and CancelSignal, and transport.Power if next does,
// because they must release what it holds; all else is found through transport.As.
func Wrap(next transport.Device, plan Plan) (transport.Device, error) {
	if err := plan.Validate(); err != nil {
		return nil, err
	}
	if err := lacking(next, plan.Rules, 0); err != nil {
		return nil, err
	}
	l := &Layer{next: next, plan: plan, clock: plan.Clock, time: plan.Time}
	if l.clock == nil {
		l.clock = new(initcall.Clock)
	}
	if l.time == nil {
		start := time.Now()
		l.time = func() time.Duration { return time.Since(start) }
	}
	l.since.Store(int64(l.time()))
	if below, ok := Of(next); ok {
		l.seam, l.outer = below.seam, true
		l.seam.layered.Store(true)
	} else {
		l.seam = newSeam(next)
	}
	l.prepare(plan.Rules)
	l.set.Store(newRuleSet(plan.Rules, plan.Seed, nil))
	l.plan.Rules = nil
	if power, ok := transport.As[transport.Power](next); ok {
		l.power = power
		return &switchable{l}, nil
	}
	return l, nil
}

// preparer is implemented by faults that need something before their first command.
type preparer interface {
	prepare(l *Layer)
}

func (l *Layer) prepare(rules []Rule) {
	for i := range rules {
		if p, ok := rules[i].fault().(preparer); ok {
			p.prepare(l)
		}
	}
}

// keeps returns what faults keep with a layer in a T. It is zero at first.
func keeps[T any](l *Layer) *T {
	if kept, ok := l.kept.Load((*T)(nil)); ok {
		return kept.(*T)
	}
	kept, _ := l.kept.LoadOrStore((*T)(nil), new(T))
	return kept.(*T)
}

// guard is told what happens to the TPM, on behalf of faults that have left something
// there.
type guard interface {
	// comes is called before the rules decide about a command.
	comes(x *exchange)
	powerGone()
}

func (l *Layer) powerGone() {
	if g := l.guard.Load(); g != nil {
		(*g).powerGone()
	}
}

// Of returns the first layer of rules in a chain of devices.
func Of(d transport.Device) (l *Layer, ok bool) {
	found, ok := transport.As[interface{ layer() *Layer }](d)
	if !ok {
		return nil, false
	}
	return found.layer(), true
}

func (l *Layer) layer() *Layer { return l }

// Unwrap returns the device below.
func (l *Layer) Unwrap() transport.Device { return l.next }

// Send lets the rules decide about the command.
func (l *Layer) Send(ctx context.Context, locality uint8, command []byte) ([]byte, error) {
	came := l.seam.came(ctx) // before anything else: see era
	set := l.set.Load()
	if g := l.guard.Load(); g != nil && !transport.IsProbe(ctx) {
		(*g).comes(&exchange{layer: l, ctx: ctx, locality: locality, command: command, came: came})
	}
	if len(set.rules) == 0 || transport.IsProbe(ctx) {
		return l.pass(ctx, came, locality, command)
	}
	number := l.number.Add(1)
	boot, _ := l.clock.Place()
	l.seam.at("came", came)
	candidates := l.withLasting(set.candidates(command))
	if !candidates.inForce(placeOf(l.clock)) {
		l.seam.at("asked", came)
		return l.pass(ctx, came, locality, command)
	}
	x := exchange{layer: l, ctx: ctx, locality: locality, command: command, came: came, boot: boot, number: number}
	at, now := candidates.next(&x, 0)
	l.seam.at("asked", came)
	if at < 0 {
		return l.pass(ctx, came, locality, command)
	}
	return l.decide(x, candidates, at, now)
}

// pass sends a command that no rule decides about to the device below.
func (l *Layer) pass(ctx context.Context, came *era, locality uint8, command []byte) ([]byte, error) {
	response, sent, err := l.sendBelow(ctx, came, locality, command)
	if !sent && transport.IsProbe(ctx) {
		return l.next.Send(ctx, locality, command)
	}
	if !sent {
		return transport.AppendResponse(nil, came.end.code()), nil
	}
	return response, err
}

// sendBelow sends a command to the device below, unless the era in which it came is over.
func (l *Layer) sendBelow(ctx context.Context, came *era, locality uint8, command []byte) (response []byte, sent bool, err error) {
	if l.outer {
		// The layer below looks at the era.
		response, err = l.next.Send(withEra(ctx, came), locality, command)
		return response, true, err
	}
	if !l.seam.enter(came) {
		return nil, false, nil
	}
	defer l.seam.leave()
	response, err = l.next.Send(ctx, locality, command)
	return response, true, err
}

// decide has the rules from the candidate with an index on decide about a command. Send
// is apart from it, so that a command that no rule is for allocates nothing.
func (l *Layer) decide(came exchange, candidates candidates, at int, now place) ([]byte, error) {
	if l.power != nil && !l.power.Powered() {
		// The device below would say the same, if it has not got power meanwhile:
		// then the command would reach a TPM that the rule keeps away.
		return nil, ErrNoPower
	}
	x := &came
	x.candidates = candidates
	response, err := x.from(at, now)
	for _, decision := range x.decisions {
		l.tell(*decision)
	}
	return response, err
}

// sincePower returns how long the device has had power.
func (l *Layer) sincePower() time.Duration { return l.time() - time.Duration(l.since.Load()) }

func (l *Layer) tell(decision Decision) {
	if l.plan.Journal != nil {
		l.plan.Journal(decision)
	}
}

// exchange is one command on its way through the rules.
type exchange struct {
	layer    *Layer
	ctx      context.Context
	locality uint8
	command  []byte // a fault that changes it makes a new one
	came     *era
	boot     int // in which it came
	number   uint64

	candidates candidates
	at         int // index of the candidate that is asked next
	decisions  []*Decision

	// rule and decision are those of the fault that is applied.
	rule     *rule
	decision *Decision
}

// next has the rules after the present one decide about the command, and the device
// below if none does.
func (x *exchange) next() ([]byte, error) {
	return x.from(x.candidates.next(x, x.at))
}

// from has the rules from the candidate with an index on decide, which has been found to
// fit where the boot stands at now; -1 is none.
func (x *exchange) from(at int, now place) ([]byte, error) {
	for at >= 0 {
		x.at = at + 1
		r := x.candidates[at]
		if n, fires := r.fires(); fires {
			return x.apply(r, n, now)
		}
		at, now = x.candidates.next(x, x.at)
	}
	return x.sendBelow()
}

// apply applies the fault of a rule for the n-th command that the rule is for.
func (x *exchange) apply(r *rule, n uint64, now place) ([]byte, error) {
	code, _ := transport.CommandCode(x.command)
	decision := &Decision{
		Time: time.Now(), Number: x.number, Boot: now.boot, Level: now.level, Rule: r.name, Fault: r.text,
		Occurrence: n, Command: code, Locality: x.locality, Outcome: Passed,
	}
	x.decisions = append(x.decisions, decision)
	outerRule, outerDecision := x.rule, x.decision
	x.rule, x.decision = r, decision
	defer func() { x.rule, x.decision = outerRule, outerDecision }()
	return r.fault.apply(x)
}

// sendBelow sends the command to the device below, past all rules.
func (x *exchange) sendBelow() ([]byte, error) { return x.send(x.locality, x.command) }

// send sends a command, or another one in its place, to the device below, unless a reset,
// power-off, new boot or cancel has come since the exchange began.
func (x *exchange) send(locality uint8, command []byte) ([]byte, error) {
	l := x.layer
	if boot, _ := l.clock.Place(); boot != x.boot {
		return x.letGo(otherBoot(boot))
	}
	l.seam.at("same boot", x.came)
	response, sent, err := l.sendBelow(x.ctx, x.came, locality, command)
	if !sent {
		return x.letGo(x.came.end)
	}
	return response, err
}

// random returns the source of chance for what the present rule does to this command:
// always the same for the same seed, rule and occurrence.
func (x *exchange) random() *rand.Rand { return x.rule.random(x.decision.Occurrence, drawFault) }
