package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/conformance/differential"
	"github.com/swtpmd/swtpmd/conformance/differential/version185"
	"github.com/swtpmd/swtpmd/emulator/reference"
)

func execute(args ...string) (code int, stdout, stderr string) {
	var out, diagnostics bytes.Buffer
	code = run(context.Background(), args, strings.NewReader(""), &out, &diagnostics)
	return code, out.String(), diagnostics.String()
}

func TestHelpNamesEveryOption(t *testing.T) {
	t.Parallel()
	code, out, _ := execute("--help")
	assert.Equal(t, exitEqual, code)
	for _, option := range []string{"commands", "sequences", "power", "seed", "against", "device", "check", "max-findings", "replay", "json", "version185", "share"} {
		assert.Contains(t, out, "--"+option)
	}
}

func TestUsageErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ args, want string }{
		{"--commands many", "invalid value"},
		{"--sequences -1", "negative"},
		{"--against emulator", "nothing to compare"},
		{"--against tpm2", "there are emulator, simulator and swtpm"},
		{"more", "unexpected argument"},
		{"--share 2", "from 0 to 1"},
		{"--version185 -1", "negative"},
		{"--unknown", "not defined"},
	} {
		code, out, diagnostics := execute(strings.Fields(c.args)...)
		assert.Equal(t, exitUsage, code, c.args)
		assert.Empty(t, out)
		assert.Contains(t, diagnostics, c.want)
	}
}

func TestShortCampaign(t *testing.T) {
	if _, err := exec.LookPath("swtpm"); err != nil {
		t.Skip("no swtpm program in PATH; install the package swtpm")
	}
	simulator, err := reference.OpenSimulator()
	if errors.Is(err, reference.ErrNoSimulator) {
		t.Skip(err)
	}
	require.NoError(t, err)
	require.NoError(t, simulator.Close())

	// The references differ a little, so the exit code may be either.
	code, out, diagnostics := execute("--device", "swtpm", "--against", "simulator", "--commands", "60", "--sequences", "1", "--power", "1", "--seed", "7", "--json")
	assert.Contains(t, []int{exitEqual, exitFound}, code, diagnostics)
	assert.Contains(t, diagnostics, "swtpm against simulator, --seed 7")
	var report differential.Report
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	assert.Equal(t, uint64(7), report.Seed)
	assert.Len(t, report.Layers, 3)

	script := filepath.Join(t.TempDir(), "script")
	require.NoError(t, os.WriteFile(script, []byte("send 0 80010000000c000001440000\ninit\nsend 0 80010000000a00000181\n"), 0o600))
	code, out, diagnostics = execute("--against", "swtpm", "--replay", script)
	assert.Equal(t, exitEqual, code, diagnostics)
	assert.Contains(t, out, "= send 0 80010000000a00000181 # ReadClock\n  emulator: 80010000000a00000100")

	code, _, diagnostics = execute("--replay", script+".none")
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, diagnostics, "no such file")
}

func TestModelOfVersion185(t *testing.T) {
	t.Parallel()
	code, out, diagnostics := execute("--version185", "2", "--share", "0.001", "--seed", "3")
	assert.Equal(t, exitEqual, code, diagnostics)
	assert.Contains(t, diagnostics, "--seed 3")
	assert.Regexp(t, `(?m)^VerifyDigestSignature +\d+ +\d+$`, out)
	code, out, _ = execute("--version185", "1", "--seed", "3", "--json")
	assert.Equal(t, exitEqual, code)
	var tally version185.Tally
	require.NoError(t, json.Unmarshal([]byte(out), &tally))
	assert.GreaterOrEqual(t, tally.Packets, packetsPerConversation)
}
