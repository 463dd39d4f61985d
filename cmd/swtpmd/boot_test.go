package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/simulate"
	"github.com/swtpmd/swtpmd/ima/boot"
	"github.com/swtpmd/swtpmd/ima/verify"
)

func TestBootShowsTheBypass(t *testing.T) {
	code, out, errs := called(t, "boot", "--defer-until=late_sync")
	require.Equal(t, exitOK, code, errs)
	// In the order of a kernel's log.
	for _, line := range []string{
		"entering initcall level: device",
		"A TPM error (257) occurred attempting the self test",
		"calling  init_ima",
		"ima: No TPM chip found, activating TPM-bypass!",
		"calling  deferred_probe_initcall",
		"entering initcall level: late_sync",
		"10 0adefe762c149c7cec19da62f0da1297fcfbffff ima-ng sha256:0000000000000000000000000000000000000000000000000000000000000000 boot_aggregate",
		"sha256 PCR 10: reset",
		"strict: reject",
		"IMA went into TPM-bypass: it looked for a TPM at late",
	} {
		before, rest, found := strings.Cut(out, line)
		require.True(t, found, "%q is missing, or comes too early, in\n%s", line, out)
		_ = before
		out = rest
	}
}

func TestBootOnTimeIsMeasuredAndAccepted(t *testing.T) {
	code, out, errs := called(t, "boot", "--json", "--policy=tcb")
	require.Equal(t, exitOK, code, errs)
	var o struct {
		Boot       struct{ Summary boot.Summary }
		Appraisals []verify.Result
	}
	require.NoError(t, json.Unmarshal([]byte(out), &o))
	assert.False(t, o.Boot.Summary.Bypass)
	assert.Equal(t, o.Boot.Summary.Kept, o.Boot.Summary.Extended)
	require.NotEmpty(t, o.Appraisals)
	for _, a := range o.Appraisals {
		assert.Equal(t, verify.Accept, a.Outcome, a.Policy)
	}
}

func TestSameSeedSameBoot(t *testing.T) {
	args := []string{"boot", "--platform=powervm", "--strategy=retry", "--defer-until=late_sync", "--json"}
	_, first, _ := called(t, append(args, "--seed=7")...)
	_, again, _ := called(t, append(args, "--seed=7")...)
	_, other, _ := called(t, append(args, "--seed=8")...)
	// The journal has the wall-clock times of the decisions.
	cut := func(text string) string { head, _, _ := strings.Cut(text, `"deferrals"`); return head }
	assert.Equal(t, cut(first), cut(again))
	assert.NotEqual(t, cut(first), cut(other))
}

func TestBootWritesTheListsOfTheRealMachine(t *testing.T) {
	dir := t.TempDir()
	code, _, errs := called(t, "boot", "--platform=powervm", "--strategy=dual", "--out", dir)
	require.Equal(t, exitOK, code, errs)
	ours, err := os.ReadFile(filepath.Join(dir, "ascii_runtime_measurements"))
	require.NoError(t, err)
	real, err := os.ReadFile("testdata/powervm_7.1.0-rc1_ima-sig_ascii_runtime_measurements")
	require.NoError(t, err)
	assert.Equal(t, string(real), string(ours))
	code, out, errs := called(t, "verify", "--kernel=7.3", filepath.Join(dir, "binary_runtime_measurements"))
	assert.Equal(t, exitRejected, code, errs)
	assert.Contains(t, out, "32 records")
}

func TestAPlatformOfOnesOwn(t *testing.T) {
	code, text, errs := called(t, "boot", "--platform=pc-tis", "--print-platform")
	require.Equal(t, exitOK, code, errs)
	file := filepath.Join(t.TempDir(), "my.platform")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	_, fromFile, _ := called(t, "boot", "--platform", file)
	_, byName, _ := called(t, "boot")
	assert.Equal(t, byName, fromFile)
}

