package draw

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/ima/boot"
)

// How much of each kind gets a line of its own; the rest shares one.
const (
	maxCalls   = 60
	maxDevices = 7
	maxAsync   = 5
	maxHelpers = 5
	nameRunes  = 44
	fileRunes  = 36
	shortRunes = 20 // of a text that has to do with little place
)

// strips draws a timeline, from top to bottom: what decides, what pid 1 does,
// drivers, the TPM, what runs beside, and what IMA makes of it.
func (p *picture) strips(t *timeline, rules []faults.Rule) {
	p.moments(t)
	p.away(t, rules)
	p.initcalls(t.initcalls)
	p.devices(t.devices)
	p.commands(t.commands)
	p.spans("async", asyncBar, t.async, maxAsync)
	p.spans("helper", helperBar, t.helpers, maxHelpers)
	p.records(t.records)
	p.userspace(t)
}

// strip appends a line, if anything is in it.
func (p *picture) strip(s *strip) {
	if len(s.marks) > 0 {
		p.list = append(p.list, s)
	}
}

// moments are when the TPM is registered and when IMA starts, and the time
// between.
func (p *picture) moments(t *timeline) {
	s := &strip{name: "IMA and TPM"}
	started, registered := t.moment(boot.IMAStarted), t.moment(boot.TPMRegistered)
	looked, imaX, tpmX := time.Duration(0), 0, 0
	if started != nil {
		looked, imaX = p.looked(started)
	}
	if registered != nil {
		tpmX = p.axis.x(registered.level, registered.at)
	}
	if started != nil && registered != nil {
		s.add(between, min(imaX, tpmX), max(imaX, tpmX), func() string { return "" })
	}
	if started != nil {
		text := "IMA starts at " + seconds(looked)
		switch {
		case started.code != 0:
			text += ": " + result(started.code)
		case p.result.Summary.Bypass:
			text += ", finds no TPM: TPM-bypass"
		case registered != nil && p.result.Summary.FieldFailure:
			text += ", finds a TPM in field failure mode"
		case registered != nil:
			text += ", finds the TPM"
		}
		if p.result.Summary.Race != nil {
			text += ", a race"
		}
		p.key(s, flagIMA, imaX, text, "IMA starts")
	}
	if registered != nil {
		text := "TPM registered at " + seconds(registered.at)
		if started != nil {
			text += ", " + apart(registered.at-looked, p.result.Summary.Bypass)
		}
		p.key(s, flagTPM, tpmX, text, "TPM registered")
	}
	if reset := t.moment(boot.TPMReset); reset != nil {
		x := p.axis.x(reset.level, reset.at)
		s.add(resetMark, x, x, func() string { return "reset at " + seconds(reset.at) })
		s.ask(x, x, essential, "TPM reset without the kernel", "TPM reset")
	}
	p.strip(s)
}

// key draws a moment with a line down the picture.
func (p *picture) key(s *strip, kind shape, x int, text, less string) {
	s.add(kind, x, x, func() string { return text })
	s.ask(x, x, essential, text, less)
	p.lines = append(p.lines, keyLine{x: x, shape: kind})
}

// looked is when and where IMA has looked for a TPM: its event is about the end
// of its start, the summary about the beginning.
func (p *picture) looked(started *point) (at time.Duration, x int) {
	s := &p.result.Summary
	if s.Started && s.StartedAt >= 0 && s.StartedAt <= started.at {
		return s.StartedAt, p.axis.x(min(started.level, s.Level), s.StartedAt)
	}
	return started.at, p.axis.x(started.level, started.at)
}

// apart says how long after IMA looked the TPM was registered. At the same time
// one came before the other nevertheless.
func apart(d time.Duration, bypass bool) string {
	switch {
	case d > 0:
		return length(d) + " after IMA looked"
	case d < 0:
		return length(-d) + " before IMA looked"
	case bypass:
		return "just after IMA looked"
	}
	return "just before IMA looked"
}

// ofWeight keeps the n spans of the greatest weight, in their order.
func ofWeight(spans []span, n int) (kept []span, left int) {
	for least := ordinary; least <= essential; least++ {
		kept = kept[:0]
		for i := range spans {
			if spans[i].weight >= least {
				kept = append(kept, spans[i])
			}
		}
		if len(kept) <= n {
			return kept, len(spans) - len(kept)
		}
	}
	return kept[:n], len(spans) - n
}

