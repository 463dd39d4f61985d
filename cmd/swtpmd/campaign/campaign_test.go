package campaign_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/campaign"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/faults/initcall"
)

// called runs swtpmd with a client of this test binary in place of CLIENT.
func called(t *testing.T, client string, args ...string) (code int, out, errs string) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	t.Setenv(clientVariable, client)
	t.Setenv("GORACE", "atexit_sleep_ms=0") // a client of the race detector's waits a second
	for i, arg := range args {
		if arg == "CLIENT" {
			args[i] = self
		}
	}
	var stdout, stderr bytes.Buffer
	commands := []cli.Command{campaign.Command, campaign.Shrink}
	code = cli.Main(t.Context(), "swtpmd", commands, args, cli.Streams{In: strings.NewReader(""), Out: &stdout, Err: &stderr})
	return code, stdout.String(), stderr.String()
}

// From seeds alone the campaign finds a bug that is planted in a small client, and a
// failing plan shrinks to the one rule that matters.
func TestACampaignFindsAPlantedBugAndShrinksItToOneRule(t *testing.T) {
	results := filepath.Join(t.TempDir(), "results")
	code, out, errs := called(t, "notebook", "campaign", "--seeds=1..40", "--kinds=rc", "--plan="+busy(t), "--results="+results, "--", "CLIENT")
	require.Equal(t, campaign.ExitFindings, code, "%s%s", out, errs)
	assert.Contains(t, out, "page 3 is lost, and nobody was told")

	// Of the failing seeds the one with most rules.
	seed, most := "", 0
	for _, found := range regexp.MustCompile(`(?m)^seed (\d+): failed, exit code 1.*\n((?:  \| .*\n)+)`).FindAllStringSubmatch(out, -1) {
		if rules := strings.Count(found[2], "\n") - 1; rules > most {
			seed, most = found[1], rules
		}
	}
	require.Greater(t, most, 4, "a plan to be made smaller\n%s", out)
	code, small, errs := called(t, "notebook", "shrink", "--result="+results, "--seed="+seed)
	require.Equal(t, cli.ExitOK, code, errs)
	assert.Regexp(t, `^seed \d+\nNV_Write#3(-\d+)?: rc=TPM_RC_\w+\n$`, small, errs)
	t.Logf("seed %s with %d rules:\n%s", seed, most, small)

	// The small plan fails by itself, and shrinks no more.
	plan := filepath.Join(t.TempDir(), "small.plan")
	require.NoError(t, os.WriteFile(plan, []byte(small), 0o600))
	code, again, errs := called(t, "notebook", "shrink", "--quiet", plan, "--", "CLIENT")
	require.Equal(t, cli.ExitOK, code, errs)
	assert.Equal(t, small, again)
}

// busy is the file of a plan with which every client of this test is right: it sends again
// what it has to.
func busy(t *testing.T) string {
	name := filepath.Join(t.TempDir(), "busy.plan")
	require.NoError(t, os.WriteFile(name, []byte("NV_DefineSpace#2: rc=RETRY\nNV_Write#1: rc=NV_RATE\n"+
		"NV_ReadPublic#1-2: rc=TESTING\nPCR_Extend: rc=FAILURE\n"), 0o600))
	return name
}

func TestReportsDoNotDependOnTheOrderOfTheRuns(t *testing.T) {
	dir := t.TempDir()
	var outs []string
	for _, parallel := range []string{"1", "3"} {
		junit := filepath.Join(dir, parallel)
		code, out, errs := called(t, "notebook", "campaign", "--seeds=1..12", "--kinds=rc", "--parallel="+parallel, "--json", "--junit="+junit, "--", "CLIENT")
		require.Contains(t, []int{cli.ExitOK, campaign.ExitFindings}, code, errs)
		xmlText, err := os.ReadFile(junit)
		require.NoError(t, err)
		var suite struct {
			Cases []struct{} `xml:"testcase"`
		}
		require.NoError(t, xml.Unmarshal(xmlText, &suite))
		assert.Len(t, suite.Cases, 12)
		outs = append(outs, out+string(xmlText))
	}
	assert.Equal(t, outs[0], outs[1])
}

