package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/verify"
)

// calledWith is called with something on stdin.
func calledWith(t *testing.T, stdin []byte, args ...string) (int, string, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), calledTime)
	defer cancel()
	var out, errs bytes.Buffer
	code := run(ctx, args, cli.Streams{In: bytes.NewReader(stdin), Out: &out, Err: &errs}, nil)
	return code, out.String(), errs.String()
}

// lists are the measurement lists in a directory.
func lists(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*_runtime_measurements*"))
	require.NoError(t, err)
	return names
}

// verdictOf returns the verdict that verify prints as JSON.
func verdictOf(t *testing.T, text string) (v verify.Verdict) {
	t.Helper()
	var told struct{ Verdict verify.Verdict }
	require.NoError(t, json.Unmarshal([]byte(text), &told), text)
	return told.Verdict
}

// Whatever measure and boot write, verify reads, from the file and from stdin: the
// lists of every bank, also of one whose hash the kernel does not know.
func TestVerifyReadsTheListsOfEveryBank(t *testing.T) {
	profile := filepath.Join(t.TempDir(), "sha3.profile")
	_, text, _ := called(t, "--print-profile")
	text = strings.Replace(text, "bank SHA384\n", "bank SHA384\nbank SHA3_256\n", 1)
	text = strings.Replace(text, "algorithms SHA1 ", "algorithms SHA3_256 SHA1 ", 1)
	require.NoError(t, os.WriteFile(profile, []byte(text), 0o600))

	measuredDir, bootDir := t.TempDir(), t.TempDir()
	measuredTo(t, measuredDir, someFiles(t))
	code, told, errs := called(t, "boot", "--json", "--profile="+profile, "--out", bootDir)
	require.Equal(t, exitOK, code, errs)
	var booted struct {
		Boot struct {
			PCRs ima.PCRs `json:"pcrs"`
		} `json:"boot"`
	}
	require.NoError(t, json.Unmarshal([]byte(told), &booted))
	pcrs, err := json.Marshal(booted.Boot.PCRs)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(bootDir, "pcrs.json"), pcrs, 0o600))
	require.FileExists(t, filepath.Join(bootDir, "binary_runtime_measurements_tpm_alg_27"))

	for dir, want := range map[string]int{measuredDir: 10, bootDir: 12} {
		names := lists(t, dir)
		assert.Len(t, names, want)
		for _, name := range names {
			content, err := os.ReadFile(name)
			require.NoError(t, err)
			flags := []string{"verify", "--json", "--vouched", "--policy=accept-late", "--pcrs", filepath.Join(dir, "pcrs.json")}
			code, out, errs := called(t, append(flags, name)...)
			assert.Equal(t, exitOK, code, "%s: %s%s", name, out, errs)
			v := verdictOf(t, out)
			assert.True(t, v.Has(verify.ReplayMatch), name)
			assert.False(t, v.Has(verify.DigestMismatch), name)
			_, bank, _ := strings.Cut(name, "_runtime_measurements")
			switch bank {
			case "", "_sha1":
				assert.Empty(t, v.Digests, name)
			case "_tpm_alg_27":
				assert.Equal(t, "sha1, padded to 32 bytes", v.Digests)
			default:
				assert.Equal(t, bank[1:], v.Digests)
			}
			code, piped, errs := calledWith(t, content, append(flags, "-")...)
			assert.Equal(t, exitOK, code, errs)
			assert.Equal(t, out, piped, name)

			// One that was changed is no file of another kind.
			at := bytes.LastIndexByte(content, '/')
			content[at] = '.'
			code, out, _ = calledWith(t, content, append(flags, "-")...)
			assert.Equal(t, exitRejected, code, out)
			changed := verdictOf(t, out)
			assert.True(t, changed.Has(verify.DigestMismatch), name)
		}
	}
}

// docPolicy is the policy of docs/verify.md that follows a comment.
func docPolicy(t *testing.T, comment string) string {
	t.Helper()
	doc, err := os.ReadFile("../../docs/verify.md")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(doc), "<!-- "+comment+" -->\n```json\n")
	require.True(t, found)
	text, _, _ := strings.Cut(rest, "```")
	file := filepath.Join(t.TempDir(), "policy.json")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

