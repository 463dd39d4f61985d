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
			start := time.Unix(0, 0)
			r := newRunning(start)
			for line := range strings.Lines(c.script) {
				second, text, _ := strings.Cut(line, " ")
				n, err := strconv.Atoi(second)
				require.NoError(t, err)
				// A mark stands before the words, but not in what a test prints.
				text = strings.Replace(text, "===", mark+"===", 1)
				text = strings.Replace(text, "---", mark+"---", 1)
				text = strings.Replace(text, "!"+mark, "", 1)
				for _, b := range []byte(text) {
					r.write(start.Add(time.Duration(n)*time.Second), []byte{b})
				}
				if !strings.HasSuffix(text, "\n") {
					r.write(start.Add(time.Duration(n)*time.Second), []byte("\n"))
				}
			}
			assert.Equal(t, c.hung, r.hung(start.Add(time.Duration(c.at)*time.Second), limit))
		})
	}
}

func TestALineWithoutEndIsNotKept(t *testing.T) {
	r := newRunning(time.Now())
	for range 100 {
		r.write(time.Now(), make([]byte, 1000))
	}
	assert.LessOrEqual(t, len(r.line), maxLine)
}
