package faults_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/transport"
)

const failed = "80010000000a00000101"

// What lasts concerns the commands after the one that began it, until Init, power-off, a
// new boot or the end of its rule, and begins anew when the rule fires again.
func TestFaultsThatLastEnd(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(t *testing.T, d transport.Device, clock *initcall.Clock, l *faults.Layer){
		"Init": func(t *testing.T, d transport.Device, _ *initcall.Clock, _ *faults.Layer) {
			power, _ := transport.As[transport.Power](d)
			require.NoError(t, power.Init())
		},
		"PowerOff": func(t *testing.T, d transport.Device, _ *initcall.Clock, _ *faults.Layer) {
			power, _ := transport.As[transport.Power](d)
			require.NoError(t, power.PowerOff())
			below, _ := transport.As[*chip](d)
			require.NoError(t, below.Init()) // without the layer's knowledge
		},
		"boot": func(_ *testing.T, _ transport.Device, clock *initcall.Clock, _ *faults.Layer) { clock.NewBoot("test") },
		"disabled": func(t *testing.T, _ transport.Device, _ *initcall.Clock, l *faults.Layer) {
			require.NoError(t, l.Enable("f", false))
		},
		"removed": func(t *testing.T, _ transport.Device, _ *initcall.Clock, l *faults.Layer) {
			require.NoError(t, l.Remove("f"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var clock initcall.Clock
			var journal told
			d := wrap(t, new(chip), faults.Plan{
				Clock: &clock, Rules: rules(t, "name=f GetRandom#2: failure", "name=other SelfTest#99: pass"), Journal: journal.tell,
			})
			l, _ := faults.Of(d)
			assert.Equal(t, success, send(t, d, getRandom))
			assert.False(t, l.Rules()[0].Lasts)
			assert.Equal(t, failed, send(t, d, getRandom))
			assert.Equal(t, failed, send(t, d, selfTest), "it lasts, for commands that the rule is not for")
			assert.True(t, l.Rules()[0].Lasts)
			assert.False(t, l.Rules()[1].Lasts)
			end(t, d, &clock, l)
			assert.Equal(t, success, send(t, d, selfTest))
			require.Len(t, journal, 2)
			for _, decision := range journal {
				assert.Equal(t, "f", decision.Rule)
				assert.Equal(t, "failure", decision.Fault)
				assert.Equal(t, faults.Answered, decision.Outcome)
			}
		})
	}
}

// A fault that lasts begins once, and again after it has ended.
func TestFaultsThatLastBeginAgain(t *testing.T) {
	t.Parallel()
	var now time.Duration
	d := wrap(t, new(chip), faults.Plan{
		Time:  func() time.Duration { return now },
		Rules: rules(t, "GetRandom: testing=2s"),
	})
	testing := "80010000000a0000090a"
	for _, step := range []struct {
		at      time.Duration
		command []byte
		want    string
	}{
		{0, selfTest, success},
		{time.Second, getRandom, testing},
		{2 * time.Second, getRandom, testing}, // does not make it longer
		{3*time.Second - 1, selfTest, testing},
		{3 * time.Second, selfTest, success},
		{4 * time.Second, getRandom, testing},
		{5 * time.Second, selfTest, testing},
		{6 * time.Second, selfTest, success},
	} {
		now = step.at
		assert.Equal(t, step.want, send(t, d, step.command), "at %s", step.at)
	}
}

// The power that another layer switches ends what lasts too.
func TestFaultsThatLastEndWithThePowerOfAnotherLayer(t *testing.T) {
	t.Parallel()
	getCapability := unhex("8001000000160000017a000000050000000000000001")
	inner := wrap(t, new(chip), faults.Plan{Rules: rules(t, "GetCapability: power=cycle")})
	d := wrap(t, inner, faults.Plan{Rules: rules(t, "GetRandom: failure")})
	assert.Equal(t, failed, send(t, d, getRandom))
	assert.Equal(t, failed, send(t, d, selfTest))
	_, err := d.Send(t.Context(), 0, getCapability)
	require.ErrorIs(t, err, faults.ErrNoAnswer)
	assert.Equal(t, success, send(t, d, selfTest))
	l, _ := faults.Of(d)
	assert.False(t, l.Rules()[0].Lasts)
}
