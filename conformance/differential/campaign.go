package differential

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/transport"
)

// Campaign compares a device under test with a reference.
type Campaign struct {
	Ours, Theirs Target
	// Seed draws everything. The same seed, counts and devices give the same
	// scripts.
	Seed uint64
	// Packets is the number of single commands of the first layer, Sequences
	// and Power the number of scripts of the second and third.
	Packets, Sequences, Power int
	// OneDevice says that Ours and Theirs are one device, which cannot play two
	// scripts at a time.
	OneDevice bool
	// Known are the differences that are no findings.
	Known []Difference
	// MaxFindings stops a campaign that has found so many kinds of
	// differences; 0 stands for 50.
	MaxFindings int
	// Progress is told how far the campaign is, if it is not nil.
	Progress func(layer string, done, of int, unexplained int)
	// Found is told each kind of difference when it is first found, if it is not
	// nil.
	Found func(Finding)
}

// ErrTooManyFindings ends a campaign early; the report has what was found.
var ErrTooManyFindings = errors.New("differential: too many kinds of differences; fix some and start again")

// packetsPerScript is how many commands of the first layer share a device.
const packetsPerScript = 150

// maxReplays bounds how often a script is played again without the steps that
// were different, to see the rest of it.
const maxReplays = 20

// run is a campaign under way.
type run struct {
	campaign Campaign
	comparer
	shared, others []uint32
	report         *Report
	layer          *Layer

	both common
	// reference is locked while a script is played on the reference: there is
	// one that draws scripts, and one that shortens what was found.
	reference sync.Mutex
	findings  map[findingKind]int // index into report.Findings
}

// Run plays the campaign. The report is never nil; with an error it holds what
// was done until then.
func (c Campaign) Run(ctx context.Context) (*Report, error) {
	r := &run{campaign: c, findings: map[findingKind]int{}, report: &Report{
		Seed: c.Seed, Ours: c.Ours.Name, Theirs: c.Theirs.Name,
		Commands: map[string]Tally{}, Codes: map[string]int{}, Explained: map[string]int{},
	}}
	if r.campaign.MaxFindings == 0 {
		r.campaign.MaxFindings = 50
	}
	r.match()
	err := r.identify(ctx)
	if err == nil {
		err = errors.Join(r.packetLayer(ctx), r.sequenceLayer(ctx), r.powerLayer(ctx))
	}
	r.finish()
	return r.report, err
}

// match gives all devices the same primary seeds, if they can be given any.
func (r *run) match() {
	if r.campaign.Ours.Seeded == nil || r.campaign.Theirs.Seeded == nil {
		return
	}
	r.both.seeds = &Seeds{}
	rng := rand.New(rand.NewPCG(r.campaign.Seed, streamSeeds))
	for _, seed := range []*[64]byte{&r.both.seeds.Endorsement, &r.both.seeds.Storage, &r.both.seeds.Platform} {
		for i := range seed {
			seed[i] = byte(rng.UintN(256))
		}
	}
}

// identify learns what both devices implement.
func (r *run) identify(ctx context.Context) error {
	var err error
	if r.theirs, err = r.campaign.Theirs.identify(ctx); err != nil {
		return err
	}
	if r.ours, err = r.campaign.Ours.identify(ctx); err != nil {
		return err
	}
	for _, c := range conformance.Commands() {
		switch ours, theirs := r.ours.has(c.Code), r.theirs.has(c.Code); {
		case ours && theirs:
			r.shared = append(r.shared, c.Code)
		case ours || theirs:
			r.others = append(r.others, c.Code)
			r.report.Unshared = append(r.report.Unshared, c.Name)
		}
	}
	return nil
}

func (r *run) minCommand() int { return max(r.campaign.Ours.MinCommand, r.campaign.Theirs.MinCommand) }

// localities gives those both devices take commands at.
func (r *run) localities() []uint8 {
	both := func(t Target) []uint8 {
		if t.Localities == nil {
			return []uint8{0}
		}
		return t.Localities
	}
	ours := both(r.campaign.Ours)
	return slices.DeleteFunc(slices.Clone(both(r.campaign.Theirs)), func(l uint8) bool { return !slices.Contains(ours, l) })
}

