package prediction

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/conformance/lab"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/boot"
)

// recorded is the store of the campaign whose table is in the docs.
var recorded = Store{Dir: filepath.Join("testdata", "campaign")}

// The simulation of today still predicts what the real boots of the campaign did, from
// the same evidence. A change of ima/boot that breaks a prediction fails here, without a
// boot.
func TestPredictionsOfRecordedBoots(t *testing.T) {
	t.Parallel()
	results, err := recorded.Results()
	require.NoError(t, err)
	models := make(map[string]*Model)
	predicted := 0
	for i, r := range results {
		if r.Evidence == "" || testing.Short() && i%8 != 0 {
			continue
		}
		machine, err := MachineByName(r.Cell.Machine)
		require.NoError(t, err)
		evidence := r.Cell.Evidence(machine)
		require.Equal(t, r.Evidence, evidence.ID(), r.Cell.ID())
		if models[r.Evidence] == nil {
			left, err := recorded.Evidence(evidence)
			require.NoError(t, err)
			models[r.Evidence], err = NewModel(t.Context(), left)
			require.NoError(t, err)
		}
		again := *r
		again.Predicted, err = models[r.Evidence].Predict(t.Context(), r.Cell, machine)
		require.NoError(t, err)
		assert.NotEqual(t, Differs, again.Agreement(), "%s: %s", r.Cell.ID(), &again)
		predicted++
	}
	assert.NotZero(t, predicted)
}

// The table in the docs is that of the recorded results.
func TestThePageHasTheTable(t *testing.T) {
	t.Parallel()
	results, err := recorded.Results()
	require.NoError(t, err)
	page, err := os.ReadFile("../../../docs/predictions.md")
	require.NoError(t, err)
	anew, ok, err := Replace(string(page), results)
	require.NoError(t, err)
	require.True(t, ok)
	assert.Equal(t, anew, string(page), "scripts/prediction --table writes it anew")
}

var (
	measured = Outcome{IMA: lab.Measured, TPM: lab.BoundInTime, Record: "boot_aggregate", Aggregate: "7b64", PCR10: "1122"}
	bypassed = Outcome{IMA: lab.Bypass, TPM: lab.BoundLater, Record: "boot_aggregate", Aggregate: "0000", PCR10: "0000"}
	failed   = Outcome{IMA: lab.Bypass, TPM: lab.NeverBound, Probe: 19, Record: "boot_aggregate", Aggregate: "0000", PCR10: "0000"}
)

func late(until initcall.Level, way faults.WhileDeferred) Cell {
	return Cell{Machine: "q35-tis", Until: until, Way: way}
}

func TestAgreement(t *testing.T) {
	t.Parallel()
	otherPCR := measured
	otherPCR.PCR10 = "3344"
	race := []Share{{measured, 12}, {bypassed, 4}}
	for name, c := range map[string]struct {
		predicted []Share
		boots     []Boot
		want      Agreement
	}{
		"as predicted":             {[]Share{{measured, 16}}, []Boot{{Outcome: measured}}, Same},
		"another outcome":          {[]Share{{measured, 16}}, []Boot{{Outcome: failed}}, Differs},
		"another PCR 10":           {[]Share{{measured, 16}}, []Boot{{Outcome: otherPCR}}, Differs},
		"a race, both ways":        {race, []Boot{{Outcome: measured}, {Outcome: bypassed}}, RaceSame},
		"a race, one way":          {race, []Boot{{Outcome: bypassed}, {Outcome: bypassed}}, RaceSame},
		"a race, and a third way":  {race, []Boot{{Outcome: measured}, {Outcome: failed}}, Differs},
		"one outcome, seen others": {[]Share{{measured, 16}}, []Boot{{Outcome: measured}, {Outcome: bypassed}}, Differs},
		"evidence":                 {nil, []Boot{{Outcome: measured}}, Unpredicted},
		"too slow to count":        {[]Share{{measured, 16}}, []Boot{{Outcome: failed, Slow: "a command timed out"}}, Unpredicted},
		"slow, then not":           {[]Share{{measured, 16}}, []Boot{{Outcome: failed, Slow: "a command timed out"}, {Outcome: measured}}, Same},
	} {
		r := &Result{Predicted: c.predicted, Boots: c.boots}
		assert.Equal(t, c.want, r.Agreement(), name)
	}
}

