package faults

import (
	"time"

	"github.com/swtpmd/swtpmd/faults/initcall"
)

// Decision is what a rule did to one command.
type Decision struct {
	Time time.Time `json:"time"`
	// Number is the number of the command among all that the layer was sent, from 1.
	Number uint64 `json:"number"`
	// Boot and Level are where the boot stood when the command came.
	Boot  int            `json:"boot"`
	Level initcall.Level `json:"level"`
	// Rule is the rule's name, Fault what it does.
	Rule  string `json:"rule"`
	Fault string `json:"fault"`
	// Occurrence is the number of the command, from 1, among those that the rule is for
	// but for its counting fields.
	Occurrence uint64 `json:"occurrence"`
	// Command is the TPM_CC, 0 if the command was too short to have one.
	Command  uint32 `json:"command"`
	Locality uint8  `json:"locality"`
	// Outcome says what became of the command.
	Outcome Outcome `json:"outcome"`
	// Code is the response code that was answered in place of the TPM; only
	// for the outcomes Answered, Canceled and Reset.
	Code uint32 `json:"code,omitempty"`
	// Detail tells what the fault has chosen or done, such as the bits it flipped.
	Detail string `json:"detail,omitempty"`
	// Longest is how long the command may be held; only for the outcome Held.
	Longest time.Duration `json:"longest_ns,omitempty"`
	// HeldFor is how long the command was held back or delayed, by Plan.Time.
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
	Delayed  Outcome = "delayed"   // kept back for the time of the rule, then executed
	Canceled Outcome = "canceled"  // answered TPM_RC_CANCELED for a cancel that came before the TPM had it
	Reset    Outcome = "reset"     // the same with TPM_RC_FAILURE for a reset, power-off or new boot
	Gone     Outcome = "abandoned" // held, then its sender gave up
)
