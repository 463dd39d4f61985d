package campaign_test

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/campaign"
	"github.com/swtpmd/swtpmd/faults/initcall"
)

func given() faults.Plan { return faults.Plan{Clock: new(initcall.Clock)} }

// The same seed gives the same plan, which can be read again; others give others.
func TestPlansDependOnTheirSeeds(t *testing.T) {
	var seen map[string]uint64
	kinds := make(map[string]int)
	for _, levels := range []bool{true, false} {
		seen = make(map[string]uint64)
		for seed := range uint64(300) {
			d := campaign.Draw{Seed: 7, Levels: levels, Given: given()}
			plan, err := d.Plan(seed)
			require.NoError(t, err)
			text := plan.Text()
			again, err := (&campaign.Draw{Seed: 7, Levels: levels, Given: given()}).Plan(seed)
			require.NoError(t, err)
			require.Equal(t, text, again.Text())
			read, err := faults.ParsePlan("plan", []byte(text), given())
			require.NoError(t, err, text)
			require.Equal(t, text, read.Text())
			require.LessOrEqual(t, len(plan.Rules), campaign.DefaultRules)
			require.NotContains(t, seen, text, "seed %d", seed)
			seen[text] = seed
			for _, r := range plan.Rules {
				word, _, _ := strings.Cut(r.Do.String(), "=")
				kinds[word]++
			}
		}
	}
	for _, k := range faults.Kinds() {
		if k.Dangerous == "" && k.Word != "pass" {
			assert.NotZero(t, kinds[k.Word], "no plan has %s", k.Word)
		} else {
			assert.Zero(t, kinds[k.Word], "a plan has %s", k.Word)
		}
	}
	one, err := (&campaign.Draw{Seed: 8, Given: given()}).Plan(1)
	require.NoError(t, err)
	assert.NotContains(t, seen, one.Text(), "another campaign, another plan")
}

func TestPlansKeepTheGivenRules(t *testing.T) {
	base, err := faults.ParsePlan("given", []byte("name=mine PCR_Read#1: rc=RETRY\n"), given())
	require.NoError(t, err)
	d := campaign.Draw{Rules: 2, Kinds: []string{"rc"}, Given: base, Targets: []campaign.Target{{Code: 0x182, Count: 3}}}
	for seed := range uint64(50) {
		plan, err := d.Plan(seed)
		require.NoError(t, err)
		require.Equal(t, "mine", plan.Rules[0].Name)
		require.Contains(t, []int{2, 3}, len(plan.Rules))
		for _, r := range plan.Rules[1:] {
			require.LessOrEqual(t, r.When.First, 3, "%s", r)
			require.IsType(t, faults.Answer(0), r.Do)
		}
	}
	var wrong *campaign.DrawError
	_, err = (&campaign.Draw{Kinds: []string{"no"}}).Plan(1)
	require.ErrorAs(t, err, &wrong)
	_, err = (&campaign.Draw{Rules: 101}).Plan(1)
	require.ErrorAs(t, err, &wrong)
}

// failing is a trial in which a plan fails if each of some commands is answered by a rule.
func failing(needs ...uint32) func(context.Context, faults.Plan) (campaign.Trial, error) {
	return func(_ context.Context, plan faults.Plan) (campaign.Trial, error) {
		hit := make(map[uint32]bool)
		trial := campaign.Trial{Fails: true}
		for _, r := range plan.Rules {
			for _, code := range r.When.Commands {
				hit[code] = true
			}
			f := campaign.Fired{Rule: r.String()}
			for n := uint64(1); n <= 6; n++ {
				if (r.When.First == 0 || n >= uint64(r.When.First)) && (r.When.Last == 0 || n <= uint64(r.When.Last)) {
					f.Occurrences = append(f.Occurrences, n)
				}
			}
			trial.Fired = append(trial.Fired, f)
		}
		for _, code := range needs {
			trial.Fails = trial.Fails && hit[code]
		}
		return trial, nil
	}
}

