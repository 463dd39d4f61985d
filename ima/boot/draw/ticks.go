package draw

import (
	"slices"
	"time"
)

// tick is a time on the axis.
type tick struct {
	x    int
	text string // empty for one without a place for its text
	tx   int    // where the text begins
	w    int
}

// tickRow places texts along a line.
type tickRow struct {
	left, right int
	taken       []box
}

// fit finds the place of a text centered at x, as far as the line allows.
func (r *tickRow) fit(x int, text string) (tx, w int, ok bool) {
	w = textWidth(text, smallSize)
	tx = min(max(r.left, x-w/2), r.right-w)
	b := box{tx - 3*px, tx + w + 3*px}
	if slices.ContainsFunc(r.taken, func(o box) bool { return b.x0 < o.x1 && o.x0 < b.x1 }) {
		return 0, 0, false
	}
	r.taken = append(r.taken, b)
	return tx, w, true
}

// ticks names times: those where levels begin, then round ones in pieces that
// are wide enough.
func (a *axis) ticks() (ticks []tick) {
	row := tickRow{left: a.left, right: a.right}
	place := func(x int, text string, needed bool) {
		tx, w, ok := row.fit(x, text)
		switch {
		case ok:
			ticks = append(ticks, tick{x: x, text: text, tx: tx, w: w})
		case needed:
			ticks = append(ticks, tick{x: x})
		}
	}
	// A level is worth more the later it begins: the first ones tell nothing.
	for i, b := range slices.Backward(a.bands) {
		near := b.duration()
		if i > 0 && a.bands[i-1].duration() > 0 {
			near = min(near, a.bands[i-1].duration())
		}
		place(b.x0(), moment(b.start, near), true)
	}
	if n := len(a.bands); n > 0 {
		last := a.bands[n-1]
		place(a.right, moment(last.end, last.duration()), true)
	}
	for _, b := range a.bands {
		for i := range b.pieces {
			p := &b.pieces[i]
			if p.cut {
				continue
			}
			step := roundStep(p.end-p.start, (p.x1-p.x0)/(80*px))
			if step <= 0 {
				continue
			}
			for at := (p.start/step + 1) * step; at < p.end; at += step {
				place(p.x(at), moment(at, 10*step), false)
			}
		}
	}
	slices.SortStableFunc(ticks, func(a, b tick) int { return a.x - b.x })
	return ticks
}

// gaps says how long the times are that are cut, where a level's own length
// does not say it.
func (a *axis) gaps() (ticks []tick) {
	row := tickRow{left: a.left, right: a.right}
	for _, b := range a.bands {
		for i := range b.pieces {
			p := &b.pieces[i]
			if d := p.end - p.start; p.cut && d*20 < b.duration()*19 {
				text := length(d)
				if tx, w, ok := row.fit((p.x0+p.x1)/2, text); ok {
					ticks = append(ticks, tick{x: p.x0, text: text, tx: tx, w: w})
				}
			}
		}
	}
	return ticks
}

// roundStep is a step of 1, 2 or 5 times a power of ten that goes into a time
// at most n times; 0 if there is no place for any.
func roundStep(d time.Duration, n int) time.Duration {
	if n < 1 || d <= 0 {
		return 0
	}
	for step := time.Microsecond; step < time.Hour; step *= 10 {
		for _, m := range []time.Duration{1, 2, 5} {
			if d/(m*step) <= time.Duration(n) {
				return m * step
			}
		}
	}
	return 0
}