func TestWrongBoots(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "broken.platform")
	require.NoError(t, os.WriteFile(broken, []byte("platform x\ninitcall latest init_ima ima\n"), 0o600))
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"--platform=sun"}, "powervm"},
		{[]string{"--platform=./none.platform"}, "none.platform"},
		{[]string{"--platform", broken}, "broken.platform:2"},
		{[]string{"--strategy=hope"}, "late_sync"},
		{[]string{"--attack=hope"}, "unlink"},
		{[]string{"--kernel=2.4"}, "6.12"},
		{[]string{"--policy=tbc"}, `--policy: unknown word of ima_policy= "tbc"; there are tcb, appraise_tcb`},
		{[]string{"--defer-until=early", "--defer-from=late"}, "not after"},
		{[]string{"more"}, "unexpected argument"},
	} {
		code, out, errs := called(t, append([]string{"boot"}, c.args...)...)
		assert.Equal(t, exitUsage, code, "%v", c.args)
		assert.Empty(t, out, "%v", c.args)
		assert.Contains(t, errs, c.says, "%v", c.args)
	}
}

func TestVerifyARealMachine(t *testing.T) {
	known := []string{"--pcrs=testdata/debian-6.1-exec.pcrs.json", "--vouched", "--kernel=6.1", "--strategy=late"}
	for _, list := range []string{"testdata/debian-6.1-exec.bin", "testdata/debian-6.1-exec.ascii"} {
		code, out, errs := called(t, append(append([]string{"verify", "--bound", "--policy=strict"}, known...), list)...)
		assert.Equal(t, exitOK, code, errs)
		assert.Contains(t, out, "sha256 PCR 10: match at record 4, per-bank digests")
		// What binds the build is missing: the name alone proves nothing.
		code, _, errs = called(t, append(append([]string{"verify", "--policy=strict"}, known...), list)...)
		assert.Equal(t, exitCannotTell, code, errs)
	}
	code, _, _ := called(t, "verify", "--pcrs=testdata/debian-6.1-exec.pcrs.json", "--vouched", "testdata/powervm_7.1.0-rc1_ima-sig_ascii_runtime_measurements")
	assert.Equal(t, exitRejected, code, "the PCRs of another machine")
}

// The kernel says its release in a record, whole; what the service knows may be
// the whole release or the version.
func TestVerifyComparesTheWholeRelease(t *testing.T) {
	for release, want := range map[string]int{
		"6.1.0-56-amd64": exitOK, "6.1": exitOK, "6.12": exitRejected, "6.1.0-57-amd64": exitRejected, "7.3.0-rc1": exitRejected,
	} {
		for _, policy := range []string{"strict", "build-bound"} {
			code, out, errs := called(t, "verify", "--pcrs=testdata/debian-6.1-crit.pcrs.json", "--vouched", "--kernel="+release,
				"--strategy=late", "--bound", "--policy="+policy, "testdata/debian-6.1-crit.bin")
			assert.Equal(t, want, code, "%s %s: %s", release, policy, errs)
			assert.Contains(t, out, `The kernel recorded its release, "6.1.0-56-amd64".`)
			assert.Equal(t, want == exitRejected, strings.Contains(out, "kernel-version-differs"), "%s %s", release, policy)
		}
	}
}

// A release without a profile of its own gets that of an older one, at every
// entrance, and stays whole in what is recorded.
func TestReleasesWithoutAProfile(t *testing.T) {
	dir := t.TempDir()
	code, out, errs := called(t, "boot", "--kernel=6.8.0-31-generic", "--policy=critical_data", "--json")
	require.Equal(t, exitOK, code, errs)
	var o struct{ Appraisals []verify.Result }
	require.NoError(t, json.Unmarshal([]byte(out), &o))
	for _, a := range o.Appraisals {
		assert.Equal(t, verify.Accept, a.Outcome, a.Policy)
	}
	code, _, errs = called(t, "measure", "--out="+dir, "--kernel=6.8.0-31-generic", "--policy=tcb|critical_data", "testdata/debian-6.1-exec.bin")
	require.Equal(t, exitOK, code, errs)
	for release, want := range map[string]int{"6.8.0-31-generic": exitOK, "6.8": exitOK, "6.8.0-32-generic": exitRejected} {
		code, out, errs = called(t, "verify", "--pcrs="+filepath.Join(dir, "pcrs.json"), "--vouched", "--policy=accept-late",
			"--kernel="+release, filepath.Join(dir, "binary_runtime_measurements"))
		assert.Equal(t, want, code, "%s: %s%s", release, out, errs)
	}
}

