package draw

// style is the style of pictures. The colors are those of the set of Okabe and Ito,
// which people tell apart who see red and green alike; each goes with a shape.
// Every class begins with b-, as pictures are put into pages.
const style = `.b-pic{font-family:"DejaVu Sans",Verdana,Arial,sans-serif;background:#fff}
.b-pic text{fill:#111;font-size:12px;white-space:pre}
.b-pic .b-halo{paint-order:stroke;stroke:#fff;stroke-width:3px;stroke-linejoin:round}
.b-pic .b-head{font-size:15px;font-weight:bold}.b-pic .b-story{font-size:15px}
.b-pic .b-small{font-size:11px}.b-pic .b-level{font-weight:bold}.b-pic .b-mid{text-anchor:middle}
.b-pic .b-right{text-anchor:end;font-size:11px}
.b-shade{fill:#f1f1f1}.b-light{fill:#fff}.b-edge{stroke:#bbb;fill:none}.b-axis{stroke:#111;fill:none}.b-gap{stroke:#111;stroke-dasharray:2 4;fill:none}
.b-wave{stroke:#777;fill:none}.b-lead{stroke:#777;stroke-width:.8;fill:none}.b-row{stroke:#e2e2e2;fill:none}
.b-call{fill:#d5d5d5;stroke:#333}.b-ima{fill:#56b4e9;stroke:#00466e}.b-bound{fill:#5fc9a8;stroke:#004d38}
.b-defer{fill:#fff;stroke:#8a5a00;stroke-width:1.6;stroke-dasharray:4 2}.b-fail{fill:#fff;stroke:#a63c00;stroke-width:1.6}
.b-away{fill:#fff;stroke:#a63c00;stroke-width:1.2}.b-hatch{stroke:#a63c00;stroke-width:.8;fill:none}.b-wait{stroke:#8a5a00;stroke-width:1.6;stroke-dasharray:1 3;fill:none}
.b-open{fill:#fff;stroke:#333;stroke-dasharray:1 2}.b-async{fill:#eee0ea;stroke:#6b3a58}.b-help{fill:#f8e9b8;stroke:#6b5200}
.b-ok{fill:#009e73;stroke:none}.b-slow{fill:#d6f0e7;stroke:#004d38;stroke-dasharray:3 2}.b-later{fill:#fff;stroke:#8a5a00;stroke-width:1.2}.b-no{fill:none;stroke:#a63c00;stroke-width:1.8}
.b-disc{fill:#0072b2;stroke:#00304d}.b-ring{fill:#fff;stroke:#0072b2;stroke-width:1.8}.b-queue{fill:#f0e442;stroke:#333}
.b-bolt{fill:#111;stroke:#111}.b-user{fill:#d5d5d5;stroke:#333}.b-line{stroke:#111;fill:none}
.b-vima{stroke:#0072b2;stroke-width:1.4;fill:none}.b-vtpm{stroke:#00664a;stroke-width:1.4;stroke-dasharray:6 3;fill:none}
.b-fima{fill:#0072b2;stroke:#00304d}.b-ftpm{fill:#009e73;stroke:#004d38}
`

// write writes the picture, with its style if it stands alone.
func (p *picture) write(c *canvas, alone bool) {
	c.text(`<svg class="b-pic" xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 `)
	c.num(p.width)
	c.text(" ")
	c.num(p.height)
	c.text(`"`)
	if alone {
		c.text(` width="`)
		c.num(p.width)
		c.text(`" height="`)
		c.num(p.height)
		c.text(`"`)
	}
	c.text(">\n<title>")
	c.escaped(p.title)
	c.text("</title>\n<desc>")
	c.escaped(p.story + ". " + p.counts)
	c.text("</desc>\n")
	if alone {
		c.text("<style>", style, "</style>\n")
	}
	c.rect("b-light", 0, 0, p.width, p.height)
	c.text("\n")
	c.say("b-head", margin, 24*px, p.title)
	c.say("b-story", margin, 47*px, p.story)
	c.say("b-line1", margin, 70*px, p.counts)
	texts := p.texts()
	p.ground(c, texts)
	p.times(c)
	for _, s := range p.list {
		s.write(c, p)
	}
	c.say("b-small", margin, p.bottom+15*px, fit(p.note, p.width-2*margin, smallSize))
	for i := range p.entries {
		p.entries[i].write(c)
	}
	c.text("</svg>\n")
}