func TestCells(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for _, m := range Machines() {
		for _, c := range m.Cells() {
			require.False(t, seen[c.ID()], "%s twice", c.ID())
			seen[c.ID()] = true
			if c.OnTime() {
				continue
			}
			e := c.Evidence(m)
			assert.True(t, e.OnTime(), c.ID())
			assert.NotEqual(t, e, c, c.ID())
			plan := faults.Plan{Clock: new(initcall.Clock), Rules: c.rules()}
			assert.NoError(t, plan.Validate(), c.ID())
			assert.Equal(t, "--defer-until="+c.Until.String(), c.Flags()[0])
		}
	}
	assert.True(t, seen["q35-tis/late/async/hold/late_sync"])
	hold := Cell{Machine: "q35-tis", Async: true, Until: initcall.Userspace, Way: faults.Hold, HoldMax: beforeInit}
	assert.True(t, seen[hold.ID()])
	assert.Equal(t, []string{"--defer-until=userspace", "--while-deferred=hold", "--hold-max=3s"}, hold.Flags())
}

// The table joins levels of one outcome, shows shares where there is a race, and marks
// what differs.
func TestTable(t *testing.T) {
	t.Parallel()
	one := func(c Cell, predicted Outcome, booted ...Outcome) *Result {
		r := &Result{Cell: c, Kernel: "6.1", QEMU: "7.2", Evidence: "e", Predicted: []Share{{predicted, Seeds}}}
		for _, o := range booted {
			r.Boots = append(r.Boots, Boot{Outcome: o})
		}
		return r
	}
	race := one(late(initcall.LateSync, faults.Retry), measured, measured, bypassed, measured)
	race.Predicted = []Share{{measured, 12}, {bypassed, 4}}
	slow := one(late(initcall.Device, faults.Initialize), failed, failed)
	slow.Boots = append([]Boot{{Outcome: measured, Slow: "too slow"}}, slow.Boots...)
	results := []*Result{
		{Cell: Cell{Machine: "q35-tis"}, Kernel: "6.1", QEMU: "7.2", Boots: []Boot{{Outcome: measured}}},
		one(late(initcall.Early, faults.Fail), measured, measured),
		one(late(initcall.Pure, faults.Fail), measured, measured),
		one(late(initcall.Core, faults.Fail), failed, failed),
		one(late(initcall.CoreSync, faults.Fail), failed, measured),
		slow, race,
	}
	var out strings.Builder
	require.NoError(t, Table(&out, results))
	for _, line := range []string{
		"| cells predicted and booted | 6 |", "| one outcome predicted, every boot had it | 4 |",
		"| a race predicted, every boot had one of its outcomes | 1 |", "| a boot had an outcome that was not predicted | 1 |",
		"| boots | 10 |", "| that do not count, as the host was too slow, and were repeated | 1 |",
		"| late | sync | on time |  | (the evidence) | measured; TPM in time | 1 |",
		"| late | sync | fail | early … pure | measured; TPM in time | measured; TPM in time | 2 |",
		"| late | sync | fail | core | bypass; TPM never, probe failed (19) | bypass; TPM never, probe failed (19) | 1 |",
		"| late | sync | fail | core_sync | bypass; TPM never, probe failed (19) | **measured; TPM in time** (boot aggregate 7b64, predicted 0000; PCR 10 1122, predicted 0000) | 1 |",
		"12 of 16 measured; TPM in time<br>4 of 16 bypass; TPM by itself | 2 of 3 measured; TPM in time<br>1 of 3 bypass; TPM by itself | 1 |",
	} {
		assert.Contains(t, out.String(), line)
	}
	_, ok, err := Replace("# a page without a place", results)
	require.NoError(t, err)
	assert.False(t, ok)
	page, ok, err := Replace("before\n"+Begin+"old\n"+End+"after\n", results)
	require.NoError(t, err)
	assert.True(t, ok)
	assert.Equal(t, "before\n"+Begin+out.String()+End+"after\n", page)
}

