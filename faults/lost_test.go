package faults_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/transport"
)

// kept is what became of a command whose answer is kept back.
type kept struct {
	response string
	err      error
	after    time.Duration
}

// keep sends a command to a TPM with one rule and does something while it is kept.
func keep(t *testing.T, rule string, then func(clock *initcall.Clock, d transport.Device)) (k kept, executed int, journal told) {
	t.Helper()
	var clock initcall.Clock
	tpm := new(chip)
	d := wrap(t, tpm, faults.Plan{Clock: &clock, Rules: rules(t, rule), Journal: journal.tell})
	done := make(chan kept)
	start := time.Now()
	go func() {
		response, err := d.Send(t.Context(), 0, getRandom)
		done <- kept{string(response), err, time.Since(start)}
	}()
	synctest.Wait()
	then(&clock, d)
	select {
	case k = <-done:
	case <-time.After(time.Hour):
		assert.Fail(t, "the command has no end", rule)
	}
	return k, tpm.commands, journal
}

// What is never answered is an error once the rule is over, and what is stalled has its
// answer then.
func TestAnswersThatDoNotCome(t *testing.T) {
	t.Parallel()
	nothing := func(*initcall.Clock, transport.Device) {}
	advance := func(clock *initcall.Clock, _ transport.Device) {
		time.Sleep(time.Second)
		_ = clock.Advance(initcall.Late, initcall.NoTime, "test")
	}
	reset := func(_ *initcall.Clock, d transport.Device) {
		time.Sleep(2 * time.Second)
		power, _ := transport.As[transport.Power](d)
		_ = power.Init()
	}
	cancel := func(_ *initcall.Clock, d transport.Device) {
		c, _ := transport.As[transport.Canceler](d)
		c.Cancel()
	}
	ok, failed, canceled := string(unhex(success)), string(unhex("80010000000a00000101")), string(unhex("80010000000a00000909"))
	for _, test := range []struct {
		rule     string
		then     func(*initcall.Clock, transport.Device)
		want     kept
		executed int
		outcome  faults.Outcome
		cause    string
	}{
		{"*: drop=5s", nothing, kept{"", faults.ErrNoAnswer, 5 * time.Second}, 1, faults.Lost, "held for the maximum of 5s"},
		{"*: drop", nothing, kept{"", faults.ErrNoAnswer, time.Minute}, 1, faults.Lost, "held for the maximum of 1m0s"},
		{"level=..late: drop", advance, kept{"", faults.ErrNoAnswer, time.Second}, 1, faults.Lost, "level late"},
		{"*: drop", reset, kept{failed, nil, 2 * time.Second}, 1, faults.Reset, "device reset"},
		{"*: drop", cancel, kept{canceled, nil, 0}, 1, faults.Canceled, "command canceled"},
		{"level=..late: absent", advance, kept{"", faults.ErrNoAnswer, time.Second}, 0, faults.Lost, "level late"},
		{"*: absent=3s", nothing, kept{"", faults.ErrNoAnswer, 3 * time.Second}, 0, faults.Lost, "held for the maximum of 3s"},
		{"*: absent", reset, kept{failed, nil, 2 * time.Second}, 0, faults.Reset, "device reset"},
		{"level=..late: stall", advance, kept{ok, nil, time.Second}, 1, faults.Released, "level late"},
		{"*: stall=4s", nothing, kept{ok, nil, 4 * time.Second}, 1, faults.Expired, "held for the maximum of 4s"},
		{"*: stall", reset, kept{failed, nil, 2 * time.Second}, 1, faults.Reset, "device reset"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got, executed, journal := keep(t, test.rule, test.then)
				assert.Equal(t, test.want, got)
				assert.Equal(t, test.executed, executed, "commands that the TPM has seen")
				require.Len(t, journal, 2)
				assert.Equal(t, faults.Held, journal[0].Outcome)
				assert.Equal(t, test.outcome, journal[1].Outcome)
				assert.Equal(t, test.cause, journal[1].Cause)
				assert.Equal(t, test.want.after, journal[1].HeldFor)
			})
		})
	}
}

func TestLongestTimes(t *testing.T) {
	t.Parallel()
	for word, negative := range map[string]faults.Fault{"drop": faults.Drop{Max: -1}, "absent": faults.Absent{Max: -1}, "stall": faults.Stall{Max: -1}} {
		refused(t, word, []string{"0s", "-1s", "3", "x"}, negative)
		for text, want := range map[string]bool{word: false, word + "=3s": true} {
			plan := faults.Plan{Rules: rules(t, "*: "+text)}
			assert.Equal(t, want, plan.Validate() == nil, "%s without a clock", text)
			plan.Clock = new(initcall.Clock)
			assert.NoError(t, plan.Validate())
		}
	}
}
