package conversation

import (
	"context"
	"fmt"

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

// UnsupportedError says that a device cannot do what a step asks for.
type UnsupportedError struct {
	Target string
	Action Action
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("%s cannot do %s: the device has no such interface (see transport.As)", e.Target, e.Action)
}

// HasEnded reports whether the device is no more.
func (t *Target) HasEnded(o Outcome) bool { return o.Err != nil && t.Ended != nil && t.Ended(o.Err) }

func (t *Target) fresh(ctx context.Context, seeds *Seeds) (transport.Device, error) {
	if seeds != nil {
		return t.Seeded(ctx, *seeds)
	}
	return t.Fresh(ctx)
}

// Play plays a script on a fresh device and gives the outcome of every step.
// The error is for a device that could not be made or cannot do a step.
func (t *Target) Play(ctx context.Context, script Script) ([]Outcome, error) {
	return t.PlaySeeded(ctx, nil, script)
}

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
