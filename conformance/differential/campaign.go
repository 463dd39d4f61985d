package differential

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/comparison"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/generator"
	"github.com/swtpmd/swtpmd/conformance/differential/known"
)

// Campaign compares a device under test, Ours, with a reference, Theirs.
type Campaign struct {
	Ours, Theirs conversation.Target
	// Seed is the seed of everything drawn: the same seed, counts and devices give
	// the same scripts.
	Seed uint64
	// Packets is the number of single commands of the first layer, Sequences
	// and Power the number of scripts of the second and third.
	Packets, Sequences, Power int
	// OneDevice reports whether Ours and Theirs are the same device, which plays one
	// script at a time.
	OneDevice bool
	// Known are the differences that are not findings.
	Known []known.Difference
	// MaxFindings ends a campaign that has found that many kinds of differences; 0
	// stands for 50.
	MaxFindings int
	// Progress, unless it is nil, is called after every script.
	Progress func(layer string, done, of int, unexplained int)
	// Found, unless it is nil, is called when a kind of difference is first found.
	Found func(Finding)
}

// ErrTooManyFindings ends a campaign that has reached MaxFindings; the report has
// what was found.
var ErrTooManyFindings = errors.New("differential: too many kinds of differences; fix some and start again, or raise MaxFindings")

// run is a campaign under way.
type run struct {
	campaign Campaign
	pair     comparison.Pair
	source   generator.Source
	report   *Report
	layer    *Layer

	seeds *conversation.Seeds
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
	r.source = generator.Source{Seed: c.Seed, MinCommand: max(c.Ours.MinCommand, c.Theirs.MinCommand), Localities: localities(c.Ours, c.Theirs)}
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
	if r.campaign.Ours.Seeded != nil && r.campaign.Theirs.Seeded != nil {
		r.seeds = generator.Source{Seed: r.campaign.Seed}.PrimarySeeds()
	}
}

// identify learns what both devices implement.
func (r *run) identify(ctx context.Context) error {
	var err error
	if r.pair.Theirs, err = comparison.Identify(ctx, &r.campaign.Theirs); err != nil {
		return err
	}
	if r.pair.Ours, err = comparison.Identify(ctx, &r.campaign.Ours); err != nil {
		return err
	}
	for _, c := range conformance.Commands() {
		switch ours, theirs := r.pair.Ours.Has(c.Code), r.pair.Theirs.Has(c.Code); {
		case ours && theirs:
			r.source.Shared = append(r.source.Shared, c.Code)
		case ours || theirs:
			r.source.Others = append(r.source.Others, c.Code)
			r.report.Unshared = append(r.report.Unshared, c.Name)
		}
	}
	return nil
}

// localities gives those both targets take commands at.
func localities(ours, theirs conversation.Target) []uint8 {
	of := func(t conversation.Target) []uint8 {
		if t.Localities == nil {
			return []uint8{0}
		}
		return t.Localities
	}
	return slices.DeleteFunc(slices.Clone(of(theirs)), func(l uint8) bool { return !slices.Contains(of(ours), l) })
}

// finish completes the report.
func (r *run) finish() {
	for i := range r.campaign.Known {
		if d := &r.campaign.Known[i]; d.Applies(r.campaign.Theirs.Name) && r.report.Explained[d.ID] == 0 {
			r.report.Unused = append(r.report.Unused, d.ID)
		}
	}
	r.report.sortFindings()
}
