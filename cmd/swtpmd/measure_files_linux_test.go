package main

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/swtpmd/swtpmd/ima/files"
	"golang.org/x/sys/unix"
)

// ruleFile writes a policy.
func ruleFile(t *testing.T, rules ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rules")
	require.NoError(t, os.WriteFile(path, []byte(strings.Join(rules, "\n")+"\n"), 0o600))
	return "--policy=file:" + path
}

// recorded measures and gives the list's lines without the boot aggregate, each
// from the template's name on.
func recorded(t *testing.T, args ...string) (lines []string) {
	t.Helper()
	out := t.TempDir()
	measuredTo(t, out, args...)
	text, err := os.ReadFile(filepath.Join(out, "ascii_runtime_measurements"))
	require.NoError(t, err)
	for _, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")[1:] {
		lines = append(lines, strings.Join(strings.Fields(line)[2:], " "))
	}
	return lines
}

// recordedNames returns the last component of the names alone.
func recordedNames(t *testing.T, args ...string) (names []string) {
	t.Helper()
	for _, line := range recorded(t, args...) {
		names = append(names, filepath.Base(strings.Fields(line)[2]))
	}
	return names
}

func TestMeasureKnowsFileSystems(t *testing.T) {
	// The kernel's own lists: nothing of /proc is measured unless a rule wants
	// it.
	assert.Empty(t, recorded(t, "/proc/self/limits"))
	assert.Equal(t, []string{"limits"}, recordedNames(t, ruleFile(t, "measure fsname=proc"), "/proc/self/limits"))
	assert.Equal(t, []string{"limits"}, recordedNames(t, ruleFile(t, "measure fsmagic=0x9fa0"), "/proc/self/limits"))
	assert.Empty(t, recorded(t, ruleFile(t, "measure fsname=sysfs"), "/proc/self/limits"))

	files := someFiles(t)
	var st unix.Statfs_t
	require.NoError(t, unix.Statfs(files, &st))
	magic := fmt.Sprintf("fsmagic=0x%x", uint32(st.Type))
	assert.Len(t, recorded(t, ruleFile(t, "measure "+magic), files), 3)
	assert.Empty(t, recorded(t, ruleFile(t, "dont_measure "+magic, "measure"), files))
	assert.Empty(t, recorded(t, ruleFile(t, "measure fsname=proc"), files))
	assert.Empty(t, recorded(t, "--kernel=7.3", ruleFile(t, "measure fs_subtype=sshfs"), files), "no FUSE")
}

func TestMeasureKnowsOwners(t *testing.T) {
	files := someFiles(t)
	uid, gid := os.Getuid(), os.Getgid()
	for rule, n := range map[string]int{
		fmt.Sprintf("measure fowner=%d", uid): 3, fmt.Sprintf("measure fowner>%d", uid): 0, fmt.Sprintf("measure fowner<%d", uid+1): 3,
		fmt.Sprintf("measure fgroup=%d", gid): 3, fmt.Sprintf("measure fgroup=%d", gid+1): 0,
		"measure uid=0": 0, "measure uid=1000": 3, "measure euid=1000 egid=100": 3, "measure gid=0": 0,
	} {
		assert.Len(t, recorded(t, "--as=1000:100", ruleFile(t, rule), files), n, rule)
	}
	assert.Len(t, recorded(t, ruleFile(t, "measure uid=0 gid=0"), files), 3)
	assert.Len(t, recorded(t, "--as=7", ruleFile(t, "measure uid=7 gid=0"), files), 3)
}

// setxattr sets a security attribute, for which root is needed.
func setxattr(t *testing.T, path, name string, value []byte) {
	t.Helper()
	if err := unix.Setxattr(path, name, value, 0); err != nil {
		t.Skipf("%s cannot be set here: %v", name, err)
	}
}

