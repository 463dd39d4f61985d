package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/daemon"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/statedir"
	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/transport/swtpm"
)

// printed runs swtpmd socket and returns what it prints, which is all there is to it.
func printed(t *testing.T, args ...string) string {
	t.Helper()
	code, out, errs := called(t, append([]string{"socket"}, args...)...)
	require.Equal(t, exitOK, code, "%v: %s", args, errs)
	return out
}

// What libvirt and swtpm_setup parse has swtpm's layout, blank by blank.
func TestPrintCapabilities(t *testing.T) {
	const common = `"tpm-2.0", "tpm-send-command-header", "flags-opt-startup", `
	for like, has := range map[string]struct{ begins, features, sizes, version string }{
		"0.7":  {`{ "type": "swtpm", "features": [ ` + common, `"cmdarg-print-states", "nvram-backend-dir", "nvram-backend-file"`, `, "rsa-keysize-1024", "rsa-keysize-2048", "rsa-keysize-3072" ], `, ` ], "version": "0.7.1" }` + "\n"},
		"0.10": {`{ "type": "swtpm", "features": [ ` + common + `"flags-opt-disable-auto-shutdown", "ctrl-opt-terminate", `, `"nvram-backend-file", "cmdarg-print-info", "tpmstate-opt-lock" ]`, `"nvram-backend-file", "rsa-keysize-1024", "rsa-keysize-2048", "rsa-keysize-3072", "cmdarg-profile", "cmdarg-print-profiles", "profile-opt-remove-disabled", "cmdarg-print-info", "tpmstate-opt-lock" ], "profiles": { "names": [ "`, ` ], "profiles": { }, "version": "0.10.0" }` + "\n"},
	} {
		plain := printed(t, "--print-capabilities", "--version-like="+like)
		assert.True(t, strings.HasPrefix(plain, has.begins), plain)
		assert.Contains(t, plain, has.features)
		assert.True(t, strings.HasSuffix(plain, has.version), plain)
		assert.NotContains(t, plain, "rsa-keysize", "a TPM 1.2 is asked for")
		two := printed(t, "--tpm2", "--print-capabilities", "--version-like", like)
		assert.Contains(t, two, has.sizes)
		for _, text := range []string{plain, two} {
			var parsed struct {
				Type     string
				Features []string
				Profiles map[string]any
			}
			require.NoError(t, json.Unmarshal([]byte(text), &parsed))
			assert.Equal(t, "swtpm", parsed.Type)
			assert.NotContains(t, parsed.Features, "tpm-1.2")
			if like == "0.7" {
				assert.NotContains(t, text, "profile")
			}
		}
	}
	assert.Equal(t, printed(t, "--print-capabilities"), printed(t, "--print-capabilities", "--version-like=0.10"), "the default")
	two := printed(t, "--tpm2", "--print-capabilities")
	assert.Contains(t, two, `"names": [ "default-v1", "null", "custom", "default", `)
	assert.Regexp(t, `"profiles": \{ "names": \[ "[^"]+"(, "[^"]+")+ \], "algorithms": \{ "canbedisabled": "[a-z0-9,=-]+", "implemented": "[a-z0-9,=-]+" \}, "commands": \{ "canbedisabled": "[0-9a-fx,-]+", "implemented": "[0-9a-fx,-]+" \} \}, "version"`, two)
	assert.NotContains(t, printed(t, "--tpm2", "--print-capabilities", "--profile=tiny"), "rsa-keysize", "this profile has no RSA")
}

// The layout is that of the swtpm that is installed, where it is of the version.
func TestPrintCapabilitiesAsSwtpmDoes(t *testing.T) {
	version, err := exec.Command("swtpm", "--version").Output()
	if err != nil || !strings.Contains(string(version), " 0.7.1,") {
		t.Skip("no swtpm 0.7.1 in PATH: it is Debian 12's; scripts/test installs it")
	}
	theirs, err := exec.Command("swtpm", "socket", "--tpm2", "--print-capabilities").Output()
	require.NoError(t, err)
	assert.Equal(t, strings.Replace(string(theirs), `"tpm-1.2", `, "", 1), printed(t, "--tpm2", "--print-capabilities", "--version-like=0.7"))
	dir := t.TempDir()
	theirs, err = exec.Command("swtpm", "socket", "--tpm2", "--print-states", "--tpmstate", "dir="+dir).Output()
	require.NoError(t, err)
	assert.Equal(t, string(theirs), printed(t, "--tpm2", "--print-states", "--tpmstate", "dir="+dir))
	require.NoError(t, os.WriteFile(filepath.Join(dir, daemon.StateFile), make([]byte, 1315), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, daemon.VolatileFile), make([]byte, 17), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, statedir.Swtpm), make([]byte, 1315), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "tpm2-00.volatilestate"), make([]byte, 17), 0o600))
	theirs, err = exec.Command("swtpm", "socket", "--tpm2", "--print-states", "--tpmstate", "dir="+dir).Output()
	require.NoError(t, err)
	assert.Equal(t, string(theirs), printed(t, "--tpm2", "--print-states", "--tpmstate", "dir="+dir))
}

