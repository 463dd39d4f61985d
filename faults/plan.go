// Package faults puts a TPM into the situations that its users must survive,
// without the TPM knowing.
//
// Wrap gates a transport.Device by a Plan: rules that say when (how far the
// boot has come, which command, which locality) and what then happens instead
// of, or before, the TPM's own answer. The first purpose is the TPM that comes
// late: Defer builds the rule for it, an initcall.Clock says how far the boot
// has come, and every decision is told to Plan.Journal.
//
// What a fault may not do: the transport's own question whether a TPM is there
// (transport.WithProbe) always passes, no rule decides while the device has no
// power, and a command that is held is let go by a reset, by power-off, by a new boot,
// by Cancel, by the end of its context and by the rule's own maximum, so that no
// stall outlives the one who asked for it. Each of them lets go every command
// that came before it, and none that came before a reset is executed after it.
package faults

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/swtpmd/swtpmd/faults/initcall"
)

// Plan says which faults a device shows. The zero value shows none.
type Plan struct {
	// Clock says how far the boot has come. A nil Clock stands at
	// initcall.Firmware for ever.
	Clock *initcall.Clock
	// Rules are asked in order; the first whose When fits decides.
	Rules []Rule
	// Journal, if set, is told every decision a rule took, after the
	// command's answer is known; of a command that is held it is told when
	// the hold begins too, with the outcome Held. It is called by the
	// goroutine that sends the command, so it may be called concurrently.
	// It must not send commands itself; it may move the clock, switch the
	// power and cancel, and what it does so concerns the held command too.
	Journal func(Decision)
}

// Rule is one fault.
type Rule struct {
	// Name tells the rule from others in the journal.
	Name string
	When When
	Do   Do
}

// When says which commands a rule is for. The zero value is every command in
// every boot.
type When struct {
	// From and Until bound the levels: the rule is in force from the moment
	// the boot has reached From until it reaches Until. An Until of
	// initcall.Firmware, the zero value, stands for no end.
	From, Until initcall.Level
	// Boots limits the rule to the first so many boots; 0 is all of them.
	Boots int
	// Commands lists command codes (TPM_CC, TPM 2.0 Library Part 2, section
	// "TPM_CC"); an empty list is every command. A command too short to have
	// a code is none of a list.
	Commands []uint32
	// Localities lists localities; an empty list is every locality.
	Localities []uint8
}

// InForce reports whether a boot at now is where the rule applies.
func (w *When) InForce(now initcall.Event) bool {
	if w.Boots > 0 && now.Boot > w.Boots {
		return false
	}
	return now.Level >= w.From && (w.Until == initcall.Firmware || now.Level < w.Until)
}

func (w *When) fits(now initcall.Event, code uint32, coded bool, locality uint8) bool {
	return w.InForce(now) &&
		(len(w.Commands) == 0 || coded && slices.Contains(w.Commands, code)) &&
		(len(w.Localities) == 0 || slices.Contains(w.Localities, locality))
}

// Do says what happens to a command. The zero value lets it pass, which is
// useful before a wider rule.
type Do struct {
	// Answer is a response code (TPM_RC, 32 bits) to answer with; the TPM
	// does not see the command. 0 is none.
	Answer uint32
	// Hold keeps the command from the TPM until the rule is no longer in
	// force; then the TPM executes it. It goes before Answer: with both, the
	// command is held and then answered.
	Hold bool
	// HoldMax ends a hold that nothing else ended; the command goes on as if
	// it had been released. 0 is DefaultHoldMax.
	HoldMax time.Duration
}

// DefaultHoldMax is how long a command is held when a rule does not say. It is
// below the 120 s after which Linux takes a TPM that does not answer its first
// command for a TPM 1.2 (drivers/char/tpm/tpm-interface.c: tpm2_probe has the
// default duration).
const DefaultHoldMax = 60 * time.Second

// Response codes that a late or ailing TPM answers (TPM 2.0 Library Part 2,
// section "TPM_RC", rev 1.59).
const (
	rcInitialize uint32 = 0x100 // TPM_RC_INITIALIZE: no TPM2_Startup yet
	rcFailure    uint32 = 0x101 // TPM_RC_FAILURE
	rcCanceled   uint32 = 0x909 // TPM_RC_CANCELED
	rcTesting    uint32 = 0x90A // TPM_RC_TESTING: self-tests are running
	rcRetry      uint32 = 0x922 // TPM_RC_RETRY: not started, send again
)

