package faults_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/faults"
)

// Each command takes its own time, and the journal tells it.
func TestSlow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var journal told
		d := wrap(t, new(chip), faults.Plan{Rules: rules(t, "*: slow=linux-limits"), Journal: journal.tell})
		for _, step := range []struct {
			command []byte
			want    time.Duration
		}{{getRandom, 1800 * time.Millisecond}, {readClock, 100 * time.Millisecond}, {[]byte{0x80}, 100 * time.Millisecond}} {
			start := time.Now()
			assert.Equal(t, success, send(t, d, step.command))
			assert.Equal(t, step.want, time.Since(start))
			last := journal[len(journal)-1]
			assert.Equal(t, faults.Delayed, last.Outcome)
			assert.Equal(t, step.want.String(), last.Detail)
			assert.Equal(t, step.want, last.HeldFor)
		}
	})
	refused(t, "slow", []string{"x", "Discrete"}, faults.Slow{}, faults.Slow{Profile: "x"})
}

// Profiles say where they come from, and their times are what they say, the same for the
// same seed.
func TestProfiles(t *testing.T) {
	t.Parallel()
	require.Len(t, faults.Profiles(), 3)
	for _, p := range faults.Profiles() {
		assert.Regexp(t, `https://|drivers/char/tpm`, p.Doc, p.Name)
	}
	discrete, err := faults.FindProfile("discrete")
	require.NoError(t, err)
	draw := func(code wire.CC, seed uint64) (times []time.Duration) {
		random := rand.New(rand.NewPCG(seed, 1))
		for range 2000 {
			times = append(times, discrete.Time(uint32(code), random))
		}
		return times
	}
	signs := draw(wire.CCSign, 1)
	assert.Equal(t, signs, draw(wire.CCSign, 1))
	assert.NotEqual(t, signs, draw(wire.CCSign, 2))
	slices.Sort(signs)
	assert.InDelta(t, 200, signs[1000].Milliseconds(), 15, "median")
	assert.InDelta(t, 600, signs[1900].Milliseconds(), 60, "95th percentile")
	extends := draw(wire.CCPCRExtend, 1)
	assert.GreaterOrEqual(t, slices.Min(extends), 3*time.Millisecond)
	assert.LessOrEqual(t, slices.Max(extends), 4*time.Millisecond)
	assert.NotEqual(t, slices.Min(extends), slices.Max(extends))
}
