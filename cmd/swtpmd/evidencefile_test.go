package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
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
		"a file of sysfs": {"--pcrs=" + write("pcr-sha256/10", hex+"\n")},
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

func TestDecodeNonce(t *testing.T) {
	for _, digits := range []string{"c0ffee", "C0FFEE", "0xc0ffee", "0XC0FFEE"} {
		nonce, err := cli.ParseHex(digits)
		require.NoError(t, err)
		assert.Equal(t, []byte{0xc0, 0xff, 0xee}, nonce)
	}
	for _, digits := range []string{"0x", "c0ffe", "0x0xc0"} {
		_, err := cli.ParseHex(digits)
		assert.Error(t, err, digits)
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
// forms. The quote names the PCRs of the values.
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

// What a machine with tpm2-tools sends is verified as it is: files that are
// measured into the daemon's TPM, and a quote of it.
func TestVerifyWhatTPM2ToolsQuote(t *testing.T) {
	if _, err := exec.LookPath("tpm2_quote"); err != nil {
		t.Skip("tpm2_quote is not installed (Debian package tpm2-tools); scripts/test installs it")
	}
	d := daemonWith(t, "--flags=startup-clear")
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	tool := func(name string, args ...string) string {
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "TPM2TOOLS_TCTI=swtpm:path="+d.ready.Data)
		said, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s: %s", name, said)
		return string(said)
	}
	const pcrs = "sha1:0,1,2,3,4,5,6,7,8,9,10+sha256:0,1,2,3,4,5,6,7,8,9,10"
	code, _, errs := called(t, "measure", "--tpm=unix:"+d.ready.Data, "--out="+dir, "--kernel=6.1.0-56-amd64", "--policy=tcb|critical_data", "testdata/debian-6.1-exec.bin")
	require.Equal(t, exitOK, code, errs)
	tool("tpm2_createprimary", "-Q", "-C", "e", "-G", "ecc256:ecdsa-sha256:null", "-a", "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|sign", "-c", "ak.ctx")
	tool("tpm2_readpublic", "-Q", "-c", "ak.ctx", "-o", "ak.pub")
	printed := tool("tpm2_quote", "-c", "ak.ctx", "-l", pcrs, "-q", "c0ffee", "-m", "q.msg", "-s", "q.sig", "-o", "q.pcrs")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "quote.txt"), []byte(printed), 0o600))
	tool("tpm2_pcrread", pcrs, "-o", "values")
	for _, values := range []string{"q.pcrs", "quote.txt", "values", "pcrs.json"} {
		code, out, errs := called(t, "verify", "--pcrs="+filepath.Join(dir, values), "--quote="+filepath.Join(dir, "q.msg"),
			"--signature="+filepath.Join(dir, "q.sig"), "--key="+filepath.Join(dir, "ak.pub"), "--nonce=c0ffee", "--policy=accept-late",
			"--kernel=6.1.0-56-amd64", filepath.Join(dir, "binary_runtime_measurements"))
		assert.Equal(t, exitOK, code, "%s: %s%s", values, out, errs)
	}
}
