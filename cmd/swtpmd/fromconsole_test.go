package main

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/simulate"
)

// realLog writes the console log of a real boot into a file, changed by f.
func realLog(t *testing.T, name string, f func(string) string) string {
	t.Helper()
	packed, err := os.Open("../../ima/boot/testdata/console/" + name + ".log.gz")
	require.NoError(t, err)
	defer packed.Close()
	reader, err := gzip.NewReader(packed)
	require.NoError(t, err)
	log, err := io.ReadAll(reader)
	require.NoError(t, err)
	text := string(log)
	if f != nil {
		text = f(text)
	}
	file := filepath.Join(t.TempDir(), "console.log")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

// The log is compared with its own simulation before anything else is said.
func TestBootFromConsole(t *testing.T) {
	log := realLog(t, "x86_64-debian-6.1-defer-late", nil)
	code, out, errs := called(t, "boot", "--from-console="+log)
	require.Equal(t, exitOK, code, errs)
	assert.True(t, strings.HasPrefix(out, "The log and its own simulation:\n  same     initcalls     666\n"), out)
	assert.Contains(t, out, "  same     verdict       TPM-bypass\n")
	assert.Contains(t, out, "  note     strategy late is the log's\n")
	assert.Contains(t, out, "\nThe probe of MSFT0101:00 at device (4.039206 s) had failed (-19), and the kernel does not retry what has failed.")

	// What if IMA started later: what has failed stays so.
	code, out, errs = called(t, "boot", "--from-console="+log, "--strategy=late_sync")
	require.Equal(t, exitOK, code, errs)
	assert.Contains(t, out, "IMA went into TPM-bypass: it looked for a TPM at late_sync")

	code, out, errs = called(t, "boot", "--from-console="+log, "--json")
	require.Equal(t, exitOK, code, errs)
	var o simulate.Outcome
	require.NoError(t, json.Unmarshal([]byte(out), &o))
	require.NotNil(t, o.Comparison)
	assert.NoError(t, o.Comparison.Err())
	assert.NotEmpty(t, o.Comparison.Rows)

	code, out, errs = called(t, "boot", "--from-console="+log, "--print-platform")
	require.Equal(t, exitOK, code, errs)
	assert.True(t, strings.HasPrefix(out, "platform from-console"), out)
}

func TestBootFromConsoleRefusesToContradictTheLog(t *testing.T) {
	// IMA cannot have been in bypass with a TPM bound before it looked.
	wrong := realLog(t, "x86_64-debian-6.1-on-time", func(log string) string {
		return strings.Replace(log, "ima: Allocated", "ima: No TPM chip found, activating TPM-bypass!\n[    3.680100] ima: Allocated", 1)
	})
	excerpt := realLog(t, "x86_64-debian-6.1-on-time", func(log string) string {
		var b strings.Builder
		for line := range strings.Lines(log) {
			if strings.Contains(strings.ToLower(line), "tpm") || strings.Contains(line, "ima") {
				b.WriteString(line)
			}
		}
		return b.String()
	})
	for _, c := range []struct{ log, says string }{
		{wrong, "verdict: in the log TPM-bypass, in its simulation measured"},
		{excerpt, "not a whole log: it begins at 0.000000 s without the kernel's first lines"},
	} {
		code, out, errs := called(t, "boot", "--from-console="+c.log)
		assert.Equal(t, exitFailed, code)
		assert.Contains(t, errs, c.says)
		assert.Contains(t, errs, "--force tells the story all the same")
		assert.NotContains(t, out, "IMA measured")
		code, out, _ = called(t, "boot", "--from-console="+c.log, "--json")
		assert.Equal(t, exitFailed, code)
		var o simulate.Outcome
		require.NoError(t, json.Unmarshal([]byte(out), &o))
		assert.Error(t, o.Comparison.Err())
		assert.Nil(t, o.Result)
		code, out, errs = called(t, "boot", "--from-console="+c.log, "--print-platform")
		assert.Equal(t, exitFailed, code, errs)
		assert.Empty(t, out)
		code, out, errs = called(t, "boot", "--from-console="+c.log, "--force")
		require.Equal(t, exitOK, code, errs)
		assert.Contains(t, out, "\nIMA measured: ")
	}
	code, _, errs := called(t, "boot", "--force")
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, errs, "--force without --from-console")
	code, _, errs = called(t, "boot", "--from-console="+realLog(t, "x86_64-debian-6.1-on-time", func(string) string { return "nothing\n" }))
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, errs, "it has no initcalls")
}