func TestStore(t *testing.T) {
	t.Parallel()
	s := Store{Dir: filepath.Join(t.TempDir(), "new")}
	all, err := s.Results()
	require.NoError(t, err)
	assert.Empty(t, all)
	a := &Result{Cell: late(initcall.Device, faults.Fail), Predicted: []Share{{measured, 16}}, Boots: []Boot{{Outcome: measured, Looked: 3.5}}}
	b := &Result{Cell: Cell{Machine: "q35-tis", Strategy: boot.LateSync, Async: true}, Boots: []Boot{{Outcome: bypassed}}}
	require.NoError(t, s.Put(a))
	require.NoError(t, s.Put(b))
	again := *a
	again.Boots = []Boot{{Outcome: failed}}
	require.NoError(t, s.Put(&again))
	all, err = s.Results()
	require.NoError(t, err)
	assert.Equal(t, []*Result{&again, b}, all)

	c := Cell{Machine: "q35-tis"}
	assert.False(t, s.HasEvidence(c))
	left := Evidence{Console: []byte("[    0.000000] Linux\r\n"), List: []byte("10 …\n")}
	require.NoError(t, s.PutEvidence(c, left))
	assert.True(t, s.HasEvidence(c))
	got, err := s.Evidence(c)
	require.NoError(t, err)
	assert.Equal(t, left, got)

	_, err = readResults(strings.NewReader("{}\nno json\n"))
	assert.ErrorContains(t, err, "line 2")
}

// fake boots cells by heart: the outcome is what outcomes says, one after the other, and
// what is left is recorded evidence.
type fake struct {
	left     Evidence
	outcomes []Outcome
	booted   []string
	err      error
}

func (f *fake) Boot(_ context.Context, c Cell, _ *Machine) (*lab.Verdict, Evidence, error) {
	f.booted = append(f.booted, c.ID())
	o := f.outcomes[0]
	f.outcomes = f.outcomes[1:]
	b := lab.BootVerdict{Word: o.IMA, Kernel: "6.1.0-test", Driver: lab.DriverVerdict{Bound: o.TPM}}
	if o.Probe != 0 {
		b.Driver.Failed = &lab.FailedProbe{Code: o.Probe}
	}
	for line := range strings.Lines(string(f.left.List)) {
		b.List = append(b.List, strings.TrimSuffix(line, "\n"))
	}
	return &lab.Verdict{Boots: []lab.BootVerdict{b}, Took: lab.Seconds(time.Second)}, f.left, f.err
}

// A campaign goes on where it was interrupted, repeats what the host was too slow for, and
// boots a race several times.
func TestCampaign(t *testing.T) {
	t.Parallel()
	left, err := recorded.Evidence(Cell{Machine: "q35-tis"})
	require.NoError(t, err)
	f := &fake{left: left, outcomes: []Outcome{measured, measured, failed}}
	c := Campaign{Store: Store{Dir: t.TempDir()}, Boot: f.Boot, RaceBoots: 3, Progress: io.Discard}
	cells := []Cell{late(initcall.Early, faults.Fail), late(initcall.DeviceSync, faults.Fail)}
	require.NoError(t, c.Run(t.Context(), cells))
	assert.Equal(t, []string{"q35-tis/late/sync/on-time", cells[0].ID(), cells[1].ID()}, f.booted, "the evidence comes first")
	results, err := c.Store.Results()
	require.NoError(t, err)
	require.Len(t, results, 2)
	assert.Equal(t, "6.1.0-test", results[0].Kernel)
	assert.Equal(t, lab.Measured, results[0].Predicted[0].IMA)
	assert.Equal(t, lab.Bypass, results[1].Predicted[0].IMA)
	assert.Equal(t, 19, results[1].Predicted[0].Probe)

	f.booted = nil
	require.NoError(t, c.Run(t.Context(), cells))
	assert.Empty(t, f.booted, "all have results")

	f.err = &lab.BootError{Stage: "the guest's init"}
	f.outcomes = []Outcome{measured}
	err = c.Run(t.Context(), []Cell{late(initcall.Late, faults.Fail)})
	assert.ErrorAs(t, err, new(*lab.BootError))
	assert.ErrorContains(t, err, "q35-tis/late/sync/fail/late")
}