func TestVerifyWrongCommandLines(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{nil, exitUsage, "name one"},
		{[]string{"a", "b"}, exitUsage, "name one"},
		{[]string{"--kernel=2.4", "testdata/debian-6.1-exec.bin"}, exitUsage, "6.12"},
		{[]string{"--quote=q", "testdata/debian-6.1-exec.bin"}, exitUsage, "--signature"},
		{[]string{"--order=middle", "testdata/debian-6.1-exec.bin"}, exitUsage, "little or big"},
		{[]string{"--policy=none", "testdata/debian-6.1-exec.bin"}, exitUsage, "none"},
		{[]string{"--late-sync=maybe", "testdata/debian-6.1-exec.bin"}, exitUsage, "late-sync"},
		{[]string{"--pcrs=/does/not/exist", "testdata/debian-6.1-exec.bin"}, exitFailed, "--pcrs"},
		{[]string{"/does/not/exist"}, exitFailed, "/does/not/exist"},
	} {
		code, _, errs := called(t, append([]string{"verify"}, c.args...)...)
		assert.Equal(t, c.code, code, "%v", c.args)
		assert.Contains(t, errs, c.says, "%v", c.args)
	}
}

// A file that is not what it is named for says nothing of a machine; evidence
// that breaks off does.
func TestVerifyTellsWrongFilesFromBrokenEvidence(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, content []byte) string {
		file := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(file, content, 0o600))
		return file
	}
	read := func(name string) []byte {
		content, err := os.ReadFile(name)
		require.NoError(t, err)
		return content
	}
	measuredTo(t, dir, "--nonce=c0ffee", someFiles(t))
	const list, event = "testdata/debian-6.1-exec.bin", "../../ima/verify/testdata/quotes/eventlog.bin"
	left := func(name string) string { return filepath.Join(dir, name) }
	quote := func(attest, signature string) []string {
		return []string{"--quote=" + attest, "--signature=" + signature, "--key=" + left("quote.key.pem"), "--pcrs=" + left("pcrs.json"), left("binary_runtime_measurements")}
	}
	junk := write("junk", []byte("no list of anything\n"))
	empty := write("empty", nil)
	content := read(event)
	attest := read(left("quote.attest"))
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{junk}, exitFailed, junk + " is no measurement list, such as binary_runtime_measurements: record 1"},
		{[]string{write("cut", read(list)[:20])}, exitFailed, "cut is no measurement list"},
		{[]string{write("broken", append(read("testdata/debian-6.1-exec.ascii"), "junk\n"...))}, exitRejected, "record 5, line 5"},
		{[]string{empty}, exitRejected, ""}, // a list of no records
		{[]string{"--event-log=" + junk, list}, exitFailed, "--event-log " + junk + " is no event log, such as binary_bios_measurements: event 1"},
		{[]string{"--event-log=" + empty, list}, exitFailed, "is no event log"},
		{[]string{"--event-log=" + write("log", content[:len(content)-1]), list}, exitRejected, "event log: event "},
		{quote(write("short", attest[:20]), left("quote.signature")), exitFailed, "--quote " + left("short") + " is no TPMS_ATTEST"},
		{quote(left("quote.attest"), junk), exitFailed, "--signature " + junk + " is no TPMT_SIGNATURE"},
		{quote(write("foreign", append([]byte{0}, attest[1:]...)), left("quote.signature")), exitRejected, "not made by a TPM"},
		{[]string{"--pcrs=" + write("p.json", []byte(`{"sha256":{"99":"00"}}`)), list}, exitFailed, "--pcrs " + left("p.json") + " is no file of PCR values: PCR values in JSON, byte 15: sha256 PCR 99"},
		{[]string{"--strategy=hope", list}, exitUsage, `no strategy "hope"`},
	} {
		code, out, errs := called(t, append([]string{"verify", "--policy=accept-late"}, c.args...)...)
		assert.Equal(t, c.code, code, "%v: %s%s", c.args, out, errs)
		assert.Contains(t, errs, c.says, "%v", c.args)
		assert.Equal(t, c.code == exitRejected, out != "", "%v", c.args)
	}
}

