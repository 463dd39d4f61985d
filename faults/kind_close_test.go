package faults_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/transport"
)

func TestHangUp(t *testing.T) {
	t.Parallel()
	for text, executed := range map[string]int{"*: close": 1, "*: close=before": 0} {
		send, device, journal := dangerous(t, text)
		response, err := send()
		require.ErrorIs(t, err, transport.ErrHangUp)
		assert.Empty(t, response)
		assert.Equal(t, executed, device.sent, text)
		outcome, _ := journal.last()
		assert.Equal(t, faults.Closed, outcome)
	}
	refused(t, "close", []string{"after", "1"})
}
