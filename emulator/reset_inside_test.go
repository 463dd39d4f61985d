package emulator

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A command that waits for another one when the TPM is reset belongs to the last
// boot: it must not be executed in this one, and not keep the reset waiting.
func TestAResetEndsCommandsThatWait(t *testing.T) {
	t.Parallel()
	startup := []byte{0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x44, 0, 0}
	tpm, err := New(Platform{}, Config{})
	require.NoError(t, err)
	require.NoError(t, tpm.Init())

	came := tpm.resets.Load() // and waits for its turn
	require.NoError(t, tpm.Init())
	_, err = tpm.send(context.Background(), came, 0, startup)
	assert.ErrorIs(t, err, ErrReset)

	came = tpm.resets.Load()
	require.NoError(t, tpm.PowerOff())
	_, err = tpm.send(context.Background(), came, 0, startup)
	assert.ErrorIs(t, err, ErrNoPower)
	require.NoError(t, tpm.Init())
	_, err = tpm.send(context.Background(), came, 0, startup)
	assert.ErrorIs(t, err, ErrReset)

	response, err := tpm.Send(context.Background(), 0, startup)
	require.NoError(t, err)
	assert.Equal(t, []byte{0x80, 1, 0, 0, 0, 10, 0, 0, 0, 0}, response, "a TPM that has seen none of them")
}
