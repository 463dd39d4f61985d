package draw

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/swtpmd/swtpmd/ima/verify"
)

// Matrix writes strategies by platforms as one HTML file that needs nothing else:
// no script, no font, no style sheet, and nothing is fetched. Each cell says what
// became of the records, which boot aggregates the list has, what each appraisal
// policy makes of it, and whether anybody sees the attack; it links to the
// pictures of its boots, which are in the file too. The page is also well-formed
// XML.
//
// Names that come from platforms and lists are escaped. The same rows give the
// same bytes. The error is w's.
func Matrix(w io.Writer, rows ...Row) error {
	t := newTable(rows)
	p := &page{w: w}
	p.text("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n",
		"<meta name=\"viewport\" content=\"width=device-width\"/>\n<title>IMA's start: strategies by platforms</title>\n",
		"<style>\n", pageStyle, style, "</style>\n</head>\n<body>\n",
		"<h1>IMA's start: strategies by platforms</h1>\n")
	p.intro(t)
	p.table(t)
	p.details(t)
	p.text("</body>\n</html>\n")
	return p.flush()
}

// pageStyle is the style of the page. Meanings are in words too.
const pageStyle = `body{font:14px/1.4 "DejaVu Sans",Verdana,Arial,sans-serif;color:#111;background:#fff;margin:1.5em}
h1{font-size:1.4em}h2{font-size:1.2em;margin-top:2em}h3{font-size:1em;margin-bottom:.3em}
table{border-collapse:separate;border-spacing:0;table-layout:fixed;font-size:12px;border:solid #999;border-width:1px 0 0 1px}
caption{text-align:left;padding:.5em 0}
th,td{border:solid #999;border-width:0 1px 1px 0;padding:.4em .5em;text-align:left;vertical-align:top;overflow-wrap:break-word}
thead th{background:#eee;position:sticky;top:0;z-index:1}tbody th{background:#fff;position:sticky;left:0}thead th:first-child{left:0;z-index:2}
th small{display:block;font-size:.78em;font-weight:normal;overflow-wrap:anywhere}td p{margin:0 0 .35em}
a{color:#00466e}code{font-family:"DejaVu Sans Mono",monospace}
.accept{background:#d9efe6}.cannot-tell{background:#fff3c4}.reject{background:#f8d9cc}.deceived{border:2px solid #a63c00;padding:.1em .2em}
section{margin:.3em 0}summary{cursor:pointer}.b-pic{width:100%;height:auto;max-width:1400px}
section:target>details::details-content{content-visibility:visible;block-size:auto}
section:target summary{outline:2px solid #0072b2}
@media print{body{margin:0;font-size:11px}table{font-size:9px;table-layout:auto;width:100%}col{width:auto!important}th{position:static!important}thead{display:table-header-group}tr,.b-pic{break-inside:avoid}
td,th{print-color-adjust:exact;-webkit-print-color-adjust:exact}@page{size:landscape;margin:10mm}}
`

// page writes to w as pieces become long.
type page struct {
	canvas
	w   io.Writer
	err error
}

func (p *page) flush() error {
	if p.err == nil {
		_, p.err = p.w.Write(p.b)
	}
	p.b = p.b[:0]
	return p.err
}

// element writes text in an element without attributes.
func (p *page) element(tag, text string) {
	p.text("<", tag, ">")
	p.escaped(text)
	p.text("</", tag, ">")
}

// intro says what the columns and words mean.
func (p *page) intro(t *table) {
	p.text("<p>Every platform was booted with every strategy in virtual time. A cell says how many records the measurement list keeps, ",
		"how many of them no PCR holds, how many uses of files went unmeasured because IMA had not started; ",
		"the boot aggregates; what a service says of the list that knows the kernel's build; and how an attack made for the strategy ends: ",
		"<b>prevented</b> (its program never runs), <b>recorded</b> (a record tells of it), or <b>unseen</b> (no record does). ",
		"A policy that accepts the list of an unseen attack is deceived.</p>\n")
	if len(t.policies) == 0 {
		return
	}
	p.text("<dl>\n")
	for _, policy := range t.policies {
		p.element("dt", name(policy, nameRunes))
		p.element("dd", name(t.question(policy), 600))
		p.text("\n")
	}
	p.text("</dl>\n")
}

// question returns the question that a policy answers.
func (t *table) question(policy string) string {
	for i := range t.rows {
		for j := range t.rows[i].Cells {
			c := &t.rows[i].Cells[j]
			for _, o := range []*Outcome{&c.Peaceful, &c.Attacked} {
				for k := range o.Appraisals {
					if o.Appraisals[k].Policy == policy && o.Appraisals[k].Question != "" {
						return o.Appraisals[k].Question
					}
				}
			}
		}
	}
	return ""
}

// The widths of the table's columns in pixels: with eight strategies, margins and
// a scroll bar the page is narrower than 1450.
const (
	platformWidth = 96
	strategyWidth = 160
)

