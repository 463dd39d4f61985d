package cases_test

import (
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/conformance/conform"
	"github.com/swtpmd/swtpmd/conformance/conform/cases"
	"github.com/swtpmd/swtpmd/emulator"
)

// pointers returns the cases of a suite as a runner wants them.
func pointers(s *conform.Suite) []*conform.Case {
	all := make([]*conform.Case, len(s.Cases))
	for i := range s.Cases {
		all[i] = &s.Cases[i]
	}
	return all
}

// All profiles answer every case as the specification says, or lack what it needs.
func TestEmulator(t *testing.T) {
	suite := cases.All()
	for _, name := range slices.Concat([]string{""}, emulator.Profiles()) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tpm := emulated(t, name)
			runner, err := conform.NewRunner(t.Context(), tpm, suite, conform.Options{Destructive: true})
			require.NoError(t, err)
			report, err := runner.Run(t.Context(), pointers(suite))
			require.NoError(t, err)
			assert.Empty(t, report.Left)
			assert.Zero(t, report.Count(conform.Fail))
			require.NoError(t, report.WriteText(os.Stdout, testing.Verbose()))
		})
	}
}