// All JSON has keys of one style.
func TestJSONKeysAreOfOneStyle(t *testing.T) {
	out := t.TempDir()
	key := regexp.MustCompile(`^[a-z0-9_]+$`)
	for _, args := range [][]string{
		{"boot", "--json", "--defer-until=late_sync"},
		{"matrix", "--json", "--platform=pc-tis", "--strategy=retry"},
		{"measure", "--json", "--out", out, someFiles(t)},
		{"verify", "--json", "--vouched", "--pcrs", filepath.Join(out, "pcrs.json"), filepath.Join(out, "binary_runtime_measurements")},
	} {
		_, text, errs := called(t, args...)
		var all any
		require.NoError(t, json.Unmarshal([]byte(text), &all), "%v: %s", args, errs)
		var walk func(path string, value any)
		walk = func(path string, value any) {
			switch value := value.(type) {
			case []any:
				for _, v := range value {
					walk(path, v)
				}
			case map[string]any:
				for k, v := range value {
					assert.Regexp(t, key, k, "%v: %s", args, path)
					walk(path+"."+k, v)
				}
			}
		}
		walk("", all)
	}
}

// What is printed as a policy is read as one, and so are the examples in help and
// documentation.
func TestPolicyFiles(t *testing.T) {
	const list = "testdata/debian-6.1-exec.bin"
	file := filepath.Join(t.TempDir(), "mine.json")
	for _, name := range verify.PolicyNames() {
		code, text, errs := called(t, "verify", "--print-policy", "--policy="+name)
		require.Equal(t, exitOK, code, errs)
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		_, builtin, _ := called(t, "verify", "--policy="+name, list)
		_, own, errs := called(t, "verify", "--policy="+file, list)
		assert.Equal(t, builtin, own, errs)
	}
	code, _, errs := called(t, "verify", "--print-policy")
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, errs, "name one with --policy")

	doc, err := os.ReadFile("../../docs/verify.md")
	require.NoError(t, err)
	_, help, _ := called(t, "verify", "--help")
	for _, text := range []string{string(doc), help} {
		example := regexp.MustCompile(`(?s)\{\s*"name": "mine".*?\]\s*\}`).FindString(text)
		require.NotEmpty(t, example)
		require.NoError(t, os.WriteFile(file, []byte(example), 0o600))
		code, out, errs := called(t, "verify", "--policy="+file, "--vouched", "--pcrs=testdata/debian-6.1-exec.pcrs.json", list)
		assert.Contains(t, []int{exitOK, exitCannotTell, exitRejected}, code, "%s: %s", example, errs)
		assert.Contains(t, out, "\nmine: ")
	}
}

// A boot in which IMA never starts is one that has come to its end.
func TestBootWithoutAnIMAThatStarts(t *testing.T) {
	for _, c := range []struct{ platform, strategy, sentence string }{
		{"no-tpm", "deny", "The kernel panicked: No working init found."},
		{"no-tpm", "notifier", "IMA never started; 0 records, 0 extended, 3 uses of files lost, 0 denied."},
		{"tpm-module", "deny", "The kernel panicked: No working init found."},
	} {
		dir := t.TempDir()
		picture := filepath.Join(dir, "boot.svg")
		args := []string{"boot", "--platform=" + c.platform, "--strategy=" + c.strategy, "--out=" + filepath.Join(dir, "lists"), "--svg=" + picture}
		code, out, errs := called(t, args...)
		require.Equal(t, exitOK, code, errs)
		assert.Contains(t, out, "entering initcall level: late_sync")
		assert.Contains(t, out, "\nmeasurement list: none, IMA has not started and has no files in securityfs\n")
		assert.Contains(t, out, "\n"+c.sentence+"\nWith strategy "+c.strategy+" IMA starts when there is a TPM, and none ever registered.\n")
		assert.NotContains(t, out, "strict:", "nobody is sent a list")
		assert.FileExists(t, picture)
		code, out, errs = called(t, append(args, "--json")...)
		require.Equal(t, exitOK, code, errs)
		var o simulate.Outcome
		require.NoError(t, json.Unmarshal([]byte(out), &o))
		assert.False(t, o.Result.Summary.Started)
	}
}

