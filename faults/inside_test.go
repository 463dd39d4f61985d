package faults_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/transport"
)

// details returns what happened, without what is chance or time.
func (l told) details() (list []string) {
	for _, decision := range l {
		list = append(list, decision.Fault+" "+string(decision.Outcome)+": "+decision.Detail)
	}
	return list
}

// faulty is a client of a TPM behind rules, and what the journal is told.
func faulty(t *testing.T, tpm transport.Device, texts ...string) (emulatortest.Client, *told) {
	t.Helper()
	journal := new(told)
	device := wrap(t, tpm, faults.Plan{
		Rules: rules(t, texts...), Seed: 1,
		Journal: journal.tell,
	})
	return emulatortest.Client{TPM: device}, journal
}

func TestFaultsInsideNeedATPMOfOurs(t *testing.T) {
	t.Parallel()
	plan := faults.Plan{Rules: rules(t, "*#1: pass", "NV_Write: store=fail")}
	require.NoError(t, plan.Validate(), "which TPM it will be is not known")
	_, err := faults.Wrap(new(chip), plan)
	var refused *faults.PlanError
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, 1, refused.Index)
	assert.Contains(t, err.Error(), "not one of package emulator")

	device, err := faults.Wrap(new(chip), faults.Plan{})
	require.NoError(t, err)
	layer, _ := faults.Of(device)
	require.ErrorAs(t, layer.Add(plan.Rules...), &refused)
	assert.Empty(t, layer.Rules())
}

// refusals are faults that are none, and why.
func refuses(t *testing.T, refusals map[string]string) {
	t.Helper()
	for text, want := range refusals {
		_, err := faults.ParseFault(text)
		require.Error(t, err, text)
		assert.Contains(t, err.Error(), want, text)
	}
}

// spells checks that faults are read and written alike.
func spells(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		fault, err := faults.ParseFault(text)
		require.NoError(t, err, text)
		assert.Equal(t, text, fault.String())
	}
}

// What it costs a command that no fault inside the TPM is for: nothing without such a rule,
// and with one what stands between the TPM and its platform.
func BenchmarkNothingInside(b *testing.B) {
	for name, rule := range map[string]string{"without": "NV_Write: rc=FAILURE", "with": "NV_Write: store=fail"} {
		b.Run(name, func(b *testing.B) {
			one, err := faults.ParseRule(rule)
			require.NoError(b, err)
			device, err := faults.Wrap(emulatortest.New(b, emulatortest.Unchecked()), faults.Plan{Rules: []faults.Rule{one}})
			require.NoError(b, err)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := device.Send(b.Context(), 0, readClock); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