// The hash is that of security.ima, of a signature's header or of a digest; the
// signature is in the list.
func TestMeasureReadsSecurityIMA(t *testing.T) {
	files := someFiles(t)
	signature := append([]byte{3, 2, 5, 1, 2, 3, 4, 0, 8}, []byte("a sig...")...) // sha384
	setxattr(t, filepath.Join(files, "program"), "security.ima", signature)
	setxattr(t, filepath.Join(files, "empty"), "security.ima", append([]byte{4, 6}, make([]byte, 64)...)) // sha512
	list := strings.Join(recorded(t, "--template=ima-sig", files), "\n")
	assert.Regexp(t, `(?m)^ima-sig sha384:[0-9a-f]{96} \S+/program `+hex.EncodeToString(signature)+`$`, list)
	assert.Regexp(t, `(?m)^ima-sig sha512:[0-9a-f]{128} \S+/empty$`, list)
	assert.Regexp(t, `(?m)^ima-sig sha256:[0-9a-f]{64} \S+/a_file$`, list)
	// A signature of version 3 is understood since 7.2.
	signature[1] = 3
	setxattr(t, filepath.Join(files, "program"), "security.ima", signature)
	for release, algo := range map[string]string{"7.1": "sha256", "7.2": "sha384"} {
		assert.Regexp(t, `(?m)^ima-sig `+algo+`:[0-9a-f]+ \S+/program `, strings.Join(recorded(t, "--kernel="+release, "--template=ima-sig", files), "\n"))
	}
}

func TestMeasureReadsSELinuxLabels(t *testing.T) {
	files := someFiles(t)
	setxattr(t, filepath.Join(files, "program"), "security.selinux", []byte("system_u:object_r:bin_t:s0\x00"))
	assert.Equal(t, []string{"program"}, recordedNames(t, ruleFile(t, "measure obj_user=system_u obj_role=object_r obj_type=bin_t"), files))
	assert.ElementsMatch(t, []string{"a_file", "empty"}, recordedNames(t, ruleFile(t, "measure obj_type=unlabeled_t"), files))
	labels := filepath.Join(t.TempDir(), "file_contexts")
	require.NoError(t, os.WriteFile(labels, []byte(files+"/.* -- u:r:other_t:s0\n"), 0o600))
	assert.Len(t, recorded(t, "--labels="+labels, ruleFile(t, "measure obj_type=other_t"), files), 3, "the file goes before the attribute")
}

// filesWithUUID makes files on a file system that has a UUID, which it gives.
func filesWithUUID(t *testing.T) (dir string, uuid [16]byte, fsName string) {
	t.Helper()
	memory, err := os.MkdirTemp("/dev/shm", "swtpmd-test-")
	dirs := []string{someFiles(t)}
	if err == nil {
		t.Cleanup(func() { assert.NoError(t, os.RemoveAll(memory)) })
		dirs = append(dirs, memory)
	}
	for _, dir := range dirs {
		path := filepath.Join(dir, "program")
		require.NoError(t, os.WriteFile(path, []byte("x"), 0o600))
		var machine files.Machine
		file, err := machine.Open(path)
		require.NoError(t, err)
		require.NoError(t, file.Close())
		if sb := file.Inode.Superblock; sb.UUID != [16]byte{} {
			return dir, sb.UUID, sb.FSName
		}
	}
	t.Skip("no file system here has a UUID, or the kernel does not tell it")
	return "", uuid, ""
}

// s_uuid of ext4 is in f_fsid as well (fs/ext4/super.c, ext4_statfs: the halves of
// the UUID, one over the other).
func TestMeasureKnowsUUIDs(t *testing.T) {
	files, u, fsName := filesWithUUID(t)
	if fsName == "ext4" {
		var st unix.Statfs_t
		require.NoError(t, unix.Statfs(files, &st))
		fsid := uint64(uint32(st.Fsid.Val[0])) | uint64(uint32(st.Fsid.Val[1]))<<32
		assert.Equal(t, fsid, binary.LittleEndian.Uint64(u[:8])^binary.LittleEndian.Uint64(u[8:]))
	}
	rule := fmt.Sprintf("measure fsuuid=%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
	assert.Contains(t, recordedNames(t, ruleFile(t, rule), files), "program")
	assert.Empty(t, recorded(t, ruleFile(t, "measure fsuuid=6ba7b810-9dad-11d1-80b4-00c04fd430c8"), files))
}

// A file is measured once, whatever names it has, and symbolic links are no part
// of the kernel's paths.
func TestMeasureNamesFilesAsTheKernelDoes(t *testing.T) {
	files := someFiles(t)
	require.NoError(t, os.Link(filepath.Join(files, "program"), filepath.Join(files, "zz")))
	assert.ElementsMatch(t, []string{"a_file", "empty", "program"}, recordedNames(t, files))
	elsewhere := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(files, elsewhere))
	list := strings.Join(recorded(t, elsewhere), "\n")
	assert.Contains(t, list, " "+files+"/program")
	assert.NotContains(t, list, elsewhere)
}