func (p *page) table(t *table) {
	p.text(`<table style="width:`, strconv.Itoa(platformWidth+strategyWidth*len(t.strategies)), "px\">\n",
		"<caption>What is left of the measurements, and what a service may conclude</caption>\n<colgroup>",
		`<col style="width:`, strconv.Itoa(platformWidth), `px"/>`,
		strings.Repeat(`<col style="width:`+strconv.Itoa(strategyWidth)+`px"/>`, len(t.strategies)),
		"</colgroup>\n<thead>\n<tr><th scope=\"col\">Platform</th>")
	for _, s := range t.strategies {
		p.text(`<th scope="col">`)
		p.escaped(s.String())
		p.element("small", strategyNotes[s])
		p.text("</th>")
	}
	p.text("</tr>\n</thead>\n<tbody>\n")
	for i := range t.rows {
		r := &t.rows[i]
		p.text(`<tr><th scope="row">`)
		p.escaped(name(r.Platform, nameRunes))
		p.element("small", name(r.Title, 2*nameRunes))
		p.text("</th>\n")
		for _, s := range t.strategies {
			p.cell(r.cell(s), cellID(i, s), t.policies)
		}
		p.text("</tr>\n")
	}
	p.text("</tbody>\n</table>\n")
}

func (p *page) cell(c *Cell, id string, policies []string) {
	if c == nil {
		p.text("<td>not booted</td>\n")
		return
	}
	p.text(`<td><p><a href="#`, id, `">`, stateText(&c.Peaceful), "</a>")
	for _, remark := range remarks(&c.Peaceful.Boot.Summary) {
		p.text("<br/>")
		p.element("b", remark)
	}
	p.text("</p>\n<p>")
	for i, f := range facts(&c.Peaceful.Boot.Summary) {
		if i > 0 {
			p.text("<br/>")
		}
		tag := "span"
		if f.loud {
			tag = "b"
		}
		p.element(tag, f.text)
	}
	p.text("</p>\n<p>")
	p.aggregates(c)
	p.text("</p>\n<p>")
	p.verdicts(&c.Peaceful, policies)
	p.text("</p>\n")
	p.attack(c, policies)
	p.text("</td>\n")
}

func (p *page) aggregates(c *Cell) {
	all := c.Peaceful.aggregates()
	if len(all) == 0 {
		p.text("no boot_aggregate")
	}
	for i, a := range all {
		if i > 0 {
			p.text("<br/>")
		}
		p.escaped(a.name + " ")
		p.element("code", a.value)
	}
}

func (p *page) verdicts(o *Outcome, policies []string) {
	for i, policy := range policies {
		if i > 0 {
			p.text("<br/>")
		}
		outcome := o.outcome(policy)
		p.text(`<span class="v `, strings.ReplaceAll(word(outcome), " ", "-"), `">`)
		p.escaped(name(policy, nameRunes) + ": " + word(outcome))
		p.text("</span>")
	}
}

func (p *page) attack(c *Cell, policies []string) {
	scenario, what, deceived := c.attack(policies)
	switch {
	case scenario == "":
		return
	case len(deceived) > 0:
		p.text(`<p class="deceived">`)
		p.escaped("attack " + scenario + ": " + what + ", deceives " + name(strings.Join(deceived, ", "), 4*nameRunes))
	case what == "unseen" && len(policies) > 0:
		p.text("<p>")
		p.escaped("attack " + scenario + ": unseen, but no policy accepts the list")
	default:
		p.text("<p>")
		p.escaped("attack " + scenario + ": " + what)
	}
	p.text("</p>\n")
}

// stateText is how IMA stands, in words.
func stateText(o *Outcome) string {
	switch o.state() {
	case "TPM":
		return "with the TPM at " + o.Boot.Summary.Level.String()
	case "bypass":
		return "TPM-bypass at " + o.Boot.Summary.Level.String()
	case "field failure":
		return "with a TPM in field failure mode at " + o.Boot.Summary.Level.String()
	case "failed":
		return "IMA failed to start"
	case "never":
		return "IMA never started"
	}
	return "kernel panic"
}

// details has the pictures.
func (p *page) details(t *table) {
	p.text("<h2>The boots</h2>\n")
	for i := range t.rows {
		r := &t.rows[i]
		for _, s := range t.strategies {
			c := r.cell(s)
			if c == nil {
				continue
			}
			p.text(`<section id="`, cellID(i, s), "\"><details>\n")
			p.boot(name(r.Platform, nameRunes)+", "+s.String(), "summary", &c.Peaceful)
			if b := c.Attacked.Boot; b != nil {
				p.boot("Attack "+b.Attack.String(), "h3", &c.Attacked)
			}
			p.text("</details></section>\n")
			if p.flush() != nil {
				return
			}
		}
	}
}

// boot is a picture below its story, and what the policies say of it and why.
func (p *page) boot(title, tag string, o *Outcome) {
	picture := newPicture(o.Boot, "", DefaultWidth, o.Rules)
	p.element(tag, title+": "+picture.story)
	picture.write(&p.canvas, false)
	if len(o.Appraisals) == 0 {
		return
	}
	p.text("<ul>\n")
	for i := range o.Appraisals {
		if i == maxPolicies {
			break
		}
		a := &o.Appraisals[i]
		p.text("<li>")
		p.element("b", name(a.Policy, nameRunes)+": "+word(a.Outcome))
		p.reasons(a.Decided)
		p.text("</li>\n")
	}
	p.text("</ul>\n")
}

// maxReasons is how many reasons of an appraisal are told.
const maxReasons = 6

func (p *page) reasons(reasons []verify.Reason) {
	if len(reasons) == 0 {
		return
	}
	p.text("<ul>")
	for i := range reasons {
		if i == maxReasons {
			p.element("li", fmt.Sprintf("and %d more", len(reasons)-i))
			break
		}
		text := reasons[i].Policy
		if f := reasons[i].Finding; f != nil {
			text = string(f.Code) + ": " + f.Text + " (" + text + ")"
		}
		p.element("li", name(text, 400))
	}
	p.text("</ul>")
}
