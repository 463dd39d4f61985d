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

// Evidence in the form of public reports: a padded event, and a PCR that user space
// has extended since.
func TestVerifyReportedEvidence(t *testing.T) {
	const dir = "../../ima/verify/testdata/evidence/"
	for name, finding := range map[string]string{
		"locality-event-padded":      "caution     event-log-deviates: event log",
		"pcr9-extended-by-userspace": "caution     aggregate-of-event-log: record 1, sha256 PCR 9",
	} {
		code, out, errs := called(t, "verify", "--pcrs="+dir+name+".json", "--vouched", "--event-log="+dir+name+".log",
			"--kernel=6.12", "--strategy=late", "--bound", dir+name+".bin")
		assert.Equal(t, exitOK, code, "%s: %s", name, errs)
		assert.Contains(t, out, finding)
		assert.NotContains(t, out, "failure ", name)
	}
}

// What tpm2_quote writes is enough: PCR values, quote, signature and key in its own
// forms. The quote says of which PCRs the values are.
func TestVerifyReadsTPM2ToolsQuotes(t *testing.T) {
	const dir = "../../ima/verify/testdata/tpm2-tools/"
	for _, kind := range []string{"rsa", "ecc"} {
		for _, form := range []string{"tss", "plain"} {
			for _, key := range []string{"tpm2b", "tpmt", "pem"} {
				for _, pcrs := range []string{"pcrread.values", "pcrread.serialized", "pcrread-sel.yaml"} {
					code, out, errs := called(t, "verify", "--pcrs="+dir+pcrs, "--quote="+dir+"q-"+kind+"-"+form+"-values.msg",
						"--signature="+dir+"q-"+kind+"-"+form+"-values.sig", "--key="+dir+"ak-"+kind+"."+key, "--nonce=c0ffee",
						"--policy=accept-late", "testdata/debian-6.1-exec.bin")
					assert.Equal(t, exitRejected, code, "the list of another machine: %s", errs)
					assert.Contains(t, out, "note        quote-verified: quote", "%s %s %s %s", kind, form, key, pcrs)
				}
			}
		}
	}
	code, _, errs := called(t, "verify", "--pcrs="+dir+"pcrread.values", "--quote="+dir+"q-ecc-tss-values.msg",
		"--signature="+dir+"q-ecc-tss-values.sig", "--key="+dir+"pcrread.values", "testdata/debian-6.1-exec.bin")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errs, "is no file of a public key: no public key: neither PEM, DER, TPM2B_PUBLIC nor TPMT_PUBLIC")
}
