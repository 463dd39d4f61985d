package differential

import (
	"context"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/comparison"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/known"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// maxReplays bounds how often a script is played again without the steps that
// were different, to see the rest of it.
const maxReplays = 20

// playTheirs plays a script on the reference again.
func (r *run) playTheirs(ctx context.Context, script conversation.Script) ([]conversation.Outcome, error) {
	r.reference.Lock()
	defer r.reference.Unlock()
	return r.campaign.Theirs.PlaySeeded(ctx, r.seeds, script)
}

// check plays a script on the device under test and compares. After a finding
// the script is played again without the step, from the beginning, so that one
// difference does not hide the next. What stands before the step has been
// counted then.
func (r *run) check(ctx context.Context, script conversation.Script, theirs []conversation.Outcome) error {
	counted := 0
	for replay := 0; ; replay++ {
		ours, err := r.campaign.Ours.PlaySeeded(ctx, r.seeds, script)
		if err != nil {
			return err
		}
		at, err := r.compareFrom(ctx, script, ours, theirs, counted)
		if err != nil || at < 0 {
			return err
		}
		script = append(append(conversation.Script{}, script[:at]...), script[at+1:]...)
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
func (r *run) compareFrom(ctx context.Context, script conversation.Script, ours, theirs []conversation.Outcome, counted int) (int, error) {
	for i := counted; i < len(script); i++ {
		if r.campaign.Theirs.HasEnded(theirs[i]) { // when it played the script again
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
			if d.Diverges || (ours[i].Code() == 0) != (theirs[i].Code() == 0) {
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

// count books a step that was no difference. It reports whether the devices can be
// compared after it: not if only one of them has the command and has executed it
// or looked at its sessions, or if what they have done or answered is not known.
func (r *run) count(step conversation.Step, ours, theirs conversation.Outcome) (comparable bool) {
	success := theirs.Code() == 0
	if v, _ := r.pair.Compare(step, ours, theirs); v == comparison.OneSided {
		r.layer.OneSided++
		return !success && ours.Code() != 0 && wire.Number(theirs.Sent[:2]) != uint32(conformance.Sessions)
	}
	r.layer.Equal++
	if success {
		r.layer.Succeeded++
	}
	return !success || !theirs.Garbled && !theirs.Opaque
}

// examine gives the case of a step if the outcomes are different.
func (r *run) examine(script conversation.Script, at int, ours, theirs []conversation.Outcome) *known.Case {
	v, detail := r.pair.Compare(script[at], ours[at], theirs[at])
	if v != comparison.Different {
		return nil
	}
	sent := make(conversation.Script, at+1)
	for i, step := range script[:at+1] {
		if step.IsCommand() && theirs[i].Sent != nil {
			step.Data, step.Holes = theirs[i].Sent, nil
		}
		sent[i] = step
	}
	return &known.Case{
		Theirs: r.campaign.Theirs.Name, Script: sent, At: at, OurOutcome: ours[at], TheirOutcome: theirs[at], Detail: detail,
		Played: script[:at+1], Answers: theirs[:at+1], Pair: &r.pair,
	}
}

// known finds the entry that explains a case.
func (r *run) known(c *known.Case) *known.Difference {
	for i := range r.campaign.Known {
		if d := &r.campaign.Known[i]; d.Applies(c.Theirs) && d.Match(c) {
			return d
		}
	}
	return nil
}

// found books a finding; the first of its kind is shrunk.
func (r *run) found(ctx context.Context, c *known.Case) error {
	s := kindOf(c)
	if i, seen := r.findings[s]; seen {
		r.report.Findings[i].Count++
		return nil
	}
	shrunk, err := r.shrink(ctx, c.Played, s)
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
		Transcript: shrunk.Played.String(),
	})
	if r.campaign.Found != nil {
		r.campaign.Found(r.report.Findings[len(r.report.Findings)-1])
	}
	return nil
}
