package draw

import (
	"fmt"
	"path"
	"slices"

	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/boot"
)

// recordLines are the lines of what IMA does and fails to do, top to bottom.
var recordLines = []struct {
	kind  boot.EventKind
	shape shape
	name  string
}{
	{boot.RecordLost, cross, "not measured: lost"},
	{boot.AccessDenied, barred, "denied"},
	{boot.RecordQueued, diamond, "queued"},
	{boot.RecordUnextended, ring, "in the list only"},
	{boot.RecordExtended, disc, "in list and PCR"},
	{boot.AttackRun, bolt, "attacker"},
	{boot.RecordHidden, bolt, "attacker"},
}

// records are what IMA measures and what it does not.
func (p *picture) records(records []point) {
	var lines []*strip
	var kinds [][]point
	var count [256]int // by kind
	for j := range records {
		count[records[j].kind]++
	}
	for _, l := range recordLines {
		i := slices.IndexFunc(lines, func(s *strip) bool { return s.name == l.name })
		if i < 0 {
			i = len(lines)
			lines, kinds = append(lines, &strip{name: l.name}), append(kinds, nil)
		}
		if count[l.kind] == 0 {
			continue
		}
		kinds[i] = slices.Grow(kinds[i], count[l.kind])
		for j := range records {
			if records[j].kind == l.kind {
				kinds[i] = append(kinds[i], records[j])
			}
		}
	}
	for i, s := range lines {
		slices.SortStableFunc(kinds[i], func(a, b point) int { return int(min(1, max(-1, a.at-b.at))) })
		for rest := kinds[i]; len(rest) > 0; {
			rest = rest[p.files(s, rest):]
		}
		if n := len(kinds[i]); n > 0 {
			s.name += fmt.Sprintf(" (%d)", n)
		}
		p.strip(s)
	}
}

// files draws the first records that belong together: one boot aggregate, or the
// files of a program.
func (p *picture) files(s *strip, records []point) (n int) {
	first := &records[0]
	x0 := p.axis.x(first.level, first.at)
	end := x0
	for n < len(records) {
		r := &records[n]
		x := p.axis.x(r.level, r.at)
		if n > 0 && (ownLabel(r) || ownLabel(first) || r.task != first.task || r.level != first.level || r.code != first.code) {
			break
		}
		p.file(s, r, x)
		end = x
		n++
	}
	weight := touched
	if ownLabel(first) {
		weight = essential
	}
	text := recordText(records[:n])
	less := shorten(text, shortRunes)
	if n > 1 {
		less = plural(n, "file", "files")
	}
	s.ask(x0, end, weight, text, less)
	return n
}

// ownLabel reports whether a record is not one of many.
func ownLabel(r *point) bool {
	return isAggregate(r.name) || r.kind == boot.AttackRun || r.kind == boot.RecordHidden
}

func isAggregate(name string) bool {
	return name == ima.BootAggregateName || name == ima.BootAggregateLateName
}

func (p *picture) file(s *strip, r *point, x int) {
	for _, l := range recordLines {
		if l.kind == r.kind {
			s.add(l.shape, x, x, func() string { return recordTitle(r) })
		}
	}
}

func recordTitle(r *point) string {
	title := name(r.name, 100) + " at " + seconds(r.at)
	if r.record > 0 {
		title = fmt.Sprintf("record %d, ", r.record) + title
	}
	if r.code != 0 {
		title += ": " + result(r.code)
	}
	return title
}

// recordText is the label of records.
func recordText(records []point) string {
	first, last := &records[0], &records[len(records)-1]
	text := name(first.name, fileRunes)
	if len(records) > 1 {
		text = plural(len(records), "file", "files") + ": " + text + " … " + name(path.Base(last.name), fileRunes)
	}
	switch {
	case first.kind == boot.AttackRun:
		text += " runs"
		if first.text != "" {
			text += ": " + name(first.text, 2*nameRunes)
		}
	case first.kind == boot.RecordHidden:
		text = "hides " + text
	case first.code != 0:
		text += ", extend: " + result(first.code)
	}
	return text
}
