package prediction

import (
	"fmt"
	"slices"

	"github.com/swtpmd/swtpmd/ima/boot"
)

// Result is a cell as it was predicted and as it was booted.
type Result struct {
	Cell Cell `json:"cell"`
	// Kernel is the release that the guest reports, QEMU its version.
	Kernel string `json:"kernel"`
	QEMU   string `json:"qemu"`
	// Evidence is the ID of the cell that the prediction was made from; empty for a
	// cell that is evidence itself.
	Evidence  string  `json:"evidence,omitempty"`
	Predicted []Share `json:"predicted,omitempty"`
	Boots     []Boot  `json:"boots"`
}

// Boot is one real boot of a cell.
type Boot struct {
	Outcome
	// Slow is why the boot does not count: on a busy machine the kernel's own
	// timeouts fire.
	Slow string `json:"slow,omitempty"`
	// Differs has the rows in which the simulation of this boot's own console is not
	// what the console shows.
	Differs []boot.ComparisonRow `json:"differs,omitempty"`
	// Looked is when IMA looked for the TPM, and Bound when the driver had bound to
	// it, in the kernel's seconds; 0 for never.
	Looked float64 `json:"looked_s,omitempty"`
	Bound  float64 `json:"bound_s,omitempty"`
	Took   float64 `json:"took_s"` // QEMU's life
}

// Real counts the boots that count by their outcomes.
func (r *Result) Real() []Share {
	var outcomes []Outcome
	for _, b := range r.Boots {
		if b.Slow == "" {
			outcomes = append(outcomes, b.Outcome)
		}
	}
	return shares(outcomes)
}

// Agreement is how prediction and reality of a cell compare.
type Agreement string

// The agreements.
const (
	// Same: one outcome was predicted, and every boot had it.
	Same Agreement = "same"
	// RaceSame: several outcomes were predicted, as nothing orders IMA's look and the
	// TPM, and every boot had one of them.
	RaceSame Agreement = "race"
	// Differs: a boot had an outcome that was not predicted.
	Differs Agreement = "differs"
	// Unpredicted: the cell is evidence, or no boot counts.
	Unpredicted Agreement = "evidence"
)

// Agreement compares prediction and reality.
func (r *Result) Agreement() Agreement {
	real := r.Real()
	if len(r.Predicted) == 0 || len(real) == 0 {
		return Unpredicted
	}
	for _, s := range real {
		if !slices.ContainsFunc(r.Predicted, func(p Share) bool { return p.Outcome == s.Outcome }) {
			return Differs
		}
	}
	if len(r.Predicted) > 1 {
		return RaceSame
	}
	return Same
}

// Reproduced reports whether the simulation of each boot's own console is what the
// console shows.
func (r *Result) Reproduced() bool {
	return !slices.ContainsFunc(r.Boots, func(b Boot) bool { return len(b.Differs) > 0 })
}

// String returns the result in a line.
func (r *Result) String() string {
	if r.Agreement() == Unpredicted {
		return "evidence: " + words(r.Real())
	}
	text := fmt.Sprintf("%s: predicted %s; booted %s", r.Agreement(), words(r.Predicted), words(r.Real()))
	if r.Agreement() == Differs {
		text += digests(r)
	}
	return text
}
