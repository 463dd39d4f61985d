package faults_test

import (
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/faults"
)

func tpmTime(t *testing.T, tpm emulatortest.Client) time.Duration {
	t.Helper()
	read, err := tpm2.ReadClock{}.Execute(tpm)
	require.NoError(t, err)
	return time.Duration(read.CurrentTime.Time) * time.Millisecond
}

func TestTheClockJumpsAndStandsStill(t *testing.T) {
	t.Parallel()
	for fault, test := range map[string]struct {
		second, third time.Duration // after the first command, one second apart each
		detail        string
	}{
		"clock=+1h":  {time.Hour + time.Second, time.Hour + 2*time.Second, "the clock jumped by +1h0m0s"},
		"clock=-30s": {0, time.Second, "the clock jumped by -30s"},
		"clock=stop": {0, time.Second, "the clock stood still for 1s"},
	} {
		tpm := emulatortest.New(t)
		client, journal := faulty(t, tpm, "ReadClock#2: "+fault)
		first := tpmTime(t, client)
		tpm.Clock.Advance(time.Second)
		assert.Equal(t, test.second, tpmTime(t, client)-first, fault)
		tpm.Clock.Advance(time.Second)
		assert.Equal(t, test.third, tpmTime(t, client)-first, fault)
		assert.Equal(t, test.detail, (*journal)[0].Detail)
	}
}

func TestClockFaultsThatAreNone(t *testing.T) {
	t.Parallel()
	spells(t, "clock=+1h0m0s", "clock=-30s", "clock=stop")
	refused(t, "clock", []string{"", "1h", "+0s", "fast", "+2000000h"},
		faults.ClockFault{}, faults.ClockFault{Jump: 1, Stop: true}, faults.ClockFault{Jump: 1 << 62})
}
