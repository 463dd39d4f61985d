package conversation

import (
	"context"
	"fmt"

	"github.com/swtpmd/swtpmd/transport"
)

// Target makes the devices of one of the two implementations.
type Target struct {
	// Name is the name in reports, and selects known differences; for example
	// "simulator".
	Name string
	// Fresh returns a device in its factory state: with power, before TPM2_Startup.
	// It keeps nothing of the device returned before, which is not used anymore.
	Fresh func(context.Context) (transport.Device, error)
	// Seeded is Fresh with given primary seeds, nil if the device cannot take any. If
	// both targets can, the keys derived from the seeds are compared exactly.
	Seeded func(context.Context, Seeds) (transport.Device, error)
	// Localities at which commands may be sent; nil stands for 0 alone.
	Localities []uint8
	// Ended reports whether the error of a step means that the device has ended, or
	// its process has, until Fresh or Seeded return another one. Nil stands for
	// never.
	Ended func(error) bool
	// Retries reports whether the device answers TPM_RC_RETRY to commands that it
	// could execute at once. Then the caller sends the command again, as drivers
	// do.
	Retries bool
	// MinCommand is the smallest command that gets an answer, in bytes. A
	// transport that waits for a whole header needs 10.
	MinCommand int
}

// Seeds are the primary seeds of a device, 64 bytes each.
type Seeds struct {
	Endorsement, Storage, Platform [64]byte
}

// UnsupportedError is a step that a device has no interface for.
type UnsupportedError struct {
	Target string
	Action Action
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("%s cannot do %s: the device has no such interface (see transport.As)", e.Target, e.Action)
}

// HasEnded reports whether the device has ended with the outcome.
func (t *Target) HasEnded(o Outcome) bool { return o.Err != nil && t.Ended != nil && t.Ended(o.Err) }

func (t *Target) fresh(ctx context.Context, seeds *Seeds) (transport.Device, error) {
	if seeds != nil {
		return t.Seeded(ctx, *seeds)
	}
	return t.Fresh(ctx)
}

// Play plays a script on a fresh device and returns the outcome of every step. The
// error is that of Fresh, an [*UnsupportedError], or that of ctx.
func (t *Target) Play(ctx context.Context, script Script) ([]Outcome, error) {
	return t.PlaySeeded(ctx, nil, script)
}

// PlaySeeded is Play on a device with the seeds, unless they are nil.
func (t *Target) PlaySeeded(ctx context.Context, seeds *Seeds, script Script) ([]Outcome, error) {
	p, err := t.Player(ctx, seeds)
	if err != nil {
		return nil, err
	}
	outcomes := make([]Outcome, 0, len(script))
	for _, step := range script {
		outcome, err := p.Do(ctx, step)
		if err != nil {
			return nil, err
		}
		outcomes = append(outcomes, outcome)
	}
	return outcomes, nil
}
