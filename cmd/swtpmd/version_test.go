package main

import (
	"encoding/json"
	"os"
	"regexp"
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheRevisionIsThatOfTheBuild(t *testing.T) {
	vcs := []debug.BuildSetting{
		{Key: "vcs.revision", Value: "25a1ba5a3a0e1c8c6d8cfd1a54ff2d4a33a1b5b5"},
		{Key: "vcs.time", Value: "2026-11-29T15:00:00Z"},
		{Key: "vcs.modified", Value: "true"},
	}
	for name, c := range map[string]struct {
		info     *debug.BuildInfo
		revision string
		modified bool
	}{
		"no build info":          {nil, "unknown", false},
		"go run":                 {&debug.BuildInfo{Main: debug.Module{Version: "(devel)"}}, "unknown", false},
		"a tag":                  {&debug.BuildInfo{Main: debug.Module{Version: "v0.1.0"}}, "unknown", false},
		"go install @main":       {&debug.BuildInfo{Main: debug.Module{Version: "v0.0.0-20261129150000-25a1ba5a3a0e"}}, "25a1ba5a3a0e", false},
		"after a tag":            {&debug.BuildInfo{Main: debug.Module{Version: "v0.1.1-0.20261129150000-25a1ba5a3a0e"}}, "25a1ba5a3a0e", false},
		"a checkout, edited":     {&debug.BuildInfo{Main: debug.Module{Version: "v0.1.1-0.20261129150000-25a1ba5a3a0e+dirty"}, Settings: vcs}, vcs[0].Value, true},
		"a checkout, not edited": {&debug.BuildInfo{Settings: vcs[:2]}, vcs[0].Value, false},
	} {
		b := buildOf(c.info)
		assert.Equal(t, release, b.Version, name)
		assert.Equal(t, c.revision, b.Revision, name)
		assert.Equal(t, c.modified, b.Modified, name)
	}
}

func TestVersion(t *testing.T) {
	code, out, errs := called(t, "--version")
	require.Equal(t, exitOK, code, errs)
	assert.Regexp(t, `^swtpmd v0\.\d+\.\d+ \(revision ([0-9a-f]{12,40}(, modified)?|unknown)\) go\S+ \w+/\w+\n$`, out)

	code, out, errs = called(t, "--version", "--json")
	require.Equal(t, exitOK, code, errs)
	var b build
	require.NoError(t, json.Unmarshal([]byte(out), &b))
	assert.Equal(t, release, b.Version)
	assert.NotEmpty(t, b.Revision)
	assert.Equal(t, runtime.Version(), b.Go)
}

// The newest chapter of the list of changes is that of the version.
func TestTheVersionHasAChapterOfChanges(t *testing.T) {
	changes, err := os.ReadFile("../../CHANGELOG.md")
	require.NoError(t, err)
	newest := regexp.MustCompile(`(?m)^## (v\S+)`).FindSubmatch(changes)
	require.NotNil(t, newest)
	assert.Equal(t, release, string(newest[1]))
}