// A TPM that tests itself during its probe registers in field failure mode: IMA
// is not in bypass and measures nothing.
func TestBootWithATPMInFieldFailureMode(t *testing.T) {
	code, out, errs := called(t, "boot", "--defer-until=userspace", "--while-deferred=testing")
	require.Equal(t, exitOK, code, errs)
	for _, line := range []string{
		"tpm tpm0: self test is still running",
		"tpm tpm0: TPM in field failure mode, requires firmware upgrade",
		"-- tpm_registered tpm0 in field failure mode, without tpmrm0",
		"ima: No suitable TPM algorithm for boot aggregate",
		"IMA measured nothing: it started at late (",
	} {
		assert.Contains(t, out, line)
	}
	assert.NotContains(t, out, "No TPM chip found")
	assert.NotContains(t, out, "IMA measured: ")
	code, out, errs = called(t, "matrix", "--platform=pc-tis", "--strategy=late", "--defer-until=userspace", "--while-deferred=testing")
	require.Equal(t, exitOK, code, errs)
	assert.Regexp(t, `pc-tis +late +4 +4 +0 +0 +field failure +zero `, out)
}

// racingPlatform is pc-tis with a TPM that is probed while the boot goes on.
func racingPlatform(t *testing.T) string {
	t.Helper()
	code, text, errs := called(t, "boot", "--platform=pc-tis", "--print-platform")
	require.Equal(t, exitOK, code, errs)
	file := filepath.Join(t.TempDir(), "racing.platform")
	raced := strings.Replace(text, "cmdline=ima_policy=tcb", `cmdline="driver_async_probe=tpm_tis ima_policy=tcb"`, 1)
	require.NotEqual(t, text, raced)
	require.NoError(t, os.WriteFile(file, []byte(raced), 0o600))
	return file
}

// An asynchronous probe that is released near IMA's look may end in both ways.
func TestBootSaysThatItIsARace(t *testing.T) {
	args := []string{"boot", "--platform=" + racingPlatform(t), "--defer-until=late", "--while-deferred=hold"}
	code, out, errs := called(t, args...)
	require.Equal(t, exitOK, code, errs)
	assert.Regexp(t, `\nThis is a race: the TPM is probed while the boot goes on, and registered 0\.\d{6} s after IMA looked at late\. Real kernels differ by up to 0\.2 s, so it may end the other way\. --seeds=N gives the share\.\n`, out)

	code, out, errs = called(t, append(args, "--seeds=30")...)
	require.Equal(t, exitOK, code, errs)
	assert.NotContains(t, out, "--seeds=N")
	found := regexp.MustCompile(`\n30 boots with the seeds 1 to 30, whose threads wait for a processor up to 0\.2 s: (\d+) \w+ \(\d+ %\), (\d+) \w+ \(\d+ %\); the TPM was registered from 0\.\d+ s after to 0\.\d+ s before IMA looked\.\n$`).FindStringSubmatch(out)
	require.NotNil(t, found, out)

	code, out, errs = called(t, append(args, "--seeds=30", "--json")...)
	require.Equal(t, exitOK, code, errs)
	var o simulate.Outcome
	require.NoError(t, json.Unmarshal([]byte(out), &o))
	require.NotNil(t, o.Result.Summary.Race)
	assert.Negative(t, o.Result.Summary.Race.Margin)
	require.NotNil(t, o.Shares)
	require.Len(t, o.Shares.Ends, 2)
	assert.Equal(t, []string{found[1], found[2]}, []string{fmt.Sprint(o.Shares.Ends[0].Boots), fmt.Sprint(o.Shares.Ends[1].Boots)})
	assert.Equal(t, 30, o.Shares.Ends[0].Boots+o.Shares.Ends[1].Boots)
	assert.ElementsMatch(t, []boot.Ending{boot.EndMeasured, boot.EndBypass}, []boot.Ending{o.Shares.Ends[0].End, o.Shares.Ends[1].End})

	for _, wrong := range []string{"--seeds=-1", "--seeds=10001", "--seeds=many"} {
		code, _, _ = called(t, "boot", wrong)
		assert.Equal(t, exitUsage, code, wrong)
	}
	code, out, errs = called(t, append([]string{"matrix", "--strategy=late", "--strategy=deny"}, args[1:]...)...)
	require.Equal(t, exitOK, code, errs)
	assert.Regexp(t, `pc-tis +late .* bypass~ `, out)
	assert.Regexp(t, ` deny .* TPM `, out)
	assert.Contains(t, out, "\n~ a race: IMA looked within 200 ms of the TPM's registration, which nothing orders\n")
	assert.NotContains(t, out, "what-if")
}

