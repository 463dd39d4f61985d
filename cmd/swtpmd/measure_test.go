package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/measure"
	"github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/transport/raw"
)

// someFiles makes a directory with three files, one of them a program.
func someFiles(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a file"), []byte("content"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "program"), []byte("#!/bin/sh\n"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "empty"), nil, 0o600))
	require.NoError(t, os.Symlink("program", filepath.Join(dir, "link")))
	return dir
}

// measuredTo measures files and gives what measure told.
func measuredTo(t *testing.T, out string, args ...string) measure.Summary {
	t.Helper()
	code, told, errs := called(t, append([]string{"measure", "--json", "--out", out}, args...)...)
	require.Equal(t, exitOK, code, errs)
	var m measure.Summary
	require.NoError(t, json.Unmarshal([]byte(told), &m))
	return m
}

func TestMeasureLeavesAListThatVerifies(t *testing.T) {
	files, out := someFiles(t), t.TempDir()
	m := measuredTo(t, out, files)
	assert.Equal(t, 3, m.Files)
	assert.Equal(t, 4, m.Records, "the boot aggregate, and each file once")
	assert.Len(t, m.PCR10, 4)

	text, err := os.ReadFile(filepath.Join(out, "ascii_runtime_measurements"))
	require.NoError(t, err)
	// SHA-256 of "content"; a blank in a name becomes an underscore.
	assert.Contains(t, string(text), "sha256:ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73 "+files+"/a_file\n")
	assert.NotContains(t, string(text), "link")
	for _, list := range []string{"ascii_runtime_measurements", "binary_runtime_measurements"} {
		code, said, errs := called(t, "verify", "--pcrs", filepath.Join(out, "pcrs.json"), "--vouched", "--policy=accept-late", filepath.Join(out, list))
		assert.Equal(t, exitOK, code, said+errs)
	}
}

func TestMeasureWithRulesOfOnesOwn(t *testing.T) {
	files, out := someFiles(t), t.TempDir()
	rules := filepath.Join(t.TempDir(), "rules")
	require.NoError(t, os.WriteFile(rules, []byte("measure func=BPRM_CHECK\n"), 0o600))
	m := measuredTo(t, out, "--policy=file:"+rules, "--template=ima-sig", "--hash=sha512", files)
	assert.Equal(t, 2, m.Records, "the boot aggregate and the program")
	text, err := os.ReadFile(filepath.Join(out, "ascii_runtime_measurements"))
	require.NoError(t, err)
	assert.Contains(t, string(text), " ima-sig sha512:")
	assert.Contains(t, string(text), "/program")
	assert.NotContains(t, string(text), "/empty")
}

func TestMeasureIntoARunningDaemon(t *testing.T) {
	d := daemonWith(t, "--flags=startup-clear")
	m := measuredTo(t, t.TempDir(), "--tpm=unix:"+d.ready.Data, someFiles(t))
	code, out, errs := called(t, "ctl", "--admin", d.ready.Admin, "--json", "pcrs")
	require.Equal(t, exitOK, code, errs)
	var seen ima.PCRs
	require.NoError(t, json.Unmarshal([]byte(out), &seen))
	for algo, bank := range m.PCR10 {
		assert.Equal(t, bank[10], seen[algo][10], algo)
		assert.NotEqual(t, make(ima.Hex, algo.Size()), bank[10])
	}
}

// quoted runs verify on the files that measure has written to a directory, with a
// nonce, and returns its exit code and its output.
func quoted(t *testing.T, out, nonce string, flags ...string) (int, string) {
	t.Helper()
	args := append([]string{"verify", "--policy=accept-late", "--pcrs", filepath.Join(out, "pcrs.json"),
		"--quote", filepath.Join(out, "quote.attest"), "--signature", filepath.Join(out, "quote.signature"),
		"--key", filepath.Join(out, "quote.key.pem"), "--nonce=" + nonce}, flags...)
	code, said, errs := called(t, append(args, filepath.Join(out, "binary_runtime_measurements"))...)
	return code, said + errs
}

// Every kind of emulated TPM leaves a quote that verifies, for its nonce alone.
func TestMeasureLeavesAQuote(t *testing.T) {
	files := someFiles(t)
	for _, profile := range []string{"default", "pc-client", "hardware-like", "roomy", "tiny"} {
		out := t.TempDir()
		m := measuredTo(t, out, "--profile="+profile, "--nonce=c0ffee", files)
		assert.Equal(t, "of PCR 0-10", m.Quote, profile)
		code, said := quoted(t, out, "c0ffee")
		assert.Equal(t, exitOK, code, said)
		assert.Contains(t, said, "quote-verified", profile)
		code, said = quoted(t, out, "bad0")
		assert.Equal(t, exitRejected, code, said)
		assert.Contains(t, said, "quote-nonce", profile)
	}
}

