package faults_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults"
)

// four is a device that answers each command with four bytes.
type four struct{ sent int }

const fourBytes = "80010000000e00000000a1b2c3d4"

func (f *four) Send(context.Context, uint8, []byte) ([]byte, error) {
	f.sent++
	return unhex(fourBytes), nil
}

// told is a plan's journal.
type told []faults.Decision

func (l *told) tell(d faults.Decision) { *l = append(*l, d) }

// last returns what became of the last command, and the detail.
func (l told) last() (faults.Outcome, string) {
	if len(l) == 0 {
		return "", ""
	}
	return l[len(l)-1].Outcome, l[len(l)-1].Detail
}

// dangerous wraps a device with the rules of a text, dangerous ones too.
func dangerous(t *testing.T, text string) (send func() (string, error), device *four, journal *told) {
	t.Helper()
	device, journal = new(four), new(told)
	d := wrap(t, device, faults.Plan{Dangerous: true, Seed: 1, Rules: rules(t, text), Journal: journal.tell})
	return func() (string, error) {
		command := bytes.Clone(getRandom)
		response, err := d.Send(t.Context(), 0, command)
		assert.Equal(t, getRandom, command, "a command is its sender's")
		return hex.EncodeToString(response), err
	}, device, journal
}

// A fault that changes a response changes it so, and its journal says what it did.
func testChange(t *testing.T, fault, want, detail string) {
	t.Helper()
	send, device, journal := dangerous(t, "GetRandom#2: "+fault)
	got, err := send()
	require.NoError(t, err)
	assert.Equal(t, fourBytes, got, "the rule is not for the first command")
	got, err = send()
	require.NoError(t, err)
	assert.Equal(t, want, got, fault)
	outcome, told := journal.last()
	assert.Equal(t, detail, told, fault)
	expected := faults.Changed
	if detail == "" {
		expected = faults.Passed
	}
	assert.Equal(t, expected, outcome, fault)
	assert.Equal(t, 2, device.sent, "the TPM executes the commands")
}

// refused asserts that each value is none of a kind, and that a plan refuses faults that
// no text can give.
func refused(t *testing.T, word string, values []string, impossible ...faults.Fault) {
	t.Helper()
	for _, value := range values {
		_, err := faults.ParseFault(word + "=" + value)
		var wrong *faults.FaultError
		require.ErrorAs(t, err, &wrong, value)
	}
	for _, fault := range impossible {
		plan := faults.Plan{Dangerous: true, Rules: []faults.Rule{{Do: fault}}}
		var wrong *faults.PlanError
		require.ErrorAs(t, plan.Validate(), &wrong, "%v", fault)
	}
}

// Faults that leave the protocol need a plan that is dangerous, and say why.
func TestDangerousFaultsNeedAWord(t *testing.T) {
	n := 0
	for _, k := range faults.Kinds() {
		rule := rules(t, k.Example)
		if k.Dangerous == "" {
			continue
		}
		n++
		_, err := faults.Wrap(new(chip), faults.Plan{Rules: rule})
		assert.ErrorContains(t, err, k.Dangerous)
		_, err = faults.Wrap(new(chip), faults.Plan{Rules: rule, Dangerous: true})
		assert.NoError(t, err)
	}
	assert.GreaterOrEqual(t, n, 5)
}
