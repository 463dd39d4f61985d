package draw

import (
	"slices"
	"strings"
	"time"

	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/ima/boot"
)

// span is something that took time. open says that no end of it was seen.
type span struct {
	level      initcall.Level // when it began
	start, end time.Duration
	endLevel   initcall.Level
	open       bool
	name, text string
	task       string
	code       int
	kind       boot.EventKind // what ended it
	// weight says how much it has to do with the TPM and IMA.
	weight int
}

// point is an event: a command of the TPM has a length too.
type point struct {
	level  initcall.Level
	at     time.Duration
	took   time.Duration
	kind   boot.EventKind
	task   string
	name   string
	text   string
	code   int
	record int
}

// deviceTrack is what happened to a device.
type deviceTrack struct {
	name     string
	driver   string
	attempts []span
	events   []point // retries, relaxed dependencies
	weight   int
}

// timeline is a boot as it is drawn: events in their order, paired to spans.
type timeline struct {
	reached [initcall.Userspace + 1]bool
	start   [initcall.Userspace + 1]time.Duration
	anchors [initcall.Userspace + 1][]time.Duration
	end     time.Duration

	initcalls []span
	devices   []*deviceTrack
	async     []span
	helpers   []span
	commands  []point
	records   []point // of all kinds, attacks too
	moments   []point // TPM registered, IMA started, userspace, panic

	// related has the TPM and what it waits for; nil if that is not known.
	related map[string]bool

	// For pairing: what is open, by name.
	call     *span
	byDriver map[string]int // the initcall that registered it
	byName   map[string]*deviceTrack
	probing  map[string]*deviceTrack // by task
	running  map[string]int          // open asynchronous work, by name
	helping  map[string]int
}

// eprobeDefer is -EPROBE_DEFER (include/linux/errno.h).
const eprobeDefer = -517

// Weights.
const (
	ordinary = iota
	touched  // something happened in it that is drawn
	tpmRelated
	essential
)

// newTimeline reads the events of a boot. It takes any: those out of order are
// moved to the time of the one before, as the picture has one axis.
func newTimeline(r *boot.Result) *timeline {
	t := &timeline{
		related: relatedTo(r.Platform),
		byName:  map[string]*deviceTrack{}, probing: map[string]*deviceTrack{},
		running: map[string]int{}, helping: map[string]int{}, byDriver: map[string]int{},
	}
	t.room(r.Events)
	t.reached[initcall.Firmware] = true
	level := initcall.Firmware
	actions := actionsOf(r.Platform)
	for i := range r.Events {
		e := &r.Events[i]
		at := min(max(e.At, t.end), boot.MaxBoot)
		t.end = at
		if e.Level > level && e.Level <= initcall.Userspace {
			level = e.Level
			t.reached[level] = true
			t.start[level] = at
		}
		t.read(e, point{
			level: level, at: at, took: min(max(e.Took, 0), at), kind: e.Kind,
			task: e.Task, name: e.Name, text: e.Text, code: e.Code, record: e.Record,
		}, actions)
	}
	t.close(level)
	t.anchor()
	return t
}

// room makes room for what the events have most of.
func (t *timeline) room(events []boot.Event) {
	calls, commands, records := 0, 0, 0
	for i := range events {
		switch events[i].Kind {
		case boot.InitcallReturned:
			calls++
		case boot.TPMCommand:
			commands++
		case boot.RecordExtended, boot.RecordUnextended, boot.RecordLost, boot.RecordQueued:
			records++
		}
	}
	t.initcalls = make([]span, 0, calls)
	t.commands = make([]point, 0, commands)
	t.records = make([]point, 0, records)
}

// actionsOf says which of a platform's initcalls do what IMA or the driver core
// is about.
func actionsOf(p *boot.Platform) map[string]bool {
	actions := map[string]bool{"init_ima": true, "init_ima_sync": true, "deferred_probe_initcall": true}
	if p != nil {
		for i := range p.Initcalls {
			switch p.Initcalls[i].Action {
			case boot.StartIMA, boot.StartIMALate, boot.DeferredProbe:
				actions[p.Initcalls[i].Name] = true
			}
		}
	}
	return actions
}