func (p *picture) initcalls(spans []span) {
	s := &strip{name: "initcalls"}
	kept, left := ofWeight(spans, maxCalls)
	s.dropped += left
	for i := range kept {
		c := &kept[i]
		kind := callBar
		if strings.Contains(c.name, "ima") && c.weight == essential {
			kind = imaBar
		}
		text := name(c.name, nameRunes)
		if c.code != 0 {
			text += " → " + result(c.code)
		}
		p.bar(s, kind, c, text+lasting(c.end-c.start), c.weight)
	}
	p.strip(s)
}

// bar draws a span and asks for its label.
func (p *picture) bar(s *strip, kind shape, c *span, text string, weight int) {
	x0, x1 := p.axis.x(c.level, c.start), p.axis.x(c.endLevel, c.end)
	s.add(kind, x0, max(x1, x0+2*px), func() string { return text + " from " + seconds(c.start) })
	s.ask(x0, max(x1, x0+2*px), weight, text, shorten(text, shortRunes))
}

// devices are driver probes, a line for each that matters.
func (p *picture) devices(devices []*deviceTrack) {
	rest := &strip{name: "other probes"}
	n := 0
	for _, d := range devices {
		if len(d.attempts) == 0 {
			continue
		}
		s := rest
		if d.weight > touched && n < maxDevices {
			s = &strip{name: "probe " + name(d.name, 20)}
			n++
		}
		for i := range d.attempts {
			p.wait(s, d, &d.attempts[i])
			p.attempt(s, d, &d.attempts[i], s == rest)
		}
		for i := range d.events {
			p.deviceEvent(s, &d.events[i])
		}
		if s != rest {
			p.strip(s)
		}
	}
	p.strip(rest)
}

// after is the probe after another one, nil if there is none.
func (d *deviceTrack) after(a *span) *span {
	for i := range d.attempts[:max(0, len(d.attempts)-1)] {
		if &d.attempts[i] == a {
			return &d.attempts[i+1]
		}
	}
	return nil
}

// wait draws the time from a deferred probe to the next one.
func (p *picture) wait(s *strip, d *deviceTrack, a *span) {
	if a.open || a.kind != boot.ProbeDeferred {
		return
	}
	x0, x1, text := p.axis.x(a.endLevel, a.end), p.axis.right, "never retried"
	if next := d.after(a); next != nil {
		x1, text = p.axis.x(next.level, next.start), "retried after "+length(next.start-a.end)
	}
	if x1 > x0 {
		s.add(waiting, x0, x1, func() string { return text })
	}
}

func (p *picture) attempt(s *strip, d *deviceTrack, a *span, named bool) {
	kind, text := openBar, "not finished"
	switch {
	case a.open:
	case a.kind == boot.ProbeBound:
		kind, text = boundBar, "bound to "+name(d.driver, nameRunes)+lasting(a.end-a.start)
	case a.kind == boot.ProbeDeferred:
		kind, text = deferredBar, "deferred"
		if next := d.after(a); next != nil && next.start > a.end {
			text += " for " + length(next.start-a.end)
		}
		if a.text != "" {
			text += ": " + name(a.text, nameRunes)
		}
	default:
		kind, text = failedBar, "failed: "+result(a.code)
	}
	if named {
		text = name(d.name, fileRunes) + " " + text
	}
	if a.task == "async" {
		text += ", asynchronous"
	}
	weight := tpmRelated
	if named {
		weight = ordinary
	}
	p.bar(s, kind, a, text, weight)
}

func (p *picture) deviceEvent(s *strip, e *point) {
	x := p.axis.x(e.level, e.at)
	if e.kind == boot.DeferredRetry {
		s.add(retry, x, x, func() string { return "retried at " + seconds(e.at) })
		return
	}
	text := "supplier " + name(e.text, nameRunes) + " given up"
	s.add(relaxed, x, x, func() string { return text + " at " + seconds(e.at) })
	s.ask(x, x, touched, text, "supplier given up")
}

// outcome sorts what became of a command.
func outcome(code int) shape {
	switch code {
	case 0:
		return answered
	case 0x100, 0x908, 0x90a, 0x922: // INITIALIZE, YIELDED, TESTING, RETRY
		return later
	}
	return refused
}

// commands are those that the TPM got, whoever sent them.
func (p *picture) commands(commands []point) {
	s := &strip{name: "TPM commands"}
	for i := 0; i < len(commands); {
		i += p.burst(s, commands[i:])
	}
	p.strip(s)
}

