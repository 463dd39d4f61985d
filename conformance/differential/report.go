package differential

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/known"
)

// Report is the result of a campaign. Its JSON form is stable.
type Report struct {
	Seed   uint64 `json:"seed"`
	Ours   string `json:"ours"`
	Theirs string `json:"theirs"`
	// Layers are in the order they were played.
	Layers []Layer `json:"layers"`
	// Commands counts what was sent, by the name of the command. Unknown codes are
	// under "unknown".
	Commands map[string]Tally `json:"commands"`
	// Codes counts the reference's response codes.
	Codes map[string]int `json:"codes"`
	// Unshared are the commands that only one of the devices implements.
	Unshared []string `json:"unshared"`
	// Stops are the scripts in which the reference ended or went into failure
	// mode. The scripts lack the steps that led to it.
	Stops []Stop `json:"stops"`
	// Explained counts the differences that each known entry explains.
	Explained map[string]int `json:"explained"`
	// Unused are the entries for this reference that explain nothing.
	Unused []string `json:"unused"`
	// Findings are the unexplained differences, each kind once.
	Findings []Finding `json:"findings"`
}

// Stop is a script in which the reference stopped. Seed, layer and number determine
// the script.
type Stop struct {
	Layer  string `json:"layer"`
	Script int    `json:"script"`
	// Ended counts the processes that ended or did not answer, Failed the devices
	// in failure mode.
	Ended  int `json:"ended"`
	Failed int `json:"failed"`
}

// Layer counts the steps of one layer of a campaign.
type Layer struct {
	Name    string `json:"name"`
	Scripts int    `json:"scripts"`
	// Steps is the sum of the numbers below it.
	Steps int `json:"steps"`
	// Equal counts equal answers; Succeeded of them were successes.
	Equal     int `json:"equal"`
	Succeeded int `json:"succeeded"`
	// OneSided counts commands that only one device has, and the other one refuses
	// with TPM_RC_COMMAND_CODE.
	OneSided int `json:"oneSided"`
	// Explained counts the answers that a known difference explains.
	Explained int `json:"explained"`
	// Unexplained counts the findings.
	Unexplained int `json:"unexplained"`
	// Uncompared counts the steps after a difference that left different states.
	Uncompared int `json:"uncompared"`
}

// Tally counts one command.
type Tally struct {
	Sent      int `json:"sent"`
	Succeeded int `json:"succeeded"`
}

// Finding is an unexplained difference.
type Finding struct {
	Command string `json:"command"`
	Detail  string `json:"detail"`
	Ours    string `json:"ours"`
	Theirs  string `json:"theirs"`
	// Count is how often it was seen.
	Count int `json:"count"`
	// Transcript is the shortest script found that shows it in its last step,
	// in the form of [conversation.ReadScript].
	Transcript string `json:"transcript"`
}

// Unexplained sums the unexplained differences of all layers.
func (r *Report) Unexplained() int {
	n := 0
	for _, layer := range r.Layers {
		n += layer.Unexplained
	}
	return n
}

// WriteText writes the report as text.
func (r *Report) WriteText(w io.Writer) error {
	out := &printer{w: w}
	out.printf("%s against %s, seed %d\n\n", r.Ours, r.Theirs, r.Seed)
	out.printf("%-10s %8s %9s %9s %9s %9s %9s %11s %10s\n", "layer", "scripts", "steps", "equal", "(success)", "one-sided", "explained", "unexplained", "uncompared")
	for _, l := range r.Layers {
		out.printf("%-10s %8d %9d %9d %9d %9d %9d %11d %10d\n", l.Name, l.Scripts, l.Steps, l.Equal, l.Succeeded, l.OneSided, l.Explained, l.Unexplained, l.Uncompared)
	}
	out.printf("\n%-28s %9s %9s\n", "command", "sent", "succeeded")
	for _, name := range slices.Sorted(maps.Keys(r.Commands)) {
		out.printf("%-28s %9d %9d\n", name, r.Commands[name].Sent, r.Commands[name].Succeeded)
	}
	out.printf("\n%d different response codes of the reference; %d commands are implemented by one of the two only\n", len(r.Codes), len(r.Unshared))
	r.writeStops(out, "ended", func(s Stop) int { return s.Ended })
	r.writeStops(out, "went into failure mode", func(s Stop) int { return s.Failed })
	for _, id := range slices.Sorted(maps.Keys(r.Explained)) {
		out.printf("known difference %s: %d\n", id, r.Explained[id])
	}
	for _, id := range r.Unused {
		out.printf("known difference %s: never seen; is it still needed?\n", id)
	}
	for i, f := range r.Findings {
		out.printf("\nfinding %d: %s, seen %d times: %s\n  ours:   %s\n  theirs: %s\n%s", i+1, f.Command, f.Count, f.Detail, f.Ours, f.Theirs, f.Transcript)
	}
	return out.err
}

// printer keeps the first error.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) printf(format string, a ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, a...)
	}
}

// writeStops writes how often the reference stopped, and in which scripts.
func (r *Report) writeStops(out *printer, how string, count func(Stop) int) {
	n, scripts := 0, map[string][]string{}
	for _, s := range r.Stops {
		if count(s) > 0 {
			n += count(s)
			scripts[s.Layer] = append(scripts[s.Layer], strconv.Itoa(s.Script))
		}
	}
	if n == 0 {
		return
	}
	out.printf("%s %s %d times, seed %d:", r.Theirs, how, n, r.Seed)
	separator := " "
	for _, layer := range r.Layers {
		if list := scripts[layer.Name]; list != nil {
			out.printf("%s%s %s", separator, layer.Name, strings.Join(list, ", "))
			separator = "; "
		}
	}
	out.printf("\n")
}

// stopped counts how often the reference did not go on in a script.
func (r *Report) stopped(layer string, script, ended, failed int) {
	if ended+failed > 0 {
		r.Stops = append(r.Stops, Stop{Layer: layer, Script: script, Ended: ended, Failed: failed})
	}
}

// tally counts a step and the reference's answer.
func (r *Report) tally(step conversation.Step, theirs conversation.Outcome) {
	if !step.IsCommand() {
		return
	}
	code, ok := conformance.CommandCode(step.Data)
	name := "unknown"
	if c, known := conformance.Lookup(code); ok && known {
		name = c.Name
	}
	t := r.Commands[name]
	t.Sent++
	if rc := theirs.Code(); rc == 0 {
		t.Succeeded++
		r.Codes["0x0"]++
	} else {
		r.Codes[fmt.Sprintf("%#x", rc)]++
	}
	r.Commands[name] = t
}

// findingKind tells findings apart: command and answers, not values.
type findingKind struct {
	command      string
	ours, theirs uint32
	kind         string
}

func kindOf(c *known.Case) findingKind {
	ours, theirs := c.Codes()
	s := findingKind{command: c.Step().Action.String(), ours: ours, theirs: theirs}
	if c.Step().IsCommand() {
		s.command = conformance.CommandName(c.Command())
	}
	if ours == theirs { // the values differ; which values is no matter
		for i, r := range c.Detail {
			if r == ':' {
				s.kind = c.Detail[:i]
				break
			}
		}
	}
	return s
}

// sortFindings puts the most frequent first.
func (r *Report) sortFindings() {
	slices.SortStableFunc(r.Findings, func(a, b Finding) int { return cmp.Compare(b.Count, a.Count) })
}