func TestShrinkFindsTheRulesThatMatter(t *testing.T) {
	text := "seed 9\n"
	for i := range 20 {
		text += fmt.Sprintf("0x2%07x#2-5: rc=RETRY\n", i)
	}
	text += "level=late.. PCR_Extend,PCR_Read pcr=10 times=3: rc=FAILURE\nclient=x GetRandom/2: rc=RETRY\n"
	plan, err := faults.ParsePlan("plan", []byte(text), given())
	require.NoError(t, err)
	var tried []string
	s := campaign.Shrink{Run: failing(0x17E, 0x20000003), Progress: func(_ int, p *faults.Plan, _ campaign.Trial) { tried = append(tried, p.Text()) }}
	small, runs, cut, err := s.Plan(t.Context(), plan)
	require.NoError(t, err)
	assert.False(t, cut)
	assert.Equal(t, "seed 9\n0x20000003#2: rc=TPM_RC_RETRY\nPCR_Read#1: rc=TPM_RC_FAILURE\n", small.Text())
	assert.Len(t, tried, runs)
	assert.Less(t, runs, 100)
	first := tried
	tried = nil
	_, _, _, err = s.Plan(t.Context(), plan)
	require.NoError(t, err)
	assert.Equal(t, first, tried, "the same trials again")

	s.MaxRuns = 5
	small, runs, cut, err = s.Plan(t.Context(), plan)
	require.NoError(t, err)
	assert.True(t, cut)
	assert.Equal(t, 5, runs)
	trial, err := s.Run(t.Context(), small)
	require.NoError(t, err)
	assert.True(t, trial.Fails, "what is left fails")
}

func TestShrinkRefusesAPlanThatPasses(t *testing.T) {
	plan, err := faults.ParsePlan("plan", []byte("GetRandom: rc=RETRY\n"), given())
	require.NoError(t, err)
	_, _, _, err = (&campaign.Shrink{Run: failing(0x182)}).Plan(t.Context(), plan)
	require.ErrorIs(t, err, campaign.ErrPasses)
	broken := errors.New("no such program")
	_, _, _, err = (&campaign.Shrink{Run: func(context.Context, faults.Plan) (campaign.Trial, error) { return campaign.Trial{}, broken }}).Plan(t.Context(), plan)
	require.ErrorIs(t, err, broken)
}

// An error ends a campaign, and what was there before it counts.
func TestAnErrorEndsACampaign(t *testing.T) {
	d := campaign.Draw{Given: given()}
	broken := errors.New("no such program")
	done := 0
	err := campaign.Run(t.Context(), make([]uint64, 1000), &d, func(context.Context, uint64, faults.Plan) (campaign.Result, error) {
		if done == 5 {
			return campaign.Result{}, broken
		}
		return campaign.Result{Outcome: campaign.OK}, nil
	}, campaign.Options{Done: func(r *campaign.Result) error {
		done++
		assert.NotEmpty(t, r.Plan)
		return nil
	}})
	require.ErrorIs(t, err, broken)
	assert.Equal(t, 5, done)
}

func TestShardsByTheEnvironment(t *testing.T) {
	for env, want := range map[string]string{
		"":                                       "",
		"JOB_COMPLETION_INDEX=0 SWTPMD_SHARDS=4": "1/4",
		"JOB_COMPLETION_INDEX=3 SWTPMD_SHARDS=4": "4/4",
		"PARALLEL_SEQ=1 SWTPMD_SHARDS=3":         "1/3",
		"PARALLEL_SEQ=3 SWTPMD_SHARDS=3":         "3/3",
		"SLURM_ARRAY_TASK_ID=7 SLURM_ARRAY_TASK_MIN=1 SLURM_ARRAY_TASK_MAX=7 SLURM_ARRAY_TASK_COUNT=4 SLURM_ARRAY_TASK_STEP=2": "4/4",
		"SLURM_ARRAY_TASK_ID=0 SLURM_ARRAY_TASK_MIN=0 SLURM_ARRAY_TASK_MAX=7 SLURM_ARRAY_TASK_COUNT=8 SLURM_ARRAY_TASK_STEP=1": "1/8",
		"JOB_COMPLETION_INDEX=4 SWTPMD_SHARDS=4": "none of 4 parts",
		"JOB_COMPLETION_INDEX=4":                 "SWTPMD_SHARDS=N",
		"JOB_COMPLETION_INDEX=x SWTPMD_SHARDS=4": "no number",
		"PARALLEL_SEQ=4 SWTPMD_SHARDS=3":         "none of 3 parts",
		"PARALLEL_SEQ=1":                         "SWTPMD_SHARDS=N",
		"SWTPMD_SHARDS=3":                        "neither",
		"SWTPMD_SHARDS=0":                        "no number from 1",
		"SLURM_ARRAY_TASK_ID=3 SLURM_ARRAY_TASK_MIN=1 SLURM_ARRAY_TASK_MAX=7 SLURM_ARRAY_TASK_COUNT=3 SLURM_ARRAY_TASK_STEP=1":                 "no equal steps",
		"SLURM_ARRAY_TASK_ID=3 SLURM_ARRAY_TASK_MIN=1 SLURM_ARRAY_TASK_MAX=4 SLURM_ARRAY_TASK_COUNT=4 SLURM_ARRAY_TASK_STEP=1 SWTPMD_SHARDS=5": "5 shards are asked for",
		"SLURM_ARRAY_TASK_ID=3": "no number",
	} {
		values := make(map[string]string)
		for _, pair := range strings.Fields(env) {
			name, value, _ := strings.Cut(pair, "=")
			values[name] = value
		}
		got, err := campaign.ShardOf(func(name string) string { return values[name] }, 0)
		if err == nil {
			assert.Equal(t, want, got.String(), env)
			continue
		}
		var wrong *campaign.EnvironmentError
		require.ErrorAs(t, err, &wrong, env)
		assert.ErrorContains(t, err, want, env)
		assert.ErrorContains(t, err, "--shard=1/1", env)
	}
}

