//go:build linux

package soak

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/transport/raw"
)

// A write that was acknowledged and is not there is seen, of every kind of record, and
// so is one that nobody has sent.
func TestKillsFindLostWrites(t *testing.T) {
	t.Parallel()
	k := &killing{KillPlan: KillPlan{Program: program(t)}, dir: t.TempDir(), rnd: rand.New(rand.NewPCG(1, 1)), writers: newWriters()}
	d, err := k.start(t.Context())
	require.NoError(t, err)
	defer d.kill()
	require.NoError(t, k.check(t.Context(), d), "made")
	tpm, err := raw.Dial(t.Context(), "unix", d.ready.Data)
	require.NoError(t, err)
	defer tpm.Close()
	const writes = 20
	for _, w := range k.writers {
		for w.sent < writes {
			w.sent++
			_, err := succeeded(t.Context(), tpm, w.report.Name, w.next(w.sent))
			require.NoError(t, err, "write %d", w.sent)
			w.acknowledged = w.sent
		}
	}
	for _, w := range k.writers { // and one that is not answered
		_, err := tpm.Send(t.Context(), 0, w.next(writes+1))
		require.NoError(t, err)
		w.sent++
	}
	require.NoError(t, tpm.Close())
	require.NoError(t, k.check(t.Context(), d))
	require.Empty(t, k.report.Failures)
	k.sum()
	require.EqualValues(t, len(k.writers), k.report.Unanswered)

	for _, w := range k.writers {
		w.acknowledged, w.sent = writes+3, writes+3
	}
	require.NoError(t, k.check(t.Context(), d))
	k.sum()
	assert.Len(t, k.report.Failures, len(k.writers), "lost: %q", k.report.Failures)
	assert.EqualValues(t, 2*len(k.writers), k.report.Lost)
	for _, w := range k.writers {
		require.EqualValues(t, writes+1, w.acknowledged)
		w.acknowledged, w.sent = writes, writes
	}
	k.report.Failures = nil
	require.NoError(t, k.check(t.Context(), d))
	assert.Len(t, k.report.Failures, len(k.writers)-1, "nobody has sent it, and only the orderly counter jumps: %q", k.report.Failures)
}

// Every step changes one handle, and the numbers around one have different codes.
func TestGrayCode(t *testing.T) {
	t.Parallel()
	for n := uint64(1); n < 100; n++ {
		assert.Equal(t, uint64(1)<<bit(n), gray(n-1)^gray(n), "step to %d", n)
		for d := uint64(1); d < 1<<persistentHandles; d++ {
			assert.NotEqual(t, gray(n), gray(n+d))
		}
	}
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
