package measure_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/measure"
)

// custom boots a kernel and loads a policy.
func custom(t testing.TB, config measure.Config, policy string) *measure.IMA {
	t.Helper()
	m := start(t, config, nil)
	require.NoError(t, m.WritePolicy(rootCred, policy))
	return m
}

func TestFirstTemplateOptionHolds(t *testing.T) {
	t.Parallel()
	for options, want := range map[string]string{
		"ima_template=ima-ng ima_template=ima-sig":             "ima-ng",
		"ima_template=nothing ima_template=ima-ng":             "ima-ng",
		"ima_template_fmt=d-ng|n-ng|buf ima_template=ima-ng":   "d-ng|n-ng|buf",
		"ima_hash=sha256 ima_template=ima ima_template=ima-ng": "ima-ng",
		"ima_template=d-ng|n-ng":                               "ima-ng",
		"ima_template=ima ima_hash=sha256":                     "ima",
		`x="a ima_template=ima-ng" ima_template=ima-buf`:       "ima-buf",
	} {
		m := start(t, debian(t, options), nil)
		assert.Equal(t, want, m.Records()[0].Template().Name(), options)
	}
}

func TestFailSecurely(t *testing.T) {
	t.Parallel()
	const programs = "measure func=BPRM_CHECK\n"
	for _, c := range []struct {
		name         string
		sb           measure.Superblock
		line, policy string
		want         int
	}{
		{"verifiable", measure.Superblock{}, "", programs, 1},
		{"unverifiable: measured each time", measure.Superblock{Unverifiable: true}, "", programs, 2},
		{"untrusted mounter", measure.Superblock{Unverifiable: true, UntrustedMounter: true}, "", programs, 1},
		{"fail_securely is about appraised files", measure.Superblock{Unverifiable: true}, "ima_policy=fail_securely", programs, 2},
		{"fail_securely", measure.Superblock{Unverifiable: true}, "ima_policy=fail_securely", programs + "appraise\n", 1},
		{"appraised without fail_securely", measure.Superblock{Unverifiable: true}, "", programs + "appraise\n", 2},
	} {
		config := debian(t, c.line)
		config.DisableHTable = true
		m := custom(t, config, c.policy)
		f := file("/mnt/x", "x")
		f.Inode.Superblock = &c.sb
		m.BprmCheck(f, rootCred)
		m.BprmCheck(f, rootCred)
		assert.Equal(t, c.want+1, m.Count(), c.name)
	}
}

func TestSetXattr(t *testing.T) {
	t.Parallel()
	m := custom(t, debian(t, ""), "measure func=BPRM_CHECK\n")
	f := file("/bin/x", "x")
	m.SetXattr(f.Inode) // not known to IMA yet
	m.BprmCheck(f, rootCred)
	f.Inode.Xattrs = []ima.Xattr{{Name: "security.ima", Value: []byte{3, 2, 4, 0, 0, 0, 0, 0, 1, 9}}}
	m.BprmCheck(f, rootCred)
	assert.Equal(t, 2, m.Count())
	m.SetXattr(f.Inode)
	m.BprmCheck(f, rootCred)
	assert.Equal(t, 3, m.Count())
	assert.Equal(t, "03020400000000000109", m.Records()[2].FieldText("sig"))
}

func TestEVMSignature(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{"\x05portable": "05706f727461626c65", "\x02hmac": ""} {
		m := custom(t, debian(t, ""), "measure func=BPRM_CHECK\nmeasure func=FILE_CHECK\n")
		f := file("/bin/x", "x")
		f.Inode.Xattrs = []ima.Xattr{{Name: "security.evm", Value: []byte(value)}}
		m.BprmCheck(f, rootCred)
		assert.Equal(t, want, m.Records()[1].FieldText("sig"))
		// A violation has it too, but not the file's IMA signature.
		f.Inode.Xattrs = append(f.Inode.Xattrs, ima.Xattr{Name: "security.ima", Value: []byte{3, 2, 4, 0, 0, 0, 0, 0, 1, 9}})
		m.Open(f, rootCred, measure.MayRead)
		m.Open(openWrite(f), rootCred, measure.MayWrite)
		last := m.Records()[m.Count()-1]
		require.True(t, last.Violation())
		assert.Equal(t, want, last.FieldText("sig"))
	}
}

