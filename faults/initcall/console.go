package initcall

import "sync"

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
//     means or link-time optimisation has left the level in its name;
//   - tp_printk with trace_event=initcall:initcall_level, initcall_start or
//     initcall_finish;
//   - "Run /init as init process" (Userspace).
//
// The kernel must print debug messages to the console: add initcall_debug
// ignore_loglevel to its command line. The clock follows what is printed, not
// what runs: of a console that the kernel registers late (hvc0 of virtio, at
// device) the earlier levels come when they are past.
//
// # When a new boot starts
//
// An owner who sees the machine's power tells it by Reset, and from the first
// Reset on power is what counts: after a Reset everything is taken for rest of
// the old boot until a kernel starts, and a banner without a Reset before is
// somebody printing the kernel's log. Two things restart a kernel without
// power, so after their lines a banner is believed: kexec ("kexec_core: Starting
// new kernel") and a panic, which may start a crash kernel.
//
// If the owner has never called Reset, the banner is all there is: one that
// comes when a kernel has started already starts a new boot. There, a kernel
// log printed to the console is mistaken for a boot, unless it has no time
// stamps where this kernel's lines have them (/proc/version).
//
// Within a boot levels only move forward, so nothing that processes print after
// Userspace moves anything.
type Console struct {
	mu    sync.Mutex
	clock *Clock
	table table
	text  splitter

	powered bool // Reset has been called
	stale   bool // since the Reset no kernel has started

	// Of the kernel that runs:
	started bool            // its banner or the line before it was seen
	banner  bool            // its banner was seen
	moved   bool            // it has reached a level later than Kernel
	stamps  bool            // its lines have time stamps
	restart string          // the line that lets another kernel follow
	called  map[string]bool // those of table.waited that it has called
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
	c.started, c.banner, c.moved, c.stamps, c.restart = false, false, false, false, ""
	clear(c.called)
}

// take does what p says.
func (c *Console) take(p piece) {
	m := readMessage(p)
	if m.kind == starting || m.kind == banner {
		c.start(p, m.kind)
		return
	}
	if c.stale {
		return
	}
	c.stamps = c.stamps || p.stamped
	switch m.kind {
	case atLevel:
		c.advance(m.level, p)
	case inFunction:
		c.function(m.function, p)
	case userspaceStarts:
		c.advance(Userspace, p)
	case restarting:
		c.restart = cause(p)
	}
}

// start takes the line with which a kernel starts.
func (c *Console) start(p piece, k kind) {
	if c.stamps && !p.stamped {
		return
	}
	// The line before the banner and the banner belong together.
	another := c.moved || c.banner || c.started && k == starting
	if another {
		if c.powered && c.restart == "" {
			return
		}
		why := c.restart
		if why == "" {
			why = cause(p)
		}
		c.forget()
		c.clock.NewBoot(why)
	}
	c.stale = false
	c.started, c.stamps = true, p.stamped
	c.banner = c.banner || k == banner
	c.advance(Kernel, p)
}

// function takes the call of an initcall.
func (c *Console) function(symbol []byte, p piece) {
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
	c.advance(level, p)
}

// stray says whether a compiler may have changed the symbol's name.
func stray(symbol []byte) bool {
	_, ok := cutPrefix(symbol, stub)
	for i := 0; !ok && i < len(symbol); i++ {
		ok = symbol[i] == '.'
	}
	return ok
}

// advance moves the clock to level if it has not been there.
func (c *Console) advance(level Level, p piece) {
	c.moved = c.moved || level > Kernel
	if c.clock.Level() >= level {
		return
	}
	at := NoTime
	if p.stamped {
		at = p.at
	}
	// Somebody else may have moved the clock further since; that is no
	// error.
	_ = c.clock.Advance(level, at, cause(p))
}
