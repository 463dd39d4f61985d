package boot

import (
	"fmt"

	"github.com/swtpmd/swtpmd/faults/initcall"
)

// missing says what a log lacks that every whole one has.
func (c *console) missing() (reasons []string) {
	add := func(format string, args ...any) { reasons = append(reasons, fmt.Sprintf(format, args...)) }
	first := 0
	for first < len(c.lines.boot) && c.lines.boot[first].number < c.calls[0].line {
		first++
	}
	const head = 20 // lines that every kernel prints before its first initcall
	if !c.lines.banner && first < head {
		add("it begins at %s without the kernel's first lines", stampText(c.lines.boot[0].at))
	}
	for _, n := range c.lines.dropped {
		add("line %d says that the kernel dropped lines; make its buffer larger with log_buf_len=4M", n)
		break
	}
	for level := initcall.Pure; level <= initcall.Late; level++ {
		if printsLevel(level) && !c.has(func(call *loggedCall) bool { return call.level == level }) {
			add("it has no initcall at %s", level)
		}
	}
	if !c.has(func(call *loggedCall) bool { return call.name == "deferred_probe_initcall" }) {
		add("it has no deferred_probe_initcall, which every kernel calls")
	}
	if late, lateSync := c.imaCalls(); late < 0 && lateSync < 0 {
		add("it has no init_ima: it ends before, or the kernel has no IMA")
	}
	switch n := len(c.holes); {
	case n == 1:
		add("lines are missing at line %d, in the middle of an initcall", c.holes[0])
	case n > 1:
		add("lines are missing at line %d, in the middle of an initcall, and in %d places more", c.holes[0], n-1)
	}
	if limit := 5 + len(c.calls)/20; c.lost > limit {
		add("%d initcalls lack one of their two lines", c.lost)
	}
	if c.init == "" && !c.panicked {
		add("it ends at %s (%s), before init is executed", c.calls[len(c.calls)-1].level, stampText(c.lastAt()))
	}
	return reasons
}

func (c *console) has(is func(*loggedCall) bool) bool {
	for i := range c.calls {
		if is(&c.calls[i]) {
			return true
		}
	}
	return false
}

// notes says what the log tells badly, or not at all.
func (c *console) notes(strategy Strategy) (notes []string) {
	add := func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	if c.lines.damaged > 0 {
		add("damaged lines: %d; where a time stamp cannot be read, the one before counts", c.lines.damaged)
	}
	if c.lines.jumps > 0 {
		add("time stamps that jump ahead and are not believed: %d", c.lines.jumps)
	}
	if c.lost > 0 {
		add("initcalls that lack one of their two lines: %d", c.lost)
	}
	if c.lines.another > 0 {
		add("another boot begins at line %d and is not read", c.lines.another)
	}
	add("strategy %s is the log's", strategy)
	s := c.story()
	switch {
	case s == nil && c.tpm.table:
		add("the firmware's tables have a TPM, and the log shows no driver that tried it")
		return notes
	case s == nil:
		return notes
	case c.tpm.module:
		add("%s is a module", s.driver)
	}
	if s.assumed && len(s.probes) > 0 {
		add("the log does not show how the probe of %s ended; IMA found a TPM, so it was bound", s.device)
	}
	for _, p := range s.refused {
		add("%s refused %s (%d), which is another driver's", p.driver, p.device, p.code)
	}
	if c.init != "" && len(s.probes) > 0 && s.probes[len(s.probes)-1].deferred() {
		add("%s was still deferred when the log ended, %.1f s after init", s.device, (c.end - c.initAt).Seconds())
	}
	return notes
}
