package draw

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/swtpmd/swtpmd/ima"
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
func (p *picture) strips(t *timeline) {
	p.moments(t)
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
	var started, registered *point
	for i := range t.moments {
		switch m := &t.moments[i]; m.kind {
		case boot.IMAStarted:
			started = m
		case boot.TPMRegistered:
			if registered == nil {
				registered = m
			}
		}
	}
	imaAt := p.result.Summary.StartedAt
	if started != nil && (imaAt < 0 || imaAt > started.at) {
		imaAt = started.at
	}
	var imaX, tpmX int
	if started != nil {
		imaX = p.axis.x(min(started.level, max(p.result.Summary.Level, 0)), imaAt)
	}
	if registered != nil {
		tpmX = p.axis.x(registered.level, registered.at)
	}
	if started != nil && registered != nil {
		s.add(between, min(imaX, tpmX), max(imaX, tpmX), func() string { return "" })
	}
	if started != nil {
		text := "IMA starts at " + seconds(imaAt)
		switch {
		case started.code != 0:
			text += ": " + result(started.code)
		case p.result.Summary.Bypass:
			text += ", finds no TPM: TPM-bypass"
		case registered != nil:
			text += ", finds the TPM"
		}
		s.add(flagIMA, imaX, imaX, func() string { return text })
		s.ask(imaX, imaX, essential, text, "IMA starts")
		p.lines = append(p.lines, keyLine{x: imaX, shape: flagIMA})
	}
	if registered != nil {
		text := "TPM registered at " + seconds(registered.at)
		if started != nil {
			text += ", " + apart(registered.at-imaAt, p.result.Summary.Bypass)
		}
		s.add(flagTPM, tpmX, tpmX, func() string { return text })
		s.ask(tpmX, tpmX, essential, text, "TPM registered")
		p.lines = append(p.lines, keyLine{x: tpmX, shape: flagTPM})
	}
	p.strip(s)
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
		text += ", " + length(c.end-c.start)
		p.bar(s, kind, c, text, c.weight)
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
func (p *picture) devices(devices []*device) {
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

func (p *picture) attempt(s *strip, d *device, a *span, named bool) {
	took := length(a.end - a.start)
	kind, text := openBar, "not finished"
	switch {
	case a.open:
	case a.kind == boot.ProbeBound:
		kind, text = boundBar, "bound to "+name(d.driver, nameRunes)+", "+took
	case a.kind == boot.ProbeDeferred:
		kind, text = deferredBar, "deferred"
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
			return "TPM2_" + name(c.name, 24) + " by " + name(c.task, 24) + " → " + result(c.code) + ", " + length(c.took) + " until " + seconds(c.at)
		})
		words.add(name(c.name, 24))
		end = max(end, to)
		n++
	}
	text, less := words.String(), name(first.name, shortRunes)
	if n > 1 {
		less = plural(n, "command", "commands")
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
	weight := touched
	if first.code != 0 || isLong(first) {
		weight = essential
	}
	s.ask(x0, max(end, x0+px), weight, text, less)
	return n
}

// together says that a command belongs to a burst, whose end lies so far to the
// left. What a driver tries again and again belongs together however long it
// waits.
func together(first, c *point, distance int) bool {
	return c.task == first.task && c.code == first.code && !isLong(c) && !isLong(first) &&
		(c.code != 0 || distance <= 30*px)
}

// isLong says that a command took longer than the driver polls for: it was held,
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
		text := length(c.end - c.start)
		switch {
		case c.open:
			text = "does not end"
		case c.code != 0:
			text = result(c.code) + " after " + text
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

// recordLines are the lines of what IMA does and fails to do, top to bottom.
var recordLines = []struct {
	kind  boot.EventKind
	shape shape
	name  string
}{
	{boot.RecordLost, cross, "not measured: lost"},
	{boot.AccessDenied, barred, "denied"},
	{boot.RecordQueued, diamond, "queued"},
	{boot.RecordUnextended, ring, "in the list only"},
	{boot.RecordExtended, disc, "in list and PCR"},
	{boot.AttackRun, bolt, "attacker"},
	{boot.RecordHidden, bolt, "attacker"},
}

// records are what IMA measures and what it does not.
func (p *picture) records(records []point) {
	var lines []*strip
	var kinds [][]point
	for _, l := range recordLines {
		i := slices.IndexFunc(lines, func(s *strip) bool { return s.name == l.name })
		if i < 0 {
			i = len(lines)
			lines, kinds = append(lines, &strip{name: l.name}), append(kinds, nil)
		}
		for j := range records {
			if records[j].kind == l.kind {
				kinds[i] = append(kinds[i], records[j])
			}
		}
	}
	for i, s := range lines {
		slices.SortStableFunc(kinds[i], func(a, b point) int { return int(min(1, max(-1, a.at-b.at))) })
		for rest := kinds[i]; len(rest) > 0; {
			rest = rest[p.files(s, rest):]
		}
		if n := len(kinds[i]); n > 0 {
			s.name += fmt.Sprintf(" (%d)", n)
		}
		p.strip(s)
	}
}

// files draws the first records that belong together: one boot aggregate, or the
// files of a program.
func (p *picture) files(s *strip, records []point) (n int) {
	first := &records[0]
	x0 := p.axis.x(first.level, first.at)
	end := x0
	for n < len(records) {
		r := &records[n]
		x := p.axis.x(r.level, r.at)
		if n > 0 && (ownLabel(r) || ownLabel(first) || r.task != first.task || r.level != first.level || r.code != first.code) {
			break
		}
		p.file(s, r, x)
		end = x
		n++
	}
	weight := touched
	if ownLabel(first) {
		weight = essential
	}
	text := recordText(records[:n])
	less := shorten(text, shortRunes)
	if n > 1 {
		less = plural(n, "file", "files")
	}
	s.ask(x0, end, weight, text, less)
	return n
}

// ownLabel says that a record is not one of many.
func ownLabel(r *point) bool {
	return isAggregate(r.name) || r.kind == boot.AttackRun || r.kind == boot.RecordHidden
}

func isAggregate(name string) bool {
	return name == ima.BootAggregateName || name == ima.BootAggregateLateName
}

func (p *picture) file(s *strip, r *point, x int) {
	for _, l := range recordLines {
		if l.kind == r.kind {
			s.add(l.shape, x, x, func() string { return recordTitle(r) })
		}
	}
}

func recordTitle(r *point) string {
	title := name(r.name, 100) + " at " + seconds(r.at)
	if r.record > 0 {
		title = fmt.Sprintf("record %d, ", r.record) + title
	}
	if r.code != 0 {
		title += ": " + result(r.code)
	}
	return title
}

// recordText is the label of records.
func recordText(records []point) string {
	first, last := &records[0], &records[len(records)-1]
	text := name(first.name, fileRunes)
	if len(records) > 1 {
		text = plural(len(records), "file", "files") + ": " + text + " … " + name(path.Base(last.name), fileRunes)
	}
	switch {
	case first.kind == boot.AttackRun:
		text += " runs"
		if first.text != "" {
			text += ": " + name(first.text, 2*nameRunes)
		}
	case first.kind == boot.RecordHidden:
		text = "hides " + text
	case first.code != 0:
		text += ", extend: " + result(first.code)
	}
	return text
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
