package lab

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/ima"
)

// TestMeasured boots Debian's kernel with a root file system of Debian's packages, and
// has it measure what it executes and reads: as it is configured in many ways, and as
// its TPM fails or its machine restarts. scripts/measured-boots runs it.
func TestMeasured(t *testing.T) {
	b := equipMeasured(t)
	t.Run("hundreds of files", b.hundreds)
	for _, c := range measuredCases() {
		t.Run(c.name, func(t *testing.T) { b.measures(t, c) })
	}
	t.Run("sleep", b.sleepsMeasured)
	t.Run("reboot", b.rebootsMeasured)
	t.Run("kexec", b.kexecs)
	t.Run("selftests", b.selftests)
}

// workload has a guest execute and read hundreds of files of its root file system.
const workload = `#!/bin/sh
for program in $(cat /lab/programs); do
	"$program" --version </dev/null >/dev/null 2>&1
done
find /etc /usr/lib/python3.11/json /usr/lib/python3.11/email -type f -exec cat {} + >/dev/null
python3 -c 'import asyncio, concurrent.futures, ctypes, curses, email, hashlib, http.client, json, logging.config, multiprocessing, sqlite3, ssl, unittest, xml.dom.minidom, zipfile'
for module in /lab/modules/*.ko; do insmod "$module"; done
exit 0
`

// workloadFiles are the files that the workload needs.
func (b *measuredBench) workloadFiles(t *testing.T) map[string]string {
	t.Helper()
	said, err := exec.CommandContext(t.Context(), "ls", filepath.Join(b.tree, "usr/bin")).Output()
	require.NoError(t, err)
	var programs []string
	for _, name := range strings.Fields(string(said)) {
		if !strings.HasPrefix(name, "tpm2") && name != "yes" {
			programs = append(programs, name)
		}
	}
	return map[string]string{"lab/workload": workload, "lab/programs": strings.Join(programs, "\n") + "\n"}
}

// hundreds: of hundreds of files, list, PCRs, verifiers and the embedded IMA agree.
func (b *measuredBench) hundreds(t *testing.T) {
	c := &measuredConfig{append: `ima_policy="tcb|critical_data"`, files: b.workloadFiles(t), traced: true}
	g := b.boot(t, c)
	g.run(t, "/lab/workload")
	quote := g.quote(t)
	s := g.takeSnapshot(t)
	events := g.trace(t)
	g.quit(t)

	count, err := strconv.Atoi(s.count)
	require.NoError(t, err)
	assert.Greater(t, count, 300)
	s.replays(t)
	b.evmctlAgrees(t, s)
	b.verifies(t, s, quote)
	b.plays(t, s, events, &bootEvents{config: c})
}

// quoted is a quote that tpm2-tools took in the guest, and the firmware's event log.
type quoted map[string]string

// quoteFiles are the files of a quote.
var quoteFiles = []string{"ak.pem", "quote", "signature", "eventlog"}

const quoteScript = `set -e; cd /run; export TPM2TOOLS_TCTI=device:/dev/tpmrm0
tpm2_createprimary -Q -C e -G ecc -c primary; tpm2_create -Q -C primary -G ecc256:ecdsa-sha256:null -a 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|sign' -u ak.pub -r ak.priv
tpm2_load -Q -C primary -u ak.pub -r ak.priv -c ak; tpm2_readpublic -Q -c ak -f pem -o ak.pem
tpm2_quote -Q -c ak -l sha256:0,1,2,3,4,5,6,7,8,9,10 -q c0ffee -m quote -s signature
cat /sys/kernel/security/tpm0/binary_bios_measurements >eventlog`

// quote has the guest take a quote, after all that it runs for it was measured.
func (g *measuredGuest) quote(t *testing.T) quoted {
	t.Helper()
	script := strings.ReplaceAll(quoteScript, "\n", "; ")
	g.run(t, script)
	g.run(t, script)
	files := quoted{}
	for _, name := range quoteFiles {
		files[name] = g.run(t, "base64 -w 0 /run/"+name)
	}
	return files
}

