package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/emulatortest"
)

// inProcess is a TPM of this process, which counts its commands.
type inProcess struct {
	tpm      *emulatortest.TPM
	commands []string
}

func (p *inProcess) Exchange(_ context.Context, dst, command []byte) ([]byte, error) {
	p.commands = append(p.commands, hex.EncodeToString(command[:10]))
	return append(dst, p.tpm.Execute(0, command)...), nil
}

func (p *inProcess) Close() error { return nil }

func TestMakeKeys(t *testing.T) {
	tpm := &inProcess{tpm: emulatortest.New(t)}
	m := &keyMaker{ctx: t.Context(), tpm: tpm, pid: os.Getpid()}
	cost, err := m.make(2)
	require.NoError(t, err)
	assert.Positive(t, cost.Wall)
	assert.Positive(t, cost.Processor)
	const create, flush = "80020000004300000131", "80010000000e00000165"
	assert.Equal(t, []string{create, flush, create, flush}, tpm.commands)

	tpm.tpm.Fail(errors.New("broken"))
	_, err = m.make(1)
	require.ErrorContains(t, err, "TPM2_CreatePrimary: answered")
}

func TestPrimaryRows(t *testing.T) {
	assert.Equal(t, primaryCost{3, 2}, costOf([]float64{1, 3, 8}, 6e6))
	assert.EqualValues(t, 2, mean([]float64{1, 2, 3}))
	rows := primaryRows([]seedCosts{
		{first: primaryCost{1, 2}, again: primaryCost{0.5, 1}, swtpm: primaryCost{2, 4}},
		{first: primaryCost{1, 2}, again: primaryCost{0.5, 1}, swtpm: primaryCost{2, 4}},
		{first: primaryCost{4, 8}, again: primaryCost{0.5, 1}, swtpm: primaryCost{8, 16}},
	})
	assert.Equal(t, []primaryRow{
		{"new, median", primaryCost{1, 2}, primaryCost{2, 4}, primaryCost{2, 2}},
		{"new, mean", primaryCost{2, 4}, primaryCost{4, 8}, primaryCost{2, 2}},
		{"made before, median", primaryCost{0.5, 1}, primaryCost{2, 4}, primaryCost{4, 4}},
		{"made before, mean", primaryCost{0.5, 1}, primaryCost{4, 8}, primaryCost{8, 8}},
	}, rows)
	var out bytes.Buffer
	require.NoError(t, printPrimary(&out, rows[:1], true))
	assert.JSONEq(t, `{"what":"new, median","swtpmd_ms":{"wall":1,"processor":2},"swtpm_ms":{"wall":2,"processor":4},"ratio":{"wall":2,"processor":2}}`, out.String())
}

// A TPM that does not start is told.
func TestNoTPM(t *testing.T) {
	err := withNewTPM("false", t.TempDir(), false, func(*keyMaker) error { return errors.New("used") })
	require.ErrorContains(t, err, "ended before it served")
}