func (r *run) packetLayer(ctx context.Context) error {
	changes := sweep(r.campaign.Seed, r.shared)
	// Half of a short campaign is the sweep, so that drawn commands are not
	// crowded out.
	changes = changes[:min(len(changes), r.campaign.Packets/2)]
	n := (r.campaign.Packets + packetsPerScript - 1) / packetsPerScript
	return r.playLayer(ctx, "packets", n, func(i int) (*generator, func()) {
		g := newGenerator(r.campaign.Seed, streamPackets+uint64(i), packetStyle(r.minCommand()), r.shared, r.others)
		of := min(packetsPerScript, r.campaign.Packets-i*packetsPerScript)
		part := changes[i*len(changes)/n : (i+1)*len(changes)/n]
		return g, func() { g.packets(of, part) }
	})
}

func (r *run) sequenceLayer(ctx context.Context) error {
	power := r.bothHave(ctx)
	return r.playLayer(ctx, "sequences", r.campaign.Sequences, func(i int) (*generator, func()) {
		g := newGenerator(r.campaign.Seed, streamSequences+uint64(i), sequenceStyle(r.minCommand()), r.shared, r.others)
		return g, func() { g.sequence(power) }
	})
}

func (r *run) powerLayer(ctx context.Context) error {
	if r.campaign.Power > 0 && !r.bothHave(ctx) {
		return errors.New("differential: the power layer needs devices that are transport.Power and transport.HashSequence; set Power to 0")
	}
	return r.playLayer(ctx, "power", r.campaign.Power, func(i int) (*generator, func()) {
		g := newGenerator(r.campaign.Seed, streamPower+uint64(i), powerStyle(r.minCommand(), r.localities()), r.shared, r.others)
		return g, g.powerScript
	})
}