func TestOutcomesOfACommand(t *testing.T) {
	for client, want := range map[string]string{"crash": "crashed, signal: killed", "sleep": "timed-out, after 1s"} {
		code, out, errs := called(t, client, "campaign", "--seeds=1..4", "--kinds=rc", "--rules=1", "--limit=1s", "--plan="+alwaysFails(t), "--", "CLIENT")
		// The first run is under the given plan, too.
		assert.Equal(t, cli.ExitFailed, code, "%s%s", out, errs)
		assert.Contains(t, errs, "without any drawn fault the run is not good: "+want)
	}
}

func alwaysFails(t *testing.T) string {
	name := filepath.Join(t.TempDir(), "plan")
	require.NoError(t, os.WriteFile(name, []byte("GetRandom: rc=FAILURE\n"), 0o600))
	return name
}

// A guest switches its TPM on, and its console tells which rules are in force.
func TestACampaignOfAGuest(t *testing.T) {
	rule := "name=kernel level=kernel.. GetCapability: rc=RETRY"
	code, out, errs := called(t, "guest", "campaign", "--guest", "--seeds=1..2", "--kinds=rc", "--commands=Quote", "--fault="+rule, "--limit=20s", "--json", "--", "CLIENT")
	require.Equal(t, cli.ExitOK, code, "%s%s", out, errs)
	assert.Contains(t, out, `"levels": true`)
	var report struct {
		Effects []struct {
			Fault string         `json:"fault"`
			Level initcall.Level `json:"level"`
		} `json:"effects"`
	}
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	require.NotEmpty(t, report.Effects)
	for _, e := range report.Effects {
		assert.GreaterOrEqual(t, e.Level, initcall.Kernel, e.Fault)
	}
}

// What a kill leaves of the results is gone on with, to the same report.
func TestACampaignGoesOn(t *testing.T) {
	results := filepath.Join(t.TempDir(), "results")
	args := []string{"campaign", "--seeds=1..12", "--kinds=rc", "--quiet", "--results=" + results, "--resume", "--", "CLIENT"}
	code, whole, errs := called(t, "notebook", append([]string(nil), args...)...)
	require.NotEqual(t, cli.ExitFailed, code, errs)
	text, err := os.ReadFile(results)
	require.NoError(t, err)
	lines := strings.SplitAfter(string(text), "\n")
	require.Len(t, lines, 14)
	for _, torn := range []string{strings.Join(lines[:5], "") + lines[5][:7], strings.Join(lines[:1], ""), string(text)} {
		require.NoError(t, os.WriteFile(results, []byte(torn), 0o600))
		again, out, errs := called(t, "notebook", append([]string(nil), args...)...)
		require.Equal(t, code, again, errs)
		assert.Equal(t, whole, out)
	}
	// Not without being asked, and not with another campaign.
	code, _, errs = called(t, "notebook", "campaign", "--results="+results, "--", "CLIENT")
	assert.Equal(t, cli.ExitUsage, code)
	assert.Contains(t, errs, "has results of a campaign")
	code, _, errs = called(t, "notebook", "campaign", "--seeds=1..13", "--kinds=rc", "--results="+results, "--resume", "--", "CLIENT")
	assert.Equal(t, cli.ExitUsage, code)
	assert.Contains(t, errs, "differ in the last seed")
}

// The parts of a campaign give the report of the whole.
func TestShardsMergeToTheWhole(t *testing.T) {
	dir := t.TempDir()
	campaignArgs := []string{"campaign", "--seeds=1..13", "--kinds=rc", "--quiet", "--json"}
	code, whole, errs := called(t, "notebook", append(campaignArgs[:len(campaignArgs):len(campaignArgs)], "--", "CLIENT")...)
	require.NotEqual(t, cli.ExitFailed, code, errs)
	merge := []string{"campaign", "merge", "--json"}
	for _, shard := range []string{"3/3", "1/3", "2/3"} {
		file := filepath.Join(dir, shard[:1])
		part, _, errs := called(t, "notebook", append(campaignArgs[:len(campaignArgs):len(campaignArgs)], "--shard="+shard, "--results="+file, "--", "CLIENT")...)
		require.Contains(t, []int{cli.ExitOK, campaign.ExitFindings}, part, errs)
		merge = append(merge, file)
	}
	merged, out, errs := called(t, "", merge...)
	assert.Equal(t, code, merged, errs)
	assert.Equal(t, whole, out)

	_, out, _ = called(t, "", merge[:5]...)
	assert.Contains(t, out, `"missing": 4`)
}