func TestVerity(t *testing.T) {
	t.Parallel()
	config := debian(t, "ima_template=ima-ngv2")
	m := custom(t, config, "measure func=BPRM_CHECK digest_type=verity\nmeasure func=FILE_CHECK mask=MAY_READ\n")
	without := file("/bin/none", "x")
	m.BprmCheck(without, rootCred)
	assert.Equal(t, 1, m.Count(), "no fs-verity digest, no record")
	with := file("/bin/x", "x")
	with.Inode.VerityDigest = ima.FileDigest{Algo: ima.SHA512, Sum: make([]byte, 64)}
	m.BprmCheck(with, rootCred)
	assert.True(t, strings.HasPrefix(m.Records()[1].FieldText("d-ngv2"), "verity:sha512:00"))
	m.Open(with, rootCred, measure.MayRead)
	m.Open(openWrite(with), rootCred, measure.MayWrite)
	last := m.Records()[m.Count()-1]
	require.True(t, last.Violation())
	assert.True(t, strings.HasPrefix(last.FieldText("d-ngv2"), "ima:sha256:00"))
}

// A file that was open with O_DIRECT is measured properly later; its zeros are
// labelled with ima_hash.
func TestDirectIsNotRemembered(t *testing.T) {
	t.Parallel()
	m := custom(t, debian(t, ""), "measure func=FILE_CHECK\n")
	f := file("/data", "x")
	f.Inode.Xattrs = []ima.Xattr{{Name: "security.ima", Value: append([]byte{4, 2}, make([]byte, 20)...)}}
	m.Open(&measure.File{Inode: f.Inode, Path: f.Path, Read: true, Direct: true}, rootCred, measure.MayRead)
	digest, _ := m.Records()[1].FileDigest()
	assert.Equal(t, ima.FileDigest{Algo: ima.SHA256, Sum: make([]byte, 32)}, digest)
	m.Open(f, rootCred, measure.MayRead)
	require.Equal(t, 3, m.Count())
	digest, _ = m.Records()[2].FileDigest()
	assert.Equal(t, ima.SHA1, digest.Algo)
	assert.False(t, digest.Zero())
}

// Only the last of several writers makes IMA forget.
func TestLastWriter(t *testing.T) {
	t.Parallel()
	config := debian(t, "")
	config.DisableHTable = true
	m := custom(t, config, "measure func=BPRM_CHECK\n")
	f := file("/x", "x")
	a, b := openWrite(f), openWrite(f)
	m.Open(a, rootCred, measure.MayWrite)
	m.Open(b, rootCred, measure.MayWrite)
	m.BprmCheck(f, rootCred)
	f.Inode.Version++
	m.Release(a)
	m.BprmCheck(f, rootCred)
	assert.Equal(t, 2, m.Count())
	m.Release(b)
	m.BprmCheck(f, rootCred)
	assert.Equal(t, 3, m.Count())
}

func TestMmap(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		release       string
		reqprot, prot bool
		want          int
	}{
		{"6.1", true, false, 0}, {"6.12", true, false, 1},
		{"6.1", false, true, 1}, {"6.12", false, true, 1}, {"6.12", true, true, 1},
		{"6.12", false, false, 0},
	} {
		config := debian(t, "")
		config.Kernel = kernel(t, c.release)
		m := custom(t, config, "measure mask=MAY_EXEC\n")
		m.Mmap(file("/lib/x.so", "x"), rootCred, c.reqprot, c.prot)
		assert.Equal(t, c.want+1, m.Count(), "%+v", c)
	}
	config := debian(t, "")
	config.Kernel = kernel(t, "6.12")
	m := custom(t, config, "measure func=MMAP_CHECK_REQPROT pcr=11\nmeasure func=MMAP_CHECK pcr=12\n")
	m.Mmap(file("/lib/x.so", "x"), rootCred, true, true)
	assert.Equal(t, 3, m.Count(), "once for each PCR")
}

// A file is measured once into each PCR that rules give it.
func TestMeasuredPCRs(t *testing.T) {
	t.Parallel()
	m := custom(t, debian(t, ""), "measure func=BPRM_CHECK pcr=11\nmeasure func=CREDS_CHECK uid=5 template=ima-ng\nmeasure func=FILE_CHECK\n")
	f := file("/bin/x", "x")
	for range 2 {
		m.BprmCheck(f, rootCred)
		m.CredsCheck(f, rootCred)
		m.CredsCheck(f, &measure.Cred{UID: 5})
		m.Open(f, rootCred, measure.MayRead)
	}
	records := m.Records()
	require.Len(t, records, 3)
	assert.Equal(t, uint32(11), records[1].PCR)
	assert.Equal(t, uint32(10), records[2].PCR)
	assert.Equal(t, "ima-ng", records[2].Template().Name())
}

