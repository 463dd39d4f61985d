package emulator_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// slowClock keeps the command that asks it for the time until it may go on.
type slowClock struct {
	asked, proceed chan struct{}
}

func (c *slowClock) Now() time.Duration {
	if c.asked != nil {
		c.asked <- struct{}{}
		<-c.proceed
	}
	return 0
}

// A command that runs must not keep a platform from asking for the power: that
// is what it does before it cancels the command or resets the TPM.
func TestPoweredDoesNotWaitForACommand(t *testing.T) {
	t.Parallel()
	clock := new(slowClock)
	tpm, err := emulator.New(emulator.Platform{Clock: clock}, emulator.Config{})
	require.NoError(t, err)
	assert.False(t, tpm.Powered())
	require.NoError(t, tpm.Init())

	clock.asked, clock.proceed = make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		_, err := tpm.Send(t.Context(), 0, []byte{0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x44, 0, 0})
		done <- err
	}()
	transporttest.Receive(t, clock.asked) // the command is in execution
	assert.True(t, tpm.Powered())
	close(clock.proceed)
	require.NoError(t, transporttest.Receive(t, done))
}
