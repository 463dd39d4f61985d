package faults_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// A command that finds the TPM without power does not reach one that has got power
// since, and that a rule keeps away.
func TestPowerComesWhileACommandDoes(t *testing.T) {
	t.Parallel()
	const resets, senders = 20000, 3
	tpm := &chip{off: true}
	d, err := faults.Wrap(tpm, faults.Plan{Rules: []faults.Rule{{
		Name: "away", When: faults.When{From: initcall.Firmware, Until: initcall.Late}, Do: faults.Answer(0x101),
	}}})
	require.NoError(t, err)
	power, ok := transport.As[transport.Power](d)
	require.True(t, ok)
	var over atomic.Bool
	var sending sync.WaitGroup
	for range senders {
		sending.Go(func() {
			for !over.Load() {
				_, _ = d.Send(t.Context(), 0, selfTest)
			}
		})
	}
	for range resets {
		assert.NoError(t, power.Init())
		assert.NoError(t, power.PowerOff())
	}
	over.Store(true)
	transporttest.Wait(t, &sending)
	assert.Equal(t, resets, tpm.inits)
	assert.Zero(t, tpm.commands, "commands that the TPM has seen")
}