// A piece of a list is one from the PCR values at its beginning on.
func TestVerifyAPieceOfAList(t *testing.T) {
	const tail = "../../ima/verify/testdata/list-tail-records-5-to-7"
	const start = "--start=../../ima/verify/testdata/list-tail-start.json"
	flags := []string{"verify", "--json", "--vouched", "--policy=" + docPolicy(t, "policy of a piece"), "--pcrs=" + tail + ".json"}
	code, out, errs := called(t, append(flags, tail+".bin")...)
	assert.Equal(t, exitRejected, code, errs)
	v := verdictOf(t, out)
	assert.True(t, v.Has(verify.ListNotFromBoot))
	assert.False(t, v.Has(verify.ReplayMismatch))
	code, out, errs = called(t, append(flags, start, tail+".bin")...)
	assert.Equal(t, exitOK, code, out+errs)

	text, err := os.ReadFile(tail + ".json")
	require.NoError(t, err)
	wrong := filepath.Join(t.TempDir(), "wrong.json")
	require.NoError(t, os.WriteFile(wrong, bytes.Replace(text, []byte(`"10": "`), []byte(`"10": "00`), 1), 0o600))
	code, _, errs = called(t, append(flags, "--start="+wrong, tail+".bin")...)
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errs, "--start "+wrong)
}

// The Canonical Event Logs that measure and boot write are read as the lists are,
// from the file and from stdin, and a damaged one is no file of another kind.
func TestVerifyReadsCanonicalEventLogs(t *testing.T) {
	dir := t.TempDir()
	files := someFiles(t)
	for _, format := range []string{"cel-tlv", "cel-json", "cel-cbor"} {
		measuredTo(t, dir, "--format="+format, files)
		names, err := filepath.Glob(filepath.Join(dir, "cel_runtime_measurements.*"))
		require.NoError(t, err)
		require.Len(t, names, 1, "what an earlier run has left goes away")
		flags := []string{"verify", "--json", "--vouched", "--policy=accept-late", "--pcrs", filepath.Join(dir, "pcrs.json")}
		code, out, errs := called(t, append(flags, names[0])...)
		assert.Equal(t, exitOK, code, out+errs)
		v := verdictOf(t, out)
		assert.Equal(t, verify.Form(format), v.Form)
		assert.Equal(t, 4, v.Records)
		content, err := os.ReadFile(names[0])
		require.NoError(t, err)
		_, piped, _ := calledWith(t, content, append(flags, "-")...)
		assert.Equal(t, out, piped)

		code, out, errs = calledWith(t, content[:len(content)-20], append(flags, "-")...)
		assert.Equal(t, exitRejected, code, "%s: %s", format, errs)
		cut := verdictOf(t, out)
		assert.True(t, cut.Has(verify.ListUnreadable))
		code, _, errs = calledWith(t, content[:40], append(flags, "-")...)
		assert.Equal(t, exitFailed, code)
		assert.Contains(t, errs, "record 1", format)

		wrapped := `{"a":["text/plain","bm90aGluZw"],"log":["application/x-cel","` + base64.RawURLEncoding.EncodeToString(content) + `",4]}`
		code, out, errs = calledWith(t, []byte(wrapped), append(flags, "-")...)
		assert.Equal(t, exitOK, code, out+errs)
		assert.Equal(t, piped, out)

		booted := t.TempDir()
		code, _, errs = called(t, "boot", "--out", booted, "--format="+format)
		require.Equal(t, exitOK, code, errs)
		assert.FileExists(t, filepath.Join(booted, filepath.Base(names[0])))
	}
	code, _, errs := called(t, "boot", "--out", dir, "--format=cel")
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, errs, "cel-tlv, cel-json and cel-cbor")
}

// A log brings the firmware's events along.
func TestVerifyTakesTheEventLogOfACanonicalEventLog(t *testing.T) {
	log := "../../ima/verify/testdata/list-and-firmware.cel.json"
	code, out, errs := called(t, "verify", "--json", "--vouched", "--policy=accept-late", "--pcrs=../../ima/verify/testdata/quotes/pcrs.json", log)
	assert.Equal(t, exitOK, code, out+errs)
	v := verdictOf(t, out)
	assert.True(t, v.Has(verify.EventLogMatch))
	assert.True(t, v.Has(verify.ReplayMatch))
	code, _, errs = called(t, "verify", "--event-log=../../ima/verify/testdata/quotes/eventlog.bin", log)
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, errs, "give one of them")
}
