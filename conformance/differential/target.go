package differential

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"runtime/debug"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/transport"
)

// Target is one of the two implementations.
type Target struct {
	// Name stands in reports and selects known differences, "simulator" say.
	Name string
	// Fresh gives a device as it leaves the factory: with power, before
	// TPM2_Startup, with nothing left of the device it gave before, which is
	// not used any more.
	Fresh func(context.Context) (transport.Device, error)
	// Localities at which commands may be sent; nil stands for 0 alone.
	Localities []uint8
	// MinCommand is the smallest command that gets an answer, in bytes. A
	// transport that waits for a whole header needs 10.
	MinCommand int
}

// Outcome is what became of a step.
type Outcome struct {
	// Response of a Send that was answered.
	Response []byte
	// Err of a Send that was not answered, or of any other action. Errors are
	// compared by presence: their texts are the transport's.
	Err error
	// Problem says what is wrong with the answer to the caller of a session:
	// its HMAC. Empty if nothing is, or nothing was to be checked.
	Problem string
}

func (o Outcome) String() string {
	if o.Err != nil {
		return "error: " + o.Err.Error()
	}
	if code, ok := conformance.ResponseCode(o.Response); ok && code != 0 {
		return hex.EncodeToString(o.Response) + " " + conformance.Describe(code)
	}
	return hexOrDash(o.Response)
}

// same says whether two outcomes are equal to the last byte.
func (o Outcome) same(other Outcome) bool {
	return (o.Err == nil) == (other.Err == nil) && o.Problem == other.Problem && bytes.Equal(o.Response, other.Response)
}

// UnsupportedError says that a device cannot do what a step asks for.
type UnsupportedError struct {
	Target string
	Action Action
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("%s cannot do %s: the device has no such interface (see transport.As)", e.Target, e.Action)
}

// player plays steps on one device.
type player struct {
	target *Target
	device transport.Device
	caller caller
}

// player gives a player on a fresh device.
func (t *Target) player(ctx context.Context) (*player, error) {
	device, err := t.Fresh(ctx)
	if err != nil {
		return nil, fmt.Errorf("fresh %s: %w", t.Name, err)
	}
	return &player{target: t, device: device, caller: caller{sessions: map[uint32]*liveSession{}}}, nil
}

// do carries out one step. The error is for a device that cannot, as opposed
// to one that refuses, and for ctx.
func (p *player) do(ctx context.Context, step Step) (Outcome, error) {
	if err := ctx.Err(); err != nil {
		return Outcome{}, err
	}
	switch step.Action {
	case Send, SendHMAC:
		return p.send(ctx, step), ctx.Err()
	case Init, PowerOff:
		power, ok := transport.As[transport.Power](p.device)
		if !ok {
			return Outcome{}, &UnsupportedError{Target: p.target.Name, Action: step.Action}
		}
		clear(p.caller.sessions)
		if step.Action == Init {
			return Outcome{Err: power.Init()}, nil
		}
		return Outcome{Err: power.PowerOff()}, nil
	}
	sequence, ok := transport.As[transport.HashSequence](p.device)
	if !ok {
		return Outcome{}, &UnsupportedError{Target: p.target.Name, Action: step.Action}
	}
	switch step.Action {
	case HashStart:
		return Outcome{Err: sequence.HashStart()}, nil
	case HashData:
		return Outcome{Err: sequence.HashData(step.Data)}, nil
	}
	return Outcome{Err: sequence.HashEnd()}, nil
}

// send sends a command. A panic becomes the outcome's error: it is a finding
// like any other, and the campaign that found it must print it.
func (p *player) send(ctx context.Context, step Step) (outcome Outcome) {
	defer func() {
		if r := recover(); r != nil {
			outcome = Outcome{Err: fmt.Errorf("panic: %v\n%s", r, debug.Stack())}
		}
	}()
	command := step.Data
	if step.Action == SendHMAC {
		command = p.caller.signed(command, step.Secrets)
	}
	response, err := p.device.Send(ctx, step.Locality, command)
	if err != nil {
		return Outcome{Err: err}
	}
	return Outcome{Response: response, Problem: p.caller.observe(command, response, step.Secrets)}
}

// Play plays a script on a fresh device and gives the outcome of every step.
// The error is for a device that could not be made or cannot do a step.
func (t *Target) Play(ctx context.Context, script Script) ([]Outcome, error) {
	p, err := t.player(ctx)
	if err != nil {
		return nil, err
	}
	outcomes := make([]Outcome, 0, len(script))
	for _, step := range script {
		outcome, err := p.do(ctx, step)
		if err != nil {
			return nil, err
		}
		outcomes = append(outcomes, outcome)
	}
	return outcomes, nil
}
