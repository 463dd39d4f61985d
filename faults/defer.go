package faults

import (
	"fmt"
	"strings"

	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/faults/initcall"
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
	do   Fault
}{
	Fail:       {"fail", Answer(wire.RCFailure)},
	Initialize: {"initialize", Answer(wire.RCInitialize)},
	Retry:      {"retry", Answer(wire.RCRetry)},
	Testing:    {"testing", Answer(wire.RCTesting)},
	Hold:       {"hold", HoldBack{}},
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
