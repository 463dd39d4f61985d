package campaign

import (
	"fmt"
	"slices"
	"strings"

	"github.com/swtpmd/swtpmd/faults/initcall"
)

// matrix is a picture of faults by places.
type matrix struct {
	title         string
	rows, columns []string
	// cells have the runs by outcome, in the order of rows and columns.
	cells map[[2]int]map[Outcome]int
	// lost is how many rows and columns have found no place.
	lost int
}

// The most that a picture shows, and its measures in pixels.
const (
	maxRows    = 300
	maxColumns = 60
	maxLabel   = 44 // runes

	letter    = 7.3
	cellWide  = 34
	cellHigh  = 20
	headSlope = 0.87 // of a label that is turned by 60 degrees
)

// matrices returns the pictures of a report: faults by commands, and faults by levels where
// the campaign has them.
func (r *Report) matrices() (all []*matrix) {
	if len(r.Effects) == 0 {
		return nil
	}
	all = append(all, r.matrix("Faults by TPM commands", func(e *Effect) string { return e.Command }, strings.Compare))
	if r.Header.Levels {
		all = append(all, r.matrix("Faults by levels of the boot", func(e *Effect) string { return e.Level.String() }, byLevel))
	}
	return all
}

// byLevel compares names of levels in the order of a boot.
func byLevel(a, b string) int {
	var x, y initcall.Level
	_, _ = x.UnmarshalText([]byte(a)), y.UnmarshalText([]byte(b))
	return int(x) - int(y)
}

func (r *Report) matrix(title string, place func(*Effect) string, compare func(a, b string) int) *matrix {
	m := &matrix{title: title, cells: make(map[[2]int]map[Outcome]int)}
	for i := range r.Effects {
		m.rows = append(m.rows, r.Effects[i].Fault)
		m.columns = append(m.columns, place(&r.Effects[i]))
	}
	slices.Sort(m.rows)
	slices.SortFunc(m.columns, compare)
	m.rows, m.columns = slices.Compact(m.rows), slices.Compact(m.columns)
	for i := range r.Effects {
		e := &r.Effects[i]
		row, _ := slices.BinarySearch(m.rows, e.Fault)
		at := [2]int{row, slices.Index(m.columns, place(e))}
		if m.cells[at] == nil {
			m.cells[at] = make(map[Outcome]int)
		}
		for o, n := range e.Runs {
			m.cells[at][o] += n
		}
	}
	m.lost = max(len(m.rows)-maxRows, 0) + max(len(m.columns)-maxColumns, 0)
	m.rows, m.columns = m.rows[:min(len(m.rows), maxRows)], m.columns[:min(len(m.columns), maxColumns)]
	return m
}

// label shortens a name that somebody else may have written.
func label(s string) string {
	runes := []rune(printable(s))
	if len(runes) > maxLabel {
		return string(runes[:maxLabel-1]) + "…"
	}
	return string(runes)
}

// widest is the width of the longest label.
func widest(labels []string) int {
	most := 0
	for _, s := range labels {
		most = max(most, len([]rune(label(s))))
	}
	return int(float64(most)*letter) + 12
}

// matrix draws a picture: each cell is a bar of the outcomes of the runs in which the fault
// fired there, with their number.
func (p *page) matrix(m *matrix, outcomes []Outcome) {
	left, top := widest(m.rows), int(float64(widest(m.columns))*headSlope)+8
	right, bottom := left+cellWide*len(m.columns), top+cellHigh*len(m.rows)
	width := right + widest(m.columns)/2 + 8
	fmt.Fprintf(&p.b, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" role=\"img\">\n<title>%s</title>\n",
		width, bottom+8, width, bottom+8, m.title)
	for i, name := range m.columns {
		x := left + i*cellWide
		fmt.Fprintf(&p.b, "<path class=\"line\" d=\"M%d %dV%d\"/><text transform=\"translate(%d %d) rotate(-60)\">", x, top, bottom, x+cellWide/2+4, top-6)
		p.escaped(label(name))
		p.text("</text>\n")
	}
	for i, name := range m.rows {
		y := top + i*cellHigh
		fmt.Fprintf(&p.b, "<path class=\"line\" d=\"M%d %dH%d\"/><text x=\"4\" y=\"%d\">", left, y, right, y+14)
		p.escaped(label(name))
		p.text("</text>\n")
		for j := range m.columns {
			if runs := m.cells[[2]int{i, j}]; runs != nil {
				p.cell(left+j*cellWide, y, runs, outcomes, name+" for "+m.columns[j])
			}
		}
	}
	fmt.Fprintf(&p.b, "<path class=\"frame\" d=\"M%d %dH%dV%dH%dZ\"/>\n</svg>\n", left, top, right, bottom, left)
	if m.lost > 0 {
		fmt.Fprintf(&p.b, "<p>%d rows and columns more have no room here; the JSON report has them.</p>\n", m.lost)
	}
}

// cell draws the outcomes of runs as parts of a bar.
func (p *page) cell(x, y int, runs map[Outcome]int, outcomes []Outcome, title string) {
	total := 0
	for _, n := range runs {
		total += n
	}
	p.text("<g><title>")
	p.escaped(title)
	for _, o := range outcomes {
		if runs[o] > 0 {
			p.escaped(fmt.Sprintf("; %s %d", o, runs[o]))
		}
	}
	p.text("</title>")
	done := 0
	for i, o := range outcomes {
		if runs[o] == 0 {
			continue
		}
		from, to := x+1+(cellWide-2)*done/total, x+1+(cellWide-2)*(done+runs[o])/total
		fmt.Fprintf(&p.b, "<rect class=\"o%d\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/>", i, from, y+1, max(to-from, 1), cellHigh-2)
		done += runs[o]
	}
	fmt.Fprintf(&p.b, "<text class=\"n\" x=\"%d\" y=\"%d\">%d</text></g>\n", x+cellWide/2, y+14, total)
}
