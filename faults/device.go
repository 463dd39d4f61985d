package faults

import (
	"context"
	"encoding/binary"
	"sync"
	"time"

	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/transport"
)

// Decision is what a rule did to one command.
type Decision struct {
	Time time.Time `json:"time"`
	// Boot and Level are where the boot stood when the command came.
	Boot  int            `json:"boot"`
	Level initcall.Level `json:"level"`
	// Rule is the rule's name.
	Rule string `json:"rule"`
	// Command is the TPM_CC, 0 if the command was too short to have one.
	Command  uint32 `json:"command"`
	Locality uint8  `json:"locality"`
	// Outcome says what became of the command.
	Outcome Outcome `json:"outcome"`
	// Code is the response code that was answered in place of the TPM; only
	// for the outcomes Answered, Canceled and Reset.
	Code uint32 `json:"code,omitempty"`
	// HeldFor is how long the command was held back.
	HeldFor time.Duration `json:"held_ns,omitempty"`
	// Cause says what ended a hold.
	Cause string `json:"cause,omitempty"`
}

// Outcome is what became of a command that a rule decided about.
type Outcome string

// The outcomes.
const (
	Answered Outcome = "answered"  // with the rule's code, the TPM did not see it
	Passed   Outcome = "passed"    // the rule lets it through
	Held     Outcome = "held"      // not yet decided: one of the following comes
	Released Outcome = "released"  // held, then executed
	Expired  Outcome = "expired"   // held for the maximum, then executed
	Canceled Outcome = "canceled"  // held, then answered TPM_RC_CANCELED
	Reset    Outcome = "reset"     // held, then answered TPM_RC_FAILURE for a reset or power-off
	Gone     Outcome = "abandoned" // held, then its sender gave up
)

// device is the wrapper.
type device struct {
	next  transport.Device
	plan  Plan
	clock *initcall.Clock

	mu    sync.Mutex
	holds map[*hold]struct{}
}

// hold is a command that is held. The first release counts.
type hold struct {
	once sync.Once
	let  chan struct{} // closed by the release
	why  release       // valid once let is closed
}

type release struct {
	outcome Outcome
	cause   string
}

func (h *hold) release(r release) {
	h.once.Do(func() {
		h.why = r
		close(h.let)
	})
}

// Wrap returns next as seen through the plan, or a *PlanError. The wrapper
// implements transport.Canceler, and transport.Power if next does, because
// both must release what it holds; all else is found through transport.As.
func Wrap(next transport.Device, plan Plan) (transport.Device, error) {
	if err := plan.Validate(); err != nil {
		return nil, err
	}
	clock := plan.Clock
	if clock == nil {
		clock = new(initcall.Clock)
	}
	d := &device{next: next, plan: plan, clock: clock, holds: make(map[*hold]struct{})}
	if power, ok := transport.As[transport.Power](next); ok {
		return &switchable{device: d, power: power}, nil
	}
	return d, nil
}

// Unwrap gives the device below.
func (d *device) Unwrap() transport.Device { return d.next }

// Send lets the first fitting rule decide about the command.
func (d *device) Send(ctx context.Context, locality uint8, command []byte) ([]byte, error) {
	rule, decision := d.decide(ctx, locality, command)
	if rule == nil {
		return d.next.Send(ctx, locality, command)
	}
	if rule.Do.Hold {
		decision.Outcome = Held
		d.tell(decision)
		d.hold(ctx, rule, &decision)
	}
	switch decision.Outcome {
	case Canceled:
		decision.Code = rcCanceled
	case Reset:
		decision.Code = rcFailure
	case Gone:
		d.tell(decision)
		return nil, ctx.Err()
	default:
		if rule.Do.Answer != 0 {
			decision.Outcome, decision.Code = Answered, rule.Do.Answer
		}
	}
	if decision.Code != 0 {
		d.tell(decision)
		return errorResponse(decision.Code), nil
	}
	response, err := d.next.Send(ctx, locality, command)
	d.tell(decision)
	return response, err
}

