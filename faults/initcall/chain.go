package initcall

import (
	"fmt"
	"time"
)

// chain is a run of lines that one kernel may have printed. init/main.c calls
// one initcall after the other from one thread, so each returns before the next
// is called, and the time of that thread does not go back.
type chain struct {
	begun   bool
	stamped bool          // its lines have time stamps
	at      time.Duration // of the last line
	open    symbol        // the initcall that was called and has not returned
	since   time.Duration // when it was called
	closed  symbol        // the initcall that returned last
	calls   bool          // it has calls, not only levels
	run     int           // calls that returned
	told    int           // lines of any kind since the banner
	last    line          // the last return or level

	// reached says after how many returns a level was reached.
	reached [levels]int
	want    wanted
}

// wanted is a level that a line shows and others have to confirm.
type wanted struct {
	level Level // Firmware for none
	line  line
	by    symbol // the initcall that shows it, empty for a level's own line
	run   int    // of the chain when the line came
	again bool   // another initcall has shown it too, after confirming returns
}

// line is a line of the console, kept.
type line struct {
	text [maxCause + maxStamp]byte
	n    int
	p    piece // without its text
}

func (l *line) keep(p piece) {
	l.n = copy(l.text[:], p.text)
	l.p = p
	l.p.text = nil
}

func (l *line) piece() piece {
	p := l.p
	p.text = l.text[:l.n]
	return p
}

// symbol is the name of an initcall, kept; empty for none.
type symbol struct {
	name [maxSymbol]byte
	n    int
}

func (s *symbol) keep(name []byte) { s.n = copy(s.name[:], name) }
func (s *symbol) is(name []byte) bool {
	return s.n > 0 && string(s.name[:s.n]) == string(name[:min(len(name), maxSymbol)])
}
func (s *symbol) String() string { return string(s.name[:s.n]) }

const (
	// clockSlack is how much the stamps of one thread may differ from the time
	// between them that the kernel measures: until sched_clock is stable they
	// go by jiffies (up to 10 ms), and printing to a slow console takes the
	// rest. The consoles in testdata differ by 30 ms at most.
	clockSlack = 250 * time.Millisecond
	// confirming is how many initcalls have to return after the main level
	// before a level is believed, and before a chain replaces one that lines
	// have contradicted.
	confirming = 4
	replacing  = 2 * confirming
	// skipping is how many have to return before a kernel that shows no level is
	// believed one.
	skipping = 4 * confirming
	// talking is how many lines a kernel without initcall_debug has printed when
	// it executes init.
	talking = 20
)

// reason is why a line is not believed.
type reason uint8

const (
	none reason = iota
	shownLog
	otherThread
	noStamp
	timeBack
	notReturned
	notCalled
	tooShort
	lateBanner
	noReset
)

// why says r in words, of a line p that contradicts c.
func (c *chain) why(r reason, p piece) string {
	switch r {
	case shownLog:
		return "a program that shows a kernel's log has printed it"
	case otherThread:
		return "another thread than the one that calls initcalls has printed it"
	case noStamp:
		return "it has no time stamp, and the lines of this kernel have"
	case timeBack:
		return fmt.Sprintf("its time is before that of the line before it, %.6f s", c.at.Seconds())
	case notReturned:
		return c.open.String() + " has not returned yet"
	case notCalled:
		return "that initcall was not called"
	case tooShort:
		return fmt.Sprintf("it was called only %s before", p.at-c.since)
	case lateBanner:
		return "a kernel starts with a time near 0"
	case noReset:
		return "no reset and no kexec came before this kernel"
	}
	return ""
}

// begin starts the chain anew with p, a kernel's banner or the line before.
func (c *chain) begin(p piece) {
	*c = chain{begun: true, stamped: p.stamped, at: p.at}
}

// doubt returns the reason for which the chain does not go on with m.
func (c *chain) doubt(m message, p piece) reason {
	switch {
	case m.shown:
		return shownLog
	case m.thread && !m.first:
		return otherThread
	case c.stamped && !p.stamped:
		return noStamp
	case c.stamped && p.at < c.at-clockSlack:
		return timeBack
	}
	switch m.kind {
	case called:
		if c.open.n > 0 && !c.open.is(m.function) {
			return notReturned
		}
	case returned:
		switch {
		case c.open.n == 0 && c.closed.is(m.function):
		case !c.open.is(m.function):
			return notCalled
		case c.stamped && m.took > p.at-c.since+clockSlack:
			return tooShort
		}
	case atLevel, userspaceStarts:
		if c.open.n > 0 {
			return notReturned
		}
	}
	return none
}

// add takes m, which doubt has nothing against.
func (c *chain) add(m message, p piece) {
	c.stamped = c.stamped || p.stamped
	c.begun, c.at = true, max(c.at, p.at)
	switch m.kind {
	case called:
		// With initcall_debug and the trace events, each call comes twice.
		if c.open.n == 0 {
			c.open.keep(m.function)
			c.since = p.at
		}
		c.calls = true
	case returned:
		if c.open.n == 0 {
			return
		}
		c.closed.keep(c.open.name[:c.open.n])
		c.open.n = 0
		c.run++
		c.last.keep(p)
	case atLevel:
		c.last.keep(p)
	}
}

// shows takes down that m shows level, where now was reached before. Levels come
// in link order: a lower one takes a higher one back that is not believed yet.
func (c *chain) shows(level, now Level, m message, p piece) {
	w := &c.want
	another := w.by.n > 0 && m.function != nil && !w.by.is(m.function) && c.run-w.run >= confirming
	switch {
	case m.kind == called && w.level == Userspace:
		*w = wanted{} // no initcall is called after init
	case level >= w.level && another:
		w.again = true
		return
	}
	if level <= now || level == w.level {
		return
	}
	*w = wanted{level: level, run: c.run}
	w.line.keep(p)
	w.by.keep(m.function)
}

// lacks reports whether c lacks what it takes to believe the level that it wants,
// when now was reached before. Most forged calls end here: the next line is the
// real kernel's, which contradicts them.
func (c *chain) lacks(now Level) bool {
	level := c.want.level
	_, skips := skipped(now, level)
	switch {
	case level <= Kernel:
		return false
	case level == Userspace && now <= Kernel && !c.calls:
		return c.told < talking // this kernel tells nothing else
	case level == Userspace && now == Late && c.calls:
		return c.run-c.reached[Late] < replacing // or it has shown late_sync
	case level == Userspace:
		return skips && (now > Kernel || c.run < skipping)
	case c.calls && c.run == c.want.run:
		return true // no initcall has returned since
	case skips && now > Kernel:
		return !c.want.again
	case skips:
		return c.run < skipping
	case !c.calls || level == Early:
		return false
	}
	return c.run-c.reached[mainBefore(level)] < confirming
}

// mainLevels has the levels of which every kernel calls initcalls.
var mainLevels = [levels]bool{
	Early: true, Pure: true, Core: true, Postcore: true, Arch: true,
	Subsys: true, FS: true, Device: true, Late: true,
}

// skipped returns the first main level between two others, if there is one.
func skipped(from, to Level) (Level, bool) {
	for l := from + 1; l < to; l++ {
		if mainLevels[l] {
			return l, true
		}
	}
	return 0, false
}

// mainBefore returns the last main level before another, Kernel if there is none.
func mainBefore(level Level) Level {
	for level--; level > Kernel && !mainLevels[level]; level-- {
	}
	return level
}
