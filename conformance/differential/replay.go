package differential

import (
	"context"
	"io"

	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/known"
)

// Replay plays a script on fresh devices and writes every step with both
// answers, marked "=" if they are equal, "~" if a known difference explains
// them, and "!" if none does. It reports whether the list
// explains every difference.
func Replay(ctx context.Context, ours, theirs conversation.Target, known []known.Difference, script conversation.Script, w io.Writer) (bool, error) {
	r := &run{campaign: Campaign{Ours: ours, Theirs: theirs, Known: known}, report: &Report{}}
	r.match()
	if err := r.identify(ctx); err != nil {
		return false, err
	}
	b, err := theirs.PlaySeeded(ctx, r.seeds, script)
	if err != nil {
		return false, err
	}
	a, err := ours.PlaySeeded(ctx, r.seeds, script)
	if err != nil {
		return false, err
	}
	out := &printer{w: w}
	equal := true
	for i, step := range script {
		mark, why := "=", ""
		if c := r.examine(script, i, a, b); c != nil {
			mark, why = "!", c.Detail
			if d := r.known(c); d != nil {
				mark, why = "~", d.ID
			}
			equal = equal && mark == "~"
		}
		out.printf("%s %s\n  %s: %s\n  %s: %s\n", mark, step, ours.Name, a[i], theirs.Name, b[i])
		if why != "" {
			out.printf("  %s\n", why)
		}
	}
	return equal, out.err
}