// Every seed is in one shard, and the missing ones are counted.
func TestShardsHaveEverySeedOnce(t *testing.T) {
	for _, count := range []int{1, 2, 3, 7, 20} {
		seen := make(map[uint64]int)
		for i := range count {
			h := campaign.Header{First: 10, Last: 22, Shard: campaign.Shard{Index: i + 1, Count: count}}
			seeds := h.Seeds()
			for _, seed := range seeds {
				seen[seed]++
			}
			assert.Equal(t, len(seeds), (&campaign.Campaign{Header: h}).Report().Missing)
		}
		assert.Len(t, seen, 13)
		for seed, n := range seen {
			assert.Equal(t, 1, n, "seed %d", seed)
		}
	}
}

func header() campaign.Header {
	return campaign.Header{Version: campaign.Version, Seed: 1, First: 1, Last: 4, Subject: []string{"x"}, Good: []campaign.Outcome{campaign.OK}}
}

func lines(t testing.TB, all ...any) []byte {
	var text []byte
	for _, one := range all {
		var err error
		text, err = campaign.AppendLine(text, one)
		require.NoError(t, err)
	}
	return text
}

// Of a torn file the whole lines count.
func TestResultsSurviveAKill(t *testing.T) {
	whole := lines(t, header(), campaign.Result{Seed: 3, Outcome: campaign.OK}, campaign.Result{Seed: 1, Outcome: campaign.Failed})
	for cut := range len(whole) + 1 {
		c, n, err := campaign.Read("file", bytes.NewReader(whole[:cut]))
		require.NoError(t, err)
		require.Equal(t, int64(bytes.LastIndexByte(whole[:cut], '\n')+1), n)
		require.Equal(t, n == 0, c == nil)
	}
	c, _, err := campaign.Read("file", bytes.NewReader(whole))
	require.NoError(t, err)
	require.Len(t, c.Results, 2)
	assert.Equal(t, uint64(1), c.Results[0].Seed)
	assert.Equal(t, 2, c.Report().Missing)
}

func TestReadRefuses(t *testing.T) {
	good := string(lines(t, header()))
	for text, says := range map[string]string{
		"{}\n":       "file:1: the results have version 0",
		"nonsense\n": "file:1: invalid",
		good + "{\"seed\":9,\"outcome\":\"ok\"}\n":             "file:2: seed 9 is none",
		good + "{\"seed\":1}\n":                                "file:2: the result has no outcome",
		good + "{\"seed\":1,\"outcome\":\"ok\",\"color\":1}\n": "file:2: json: unknown field",
		good + "{} {}\n":                                       "file:2: more follows",
		strings.Replace(good, `"last":4`, `"last":0`, 1):       "file:1: the last seed",
	} {
		_, _, err := campaign.Read("file", strings.NewReader(text))
		var wrong *campaign.FileError
		require.ErrorAs(t, err, &wrong, text)
		assert.ErrorContains(t, err, says, text)
	}
}

func TestMergeRefusesPartsOfOthers(t *testing.T) {
	part := func(change func(*campaign.Header), results ...campaign.Result) *campaign.Campaign {
		h := header()
		change(&h)
		return &campaign.Campaign{Header: h, Results: results}
	}
	same := func(*campaign.Header) {}
	a := campaign.Part{Name: "a", Campaign: part(same, campaign.Result{Seed: 1, Outcome: campaign.OK})}
	for says, other := range map[string]*campaign.Campaign{
		"the campaign seed": part(func(h *campaign.Header) { h.Seed = 2 }),
		"the command":       part(func(h *campaign.Header) { h.Subject = []string{"y"} }),
		"TPM commands":      part(func(h *campaign.Header) { h.Targets = []campaign.Target{{Code: 0x182}} }),
		"seed 1 is failed":  part(same, campaign.Result{Seed: 1, Outcome: campaign.Failed}),
	} {
		_, err := campaign.Merge(a, campaign.Part{Name: "b", Campaign: other})
		var wrong *campaign.MergeError
		require.ErrorAs(t, err, &wrong)
		assert.Equal(t, "b", wrong.Name)
		assert.ErrorContains(t, err, says)
	}
	all, err := campaign.Merge(a, a)
	require.NoError(t, err)
	assert.Len(t, all.Results, 1)
}

