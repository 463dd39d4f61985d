package deferral

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/conformance/lab"
	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/ima/boot"
)

// zeroPCRs is the boot aggregate of ten PCRs that nobody has extended.
const zeroPCRs = "7b6436b0c98f62380866d9432c2af0ee08ce16a171bda6951aecd95ee1307d61"

// assertRow checks what a boot, real or simulated, has shown.
func assertRow(t *testing.T, r Row, o *Observed) {
	t.Helper()
	assert.Empty(t, r.Mismatch(o))
	want := map[lab.Word]string{lab.Measured: zeroPCRs, lab.Bypass: strings.Repeat("0", 64)}[o.Outcome]
	assert.Equal(t, want, o.Aggregate)
	record := map[Start]string{Late: "boot_aggregate", LateSync: "boot_aggregate_late"}[o.Start]
	assert.Equal(t, record, o.Record)
}

// Each row holds in the simulation.
func TestRowsSimulated(t *testing.T) {
	t.Parallel()
	for _, r := range Rows() {
		for _, start := range Starts() {
			t.Run(r.Name()+", "+string(start), func(t *testing.T) {
				t.Parallel()
				assertRow(t, r, simulate(t, r, start, 1, 0))
			})
		}
	}
}

// selfTests has the TPMs of all simulated boots test an algorithm once.
var selfTests crypt.SelfTests

func simulate(t *testing.T, r Row, start Start, seed uint64, scatter time.Duration) *Observed {
	t.Helper()
	now := new(boot.Time)
	tpm, err := emulator.New(emulator.Platform{Clock: now, SelfTest: selfTests.SelfTest}, emulator.Config{})
	require.NoError(t, err)
	o, err := r.Simulate(t.Context(), start, tpm, now, seed, scatter)
	require.NoError(t, err)
	return o
}

// Where a row is a race at late_sync, for one with Linux 7.3 a TPM whose regulator is
// retried asynchronously, IMA finds a TPM in some boots and none in others. At late it
// finds none in any.
func TestRacesEndInBothWays(t *testing.T) {
	t.Parallel()
	races := slices.DeleteFunc(Rows(), func(r Row) bool { return r.Outcome[LateSync] != Race })
	assert.Len(t, races, 4)
	for _, r := range races {
		for start, want := range map[Start][]lab.Word{Late: {lab.Bypass}, LateSync: {lab.Measured, lab.Bypass}} {
			seen := map[lab.Word]bool{}
			for seed := range uint64(16) {
				o := simulate(t, r, start, seed, boot.RaceWindow)
				assertRow(t, r, o)
				seen[o.Outcome] = true
			}
			assert.ElementsMatch(t, want, slices.Collect(maps.Keys(seen)), "%s, %s", r.Name(), start)
		}
	}
}

// A row that says something else of a boot is found out, whatever it is about.
func TestMismatch(t *testing.T) {
	t.Parallel()
	r := Rows()[2]
	require.True(t, r.Postponed)
	good := Observed{Start: Late, Postponed: []string{"regulator-tpm", tpmDevice}, Binds: "late", Inside: retries, Outcome: lab.Bypass}
	assert.Empty(t, r.Mismatch(&good))
	for says, change := range map[string]func(*Observed){
		"the TPM postponed is false":                func(o *Observed) { o.Postponed = o.Postponed[:1] },
		"the level of its binding is device":        func(o *Observed) { o.Binds = "device" },
		"the initcall of its binding is init_tis":   func(o *Observed) { o.Inside = "init_tis" },
		"the verdict is measured, not bypass":       func(o *Observed) { o.Outcome = lab.Measured },
		"the verdict is bypass, not measured":       func(o *Observed) { o.Start = LateSync },
		"the verdict is pcr-mismatch, not bypass":   func(o *Observed) { o.Outcome = lab.PCRMismatch },
		"the level of its binding is never, not la": func(o *Observed) { o.Binds = Never },
	} {
		o := good
		change(&o)
		assert.Contains(t, r.Mismatch(&o), says)
	}
	race := Row{Outcome: outcome(lab.Bypass, Race), Binds: "late_sync|userspace"}
	for word, ok := range map[lab.Word]bool{lab.Measured: true, lab.Bypass: true, lab.PCRMismatch: false} {
		for binds, level := range map[string]bool{"late_sync": true, "userspace": true, "device": false} {
			assert.Equal(t, ok && level, race.Mismatch(&Observed{Start: LateSync, Binds: binds, Outcome: word}) == "", "%s at %s", word, binds)
		}
	}
}

// TestRowsBooted boots every row, with SWTPMD_LAB=deferral: that takes minutes. It is
// skipped where QEMU, dtc, a busybox for arm64 or the kernels are missing, and it fetches and builds nothing: scripts/kernel-lab builds
// the kernels, scripts/deferral fetches the rest.
func TestRowsBooted(t *testing.T) {
	if os.Getenv("SWTPMD_LAB") != "deferral" {
		t.Skip("SWTPMD_LAB=deferral runs it; scripts/kernel-lab build 'arm64-6.1-*' makes the kernels")
	}
	l := equip(t)
	for _, r := range Rows() {
		for _, start := range Starts() {
			t.Run(r.Name()+", "+string(start), func(t *testing.T) {
				if _, err := l.Kernel(r.Kernel(start)); err != nil {
					t.Skip("no boot: ", err)
				}
				o, v, err := l.Boot(t.Context(), r, start)
				require.NoError(t, err)
				assertRow(t, r, o)
				assert.Empty(t, PCRMismatch(v.Last()))
				assert.ElementsMatch(t, simulate(t, r, start, 1, 0).Postponed, o.Postponed, "who defers in the simulation does here, and nobody else")
				assert.Equal(t, r.Postponed, len(o.Suppliers) > 0, "the driver core names for whom the TPM waits: %v", o.Suppliers)
				t.Logf("%s: %s at %.2f s (%s), waited for %v, deferred %v, in %s", o.Outcome, o.Binds, o.Seconds, o.Inside, o.Suppliers, o.Postponed, v.Took)
			})
		}
	}
}

func equip(t *testing.T) *Lab {
	t.Helper()
	l, err := Cached(t.Output())
	if err != nil {
		t.Skip("no boots: ", err)
	}
	var remove func()
	l.Swtpmd, remove, err = lab.BuildSwtpmd(t.Context(), "")
	require.NoError(t, err)
	t.Cleanup(remove)
	l.Timeout = 2 * time.Minute
	if dir := os.Getenv("SWTPMD_BOOTS_KEEP"); dir != "" {
		l.Keep = filepath.Join(dir, "deferral")
	}
	return l
}
