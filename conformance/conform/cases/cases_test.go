package cases_test

import (
	"context"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/conform"
	"github.com/swtpmd/swtpmd/conformance/conform/cases"
	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/transport"
)

// pointers returns the cases of a suite as a runner wants them.
func pointers(s *conform.Suite) []*conform.Case {
	all := make([]*conform.Case, len(s.Cases))
	for i := range s.Cases {
		all[i] = &s.Cases[i]
	}
	return all
}

// Emulators of all profiles answer every case as the specification says, or lack what it
// needs. Those that differ most come always, and v185 with the cases of that version; the
// others, and all cases, if SWTPMD_CONFORM is "all".
func TestEmulator(t *testing.T) {
	suite := cases.All()
	for _, name := range slices.Concat([]string{"none"}, emulator.Profiles()) {
		t.Run(name, func(t *testing.T) {
			if !slices.Contains([]string{"none", "hardware-like", "tiny", "v185"}, name) && os.Getenv("SWTPMD_CONFORM") != "all" {
				t.Skip("SWTPMD_CONFORM is not \"all\"")
			}
			t.Parallel()
			asked := suite
			if name == "v185" && os.Getenv("SWTPMD_CONFORM") != "all" {
				asked = &conform.Suite{Fixtures: suite.Fixtures, Cases: slices.DeleteFunc(slices.Clone(suite.Cases), func(c conform.Case) bool { return c.Section.Since < 185 })}
			}
			report := run(t, asked, emulated(t, name), conform.Options{Destructive: true})
			assert.Zero(t, report.Count(conform.Fail), "%s", text(t, report))
			assert.Empty(t, report.Left)
			assert.Greater(t, report.Count(conform.Pass), 500)
		})
	}
}

func run(t testing.TB, suite *conform.Suite, tpm *emulator.TPM, options conform.Options) *conform.Report {
	t.Helper()
	runner, err := conform.NewRunner(t.Context(), tpm, suite, options)
	require.NoError(t, err)
	report, err := runner.Run(t.Context(), pointers(suite))
	require.NoError(t, err)
	return report
}

func text(t testing.TB, report *conform.Report) string {
	t.Helper()
	var b strings.Builder
	require.NoError(t, report.WriteText(&b, false))
	return b.String()
}

// kernelDevice is a device of Linux's in front of a TPM: it has room for 4,096 octets.
type kernelDevice struct {
	t   *testing.T
	tpm *emulator.TPM
	// refused counts commands that are longer.
	refused int
}

func (d *kernelDevice) Send(ctx context.Context, locality uint8, command []byte) ([]byte, error) {
	if len(command) > 4096 {
		d.refused++
		return nil, &os.PathError{Op: "write", Path: "/dev/tpm0", Err: syscall.E2BIG}
	}
	response, err := d.tpm.Send(ctx, locality, command)
	assert.LessOrEqual(d.t, len(response), 4096, "the kernel would wait for this response until the command's time is over")
	return response, err
}

// A TPM with more room than the kernel's device before it is not asked for what the device
// does not carry.
func TestRoomOfTheKernelsDevice(t *testing.T) {
	suite := cases.All()
	suite.Cases = slices.DeleteFunc(slices.Clone(suite.Cases), func(c conform.Case) bool { return c.Needs.Buffer <= 4096 })
	require.NotEmpty(t, suite.Cases)
	for _, c := range []struct {
		name    string
		manager bool
		direct  bool
	}{{"device", false, false}, {"resource manager", true, false}, {"no device", false, true}} {
		t.Run(c.name, func(t *testing.T) {
			tpm := emulated(t, "v185")
			device := &kernelDevice{t: t, tpm: tpm}
			var target transport.Device = device
			if c.direct {
				target = tpm
			}
			runner, err := conform.NewRunner(t.Context(), target, suite, conform.Options{ResourceManager: c.manager})
			require.NoError(t, err)
			report, err := runner.Run(t.Context(), pointers(suite))
			require.NoError(t, err)
			for _, result := range report.Results {
				if c.direct {
					assert.Equal(t, conform.Pass, result.Status, result.Case.Name)
					continue
				}
				assert.Equal(t, conform.NotSupported, result.Status, result.Case.Name)
				assert.Equal(t, "no room for 5000 octets in a command or a response", result.Why, result.Case.Name)
			}
			assert.Equal(t, !c.direct, device.refused == 1, "%d long commands", device.refused)
		})
	}
}

// Without leave to destroy, nothing is there afterwards that was not there before, and the
// cases that harm are refused.
func TestATPMIsLeftAsItWasFound(t *testing.T) {
	tpm := emulated(t, "none")
	report := run(t, cases.All(), tpm, conform.Options{})
	assert.True(t, report.Compared)
	assert.Empty(t, report.Left)
	assert.Zero(t, report.Count(conform.Fail))
	assert.Greater(t, report.Count(conform.Refused), 100)
}

// A TPM that cases have reset has the attribute orderly again that it had before.
func TestOrderlyIsPutBack(t *testing.T) {
	t.Parallel()
	startUp := conform.Do(tpm2.TPMCCStartup).With(conform.U16(tpm2.TPMSUClear))
	shutDown := conform.Do(tpm2.TPMCCShutdown).With(conform.U16(tpm2.TPMSUClear))
	section := conform.Section{Document: "Part 3", Clause: "9.3"}
	for _, inOrder := range []bool{true, false} {
		tpm := emulated(t, "none")
		before, steps := []tpm2.TPMCC{tpm2.TPMCCStartup}, []conform.Step{conform.Reset(), startUp}
		if inOrder {
			before = append(before, tpm2.TPMCCShutdown)
		} else {
			steps = append([]conform.Step{shutDown}, steps...)
		}
		for _, code := range before {
			packet := conformance.Packet{Code: uint32(code), Parameters: conform.U16(tpm2.TPMSUClear)}
			_, err := tpm.Send(t.Context(), 0, packet.Bytes())
			require.NoError(t, err)
		}
		require.NoError(t, tpm.Init())
		suite := &conform.Suite{Cases: []conform.Case{conform.Ask(section, "A TPM starts up", steps...).Harming(conform.Resets)}}
		report := run(t, suite, tpm, conform.Options{Destructive: true})
		assert.Equal(t, 1, report.Count(conform.Pass), "%s", text(t, report))
		assert.Empty(t, report.Left, "orderly was %t", inOrder)
	}
}

// A case says what it asks with a name of its own, and where its answer is stated.
func TestNames(t *testing.T) {
	names := map[string]bool{}
	for _, c := range cases.All().Cases {
		assert.False(t, names[c.Name], "two cases have the name %q", c.Name)
		names[c.Name] = true
		assert.NotEmpty(t, c.Section.Clause, c.Name)
		assert.NotEmpty(t, c.Section.Title, c.Name)
		assert.NotEmpty(t, c.Steps, c.Name)
	}
	assert.GreaterOrEqual(t, len(names), 1000)
}