// relatedTo has the devices that a TPM's driver matches, and what these wait
// for: parents, suppliers, and so on.
func relatedTo(p *boot.Platform) map[string]bool {
	if p == nil {
		return nil
	}
	drivers := map[string]bool{}
	for i := range p.Drivers {
		drivers[p.Drivers[i].Name] = p.Drivers[i].Kind != boot.Plain
	}
	devices := map[string]*boot.Device{}
	var names []string
	for i := range p.Devices {
		d := &p.Devices[i]
		devices[d.Name] = d
		if drivers[d.Driver] {
			names = append(names, d.Name)
		}
	}
	related := map[string]bool{}
	for len(names) > 0 {
		name := names[0]
		names = names[1:]
		d := devices[name]
		if related[name] || d == nil {
			continue
		}
		related[name] = true
		names = slices.Concat(names, []string{d.Parent}, d.Suppliers, d.Needs, d.Domains)
	}
	return related
}

func (t *timeline) read(e *boot.Event, p point, actions map[string]bool) {
	switch e.Kind {
	case boot.InitcallCalled:
		t.call = &span{level: p.level, start: p.at, name: p.name, task: p.task, kind: p.kind}
		if actions[p.name] {
			t.call.weight = essential
		}
	case boot.InitcallReturned:
		t.returned(p)
	case boot.DriverRegistered:
		if t.call != nil && t.call.task == p.task {
			t.byDriver[p.name] = len(t.initcalls) // where it will be
		}
	case boot.ProbeStarted, boot.ProbeDeferred, boot.ProbeFailed, boot.ProbeBound, boot.DeferredRetry, boot.DependencyRelaxed:
		t.probe(p)
	case boot.AsyncStarted:
		if !strings.HasPrefix(p.name, "probe of ") { // those are devices
			t.running[p.name] = len(t.async)
			t.async = append(t.async, span{level: p.level, start: p.at, name: p.name, task: p.task, open: true})
		}
	case boot.AsyncEnded:
		endSpan(t.async, t.running, p)
	case boot.HelperCalled:
		t.helping[p.name] = len(t.helpers)
		t.helpers = append(t.helpers, span{level: p.level, start: p.at, name: p.name, task: p.task, open: true})
		t.touch(p, tpmRelated)
	case boot.HelperEnded:
		endSpan(t.helpers, t.helping, p)
	case boot.TPMCommand:
		t.commands = append(t.commands, p)
		t.touch(p, tpmRelated)
		if d := t.probing[p.task]; d != nil {
			d.weight = essential
		}
	case boot.TPMRegistered:
		p.text = t.inside(p)
		t.moments = append(t.moments, p)
		t.touch(p, essential)
	case boot.IMAStarted, boot.UserspaceReached, boot.Panicked, boot.TPMReset:
		p.text = clean(p.text)
		t.moments = append(t.moments, p)
	case boot.RecordExtended, boot.RecordUnextended, boot.RecordLost, boot.RecordQueued, boot.RecordHidden,
		boot.AccessDenied, boot.AttackRun:
		t.records = append(t.records, p)
	}
}

// touch reports whether the initcall that runs has to do with something: its own task,
// or the worker whose work it waits for.
func (t *timeline) touch(p point, weight int) {
	if t.call != nil && (t.call.task == p.task || t.call.weight == essential && p.task == "kworker") {
		t.call.weight = max(t.call.weight, weight)
	}
}

// inside says in what something happened.
func (t *timeline) inside(p point) string {
	switch {
	case t.call != nil && (t.call.task == p.task || t.call.weight == essential && p.task == "kworker"):
		return "in " + name(t.call.name, 48)
	case p.task == "kworker":
		return "in the driver core's deferred work"
	case p.task == "async":
		return "in an asynchronous probe"
	case p.task == "init" && p.level == initcall.Userspace:
		return "in userspace"
	case p.task == "init":
		return ""
	}
	return "in " + name(p.task, 32)
}

func (t *timeline) returned(p point) {
	c := t.call
	t.call = nil
	if c == nil || c.name != p.name {
		c = &span{level: p.level, start: p.at - p.took, name: p.name, task: p.task}
	}
	c.end, c.endLevel, c.code, c.kind = p.at, p.level, p.code, p.kind
	if p.code == eprobeDefer {
		c.weight = max(c.weight, touched)
	}
	t.initcalls = append(t.initcalls, *c)
}

