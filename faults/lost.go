package faults

import (
	"errors"
	"fmt"
	"time"

	"github.com/swtpmd/swtpmd/faults/initcall"
)

// ErrNoAnswer is what Send returns for a command that the TPM does not answer. Servers
// give their clients what they do for a TPM that is not there: TPM_RC_FAILURE.
var ErrNoAnswer = errors.New("the TPM gave no answer")

// Lost is the outcome of a command that is not answered.
const Lost Outcome = "lost" // the TPM gave no answer

// lose decides that the command is not answered.
func (x *exchange) lose() ([]byte, error) {
	x.decision.Outcome = Lost
	return nil, ErrNoAnswer
}

// parseMax reads the longest time of a hold, or nothing.
func parseMax(value string) (longest time.Duration, err error) {
	if value == "" {
		return 0, nil
	}
	longest, err = time.ParseDuration(value)
	if err != nil || longest <= 0 {
		return 0, errors.New("the longest time is not one, such as 30s")
	}
	return longest, nil
}

// withMax is a kind's word and the longest time, if there is one.
func withMax(word string, longest time.Duration) string {
	if longest == 0 {
		return word
	}
	return word + "=" + longest.String()
}

// orDefault returns the longest time of a hold.
func orDefault(longest time.Duration) time.Duration {
	if longest == 0 {
		return DefaultHoldMax
	}
	return longest
}

// checkMax returns why a rule cannot keep its commands for so long, empty if it can.
func checkMax(longest time.Duration, p *Plan, r *Rule) string {
	switch {
	case longest < 0:
		return fmt.Sprintf("the longest time, %s, is negative", longest)
	case longest == 0 && r.When.Until == initcall.Firmware && p.Clock == nil:
		return "nothing but the maximum ever ends it: it needs that, an end or a clock"
	}
	return ""
}
