package campaign_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/campaign"
)

// GNU parallel runs the shards, each of which knows by its environment which one it is; the
// merged report is that of the whole campaign, byte for byte.
func TestShardsOfGNUParallelMergeToTheWhole(t *testing.T) {
	version, err := exec.CommandContext(t.Context(), "parallel", "--version").Output()
	if err != nil || !strings.HasPrefix(string(version), "GNU parallel") {
		t.Skip("GNU parallel is not installed: apt-get install parallel")
	}
	self, err := os.Executable()
	require.NoError(t, err)
	dir := t.TempDir()
	reportTo := func(name string) []string {
		return []string{"--json", "--junit=" + filepath.Join(dir, name+".xml"), "--html=" + filepath.Join(dir, name+".html")}
	}
	code, whole, errs := called(t, "", append([]string{"campaign", "--boot=pc-tis", "--seeds=1..16", "--quiet"}, reportTo("whole")...)...)
	require.Equal(t, campaign.ExitFindings, code, errs)

	t.Setenv(mainVariable, "1")
	// An exit code of 3 is that of findings.
	shards := exec.CommandContext(t.Context(), "parallel", "--will-cite", "--jobs=2",
		self+" campaign --boot=pc-tis --seeds=1..16 --quiet --shards=3 --results="+dir+"/{#}.jsonl >/dev/null || test $? = 3", ":::", "a", "b", "c")
	out, err := shards.CombinedOutput()
	require.NoError(t, err, "%s", out)

	merge := append([]string{"campaign", "merge"}, reportTo("merged")...)
	code, merged, errs := called(t, "", append(merge, filepath.Join(dir, "3.jsonl"), filepath.Join(dir, "1.jsonl"), filepath.Join(dir, "2.jsonl"))...)
	require.Equal(t, campaign.ExitFindings, code, errs)
	assert.Equal(t, whole, merged)
	for _, end := range []string{".xml", ".html"} {
		one, err := os.ReadFile(filepath.Join(dir, "whole"+end))
		require.NoError(t, err)
		two, err := os.ReadFile(filepath.Join(dir, "merged"+end))
		require.NoError(t, err)
		assert.Equal(t, string(one), string(two), end)
	}
}

// mainVariable has the test binary be swtpmd, with the subcommands of this package.
const mainVariable = "CAMPAIGN_TEST_MAIN"