// replays: the list replays to PCR 10 of every bank of the TPM, and its boot aggregate is
// that of the other PCRs.
func (s *snapshot) replays(t *testing.T) {
	t.Helper()
	if !assert.False(t, s.bypass, "IMA found no TPM: on a busy machine the kernel has not got an answer in time") {
		return
	}
	c, err := compareList(s.list, s.pcrs)
	require.NoError(t, err)
	require.NotEmpty(t, s.pcrs)
	for _, row := range c.Banks {
		match, ok := row.Match()
		assert.True(t, ok, "PCR %d of %s", row.PCR, row.Bank)
		t.Logf("%s records, %s violations: PCR %d of %s holds them, with %s", s.count, s.violations, row.PCR, row.Bank, match.Digests)
	}
	require.GreaterOrEqual(t, len(c.Banks), len(s.pcrs))
	require.Len(t, c.BootAggregates, 1)
	s.sameASCII(t)
}

// sameASCII: the kernel's ASCII list has the records of the binary one.
func (s *snapshot) sameASCII(t *testing.T) {
	t.Helper()
	var text []byte
	list, err := ima.Open(s.list, ima.Format{})
	require.NoError(t, err)
	records, err := ima.ReadAll(list)
	require.NoError(t, err)
	for _, r := range records {
		text, err = r.AppendText(text)
		require.NoError(t, err)
	}
	assert.Equal(t, string(s.ascii), string(text))
	assert.Equal(t, s.count, strconv.Itoa(len(records)))
}

// evmctlAgrees: evmctl of ima-evm-utils replays the list to the PCRs of the two banks
// that it knows.
func (b *measuredBench) evmctlAgrees(t *testing.T, s *snapshot) {
	t.Helper()
	evmctl, err := exec.LookPath("evmctl")
	require.NoError(t, err, "it is in the Debian package ima-evm-utils")
	dir := t.TempDir()
	list := filepath.Join(dir, "list")
	require.NoError(t, os.WriteFile(list, s.list, 0o600))
	args := []string{"-v", "ima_measurement", "--ignore-violations"}
	for _, bank := range []ima.HashAlgo{ima.SHA1, ima.SHA256} {
		if s.pcrs[bank] == nil {
			continue
		}
		var text strings.Builder
		for pcr := range 24 {
			fmt.Fprintf(&text, "PCR-%02d: %s\n", pcr, s.pcrs[bank][pcr])
		}
		name := filepath.Join(dir, bank.String())
		require.NoError(t, os.WriteFile(name, []byte(text.String()), 0o600))
		args = append(args, "--pcrs", bank.String()+","+name)
	}
	said, err := exec.CommandContext(t.Context(), evmctl, append(args, list)...).CombinedOutput()
	require.NoError(t, err, "%s", said)
	assert.Contains(t, string(said), "Matched per TPM bank calculated digest(s).")
	for _, line := range regexp.MustCompile(`(?m)^.* PCR-10: succeed at entry .*$`).FindAllString(string(said), -1) {
		t.Log("evmctl: ", line)
	}
}

// verify runs swtpmd verify on what the guest and its TPM have.
func (b *measuredBench) verify(t *testing.T, s *snapshot, args ...string) (said string, code int) {
	t.Helper()
	dir := t.TempDir()
	list, pcrs := filepath.Join(dir, "list"), filepath.Join(dir, "pcrs.json")
	require.NoError(t, os.WriteFile(list, s.list, 0o600))
	text, err := json.Marshal(s.view.PCRs)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(pcrs, text, 0o600))
	args = append([]string{"verify", "--pcrs=" + pcrs, "--kernel=" + b.release(), "--policy=accept-late"}, args...)
	cmd := exec.CommandContext(t.Context(), b.swtpmd, append(args, list)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

// release returns the kernel's uname -r.
func (b *measuredBench) release() string {
	return strings.TrimPrefix(filepath.Base(b.machine.Kernel), "vmlinuz-")
}

// verifies: swtpmd verify accepts the list with a quote, its nonce and the event log.
func (b *measuredBench) verifies(t *testing.T, s *snapshot, q quoted) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range quoteFiles {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), fromBase64(t, q[name]), 0o600))
	}
	args := []string{"--quote=" + filepath.Join(dir, "quote"), "--signature=" + filepath.Join(dir, "signature"),
		"--key=" + filepath.Join(dir, "ak.pem"), "--event-log=" + filepath.Join(dir, "eventlog"), "--nonce="}
	said, code := b.verify(t, s, append(args[:4:4], args[4]+"c0ffee")...)
	assert.Zero(t, code, "%s", said)
	for _, code := range []string{"quote-verified", "aggregate-match", "event-log-match"} {
		assert.Contains(t, said, code)
	}
	t.Logf("swtpmd verify:\n%s", said)
	said, code = b.verify(t, s, append(args[:4:4], args[4]+"c0fee0")...)
	assert.NotZero(t, code, "another nonce: %s", said)
}
