package prediction

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/swtpmd/swtpmd/ima/boot"
)

// Table writes results as Markdown: how many agree, and for each machine a table whose
// rows join neighboring levels with the same outcomes.
func Table(w io.Writer, results []*Result) error {
	var b strings.Builder
	writeCount(&b, results)
	for _, m := range Machines() {
		var own []*Result
		for _, cell := range m.Cells() {
			if i := slices.IndexFunc(results, func(r *Result) bool { return r.Cell == cell }); i >= 0 {
				own = append(own, results[i])
			}
		}
		if len(own) > 0 {
			writeMachine(&b, m, own)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeCount writes how many cells agree, and with which versions they were booted.
func writeCount(b *strings.Builder, results []*Result) {
	count := make(map[Agreement]int)
	var kernels, qemus []string
	boots, slow, reproduced := 0, 0, 0
	for _, r := range results {
		count[r.Agreement()]++
		kernels, qemus = append(kernels, r.Kernel), append(qemus, r.QEMU)
		for _, boot := range r.Boots {
			boots++
			if boot.Slow != "" {
				slow++
			}
			if len(boot.Differs) == 0 {
				reproduced++
			}
		}
	}
	fmt.Fprintf(b, "| | |\n|---|---|\n")
	row := func(what string, format string, args ...any) {
		fmt.Fprintf(b, "| %s | %s |\n", what, fmt.Sprintf(format, args...))
	}
	row("cells predicted and booted", "%d", len(results)-count[Unpredicted])
	row("one outcome predicted, every boot had it", "%d", count[Same])
	row("a race predicted, every boot had one of its outcomes", "%d", count[RaceSame])
	row("a boot had an outcome that was not predicted", "%d", count[Differs])
	row("boots", "%d", boots)
	row("whose own console its simulation reproduces", "%d", reproduced)
	row("that do not count, as the host was too slow, and were repeated", "%d", slow)
	row("kernels", "%s", strings.Join(distinct(kernels), ", "))
	row("QEMU", "%s", strings.Join(distinct(qemus), ", "))
}

func distinct(words []string) []string {
	words = slices.Clone(words)
	slices.Sort(words)
	return slices.Compact(words)
}

// writeMachine writes the table of one machine.
func writeMachine(b *strings.Builder, m *Machine, results []*Result) {
	fmt.Fprintf(b, "\n### %s\n\n%s.\n\n", m.Name, m.Title)
	b.WriteString("| IMA starts at | probe | the TPM answers | until | predicted | booted | cells |\n|---|---|---|---|---|---|---|\n")
	for len(results) > 0 {
		n := 1
		for n < len(results) && joins(results[0], results[n]) {
			n++
		}
		writeRow(b, results[:n])
		results = results[n:]
	}
}

// joins reports whether two cells make one row: they differ in nothing but the level, and
// no race is in them.
func joins(a, b *Result) bool {
	level := b.Cell
	level.Until, level.HoldMax = a.Cell.Until, a.Cell.HoldMax
	return level == a.Cell && a.Cell.way() == b.Cell.way() && !a.Cell.OnTime() && !b.Cell.OnTime() &&
		a.Agreement() == Same && b.Agreement() == Same && words(a.Predicted) == words(b.Predicted)
}

func writeRow(b *strings.Builder, row []*Result) {
	first, last := row[0], row[len(row)-1]
	c := first.Cell
	answers, until := c.way(), c.Until.String()
	if c.OnTime() {
		answers, until = "on time", ""
	}
	if len(row) > 1 {
		until += " … " + last.Cell.Until.String()
	}
	predicted, real := words(first.Predicted), words(first.Real())
	switch first.Agreement() {
	case Unpredicted:
		predicted = "(the evidence)"
	case Differs:
		real = "**" + real + "**" + digests(first)
	}
	fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s | %d |\n", startsAt(c.Strategy), c.probing(), answers, until, predicted, real, len(row))
}

// startsAt is the level of IMA's start.
func startsAt(s boot.Strategy) string {
	if s == boot.Kconfig {
		return "late_sync, `boot_aggregate_late`"
	}
	return s.String()
}

// words returns shares without their digests.
func words(all []Share) string {
	type count struct {
		text  string
		boots int
	}
	var counts []count
	sum := 0
	for _, s := range all {
		sum += s.Boots
		i := slices.IndexFunc(counts, func(c count) bool { return c.text == s.Outcome.String() })
		if i < 0 {
			i, counts = len(counts), append(counts, count{text: s.Outcome.String()})
		}
		counts[i].boots += s.Boots
	}
	if len(counts) == 1 {
		return counts[0].text
	}
	var parts []string
	for _, c := range counts {
		parts = append(parts, fmt.Sprintf("%d of %d %s", c.boots, sum, c.text))
	}
	return strings.Join(parts, "<br>")
}

// digests names the values in which a boot differs from the first predicted outcome.
func digests(r *Result) string {
	var parts []string
	p, real := r.Predicted[0].Outcome, r.Real()[0].Outcome
	for _, v := range []struct{ name, predicted, real string }{
		{"record", p.Record, real.Record}, {"boot aggregate", p.Aggregate, real.Aggregate}, {"PCR 10", p.PCR10, real.PCR10},
	} {
		if v.predicted != v.real {
			parts = append(parts, fmt.Sprintf("%s %.8s, predicted %.8s", v.name, v.real, v.predicted))
		}
	}
	if parts == nil {
		return ""
	}
	return " (" + strings.Join(parts, "; ") + ")"
}

// Begin and End are the lines between which a page has the table.
const (
	Begin = "<!-- predictions -->\n"
	End   = "<!-- /predictions -->\n"
)

// Replace returns the page with the table of the results in its place. ok is false if the
// page has no place for one.
func Replace(page string, results []*Result) (replaced string, ok bool, err error) {
	before, rest, found := strings.Cut(page, Begin)
	_, after, closed := strings.Cut(rest, End)
	if !found || !closed {
		return page, false, nil
	}
	var table strings.Builder
	if err := Table(&table, results); err != nil {
		return page, false, err
	}
	return before + Begin + table.String() + End + after, true, nil
}