// ML-DSA keys of every parameter set sign quotes that verify, and RSA keys too; a TPM of
// an older version has no such key, and says so before it extends anything.
func TestMeasureWithAttestationKeys(t *testing.T) {
	files := someFiles(t)
	for name, scheme := range map[string]string{
		"ml-dsa-44": "ML-DSA-44", "ml-dsa-65": "ML-DSA-65", "ml-dsa-87": "ML-DSA-87", "rsa2048": "RSASSA sha256", "ecc-p256": "ECDSA sha256",
	} {
		out := t.TempDir()
		m := measuredTo(t, out, "--profile=v185", "--ak="+name, "--nonce=c0ffee", files)
		assert.Equal(t, "of PCR 0-10", m.Quote, name)
		code, said := quoted(t, out, "c0ffee")
		assert.Equal(t, exitOK, code, said)
		assert.Contains(t, said, "signed with the key given ("+scheme+")", name)
	}
	out := filepath.Join(t.TempDir(), "out")
	code, _, errs := called(t, "measure", "--ak=ml-dsa-65", "--out="+out, files)
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, errs, "--ak: the TPM has no attestation key ml-dsa-65: TPM2_TestParms: TPM_RC_TYPE")
	assert.Contains(t, errs, "--profile=v185")
	assert.NoDirExists(t, out)
}

// A quote with ML-DSA-87, which is larger than 4,096 bytes, comes over every transport.
func TestLargestQuoteOverTransports(t *testing.T) {
	files := someFiles(t)
	d := daemonWith(t, "--profile=v185", "--flags=startup-clear")
	m := mssimWith(t, "--profile=v185", "--flags=startup-clear")
	for _, address := range []string{"unix:" + d.ready.Data, "swtpm:path=" + d.ready.Data, "swtpm:ctrl=" + d.ready.Control, m.ready.TCTI} {
		out := t.TempDir()
		measuredTo(t, out, "--tpm="+address, "--ak=ml-dsa-87", "--nonce=c0ffee", files)
		code, said := quoted(t, out, "c0ffee")
		assert.Contains(t, said, "signed with the key given (ML-DSA-87)", "%s: exit code %d", address, code)
	}
}

// One bit that is changed of a quote with ML-DSA, wherever it is, is found.
func TestMLDSAQuoteThatWasChanged(t *testing.T) {
	first := t.TempDir()
	measuredTo(t, first, "--profile=v185", "--ak=ml-dsa-65", "--nonce=c0ffee", someFiles(t))
	for file, says := range map[string]string{
		"quote.attest": "quote-signature", "quote.signature": "quote-signature",
		"quote.key.pem": "quote-signature", "binary_runtime_measurements": "replay-mismatch", "pcrs.json": "quote-digest",
	} {
		content, err := os.ReadFile(filepath.Join(first, file))
		require.NoError(t, err)
		middle := len(content) / 2
		for _, at := range []int{middle - 7, middle, len(content) - 2} {
			if file != "quote.attest" && file != "quote.signature" && at != middle {
				continue
			}
			changed := changedAt(t, file, content, at)
			out := t.TempDir()
			require.NoError(t, os.CopyFS(out, os.DirFS(first)))
			require.NoError(t, os.WriteFile(filepath.Join(out, file), changed, 0o644))
			code, said := quoted(t, out, "c0ffee")
			assert.Equal(t, exitRejected, code, "%s, octet %d: %s", file, at, said)
			assert.Contains(t, said, says, "%s, octet %d", file, at)
		}
	}
}

// changedAt returns a file of evidence with one bit changed: of an octet, of the key in
// PEM, of the list's last digest, or of a value of PCR 10.
func changedAt(t *testing.T, file string, content []byte, at int) []byte {
	t.Helper()
	switch file {
	case "quote.key.pem":
		block, _ := pem.Decode(content)
		require.NotNil(t, block)
		block.Bytes[len(block.Bytes)/2] ^= 1
		return pem.EncodeToMemory(block)
	case "pcrs.json":
		var pcrs ima.PCRs
		require.NoError(t, json.Unmarshal(content, &pcrs))
		pcrs[ima.SHA256][4][0] ^= 1
		text, err := json.Marshal(pcrs)
		require.NoError(t, err)
		return text
	case "binary_runtime_measurements":
		at = bytes.LastIndex(content, []byte("sha256:")) + len("sha256:") + 2
	}
	changed := bytes.Clone(content)
	changed[at] ^= 1
	return changed
}