func TestPrintStatesInSwtpmsLayout(t *testing.T) {
	dir := t.TempDir()
	assert.Equal(t, `{ "type": "swtpm", "states": [] }`, printed(t, "--tpm2", "--print-states", "--tpmstate", "dir="+dir))
	require.NoError(t, os.WriteFile(filepath.Join(dir, daemon.StateFile), make([]byte, 1315), 0o600))
	assert.Equal(t, `{ "type": "swtpm", "states": [ {"name": "permall", "size": 1315} ] }`, printed(t, "--tpm2", "--print-states", "--tpmstate=dir="+dir))
}

func TestPrintProfilesAndInfo(t *testing.T) {
	text := printed(t, "--tpm2", "--print-profiles")
	assert.True(t, strings.HasPrefix(text, `{"AvailableProfiles":[{"Name":"`), text)
	assert.True(t, strings.HasSuffix(text, `}]}`), "no newline")
	var info swtpm.Info
	require.NoError(t, json.Unmarshal([]byte(text), &info))
	assert.GreaterOrEqual(t, len(info.AvailableProfiles), len(emulator.Profiles()))

	for _, flags := range []string{"0x3", "3"} {
		text := printed(t, "--tpm2", "--print-info", flags)
		assert.Regexp(t, `^\{"TPMSpecification":\{"family":"2.0","level":0,"revision":[0-9]+\},"TPMAttributes":\{[^}]*\}\}\n$`, text)
	}
	assert.Equal(t, "{}\n", printed(t, "--tpm2", "--print-info=0x100"))
	assert.Equal(t, "{}\n", printed(t, "--tpm2", "--print-info=0x20"), "it has not been started")

	// With a place for its state the TPM is made and started.
	dir := t.TempDir()
	text = printed(t, "--tpm2", "--print-info=0x20", "--tpmstate", "dir="+dir)
	assert.True(t, strings.HasPrefix(text, `{"ActiveProfile":{"Name":"`), text)
	d := daemonWith(t, "--state="+dir)
	code, out, errs := called(t, "socket", "--tpm2", "--print-info=0x20", "--tpmstate", "dir="+dir)
	assert.Equal(t, exitFailed, code)
	assert.Empty(t, out)
	assert.Contains(t, errs, "in use by process")
	d.stop()
	require.Equal(t, exitOK, d.exitCode(t))

	for _, wrong := range []string{"", "x", "-1", "1_0", "0x1ffffffff"} {
		code, _, errs := called(t, "socket", "--tpm2", "--print-info="+wrong)
		assert.Equal(t, exitUsage, code, wrong)
		assert.Contains(t, errs, "--print-info", wrong)
	}
}

// One version is imitated: what is newer is refused.
func TestWhatIsNewerThanTheImitatedVersion(t *testing.T) {
	for _, args := range [][]string{{"--profile=name=tiny"}, {"--print-profiles"}, {"--print-info=7"}} {
		code, out, errs := called(t, append([]string{"socket", "--tpm2", "--ctrl=type=unixio,path=/does/not/exist/c", "--version-like=0.7"}, args...)...)
		assert.Equal(t, exitUsage, code, "%v", args)
		assert.Empty(t, out)
		option, _, _ := strings.Cut(args[0], "=")
		assert.Contains(t, errs, option+" is newer than swtpm 0.7", "%v", args)
	}
	code, _, errs := called(t, "socket", "--version-like=0.9", "--print-capabilities")
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, errs, "choose 0.7 or 0.10")
	for like, says := range map[string]string{"0.7": "TPM emulator version 0.7.1, ", "0.10": "TPM emulator version 0.10.0, "} {
		assert.True(t, strings.HasPrefix(printed(t, "--version", "--version-like="+like), says))
	}
}

// The bits of the control channel are those of the version.
func TestTheCapabilityWordOfAVersion(t *testing.T) {
	for like, lock := range map[string]bool{"0.7": false, "0.10": true} {
		fds, err := socketpairs(1)
		require.NoError(t, err)
		cmd := program(t, "socket", "--tpm2", "--ctrl=type=unixio,clientfd=3", "--version-like="+like)
		cmd.ExtraFiles = []*os.File{fds[0].theirs}
		require.NoError(t, cmd.Start())
		fds[0].theirs.Close()
		var word uint64
		_, err = fmt.Sscanf(asked(t, fds[0].ours, "00000001", 8), "%x", &word)
		require.NoError(t, err)
		if !lock {
			assert.Zero(t, swtpm.Capability(word)&swtpm.CapLockStorage)
		}
		assert.Equal(t, "00000000", asked(t, fds[0].ours, cmdShutdown, 4))
		require.NoError(t, cmd.Wait())
	}
}
