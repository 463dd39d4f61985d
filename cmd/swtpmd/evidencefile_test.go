package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/ima"
)

// verify takes the PCR values of a machine in the forms in which they come, and
// says the same of them.
func TestVerifyReadsPCRFiles(t *testing.T) {
	const list = "testdata/debian-6.1-exec.bin"
	text, err := os.ReadFile("testdata/debian-6.1-exec.pcrs.json")
	require.NoError(t, err)
	var pcrs ima.PCRs
	require.NoError(t, json.Unmarshal(text, &pcrs))
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	values := string(pcrs[ima.SHA256][10])
	hex := strings.ToUpper(pcrs[ima.SHA256][10].String())
	for name, args := range map[string][]string{
		"tpm2_pcrread":    {"--pcrs=" + write("pcrs.yaml", "  sha256:\n    10: 0x"+hex+"\n")},
		"tpm2_pcrread -o": {"--pcrs=" + write("pcrs.bin", values), "--pcrs-selection=sha256:10"},
		"sysfs":           {"--pcrs=" + filepath.Dir(write("pcr-sha256/10", hex+"\n"))},
		"JSON":            {"--pcrs=" + write("pcrs.json", `{"SHA256":{"10":"0x`+hex+`"}}`)},
	} {
		code, out, errs := called(t, append(append([]string{"verify", "--policy=accept-late"}, args...), list)...)
		assert.Equal(t, exitCannotTell, code, "%s: %s", name, errs)
		assert.Contains(t, out, "sha256 PCR 10: match at record 4", name)
	}
	for says, args := range map[string][]string{
		"(--pcrs-selection)":                                {"--pcrs=" + filepath.Join(dir, "pcrs.bin")},
		"neither pcr-sha256":                                {"--pcrs=testdata"},
		"is no file of PCR values":                          {"--pcrs=" + list},
		"PCR values in JSON, byte 12: bank: unexpected EOF": {"--pcrs=" + write("cut.json", `{"sha256": {`)},
	} {
		code, out, errs := called(t, append(append([]string{"verify"}, args...), list)...)
		assert.Equal(t, exitFailed, code, "%v", args)
		assert.Empty(t, out, "%v", args)
		assert.Contains(t, errs, says, "%v", args)
	}
	for says, args := range map[string][]string{
		"--pcrs-selection without --pcrs": {"--pcrs-selection=sha256:10"},
		`"99" is no PCR`:                  {"--pcrs-selection=sha256:99"},
	} {
		code, _, errs := called(t, append(append([]string{"verify"}, args...), list)...)
		assert.Equal(t, exitUsage, code, "%v", args)
		assert.Contains(t, errs, says, "%v", args)
	}
}
