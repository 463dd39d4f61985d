package main

import (
	"bytes"
	"slices"
	"strings"
	"time"
)

// running knows which tests of a binary run, from what the binary prints with
// -test.v=test2json (go doc test2json): a line for each test that runs, pauses,
// goes on or ends.
//
// A test is busy while it is neither paused nor waiting for its subtests. Only
// then its time counts, from where it was not busy the last time: a test with
// many subtests may take long, and so may one that waits for its turn.
type running struct {
	line  []byte // begun and not ended
	tests map[string]*test
	// idle is since when no test has been running.
	idle moment
	cpu  time.Duration // used by the binary at the last look
}

type test struct {
	parent    *test // nil for one that is no subtest
	busySince time.Time
	share     time.Duration // of what the binary has used of the processors since
	paused    bool
	subtests  int // that have not ended
}

func newRunning(now moment) *running {
	return &running{tests: make(map[string]*test), idle: now}
}

// maxLine is how much of a line is looked at, in bytes. The lines that count are
// a word and a test's name.
const maxLine = 4096

// write takes what the binary printed by now.
func (r *running) write(now moment, output []byte) {
	for len(output) > 0 {
		piece, rest, whole := bytes.Cut(output, []byte("\n"))
		r.line = append(r.line, piece[:min(len(piece), maxLine-len(r.line))]...)
		if whole {
			r.take(now, string(r.line))
			r.line = r.line[:0]
		}
		output = rest
	}
}

// mark begins the lines that count. A test has printed what is before it in a line.
const mark = "\x16"

func (r *running) take(now moment, line string) {
	at := strings.LastIndex(line, mark)
	if at < 0 {
		return
	}
	words := strings.Fields(line[at+len(mark):])
	if len(words) < 3 {
		return
	}
	name := words[2]
	switch words[0] + " " + words[1] {
	case "=== RUN":
		r.begin(now, name)
	case "=== PAUSE":
		if t := r.tests[name]; t != nil {
			t.paused = true
		}
	case "=== CONT":
		if t := r.tests[name]; t != nil {
			t.paused = false
			t.busy(now)
		}
	case "--- PASS:", "--- FAIL:", "--- SKIP:", "--- BENCH:":
		r.end(now, name)
	}
}

func (r *running) begin(now moment, name string) {
	t := &test{parent: r.parentOf(name)}
	t.busy(now)
	r.tests[name] = t
	if t.parent != nil {
		t.parent.subtests++
	}
}

// busy starts the count of what the test takes.
func (t *test) busy(now moment) { t.busySince, t.share = now.at, 0 }

func (r *running) end(now moment, name string) {
	t := r.tests[name]
	if t == nil {
		return
	}
	delete(r.tests, name)
	r.idle = now
	if t.parent != nil {
		t.parent.subtests--
		t.parent.busy(now)
	}
}

// parentOf returns the test that a subtest belongs to: the nearest one, because the
// name of a subtest may have slashes.
func (r *running) parentOf(name string) *test {
	for at := strings.LastIndexByte(name, '/'); at >= 0; at = strings.LastIndexByte(name, '/') {
		name = name[:at]
		if t := r.tests[name]; t != nil {
			return t
		}
	}
	return nil
}

// moment is a time, and the processor time that the binary and all that it has started
// have used until then.
type moment struct {
	at  time.Time
	cpu time.Duration
}

// A test hangs if it has been busy for the limit and has used almost no processor
// time, or as much as it needs on an idle machine: between the two the machine is busy
// with something else, and the test is slow because of that, which has a limit too.
// Tests that run at the same time share the processor time of the binary, as it is
// counted for all of them together.
const (
	waits  = 20 // of the limit, the part below which a test only waits
	spins  = 1  // the part above which the machine was not too busy for it
	atMost = 6  // limits
)

func hung(wall, cpu, limit time.Duration) bool {
	return wall > limit && (cpu < limit/waits || cpu > limit/spins || wall > atMost*limit)
}

// hung returns the tests that hang. If no test runs for so long, the binary itself
// hangs, in TestMain or an init.
func (r *running) hung(now moment, limit time.Duration) []string {
	r.divide(now.cpu)
	var names []string
	for name, t := range r.tests {
		if t.working() && hung(now.at.Sub(t.busySince), t.share, limit) {
			names = append(names, name)
		}
	}
	if len(r.tests) == 0 && hung(now.at.Sub(r.idle.at), now.cpu-r.idle.cpu, limit) {
		names = append(names, "no test: TestMain or an init")
	}
	slices.Sort(names)
	return names
}

func (t *test) working() bool { return !t.paused && t.subtests == 0 }

// divide adds to each busy test its share of the processor time that the binary has
// used since the last look.
func (r *running) divide(cpu time.Duration) {
	used := cpu - r.cpu
	r.cpu = cpu
	var working []*test
	for _, t := range r.tests {
		if t.working() {
			working = append(working, t)
		}
	}
	for _, t := range working {
		t.share += used / time.Duration(len(working))
	}
}
