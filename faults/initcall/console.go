package initcall

import (
	"sync"
	"time"
)

// Console moves a Clock by what a guest's kernel prints. It is an io.Writer for
// the console's bytes, in pieces of any size; Write never fails. Several
// goroutines may use it.
//
// It understands, with or without time stamps, and with what dmesg, syslog and
// journalctl put before a message:
//
//   - the kernel's banner (Kernel), and arm's line before it;
//   - initcall_debug: the level lines of newer kernels, and every kernel's
//     "calling FN" and "initcall FN returned", as far as a Marker says what FN
//     means or link-time optimization has left the level in its name;
//   - tp_printk with trace_event=initcall:initcall_level, initcall_start or
//     initcall_finish;
//   - "Run /init as init process" (Userspace).
//
// The kernel must print debug messages to the console: add initcall_debug
// ignore_loglevel to its command line. The clock follows what is printed, not
// what runs: of a console that the kernel registers late (hvc0 of virtio, at
// device) the earlier levels come when they are past.
//
// # Whom it believes
//
// Everybody in the guest who may write to the console can print what a kernel
// prints; /dev/kmsg even has the kernel add the time. So a line counts only where
// it can be the kernel's next one:
//
//   - Each initcall returns before the next is called, after no more time than
//     passed between the two lines. A level and init come between initcalls.
//   - Time stamps do not go back, and are there if they were.
//   - Where lines name the thread that prints them (printk.caller), it is the one
//     that calls initcalls. No other one can write such a line to /dev/kmsg.
//   - A level is believed when the initcall that shows it has returned, and four
//     since the main level before it (main are those without "_sync", and not
//     rootfs).
//   - Levels come in link order. A main level that no line shows is passed only
//     when two initcalls show a later one.
//
// So the clock lags the kernel by one initcall, and by up to four where a
// level has few. An initcall that shows a level and itself waits for it would wait
// for ever: Trusting is for that.
//
// What contradicts this moves nothing, and is told to Doubted. If lines were lost
// or somebody else's line came first, a run of its own is believed again after
// eight returns. Without time stamps, threads and initcall_debug there is less to
// contradict: what says "level" is believed in link order, and init after twenty
// lines of a kernel that prints neither levels nor initcalls.
//
// A process that runs before init (a boot loader, a helper program in the
// initramfs) and prints the whole of a run that fits in is believed. Use a
// source that it cannot write to if it might.
//
// # When a new boot starts
//
// An owner who sees the machine's power tells it by Reset, and from the first
// Reset on power is what counts: after a Reset everything is taken for rest of
// the old boot until a kernel starts, and a banner without a Reset before is
// somebody printing the kernel's log. A kernel that another one starts by kexec,
// or after a panic, has no Reset; FollowKexec says that these lines are believed.
//
// If the owner has never called Reset, the banner is all there is: one that
// comes when a kernel has started already starts a new boot, and everybody who
// may write to the console can print it, but not by /dev/kmsg, which adds the
// time of a kernel that runs.
//
// Within a boot levels only move forward, and nothing that is printed after
// Userspace moves anything within it.
type Console struct {
	// Trusting takes every line for the kernel's own, and at once. It is for
	// guests in which nobody forges, and for logs that are read when the boot is
	// over, which may have holes. Set it before the first Write, like the other
	// fields.
	Trusting bool
	// FollowKexec has a kernel's banner start a new boot without a Reset if a
	// line before it tells of kexec ("kexec_core: Starting new kernel") or of a
	// panic. Processes can print both.
	FollowKexec bool
	// Doubted, if set, is called with lines that are not believed, the first
	// MaxDoubts of a boot. It must not call the Console.
	Doubted func(Doubt)

	mu    sync.Mutex
	clock *Clock
	table table
	text  splitter

	powered bool // Reset has been called
	stale   bool // since the Reset no kernel has started

	// Of the kernel that runs:
	started bool            // its banner or the line before it was seen
	banner  bool            // its banner was seen
	now     Level           // what it has reached
	restart string          // the line that lets another kernel follow
	called  map[string]bool // those of table.waited that it has called
	lines   chain           // what is believed
	other   chain           // what would be if lines were another's
	doubts  int
}

// MaxDoubts is how many lines of one boot are told to Doubted.
const MaxDoubts = 8

// Doubt is a line that a Console does not believe, or a breakpoint that moves
// nothing for a GDB.
type Doubt struct {
	Boot   int
	Level  Level  // reached when the line came
	Line   string // printable, and of bounded length
	Reason string
}

// NewConsole makes a Console that moves clock. Markers go over the built-in
// ones: what they say of a function replaces what those say of it. A malformed
// one is refused with a *MarkerError.
func NewConsole(clock *Clock, markers ...Marker) (*Console, error) {
	t, err := newTable(markers)
	if err != nil {
		return nil, err
	}
	return &Console{clock: clock, table: t, called: make(map[string]bool)}, nil
}

// Write takes console bytes. It returns when clock has moved and its
// subscribers have been told; they must not call the Console.
func (c *Console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text.write(p, c.take)
	return len(p), nil
}

// Flush takes the last line for complete although its end has not come: its
// source has ended or starts anew.
func (c *Console) Flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text.end(c.take)
}

// Reset says that the machine was reset or got power, as cause tells: clock gets
// a PowerOn, and nothing the console shows counts until a kernel starts. Call it
// while the machine waits, that is, before the TPM's answer to the reset; then
// the new kernel's output cannot overtake it.
func (c *Console) Reset(cause string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.powered, c.stale = true, true
	c.text.drop()
	c.forget()
	c.clock.PowerOn(cause)
}

