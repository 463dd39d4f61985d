package conversation

import (
	"context"
	"fmt"
	"runtime/debug"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
	"github.com/swtpmd/swtpmd/transport"
)

// Player plays steps on one device.
type Player struct {
	target *Target
	device transport.Device
	caller *caller
	seeds  *Seeds
}

// Player returns a player on a fresh device, with the seeds unless they are nil.
func (t *Target) Player(ctx context.Context, seeds *Seeds) (*Player, error) {
	device, err := t.fresh(ctx, seeds)
	if err != nil {
		return nil, fmt.Errorf("fresh %s: %w", t.Name, err)
	}
	return &Player{target: t, device: device, caller: newCaller(seeds != nil), seeds: seeds}, nil
}

// Ended reports whether the device has ended.
func (p *Player) Ended(o Outcome) bool { return p.target.HasEnded(o) }

// Field returns a field of the answer to an earlier step; see [Hole].
func (p *Player) Field(step, field int) ([]byte, bool) { return p.caller.answers[step].field(field) }

// Name returns the Name of an entity, nil if it is not known.
func (p *Player) Name(handle uint32) []byte { return p.caller.nameOf(handle) }

// Knows reports whether the player has seen the object, sequence or NV index with the
// handle.
func (p *Player) Knows(handle uint32) bool { return p.caller.entities[handle] != nil }

// Public returns the public area of a key.
func (p *Player) Public(handle uint32) (*wire.Public, bool) {
	e := p.caller.entities[handle]
	if e == nil || e.public.Kind == 0 {
		return nil, false
	}
	return &e.public, true
}

// Nonce returns nonceTPM of a session.
func (p *Player) Nonce(session uint32) ([]byte, bool) {
	s := p.caller.sessions[session]
	if s == nil {
		return nil, false
	}
	return s.nonceTPM, true
}

// Policy returns policyDigest of a session with its hash algorithm, nil if it is not
// known.
func (p *Player) Policy(session uint32) (alg tpm2.TPMAlgID, digest []byte) {
	if s := p.caller.sessions[session]; s != nil {
		return s.alg, s.policy
	}
	return tpm2.TPMAlgNull, nil
}

// Again returns a player on another fresh device.
func (p *Player) Again(ctx context.Context) (*Player, error) { return p.target.Player(ctx, p.seeds) }

// Do plays one step. A device that refuses the step gives an [Outcome]; the error is
// an [*UnsupportedError] or that of ctx.
func (p *Player) Do(ctx context.Context, step Step) (Outcome, error) {
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
func (p *Player) send(ctx context.Context, step Step) (outcome Outcome) {
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
	outcome = Outcome{Response: response, Err: err, Sent: x.sent, Inputs: x.inputs, History: p.caller.history, OnSequence: p.caller.onSequence(x), Garbled: x.garbled}
	if err == nil {
		s := p.caller.observe(x, response)
		outcome.Plain, outcome.Problem, outcome.Opaque = s.plain, s.problem, s.opaque
	}
	return outcome
}
