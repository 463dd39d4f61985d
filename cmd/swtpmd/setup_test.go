package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/daemon"
)

// storedState is what --print-states tells of a part of a TPM's state.
type storedState struct {
	Name string
	Size int64
}

// printedStates returns the output of --print-states for a directory.
func printedStates(t *testing.T, args ...string) []storedState {
	t.Helper()
	code, out, errs := called(t, append([]string{"socket", "--print-states", "--tpm2"}, args...)...)
	require.Equal(t, exitOK, code, errs)
	var said struct {
		Type   string
		States []storedState
	}
	require.NoError(t, json.Unmarshal([]byte(out), &said))
	assert.Equal(t, "swtpm", said.Type)
	require.NotNil(t, said.States, "an array, also of none: %s", out)
	return said.States
}

func TestPrintStates(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	for _, words := range []string{"dir=" + dir, "backend-uri=dir://" + dir} {
		assert.Empty(t, printedStates(t, "--tpmstate", words))
	}
	assert.NoDirExists(t, dir, "to look makes nothing")

	// The TPM that has the directory runs on.
	d := daemonWith(t, "--state="+dir, "--flags=startup-clear")
	info, err := os.Stat(filepath.Join(dir, daemon.StateFile))
	require.NoError(t, err)
	want := []storedState{{"permall", info.Size()}}
	for _, words := range []string{"dir=" + dir, "backend-uri=dir://" + dir} {
		assert.Equal(t, want, printedStates(t, "--tpmstate", words))
	}
	t.Setenv("TPM_PATH", dir)
	assert.Equal(t, want, printedStates(t))
	d.stop()
	require.Equal(t, exitOK, d.exitCode(t))
	assert.Equal(t, want, printedStates(t))
}

func TestPrintStatesThatCannotBe(t *testing.T) {
	t.Setenv("TPM_PATH", "")
	code, _, errs := called(t, "socket", "--print-states", "--tpm2")
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, errs, "add --tpmstate=dir=DIR")
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	code, _, errs = called(t, "socket", "--print-states", "--tpm2", "--tpmstate", "dir="+file)
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errs, file)
}

// swtpmSetup runs swtpm's own program for making a TPM, with swtpmd for its TPM.
func swtpmSetup(t *testing.T, config string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(ctx, "swtpm_setup", append([]string{"--tpm2", "--config", config, "--tpm", self + " socket"}, args...)...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	said, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", said)
	return string(said)
}

// setupConfig has swtpm_setup make certificates with an authority of the test's
// own.
func setupConfig(t *testing.T) string {
	t.Helper()
	tool, err := exec.LookPath("swtpm_localca")
	if err != nil {
		t.Skip("swtpm_localca is not installed (Debian package swtpm-tools); scripts/test installs it")
	}
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	ca := write("localca.conf", "statedir = "+dir+"\nsigningkey = "+dir+"/signkey.pem\nissuercert = "+dir+"/issuercert.pem\ncertserial = "+dir+"/certserial\n")
	options := write("localca.options", "--platform-manufacturer swtpmd\n--platform-version 1\n--platform-model test\n")
	return write("setup.conf", "create_certs_tool = "+tool+"\ncreate_certs_tool_config = "+ca+"\ncreate_certs_tool_options = "+options+"\n")
}

func TestSwtpmSetup(t *testing.T) {
	if _, err := exec.LookPath("swtpm_setup"); err != nil {
		t.Skip("swtpm_setup is not installed (Debian package swtpm-tools); scripts/test installs it")
	}
	config, dir := setupConfig(t), t.TempDir()
	said := swtpmSetup(t, config, "--tpm-state", dir, "--createek", "--create-ek-cert", "--create-platform-cert",
		"--lock-nvram", "--pcr-banks", "sha1,sha256")
	assert.Contains(t, said, "Successfully authored TPM state.")
	// Again, as libvirt does at every start: what is there stays.
	swtpmSetup(t, config, "--tpm-state", dir, "--createek", "--not-overwrite")
	swtpmSetup(t, config, "--tpm-state", "dir://"+dir, "--pcr-banks", "sha256", "--reconfigure")

	d := daemonWith(t, "--state="+dir, "--flags=startup-clear")
	tpm := overSocket{connect(t, d.ready.Data)}
	assert.False(t, hasSHA1(t, tpm), "reconfigured")
	for _, handle := range []tpm2.TPMHandle{
		0x81010001, 0x81010016, // the keys: RSA 2048, ECC P-384
	} {
		_, err := tpm2.ReadPublic{ObjectHandle: handle}.Execute(tpm)
		assert.NoError(t, err, "%#x", handle)
	}
	for _, index := range []tpm2.TPMHandle{
		0x01C00002, 0x01C00016, // their certificates
		0x01C08000, // the platform's certificate
	} {
		public, err := tpm2.NVReadPublic{NVIndex: index}.Execute(tpm)
		require.NoError(t, err, "%#x", index)
		contents, err := public.NVPublic.Contents()
		require.NoError(t, err)
		assert.Greater(t, contents.DataSize, uint16(200), "%#x", index)
		assert.True(t, contents.Attributes.Written, "%#x", index)
	}
	d.stop()
	require.Equal(t, exitOK, d.exitCode(t))
}
