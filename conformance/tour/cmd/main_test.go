package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/conformance/tour"
)

func execute(args ...string) (code int, stdout, stderr string) {
	var out, diagnostics bytes.Buffer
	code = run(context.Background(), args, &out, &diagnostics)
	return code, out.String(), diagnostics.String()
}

func TestHelpNamesEveryOption(t *testing.T) {
	t.Parallel()
	code, out, _ := execute("--help")
	assert.Equal(t, exitOK, code)
	for _, option := range []string{"tpm", "tcti", "reset", "list", "json", "swtpmd", "swtpm", "help"} {
		assert.Contains(t, out, "  --"+option+" ")
	}
}

func TestUsageErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ args, want string }{
		{"--tpm tpm12", "there are swtpmd, mssim and swtpm"},
		{"--reset true", "--reset goes with --tcti"},
		{"--unknown", "not defined"},
		{"basics nowhere", `there is no chapter "nowhere"; there are attestation, `},
	} {
		code, out, diagnostics := execute(strings.Fields(c.args)...)
		assert.Equal(t, exitUsage, code, c.args)
		assert.Empty(t, out)
		assert.Contains(t, diagnostics, c.want)
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	code, out, _ := execute("--list", "pcr")
	assert.Equal(t, exitOK, code)
	chapters, err := tour.Chapters()
	require.NoError(t, err)
	chapters, err = chosen(chapters, []string{"pcr"})
	require.NoError(t, err)
	require.Len(t, chapters, 1)
	assert.Equal(t, len(chapters[0].Steps), strings.Count(out, "\n"))
	assert.Contains(t, out, "pcr\ttpm2_pcrextend\t")
}

func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed; scripts/test installs it", program)
		}
	}
}

func TestChapterOnSwtpm(t *testing.T) {
	t.Parallel()
	needs(t, "swtpm", "tpm2_pcrread", "openssl")
	code, out, diagnostics := execute("--tpm", "swtpm", "pcr")
	assert.Equal(t, exitOK, code, out)
	assert.Contains(t, out, "ok\tpcr\ttpm2_pcrextend\t")
	assert.Contains(t, diagnostics, "0 failed, 0 left out")
}

// TestChapterOnSwtpmd starts the daemon as the script does, by both of its protocols.
func TestChapterOnSwtpmd(t *testing.T) {
	t.Parallel()
	needs(t, "tpm2_pcrread", "openssl")
	daemon := filepath.Join(t.TempDir(), "swtpmd")
	built, err := exec.Command("go", "build", "-o", daemon, "../../../cmd/swtpmd").CombinedOutput()
	require.NoError(t, err, "%s", built)
	for _, tpm := range []string{"swtpmd", "mssim"} {
		t.Run(tpm, func(t *testing.T) {
			code, out, diagnostics := execute("--tpm", tpm, "--swtpmd", daemon, "--json", "pcr")
			assert.Equal(t, exitOK, code, out)
			decoder := json.NewDecoder(strings.NewReader(out))
			steps := 0
			for ; decoder.More(); steps++ {
				var r tour.Result
				require.NoError(t, decoder.Decode(&r))
				assert.Equal(t, tour.OK, r.Outcome)
				assert.Equal(t, "pcr", r.Chapter)
			}
			assert.NotZero(t, steps)
			assert.Contains(t, diagnostics, "0 failed, 0 left out")
		})
	}
}

// TestTCTI goes to a TPM that runs already.
func TestTCTI(t *testing.T) {
	t.Parallel()
	needs(t, "swtpm", "tpm2_pcrread", "openssl", "swtpm_ioctl")
	target, stop, err := (&options{tpm: "swtpm", swtpm: "swtpm"}).start(t.Context())
	require.NoError(t, err)
	defer func() { assert.NoError(t, stop()) }()
	socket := strings.TrimPrefix(target.TCTI, "swtpm:path=")

	code, out, diagnostics := execute("--tcti", target.TCTI, "pcr")
	assert.Equal(t, exitOK, code, out)
	assert.Contains(t, out, "left out\tpcr\ttpm2_pcrallocate\t")
	assert.Contains(t, diagnostics, "0 failed, 1 left out")

	code, out, diagnostics = execute("--tcti", target.TCTI, "--reset", "swtpm_ioctl --unix "+socket+".ctrl -i", "pcr")
	assert.Equal(t, exitOK, code, out)
	assert.Contains(t, diagnostics, "0 failed, 0 left out")

	// A chapter begins with a reset.
	code, out, diagnostics = execute("--tcti", target.TCTI, "--reset", "echo no power >&2; false", "pcr")
	assert.Equal(t, exitBroken, code, out)
	assert.Contains(t, diagnostics, "no power")
}

func TestWhatCannotStart(t *testing.T) {
	t.Parallel()
	needs(t, "tpm2_pcrread")
	for _, args := range []string{"--swtpmd /nonexistent pcr", "--tpm mssim --swtpmd /nonexistent pcr", "--tpm mssim --swtpmd /bin/false pcr", "--swtpmd /bin/false pcr", "--tcti swtpm:path=/nonexistent pcr"} {
		code, out, diagnostics := execute(strings.Fields(args)...)
		assert.Equal(t, exitBroken, code, args)
		assert.Empty(t, out)
		assert.NotEmpty(t, diagnostics)
	}
}

func TestPrintsReasonsBelowFailedSteps(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, (&options{}).print(&out, tour.Result{
		Chapter: "c", Tools: []string{"tpm2_a", "tpm2_b"}, Proves: "it", Outcome: tour.Failed, Reason: "one\ntwo",
	}))
	assert.Equal(t, "failed\tc\ttpm2_a,tpm2_b\tit\n\tone\n\ttwo\n", out.String())
}