// forget forgets the kernel that ran.
func (c *Console) forget() {
	c.started, c.banner, c.now, c.restart, c.doubts = false, false, Firmware, "", 0
	c.lines, c.other = chain{}, chain{}
	clear(c.called)
}

// take does what p says.
func (c *Console) take(p piece) {
	m := readMessage(p)
	switch m.kind {
	case nothing:
		if p.stamped || !c.lines.stamped {
			c.lines.told++
		}
		return
	case starting, banner:
		if m.shown && !c.Trusting {
			c.doubt(p, shownLog)
			return
		}
		c.start(p, m.kind)
		return
	}
	if c.stale {
		return
	}
	if m.kind == restarting {
		c.restart = cause(p)
		return
	}
	if c.now == Userspace {
		return
	}
	if c.Trusting {
		c.reach(c.level(m), p, "")
		return
	}
	why := c.lines.doubt(m, p)
	if why == none {
		c.lines.add(m, p)
		c.follow(&c.lines, m, p)
		return
	}
	c.doubt(p, why)
	c.contradicted(m, p)
}

// contradicted takes a line that does not go on with what is believed: if those
// that follow it go on with it, they replace that.
func (c *Console) contradicted(m message, p piece) {
	if !c.other.begun || c.other.doubt(m, p) != none {
		if m.kind == returned {
			c.other = chain{}
			return
		}
		c.other.begin(p)
	}
	c.other.add(m, p)
	c.other.calls = c.other.calls || c.lines.calls
	needed := replacing
	if m.kind == userspaceStarts {
		needed = confirming // no more will return
	}
	if m.kind == called || c.other.run < needed {
		return
	}
	c.lines, c.other = c.other, chain{}
	c.follow(&c.lines, m, p)
}

// follow does what m says, which is the last line of t.
func (c *Console) follow(t *chain, m message, p piece) {
	t.shows(c.level(m), c.now, m, p)
	w := &t.want
	if w.level <= c.now {
		*w = wanted{}
		return
	}
	if t.lacks(c.now) {
		return
	}
	for l := c.now + 1; l <= w.level; l++ {
		t.reached[l] = w.run
	}
	c.reach(w.level, w.line.piece(), t.confirmed())
	*w = wanted{}
}

// confirmed returns the line that was the last one needed, "" if there was none.
func (c *chain) confirmed() string {
	if c.last.n == 0 {
		return ""
	}
	return cause(c.last.piece())
}

// doubt tells of a line that is not believed.
func (c *Console) doubt(p piece, why reason) {
	if c.doubts == MaxDoubts {
		return
	}
	c.doubts++
	if c.Doubted != nil {
		now := c.clock.Now()
		c.Doubted(Doubt{Boot: now.Boot, Level: now.Level, Line: cause(p), Reason: c.lines.why(why, p)})
	}
}

// latestBanner bounds the time of a kernel's first lines: its clock starts later.
const latestBanner = 10 * time.Second

// start takes the line with which a kernel starts.
func (c *Console) start(p piece, k kind) {
	switch {
	case c.lines.stamped && !p.stamped:
		c.doubt(p, noStamp)
		return
	case p.stamped && p.at > latestBanner:
		c.doubt(p, lateBanner)
		return
	}
	// The line before the banner and the banner belong together.
	another := c.now > Kernel || c.banner || c.started && k == starting
	if another {
		if c.powered && (c.restart == "" || !c.FollowKexec) {
			c.doubt(p, noReset)
			return
		}
		why := c.restart
		if why == "" {
			why = cause(p)
		}
		c.forget()
		c.clock.NewBoot(why)
	}
	c.stale, c.started = false, true
	c.banner = c.banner || k == banner
	c.lines.begin(p)
	c.reach(Kernel, p, "")
}

// level returns the level that m shows, Firmware if it shows none.
func (c *Console) level(m message) Level {
	switch m.kind {
	case atLevel:
		return m.level
	case called, returned:
		return c.function(m.function)
	case userspaceStarts:
		return Userspace
	}
	return Firmware
}

// function returns the level that an initcall shows.
func (c *Console) function(symbol []byte) Level {
	rules, known := c.table.rules[string(symbol)]
	level := Firmware
	if !known && stray(symbol) {
		symbol, level = linked(symbol)
		rules = c.table.rules[string(symbol)]
	}
	if c.table.waited[string(symbol)] {
		c.called[string(symbol)] = true
	}
	for _, r := range rules {
		if r.level > level && (r.after == "" || c.called[r.after]) {
			level = r.level
		}
	}
	return level
}

// stray reports whether a compiler may have changed the symbol's name.
func stray(symbol []byte) bool {
	_, ok := cutPrefix(symbol, stub)
	for i := 0; !ok && i < len(symbol); i++ {
		ok = symbol[i] == '.'
	}
	return ok
}

// reach moves the clock to level if it has not been there, because of p and of
// the line that confirms it.
func (c *Console) reach(level Level, p piece, confirmed string) {
	c.now = max(c.now, level)
	if c.clock.Level() >= level {
		return
	}
	e := Event{Level: level, At: NoTime, Cause: cause(p), Confirmed: confirmed}
	if p.stamped {
		e.At = p.at
	}
	// Somebody else may have moved the clock further since; that is no
	// error.
	_ = c.clock.advance(e, func() bool { return true })
}
