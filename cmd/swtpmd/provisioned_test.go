package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/daemon"
	"github.com/swtpmd/swtpmd/emulator/state"
)

// provisioned is the part of the output of swtpmd setup --json that tests use.
type provisioned struct {
	Made bool
	Keys []struct {
		Kind, Algorithm, Handle, Public string
		Certificate                     struct{ Index, SHA256, File string }
	}
	Banks []string `json:"pcr_banks"`
	CA    struct {
		Made        bool
		Certificate string
	}
}

// setUp runs swtpmd setup, which must succeed.
func setUp(t *testing.T, args ...string) (p provisioned) {
	t.Helper()
	code, out, errs := called(t, append([]string{"setup", "--json"}, args...)...)
	require.Equal(t, exitOK, code, errs)
	require.NoError(t, json.Unmarshal([]byte(out), &p), out)
	return p
}

// stored is the state in a directory.
func stored(t *testing.T, dir string) *state.State {
	t.Helper()
	blob, err := os.ReadFile(filepath.Join(dir, daemon.StateFile))
	require.NoError(t, err)
	s, err := state.Decode(blob)
	require.NoError(t, err)
	return s
}

// A daemon that runs the state afterwards has the keys.
func TestSetup(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tpm")
	p := setUp(t, "--state="+dir, "--ek=ecc-p256,ecc-p384", "--pcr-banks=sha256", "--idevid")
	assert.True(t, p.Made && p.CA.Made)
	assert.Equal(t, []string{"sha256"}, p.Banks)
	require.Len(t, p.Keys, 3)
	d := daemonWith(t, "--state="+dir, "--flags=startup-clear")
	tpm := overSocket{connect(t, d.ready.Data)}
	assert.False(t, hasSHA1(t, tpm))
	read, err := tpm2.ReadPublic{ObjectHandle: tpm2.TPMHandle(0x8101000A)}.Execute(tpm)
	require.NoError(t, err)
	assert.Equal(t, p.Keys[0].Public, hex.EncodeToString(read.OutPublic.Bytes()))
	d.stop()
	require.Equal(t, exitOK, d.exitCode(t))
}

func TestSetupOfADirectoryThatHasATPM(t *testing.T) {
	dir := t.TempDir()
	setUp(t, "--state="+dir, "--ek=ecc-p256")
	before := stored(t, dir)
	code, _, errs := called(t, "setup", "--state="+dir)
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errs, "--not-overwrite")
	assert.False(t, setUp(t, "--state="+dir, "--not-overwrite").Made)
	assert.Equal(t, before, stored(t, dir))

	changed := setUp(t, "--state="+dir, "--reconfigure", "--pcr-banks=sha384")
	assert.False(t, changed.Made)
	assert.Equal(t, []string{"sha384"}, changed.Banks)
	after := stored(t, dir)
	assert.Equal(t, before.Objects, after.Objects)
	assert.NotEqual(t, before.Persistent.Allocation, after.Persistent.Allocation)

	p := setUp(t, "--state="+dir, "--overwrite", "--ek=ecc-p256")
	assert.True(t, p.Made)
	assert.False(t, p.CA.Made, "the authority is the one of before")
	assert.NotEqual(t, before.Persistent.EPSeed, stored(t, dir).Persistent.EPSeed)
}

