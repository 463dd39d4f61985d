package faults_test

import (
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/transport"
)

// booting is a client of a TPM behind rules, and what gives the TPM power and starts it up.
func booting(t *testing.T, texts ...string) (client emulatortest.Client, boot func() error, tpm *emulatortest.TPM, journal *told) {
	t.Helper()
	tpm = emulatortest.New(t)
	client, journal = faulty(t, tpm, texts...)
	power, ok := transport.As[transport.Power](client.TPM.(transport.Device))
	require.True(t, ok)
	return client, func() error {
		if err := power.Init(); err != nil {
			return err
		}
		_, err := tpm2.Startup{StartupType: tpm2.TPMSUClear}.Execute(client)
		return err
	}, tpm, journal
}

func TestEntropyFailsAtPowerOn(t *testing.T) {
	t.Parallel()
	client, boot, tpm, journal := booting(t, "_TPM_Init#2: entropy=fail")
	require.NoError(t, boot())
	require.ErrorIs(t, boot(), tpm2.TPMRCFailure)
	var failure *emulator.FailureError
	require.ErrorAs(t, tpm.Failure(), &failure)
	assert.Equal(t, []string{"entropy=fail passed: reading entropy failed"}, journal.details())
	assert.Equal(t, faults.InitSignal, (*journal)[0].Command)
	assert.Equal(t, uint64(2), (*journal)[0].Occurrence)
	require.NoError(t, boot(), "the fault is over")
	getRandomBytes(t, client)
}

// A TPM whose entropy is stuck gives the same random numbers after each reset.
func TestStuckEntropyRepeatsAfterAReset(t *testing.T) {
	t.Parallel()
	for rule, same := range map[string]bool{"_TPM_Init: entropy=stuck": true, "_TPM_Init#1: entropy=stuck": false} {
		client, boot, _, _ := booting(t, rule)
		require.NoError(t, boot())
		first := getRandomBytes(t, client)
		require.NoError(t, boot())
		assert.Equal(t, same, string(first) == string(getRandomBytes(t, client)), rule)
	}
}

func TestAStoreThatCannotBeReadLeavesTheTPMWithoutPower(t *testing.T) {
	t.Parallel()
	client, boot, tpm, journal := booting(t, "_TPM_Init#1: store=fail")
	require.ErrorContains(t, boot(), "the nonvolatile memory fails, as a fault rule has it")
	assert.False(t, tpm.Powered())
	assert.Equal(t, []string{"store=fail passed: reading the state failed"}, journal.details())
	require.NoError(t, boot())
	getRandomBytes(t, client)
}

// A command is no _TPM_Init, whatever its code, and _TPM_Init is no command.
func TestSignalsAreNoCommands(t *testing.T) {
	t.Parallel()
	client, boot, _, journal := booting(t, "*: pass", "_TPM_Init#1: entropy=fail")
	response, err := client.Send(unhex("80010000000affffffff"))
	require.NoError(t, err)
	assert.Equal(t, wire.RCCommandCode, emulatortest.ResponseCode(response))
	*journal = nil
	require.ErrorIs(t, boot(), tpm2.TPMRCFailure)
	assert.Equal(t, []string{"pass passed: ", "entropy=fail passed: reading entropy failed"}, []string{(*journal)[1].Fault + " passed: ", journal.details()[0]})
}

func TestRulesForSignals(t *testing.T) {
	t.Parallel()
	rule, err := faults.ParseRule("_TPM_Init,StirRandom#2: entropy=stuck")
	require.NoError(t, err)
	assert.Equal(t, "_TPM_Init,StirRandom#2: entropy=stuck", rule.String())
	for text, want := range map[string]string{
		"_TPM_Init: rc=FAILURE":    "rc is for commands",
		"_TPM_Init: clock=+1h":     "clock is for commands",
		"_TPM_Init: store=slow:1s": "store is for commands",
	} {
		plan := faults.Plan{Clock: new(initcall.Clock), Rules: rules(t, text)}
		require.ErrorContains(t, plan.Validate(), want, text)
	}
	for _, text := range []string{"_TPM_Init boot=2: entropy=fail", "_TPM_Init client=x: entropy=fail", "_TPM_Init pcr=1: store=fail"} {
		_, err := faults.ParseRule(text)
		require.ErrorContains(t, err, "all that can be said of it is its number", text)
	}
	_, err = faults.Wrap(new(bare), faults.Plan{Rules: rules(t, "_TPM_Init: entropy=fail")})
	require.ErrorContains(t, err, "nobody can give this TPM power")
}