// ground draws what is below everything: levels, cuts, and the lines of IMA and
// the TPM.
func (p *picture) ground(c *canvas, texts breaks) {
	for i, b := range p.axis.bands {
		class := "b-light"
		if shade(i) {
			class = "b-shade"
		}
		c.rect(class, b.x0(), p.grid, b.x1()-b.x0(), p.bottom-p.grid)
		for j := range b.pieces {
			if b.pieces[j].cut {
				p.cut(c, texts, &b.pieces[j])
			}
		}
	}
	c.text("\n")
	for _, b := range p.axis.bands {
		c.down("b-edge", texts, b.x0(), p.grid, p.bottom)
		c.text(`<g class="b-mid">`)
		c.say("b-level b-mid", (b.x0()+b.x1())/2, p.grid+16*px, b.title())
		if b.duration() > 0 {
			c.say("b-small b-mid", (b.x0()+b.x1())/2, p.grid+32*px, length(b.duration()))
		}
		c.text("</g>")
	}
	c.down("b-edge", texts, p.axis.right, p.grid, p.bottom)
	c.path("b-edge", "M", p.left, p.grid, "H", p.axis.right)
	for _, s := range p.list {
		c.path("b-row", "M", margin, s.y-stripGap/2, "H", p.axis.right)
	}
	for _, l := range p.lines {
		class := "b-vima"
		if l.shape == flagTPM {
			class = "b-vtpm"
		}
		c.down(class, texts, l.x, p.grid+headline+axisHigh+stripGap, p.bottom)
	}
	c.text("\n")
}

// cut is a wave at each side of time that is left out.
func (p *picture) cut(c *canvas, texts breaks, piece *piece) {
	for _, x := range []int{piece.x0 + 4*px, piece.x1 - 4*px} {
		c.wave(texts, x, p.grid+headline+axisHigh, p.bottom)
	}
}

// times is the axis itself.
func (p *picture) times(c *canvas) {
	y := p.grid + headline
	for _, b := range p.axis.bands {
		for i := range b.pieces {
			class := "b-axis"
			if b.pieces[i].cut {
				class = "b-gap"
			}
			c.path(class, "M", b.pieces[i].x0, y, "H", b.pieces[i].x1)
		}
	}
	for _, t := range p.ticks {
		c.path("b-axis", "M", t.x, y-3*px, "V", y+4*px)
		if t.text != "" {
			c.say("b-small", t.tx, y+16*px, t.text)
		}
	}
	for _, t := range p.axis.gaps() {
		c.say("b-small b-halo", t.tx, y+31*px, t.text)
	}
}

// write draws a strip: marks, then labels upon them.
func (s *strip) write(c *canvas, p *picture) {
	c.say("b-right", p.left-8*px, s.y+markHeight/2+4*px, fit(s.name, nameWidth, smallSize))
	for i := range s.labels {
		if l := &s.labels[i]; l.row > 0 {
			bottom := s.y + markHeight + l.row*rowHeight - 5*px
			c.path("b-lead", "M", l.leader, s.y+markHeight-px, "V", bottom, "H", nearEnd(l))
		}
	}
	for _, g := range s.groups {
		c.path("b-line", "M", g.x0, s.y+markHeight-px, "H", g.x1)
	}
	for i := range s.marks {
		m := &s.marks[i]
		if m.title != "" {
			c.text("<g><title>")
			c.escaped(m.title)
			if m.n > 1 {
				c.escaped(" and " + plural(m.n-1, "other", "others"))
			}
			c.text("</title>")
		}
		m.draw(c, s.y)
		if m.title != "" {
			c.text("</g>")
		}
		c.text("\n")
	}
	for i := range s.labels {
		l := &s.labels[i]
		c.say("b-halo", l.x, s.baseline(l.row), l.text)
	}
}

// nearEnd is where a leader meets its label.
func nearEnd(l *label) int {
	switch {
	case l.x > l.leader:
		return l.x - px
	case l.x+l.w < l.leader:
		return l.x + l.w + px
	}
	return l.leader
}