// decide finds the rule for a command, nil if it is none of the plan's
// business.
func (d *device) decide(ctx context.Context, locality uint8, command []byte) (*Rule, Decision) {
	if len(d.plan.Rules) == 0 {
		return nil, Decision{}
	}
	now := d.clock.Now()
	code, coded := commandCode(command)
	for i := range d.plan.Rules {
		rule := &d.plan.Rules[i]
		if !rule.When.fits(now, code, coded, locality) {
			continue
		}
		if transport.IsProbe(ctx) || !d.hasPower() {
			return nil, Decision{}
		}
		return rule, Decision{
			Time: time.Now(), Boot: now.Boot, Level: now.Level,
			Rule: rule.Name, Command: code, Locality: locality, Outcome: Passed,
		}
	}
	return nil, Decision{}
}

// hasPower says whether the device below has power; one that cannot tell has.
func (d *device) hasPower() bool {
	power, ok := transport.As[transport.Power](d.next)
	return !ok || power.Powered()
}

// hold waits until something lets the command go and writes down what did.
func (d *device) hold(ctx context.Context, rule *Rule, decision *Decision) {
	h := &hold{let: make(chan struct{})}
	d.mu.Lock()
	d.holds[h] = struct{}{}
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		delete(d.holds, h)
		d.mu.Unlock()
	}()

	check := func(e initcall.Event) {
		if !rule.When.InForce(e) {
			h.release(release{Released, "level " + e.Level.String()})
		}
	}
	// Subscribing before looking once more leaves no gap for an event.
	stop := d.clock.Subscribe(check)
	defer stop()
	check(d.clock.Now())

	// Whatever ends the wait, the release that came first is the reason.
	h.await(ctx, rule.longest())
	decision.Outcome, decision.Cause = h.why.outcome, h.why.cause
	decision.HeldFor = time.Since(decision.Time)
}

// longest is how long the rule holds a command at most.
func (r *Rule) longest() time.Duration {
	if r.Do.HoldMax == 0 {
		return DefaultHoldMax
	}
	return r.Do.HoldMax
}

// await returns when the hold has been released, if nothing else by itself at
// the end of longest or of ctx.
func (h *hold) await(ctx context.Context, longest time.Duration) {
	expired := release{Expired, "held for the maximum of " + longest.String()}
	if wait := transport.WaitOf(ctx); wait != nil {
		if !wait(h.let, longest) {
			h.release(expired)
		}
		return
	}
	expiry := time.NewTimer(longest)
	defer expiry.Stop()
	select {
	case <-h.let:
	case <-expiry.C:
		h.release(expired)
	case <-ctx.Done():
		h.release(release{Gone, "the sender gave up"})
	}
}

// releaseAll lets every held command go.
func (d *device) releaseAll(r release) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for h := range d.holds {
		h.release(r)
	}
}

func (d *device) tell(decision Decision) {
	if d.plan.Journal != nil {
		d.plan.Journal(decision)
	}
}

// Cancel lets held commands go with TPM_RC_CANCELED and cancels what the device
// below executes, if it can be asked to.
func (d *device) Cancel() {
	d.releaseAll(release{Canceled, "command canceled"})
	if below, ok := transport.As[transport.Canceler](d.next); ok {
		below.Cancel()
	}
}

// switchable is the wrapper of a device whose power can be switched. It lets
// held commands go first, so that a stall never stands in the way of a reset.
type switchable struct {
	*device
	power transport.Power
}

// Init resets the device below.
func (s *switchable) Init() error {
	s.releaseAll(release{Reset, "device reset"})
	return s.power.Init()
}

// PowerOff takes the power from the device below.
func (s *switchable) PowerOff() error {
	s.releaseAll(release{Reset, "power off"})
	return s.power.PowerOff()
}

// Powered says whether the device below has power.
func (s *switchable) Powered() bool { return s.power.Powered() }

// commandCode reads the TPM_CC of a command: tag (2 bytes), size (4), code (4),
// big-endian.
func commandCode(command []byte) (code uint32, ok bool) {
	if len(command) < 10 {
		return 0, false
	}
	return binary.BigEndian.Uint32(command[6:]), true
}

// errorResponse is the 10-byte response that carries only a code: tag
// TPM_ST_NO_SESSIONS, size, code.
func errorResponse(code uint32) []byte {
	response := []byte{0x80, 0x01, 0, 0, 0, 10, 0, 0, 0, 0}
	binary.BigEndian.PutUint32(response[6:], code)
	return response
}
