package faults_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/transport"
)

// answers returns which of n commands a TPM answers, one each second from power-on.
func answers(t *testing.T, rule string, n int) (text string, journal told) {
	t.Helper()
	var now time.Duration
	d := wrap(t, new(chip), faults.Plan{Time: func() time.Duration { return now }, Rules: rules(t, rule), Journal: journal.tell})
	for range n {
		_, err := d.Send(t.Context(), 0, getRandom)
		if err == nil {
			text += "+"
		} else {
			require.ErrorIs(t, err, faults.ErrNoAnswer)
			text += "-"
		}
		now += time.Second
	}
	return text, journal
}

func TestVanish(t *testing.T) {
	t.Parallel()
	for rule, want := range map[string]string{
		"GetRandom#3: gone":    "++-------------",
		"GetRandom#3: gone=1":  "++-++++++++++++",
		"GetRandom#3: gone=4":  "++----+++++++++",
		"GetRandom#3: gone=4s": "++----+++++++++",
		"GetRandom/5: gone=2":  "++++--++++--+++", // it is not asked about commands that are lost
	} {
		got, journal := answers(t, rule, 15)
		assert.Equal(t, want, got, rule)
		assert.Equal(t, faults.Lost, journal[0].Outcome)
	}
	refused(t, "gone", []string{"0", "-1", "0s", "-2s", "x"}, faults.Vanish{For: -1}, faults.Vanish{Commands: -1}, faults.Vanish{For: 1, Commands: 1})
}

func TestVanishUntilInit(t *testing.T) {
	t.Parallel()
	d := wrap(t, new(chip), faults.Plan{Rules: rules(t, "GetRandom#1: gone")})
	for range 2 {
		_, err := d.Send(t.Context(), 0, getRandom)
		require.ErrorIs(t, err, faults.ErrNoAnswer)
	}
	power, ok := transport.As[transport.Power](d)
	require.True(t, ok)
	require.NoError(t, power.Init())
	assert.Equal(t, success, send(t, d, getRandom))
}