// What somebody has changed of it does not verify any more.
func TestQuoteThatWasChanged(t *testing.T) {
	files, first, other := someFiles(t), t.TempDir(), t.TempDir()
	measuredTo(t, first, "--nonce=c0ffee", files)
	measuredTo(t, other, "--nonce=c0ffee", filepath.Join(files, "program"))
	for name, tc := range map[string]struct {
		file string
		put  string // in place of it, the same of the other measurement
		flip int    // else the octet that is another, from the end
		says string
	}{
		"signature":      {file: "quote.signature", flip: 1, says: "quote-signature"},
		"PCR digest":     {file: "quote.attest", flip: 1, says: "quote-signature"},
		"another quote":  {file: "quote.attest", put: "quote.attest", says: "quote-signature"},
		"another key":    {file: "quote.key.pem", put: "quote.key.pem", says: "quote-signature"},
		"another's PCRs": {file: "pcrs.json", put: "pcrs.json", says: "quote-digest"},
		"another's list": {file: "binary_runtime_measurements", put: "binary_runtime_measurements", says: "replay-mismatch"},
	} {
		out := t.TempDir()
		require.NoError(t, os.CopyFS(out, os.DirFS(first)))
		content, err := os.ReadFile(filepath.Join(first, tc.file))
		require.NoError(t, err)
		if tc.put != "" {
			content, err = os.ReadFile(filepath.Join(other, tc.put))
			require.NoError(t, err)
		} else {
			content[len(content)-tc.flip] ^= 1
		}
		require.NoError(t, os.WriteFile(filepath.Join(out, tc.file), content, 0o644))
		code, said := quoted(t, out, "c0ffee")
		assert.Equal(t, exitRejected, code, "%s: %s", name, said)
		assert.Contains(t, said, tc.says, name)
	}
}

// The distribution's swtpm quotes too, and so does what measures into a TPM that
// somebody else runs.
func TestMeasureQuotesOtherTPMs(t *testing.T) {
	path, err := exec.LookPath("swtpm")
	if err != nil {
		t.Skip("no swtpm here; scripts/setup installs it")
	}
	dir := t.TempDir()
	socket := filepath.Join(dir, "s")
	swtpm := exec.CommandContext(t.Context(), path, "socket", "--tpm2", "--tpmstate", "dir="+dir,
		"--server", "type=unixio,path="+socket, "--flags", "not-need-init,startup-clear")
	require.NoError(t, swtpm.Start())
	t.Cleanup(func() { _ = swtpm.Process.Kill(); _ = swtpm.Wait() })
	require.Eventually(t, func() bool {
		tpm, err := raw.Dial(t.Context(), "unix", socket)
		if err == nil {
			tpm.Close()
		}
		return err == nil
	}, time.Minute, 5*time.Millisecond)
	d := daemonWith(t, "--flags=startup-clear")
	for name, address := range map[string]string{"swtpm": socket, "swtpmd": d.ready.Data} {
		out := t.TempDir()
		m := measuredTo(t, out, "--tpm=unix:"+address, "--nonce=c0ffee", someFiles(t))
		assert.Equal(t, "of PCR 0-10", m.Quote, name)
		code, said := quoted(t, out, "c0ffee")
		assert.Equal(t, exitOK, code, "%s: %s", name, said)
		assert.Contains(t, said, "quote-verified", name)
	}
}

// The longest nonces that the TPM says it takes it takes.
func TestMeasureWithALongNonce(t *testing.T) {
	files := someFiles(t)
	for profile, n := range map[string]int{"default": 66, "tiny": 34} {
		out, nonce := t.TempDir(), strings.Repeat("5a", n)
		measuredTo(t, out, "--profile="+profile, "--nonce="+nonce, files)
		code, said := quoted(t, out, nonce)
		assert.Equal(t, exitOK, code, "%s: %s", profile, said)
	}
}