// barClasses are the classes of boxes.
var barClasses = [shapes]string{
	callBar: "b-call", imaBar: "b-ima", boundBar: "b-bound", deferredBar: "b-defer", failedBar: "b-fail",
	openBar: "b-open", asyncBar: "b-async", helperBar: "b-help", userBar: "b-user",
}

// draw draws a mark in the line that begins at y.
func (m *mark) draw(c *canvas, y int) {
	top, high := y+2*px, markHeight-4*px
	mid := y + markHeight/2
	x, w := m.x0, m.x1-m.x0
	switch m.shape {
	case answered:
		c.rect("b-ok", x, top+px, max(w-5, 8), high-2*px)
	case slow:
		c.rect("b-slow", x, top+2*px, w, high-4*px)
		c.rect("b-ok", m.x1-4*px, top+px, 4*px, high-2*px)
	case later:
		c.rect("b-later", x, mid-px, max(w-5, 2*px), high/2)
	case refused:
		c.path("b-no", "M", x, mid, "H", m.x1, "M", m.x1-3*px, mid-5*px, "l", 6*px, 10*px, "m", 0, -10*px, "l", -6*px, 10*px)
	case awayBar:
		c.rect("b-away", x, top, w, high)
		c.hatch(x, top, w, high)
	case hereBar:
		c.rect("b-ok", x, mid-2*px, w, 4*px)
	case waiting:
		c.path("b-wait", "M", x, mid, "H", m.x1)
	case resetMark:
		c.path("b-no", "M", x+5*px, mid-3*px, "a5 5 0 1 0 0 6", "M", x+5*px, mid-7*px, "v", 5*px, "h", -5*px)
	case between:
		c.path("b-line", "M", x, mid, "H", m.x1)
	case disc:
		c.circle("b-disc", x, mid)
	case ring:
		c.circle("b-ring", x, mid)
	case cross:
		c.path("b-no", "M", x-4*px, mid-4*px, "l", 8*px, 8*px, "m", 0, -8*px, "l", -8*px, 8*px)
	case barred:
		c.circle("b-fail", x, mid)
		c.path("b-no", "M", x-4*px, mid, "h", 8*px)
	case diamond, flagIMA:
		c.path(map[bool]string{true: "b-queue", false: "b-fima"}[m.shape == diamond], "M", x, mid-6*px, "l", 6*px, 6*px, "l", -6*px, 6*px, "l", -6*px, -6*px, "z")
	case flagTPM:
		c.path("b-ftpm", "M", x-6*px, mid-5*px, "h", 12*px, "l", -6*px, 11*px, "z")
	case bolt:
		c.path("b-bolt", "M", x+2*px, mid-7*px, "l", -5*px, 8*px, "h", 3*px, "l", -2*px, 6*px, "l", 6*px, -9*px, "h", -3*px, "z")
	case retry:
		c.path("b-bolt", "M", x, mid-6*px, "l", 4*px, 6*px, "h", -8*px, "z", "M", x-px, mid, "h", 2*px, "v", 6*px, "h", -2*px, "z")
	case relaxed:
		c.path("b-no", "M", x-4*px, mid, "h", 3*px, "m", 2*px, 0, "h", 3*px)
	default:
		c.rect(barClasses[m.shape], x, top, w, high)
		if m.shape == failedBar {
			c.path("b-no", "M", m.x1-4*px, mid-4*px, "l", 8*px, 8*px, "m", 0, -8*px, "l", -8*px, 8*px)
		}
	}
}

// hatch draws slanting lines in a box.
func (c *canvas) hatch(x, y, w, h int) {
	var parts []any
	step := max(7*px, (w+h)/100)
	for at := step; at < w+h; at += step {
		// A line begins at the upper edge or, past its end, at the right one.
		right := min(at, w)
		top := at - right
		if long := min(right, h-top); long > 0 {
			parts = append(parts, "M", x+right, y+top, "l", -long, long)
		}
	}
	if len(parts) > 0 {
		c.path("b-hatch", parts...)
	}
}

func (c *canvas) circle(class string, x, y int) {
	c.text(`<circle class="`, class, `" cx="`)
	c.num(x)
	c.text(`" cy="`)
	c.num(y)
	c.text(`" r="4.5"/>`)
}