// burst draws the first commands that belong together: of the same thread, with
// the same outcome, and near to each other. Long ones stand alone.
func (p *picture) burst(s *strip, commands []point) (n int) {
	first := &commands[0]
	x0, end := 0, 0
	var words counter
	for n < len(commands) {
		c := &commands[n]
		from, to := p.axis.xAt(c.at-c.took), p.axis.x(c.level, c.at)
		from = min(from, to)
		if n > 0 && !together(first, c, from-end) {
			break
		}
		if n == 0 {
			x0 = from
		}
		kind := outcome(c.code)
		if kind == answered && isLong(c) {
			kind = slow
		}
		s.add(kind, from, max(to, from+px), func() string {
			return "TPM2_" + name(c.name, 24) + " by " + name(c.task, 24) + " → " + result(c.code) + lasting(c.took) + " until " + seconds(c.at)
		})
		words.add(name(c.name, 24))
		end = max(end, to)
		n++
	}
	text, less, weight := burstText(first, n, words.String())
	s.ask(x0, max(end, x0+px), weight, text, less)
	return n
}

// burstText is the label of n commands that first begins, and what of it remains
// if place is scarce.
func burstText(first *point, n int, text string) (full, less string, weight int) {
	less, weight = name(first.name, shortRunes), touched
	if n > 1 {
		less = plural(n, "command", "commands")
	}
	if first.code != 0 || isLong(first) {
		weight = essential
	}
	switch {
	case first.code != 0:
		text += " → " + result(first.code)
		less += " → " + number(first.code)
		if isLong(first) {
			text += " after " + length(first.took)
		}
	case isLong(first):
		text += " answered after " + length(first.took)
	}
	return text, less, weight
}

// together reports whether a command belongs to a burst, whose end lies so far to the
// left. What a driver tries again and again belongs together however long it
// waits.
func together(first, c *point, distance int) bool {
	return c.task == first.task && c.code == first.code && !isLong(c) && !isLong(first) &&
		(c.code != 0 || distance <= 30*px)
}

// isLong reports whether a command took longer than the driver polls for: it was held,
// or the TPM was at work.
func isLong(c *point) bool { return c.took >= 50*time.Millisecond }

// counter counts words in the order in which they first came.
type counter struct {
	words  []string
	counts []int
	more   int
}

func (c *counter) add(word string) {
	if i := slices.Index(c.words, word); i >= 0 {
		c.counts[i]++
		return
	}
	if len(c.words) == 5 {
		c.more++
		return
	}
	c.words, c.counts = append(c.words, word), append(c.counts, 1)
}

func (c *counter) String() string {
	var b strings.Builder
	for i, w := range c.words {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(w)
		if c.counts[i] > 1 {
			fmt.Fprintf(&b, " ×%d", c.counts[i])
		}
	}
	if c.more > 0 {
		fmt.Fprintf(&b, " and %d more", c.more)
	}
	return b.String()
}

// spans draws what runs beside pid 1, a line each.
func (p *picture) spans(what string, kind shape, spans []span, n int) {
	rest := &strip{name: "more: " + what}
	for i := range spans {
		c := &spans[i]
		s := rest
		if i < n {
			s = &strip{name: what + " " + name(c.name, 20)}
		}
		text := ""
		if c.end > c.start {
			text = length(c.end - c.start)
		}
		switch {
		case c.open:
			text = "does not end"
		case c.code != 0:
			text = strings.TrimSuffix(result(c.code)+" after "+text, " after ")
		}
		if s == rest {
			text = name(c.name, fileRunes) + " " + text
		}
		p.bar(s, kind, c, text, touched)
		if s != rest {
			p.strip(s)
		}
	}
	p.strip(rest)
}

// userspace is init, and what stops the kernel.
func (p *picture) userspace(t *timeline) {
	s := &strip{name: "userspace"}
	for i := range t.moments {
		m := &t.moments[i]
		x := p.axis.x(m.level, m.at)
		switch m.kind {
		case boot.UserspaceReached:
			s.add(userBar, x, max(p.axis.right, x), func() string { return "init at " + seconds(m.at) })
			s.ask(x, x, touched, name(m.name, nameRunes), name(m.name, shortRunes))
		case boot.Panicked:
			s.add(bolt, x, x, func() string { return "panic at " + seconds(m.at) })
			s.ask(x, x, essential, "kernel panic: "+name(m.text, nameRunes), "kernel panic")
		}
	}
	p.strip(s)
}
