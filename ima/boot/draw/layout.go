package draw

import (
	"slices"
)

// shape says what a mark looks like. Every meaning has a shape of its own, so
// that color is never needed.
type shape uint8

const (
	callBar     shape = iota // grey box: an initcall
	imaBar                   // filled box: init_ima
	boundBar                 // filled box: a probe that bound
	deferredBar              // dashed box: a probe that was deferred
	failedBar                // box with a cross: a probe that failed
	openBar                  // box without an end
	asyncBar                 // rounded box: asynchronous work
	helperBar                // box with a double edge: a program
	awayBar                  // hatched box: the TPM does not answer
	hereBar                  // thin bar: it does
	waiting                  // dotted line: deferred, not retried yet
	answered                 // filled tick: the TPM answered with success
	slow                     // long box with a filled end: answered at last
	later                    // open tick: not now (RETRY, TESTING, INITIALIZE)
	refused                  // tick with a cross: any other answer, or none
	disc                     // record in list and PCR
	ring                     // record in the list only
	cross                    // lost
	barred                   // denied
	diamond                  // queued
	bolt                     // an attacker at work
	flagTPM                  // TPM registered
	flagIMA                  // IMA starts
	resetMark                // TPM reset without the kernel
	retry                    // taken from the deferred list
	relaxed                  // dependency given up
	userBar                  // userspace
	between                  // line between two moments
	shapes
)

// bar reports whether a shape has a length.
func (s shape) bar() bool { return s <= refused || s == userBar || s == between }

// mark is one thing drawn, n of them if they would lie upon each other.
type mark struct {
	shape  shape
	x0, x1 int
	n      int
	title  string // what a viewer shows for it on demand
}

// strip is a line of marks with its name at the left and labels in rows below.
type strip struct {
	name     string
	marks    []mark
	requests []request
	labels   []label
	groups   []group
	rows     int // of labels below the marks
	y        int
	dropped  int // labels that found no place
	last     [shapes]int
	bin      int // how near marks are that are counted together
}

// request asks for a label at the marks from x0 to x1.
type request struct {
	x0, x1 int
	text   string
	less   string // the text if place is scarce
	weight int
}

// group is a line under marks that have a label in common.
type group struct{ x0, x1 int }

// label is a text in its place. row 0 is the line of the marks.
type label struct {
	x, w   int
	row    int
	text   string
	leader int // where a line comes down from the marks, if row is not 0
}

const (
	markHeight  = 18 * px
	rowHeight   = 16 * px
	stripGap    = 8 * px
	labelGap    = 6 * px
	maxMarks    = 300 // of a strip
	maxTitle    = 160 // runes
	maxRequests = 120
	maxRows     = 8
	maxTries    = 5
	binWidth    = 3 * px
	radius      = 5 * px
)

// add draws a mark, or counts it with the last one of its shape where it would
// hide that. A strip with too many marks counts more and more of them together.
func (s *strip) add(shape shape, x0, x1 int, title func() string) {
	if s.merge(mark{shape: shape, x0: x0, x1: max(x0, x1), n: 1}) {
		return
	}
	s.append(mark{shape: shape, x0: x0, x1: max(x0, x1), n: 1, title: shorten(title(), maxTitle)})
	for s.bin = max(s.bin, binWidth); len(s.marks) > maxMarks; {
		s.bin *= 2
		marks := s.marks
		s.marks, s.last = nil, [shapes]int{}
		for _, m := range marks {
			if !s.merge(m) {
				s.append(m)
			}
		}
	}
}

// append adds a mark. last counts from 1.
func (s *strip) append(m mark) {
	s.marks = append(s.marks, m)
	s.last[m.shape] = len(s.marks)
}

// merge counts a mark with the last one of its shape, if both begin and end near
// each other.
func (s *strip) merge(m mark) bool {
	if s.last[m.shape] == 0 {
		return false
	}
	near := func(d int) bool { return d < max(s.bin, binWidth) && -d < max(s.bin, binWidth) }
	last := &s.marks[s.last[m.shape]-1]
	if !near(m.x0-last.x0) || !near(m.x1-last.x1) {
		return false
	}
	last.n += m.n
	if m.shape.bar() {
		last.x1 = max(last.x1, m.x1)
	}
	return true
}

// ask wants a label, which may say less if place is scarce.
func (s *strip) ask(x0, x1 int, weight int, text, less string) {
	if len(s.requests) >= maxRequests {
		s.dropped++
		return
	}
	s.requests = append(s.requests, request{x0: x0, x1: max(x0, x1), text: text, less: less, weight: weight})
}

// box is a place that is taken: from x0 to x1.
type box struct{ x0, x1 int }

// line has the places taken in one line of a strip: by marks or labels, and by
// leaders, the lines that lead to labels further down. Leaders may lie upon each
// other.
type line struct{ texts, leaders []box }

// lines are a strip's. The first is that of the marks.
type lines [maxRows + 1]line

func overlaps(boxes []box, x0, x1 int) bool {
	return slices.ContainsFunc(boxes, func(b box) bool { return x0 < b.x1 && b.x0 < x1 })
}

func (l *line) free(x0, x1 int) bool {
	return !overlaps(l.texts, x0, x1) && !overlaps(l.leaders, x0, x1)
}