// A quote that was asked for and not got is a failure, and no older one is left
// to be taken for it.
func TestMeasureWithoutItsQuote(t *testing.T) {
	files, out := someFiles(t), t.TempDir()
	measuredTo(t, out, "--nonce=c0ffee", files)
	mine := filepath.Join(out, "quote.mine")
	stale := filepath.Join(out, "binary_runtime_measurements_tpm_alg_27")
	for _, name := range []string{mine, stale} {
		require.NoError(t, os.WriteFile(name, nil, 0o600))
	}
	tpm := serveWithoutQuote(t)
	code, told, errs := called(t, "measure", "--tpm=unix:"+tpm, "--out", out, "--nonce=c0ffee", files)
	assert.Equal(t, exitFailed, code)
	assert.Empty(t, told)
	assert.Contains(t, errs, "--nonce asks for a quote, and there is none: a quote: TPM2_Quote: TPM_RC_COMMAND_CODE")
	for _, name := range []string{"quote.attest", "quote.signature", "quote.key.pem"} {
		assert.NoFileExists(t, filepath.Join(out, name))
	}
	assert.NoFileExists(t, stale)
	assert.FileExists(t, mine)
	code, said, errs := called(t, "verify", "--pcrs", filepath.Join(out, "pcrs.json"), "--vouched", "--policy=accept-late", filepath.Join(out, "binary_runtime_measurements"))
	assert.Equal(t, exitOK, code, said+errs)

	// Nobody has asked for one here.
	m := measuredTo(t, t.TempDir(), "--tpm=unix:"+serveWithoutQuote(t), files)
	assert.Contains(t, m.Quote, "none: a quote: TPM2_Quote: TPM_RC_COMMAND_CODE")
}

// serveWithoutQuote serves a TPM without TPM2_Quote, and gives its socket.
func serveWithoutQuote(t *testing.T) string {
	t.Helper()
	const quote = 0x158
	tpm, err := faults.Wrap(emulatortest.New(t), faults.Plan{Rules: []faults.Rule{
		{Name: "no quote", When: faults.When{Commands: []uint32{quote}}, Do: faults.Answer(0x143)},
	}})
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", path)
	require.NoError(t, err)
	server := raw.NewServer(tpm, raw.Options{})
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close(context.Background()) })
	return path
}

func TestWrongMeasurements(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{nil, exitUsage, "name files"},
		{[]string{"--nonce=x", "."}, exitUsage, "hex"},
		{[]string{"--ak=ml-dsa-66", "."}, exitUsage, `no attestation key is "ml-dsa-66"; there are ecc-p256, rsa2048, ml-dsa-44`},
		{[]string{"--tpm=cloud", "."}, exitUsage, "/dev"},
		{[]string{"--tpm=unix:/does/not/exist", "."}, exitFailed, "/does/not/exist"},
		{[]string{"--tpm=/dev/does-not-exist", "."}, exitFailed, "/dev/does-not-exist"},
		{[]string{"--kernel=2.4", "."}, exitUsage, "6.12"},
		{[]string{"--policy=tbc", "."}, exitUsage, `--policy: unknown word of ima_policy= "tbc"; there are tcb, appraise_tcb, secure_boot, critical_data, fail_securely`},
		{[]string{"--template=ima-sgi", "."}, exitUsage, `--template: unknown template "ima-sgi"; there are ima, ima-ng, ima-sig`},
		{[]string{"--hash=sha-256", "."}, exitUsage, `--hash: unknown hash "sha-256"; there are md5, sha1, sha256`},
		{[]string{"--hash=streebog256", "."}, exitUsage, `--hash: unknown hash "streebog256"`},
		{[]string{"--template=ima", "--hash=sha256", "."}, exitUsage, `unknown hash of the template ima "sha256"; there are md5, sha1`},
		{[]string{"--nonce=" + strings.Repeat("00", 67), "."}, exitUsage, "--nonce has 67 bytes; this TPM takes at most 66"},
		{[]string{"--profile=tiny", "--nonce=" + strings.Repeat("00", 35), "."}, exitUsage, "--nonce has 35 bytes; this TPM takes at most 34"},
		{[]string{"--policy=file:/does/not/exist", "."}, exitUsage, "/does/not/exist"},
		{[]string{"/does/not/exist"}, exitFailed, "/does/not/exist"},
	} {
		code, _, errs := called(t, append([]string{"measure", "--out", t.TempDir()}, c.args...)...)
		assert.Equal(t, c.code, code, "%v", c.args)
		assert.Contains(t, errs, c.says, "%v", c.args)
	}
}