// What a boot has left is kept where its own simulation is another one.
func TestCampaignKeepsWhatItDoesNotReproduce(t *testing.T) {
	t.Parallel()
	c := Campaign{Store: Store{Dir: t.TempDir()}, RaceBoots: 1, Progress: io.Discard, Keep: t.TempDir()}
	evidence, err := recorded.Evidence(Cell{Machine: "q35-tis"})
	require.NoError(t, err)
	require.NoError(t, c.Store.PutEvidence(Cell{Machine: "q35-tis"}, evidence))
	cell := late(initcall.Early, faults.Fail)
	f := &fake{left: evidence, outcomes: []Outcome{measured}}
	c.Boot = f.Boot
	require.NoError(t, c.Run(t.Context(), []Cell{cell}))
	kept, err := os.ReadDir(c.Keep)
	require.NoError(t, err)
	assert.Empty(t, kept, "its simulation is the same")

	c.Again = true
	f.outcomes = []Outcome{measured}
	f.left.List = bytes.ReplaceAll(evidence.List, []byte("boot_aggregate"), []byte("boot_aggregate_late"))
	require.NoError(t, c.Run(t.Context(), []Cell{cell}))
	results, err := c.Store.Results()
	require.NoError(t, err)
	require.NotEmpty(t, results[0].Boots[0].Differs)
	list, err := os.ReadFile(filepath.Join(c.Keep, "q35-tis_late_sync_fail_early_1.ascii"))
	require.NoError(t, err)
	assert.Equal(t, f.left.List, list)
	require.FileExists(t, filepath.Join(c.Keep, "q35-tis_late_sync_fail_early_1.log.gz"))
}

// A boot that differs does not count if the host was too slow for it; one that agrees
// counts however slow the host was.
func TestSlow(t *testing.T) {
	t.Parallel()
	timedOut := []byte("[    9.000000] tpm tpm0: Operation Timed out\r\n")
	on := &Result{Cell: late(initcall.Device, faults.Fail), Predicted: []Share{{measured, 16}}}
	assert.NotEmpty(t, slow(on, Boot{Outcome: failed}, time.Second, timedOut))
	assert.Empty(t, slow(on, Boot{Outcome: measured}, time.Second, timedOut))
	assert.Empty(t, slow(on, Boot{Outcome: failed}, time.Second, nil), "the model is wrong")
	held := &Result{Cell: late(initcall.Device, faults.Hold), Predicted: []Share{{measured, 16}}}
	assert.Empty(t, slow(held, Boot{Outcome: failed}, time.Second, timedOut), "it was held")
	assert.NotEmpty(t, slow(&Result{Cell: Cell{Machine: "q35-tis"}}, Boot{Outcome: failed}, 0, timedOut), "no evidence")
	asks := &Result{Cell: late(initcall.LateSync, faults.Retry), Predicted: []Share{{bypassed, 16}}}
	asks.Cell.Async = true
	assert.NotEmpty(t, slow(asks, Boot{Outcome: failed, Looked: 9}, 4*time.Second, nil))
	assert.Empty(t, slow(asks, Boot{Outcome: failed, Looked: 5}, 4*time.Second, nil))
}

func FuzzResults(f *testing.F) {
	f.Add([]byte(`{"cell":{"machine":"q35-tis","strategy":"late"},"boots":[{"ima":"measured","tpm":"in time","took_s":1}]}` + "\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		results, err := readResults(bytes.NewReader(text))
		if err != nil {
			return
		}
		var out bytes.Buffer
		assert.NoError(t, Table(&out, results))
	})
}

func TestOutcomeOf(t *testing.T) {
	t.Parallel()
	v := &lab.BootVerdict{
		Word: lab.Bypass, Driver: lab.DriverVerdict{Bound: lab.NeverBound, Failed: &lab.FailedProbe{Code: -62}},
		List:    []string{"10 4f38ef8f82bbc2a73f2169c57ff5c76e14ce353d ima-sig sha256:" + strings.Repeat("0", 64) + " boot_aggregate "},
		TPMPCRs: ima.PCRs{ima.SHA256: {10: bytes.Repeat([]byte{0}, 32)}},
	}
	o, err := outcomeOf(v)
	require.NoError(t, err)
	zero := strings.Repeat("0", 64)
	assert.Equal(t, Outcome{IMA: lab.Bypass, TPM: lab.NeverBound, Probe: 62, Record: "boot_aggregate", Aggregate: zero, PCR10: zero}, o)
	v.List = []string{"no list"}
	_, err = outcomeOf(v)
	assert.Error(t, err)
}
