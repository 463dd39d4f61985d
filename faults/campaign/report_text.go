package campaign

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"
)

// maxFindings and maxEffects are how many the text has; the other forms have all.
const (
	maxFindings = 20
	maxEffects  = 60
)

// Text writes the report for a terminal.
func (r *Report) Text(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n", r.title())
	if r.Missing > 0 {
		fmt.Fprintf(&b, "%d of its runs are missing here.\n", r.Missing)
	}
	r.textOutcomes(&b)
	r.textEffects(&b)
	r.textFindings(&b)
	_, err := w.Write(b.Bytes())
	return err
}

// title is the first line of every report.
func (r *Report) title() string {
	h := &r.Header
	text := fmt.Sprintf("%d runs of %s under plans of campaign seed %d, seeds %d to %d",
		r.Runs, printable(strings.Join(h.Subject, " ")), h.Seed, h.First, h.Last)
	if !h.Shard.Whole() {
		text += ", shard " + h.Shard.String()
	}
	return text
}

// printable replaces what a terminal would not print, but for line ends and tabs.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if c != '\n' && c != '\t' && !unicode.IsPrint(c) {
			return '\uFFFD'
		}
		return c
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

func (r *Report) textOutcomes(b *bytes.Buffer) {
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for _, c := range r.Outcomes {
		var details []string
		for i, d := range c.Details {
			if i == 8 {
				details = append(details, "…")
				break
			}
			text := printable(d.Detail)
			if len(c.Details) > 1 {
				text += fmt.Sprintf(" (%d)", d.Runs)
			}
			details = append(details, text)
		}
		mark := " "
		if !r.Header.IsGood(c.Outcome) {
			mark = "!"
		}
		fmt.Fprintf(t, "%s %s\t%d\t%s\n", mark, printable(string(c.Outcome)), c.Runs, strings.Join(details, ", "))
	}
	_ = t.Flush() // a bytes.Buffer takes everything
}

func (r *Report) textEffects(b *bytes.Buffer) {
	var shown []Effect
	for _, e := range r.Effects {
		for o := range e.Runs {
			if !r.Header.IsGood(o) {
				shown = append(shown, e)
				break
			}
		}
	}
	if rest := len(r.Effects) - len(shown); rest > 0 {
		fmt.Fprintf(b, "\n%d faults at their places fired in good runs alone.\n", rest)
	}
	if len(shown) == 0 {
		return
	}
	b.WriteString("\nThe others, and what came of the runs:\n")
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	head := "FAULT\tCOMMAND"
	if r.Header.Levels {
		head += "\tLEVEL"
	}
	for _, o := range r.outcomes() {
		head += "\t" + printable(string(o))
	}
	fmt.Fprintln(t, head)
	for i, e := range shown {
		if i == maxEffects {
			fmt.Fprintf(t, "and %d more\n", len(shown)-i)
			break
		}
		fmt.Fprintf(t, "%s\t%s", printable(e.Fault), printable(e.Command))
		if r.Header.Levels {
			fmt.Fprintf(t, "\t%s", e.Level)
		}
		for _, o := range r.outcomes() {
			number := "."
			if n := e.Runs[o]; n > 0 {
				number = fmt.Sprint(n)
			}
			fmt.Fprintf(t, "\t%s", number)
		}
		fmt.Fprintln(t)
	}
	_ = t.Flush()
}

func (r *Report) textFindings(b *bytes.Buffer) {
	for i := range r.Findings {
		if i == maxFindings {
			fmt.Fprintf(b, "\nand %d more findings\n", len(r.Findings)-i)
			return
		}
		f := &r.Findings[i]
		fmt.Fprintf(b, "\nseed %d: %s", f.First.Seed, printable(f.First.what()))
		if f.Runs > 1 {
			fmt.Fprintf(b, ", and %d more like it", f.Runs-1)
		}
		fmt.Fprintf(b, "\n%s", indent("  | ", f.First.Plan))
		fired := f.First.firedText()
		if fired == "" {
			fired = "no rule fired\n"
		}
		b.WriteString(indent("  ", fired))
		if f.First.Output != "" {
			b.WriteString(indent("  > ", lastLines(f.First.Output, 5)))
		}
	}
}

// what returns outcome and detail of a run.
func (r *Result) what() string {
	if r.Detail == "" {
		return string(r.Outcome)
	}
	return string(r.Outcome) + ", " + r.Detail
}

// firedText has a line for each rule that fired.
func (r *Result) firedText() string {
	var b strings.Builder
	for _, f := range r.Fired {
		times := "once, for"
		if f.Times > 1 {
			times = fmt.Sprintf("%d times, first for", f.Times)
		}
		fmt.Fprintf(&b, "fired %s %s at %s: %s\n", times, f.Command, f.Level, f.Rule)
	}
	return b.String()
}

// lastLines returns the last n lines of a text.
func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n") + "\n"
}

// indent puts words before each line.
func indent(before, text string) string {
	var b strings.Builder
	for line := range strings.Lines(printable(text)) {
		b.WriteString(before + line)
	}
	return b.String()
}