func (l *line) take(x0, x1 int) { l.texts = append(l.texts, box{x0, x1}) }

// orders are the orders in which labels choose their places, one after the
// other. From right to left is the first, because then the line that leads down
// to a label passes no label before it; in the last one those choose first that
// say most.
var orders = [...]func(a, b request) int{
	func(a, b request) int { return b.x0 - a.x0 },
	func(a, b request) int { return a.x0 - b.x0 },
	func(a, b request) int {
		if a.weight != b.weight {
			return b.weight - a.weight
		}
		return b.x0 - a.x0
	},
}

// layout finds places for a strip's labels between left and right, in the order
// that leaves out the fewest. If every order leaves out some, all have to do with
// less text.
func (s *strip) layout(left, right int) {
	best, least := s.search(s.requests, left, right)
	if least > 0 {
		less := slices.Clone(s.requests)
		for i := range less {
			less[i].text = less[i].less
		}
		if other, n := s.search(less, left, right); n < least {
			best = other
		}
	}
	*s = best
	slices.SortStableFunc(s.labels, func(a, b label) int {
		if a.row != b.row {
			return a.row - b.row
		}
		return a.x - b.x
	})
	for i := range s.labels {
		s.rows = max(s.rows, s.labels[i].row)
	}
}

// search tries the orders. Labels that found no place choose first the next
// time. least says how much was left out.
func (s *strip) search(all []request, left, right int) (best strip, least int) {
	least = -1
	for _, order := range orders {
		requests := slices.Clone(all)
		slices.SortStableFunc(requests, order)
		for range maxTries {
			done, out := s.try(requests, left, right)
			missing := 0
			for i := range out {
				missing += 1 + out[i].weight
			}
			if least < 0 || missing < least {
				best, least = done, missing
			}
			if least == 0 {
				return best, 0
			}
			requests = slices.DeleteFunc(requests, func(q request) bool { return slices.Contains(out, q) })
			requests = slices.Concat(out, requests)
		}
	}
	return best, least
}

// try returns the strip with labels that chose their places in this order, and
// those that found none.
func (s *strip) try(requests []request, left, right int) (done strip, out []request) {
	done = *s
	var taken lines
	for i := range s.marks {
		m := &s.marks[i]
		taken[0].take(m.x0-m.reach(), m.x1+m.reach())
	}
	for i := range requests {
		if !done.put(&taken, &requests[i], left, right) {
			done.dropped++
			out = append(out, requests[i])
		}
	}
	return done, out
}

// reach is how far a mark stands out from its place.
func (m *mark) reach() int {
	if m.shape.bar() {
		return px
	}
	return radius + px
}

// put finds a place for a label: beside its marks or in a row below.
func (s *strip) put(taken *lines, q *request, left, right int) bool {
	w := textWidth(q.text, labelSize)
	// The label must be nearer to its own marks than to others.
	near, far := radius+3*px, 3*radius+3*px
	after, before := q.x1+near, q.x0-near-w
	switch {
	case after >= left && after+w <= right && taken[0].free(after, after+w+far):
		return s.beside(taken, q, label{x: after, w: w, text: q.text})
	case before >= left && before+w <= right && taken[0].free(before-far, before+w):
		return s.beside(taken, q, label{x: before, w: w, text: q.text})
	}
	leader := q.x0
	if q.x1-q.x0 < 2*radius {
		leader = (q.x0 + q.x1) / 2
	}
	return s.below(taken, q, left, right, leader, leader+3*px) ||
		s.below(taken, q, left, right, q.x1, q.x1-w-3*px) ||
		s.below(taken, q, left, right, leader, leader-w-3*px)
}

func (s *strip) beside(taken *lines, q *request, l label) bool {
	taken[0].take(l.x-labelGap/2, l.x+l.w+labelGap/2)
	s.accept(q, l)
	return true
}

// below finds a row for a label at x, with a leader that passes no other label.
func (s *strip) below(taken *lines, q *request, left, right, leader, x int) bool {
	w := textWidth(q.text, labelSize)
	if x < left || x+w > right {
		return false
	}
	for row := 1; row <= maxRows; row++ {
		l := &taken[row]
		if overlaps(l.texts, leader-px, leader+px) {
			return false
		}
		if overlaps(l.texts, x-labelGap/2, x+w+labelGap/2) || overlaps(l.leaders, x, x+w) {
			continue
		}
		for above := 1; above <= row; above++ {
			taken[above].leaders = append(taken[above].leaders, box{leader - px, leader + px})
		}
		l.take(x, x+w)
		s.accept(q, label{x: x, w: w, row: row, text: q.text, leader: leader})
		return true
	}
	return false
}

func (s *strip) accept(q *request, l label) {
	s.labels = append(s.labels, l)
	if q.x1-q.x0 > 4*radius && !s.single(q) {
		s.groups = append(s.groups, group{q.x0, q.x1})
	}
}

// single reports whether a request is about one mark.
func (s *strip) single(q *request) bool {
	return slices.ContainsFunc(s.marks, func(m mark) bool { return m.x0 <= q.x0 && m.x1 >= q.x1 })
}

func (s *strip) height() int { return markHeight + s.rows*rowHeight }

// shade reports whether a level has the darker ground: every second one.
func shade(i int) bool { return i%2 == 1 }