// What a client writes cannot break a report.
func TestReportsEscapeWhatOthersWrote(t *testing.T) {
	bad := "</script><evil>\x1b[31m\x00\xff&'\""
	h := header()
	h.Subject = []string{bad}
	c := campaign.Campaign{Header: h, Results: []campaign.Result{{
		Seed: 1, Outcome: campaign.Outcome(bad), Detail: bad, Output: bad, Plan: bad,
		Fired: []campaign.Fired{{Rule: bad, Fault: bad, Command: bad, Times: 1}},
	}}}
	r := c.Report()
	for name, write := range map[string]func(*bytes.Buffer) error{
		"text":  func(b *bytes.Buffer) error { return r.Text(b) },
		"JUnit": func(b *bytes.Buffer) error { return r.JUnit(b) },
		"HTML":  func(b *bytes.Buffer) error { return r.HTML(b) },
	} {
		var one, two bytes.Buffer
		require.NoError(t, write(&one))
		require.NoError(t, write(&two))
		assert.Equal(t, one.String(), two.String())
		assert.NotContains(t, one.String(), "\x1b", name)
		assert.NotContains(t, one.String(), "\x00", name)
		if name != "text" {
			assert.NotContains(t, one.String(), "<evil>", name)
			require.NoError(t, wellFormed(one.Bytes()), name)
		}
	}
}

// wellFormed reads XML to its end.
func wellFormed(text []byte) error {
	d := xml.NewDecoder(bytes.NewReader(text))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// The pictures have each fault at each place, with the outcomes of the runs.
func TestPicturesShowWhatLedToWhat(t *testing.T) {
	h := header()
	h.Last, h.Levels = 40, true
	c := campaign.Campaign{Header: h}
	for i := range 40 {
		r := campaign.Result{Seed: uint64(i + 1), Outcome: []campaign.Outcome{campaign.OK, campaign.Failed, "bypass"}[i%3]}
		for j := range i % 3 {
			r.Fired = append(r.Fired, campaign.Fired{Fault: []string{"rc=TPM_RC_RETRY", "hold=3s"}[j], Command: []string{"PCR_Read", "Quote"}[i%2], Level: initcall.Level(5 + 3*j)})
		}
		c.Results = append(c.Results, r)
	}
	var page bytes.Buffer
	require.NoError(t, c.Report().HTML(&page))
	require.NoError(t, wellFormed(page.Bytes()))
	for _, want := range []string{
		"Faults by TPM commands", "Faults by levels of the boot",
		"<title>rc=TPM_RC_RETRY for PCR_Read; bypass 7; failed 6</title>", "<title>hold=3s for Quote; bypass 6</title>",
		"<title>hold=3s for " + initcall.Level(8).String() + "; bypass 13</title>",
	} {
		assert.Contains(t, page.String(), want)
	}
}

// FuzzRead: what is read can be reported, merged and written again.
func FuzzRead(f *testing.F) {
	f.Add(lines(f, header(), campaign.Result{Seed: 3, Outcome: campaign.OK, Plan: "seed 1\n*: pass\n", Fired: []campaign.Fired{{Rule: "*: pass", Fault: "pass", Command: "Quote", Times: 2}}}))
	f.Add(lines(f, header()))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, whole, err := campaign.Read("file", bytes.NewReader(text))
		if err != nil || c == nil {
			return
		}
		if whole > int64(len(text)) {
			t.Fatalf("%d bytes of %d", whole, len(text))
		}
		var b bytes.Buffer
		if err := errors.Join(c.Report().Text(&b), c.Report().JUnit(&b), c.Report().JSON(&b), c.Report().HTML(&b)); err != nil {
			t.Fatal(err)
		}
		again := lines(t, c.Header)
		for i := range c.Results {
			again = append(again, lines(t, c.Results[i])...)
		}
		if _, n, err := campaign.Read("again", bytes.NewReader(again)); err != nil || n != int64(len(again)) {
			t.Fatalf("%v, %d of %d bytes", err, n, len(again))
		}
	})
}

func BenchmarkDraw(b *testing.B) {
	d := campaign.Draw{Seed: 7, Given: given()}
	for seed := uint64(0); b.Loop(); seed++ {
		if _, err := d.Plan(seed); err != nil {
			b.Fatal(err)
		}
	}
}
