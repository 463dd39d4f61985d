//go:build linux

package soak

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A write that was acknowledged and is not there is seen, and so is one that nobody
// has sent.
func TestKillsFindLostWrites(t *testing.T) {
	t.Parallel()
	k := &killing{KillPlan: KillPlan{Program: program(t)}, dir: t.TempDir(), rnd: rand.New(rand.NewPCG(1, 1))}
	d, err := k.start(t.Context())
	require.NoError(t, err)
	defer d.kill()
	require.NoError(t, k.check(t.Context(), d), "defined")
	require.NoError(t, k.check(t.Context(), d))
	require.Empty(t, k.report.Failures)
	k.writers[0] = writer{sent: 8, acknowledged: 7}
	require.NoError(t, k.check(t.Context(), d))
	assert.EqualValues(t, 7, k.report.Lost)
	assert.Len(t, k.report.Failures, 1)
}

func TestPercentile(t *testing.T) {
	t.Parallel()
	assert.Zero(t, percentile(nil, 99))
	var times []time.Duration
	for n := range 200 {
		times = append(times, time.Duration(200-n))
	}
	assert.EqualValues(t, 101, percentile(times, 50))
	assert.EqualValues(t, 199, percentile(times, 99))
	assert.EqualValues(t, 200, percentile(times, 100))
}

// What a client has written and does not find again is lost.
func TestClientsSeeLostWrites(t *testing.T) {
	t.Parallel()
	l := launch{program: program(t), dir: t.TempDir(), words: []string{"--flags=startup-clear"}}
	d, err := l.start(t.Context())
	require.NoError(t, err)
	defer d.kill()
	c, err := newClient(t.Context(), d.ready.Data, 3, rand.New(rand.NewPCG(1, 1)))
	require.NoError(t, err)
	defer c.tpm.Close()
	require.NoError(t, c.write(t.Context()))
	require.NoError(t, c.read(t.Context()))
	c.last++
	require.Error(t, c.read(t.Context()))
	assert.EqualValues(t, 1, c.lost)
}
