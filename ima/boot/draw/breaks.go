package draw

// breaks are the texts of a picture, at which lines down the picture are
// interrupted: no line crosses a text.
type breaks []textBox

// textBox is the place of a text.
type textBox struct{ x0, y0, x1, y1 int }

// textAt is the place of a text that begins at x with its line at y.
func textAt(x, y, w, size int) textBox {
	return textBox{x - 2*px, y - size*px*9/10, x + w + 2*px, y + size*px*3/10}
}

// texts collects what stands where lines go down: times, lengths and labels.
func (p *picture) texts() (all breaks) {
	y := p.grid + headline
	for _, t := range p.ticks {
		if t.text != "" {
			all = append(all, textAt(t.tx, y+16*px, t.w, smallSize))
		}
	}
	for _, t := range p.axis.gaps() {
		all = append(all, textAt(t.tx, y+31*px, t.w, smallSize))
	}
	for _, s := range p.list {
		for i := range s.labels {
			l := &s.labels[i]
			all = append(all, textAt(l.x, s.baseline(l.row), l.w, labelSize))
		}
	}
	return all
}

// baseline is the line of the texts in a row of labels.
func (s *strip) baseline(row int) int {
	if row == 0 {
		return s.y + markHeight/2 + 4*px
	}
	return s.y + markHeight + row*rowHeight - 4*px
}

// next finds the first text that a line from x0 to x1 meets on its way down from
// y, and where it may go on; from is at least the bottom if it meets none.
func (all breaks) next(x0, x1, y, bottom int) (from, to int) {
	from, to = bottom, bottom
	for i := range all {
		b := &all[i]
		if b.x0 <= x1 && x0 <= b.x1 && b.y1 > y && b.y0 < from {
			from, to = b.y0, b.y1
		}
	}
	return from, to
}

// down draws a line from y to bottom that leaves out texts.
func (c *canvas) down(class string, all breaks, x, y, bottom int) {
	var parts []any
	for y < bottom {
		from, to := all.next(x, x, y, bottom)
		if from > y {
			parts = append(parts, "M", x, y, "V", min(from, bottom))
		}
		y = max(to, y+1)
	}
	if len(parts) > 0 {
		c.path(class, parts...)
	}
}

// waveHeight is that of half a wave, waveWidth how far it stands out.
const (
	waveHeight = 10 * px
	waveWidth  = 3 * px
)

// wave is down with a wave: whole halves only.
func (c *canvas) wave(all breaks, x, y, bottom int) {
	open, any := false, false
	for ; y < bottom; y += waveHeight {
		if from, _ := all.next(x-waveWidth, x+waveWidth, y, bottom); from < y+waveHeight {
			open = false
			continue
		}
		switch {
		case open:
			c.text("t0 10")
			continue
		case !any:
			c.text(`<path class="b-wave" d="`)
		}
		open, any = true, true
		c.text("M")
		c.num(x)
		c.text(" ")
		c.num(y)
		c.text("q3 5 0 10")
	}
	if any {
		c.text(`"/>`)
	}
}
