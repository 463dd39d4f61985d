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
	idle time.Time
}

type test struct {
	parent    *test // nil for one that is no subtest
	busySince time.Time
	paused    bool
	subtests  int // that have not ended
}

func newRunning(now time.Time) *running {
	return &running{tests: make(map[string]*test), idle: now}
}

// maxLine is how much of a line is looked at, in bytes. The lines that count are
// a word and a test's name.
const maxLine = 4096

// write takes what the binary printed by now.
func (r *running) write(now time.Time, output []byte) {
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

// mark begins the lines that count. Whatever stands before it in a line has been
// printed by a test.
const mark = "\x16"

func (r *running) take(now time.Time, line string) {
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
			t.paused, t.busySince = false, now
		}
	case "--- PASS:", "--- FAIL:", "--- SKIP:", "--- BENCH:":
		r.end(now, name)
	}
}

func (r *running) begin(now time.Time, name string) {
	t := &test{parent: r.parentOf(name), busySince: now}
	r.tests[name] = t
	if t.parent != nil {
		t.parent.subtests++
	}
}

func (r *running) end(now time.Time, name string) {
	t := r.tests[name]
	if t == nil {
		return
	}
	delete(r.tests, name)
	r.idle = now
	if t.parent != nil {
		t.parent.subtests--
		t.parent.busySince = now
	}
}

// parentOf returns the test that a subtest belongs to: the nearest one, because
// a subtest's own name may have slashes.
func (r *running) parentOf(name string) *test {
	for at := strings.LastIndexByte(name, '/'); at >= 0; at = strings.LastIndexByte(name, '/') {
		name = name[:at]
		if t := r.tests[name]; t != nil {
			return t
		}
	}
	return nil
}

// hung returns the tests that have been busy for longer than limit. Without any
// test for so long it is the binary itself that hangs, in TestMain or an init.
func (r *running) hung(now time.Time, limit time.Duration) []string {
	var names []string
	for name, t := range r.tests {
		if !t.paused && t.subtests == 0 && now.Sub(t.busySince) > limit {
			names = append(names, name)
		}
	}
	if len(r.tests) == 0 && now.Sub(r.idle) > limit {
		names = append(names, "no test: TestMain or an init")
	}
	slices.Sort(names)
	return names
}
