package faults

import (
	"errors"
	"fmt"
	"time"

	"github.com/swtpmd/swtpmd/faults/initcall"
)

// HoldBack keeps the command from the TPM until the rule is no longer in force; then the
// rules after it decide.
type HoldBack struct {
	// Max ends a hold that nothing else ended; the command goes on as if
	// it had been released. 0 is DefaultHoldMax.
	Max time.Duration
}

// DefaultHoldMax is how long a command is held when a rule does not say. It is
// below the 120 s after which Linux takes a TPM that does not answer its first
// command for a TPM 1.2 (drivers/char/tpm/tpm-interface.c: tpm2_probe has the
// default duration).
const DefaultHoldMax = 60 * time.Second

var holdKind = Kind{
	Word: "hold", Value: "[MAX]", Group: Availability,
	Doc: "The command is held until the rule is no longer in force, and for MAX at most (" + DefaultHoldMax.String() +
		" if it is not given); then it goes on. A reset, power-off, new boot or cancel ends it before.",
	Example: "level=kernel..late_sync: hold=30s",
	parse:   parseHold,
}

func parseHold(value string) (Fault, error) {
	if value == "" {
		return HoldBack{}, nil
	}
	longest, err := time.ParseDuration(value)
	if err != nil || longest <= 0 {
		return nil, errors.New("the longest hold is not a time, such as 30s")
	}
	return HoldBack{Max: longest}, nil
}

func (HoldBack) kind() *Kind { return &holdKind }

func (h HoldBack) String() string {
	if h.Max == 0 {
		return "hold"
	}
	return "hold=" + h.Max.String()
}

func (h HoldBack) check(p *Plan, r *Rule) string {
	switch {
	case h.Max < 0:
		return fmt.Sprintf("the longest hold, %s, is negative", h.Max)
	case r.When.Until == initcall.Firmware && p.Clock == nil:
		return "it holds commands and nothing but its maximum ever ends that: it needs an end or a clock"
	}
	return ""
}

func (h HoldBack) apply(x *exchange) ([]byte, error) {
	longest := h.Max
	if longest == 0 {
		longest = DefaultHoldMax
	}
	return x.hold(longest, x.next)
}
