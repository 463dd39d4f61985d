package differential

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"runtime/debug"

	"github.com/google/go-tpm/tpm2"

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
	// Seeded is Fresh with given primary seeds, nil if that cannot be had. Where
	// both targets can, what follows from the seeds is compared exactly.
	Seeded func(context.Context, Seeds) (transport.Device, error)
	// Localities at which commands may be sent; nil stands for 0 alone.
	Localities []uint8
	// Ended reports whether an error of a step means that the device is no more,
	// its process say, until Fresh or Seeded give another one. Nil stands for
	// never.
	Ended func(error) bool
	// Retries says that the device answers TPM_RC_RETRY before it does what it
	// could have done at once, and that a caller sends the command again, as
	// drivers do.
	Retries bool
	// MinCommand is the smallest command that gets an answer, in bytes. A
	// transport that waits for a whole header needs 10.
	MinCommand int
}

// Seeds are the primary seeds of a device, 64 bytes each.
type Seeds struct {
	Endorsement, Storage, Platform [64]byte
}

// Outcome is what became of a step.
type Outcome struct {
	// Response of a Send that was answered.
	Response []byte
	// Err of a Send that was not answered, or of any other action. Errors are
	// compared by presence: their texts are the transport's.
	Err error
	// Problem says what is wrong with the answer to the caller of a session:
	// an HMAC, a signature, a name. Empty if nothing is, or nothing was to be
	// checked.
	Problem string
	// Sent is the command as this device got it, but for HMACs and encryption.
	Sent []byte

	// plain is Response with its first parameter decrypted.
	plain []byte
	// inputs and history are equal for two devices if all that the answer may
	// depend on is, of this step and of all before it.
	inputs, history uint64
	// onSequence says that a handle is that of a sequence.
	onSequence bool
	// garbled says that the device has taken the first parameter for encrypted
	// and it was not, so that what it has got is random; opaque that the caller
	// cannot decrypt the first parameter of the answer.
	garbled, opaque bool
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
	caller *caller
	both   *common
}

// common is what the two devices of a campaign have in common.
type common struct {
	// seeds are their primary seeds, nil if they cannot be chosen.
	seeds *Seeds
}

// ended reports whether the device is no more.
func (t *Target) ended(o Outcome) bool { return o.Err != nil && t.Ended != nil && t.Ended(o.Err) }

// player gives a player on a fresh device.
func (t *Target) player(ctx context.Context, both *common) (*player, error) {
	device, err := t.fresh(ctx, both.seeds)
	if err != nil {
		return nil, fmt.Errorf("fresh %s: %w", t.Name, err)
	}
	return &player{target: t, device: device, caller: newCaller(both.seeds != nil), both: both}, nil
}

// again gives a player on another fresh device.
func (p *player) again(ctx context.Context) (*player, error) { return p.target.player(ctx, p.both) }

func (t *Target) fresh(ctx context.Context, seeds *Seeds) (transport.Device, error) {
	if seeds != nil {
		return t.Seeded(ctx, *seeds)
	}
	return t.Fresh(ctx)
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
		p.caller.restarted()
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
	x := p.caller.prepare(&step)
	response, err := p.device.Send(ctx, step.Locality, x.wire)
	if code, ok := conformance.ResponseCode(response); ok && code == uint32(tpm2.TPMRCRetry) && p.target.Retries {
		response, err = p.device.Send(ctx, step.Locality, x.wire)
	}
	outcome = Outcome{Response: response, Err: err, Sent: x.sent, inputs: x.inputs, history: p.caller.history, onSequence: p.caller.onSequence(x), garbled: x.garbled}
	if err == nil {
		s := p.caller.observe(x, response)
		outcome.plain, outcome.Problem, outcome.opaque = s.plain, s.problem, s.opaque
	}
	return outcome
}

// Play plays a script on a fresh device and gives the outcome of every step.
// The error is for a device that could not be made or cannot do a step.
func (t *Target) Play(ctx context.Context, script Script) ([]Outcome, error) {
	return t.play(ctx, &common{}, script)
}

func (t *Target) play(ctx context.Context, both *common, script Script) ([]Outcome, error) {
	p, err := t.player(ctx, both)
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
