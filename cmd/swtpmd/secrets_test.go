package main

import (
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/daemon"
)

// TestLogKeepsSecrets: an authorization value is in the log only if secrets are
// asked for.
func TestLogKeepsSecrets(t *testing.T) {
	const value = "hushhush"
	for words, shown := range map[string]bool{"level=5": false, "level=5,secrets": true} {
		d := daemonWith(t, "--flags=startup-clear", "--log="+words)
		tpm := overSocket{connect(t, d.ready.Data)}
		require.NoError(t, changeOwnerAuth(t, tpm, "", value))
		require.NoError(t, changeOwnerAuth(t, tpm, value, ""))
		d.stop()
		require.Equal(t, exitOK, d.exitCode(t))
		log := d.log.String()
		assert.Contains(t, log, "name=TPM2_HierarchyChangeAuth")
		secret := hex.EncodeToString([]byte(value))
		if shown {
			assert.Contains(t, log, secret)
			continue
		}
		assert.NotContains(t, log, secret)
		assert.NotContains(t, log, value)
		assert.Contains(t, log, "handles=40000001", "TPM_RH_OWNER")
	}
}

func TestHandlesOfWhatIsCutOff(t *testing.T) {
	t.Parallel()
	certify, err := hex.DecodeString("80020000001200000148" + "8000000180000002")
	require.NoError(t, err)
	for length, want := range map[int]string{0: "", 9: "", 10: "", 13: "", 14: "80000001", 17: "80000001", 18: "80000001,80000002"} {
		assert.Equal(t, want, daemon.Handles(certify[:length]), length)
	}
	unknown, err := hex.DecodeString("80010000000effffffff80000001")
	require.NoError(t, err)
	assert.Empty(t, daemon.Handles(unknown))
}