// Simulated boots end in several ways, by the plan alone, and a plan that ends in bypass
// shrinks.
func TestACampaignOfSimulatedBoots(t *testing.T) {
	var outs []string
	results := filepath.Join(t.TempDir(), "results")
	for _, args := range [][]string{{"--parallel=1", "--results=" + results}, {"--parallel=4"}} {
		code, out, errs := called(t, "", append([]string{"campaign", "--boot=pc-tis", "--seeds=1..24", "--quiet"}, args...)...)
		require.Equal(t, campaign.ExitFindings, code, errs)
		outs = append(outs, out)
	}
	require.Equal(t, outs[0], outs[1])
	require.Regexp(t, `(?m)^  measured +\d+`, outs[0])
	bypass := regexp.MustCompile(`(?m)^seed (\d+): bypass`).FindStringSubmatch(outs[0])
	require.NotEmpty(t, bypass, outs[0])
	code, small, errs := called(t, "", "shrink", "--quiet", "--result="+results, "--seed="+bypass[1])
	require.Equal(t, cli.ExitOK, code, errs)
	plan := filepath.Join(t.TempDir(), "plan")
	require.NoError(t, os.WriteFile(plan, []byte(small), 0o600))
	code, again, errs := called(t, "", "shrink", "--boot=pc-tis", plan)
	require.Equal(t, cli.ExitOK, code, errs)
	assert.Equal(t, small, again)

	code, out, errs := called(t, "", "campaign", "--boot=pc-tis", "--seeds=1..8", "--ok=measured,not-extended,bypass,field-failure,failed,never-started,panic")
	assert.Equal(t, cli.ExitOK, code, "%s%s", out, errs)
}

func TestUsage(t *testing.T) {
	for args, says := range map[string]string{
		"campaign":                                "no command is named",
		"campaign -- /no/such/command":            "no such file",
		"campaign --seeds=9..1 -- CLIENT":         "comes before the first",
		"campaign --seeds=x -- CLIENT":            "no range of seeds",
		"campaign --rules=0 -- CLIENT":            "leaves no fault",
		"campaign --kinds=none -- CLIENT":         "no kind of faults \"none\"",
		"campaign --commands=Extend -- CLIENT":    "no TPM command",
		"campaign --ok=ok -- CLIENT":              "no exit code",
		"campaign --limit=0s -- CLIENT":           "is not a time for a run",
		"campaign --parallel=0 -- CLIENT":         "runs nothing",
		"campaign --resume -- CLIENT":             "--results=FILE",
		"campaign --shard=3/2 -- CLIENT":          "from 1 to the second",
		"campaign --shards=2 -- CLIENT":           "neither Kubernetes, Slurm nor GNU parallel",
		"campaign --plan=/no/such/plan -- CLIENT": "for flag --plan",
		"campaign --boot=pc-tis -- CLIENT":        "one of them is run",
		"campaign --boot=pc-tis --limit=1s":       "is for a command",
		"campaign --boot=no":                      "unknown platform",
		"campaign --boot=pc-tis --ok=0":           "no boot ends as",
		"campaign --strategy=dual -- CLIENT":      "--boot=PLATFORM",
		"campaign --fault=x -- CLIENT":            "a rule is",
		"campaign merge":                          "no file is named",
		"shrink plan":                             "a plan and a command",
		"shrink --max-runs=0 plan -- CLIENT":      "runs nothing",
	} {
		code, _, errs := called(t, "nothing", strings.Fields(args)...)
		assert.Equal(t, cli.ExitUsage, code, args)
		assert.Contains(t, errs, says, args)
	}
	code, _, errs := called(t, "nothing", "campaign", "--", "CLIENT")
	assert.Equal(t, cli.ExitFailed, code)
	assert.Contains(t, errs, "sends the TPM no command")
}

// A command that fails now and then shrinks to something; shrink ends, and says so.
func TestShrinkSaysThatACommandIsFlaky(t *testing.T) {
	t.Setenv(flakyVariable, filepath.Join(t.TempDir(), "runs"))
	code, small, errs := called(t, "flaky", "shrink", "--quiet", alwaysFails(t), "--", "CLIENT")
	assert.Equal(t, 1, code, errs)
	assert.NotEmpty(t, small)
	assert.Contains(t, errs, "of 3 more runs: the command does not do the same each time")
}