// WhileDeferred is the way in which a TPM that is not there yet answers.
type WhileDeferred uint8

// The ways. The zero value is Fail.
const (
	Fail       WhileDeferred = iota // TPM_RC_FAILURE to every command
	Initialize                      // TPM_RC_INITIALIZE, as without firmware
	Retry                           // TPM_RC_RETRY: Linux asks 8 times, then gives up
	Testing                         // TPM_RC_TESTING: Linux sees a TPM in field failure mode
	Hold                            // no answer until the TPM is there
)

var ways = [...]struct {
	name string
	do   Do
}{
	Fail:       {"fail", Do{Answer: rcFailure}},
	Initialize: {"initialize", Do{Answer: rcInitialize}},
	Retry:      {"retry", Do{Answer: rcRetry}},
	Testing:    {"testing", Do{Answer: rcTesting}},
	Hold:       {"hold", Do{Hold: true}},
}

// String returns the name that UnmarshalText takes.
func (w WhileDeferred) String() string {
	if int(w) < len(ways) {
		return ways[w].name
	}
	return fmt.Sprintf("WhileDeferred(%d)", uint8(w))
}

// UnknownWayError is the answer to the name of a way that does not exist.
type UnknownWayError struct {
	Name string
}

func (e *UnknownWayError) Error() string {
	names := make([]string, len(ways))
	for i := range ways {
		names[i] = ways[i].name
	}
	return fmt.Sprintf("unknown way to answer while deferred %q; the ways are %s", e.Name, strings.Join(names, ", "))
}

// MarshalText returns the way's name.
func (w WhileDeferred) MarshalText() ([]byte, error) {
	if int(w) >= len(ways) {
		return nil, &UnknownWayError{Name: w.String()}
	}
	return []byte(w.String()), nil
}

// UnmarshalText reads the way's name. It makes WhileDeferred a flag value for
// flag.TextVar.
func (w *WhileDeferred) UnmarshalText(text []byte) error {
	for i := range ways {
		if ways[i].name == string(text) {
			*w = WhileDeferred(i)
			return nil
		}
	}
	return &UnknownWayError{Name: string(text)}
}

// Defer is the rule of a TPM that the kernel finds absent until the boot
// reaches until. It begins when the kernel starts: firmware has used the chip
// and measured into it, as on a board where the driver is late and not the
// chip. Set When.From to initcall.Firmware for a chip that is absent from
// power-on.
func Defer(until initcall.Level, while WhileDeferred) Rule {
	rule := Rule{
		Name: "defer-until=" + until.String(),
		When: When{From: initcall.Kernel, Until: until},
	}
	if int(while) < len(ways) {
		rule.Do = ways[while].do
	}
	return rule
}

// PlanError says which rule of a plan cannot work, and why.
type PlanError struct {
	Rule   string
	Reason string
}

func (e *PlanError) Error() string {
	return fmt.Sprintf("fault rule %q: %s", e.Rule, e.Reason)
}

// Validate finds rules that could never be in force.
func (p *Plan) Validate() error {
	last := initcall.Userspace
	for i := range p.Rules {
		r := &p.Rules[i]
		switch {
		case r.When.From > last || r.When.Until > last:
			return &PlanError{r.Name, "there is no such level"}
		case r.When.Until != initcall.Firmware && r.When.From >= r.When.Until:
			return &PlanError{r.Name, fmt.Sprintf("it ends at %s, which is not after its beginning at %s", r.When.Until, r.When.From)}
		case r.When.Boots < 0:
			return &PlanError{r.Name, "the number of boots is negative"}
		case r.Do.HoldMax < 0:
			return &PlanError{r.Name, "the longest hold is negative"}
		case r.Do.Hold && r.When.Until == initcall.Firmware && p.Clock == nil:
			return &PlanError{r.Name, "it holds commands and nothing but its maximum ever ends that: it needs an end or a clock"}
		}
	}
	return nil
}