// A module with an appended signature is recorded again, with the signature,
// when a rule allows for it and the template has a place.
func TestModsig(t *testing.T) {
	t.Parallel()
	config := debian(t, "")
	config.Modsig = true
	config.DisableHTable = true
	m := custom(t, config, "measure func=FILE_CHECK template=ima-modsig\nappraise func=MODULE_CHECK appraise_type=imasig|modsig\nmeasure func=MODULE_CHECK template=ima-modsig\n")
	f := file("/lib/m.ko", "module with signature")
	f.Modsig = &ima.Modsig{Digest: ima.FileDigest{Algo: ima.SHA256, Sum: make([]byte, 32)}, Raw: []byte("PKCS#7")}
	m.Open(f, rootCred, measure.MayRead)
	for range 2 {
		m.PostReadFile(f, rootCred, []byte("module with signature"), measure.ReadingModule)
	}
	records := m.Records()
	require.Len(t, records, 3)
	assert.Empty(t, records[1].FieldText("modsig"), "FILE_CHECK's rule does not allow it")
	assert.Equal(t, "504b43532337", records[2].FieldText("modsig"))
	assert.Equal(t, "sha256:"+strings.Repeat("00", 32), records[2].FieldText("d-modsig"))
}

func TestBufferRules(t *testing.T) {
	t.Parallel()
	config := debian(t, "")
	config.MeasureKeys = true
	m := custom(t, config, "measure func=KEY_CHECK uid=5 pcr=12\nmeasure func=CRITICAL_DATA template=ima-ng\ndont_measure func=KEXEC_CMDLINE fowner=7\nmeasure func=KEXEC_CMDLINE\n")
	m.KeyCreateOrUpdate(".ima", rootCred, []byte("root's"))
	m.KeyCreateOrUpdate(".ima", &measure.Cred{UID: 5}, []byte("of 5"))
	m.KeyCreateOrUpdate(".ima", &measure.Cred{UID: 5}, nil)
	_, err := m.MeasureCriticalData("any", "event", []byte("x"), false)
	require.NoError(t, err)
	vmlinuz := file("/boot/vmlinuz", "x")
	require.NoError(t, m.KexecCmdline(vmlinuz, rootCred, []byte("quiet")))
	require.NoError(t, m.KexecCmdline(vmlinuz, rootCred, nil))
	vmlinuz.Inode.UID = 7
	assert.ErrorIs(t, m.KexecCmdline(vmlinuz, rootCred, []byte("other")), measure.ENOENT)
	require.NoError(t, m.PostLoadModule([]byte("x")), "6.1 does not measure it")
	records := m.Records()
	require.Equal(t, []string{"boot_aggregate", ".ima", "event", "kexec-cmdline"}, names(m))
	assert.Equal(t, uint32(12), records[1].PCR)
	assert.Equal(t, "ima-ng", records[2].Template().Name())
	assert.Equal(t, uint32(10), records[3].PCR)
}

// With the ima template security.ima names no hash, and what a d field shows of
// a file that was read into memory is the file.
func TestLegacyTemplateReadsTheFile(t *testing.T) {
	t.Parallel()
	m := custom(t, debian(t, ""), "measure func=BPRM_CHECK template=ima\nmeasure func=MODULE_CHECK template=ima\nmeasure func=FIRMWARE_CHECK\n")
	f := file("/bin/x", "x")
	f.Inode.Xattrs = []ima.Xattr{{Name: "security.ima", Value: append([]byte{4, 17}, make([]byte, 32)...)}} // sm3
	m.BprmCheck(f, rootCred)
	m.PostReadFile(file("/lib/m.ko", "x"), rootCred, []byte("in memory"), measure.ReadingModule)
	m.ReadFile(file("/lib/firmware", "x"), rootCred, measure.ReadingFirmware)
	records := m.Records()
	require.Len(t, records, 4)
	for _, r := range records[1:3] {
		assert.Equal(t, "11f6ad8ec52a2984abaafd7c3b516503785c2072", r.FieldText("d"), r.Name())
	}
	digest, _ := records[3].FileDigest()
	assert.Equal(t, sha256Of("x"), string(digest.Sum))
}

// Without credentials a hook is called for the kernel, and a file may be on a
// file system that has no properties.
func TestKernelsOwnAccess(t *testing.T) {
	t.Parallel()
	m := custom(t, debian(t, ""), "measure func=FIRMWARE_CHECK uid=0\nmeasure func=CRITICAL_DATA uid=0\n")
	f := file("/lib/firmware/x", "x")
	f.Inode.Superblock = nil
	m.ReadFile(f, nil, measure.ReadingFirmware)
	w := openWrite(f)
	m.Open(w, nil, measure.MayWrite)
	m.Release(w)
	_, err := m.MeasureCriticalData("l", "e", []byte("x"), false)
	require.NoError(t, err)
	assert.Equal(t, 3, m.Count())
}