// elf is the beginning of an ELF file of a type.
func elf(kind byte, bigEndian bool) []byte {
	head := make([]byte, 64)
	copy(head, "\x7fELF\x02\x01\x01")
	head[16] = kind
	if bigEndian {
		head[5], head[16], head[17] = 2, 0, kind
	}
	return head
}

// Programs and libraries are mapped, what may be executed is executed, and the
// hook with the program's credentials leaves scripts out since 6.19.
func TestMeasureExecutesAndMaps(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string][]byte{
		"library.so": elf(3, false), "library-be.so": elf(3, true), "object.o": elf(1, false), "short": []byte("\x7fELF"), "text": []byte("text"),
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o644))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "program"), elf(2, false), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "script"), []byte("#!/bin/sh\n"), 0o755))
	assert.ElementsMatch(t, []string{"library-be.so", "library.so", "program"}, recordedNames(t, ruleFile(t, "measure func=FILE_MMAP mask=MAY_EXEC"), dir))
	for _, rule := range []string{"measure func=BPRM_CHECK", "measure func=FILE_CHECK mask=MAY_EXEC"} {
		assert.ElementsMatch(t, []string{"program", "script"}, recordedNames(t, ruleFile(t, rule), dir), rule)
	}
	for release, want := range map[string][]string{"6.18": {"program", "script"}, "6.19": {"program"}} {
		assert.ElementsMatch(t, want, recordedNames(t, "--kernel="+release, ruleFile(t, "measure func=CREDS_CHECK"), dir), release)
	}
}

// Rules of the kind that attestation projects publish: pseudo file systems and
// labels of logs left out, programs, libraries and what root reads measured, keys
// and the kernel's data too. The kernel must have an LSM and measure keys for it.
func TestMeasureWithPoliciesAsProjectsPublishThem(t *testing.T) {
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"bin/tool": 0o755, "log/messages": 0o640, "etc/conf": 0o644, "lib/x.so": 0o644} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, elf(3, false), mode))
	}
	labels := filepath.Join(t.TempDir(), "labels")
	require.NoError(t, os.WriteFile(labels, []byte(dir+"/log(/.*)?  system_u:object_r:var_log_t:s0\n"+dir+"/etc/.*  --  system_u:object_r:etc_t:s0\n"), 0o600))
	key := filepath.Join(t.TempDir(), "key.der")
	require.NoError(t, os.WriteFile(key, []byte("a key"), 0o600))
	policy := ruleFile(t,
		"# pseudo file systems", "dont_measure fsmagic=0x9fa0", "dont_measure fsmagic=0x62656572", "dont_measure fsmagic=0x64626720",
		"dont_measure fsmagic=0x1021994 func=FILE_CHECK", "dont_measure fsmagic=0x73636673", "dont_measure fsmagic=0xf97cff8c",
		"# logs", "dont_measure obj_type=var_log_t", "dont_measure obj_type=auditd_log_t", "dont_appraise obj_type=var_log_t",
		"measure func=FILE_MMAP mask=MAY_EXEC", "measure func=BPRM_CHECK mask=MAY_EXEC", "measure func=MODULE_CHECK uid=0",
		"measure func=FILE_CHECK mask=^MAY_READ euid=0 obj_type=etc_t subj_type=unconfined_t",
		"measure func=KEY_CHECK keyrings=.ima|.evm|.builtin_trusted_keys", "measure func=CRITICAL_DATA label=selinux|kernel_info",
		"measure func=KEXEC_CMDLINE", "appraise func=MODULE_CHECK appraise_type=imasig|modsig")
	args := []string{"--labels=" + labels, "--key=.ima=" + key, "--key=_uid.0=" + key, policy}
	want := []string{".ima", "conf", "tool", "x.so"}
	assert.ElementsMatch(t, want, recordedNames(t, append(args, "--subject=unconfined_u:unconfined_r:unconfined_t:s0-s0:c0.c1023", dir)...))
	code, _, errs := called(t, "measure", "--out", t.TempDir(), "--lsm=none", policy, dir)
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, errs, "line 9")
	assert.Contains(t, errs, `"obj_type=var_log_t"`)
}

