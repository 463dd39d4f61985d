package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/daemon"
	"github.com/swtpmd/swtpmd/emulator"
)

func TestProfilesAreListedAndPrinted(t *testing.T) {
	code, out, _ := called(t, "--profiles")
	require.Equal(t, exitOK, code)
	for _, name := range emulator.Profiles() {
		assert.Contains(t, "\n"+out, "\n"+name+" ")
		text, err := emulator.ProfileFile(name)
		require.NoError(t, err)
		_, printed, _ := called(t, "--profile="+name, "--print-profile")
		assert.Equal(t, string(text), printed)
	}
	_, printed, _ := called(t, "--print-profile")
	assert.Contains(t, printed, "\nprofile default ")
}

// What is printed can be changed and used.
func TestAProfileOfOnesOwn(t *testing.T) {
	_, text, _ := called(t, "--profile=hardware-like", "--print-profile")
	text = strings.Replace(text, "profile hardware-like", "profile mine", 1)
	text = strings.Replace(text, "transient=3", "transient=100", 1)
	file := filepath.Join(t.TempDir(), "mine.profile")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	for _, words := range []string{file, "file=" + file} {
		d := daemonWith(t, "--profile="+words, "--flags=startup-clear")
		assert.Equal(t, "mine", d.ready.Profile)
		assert.EqualValues(t, 100, fixed(t, d, tpm2.TPMPTHRTransientMin))
		assert.EqualValues(t, 1280, fixed(t, d, tpm2.TPMPTMaxCommandSize))
		d.stop()
		require.Equal(t, exitOK, d.exitCode(t))
	}

	require.NoError(t, os.WriteFile(file, []byte("profile mine\nlimits transient=1\n"), 0o600))
	code, out, errs := called(t, "--profile="+file)
	assert.Equal(t, exitUsage, code)
	assert.Empty(t, out)
	assert.Contains(t, errs, file+":2: limits: key transient: 1 makes no TPM: 3 to 256")

	require.NoError(t, os.WriteFile(file, make([]byte, emulator.MaxProfile+2), 0o600))
	_, _, errs = called(t, "--profile="+file)
	assert.Contains(t, errs, "at most 65536")
}

// tpm2-tools that flush nothing and have no resource manager fill the slots of a TPM.
func TestToolsWithoutAResourceManager(t *testing.T) {
	create, err := exec.LookPath("tpm2_createprimary")
	if err != nil {
		t.Skip("tpm2_createprimary is not installed (Debian package tpm2-tools); scripts/test installs it")
	}
	for profile, slots := range map[string]int{"default": 3, "roomy": 5} {
		d := daemonWith(t, "--profile="+profile, "--flags=startup-clear")
		dir := t.TempDir()
		keys := 0
		var said []byte
		for keys < 5 {
			cmd := exec.CommandContext(t.Context(), create, "-G", "ecc", "-T", "swtpm:path="+d.ready.Data, "-c", filepath.Join(dir, strconv.Itoa(keys)))
			if said, err = cmd.CombinedOutput(); err != nil {
				break
			}
			keys++
		}
		assert.Equal(t, slots, keys, "%s: %s", profile, said)
		d.stop()
		require.Equal(t, exitOK, d.exitCode(t))
	}
}

// A name has no slash, so a file that is there is not meant by one.
func TestAProfileThatIsMeantAsAFile(t *testing.T) {
	t.Chdir(t.TempDir())
	_, _, errs := called(t, "--profile=mine")
	assert.NotContains(t, errs, "did you mean")
	require.NoError(t, os.WriteFile("mine", nil, 0o600))
	code, _, errs := called(t, "--profile=mine")
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, errs, "did you mean ./mine?")
}

// fixed asks a daemon for a property.
func fixed(t *testing.T, d *running, property tpm2.TPMPT) uint32 {
	t.Helper()
	rsp, err := tpm2.GetCapability{Capability: tpm2.TPMCapTPMProperties, Property: uint32(property), PropertyCount: 1}.Execute(overSocket{connect(t, d.ready.Data)})
	require.NoError(t, err)
	list, err := rsp.CapabilityData.Data.TPMProperties()
	require.NoError(t, err)
	require.Len(t, list.TPMProperty, 1)
	return list.TPMProperty[0].Value
}