// bothHave says whether both devices have a power switch and take hash
// signals.
func (r *run) bothHave(ctx context.Context) bool {
	for _, t := range []Target{r.campaign.Theirs, r.campaign.Ours} {
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

// played is a script and what the reference answered.
type played struct {
	script Script
	theirs []Outcome
	// ended and failed say how often the reference was no more, or in failure
	// mode.
	ended, failed int
	err           error
}

func (r *run) playLayer(ctx context.Context, name string, n int, script func(int) (*generator, func())) error {
	if n <= 0 {
		return nil
	}
	r.report.Layers = append(r.report.Layers, Layer{Name: name})
	r.layer = &r.report.Layers[len(r.report.Layers)-1]
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	i := 0
	for d := range r.drawAll(ctx, n, script) {
		err := d.err
		if err == nil {
			r.report.stopped(name, i, d.ended, d.failed)
			err = r.check(ctx, d.script, d.theirs)
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
func (r *run) drawAll(ctx context.Context, n int, script func(int) (*generator, func())) iter.Seq[played] {
	if r.campaign.OneDevice {
		return func(yield func(played) bool) {
			for i := range n {
				if !yield(r.draw(ctx, i, script)) {
					return
				}
			}
		}
	}
	return func(yield func(played) bool) {
		ahead, stopped := make(chan played), make(chan struct{})
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
func (r *run) draw(ctx context.Context, i int, script func(int) (*generator, func())) played {
	r.reference.Lock()
	defer r.reference.Unlock()
	g, write := script(i)
	g.ctx = ctx
	if g.player, g.err = r.campaign.Theirs.player(ctx, &r.both); g.err == nil {
		write()
	}
	return played{script: g.script, theirs: g.outcomes, ended: g.ended, failed: g.failed, err: g.err}
}

// playTheirs plays a script on the reference again.
func (r *run) playTheirs(ctx context.Context, script Script) ([]Outcome, error) {
	r.reference.Lock()
	defer r.reference.Unlock()
	return r.campaign.Theirs.play(ctx, &r.both, script)
}

// check plays a script on the device under test and compares. After a finding
// the script is played again without the step, from the beginning, so that one
// difference does not hide the next. What stands before the step has been
// counted then.
func (r *run) check(ctx context.Context, script Script, theirs []Outcome) error {
	counted := 0
	for replay := 0; ; replay++ {
		ours, err := r.campaign.Ours.play(ctx, &r.both, script)
		if err != nil {
			return err
		}
		at, err := r.compareFrom(ctx, script, ours, theirs, counted)
		if err != nil || at < 0 {
			return err
		}
		script = append(append(Script{}, script[:at]...), script[at+1:]...)
		counted = at
		if replay == maxReplays || len(r.report.Findings) >= r.campaign.MaxFindings {
			r.uncompared(len(script) - at)
			return nil
		}
		if theirs, err = r.playTheirs(ctx, script); err != nil {
			return err
		}
	}
}

// compareFrom compares the steps from counted on, until the states of the
// devices are different. It gives the step that made them so by a finding, or
// -1.
func (r *run) compareFrom(ctx context.Context, script Script, ours, theirs []Outcome, counted int) (int, error) {
	for i := counted; i < len(script); i++ {
		if r.campaign.Theirs.ended(theirs[i]) { // when it played the script again
			r.report.stopped(r.layer.Name, r.layer.Scripts, 1, 0)
			r.uncompared(len(script) - i)
			return -1, nil
		}
		r.layer.Steps++
		r.report.tally(script[i], theirs[i])
		c := r.examine(script, i, ours, theirs)
		if c == nil {
			if r.count(script[i], ours[i], theirs[i]) {
				continue
			}
			r.uncompared(len(script) - i - 1)
			return -1, nil
		}
		if d := r.known(c); d != nil {
			r.layer.Explained++
			r.report.Explained[d.ID]++
			if d.Diverges || (outcomeCode(ours[i]) == 0) != (outcomeCode(theirs[i]) == 0) {
				r.uncompared(len(script) - i - 1)
				return -1, nil
			}
			continue
		}
		r.layer.Unexplained++
		return i, r.found(ctx, c)
	}
	return -1, nil
}

func (r *run) uncompared(n int) {
	r.layer.Steps += n
	r.layer.Uncompared += n
}

// count books a step that was no difference. It says whether the devices can be
// compared after it: not if only one of them has the command and has executed it
// or looked at its sessions, or if what they have done or answered is not known.
func (r *run) count(step Step, ours, theirs Outcome) (comparable bool) {
	success := outcomeCode(theirs) == 0
	if v, _ := r.compare(step, ours, theirs); v == oneSided {
		r.layer.OneSided++
		return !success && outcomeCode(ours) != 0 && number(theirs.Sent[:2]) != uint32(conformance.Sessions)
	}
	r.layer.Equal++
	if success {
		r.layer.Succeeded++
	}
	return !success || !theirs.garbled && !theirs.opaque
}

// examine gives the case of a step if the outcomes are different.
func (r *run) examine(script Script, at int, ours, theirs []Outcome) *Case {
	v, detail := r.compare(script[at], ours[at], theirs[at])
	if v != different {
		return nil
	}
	sent := make(Script, at+1)
	for i, step := range script[:at+1] {
		if step.isCommand() && theirs[i].Sent != nil {
			step.Data, step.Holes = theirs[i].Sent, nil
		}
		sent[i] = step
	}
	return &Case{
		Theirs: r.campaign.Theirs.Name, Script: sent, At: at, OurOutcome: ours[at], TheirOutcome: theirs[at], Detail: detail,
		script: script[:at+1], theirs: theirs[:at+1], comparer: &r.comparer,
	}
}

// known finds the entry that explains a case.
func (r *run) known(c *Case) *Difference {
	for i := range r.campaign.Known {
		if d := &r.campaign.Known[i]; d.applies(c.Theirs) && d.Match(c) {
			return d
		}
	}
	return nil
}

// found books a finding; the first of its kind is shrunk.
func (r *run) found(ctx context.Context, c *Case) error {
	s := c.findingKind()
	if i, seen := r.findings[s]; seen {
		r.report.Findings[i].Count++
		return nil
	}
	shrunk, err := r.shrink(ctx, c.script, s)
	if err != nil {
		return err
	}
	note := ""
	if shrunk == nil {
		shrunk, note = c, " (not seen again when the script was replayed)"
	}
	r.findings[s] = len(r.report.Findings)
	r.report.Findings = append(r.report.Findings, Finding{
		Command: s.command, Detail: shrunk.Detail + note, Count: 1,
		Ours: shrunk.OurOutcome.String(), Theirs: shrunk.TheirOutcome.String(),
		Transcript: shrunk.script.String(),
	})
	if r.campaign.Found != nil {
		r.campaign.Found(r.report.Findings[len(r.report.Findings)-1])
	}
	return nil
}

// finish completes the report.
func (r *run) finish() {
	for i := range r.campaign.Known {
		if d := &r.campaign.Known[i]; d.applies(r.campaign.Theirs.Name) && r.report.Explained[d.ID] == 0 {
			r.report.Unused = append(r.report.Unused, d.ID)
		}
	}
	r.report.sortFindings()
}
