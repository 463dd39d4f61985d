package cases_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
)

// emulated returns an emulator with power. "none" is that of no profile.
func emulated(t testing.TB, profile string) *emulator.TPM {
	t.Helper()
	config := emulator.Config{CheckErrors: true}
	if profile != "none" {
		p, err := emulator.ProfileByName(profile)
		require.NoError(t, err)
		config = p.Config
	}
	tpm, err := emulator.New(emulator.Platform{}, config)
	require.NoError(t, err)
	require.NoError(t, tpm.Init())
	return tpm
}
