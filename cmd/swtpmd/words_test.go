package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/options"
)

// A system's own words for a path that is too long are "invalid argument".
func TestSocketPathsThatAreTooLong(t *testing.T) {
	base, err := os.MkdirTemp("", "d") // short itself
	require.NoError(t, err)
	defer os.RemoveAll(base)
	sockets := t.TempDir()
	long := filepath.Join(base, strings.Repeat("x", options.MaxSocketPath))
	for option, args := range map[string][]string{
		"dir":     {"--dir", long},
		"admin":   {"--dir", sockets, "--admin", long},
		"console": {"--dir", sockets, "--defer-until=late", "--console=unix:" + long},
		"levels":  {"--dir", sockets, "--defer-until=late", "--system-map=m", "--levels=gdb:unix:" + long},
		"ctrl":    {"socket", "--tpm2", "--ctrl", "type=unixio,path=" + long},
		"server":  {"socket", "--tpm2", "--server", "type=unixio,path=" + long},
	} {
		code, out, errs := called(t, args...)
		assert.Equal(t, exitUsage, code, option)
		assert.Empty(t, out)
		assert.Contains(t, errs, "--"+option+": the path "+long)
		assert.Contains(t, errs, fmt.Sprintf("at most %d\n", options.MaxSocketPath))
		assert.Contains(t, errs, "choose a shorter")
	}
	left, err := os.ReadDir(base)
	require.NoError(t, err)
	assert.Empty(t, left)

	// The longest one works.
	fits := filepath.Join(base, strings.Repeat("y", options.MaxSocketPath-len(base)-1))
	d := daemonWith(t, "--admin", fits)
	d.stop()
	require.Equal(t, exitOK, d.exitCode(t))
}
