package faults_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/swtpmd/swtpmd/faults"
)

// took sends GetRandom and returns how long that took, in the time of a synctest bubble.
func took(t *testing.T, plan faults.Plan) (times []time.Duration) {
	t.Helper()
	d := wrap(t, new(chip), plan)
	for range 5 {
		start := time.Now()
		assert.Equal(t, success, send(t, d, getRandom))
		times = append(times, time.Since(start))
	}
	return times
}

func TestDelay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var journal told
		times := took(t, faults.Plan{Rules: rules(t, "GetRandom#2-3: delay=150ms"), Journal: journal.tell})
		assert.Equal(t, []time.Duration{0, 150 * time.Millisecond, 150 * time.Millisecond, 0, 0}, times)
		if assert.Len(t, journal, 2) {
			assert.Equal(t, faults.Delayed, journal[0].Outcome)
			assert.Equal(t, 150*time.Millisecond, journal[0].HeldFor)
		}
	})
}

// A delay that is drawn is one of the seed.
func TestDelayDraws(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		plan := faults.Plan{Rules: rules(t, "*: delay=1s..3s"), Seed: 4}
		times := took(t, plan)
		for _, d := range times {
			assert.True(t, d >= time.Second && d <= 3*time.Second, "%v", times)
		}
		assert.NotEqual(t, times[0], times[1])
		assert.Equal(t, times, took(t, plan))
		plan.Seed = 5
		assert.NotEqual(t, times, took(t, plan))
	})
	refused(t, "delay", []string{"0s", "-1s", "1", "x", "2s..1s", "1s..1s", "1s..", "..1s", "0s..0s", "-2s..1s"},
		faults.Delay{}, faults.Delay{Least: -1, Most: 5}, faults.Delay{Least: 2, Most: 1})
	for text, want := range map[string]faults.Delay{"delay=0s..1s": {Most: time.Second}, "delay=1ms": {Least: time.Millisecond}} {
		got, err := faults.ParseFault(text)
		assert.NoError(t, err)
		assert.Equal(t, want, got)
		assert.Equal(t, text, got.String())
	}
}