// CONFIG_IMA_INIT_LATE_SYNC came with 7.3; an older kernel with it is a what-if.
func TestBootSaysThatItIsAWhatIf(t *testing.T) {
	code, out, errs := called(t, "boot", "--strategy=kconfig")
	require.Equal(t, exitOK, code, errs)
	assert.Contains(t, out, "\nA what-if: Linux 6.12 has no CONFIG_IMA_INIT_LATE_SYNC, which came with 7.3; this is how it would boot with the option carried back.\n")
	for _, args := range [][]string{{"--strategy=kconfig", "--kernel=7.3"}, {"--strategy=late_sync"}} {
		_, out, _ = called(t, append([]string{"boot"}, args...)...)
		assert.NotContains(t, out, "what-if", args)
	}
	_, out, _ = called(t, "matrix", "--platform=pc-tis", "--strategy=kconfig")
	assert.Regexp(t, ` kconfig .* TPM\* `, out)
	assert.Contains(t, out, "\n* a what-if: the platform's kernel has no such option\n")
}

// A bank whose hash the kernel cannot compute is extended all the same, with
// padded sha1 digests, and costs the others nothing.
func TestBootWithASHA3Bank(t *testing.T) {
	_, text, _ := called(t, "--print-profile")
	text = strings.Replace(text, "bank SHA384\n", "bank SHA3_256\n", 1)
	text = strings.Replace(text, "algorithms SHA1 ", "algorithms SHA3_256 SHA1 ", 1)
	profile := filepath.Join(t.TempDir(), "sha3.profile")
	require.NoError(t, os.WriteFile(profile, []byte(text), 0o600))
	for kernel, file := range map[string]string{"6.1": "", "6.12": "tpm_alg_27"} {
		dir := t.TempDir()
		code, out, errs := called(t, "boot", "--profile="+profile, "--kernel="+kernel, "--out="+dir, "--json")
		require.Equal(t, exitOK, code, errs)
		var o simulate.Outcome
		require.NoError(t, json.Unmarshal([]byte(out), &o))
		s := o.Result.Summary
		assert.False(t, s.Bypass)
		assert.NotZero(t, s.Kept)
		assert.Equal(t, s.Kept, s.Extended, kernel)
		for _, replay := range o.Verdict.Replays {
			assert.Equal(t, verify.StateMatch, replay.State, "%s %s", kernel, replay.Bank)
		}
		if file == "" {
			continue // no files for banks yet
		}
		padded, err := os.ReadFile(filepath.Join(dir, "ascii_runtime_measurements_"+file))
		require.NoError(t, err)
		sha1, err := os.ReadFile(filepath.Join(dir, "ascii_runtime_measurements_sha1"))
		require.NoError(t, err)
		assert.Equal(t, string(sha1[:43])+strings.Repeat("0", 24)+string(sha1[43:80]), string(padded[:104]))
	}
}