// endSpan ends the last span of a name.
func endSpan(spans []span, open map[string]int, p point) {
	i, ok := open[p.name]
	if !ok {
		return
	}
	delete(open, p.name)
	s := &spans[i]
	s.end, s.endLevel, s.open, s.code, s.kind = p.at, p.level, false, p.code, p.kind
}

func (t *timeline) device(name string) *deviceTrack {
	d := t.byName[name]
	if d == nil {
		d = &deviceTrack{name: name}
		if t.related[name] {
			d.weight = tpmRelated
		}
		t.byName[name] = d
		t.devices = append(t.devices, d)
	}
	return d
}

func (t *timeline) probe(p point) {
	d := t.device(p.name)
	switch p.kind {
	case boot.ProbeStarted:
		d.driver = p.text
		d.attempts = append(d.attempts, span{level: p.level, start: p.at, task: p.task, text: p.text, open: true, kind: p.kind})
		t.probing[p.task] = d
		return
	case boot.DeferredRetry, boot.DependencyRelaxed:
		d.events = append(d.events, p)
		t.trouble(d)
		return
	}
	// A device that fw_devlink holds back has no start.
	n := len(d.attempts)
	if n == 0 || !d.attempts[n-1].open {
		d.attempts = append(d.attempts, span{level: p.level, start: p.at - p.took, task: p.task})
		n++
	}
	s := &d.attempts[n-1]
	s.end, s.endLevel, s.open, s.kind, s.code, s.text = p.at, p.level, false, p.kind, p.code, p.text
	delete(t.probing, p.task)
	if p.kind != boot.ProbeBound {
		t.trouble(d)
		if d.weight > touched {
			t.touch(p, touched)
		}
	}
}

// trouble reports whether a device did not bind at once. If the TPM does not depend on
// it, or that is not known, it is one of many.
func (t *timeline) trouble(d *deviceTrack) {
	d.weight = max(d.weight, touched)
	if t.related == nil {
		d.weight = max(d.weight, tpmRelated)
	}
}

// close ends what has no end: it lasts as long as the picture.
func (t *timeline) close(level initcall.Level) {
	if t.call != nil {
		t.call.end, t.call.endLevel, t.call.open = t.end, level, true
		t.initcalls = append(t.initcalls, *t.call)
	}
	end := func(spans []span) {
		for i := range spans {
			if spans[i].open {
				spans[i].end, spans[i].endLevel = t.end, level
			}
		}
	}
	end(t.async)
	end(t.helpers)
	for _, d := range t.devices {
		end(d.attempts)
	}
	for _, d := range t.devices {
		if i, ok := t.byDriver[d.driver]; ok && d.weight > touched && i < len(t.initcalls) {
			c := &t.initcalls[i]
			c.weight = max(c.weight, d.weight)
		}
	}
	t.initcalls = slices.DeleteFunc(t.initcalls, func(c span) bool { return c.weight == ordinary })
	// What IMA and the TPM have to do with comes first.
	slices.SortStableFunc(t.devices, func(a, b *deviceTrack) int { return b.weight - a.weight })
}

// anchor collects when something is drawn for which time must not be cut. What
// has nothing to do with the TPM and IMA does not count.
func (t *timeline) anchor() {
	add := func(level initcall.Level, at time.Duration) {
		t.anchors[level] = append(t.anchors[level], at)
	}
	for _, spans := range [][]span{t.initcalls, t.helpers} {
		for i := range spans {
			add(spans[i].level, spans[i].start)
			add(spans[i].endLevel, spans[i].end)
		}
	}
	for _, d := range t.devices {
		if d.weight <= touched {
			continue
		}
		for i := range d.attempts {
			add(d.attempts[i].level, d.attempts[i].start)
			add(d.attempts[i].endLevel, d.attempts[i].end)
		}
		for i := range d.events {
			add(d.events[i].level, d.events[i].at)
		}
	}
	for _, points := range [][]point{t.commands, t.records, t.moments} {
		for i := range points {
			add(points[i].level, points[i].at)
		}
	}
}

// moment is the first of a kind, nil if there is none.
func (t *timeline) moment(kind boot.EventKind) *point {
	for i := range t.moments {
		if t.moments[i].kind == kind {
			return &t.moments[i]
		}
	}
	return nil
}