// swtpm's profile is told once: what the TPM was made with it stays.
func TestAProfileAtTheFirstStart(t *testing.T) {
	dir := t.TempDir()
	socket := func(args ...string) (int, string, string) {
		return called(t, append([]string{"socket", "--tpm2", "--print-info=0x20", "--tpmstate=dir=" + dir}, args...)...)
	}
	const small = `{"Name":"custom:small","StateFormatLevel":1,"Commands":"0x11f-0x122,0x124-0x12e,0x130-0x140,0x142-0x159,0x15b-0x15e,0x160-0x165,0x167-0x174,0x176-0x178,0x17a-0x193,0x197"}`
	code, out, errs := socket("--profile", "profile="+small+",remove-disabled=check")
	require.Equal(t, exitOK, code, errs)
	assert.True(t, strings.HasPrefix(out, `{"ActiveProfile":{"Name":"custom:small",`), out)
	for _, args := range [][]string{nil, {"--profile=profile=" + small}} {
		code, again, errs := socket(args...)
		require.Equal(t, exitOK, code, errs)
		assert.Equal(t, out, again)
	}
	code, _, errs = socket("--profile=name=null")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errs, "was made with the profile custom:small, and swtpm takes another one, such as null, at the first start only")
	d := daemonWith(t, "--state="+dir)
	assert.Equal(t, "custom:small", d.ready.Profile)
	d.stop()
	require.Equal(t, exitOK, d.exitCode(t))

	require.NoError(t, os.Remove(filepath.Join(dir, daemon.StateFile)))
	code, out, errs = socket()
	require.Equal(t, exitOK, code, errs)
	assert.True(t, strings.HasPrefix(out, `{"ActiveProfile":{"Name":"default",`), "a new TPM has no profile of an old one: %s", out)
	code, _, errs = socket("--profile=name=tiny")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errs, "was made with the profile default")
}

// What swtpmd setup makes has its profile too.
func TestTheProfileOfSetup(t *testing.T) {
	dir := t.TempDir()
	code, _, errs := called(t, "setup", "--state="+dir, "--profile=tiny", "--ek=ecc-p256")
	require.Equal(t, exitOK, code, errs)
	code, out, errs := called(t, "socket", "--tpm2", "--print-info=0x20", "--tpmstate=dir="+dir)
	require.Equal(t, exitOK, code, errs)
	assert.True(t, strings.HasPrefix(out, `{"ActiveProfile":{"Name":"tiny",`), out)
}

// A TPM keeps its profile: another one that cannot go on with the state is
// refused before anything listens, and the state stays as it is.
func TestStateOfAnotherProfile(t *testing.T) {
	dir := t.TempDir()
	for _, profile := range []string{"default", "tiny", "default"} { // nothing in it needs either yet
		d := daemonWith(t, "--state="+dir, "--profile="+profile, "--flags=startup-clear")
		d.stop()
		require.Equal(t, exitOK, d.exitCode(t))
	}
	d := daemonWith(t, "--state="+dir, "--flags=startup-clear")
	policy := "80020000005f0000012e400000010000000940000009000000" + "0000" + "0040" + strings.Repeat("ab", 64) + "000d" // of the owner, with SHA-512
	require.Equal(t, "80020000001300000000", asked(t, connect(t, d.ready.Data), policy, 10))
	d.stop()
	require.Equal(t, exitOK, d.exitCode(t))
	before, err := os.ReadFile(filepath.Join(dir, "tpm2.state"))
	require.NoError(t, err)

	code, out, errs := called(t, "--dir", t.TempDir(), "--state="+dir, "--profile=tiny")
	assert.Equal(t, exitFailed, code)
	assert.Empty(t, out)
	assert.Contains(t, errs, dir+": TPM state: the owner's policy is with SHA512")
	assert.NotContains(t, errs, "state is kept")
	assert.Contains(t, errs, "use the Config or the profile with which it was made")
	after, err := os.ReadFile(filepath.Join(dir, "tpm2.state"))
	require.NoError(t, err)
	assert.Equal(t, before, after)
}

func TestBootsWithEveryProfile(t *testing.T) {
	for _, name := range emulator.Profiles() {
		code, out, errs := called(t, "boot", "--profile="+name, "--json")
		require.Equal(t, exitOK, code, errs)
		var o struct {
			Boot struct {
				Summary struct{ Kept, Extended int }
			}
		}
		require.NoError(t, json.Unmarshal([]byte(out), &o))
		assert.Positive(t, o.Boot.Summary.Kept, name)
		assert.Equal(t, o.Boot.Summary.Kept, o.Boot.Summary.Extended, name)
	}
}
