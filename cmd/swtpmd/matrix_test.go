package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/simulate"
	"github.com/swtpmd/swtpmd/ima/boot"
	"github.com/swtpmd/swtpmd/ima/verify"
)

// cells runs matrix --json and decodes its lines.
func cells(t *testing.T, args ...string) []simulate.Cell {
	t.Helper()
	code, out, errs := called(t, append([]string{"matrix", "--json"}, args...)...)
	require.Equal(t, exitOK, code, errs)
	var all []simulate.Cell
	decoder := json.NewDecoder(bytes.NewReader([]byte(out)))
	for decoder.More() {
		var c simulate.Cell
		require.NoError(t, decoder.Decode(&c))
		all = append(all, c)
	}
	return all
}

func TestMatrixBootsEveryPlatformWithEveryStrategy(t *testing.T) {
	for _, platform := range boot.Platforms() {
		t.Run(platform, func(t *testing.T) {
			all := cells(t, "--platform="+platform)
			assert.Len(t, all, len(boot.Strategies()))
			for _, c := range all {
				require.NotNil(t, c.Attacked, c.Strategy)
				assert.Len(t, c.Peaceful.Appraisals, len(verify.PolicyNames()))
				// What is in the list only has not been extended, whatever the cell.
				s := &c.Peaceful.Result.Summary
				assert.Equal(t, s.Kept, s.Extended+s.Unextended, c.Strategy)
				assert.Equal(t, s.Bypass, s.Started && s.Extended == 0 && s.Kept > 0, c.Strategy)
			}
		})
	}
}

func TestMatrixBootsAllThatIsNotChosen(t *testing.T) {
	assert.Len(t, cells(t, "--strategy=late"), len(boot.Platforms()))
}

// Rows of the table in the discussion: what each remedy costs where.
func TestMatrixShowsWhatARemedyCosts(t *testing.T) {
	for _, c := range cells(t, "--platform=powervm", "--strategy=late", "--strategy=late_sync", "--strategy=deny") {
		s := &c.Peaceful.Result.Summary
		switch c.Strategy {
		case boot.Late:
			assert.Equal(t, 0, s.Lost)
			assert.Equal(t, 31, s.Kept)
		case boot.LateSync:
			assert.Equal(t, 28, s.Lost, "the files between late and late_sync")
		case boot.Deny:
			assert.NotZero(t, s.Denied)
			assert.False(t, c.Attacked.Result.Summary.Attack.Ran)
		}
	}
	for _, c := range cells(t, "--platform=arm64-crb-ffa", "--strategy=late", "--strategy=retry") {
		assert.Equal(t, c.Strategy == boot.Late, c.Peaceful.Result.Summary.Bypass)
		assert.True(t, c.Attacked.Result.Summary.Attack.Unseen())
		for _, a := range c.Attacked.Appraisals {
			// A name chosen at run time binds nothing.
			if c.Strategy == boot.Retry && a.Policy != "accept-late" {
				assert.NotEqual(t, verify.Accept, a.Outcome, a.Policy)
			}
		}
	}
}

func TestMatrixAsATableAndAPage(t *testing.T) {
	page := filepath.Join(t.TempDir(), "matrix.html")
	code, out, errs := called(t, "matrix", "--platform=pc-tis", "--defer-until=late_sync", "--strategy=late", "--html", page)
	require.Equal(t, exitOK, code, errs)
	assert.Regexp(t, `pc-tis +late +4 +4 +0 +0 +bypass +zero +-\?\? `, out)
	html, err := os.ReadFile(page)
	require.NoError(t, err)
	assert.Contains(t, string(html), "pc-tis")
	assert.Equal(t, 2, bytes.Count(html, []byte("<svg")), "the boot in peace and under attack")
	for _, args := range [][]string{{"--platform=sun"}, {"--strategy=hope"}, {"--policy=tbc"}, {"more"}} {
		code, _, _ := called(t, append([]string{"matrix"}, args...)...)
		assert.Equal(t, exitUsage, code, "%v", args)
	}
}

func TestBootDrawsItself(t *testing.T) {
	file := filepath.Join(t.TempDir(), "boot.svg")
	code, _, errs := called(t, "boot", "--svg", file)
	require.Equal(t, exitOK, code, errs)
	svg, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.True(t, bytes.HasPrefix(svg, []byte("<svg")) || bytes.HasPrefix(svg, []byte("<?xml")))
	assert.Contains(t, string(svg), "init_ima")
	code, _, _ = called(t, "boot", "--svg", filepath.Join(file, "below"))
	assert.Equal(t, exitFailed, code)
}

func TestBootFromAConsole(t *testing.T) {
	const log = "../../faults/initcall/testdata/arm64-6.1-eprobe-defer-ima-late.log"
	code, out, errs := called(t, "boot", "--from-console", log)
	require.Equal(t, exitOK, code, errs)
	assert.Contains(t, out, "IMA went into TPM-bypass")
	code, _, errs = called(t, "boot", "--from-console", "/does/not/exist")
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, errs, "/does/not/exist")
	code, _, errs = called(t, "boot", "--list", log)
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, errs, "--from-console")
}
