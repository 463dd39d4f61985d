package faults_test

import (
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/faults"
)

func TestNVWearsOut(t *testing.T) {
	t.Parallel()
	tpm := emulatortest.New(t)
	client, journal := faulty(t, tpm, "HierarchyChangeAuth: nvwear=2")
	require.NoError(t, changeAuth(client, ""))
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	require.NoError(t, changeAuth(client, ""), "writes of all boots count")
	for range 2 {
		require.ErrorIs(t, changeAuth(client, ""), tpm2.TPMRCNVUnavailable)
	}
	getRandomBytes(t, client)
	assert.Equal(t, []string{
		"nvwear=2 passed: write 1 of 2", "nvwear=2 passed: write 2 of 2",
		"nvwear=2 passed: worn out after 2 writes", "nvwear=2 passed: worn out after 2 writes",
	}, journal.details())
}

func TestWearThatIsNone(t *testing.T) {
	t.Parallel()
	spells(t, "nvwear=1000")
	refused(t, "nvwear", []string{"", "0", "-1", "many"}, faults.NVWear(0))
}
