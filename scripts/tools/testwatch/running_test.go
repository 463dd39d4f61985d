package main

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestATestHangsThatIsAtWorkForTooLong(t *testing.T) {
	const limit = 10 * time.Second
	for name, c := range map[string]struct {
		script string // "SECOND LINE", what the binary prints when
		at     int
		hung   []string
	}{
		"one test": {"0 === RUN   TestA", 11, []string{"TestA"}},
		"in time":  {"0 === RUN   TestA", 10, nil},
		"ended":    {"0 === RUN   TestA\n1 --- PASS: TestA (1.00s)\n5 === RUN   TestB", 12, nil},
		"paused":   {"0 === RUN   TestA\n0 === PAUSE TestA\n8 === RUN   TestB", 12, nil},
		"goes on":  {"0 === RUN   TestA\n0 === PAUSE TestA\n8 === CONT  TestA", 12, nil},
		"goes on for too long": {
			"0 === RUN   TestA\n0 === PAUSE TestA\n8 === CONT  TestA", 19, []string{"TestA"},
		},
		"subtests": {
			"0 === RUN   TestA\n0 === RUN   TestA/1\n8 --- PASS: TestA/1 (8.00s)\n9 === RUN   TestA/2", 18, nil,
		},
		"a subtest":                          {"0 === RUN   TestA\n0 === RUN   TestA/1", 11, []string{"TestA/1"}},
		"a subtest with a slash in its name": {"0 === RUN   TestA\n0 === RUN   TestA/b/c", 11, []string{"TestA/b/c"}},
		"the same under another one": {
			"0 === RUN   TestA\n0 === RUN   TestA/b/c\n0 === PAUSE TestA/b/c\n0 === RUN   TestA/b\n" +
				"1 --- PASS: TestA/b (0.00s)\n8 === CONT  TestA/b/c\n9 --- FAIL: TestA/b/c (1.00s)", 20, []string{"TestA"},
		},
		"parallel subtests":       {"0 === RUN   TestA\n0 === RUN   TestA/1\n0 === PAUSE TestA/1", 50, nil},
		"after the last subtest":  {"0 === RUN   TestA\n0 === RUN   TestA/1\n8 --- SKIP: TestA/1 (8.00s)", 18, nil},
		"after it, for too long":  {"0 === RUN   TestA\n0 === RUN   TestA/1\n8 --- SKIP: TestA/1 (8.00s)", 19, []string{"TestA"}},
		"two":                     {"0 === RUN   TestB\n0 === RUN   TestA", 11, []string{"TestA", "TestB"}},
		"before the first test":   {"", 11, []string{"no test: TestMain or an init"}},
		"after the last one":      {"1 === RUN   TestA\n2 --- PASS: TestA (1.00s)", 13, []string{"no test: TestMain or an init"}},
		"behind what it printed":  {"0 === RUN   TestA\n1 half a line--- PASS: TestA (1.00s)\n2 === RUN   TestB", 11, nil},
		"what a test only prints": {"0 === RUN   TestA\n1 !--- PASS: TestA (1.00s)", 11, []string{"TestA"}},
	} {
		t.Run(name, func(t *testing.T) {
			at := func(second int) moment { return moment{at: time.Unix(int64(second), 0)} }
			r := newRunning(at(0))
			for line := range strings.Lines(c.script) {
				second, text, _ := strings.Cut(line, " ")
				n, err := strconv.Atoi(second)
				require.NoError(t, err)
				// A mark stands before the words, but not in what a test prints.
				text = strings.Replace(text, "===", mark+"===", 1)
				text = strings.Replace(text, "---", mark+"---", 1)
				text = strings.Replace(text, "!"+mark, "", 1)
				for _, b := range []byte(text) {
					r.write(at(n), []byte{b})
				}
				if !strings.HasSuffix(text, "\n") {
					r.write(at(n), []byte("\n"))
				}
			}
			assert.Equal(t, c.hung, r.hung(at(c.at), limit))
		})
	}
}

func TestALineWithoutEndIsNotKept(t *testing.T) {
	var now moment
	r := newRunning(now)
	for range 100 {
		r.write(now, make([]byte, 1000))
	}
	assert.LessOrEqual(t, len(r.line), maxLine)
}

func TestASlowTestOnABusyMachineDoesNotHang(t *testing.T) {
	const limit = 100 * time.Second
	for name, c := range map[string]struct {
		wall, cpu time.Duration
		hung      bool
	}{
		"waits":                   {limit + 1, 4 * time.Second, true},
		"waits, in time":          {limit, 0, false},
		"slow":                    {limit + 1, 6 * time.Second, false},
		"slow for long":           {500 * time.Second, 99 * time.Second, false},
		"slow for ever":           {601 * time.Second, 99 * time.Second, true},
		"loops":                   {limit + 1, limit + 1, true},
		"loops on a busy machine": {400 * time.Second, 101 * time.Second, true},
		"two processors, in time": {60 * time.Second, 2 * 60 * time.Second, false},
	} {
		assert.Equal(t, c.hung, hung(c.wall, c.cpu, limit), name)
	}
}

// Tests that run at the same time are not blamed for each other.
func TestTestsShareTheProcessors(t *testing.T) {
	const limit = 100 * time.Second
	at := func(second int, cpu time.Duration) moment { return moment{time.Unix(int64(second), 0), cpu} }
	for name, tests := range map[string][]string{"one": {"TestA"}, "two": {"TestA", "TestB"}} {
		r := newRunning(at(0, 0))
		for _, test := range tests {
			r.write(at(0, 0), []byte(mark+"=== RUN   "+test+"\n"))
		}
		assert.Empty(t, r.hung(at(60, 60*time.Second), limit), name)
		if len(tests) == 1 {
			assert.Equal(t, tests, r.hung(at(101, 150*time.Second), limit))
			continue
		}
		assert.Empty(t, r.hung(at(101, 150*time.Second), limit), name)
		assert.Equal(t, tests, r.hung(at(130, 210*time.Second), limit), name)
	}
}