func TestMeasureIntoAnotherPCR(t *testing.T) {
	files, out := someFiles(t), t.TempDir()
	code, told, errs := called(t, "measure", "--json", "--out", out, "--kernel=7.3", "--measure-pcr=11", "--nonce=c0ffee", files)
	require.Equal(t, exitOK, code, errs)
	assert.Contains(t, told, `"measure_pcr":11`)
	assert.NotContains(t, errs, "Kconfig")
	list, err := os.ReadFile(filepath.Join(out, "ascii_runtime_measurements"))
	require.NoError(t, err)
	for line := range strings.Lines(string(list)) {
		assert.True(t, strings.HasPrefix(line, "11 "), line)
	}
	// Whoever verifies has to know that the kernel extends another PCR than 10.
	code, said := quoted(t, out, "c0ffee")
	assert.Equal(t, exitCannotTell, code, said)
	assert.Contains(t, said, "aggregate-pcr")
	code, said = quoted(t, out, "c0ffee", "--measure-pcr=11")
	assert.Equal(t, exitOK, code, said)
	// Before 7.3-rc2 such a kernel is one whose Kconfig somebody has edited.
	_, _, errs = called(t, "measure", "--out", out, "--kernel=7.3-rc1", "--measure-pcr=11", files)
	assert.Contains(t, errs, "kernel 7.3-rc1 has no prompt for CONFIG_IMA_MEASURE_PCR_IDX")
}

func TestMeasureWithAKconfig(t *testing.T) {
	files, kconfig := someFiles(t), filepath.Join(t.TempDir(), "config")
	const text = "CONFIG_IMA=y\nCONFIG_IMA_DEFAULT_TEMPLATE=\"ima-sig\"\nCONFIG_IMA_DEFAULT_HASH=\"sha1\"\nCONFIG_CRYPTO_SHA1=y\nCONFIG_CRYPTO_SHA256=y\n"
	require.NoError(t, os.WriteFile(kconfig, []byte(text), 0o600))
	list := strings.Join(recorded(t, "--kconfig="+kconfig, files), "\n")
	assert.Contains(t, list, "ima-sig sha1:")
	for rule, symbol := range map[string]string{
		"measure func=KEY_CHECK":                                 "CONFIG_IMA_MEASURE_ASYMMETRIC_KEYS=y\n",
		"measure obj_type=etc_t":                                 "CONFIG_IMA_LSM_RULES=y\n",
		"appraise appraise_algos=sha512":                         "CONFIG_CRYPTO_SHA512=m\n",
		"appraise func=MODULE_CHECK appraise_type=imasig|modsig": "CONFIG_IMA_APPRAISE_MODSIG=y\n",
	} {
		for with, want := range map[string]int{"": exitUsage, symbol: exitOK} {
			require.NoError(t, os.WriteFile(kconfig, []byte(text+with), 0o600))
			code, _, errs := called(t, "measure", "--out", t.TempDir(), "--kconfig="+kconfig, ruleFile(t, rule), files)
			assert.Equal(t, want, code, "%s %s: %s", rule, with, errs)
		}
	}
}

// What is wrong with a flag is said before anything is extended.
func TestMeasureRefusesFlags(t *testing.T) {
	dir := t.TempDir()
	bad, empty := filepath.Join(dir, "bad"), filepath.Join(dir, "empty")
	require.NoError(t, os.WriteFile(bad, []byte("/x context\n"), 0o600))
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	for _, tc := range []struct{ args, want string }{
		{"--as=root", "--as=root: UID or UID:GID"},
		{"--as=0:x", "--as=0:x"},
		{"--as=4294967296", "--as=4294967296"},
		{"--subject=unconfined_t", "--subject"},
		{"--labels=" + bad, "line 1"},
		{"--labels=" + dir + "/none", "--labels"},
		{"--lsm=smack", `unknown LSM "smack"; there are selinux, none`},
		{"--lsm=none --labels=" + empty, "--lsm=selinux"},
		{"--key=cert", "KEYRING=FILE"},
		{"--key=.ima=" + empty, "is empty"},
		{"--key=.ima=" + dir + "/none", "--key"},
		{"--measure-pcr=7", "8 to 14"},
		{"--kconfig=" + empty, "CONFIG_IMA: is not set"},
		{"--kconfig=" + bad, "line 1"},
		{"--kernel=6.6 --hash=sha3-256", `unknown hash "sha3-256"`},
	} {
		args := append([]string{"measure", "--out", filepath.Join(dir, "out")}, strings.Fields(tc.args)...)
		code, _, errs := called(t, append(args, dir)...)
		assert.Equal(t, exitUsage, code, tc.args)
		assert.Contains(t, errs, tc.want, tc.args)
	}
	assert.NoDirExists(t, filepath.Join(dir, "out"))
	assert.Len(t, recorded(t, "--kernel=6.7", "--hash=sha3-256", someFiles(t)), 3)
}
