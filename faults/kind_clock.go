package faults

import (
	"errors"
	"fmt"
	"time"

	"github.com/swtpmd/swtpmd/transport"
)

// ClockFault moves the TPM's clock when the command comes to it: what Platform.Clock of the
// emulator tells from then on, for Time, Clock, lockout recovery and the time-outs of
// policies.
type ClockFault struct {
	// Jump is how far the clock goes forward or, below zero, back.
	Jump time.Duration
	// Stop has the clock stand still since the command before; it goes on from there with
	// the next command that no such fault concerns. Jump is 0 then.
	Stop bool
}

var clockKind = Kind{
	Word: "clock", Value: "+TIME|-TIME|stop", Group: Inside,
	Doc: "When the command comes to the TPM, its clock goes forward or back by TIME, for good, or has stood still since the command before. " +
		"Time and Clock of a TPM never go back: with -TIME no time has passed for it.",
	Example: "level=userspace.. times=1: clock=+1h0m0s",
	parse:   parseClock,
}

func parseClock(value string) (Fault, error) {
	if value == "stop" {
		return ClockFault{Stop: true}, nil
	}
	jump, err := time.ParseDuration(value)
	if err != nil || jump == 0 || value[0] != '+' && value[0] != '-' {
		return nil, errClock
	}
	c := ClockFault{Jump: jump}
	if reason := c.check(nil, nil); reason != "" {
		return nil, errors.New(reason)
	}
	return c, nil
}

var errClock = errors.New("it is written stop, or as a time with a sign, such as +1h or -30s")

// maxJump bounds a jump: a century.
const maxJump = 100 * 365 * 24 * time.Hour

func (ClockFault) kind() *Kind { return &clockKind }

func (ClockFault) needs(d transport.Device) string { return closed(d) }
func (ClockFault) prepare(l *Layer)                { l.surround() }

func (c ClockFault) String() string {
	if c.Stop {
		return "clock=stop"
	}
	return "clock=" + c.signed()
}

func (c ClockFault) signed() string {
	if c.Jump < 0 {
		return c.Jump.String()
	}
	return "+" + c.Jump.String()
}

func (c ClockFault) check(*Plan, *Rule) string {
	switch {
	case c.Stop == (c.Jump != 0):
		return errClock.Error()
	case c.Jump > maxJump || c.Jump < -maxJump:
		return fmt.Sprintf("a jump is at most %s", maxJump)
	}
	return ""
}

func (c ClockFault) apply(x *exchange) ([]byte, error) {
	decision := x.decision
	decision.Detail = "the command did not come to the TPM"
	return x.inside(effect{clock: func(clock *insideClock) {
		if c.Stop {
			decision.Detail = "the clock stood still for " + clock.stop().String()
			return
		}
		clock.offset += c.Jump
		decision.Detail = "the clock jumped by " + c.signed()
	}})
}
