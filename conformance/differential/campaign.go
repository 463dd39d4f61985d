package differential

import (
	"context"
	"errors"
	"fmt"
	"slices"

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
	// Known are the differences that are no findings.
	Known []Difference
	// MaxFindings stops a campaign that has found so many kinds of
	// differences; 0 stands for 50.
	MaxFindings int
	// Progress is told how far the campaign is, if it is not nil.
	Progress func(layer string, done, of int, unexplained int)
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
	findings       map[signature]int // index into report.Findings
}

// Run plays the campaign. The report is never nil; with an error it holds what
// was done until then.
func (c Campaign) Run(ctx context.Context) (*Report, error) {
	r := &run{campaign: c, findings: map[signature]int{}, report: &Report{
		Seed: c.Seed, Ours: c.Ours.Name, Theirs: c.Theirs.Name,
		Commands: map[string]Tally{}, Codes: map[string]int{}, Explained: map[string]int{},
	}}
	if r.campaign.MaxFindings == 0 {
		r.campaign.MaxFindings = 50
	}
	err := r.identify(ctx)
	if err == nil {
		err = errors.Join(r.packetLayer(ctx), r.sequenceLayer(ctx), r.powerLayer(ctx))
	}
	r.finish()
	return r.report, err
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
	return r.playLayer(ctx, "packets", n, func(i int) (*generator, source) {
		g := newGenerator(r.campaign.Seed, streamPackets+uint64(i), packetStyle(r.minCommand()), r.shared, r.others)
		of := min(packetsPerScript, r.campaign.Packets-i*packetsPerScript)
		part := changes[i*len(changes)/n : (i+1)*len(changes)/n]
		return g, g.packets(of, part)
	})
}

func (r *run) sequenceLayer(ctx context.Context) error {
	power := r.bothHave(ctx)
	return r.playLayer(ctx, "sequences", r.campaign.Sequences, func(i int) (*generator, source) {
		g := newGenerator(r.campaign.Seed, streamSequences+uint64(i), sequenceStyle(r.minCommand()), r.shared, r.others)
		return g, g.sequence(power)
	})
}

func (r *run) powerLayer(ctx context.Context) error {
	if r.campaign.Power > 0 && !r.bothHave(ctx) {
		return errors.New("differential: the power layer needs devices that are transport.Power and transport.HashSequence; set Power to 0")
	}
	return r.playLayer(ctx, "power", r.campaign.Power, func(i int) (*generator, source) {
		g := newGenerator(r.campaign.Seed, streamPower+uint64(i), powerStyle(r.minCommand(), r.localities()), r.shared, r.others)
		return g, g.powerScript()
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

func (r *run) playLayer(ctx context.Context, name string, n int, make func(int) (*generator, source)) error {
	if n <= 0 {
		return nil
	}
	r.report.Layers = append(r.report.Layers, Layer{Name: name})
	r.layer = &r.report.Layers[len(r.report.Layers)-1]
	for i := range n {
		g, steps := make(i)
		script, theirs, err := r.generate(ctx, g, steps)
		if err == nil {
			err = r.check(ctx, script, theirs)
		}
		if err != nil {
			return fmt.Errorf("%s script %d of seed %d: %w", name, i, r.campaign.Seed, err)
		}
		r.layer.Scripts++
		if r.campaign.Progress != nil {
			r.campaign.Progress(name, i+1, n, r.report.Unexplained())
		}
		if len(r.report.Findings) >= r.campaign.MaxFindings {
			return ErrTooManyFindings
		}
	}
	return nil
}

// generate writes a script while playing it on the reference.
func (r *run) generate(ctx context.Context, g *generator, steps source) (Script, []Outcome, error) {
	p, err := r.campaign.Theirs.player(ctx)
	if err != nil {
		return nil, nil, err
	}
	var (
		script   Script
		outcomes []Outcome
	)
	for step, ok := steps(); ok; step, ok = steps() {
		outcome, err := p.do(ctx, step)
		if err != nil {
			return nil, nil, err
		}
		g.observe(step, outcome)
		script, outcomes = append(script, step), append(outcomes, outcome)
	}
	return script, outcomes, nil
}

// check plays a script on the device under test and compares. After a finding
// the script is played again without the step, from the beginning, so that one
// difference does not hide the next. What stands before the step has been
// counted then.
func (r *run) check(ctx context.Context, script Script, theirs []Outcome) error {
	counted := 0
	for replay := 0; ; replay++ {
		ours, err := r.campaign.Ours.Play(ctx, script)
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
		if theirs, err = r.campaign.Theirs.Play(ctx, script); err != nil {
			return err
		}
	}
}

// compareFrom compares the steps from counted on, until the states of the
// devices are different. It gives the step that made them so by a finding, or
// -1.
func (r *run) compareFrom(ctx context.Context, script Script, ours, theirs []Outcome, counted int) (int, error) {
	for i := counted; i < len(script); i++ {
		r.layer.Steps++
		r.report.tally(script[i], theirs[i])
		c := r.examine(script, i, ours[i], theirs[i])
		if c == nil {
			r.count(script[i], ours[i], theirs[i])
			continue
		}
		if d := r.known(c); d != nil {
			r.layer.Explained++
			r.report.Explained[d.ID]++
			if d.Diverges {
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

// count books a step that was no difference.
func (r *run) count(step Step, ours, theirs Outcome) {
	if v, _ := r.compare(step, ours, theirs); v == oneSided {
		r.layer.OneSided++
		return
	}
	r.layer.Equal++
	if outcomeCode(theirs) == 0 {
		r.layer.Succeeded++
	}
}

// examine gives the case of a step if the outcomes are different.
func (r *run) examine(script Script, at int, ours, theirs Outcome) *Case {
	v, detail := r.compare(script[at], ours, theirs)
	if v != different {
		return nil
	}
	return &Case{Theirs: r.campaign.Theirs.Name, Script: script, At: at, OurOutcome: ours, TheirOutcome: theirs, Detail: detail, comparer: &r.comparer}
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
	s := c.signature()
	if i, seen := r.findings[s]; seen {
		r.report.Findings[i].Count++
		return nil
	}
	shrunk, err := r.shrink(ctx, c.Script[:c.At+1], s)
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
		Transcript: shrunk.Script[:shrunk.At+1].String(),
	})
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
