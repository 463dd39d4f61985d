package differential

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/generator"
	"github.com/swtpmd/swtpmd/transport"
)

// packetsPerScript is how many commands of the first layer share a device.
const packetsPerScript = 150

func (r *run) packetLayer(ctx context.Context) error {
	changes := r.source.Sweep()
	// Half of a short campaign is the sweep, so that drawn commands are not
	// crowded out.
	changes = changes[:min(len(changes), r.campaign.Packets/2)]
	n := (r.campaign.Packets + packetsPerScript - 1) / packetsPerScript
	return r.playLayer(ctx, "packets", n, func(i int) generator.Writer {
		of := min(packetsPerScript, r.campaign.Packets-i*packetsPerScript)
		part := changes[i*len(changes)/n : (i+1)*len(changes)/n]
		return r.source.Packets(i, of, part)
	})
}

func (r *run) sequenceLayer(ctx context.Context) error {
	power := r.bothHave(ctx)
	return r.playLayer(ctx, "sequences", r.campaign.Sequences, func(i int) generator.Writer {
		return r.source.Sequence(i, power)
	})
}

func (r *run) powerLayer(ctx context.Context) error {
	if r.campaign.Power > 0 && !r.bothHave(ctx) {
		return errors.New("differential: the power layer needs devices that are transport.Power and transport.HashSequence; set Power to 0")
	}
	return r.playLayer(ctx, "power", r.campaign.Power, r.source.Power)
}

// bothHave reports whether both devices have a power switch and take hash
// signals.
func (r *run) bothHave(ctx context.Context) bool {
	for _, t := range []conversation.Target{r.campaign.Theirs, r.campaign.Ours} {
		device, err := t.Fresh(ctx)
		if err != nil {
			return false
		}
		_, power := transport.As[transport.Power](device)
		_, hash := transport.As[transport.HashSequence](device)
		if !power || !hash {
			return false
		}
	}
	return true
}

func (r *run) playLayer(ctx context.Context, name string, n int, script func(int) generator.Writer) error {
	if n <= 0 {
		return nil
	}
	r.report.Layers = append(r.report.Layers, Layer{Name: name})
	r.layer = &r.report.Layers[len(r.report.Layers)-1]
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	i := 0
	for d := range r.drawAll(ctx, n, script) {
		err := d.Err
		if err == nil {
			r.report.stopped(name, i, d.Ended, d.Failed)
			err = r.check(ctx, d.Script, d.Outcomes)
		}
		if err != nil {
			return fmt.Errorf("%s script %d of seed %d: %w", name, i, r.campaign.Seed, err)
		}
		i++
		r.layer.Scripts++
		if r.campaign.Progress != nil {
			r.campaign.Progress(name, i, n, r.report.Unexplained())
		}
		if len(r.report.Findings) >= r.campaign.MaxFindings {
			return ErrTooManyFindings
		}
	}
	return ctx.Err()
}

// drawAll draws n scripts with the reference, one ahead of those that are
// checked with the device under test. It stops when the caller does.
func (r *run) drawAll(ctx context.Context, n int, script func(int) generator.Writer) iter.Seq[generator.Written] {
	if r.campaign.OneDevice {
		return func(yield func(generator.Written) bool) {
			for i := range n {
				if !yield(r.draw(ctx, i, script)) {
					return
				}
			}
		}
	}
	return func(yield func(generator.Written) bool) {
		ahead, stopped := make(chan generator.Written), make(chan struct{})
		go func() {
			defer close(ahead)
			for i := range n {
				p := r.draw(ctx, i, script)
				select {
				case <-stopped:
					return
				case ahead <- p:
				}
			}
		}()
		defer func() {
			close(stopped)
			for range ahead { // until nobody draws any more
			}
		}()
		for p := range ahead {
			if !yield(p) {
				return
			}
		}
	}
}

// draw writes a script while playing it on the reference.
func (r *run) draw(ctx context.Context, i int, script func(int) generator.Writer) generator.Written {
	r.reference.Lock()
	defer r.reference.Unlock()
	player, err := r.campaign.Theirs.Player(ctx, r.seeds)
	if err != nil {
		return generator.Written{Err: err}
	}
	return script(i)(ctx, player)
}
