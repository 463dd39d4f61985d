package campaign

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// maxDetailed is how many findings the page has in full.
const maxDetailed = 500

// HTML writes the report as one page that needs nothing else: no script, no font, no style
// sheet, and nothing is fetched. Pictures show which fault for which command, and in a
// simulated boot at which level, led to which outcome. The page is also well-formed XML.
func (r *Report) HTML(w io.Writer) error {
	p := &page{colors: colorsOf(r.outcomes())}
	p.text("<!DOCTYPE html>\n<html lang=\"en\" xmlns=\"http://www.w3.org/1999/xhtml\">\n<head>\n<meta charset=\"utf-8\"/>\n",
		"<meta name=\"viewport\" content=\"width=device-width\"/>\n<title>A campaign of faults</title>\n<style>\n", pageStyle)
	for i := range p.colors {
		fmt.Fprintf(&p.b, ".o%d{fill:%s;background:%s}\n", i, p.colors[i].fill, p.colors[i].fill)
	}
	p.text("</style>\n</head>\n<body>\n<h1>A campaign of faults</h1>\n<p>")
	p.escaped(r.title())
	p.text(".</p>\n")
	if r.Missing > 0 {
		fmt.Fprintf(&p.b, "<p><b>%d of its runs are missing here.</b></p>\n", r.Missing)
	}
	p.outcomes(r)
	for _, m := range r.matrices() {
		p.text("<h2>", m.title, "</h2>\n")
		p.matrix(m, r.outcomes())
	}
	p.findings(r)
	p.text("</body>\n</html>\n")
	_, err := w.Write(p.b.Bytes())
	return err
}

const pageStyle = `body{font:14px/1.45 "DejaVu Sans",Verdana,Arial,sans-serif;color:#111;background:#fff;margin:1.5em;max-width:110em}
h1{font-size:1.4em}h2{font-size:1.15em;margin-top:2em}table{border-collapse:collapse}th,td{border:1px solid #999;padding:.25em .6em;text-align:left;vertical-align:top}
td.n{text-align:right}pre{background:#f4f4f4;padding:.5em;overflow-x:auto;white-space:pre-wrap}summary{cursor:pointer}section{margin:.4em 0}
.key{display:inline-block;width:.9em;height:.9em;margin-right:.4em;border:1px solid #555}
svg{max-width:100%;height:auto}svg text{font:12px "DejaVu Sans Mono",monospace;fill:#111}svg .line{stroke:#ddd;fill:none}svg .frame{stroke:#777;fill:none}svg .n{font-size:10px;text-anchor:middle}
`

// color is how an outcome is drawn.
type color struct{ outcome, fill string }

// known are the colors of outcomes that mean something; others get those of rest.
var known = map[Outcome]string{
	OK: "#8fd0ad", Failed: "#f0a45d", Crashed: "#d6604d", TimedOut: "#9f86c0",
	"measured": "#8fd0ad", "not-extended": "#e6d15a", "bypass": "#d6604d", "field-failure": "#f0a45d", "never-started": "#b0b0b0", "panic": "#7a5195",
}

var rest = []string{"#7fb2d9", "#c9b458", "#e08fb5", "#6fb7b7", "#a5a58d", "#cdb4db"}

func colorsOf(outcomes []Outcome) (colors []color) {
	others := 0
	for _, o := range outcomes {
		fill, ok := known[o]
		if !ok {
			fill = rest[others%len(rest)]
			others++
		}
		colors = append(colors, color{string(o), fill})
	}
	return colors
}

// page collects the bytes of a page.
type page struct {
	b      bytes.Buffer
	colors []color
}

func (p *page) text(parts ...string) {
	for _, s := range parts {
		p.b.WriteString(s)
	}
}

// escaped writes text that may be anything.
func (p *page) escaped(s string) { _ = xml.EscapeText(&p.b, []byte(printable(s))) }

// outcomes writes the table of outcomes, which is the key to the pictures.
func (p *page) outcomes(r *Report) {
	p.text("<table>\n<tr><th>outcome</th><th>runs</th><th>details</th></tr>\n")
	for i, c := range r.Outcomes {
		fmt.Fprintf(&p.b, "<tr><td><span class=\"key o%d\"></span>", i)
		p.escaped(string(c.Outcome))
		if r.Header.IsGood(c.Outcome) {
			p.text(" (good)")
		}
		fmt.Fprintf(&p.b, "</td><td class=\"n\">%d</td><td>", c.Runs)
		for j, d := range c.Details {
			if j > 0 {
				p.text(", ")
			}
			p.escaped(d.Detail)
			if len(c.Details) > 1 {
				fmt.Fprintf(&p.b, " (%d)", d.Runs)
			}
		}
		p.text("</td></tr>\n")
	}
	p.text("</table>\n")
}

// findings writes each finding with its plan, its journal and its output.
func (p *page) findings(r *Report) {
	if len(r.Findings) == 0 {
		return
	}
	p.text("<h2>Runs that are not good</h2>\n")
	for i := range r.Findings {
		if i == maxDetailed {
			fmt.Fprintf(&p.b, "<p>and %d more</p>\n", len(r.Findings)-i)
			return
		}
		f := &r.Findings[i]
		fmt.Fprintf(&p.b, "<section id=\"seed-%d\"><details><summary>seed %d: ", f.First.Seed, f.First.Seed)
		p.escaped(f.First.what())
		if f.Runs > 1 {
			fmt.Fprintf(&p.b, ", and %d more like it", f.Runs-1)
		}
		p.text("</summary>\n")
		if f.Runs > 1 {
			var seeds []string
			for _, seed := range f.Seeds {
				seeds = append(seeds, fmt.Sprint(seed))
			}
			p.text("<p>Seeds ", strings.Join(seeds, ", "))
			if f.Runs > len(seeds) {
				p.text(", …")
			}
			p.text("</p>\n")
		}
		p.block("Plan", f.First.Plan)
		p.block("Decisions", f.First.journalText())
		p.block("Output", f.First.Output)
		p.text("</details></section>\n")
	}
}

// block writes text as it is, under a name.
func (p *page) block(name, text string) {
	if text == "" {
		return
	}
	p.text("<p>", name, "</p>\n<pre>")
	p.escaped(text)
	p.text("</pre>\n")
}

// journalText has a line for each decision.
func (r *Result) journalText() string {
	var b strings.Builder
	for _, d := range r.Journal {
		fmt.Fprintf(&b, "command %d, %s at %s: %s by %s", d.Number, d.Command, d.Level, d.Outcome, d.Rule)
		if d.Code != 0 {
			fmt.Fprintf(&b, " (0x%x)", d.Code)
		}
		if d.Detail != "" {
			b.WriteString(" " + d.Detail)
		}
		b.WriteString("\n")
	}
	if more := r.Decisions - len(r.Journal); more > 0 {
		fmt.Fprintf(&b, "and %d more\n", more)
	}
	return b.String()
}