func TestSetupThatCannotBe(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tpm")
	for text, args := range map[string][]string{
		"add --state=DIR":        {},
		"exclude each other":     {"--state=" + dir, "--overwrite", "--not-overwrite"},
		"add --pcr-banks":        {"--state=" + dir, "--reconfigure"},
		`no ek "rsa1024"`:        {"--state=" + dir, "--ek=rsa1024"},
		`there is no bank "md5"`: {"--state=" + dir, "--pcr-banks=md5"},
	} {
		code, _, errs := called(t, append([]string{"setup"}, args...)...)
		assert.Equal(t, exitUsage, code, text)
		assert.Contains(t, errs, text)
	}
	assert.NoDirExists(t, dir)
	for text, args := range map[string][]string{
		"holds no TPM to reconfigure": {"--reconfigure", "--pcr-banks=sha256"},
		"ek rsa2048":                  {"--profile=tiny", "--ek=rsa2048"},
		"no PCR bank of SHA512":       {"--profile=tiny", "--pcr-banks=sha512"},
	} {
		code, _, errs := called(t, append([]string{"setup", "--state=" + dir}, args...)...)
		assert.Equal(t, exitFailed, code, text)
		assert.Contains(t, errs, text)
		assert.NoFileExists(t, filepath.Join(dir, daemon.StateFile), text)
	}
	ca := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(ca, "signkey.pem"), []byte("not a key"), 0o600))
	code, _, errs := called(t, "setup", "--state="+dir, "--ek=ecc-p256", "--ca="+ca)
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errs, "signkey.pem: there is no PEM block in it")
}

// Killed at any instant, the directory has no TPM or the whole one.
func TestSetupKilled(t *testing.T) {
	dir := t.TempDir()
	self, err := os.Executable()
	require.NoError(t, err)
	whole := 0
	for delay := time.Duration(0); whole < 3 && delay < 2*time.Second; delay = delay*3/2 + time.Millisecond {
		ctx, cancel := context.WithTimeout(t.Context(), delay)
		cmd := exec.CommandContext(ctx, self, "setup", "--state="+dir, "--ek=ecc-p256,ecc-p384")
		cmd.Env = append(os.Environ(), asProgram+"=1")
		err := cmd.Run() // SIGKILL at the deadline
		cancel()
		if _, statErr := os.Stat(filepath.Join(dir, daemon.StateFile)); errors.Is(statErr, os.ErrNotExist) {
			require.Error(t, err)
			continue
		}
		whole++
		s := stored(t, dir)
		assert.Len(t, s.Objects.List, 2)
		assert.Len(t, s.NV.Indices, 2)
		require.NoError(t, os.Remove(filepath.Join(dir, daemon.StateFile)))
	}
	assert.Equal(t, 3, whole)
}

// What swtpm_setup makes with swtpmd for its TPM has the same places and attributes,
// and keys from the same templates.
func TestSetupIsLikeSwtpmSetup(t *testing.T) {
	if _, err := exec.LookPath("swtpm_setup"); err != nil {
		t.Skip("swtpm_setup is not installed (Debian package swtpm-tools); scripts/test installs it")
	}
	config, theirs, ours := setupConfig(t), t.TempDir(), t.TempDir()
	swtpmSetup(t, config, "--tpm-state", theirs, "--createek", "--create-ek-cert", "--create-platform-cert", "--lock-nvram", "--pcr-banks", "sha256")
	// The authority is that of swtpm_localca.
	p := setUp(t, "--state="+ours, "--ca="+filepath.Dir(config), "--platform-cert", "--lock-nvram", "--pcr-banks=sha256")
	assert.Len(t, p.Keys, 2)
	a, b := stored(t, theirs), stored(t, ours)
	require.Len(t, b.NV.Indices, len(a.NV.Indices))
	for i, x := range a.NV.Indices {
		y := b.NV.Indices[i]
		assert.Equal(t, x.Handle, y.Handle)
		assert.Equal(t, x.Attributes, y.Attributes, "0x%08x", uint32(x.Handle))
		assert.Equal(t, x.NameAlg, y.NameAlg)
	}
	require.Len(t, b.Objects.List, len(a.Objects.List))
	for i, x := range a.Objects.List {
		y := b.Objects.List[i]
		assert.Equal(t, x.Handle, y.Handle)
		assert.Equal(t, x.Object.Hierarchy, y.Object.Hierarchy)
		unique := 256 // octets of RSA 2048
		if x.Handle == 0x81010016 {
			unique = 2 * (2 + 48) // of P-384
		}
		head := len(x.Object.Public) - unique
		require.Len(t, y.Object.Public, len(x.Object.Public))
		assert.Equal(t, x.Object.Public[:head], y.Object.Public[:head])
	}
	assert.Equal(t, a.Persistent.Allocation, b.Persistent.Allocation)
}
