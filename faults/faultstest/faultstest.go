// Package faultstest puts faults in front of a TPM for a Go test.
//
//	tpm := faultstest.New(t, emulatortest.New(t), "PCR_Extend#3: rc=TPM_RC_FAILURE")
//
// is all that a test needs, and FuzzPlans has Go's fuzzer choose the faults.
package faultstest

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/transport"
)

// SeedVariable is the environment variable with the seed of New. Without it the seed is 1.
const SeedVariable = "FAULTS_SEED"

// Device is a device with rules in front of it, for a test.
type Device struct {
	*faults.Layer
	// Clock says how far the boot has come, for rules with levels.
	Clock *initcall.Clock

	device transport.Device
	seed   uint64

	mu        sync.Mutex
	decisions []faults.Decision
}

// New puts rules in front of a TPM for a test. Rules are text, as faults.ParseRule reads
// it, or values. A plan that is none fails the test. Faults that leave the protocol need
// no Plan.Dangerous here.
//
// If the test fails, its output has the seed, which SeedVariable sets to run it again, and
// what each rule has done. Commands that are held when the test ends are let go.
func New[R string | faults.Rule](tb testing.TB, next transport.Device, rules ...R) *Device {
	tb.Helper()
	d := &Device{Clock: new(initcall.Clock), seed: 1}
	if text := os.Getenv(SeedVariable); text != "" {
		var err error
		if d.seed, err = strconv.ParseUint(text, 0, 64); err != nil {
			tb.Fatalf("faultstest: %s: %v", SeedVariable, err)
		}
	}
	plan := faults.Plan{Clock: d.Clock, Seed: d.seed, Dangerous: true, Journal: d.journal}
	for _, r := range rules {
		switch r := any(r).(type) {
		case faults.Rule:
			plan.Rules = append(plan.Rules, r)
		case string:
			rule, err := faults.ParseRule(r)
			if err != nil {
				tb.Fatalf("faultstest: rule %q: %v", r, err)
			}
			plan.Rules = append(plan.Rules, rule)
		}
	}
	var err error
	if d.device, err = faults.Wrap(next, plan); err != nil {
		tb.Fatalf("faultstest: %v", err)
	}
	d.Layer, _ = faults.Of(d.device)
	tb.Cleanup(func() {
		d.Cancel()
		if tb.Failed() {
			tb.Log(d.Report())
		}
	})
	return d
}

// Unwrap returns the device that faults.Wrap has made.
func (d *Device) Unwrap() transport.Device { return d.device }

func (d *Device) journal(decision faults.Decision) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.decisions = append(d.decisions, decision)
}

// Decisions returns what rules have decided, in order.
func (d *Device) Decisions() []faults.Decision {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]faults.Decision(nil), d.decisions...)
}

// reported is how many decisions a report has.
const reported = 20

// Report says in lines of text how to repeat the run, what each rule has done, and what was
// decided last.
func (d *Device) Report() string {
	var text strings.Builder
	fmt.Fprintf(&text, "faults: %s=%d repeats this run\n", SeedVariable, d.seed)
	for _, r := range d.Rules() {
		fmt.Fprintf(&text, "faults: rule %q fired for %d of %d commands that it fits\n", r.String(), r.Fired, r.Fitted)
	}
	decisions := d.Decisions()
	if n := len(decisions) - reported; n > 0 {
		fmt.Fprintf(&text, "faults: %d decisions before these\n", n)
		decisions = decisions[n:]
	}
	for i := range decisions {
		fmt.Fprintf(&text, "faults: %s\n", line(&decisions[i]))
	}
	return strings.TrimSuffix(text.String(), "\n")
}

// line tells of a decision in one line.
func line(d *faults.Decision) string {
	name, _, ok := wire.CC(d.Command).Command()
	if !ok {
		name = fmt.Sprintf("%#x", d.Command)
	}
	text := fmt.Sprintf("command %d, %s, was %s", d.Number, name, d.Outcome)
	if d.Code != 0 {
		text += " " + wire.RC(d.Code).String()
	}
	for _, more := range []string{d.Cause, d.Detail} {
		if more != "" {
			text += " (" + more + ")"
		}
	}
	return text + " by rule " + strconv.Quote(d.Rule)
}
