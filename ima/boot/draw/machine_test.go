package draw

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/ima/boot"
)

// selfTests are shared by the TPMs of all tests.
var selfTests crypt.SelfTests

// machine is a platform with the emulator as its TPM, behind faults.
type machine struct {
	platform *boot.Platform
	config   boot.Config
	rules    []faults.Rule
	none     bool // no TPM
}

func platform(t testing.TB, name string) *boot.Platform {
	t.Helper()
	p, err := boot.PlatformByName(name)
	require.NoError(t, err)
	return p
}

func parse(t testing.TB, text string) *boot.Platform {
	t.Helper()
	p, err := boot.ParsePlatform("test", strings.NewReader(text))
	require.NoError(t, err)
	return p
}

func (m machine) boot(t testing.TB) *boot.Result {
	t.Helper()
	if !m.none {
		m.config.Time = new(boot.Time)
		m.config.Clock = new(initcall.Clock)
		tpm, err := emulator.New(emulator.Platform{Clock: m.config.Time, Entropy: emulatortest.NewEntropy(m.config.Seed), SelfTest: selfTests.SelfTest}, emulator.Config{})
		require.NoError(t, err)
		m.config.Device, err = faults.Wrap(tpm, faults.Plan{Clock: m.config.Clock, Rules: m.rules})
		require.NoError(t, err)
	}
	r, err := boot.Run(context.Background(), m.platform, m.config)
	require.NoError(t, err)
	return r
}
