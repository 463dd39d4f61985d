package draw

import (
	"math/bits"
	"slices"
	"time"

	"github.com/swtpmd/swtpmd/faults/initcall"
)

// axis maps virtual time to places. It is linear by pieces: each level has a
// scale of its own, and long times in which nothing is drawn are cut.
type axis struct {
	bands []*band
	left  int // where it begins
	right int
}

// band is a level, or several in which nothing is drawn.
type band struct {
	first, last initcall.Level
	start, end  time.Duration
	anchors     []time.Duration // when something is drawn, in order
	pieces      []piece
}

// piece is a part of a band with one scale.
type piece struct {
	start, end time.Duration
	x0, x1     int
	cut        bool
}

const (
	// cutWidth is the place of time that is cut, minCut how long it is at
	// least. cutShare is the part of a level that is long: in percent.
	cutWidth = 34 * px
	minCut   = 15 * time.Millisecond
	cutShare = 45
	maxCuts  = 4 // in a band
	bandPad  = 12 * px
)

func (b *band) duration() time.Duration { return b.end - b.start }

// x0 and x1 are where the band begins and ends.
func (b *band) x0() int { return b.pieces[0].x0 }
func (b *band) x1() int { return b.pieces[len(b.pieces)-1].x1 }

func (b *band) title() string {
	if b.first == b.last {
		return b.first.String()
	}
	return b.first.String() + " … " + b.last.String()
}

// newAxis makes the axis of a boot in the place from left on, width wide; wider
// if that is too narrow for the names of the levels.
func newAxis(t *timeline, left, width int) *axis {
	a := &axis{left: left}
	for level := initcall.Firmware; level <= initcall.Userspace; level++ {
		if !t.reached[level] {
			continue
		}
		a.add(&band{first: level, last: level, start: t.start[level], end: t.start[level], anchors: t.anchors[level]})
	}
	for i, b := range a.bands {
		b.end = max(b.start, t.end)
		if i+1 < len(a.bands) {
			b.end = a.bands[i+1].start
		}
		b.split()
	}
	a.place(width)
	return a
}

// add appends a level, to the band before it if nothing is drawn in either. The
// end of the band before is where this one begins.
func (a *axis) add(b *band) {
	if len(a.bands) == 0 {
		a.bands = append(a.bands, b)
		return
	}
	last := a.bands[len(a.bands)-1]
	last.end = b.start
	quiet := len(b.anchors) == 0 && b.first < initcall.Late
	if quiet && len(last.anchors) == 0 && last.first > initcall.Firmware {
		last.last = b.last
		return
	}
	// A level that took no time needs no place.
	if last.duration() == 0 && len(last.anchors) == 0 && len(a.bands) > 1 && last.first < initcall.Late {
		a.bands = a.bands[:len(a.bands)-1]
	}
	a.bands = append(a.bands, b)
}

// split cuts long gaps out of a band.
func (b *band) split() {
	slices.Sort(b.anchors)
	b.anchors = slices.Compact(b.anchors)
	type gap struct{ start, end time.Duration }
	var gaps []gap
	at := b.start
	for _, t := range append(slices.Clone(b.anchors), b.end) {
		if t-at >= minCut {
			gaps = append(gaps, gap{at, t})
		}
		at = max(at, t)
	}
	slices.SortStableFunc(gaps, func(x, y gap) int { return int(min(1, max(-1, (y.end-y.start)-(x.end-x.start)))) })
	rest := b.duration()
	n := 0
	for n < len(gaps) && n < maxCuts && (gaps[n].end-gaps[n].start)*100 >= rest*cutShare {
		rest -= gaps[n].end - gaps[n].start
		n++
	}
	gaps = gaps[:n]
	slices.SortFunc(gaps, func(x, y gap) int { return int(min(1, max(-1, x.start-y.start))) })
	at = b.start
	for _, g := range gaps {
		if g.start > at || len(b.pieces) == 0 && len(b.anchors) > 0 && b.anchors[0] <= at {
			b.pieces = append(b.pieces, piece{start: at, end: g.start})
		}
		b.pieces = append(b.pieces, piece{start: g.start, end: g.end, cut: true})
		at = g.end
	}
	if at < b.end || len(b.pieces) == 0 || len(b.anchors) > 0 && b.anchors[len(b.anchors)-1] >= at {
		b.pieces = append(b.pieces, piece{start: at, end: b.end})
	}
}

// weight says how much of the free place a piece should get: more for more time
// and for more that is drawn, but not in proportion.
func (b *band) weight(p *piece) int {
	if p.cut {
		return 0
	}
	first, _ := slices.BinarySearch(b.anchors, p.start)
	last, found := slices.BinarySearch(b.anchors, p.end)
	if found {
		last++
	}
	if first == last {
		return 1
	}
	ticks := bits.Len64(uint64((p.end - p.start) / (50 * time.Microsecond)))
	return 1 + 3*ticks*min(ticks, 8)/8 + 2*min(last-first, 24)
}

// least is the least width of a band: that of its name.
func (b *band) least() int {
	return bandPad + max(textWidth(b.title(), labelSize)*9/8, textWidth(length(b.duration()), smallSize))
}

// place returns every piece its place.
func (a *axis) place(width int) {
	weights, used := 0, 0
	for _, b := range a.bands {
		own := 0
		for i := range b.pieces {
			p := &b.pieces[i]
			p.x1 = cutWidth // the width, for now
			if !p.cut {
				p.x1 = 10 * px
				weights += b.weight(p)
			}
			own += p.x1
		}
		if short := b.least() - own; short > 0 {
			b.pieces[b.widest()].x1 += short
			own += short
		}
		used += own
	}
	free := max(0, width-used)
	x := a.left
	for _, b := range a.bands {
		for i := range b.pieces {
			p := &b.pieces[i]
			w := p.x1
			if weights > 0 {
				w += free * b.weight(p) / weights
			}
			p.x0, p.x1 = x, x+w
			x += w
		}
	}
	a.right = x
}

// widest is the piece that takes what a band needs for its name: the first one
// that is not cut.
func (b *band) widest() int {
	best := 0
	for i := range b.pieces {
		if b.pieces[best].cut && !b.pieces[i].cut || b.weight(&b.pieces[i]) > b.weight(&b.pieces[best]) {
			best = i
		}
	}
	return best
}

// x is where something is that happened at a time and a level. A level matters
// for those that took no time.
func (a *axis) x(level initcall.Level, at time.Duration) int {
	if len(a.bands) == 0 {
		return a.left
	}
	i := 0
	for i+1 < len(a.bands) && a.bands[i+1].first <= level {
		i++
	}
	return a.bands[i].x(at)
}

// xAt is where a time is of which the level is not known.
func (a *axis) xAt(at time.Duration) int {
	if len(a.bands) == 0 {
		return a.left
	}
	i := 0
	for i+1 < len(a.bands) && a.bands[i+1].start <= at {
		i++
	}
	return a.bands[i].x(at)
}

func (b *band) x(at time.Duration) int {
	for i := range b.pieces {
		p := &b.pieces[i]
		if at <= p.end {
			return p.x(at)
		}
	}
	return b.x1()
}

func (p *piece) x(at time.Duration) int {
	d := p.end - p.start
	if d <= 0 || at <= p.start {
		return p.x0
	}
	at = min(at, p.end)
	// An hour in nanoseconds by a picture's width stays below 2⁶³.
	return p.x0 + int(int64(at-p.start)*int64(p.x1-p.x0)/int64(d))
}
