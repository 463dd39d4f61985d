package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/daemon"
)

// keyFile returns the name of a file with a key or a passphrase.
func keyFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

var (
	digits128 = strings.Repeat("0f", 16)
	digits256 = strings.Repeat("f0", 32)
)

// State is encrypted at rest, in both modes, and comes back with its key alone.
func TestStateWithAKey(t *testing.T) {
	for _, words := range []string{
		"file=" + keyFile(t, digits128),
		"file=" + keyFile(t, digits256) + ",mode=aes-256-cbc",
		"pwdfile=" + keyFile(t, "passphrase") + ",mode=aes-256-cbc,kdf=sha512",
	} {
		dir := t.TempDir()
		args := []string{"--state=" + dir, "--flags=startup-clear", "--key", words}
		d := daemonWith(t, args...)
		const password = "a password in the state"
		require.NoError(t, changeOwnerAuth(t, overSocket{connect(t, d.ready.Data)}, "", password))
		d.stop()
		require.Equal(t, exitOK, d.exitCode(t))
		kept, err := os.ReadFile(filepath.Join(dir, daemon.StateFile))
		require.NoError(t, err)
		assert.NotContains(t, string(kept), password)
		assert.NotContains(t, string(kept), "swtpmdST")

		d = daemonWith(t, args...)
		require.NoError(t, changeOwnerAuth(t, overSocket{connect(t, d.ready.Data)}, password, ""))
		d.stop()
		require.Equal(t, exitOK, d.exitCode(t))

		for says, other := range map[string][]string{
			"it is encrypted: give the key":        nil,
			"the key does not fit":                 {"--key", "pwdfile=" + keyFile(t, "wrong") + strings.TrimPrefix(words, strings.Split(words, ",")[0])},
			"the one given has":                    {"--key", "pwdfile=" + keyFile(t, "wrong") + map[bool]string{true: "", false: ",mode=aes-256-cbc"}[strings.Contains(words, "256")]},
			"--key: /does/not/exist: no such file": {"--key=file=/does/not/exist"},
		} {
			if says == "the key does not fit" {
				other[1] = strings.ReplaceAll(other[1], ",kdf=sha512", "")
			}
			before, err := os.ReadFile(filepath.Join(dir, daemon.StateFile))
			require.NoError(t, err)
			code, out, errs := called(t, append([]string{"--dir", t.TempDir(), "--state=" + dir}, other...)...)
			assert.Equal(t, exitFailed, code)
			assert.Empty(t, out)
			assert.Contains(t, errs, says)
			after, err := os.ReadFile(filepath.Join(dir, daemon.StateFile))
			require.NoError(t, err)
			assert.True(t, bytes.Equal(before, after), "it stays as it is")
		}
	}
}

// What is there unencrypted is not taken for encrypted, nor is it encrypted by the way.
func TestStateWithoutAKeyAndThenWithOne(t *testing.T) {
	dir := t.TempDir()
	d := daemonWith(t, "--state="+dir, "--flags=startup-clear")
	d.stop()
	require.Equal(t, exitOK, d.exitCode(t))
	code, _, errs := called(t, "--dir", t.TempDir(), "--state="+dir, "--key=file="+keyFile(t, digits128))
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errs, "it is not encrypted, and a key was given")
}

// The file of a key goes when it has been read, and not when the start is refused
// before that.
func TestAKeyThatIsRemoved(t *testing.T) {
	path := keyFile(t, digits128)
	code, _, _ := called(t, "--key=file="+path+",remove=true", "--nonsense")
	assert.Equal(t, exitUsage, code)
	assert.FileExists(t, path)
	d := daemonWith(t, "--key=file="+path+",remove=true")
	assert.NoFileExists(t, path)
	d.stop()
	require.Equal(t, exitOK, d.exitCode(t))
}
