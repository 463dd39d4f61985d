package faults

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
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
	Reset    Outcome = "reset"     // held, then answered TPM_RC_FAILURE for a reset, power-off or new boot
	Gone     Outcome = "abandoned" // held, then its sender gave up
)

// ErrNoPower is what Send returns for a command that a rule is for while the device
// has no power. No rule decides about it, and the device does not see it.
var ErrNoPower = errors.New("the TPM has no power: it answers after the next Init")

// wrapper is a device under rules.
type wrapper struct {
	next  transport.Device
	plan  Plan
	clock *initcall.Clock

	era atomic.Pointer[era] // the present one
	mu  sync.Mutex          // held while eras change and holds begin and end
	// holds are the commands of the present era that are held, resets the
	// resets that last.
	holds  map[*hold]struct{}
	resets int
	// canceling is the cancel signal: no command is held while it is asserted.
	canceling bool
}

// Wrap returns next as seen through the plan, or a *PlanError. The wrapper
// implements transport.Canceler and CancelSignal, and transport.Power if next does,
// because they must release what it holds; all else is found through transport.As.
func Wrap(next transport.Device, plan Plan) (transport.Device, error) {
	if err := plan.Validate(); err != nil {
		return nil, err
	}
	clock := plan.Clock
	if clock == nil {
		clock = new(initcall.Clock)
	}
	d := &wrapper{next: next, plan: plan, clock: clock, holds: make(map[*hold]struct{})}
	d.era.Store(new(era))
	if power, ok := transport.As[transport.Power](next); ok {
		return &switchable{wrapper: d, power: power}, nil
	}
	return d, nil
}

// Unwrap returns the device below.
func (d *wrapper) Unwrap() transport.Device { return d.next }

// Send lets the first fitting rule decide about the command.
func (d *wrapper) Send(ctx context.Context, locality uint8, command []byte) ([]byte, error) {
	came := d.era.Load() // before anything else: see era
	rule, now := d.rule(ctx, locality, command)
	if rule == nil {
		return d.next.Send(ctx, locality, command)
	}
	if !d.hasPower() {
		// The device below would say the same, if it has not got power meanwhile:
		// then the command would reach a TPM that the rule keeps away.
		return nil, ErrNoPower
	}
	code, _ := transport.CommandCode(command)
	decision := Decision{
		Time: time.Now(), Boot: now.Boot, Level: now.Level,
		Rule: rule.Name, Command: code, Locality: locality, Outcome: Passed,
	}
	if rule.Do.Hold {
		d.hold(ctx, came, rule, &decision)
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
		return transport.AppendResponse(nil, decision.Code), nil
	}
	response, err := d.next.Send(ctx, locality, command)
	d.tell(decision)
	return response, err
}

// rule returns the rule for a command and where the boot stands, nil if the
// command is none of the plan's business.
func (d *wrapper) rule(ctx context.Context, locality uint8, command []byte) (*Rule, initcall.Event) {
	if len(d.plan.Rules) == 0 {
		return nil, initcall.Event{}
	}
	now := d.clock.Now()
	code, coded := transport.CommandCode(command)
	for i := range d.plan.Rules {
		rule := &d.plan.Rules[i]
		if !rule.When.fits(now, code, coded, locality) {
			continue
		}
		if transport.IsProbe(ctx) {
			break
		}
		return rule, now
	}
	return nil, now
}

// hasPower reports whether the device below has power; one that cannot tell
// has.
func (d *wrapper) hasPower() bool {
	power, ok := transport.As[transport.Power](d.next)
	return !ok || power.Powered()
}

func (d *wrapper) tell(decision Decision) {
	if d.plan.Journal != nil {
		d.plan.Journal(decision)
	}
}

// Cancel lets held commands go with TPM_RC_CANCELED and cancels what the device
// below executes, if it can be asked to.
func (d *wrapper) Cancel() {
	d.cancel(release{Canceled, "command canceled"})
	if below, ok := transport.As[transport.Canceler](d.next); ok {
		below.Cancel()
	}
}

// SetCancel is Cancel, and as long as the signal is asserted no command is held that
// comes later.
func (d *wrapper) SetCancel(asserted bool) {
	d.mu.Lock()
	d.canceling = asserted
	if asserted {
		d.letGo(release{Canceled, "command canceled"})
	} else {
		d.renew()
	}
	d.mu.Unlock()
	if below, ok := transport.As[transport.CancelSignal](d.next); ok {
		below.SetCancel(asserted)
	} else if below, ok := transport.As[transport.Canceler](d.next); ok && asserted {
		below.Cancel()
	}
}

// switchable is the wrapper of a device whose power can be switched.
type switchable struct {
	*wrapper
	power transport.Power
}

// Init resets the device below.
func (s *switchable) Init() error {
	return s.reset(release{Reset, "device reset"}, s.power.Init)
}

// PowerOff takes the power from the device below.
func (s *switchable) PowerOff() error {
	return s.reset(release{Reset, "power off"}, s.power.PowerOff)
}

// Powered reports whether the device below has power.
func (s *switchable) Powered() bool { return s.power.Powered() }
