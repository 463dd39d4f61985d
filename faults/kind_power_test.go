package faults_test

import (
	"encoding/hex"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/transport"
)

// What is left of a TPM that lost power in the middle of TPM2_PCR_Extend.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		fault    string
		err      error
		detail   string
		powered  bool
		extended bool   // PCR 16 is not zero afterwards
		resets   uint32 // TPMS_CLOCK_INFO.resetCount, 1 before
		restarts uint32
		safe     bool
	}{
		{"power=off", faults.ErrNoPower, "", false, false, 2, 0, false},
		{"power=off,after,shutdown=state", faults.ErrNoPower, "Shutdown: TPM_RC_SUCCESS", false, true, 1, 1, true},
		{"power=cycle", faults.ErrNoAnswer, "", true, false, 2, 0, false},
		{"power=cycle,startup=clear", faults.ErrNoAnswer, "Startup: TPM_RC_SUCCESS", true, false, 2, 0, false},
		{"power=cycle,startup=state", faults.ErrNoAnswer, "Startup: TPM_RC_VALUE, parameter 1", true, false, 2, 0, false},
		{"power=cycle,after,shutdown=clear,startup=clear", faults.ErrNoAnswer,
			"Shutdown: TPM_RC_SUCCESS, Startup: TPM_RC_SUCCESS", true, false, 2, 0, true},
		{"power=cycle,after,shutdown=state,startup=state", faults.ErrNoAnswer,
			"Shutdown: TPM_RC_SUCCESS, Startup: TPM_RC_SUCCESS", true, true, 1, 1, true},
	} {
		t.Run(test.fault, func(t *testing.T) {
			t.Parallel()
			var journal told
			tpm := emulatortest.New(t)
			d := wrap(t, tpm.TPM, faults.Plan{Rules: rules(t, "PCR_Extend#1: "+test.fault), Journal: journal.tell})
			client := emulatortest.Client{TPM: d}
			_, err := tpm2.PCRExtend{PCRHandle: tpm2.AuthHandle{Handle: tpm2.TPMHandle(0), Auth: tpm2.PasswordAuth(nil)},
				Digests: tpm2.TPMLDigestValues{Digests: []tpm2.TPMTHA{{HashAlg: tpm2.TPMAlgSHA256, Digest: make([]byte, 32)}}}}.Execute(client)
			require.ErrorIs(t, err, test.err)
			require.Len(t, journal, 1)
			assert.Equal(t, faults.Cut, journal[0].Outcome)
			assert.Equal(t, test.detail, journal[0].Detail)
			require.Equal(t, test.powered, tpm.Powered())

			if !test.powered {
				_, err = d.Send(t.Context(), 0, readClock)
				require.Error(t, err)
				power, ok := transport.As[transport.Power](d)
				require.True(t, ok)
				require.NoError(t, power.Init())
			}
			su := tpm2.TPMSUClear
			if test.restarts > 0 {
				su = tpm2.TPMSUState
			}
			_, err = tpm2.Startup{StartupType: su}.Execute(client)
			started := test.powered && journal[0].Detail != "" && test.fault != "power=cycle,startup=state"
			assert.Equal(t, started, err != nil, "TPM2_Startup: %v", err)
			clock, err := tpm2.ReadClock{}.Execute(client)
			require.NoError(t, err)
			info := clock.CurrentTime.ClockInfo
			assert.Equal(t, test.resets, info.ResetCount)
			assert.Equal(t, test.restarts, info.RestartCount)
			assert.Equal(t, test.safe, bool(info.Safe), "the clock after an orderly shutdown")
			assert.Equal(t, test.extended, pcr(t, client, 0) != emptyPCR)
		})
	}
}

const emptyPCR = "0000000000000000000000000000000000000000000000000000000000000000"

func pcr(t *testing.T, client emulatortest.Client, index uint) string {
	t.Helper()
	read, err := tpm2.PCRRead{PCRSelectionIn: tpm2.TPMLPCRSelection{PCRSelections: []tpm2.TPMSPCRSelection{{
		Hash: tpm2.TPMAlgSHA256, PCRSelect: tpm2.PCClientCompatible.PCRs(index),
	}}}}.Execute(client)
	require.NoError(t, err)
	require.Len(t, read.PCRValues.Digests, 1)
	return hex.EncodeToString(read.PCRValues.Digests[0].Buffer)
}

func TestPowerCutValues(t *testing.T) {
	t.Parallel()
	refused(t, "power", []string{"on", "off,", "off,startup=clear", "cycle,after,after", "cycle,shutdown=x", "cycle,shutdown", "cycle,startup=clear,startup=state", "cycle,after=1"},
		faults.PowerCut{Startup: faults.StartupClear}, faults.PowerCut{Shutdown: 7})
	for _, text := range []string{"power=off", "power=cycle,after,shutdown=state,startup=clear"} {
		f, err := faults.ParseFault(text)
		require.NoError(t, err)
		assert.Equal(t, text, f.String())
	}
	plan := faults.Plan{Rules: rules(t, "name=a *: pass", "name=b GetRandom: power=off")[1:]}
	require.NoError(t, plan.Validate())
	_, err := faults.Wrap(new(bare), plan)
	var wrong *faults.PlanError
	require.ErrorAs(t, err, &wrong)
	assert.Equal(t, `fault rule "b": nobody can take the power from this TPM`, err.Error())
	l, ok := faults.Of(wrap(t, new(bare), faults.Plan{Rules: rules(t, "SelfTest: pass")}))
	require.True(t, ok)
	require.ErrorAs(t, l.Add(plan.Rules...), &wrong)
	assert.Equal(t, 1, wrong.Index)
}

// A layer above another one cuts the power below both, with commands of others under way.
func TestPowerCutUnderTwoLayers(t *testing.T) {
	t.Parallel()
	for _, outer := range []bool{true, false} {
		tpm := new(chip)
		cut, none := rules(t, "GetRandom#1: power=cycle"), rules(t, "SelfTest#9: pass")
		if outer {
			cut, none = none, cut
		}
		d := wrap(t, wrap(t, tpm, faults.Plan{Rules: cut}), faults.Plan{Rules: none})
		_, err := d.Send(t.Context(), 0, getRandom)
		require.ErrorIs(t, err, faults.ErrNoAnswer)
		assert.Equal(t, 1, tpm.inits)
		assert.Zero(t, tpm.commands)
		assert.Equal(t, success, send(t, d, getRandom))
	}
}
