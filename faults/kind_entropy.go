package faults

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/transport"
)

// EntropyFault is a failure of the TPM's source of entropy.
type EntropyFault uint8

// The failures.
const (
	// EntropyFails: reading it fails.
	EntropyFails EntropyFault = iota
	// EntropyShort: it ends before it has given as much as the TPM needs.
	EntropyShort
	// EntropyStuck: it gives the same octets each time.
	EntropyStuck
)

var entropyWords = [...]string{EntropyFails: "fail", EntropyShort: "short", EntropyStuck: "stuck"}

var entropyKind = Kind{
	Word: "entropy", Value: "fail|short|stuck", Group: Inside,
	Doc: "The source of entropy fails, gives too little, or gives the same octets each time, while the command is executed. " +
		"TPM2_StirRandom alone reads it, and _TPM_Init; fail and short put the TPM in failure mode, stuck is not noticed.",
	Example: "StirRandom#2: entropy=fail",
	parse: func(value string) (Fault, error) {
		if i := slices.Index(entropyWords[:], value); i >= 0 {
			return EntropyFault(i), nil
		}
		return nil, fmt.Errorf("entropy is one of fail, short, stuck, and not %q", value)
	},
}

func (EntropyFault) kind() *Kind { return &entropyKind }

func (EntropyFault) needs(d transport.Device) string { return closed(d) }
func (EntropyFault) prepare(l *Layer)                { l.surround() }

func (e EntropyFault) String() string { return "entropy=" + wordOf(entropyWords[:], e) }

func (e EntropyFault) check(_ *Plan, r *Rule) string {
	switch {
	case int(e) >= len(entropyWords):
		return fmt.Sprintf("there is no fault %s", e)
	case len(r.When.Commands) > 0 && !slices.Contains(r.When.Commands, uint32(wire.CCStirRandom)) && !r.When.atInit():
		return "none of its commands reads entropy: StirRandom and _TPM_Init alone do"
	}
	return ""
}

// errEntropy is what a read of failing entropy returns.
var errEntropy = errors.New("the source of entropy fails, as a fault rule has it")

// shortEntropy is how many octets come from entropy that is short.
const shortEntropy = 8

func (e EntropyFault) apply(x *exchange) ([]byte, error) { return x.inside(e.effect(x)) }
func (e EntropyFault) atInit(x *exchange)                { x.insideInit(e.effect(x)) }

func (e EntropyFault) effect(x *exchange) effect {
	decision := x.decision
	decision.Detail = "the TPM read no entropy"
	stuck := byte(x.rule.random(0, drawFault).Uint32()) // the same for each command
	return effect{entropy: func(below io.Reader) io.Reader {
		return readFunc(func(p []byte) (int, error) {
			switch e {
			case EntropyShort:
				decision.Detail = fmt.Sprintf("%d of %d octets of entropy", shortEntropy, len(p))
				n, err := io.ReadFull(below, p[:min(shortEntropy, len(p))])
				return n, errors.Join(err, io.EOF)
			case EntropyStuck:
				decision.Detail = fmt.Sprintf("%d octets of entropy that are all 0x%02x", len(p), stuck)
				for i := range p {
					p[i] = stuck
				}
				return len(p), nil
			}
			decision.Detail = "reading entropy failed"
			return 0, errEntropy
		})
	}}
}

// readFunc is a function that is an io.Reader.
type readFunc func(p []byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }
