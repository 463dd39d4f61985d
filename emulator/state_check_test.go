package emulator

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// started is a TPM with CheckErrors after TPM2_Startup, in which GetTestResult
// is replaced.
func started(t *testing.T, run action) *TPM {
	tpm, err := New(Platform{}, Config{CheckErrors: true})
	require.NoError(t, err)
	require.NoError(t, tpm.Init())
	_, err = tpm.Send(context.Background(), 0, []byte{0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x44, 0, 0})
	require.NoError(t, err)
	row := *tpm.commands.lookup(wire.CCGetTestResult)
	row.run = run
	tpm.commands.byCode[wire.CCGetTestResult-wire.CCNVUndefineSpaceSpecial] = &row
	return tpm
}

var getTestResult = []byte{0x80, 1, 0, 0, 0, 10, 0, 0, 1, 0x7C}

func TestCheckErrorsFindsChanges(t *testing.T) {
	t.Parallel()
	for name, run := range map[string]action{
		"volatile": func(t *TPM, c *call) wire.RC { t.s.Volatile.PCRs.Banks[0].Value(3)[0]++; return wire.RCValue },
		"random":   func(t *TPM, c *call) wire.RC { t.drbg().Read(make([]byte, 1)); return wire.RCValue },
		"clear":    func(t *TPM, c *call) wire.RC { t.s.Clear.ShEnable = false; return wire.RCValue },
		"shutdown": func(t *TPM, c *call) wire.RC { t.withdrawShutdown(); return wire.RCValue },
		"unmarked": func(t *TPM, c *call) wire.RC { t.s.Persistent.DisableClear = true; return wire.RCSuccess },
		"object": func(t *TPM, c *call) wire.RC {
			s := state.Object{Kind: state.ObjectLoaded, Public: []byte{0, 8, 0, 0xB, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0}, Flags: state.ObjectPublicOnly}
			_, o := t.takeSlot(&s)
			o.public.AuthPolicy = []byte{1}
			return wire.RCSuccess
		},
	} {
		tpm := started(t, run)
		require.Panics(t, func() { tpm.Send(context.Background(), 0, getTestResult) }, name)
	}
}

func TestCheckErrorsAllows(t *testing.T) {
	t.Parallel()
	for name, run := range map[string]action{
		"nothing": func(t *TPM, c *call) wire.RC { return wire.RCValue },
		"marked": func(t *TPM, c *call) wire.RC {
			t.changePersistent().DisableClear = true
			return wire.RCSuccess
		},
		"success": func(t *TPM, c *call) wire.RC { t.s.Clear.ShEnable = false; return wire.RCSuccess },
	} {
		tpm := started(t, run)
		require.NotPanics(t, func() { tpm.Send(context.Background(), 0, getTestResult) }, name)
	}
}

// A self-test that fails ends in failure mode. An algorithm that is switched on
// and has no test counts as failed.
func TestSelfTestFailure(t *testing.T) {
	t.Parallel()
	tpm := started(t, nil)
	tpm.algs = crypt.Complete()
	rsp, err := tpm.Send(context.Background(), 0, []byte{0x80, 1, 0, 0, 0, 11, 0, 0, 1, 0x43, 1})
	require.NoError(t, err)
	require.Equal(t, []byte{0x80, 1, 0, 0, 0, 10, 0, 0, 1, 1}, rsp)
	var failure *FailureError
	require.ErrorAs(t, tpm.Failure(), &failure)
	require.EqualValues(t, failSelfTest, failure.Code)
}
