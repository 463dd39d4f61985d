package measure_test

import (
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/measure"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// debianTPM has the banks of the machine whose lists are in testdata, in the
// state that firmware left there.
func debianTPM(t testing.TB, list string) (tpm *fakeTPM, after ima.PCRs) {
	t.Helper()
	tpm = newFakeTPM(ima.SHA1, ima.SHA256, ima.SHA384, ima.SHA512)
	after = debianPCRs(t, list)
	for bank, values := range after {
		for i := range 10 {
			tpm.pcrs[bank][i] = values[i]
		}
	}
	return tpm, after
}

func assertList(t *testing.T, m *measure.IMA, name string) {
	t.Helper()
	for form, file := range map[string]string{".ascii": "ascii_runtime_measurements", ".bin": "binary_runtime_measurements"} {
		got, err := m.ReadSecurityFile(file)
		require.NoError(t, err)
		assert.Equal(t, string(readFile(t, "lists/debian-6.1-"+name+form)), string(got), file)
	}
}

func assertPCR10(t *testing.T, tpm *fakeTPM, want ima.PCRs) {
	t.Helper()
	for bank := range want {
		assert.Equal(t, want[bank][10].String(), tpm.pcrs[bank][10].String(), "%s", bank)
	}
}

// The real kernel's list of critical data, bit for bit, and its PCRs.
func TestDebianCriticalData(t *testing.T) {
	t.Parallel()
	tpm, want := debianTPM(t, "crit")
	m := start(t, debian(t, "quiet ima_policy=critical_data"), tpm)
	assertList(t, m, "crit")
	assertPCR10(t, tpm, want)
}

// measured is a file whose digest is known but whose content is not: it has the
// digest as that of fs-verity, which the test's policy asks for.
func measured(t testing.TB, path, digest string) *measure.File {
	t.Helper()
	sum, err := hex.DecodeString(digest)
	require.NoError(t, err)
	f := file(path, "")
	f.Inode.VerityDigest = ima.FileDigest{Algo: ima.SHA256, Sum: sum}
	return f
}

// The real kernel's list of executed and read files with its violations.
func TestDebianFileList(t *testing.T) {
	t.Parallel()
	tpm, want := debianTPM(t, "file")
	m := start(t, debian(t, ""), tpm)
	require.NoError(t, m.WritePolicy(rootCred, "measure func=BPRM_CHECK digest_type=verity\nmeasure func=FILE_CHECK mask=^MAY_READ digest_type=verity\n"))

	const tool = "3d9f2889d6782537624a4e1a10e68a2ddd53e0ee8bac02676f27308f42ec6bf6"
	m.BprmCheck(measured(t, "/bin/busybox", tool), rootCred)
	a := measured(t, "/tmp/a", "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03")
	m.Open(a, rootCred, measure.MayRead)
	m.Release(a)
	m.BprmCheck(measured(t, "/tmp/my tool", tool), rootCred)
	again := measured(t, "/tmp/a", "6052eef1a76d3ff777269e8a1720524953b74c4d96e4689679c8982699a32beb")
	m.Open(again, rootCred, measure.MayRead)
	for range 3 {
		w := openWrite(again)
		m.Open(w, rootCred, measure.MayWrite)
		m.Release(w)
	}
	m.Release(again)
	m.BprmCheck(measured(t, "/tmp/s", "013c0d0d99f2c2cf72af8fe838bc9d8cadda4127c4dcff84e5726d3ade75309e"), rootCred)
	m.Open(measured(t, "/tmp/\u00fc x", "7aa7a5359173d05b63cfd682e3c38487f3cb4f7f1d60659fe59fab1505977d4c"), rootCred, measure.MayRead)

	assertList(t, m, "file")
	assertPCR10(t, tpm, want)
	count, err := m.ReadSecurityFile("runtime_measurements_count")
	require.NoError(t, err)
	assert.Equal(t, "10\n", string(count))
	violations, err := m.ReadSecurityFile("violations")
	require.NoError(t, err)
	assert.Equal(t, "3\n", string(violations))
}

func TestLogLines(t *testing.T) {
	t.Parallel()
	tpm, _ := debianTPM(t, "exec")
	for name, c := range map[string]struct {
		tpm    *fakeTPM
		config func(*measure.Config)
		want   []string
	}{
		"TPM found": {tpm, nil, []string{
			"ima: Allocated hash algorithm: sha256",
			"ima: Can not allocate sha384 (reason: -2)",
			"ima: Can not allocate sha512 (reason: -2)",
			"ima: No architecture policies found",
		}},
		"bypass": {nil, func(c *measure.Config) { c.SecureBoot = "disabled" }, []string{
			"ima: secureboot mode disabled",
			"ima: No TPM chip found, activating TPM-bypass!",
			"ima: Allocated hash algorithm: sha256",
			"ima: No architecture policies found",
		}},
		"no usable bank": {newFakeTPM(ima.SHA384), func(c *measure.Config) { c.Unavailable = nil }, []string{
			"ima: Allocated hash algorithm: sha256",
			"ima: No suitable TPM algorithm for boot aggregate",
			"ima: No architecture policies found",
		}},
		"hash not available": {nil, func(c *measure.Config) { c.CommandLine = "ima_hash=sha512" }, []string{
			"ima: No TPM chip found, activating TPM-bypass!",
			"ima: Can not allocate sha512 (reason: -2)",
			"ima: Allocating sha512 failed, going to use default hash algorithm sha256",
			"ima: No TPM chip found, activating TPM-bypass!",
			"ima: Allocated hash algorithm: sha256",
			"ima: No architecture policies found",
		}},
		"template formats": {nil, func(c *measure.Config) {
			c.CommandLine = "ima_template_fmt= ima_template_fmt=d-ng|seventeen-letters ima_template_fmt=" + strings.Repeat("d|", 15) + "d"
		}, []string{
			"ima: Invalid field with length 0",
			"ima: format string '' not valid, using template ima-sig",
			"ima: Invalid field with length 17",
			"ima: format string 'd-ng|seventeen-letters' not valid, using template ima-sig",
			"ima: format string '" + strings.Repeat("d|", 15) + "d' contains too many fields",
			"ima: format string '" + strings.Repeat("d|", 15) + "d' not valid, using template ima-sig",
			"ima: No TPM chip found, activating TPM-bypass!",
			"ima: Allocated hash algorithm: sha256",
			"ima: No architecture policies found",
		}},
		"command line": {nil, func(c *measure.Config) {
			c.CommandLine = `ima_policy="tcb foo" ima_hash=nohash ima_template=nothing ima_template_fmt=d-ng|x ima_hash=sha1`
		}, []string{
			`ima: policy "foo" not found`,
			`ima: invalid hash algorithm "nohash"`,
			`ima: template nothing not found, using ima-sig`,
			`ima: field 'x' not found`,
			`ima: format string 'd-ng|x' not valid, using template ima-sig`,
			"ima: No TPM chip found, activating TPM-bypass!",
			"ima: Allocated hash algorithm: sha1",
			"ima: No architecture policies found",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log logLines
			config := debian(t, "")
			config.Log = log.log
			if c.config != nil {
				c.config(&config)
			}
			start(t, config, c.tpm)
			assert.Equal(t, c.want, log.lines)
		})
	}
}

// In TPM-bypass the list, the counters and the policy work, and a TPM that comes
// later is never used.
func TestBypass(t *testing.T) {
	t.Parallel()
	lookups := 0
	config := debian(t, "ima_policy=tcb")
	config.Kernel = kernel(t, "6.12")
	m, err := measure.New(config)
	require.NoError(t, err)
	late := newFakeTPM(ima.SHA256)
	require.NoError(t, m.Init(func() measure.TPM {
		lookups++
		return nil
	}))
	assert.True(t, m.Bypass())
	m.BprmCheck(file("/bin/true", "x"), rootCred)
	assert.Equal(t, []string{"boot_aggregate", "/bin/true"}, names(m))
	assert.Equal(t, 1, lookups)
	assert.Zero(t, late.extends)
	digest, ok := m.Records()[0].FileDigest()
	require.True(t, ok)
	assert.True(t, digest.Zero())
	assert.Equal(t, ima.SHA256, digest.Algo)
	assert.Equal(t, "4f38ef8f82bbc2a73f2169c57ff5c76e14ce353d", hex.EncodeToString(m.Records()[0].Digest))
	assert.Equal(t, []string{"ascii_runtime_measurements_sha1", "binary_runtime_measurements_sha1",
		"binary_runtime_measurements", "ascii_runtime_measurements",
		"runtime_measurements_count", "violations", "policy"}, fileNames(m))
}

func fileNames(m *measure.IMA) (list []string) {
	for _, f := range m.SecurityFiles() {
		list = append(list, f.Name)
	}
	return list
}

// Before Init the hooks do nothing and remember nothing.
func TestHooksBeforeInit(t *testing.T) {
	t.Parallel()
	m, err := measure.New(debian(t, "ima_policy=tcb|critical_data"))
	require.NoError(t, err)
	f := file("/sbin/modprobe", "x")
	m.Open(f, rootCred, measure.MayRead)
	m.BprmCheck(f, rootCred)
	_, err = m.MeasureCriticalData("l", "e", []byte("x"), false)
	assert.ErrorIs(t, err, measure.ENOENT)
	assert.Zero(t, m.Count())
	assert.Empty(t, m.SecurityFiles())
	_, err = m.ReadSecurityFile("violations")
	assert.ErrorIs(t, err, fs.ErrNotExist)
	assert.False(t, m.Bypass())
	require.NoError(t, m.Init(noTPM))
	assert.ErrorIs(t, m.Init(noTPM), measure.EBUSY)
	assert.Equal(t, []string{"boot_aggregate", "kernel_version"}, names(m))
	m.BprmCheck(f, rootCred)
	assert.Equal(t, "/sbin/modprobe", names(m)[2])
}

// An extend that fails leaves the record in the list and a line in the log.
func TestExtendFails(t *testing.T) {
	t.Parallel()
	tpm := newFakeTPM(ima.SHA256)
	var log logLines
	var causes []string
	config := debian(t, "ima_policy=tcb")
	config.Log = log.log
	config.Audit = func(a measure.AuditMessage) { causes = append(causes, a.Cause) }
	m := start(t, config, tpm)
	before := tpm.pcrs[ima.SHA256][10].String()
	tpm.fail = result(-62)
	m.BprmCheck(file("/bin/true", "x"), rootCred)
	tpm.fail = errors.New("no number")
	m.BprmCheck(file("/bin/false", "y"), rootCred)
	assert.Equal(t, []string{"boot_aggregate", "/bin/true", "/bin/false"}, names(m))
	assert.Equal(t, before, tpm.pcrs[ima.SHA256][10].String())
	assert.Equal(t, "ima: Error Communicating to TPM chip, result: -62", log.lines[len(log.lines)-2])
	assert.Equal(t, "ima: Error Communicating to TPM chip, result: -5", log.lines[len(log.lines)-1])
	assert.Equal(t, []string{"hash_added", "TPM_error(-62)", "TPM_error(-5)"}, causes)
	tpm.fail = nil
	m.BprmCheck(file("/bin/true2", "x"), rootCred)
	assert.NotEqual(t, before, tpm.pcrs[ima.SHA256][10].String())
}

type result int

func (r result) Error() string    { return "result" }
func (r result) ErrnoResult() int { return int(r) }

// Record order and extend order are the same, whoever measures.
func TestParallelHooks(t *testing.T) {
	t.Parallel()
	tpm := newFakeTPM(ima.SHA1, ima.SHA256)
	m := start(t, debian(t, "ima_policy=tcb"), tpm)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 20 {
				f := file("/bin/x", strings.Repeat("x", g*20+i+1))
				m.Open(f, rootCred, measure.MayRead)
				m.BprmCheck(f, rootCred)
				m.Release(f)
				_, err := m.ReadSecurityFile("ascii_runtime_measurements")
				assert.NoError(t, err)
			}
		})
	}
	transporttest.Wait(t, &wg)
	assert.Equal(t, 161, m.Count())
	assertConsistent(t, m, tpm)
}

func TestDuplicates(t *testing.T) {
	t.Parallel()
	tpm := newFakeTPM(ima.SHA256)
	m := start(t, debian(t, "ima_policy=tcb|critical_data"), tpm)
	n, extends := m.Count(), tpm.extends
	for range 2 {
		// Two inodes with one name and one content: one record.
		f := file("/bin/true", "x")
		m.BprmCheck(f, rootCred)
		m.BprmCheck(f, rootCred)
	}
	assert.Equal(t, n+1, m.Count())
	assert.Equal(t, extends+1, tpm.extends)
	_, err := m.MeasureCriticalData("l", "e", []byte("x"), false)
	require.NoError(t, err)
	_, err = m.MeasureCriticalData("l", "e", []byte("x"), false)
	assert.ErrorIs(t, err, measure.EEXIST)

	config := debian(t, "ima_policy=critical_data")
	config.DisableHTable = true
	m = start(t, config, tpm)
	for range 2 {
		_, err := m.MeasureCriticalData("l", "e", []byte("x"), false)
		require.NoError(t, err)
	}
	assert.Equal(t, 4, m.Count())
}

// Content that changes back gives no new record, as it is there already.
func TestChangedFiles(t *testing.T) {
	t.Parallel()
	content := "one"
	for _, iversion := range []bool{true, false} {
		m := start(t, debian(t, "ima_policy=tcb"), nil)
		f := file("/etc/x", "")
		f.Inode.Superblock = &measure.Superblock{Magic: 0xef53, FSName: "ext4", IVersion: iversion}
		f.Inode.Content = func() (io.Reader, error) { return strings.NewReader(content), nil }
		write := func(to string, counted bool) {
			w := openWrite(f)
			m.Open(w, rootCred, measure.MayWrite)
			if content = to; counted {
				f.Inode.Version++
			}
			m.Release(w)
		}
		read := func() {
			m.Open(f, rootCred, measure.MayRead)
			m.Release(f)
		}
		content = "one"
		read()
		write("two", true)
		read()
		write("one", true)
		read()
		assert.Len(t, names(m), 3, "boot_aggregate, one, two")
		write("three", false)
		read()
		want := 3 // the change was not seen
		if !iversion {
			want = 4
		}
		assert.Len(t, names(m), want, "i_version %t", iversion)
	}
}

func TestViolations(t *testing.T) {
	t.Parallel()
	for release, want := range map[string]struct{ tomtou, writers int }{
		"6.1": {3, 2}, "7.3": {1, 1},
	} {
		config := debian(t, "ima_policy=tcb")
		config.Kernel = kernel(t, release)
		tpm := newFakeTPM(ima.SHA1, ima.SHA256)
		m := start(t, config, tpm)
		f := file("/etc/x", "x")
		m.Open(f, rootCred, measure.MayRead)
		for range 3 {
			w := openWrite(f)
			m.Open(w, rootCred, measure.MayWrite)
			m.Release(w)
		}
		m.Release(f)
		assert.Equal(t, want.tomtou, m.Violations(), release)

		g := file("/etc/y", "y")
		w := openWrite(g)
		m.Open(w, rootCred, measure.MayWrite)
		for range 2 {
			m.Open(g, rootCred, measure.MayRead)
			m.Release(g)
		}
		assert.Equal(t, want.tomtou+want.writers, m.Violations(), release)
		m.Release(w)
		assertConsistent(t, m, tpm)
		// With the last writer gone there can be another one.
		w = openWrite(g)
		m.Open(w, rootCred, measure.MayWrite)
		m.Open(g, rootCred, measure.MayRead)
		assert.Equal(t, want.tomtou+want.writers+1, m.Violations(), release)
	}
}

// No violation where nothing was measured, and none in a policy that measures
// nothing; a violation has the default template and PCR.
func TestViolationsNeedAMeasuredFile(t *testing.T) {
	t.Parallel()
	m := start(t, debian(t, ""), nil)
	require.NoError(t, m.WritePolicy(rootCred, "measure func=FILE_CHECK mask=MAY_READ uid=5 pcr=11 template=ima-ng\n"))
	f := file("/etc/x", "x")
	m.Open(f, rootCred, measure.MayRead)
	m.Open(openWrite(f), rootCred, measure.MayWrite)
	assert.Zero(t, m.Violations())
	g := file("/etc/y", "y")
	m.Open(g, &measure.Cred{UID: 5}, measure.MayRead)
	m.Open(openWrite(g), rootCred, measure.MayWrite)
	assert.Equal(t, 1, m.Violations())
	records := m.Records()
	require.Len(t, records, 3)
	assert.Equal(t, uint32(11), records[1].PCR)
	assert.Equal(t, "ima-ng", records[1].Template().Name())
	assert.Equal(t, uint32(10), records[2].PCR)
	assert.Equal(t, "ima-sig", records[2].Template().Name())
	assert.True(t, records[2].Violation())
}

func TestFileHashAlgorithm(t *testing.T) {
	t.Parallel()
	signature := func(kind, version, algo byte) []byte {
		return []byte{kind, version, algo, 1, 2, 3, 4, 0, 1, 0xaa}
	}
	for name, c := range map[string]struct {
		xattr []byte
		want  ima.HashAlgo
		sig   bool
	}{
		"none":                  {nil, ima.SHA256, false},
		"signature":             {signature(3, 2, 6), ima.SHA512, true},
		"signature of v1":       {signature(3, 1, 6), ima.SHA256, true},
		"signature, bad hash":   {signature(3, 2, 99), ima.SHA256, true},
		"verity signature":      {signature(6, 3, 2), ima.SHA1, true},
		"digest-ng":             {append([]byte{4, 5}, make([]byte, 48)...), ima.SHA384, false},
		"digest sha1":           {append([]byte{1}, []byte(strings.Repeat("x", 20))...), ima.SHA1, false},
		"digest md5 in sha1":    {append([]byte{1}, make([]byte, 20)...), ima.MD5, false},
		"digest md5":            {append([]byte{1}, []byte(strings.Repeat("x", 16))...), ima.MD5, false},
		"digest of no known":    {[]byte{1, 2}, ima.SHA256, false},
		"one byte is too short": {[]byte{3}, ima.SHA256, true},
	} {
		config := debian(t, "ima_policy=tcb")
		config.Unavailable = nil
		m := start(t, config, nil)
		f := file("/bin/x", "x")
		if c.xattr != nil {
			f.Inode.Xattrs = []ima.Xattr{{Name: "security.ima", Value: c.xattr}}
		}
		m.BprmCheck(f, rootCred)
		rec := m.Records()[1]
		digest, ok := rec.FileDigest()
		require.True(t, ok)
		assert.Equal(t, c.want, digest.Algo, name)
		if sig, _ := rec.Field("sig"); c.sig {
			assert.Equal(t, c.xattr, sig, name)
		} else {
			assert.Empty(t, sig, name)
		}
	}
}

func TestUnreadableFiles(t *testing.T) {
	t.Parallel()
	m := start(t, debian(t, "ima_policy=tcb"), nil)
	direct := file("/data/direct", "x")
	direct.Direct = true
	for range 2 {
		m.Open(direct, rootCred, measure.MayRead)
	}
	gone := file("/data/gone", "x")
	gone.Inode.Content = func() (io.Reader, error) { return nil, fs.ErrNotExist }
	m.Open(gone, rootCred, measure.MayRead)
	dir := file("/data", "x")
	dir.Inode.Mode = 0o040755
	m.Open(dir, rootCred, measure.MayRead)
	assert.Equal(t, []string{"boot_aggregate", "/data/direct"}, names(m), "zeros for O_DIRECT, nothing for an I/O error")
	digest, _ := m.Records()[1].FileDigest()
	assert.True(t, digest.Zero())
}

func TestBufferHooks(t *testing.T) {
	t.Parallel()
	config := debian(t, "")
	config.Kernel = kernel(t, "7.3")
	config.MeasureKeys = true
	tpm := newFakeTPM(ima.SHA1, ima.SHA256)
	m := start(t, config, tpm)
	m.KeyCreateOrUpdate(".ima", rootCred, []byte("early key"))
	assert.Len(t, names(m), 1, "queued")
	require.NoError(t, m.WritePolicy(rootCred, strings.Join([]string{
		"measure func=KEY_CHECK keyrings=.ima|.evm",
		"measure func=CRITICAL_DATA label=modules|ima_policy",
		"measure func=KEXEC_CMDLINE",
		"measure func=MODULE_CHECK",
	}, "\n")))
	m.KeyCreateOrUpdate(".evm", rootCred, []byte("key"))
	m.KeyCreateOrUpdate(".platform", rootCred, []byte("key"))
	require.NoError(t, m.KexecCmdline(file("/boot/vmlinuz", "x"), rootCred, []byte("quiet")))
	require.NoError(t, m.PostLoadModule([]byte("ELF")))
	_, err := m.MeasureCriticalData("selinux", "state", []byte("x"), true)
	assert.ErrorIs(t, err, measure.ENOENT)
	_, err = m.MeasureCriticalData("selinux", "state", nil, true)
	assert.ErrorIs(t, err, measure.ENOPARAM)
	m.PostReadFile(file("/lib/mod.ko", "on disk"), rootCred, []byte("in memory"), measure.ReadingModule)
	assert.Equal(t, []string{"boot_aggregate", "ima_policy_loaded", ".ima", ".evm", "kexec-cmdline", "init_module", "/lib/mod.ko"}, names(m))

	records := m.Records()
	assert.Equal(t, "measure func=KEY_CHECK keyrings=.ima|.evm \nmeasure func=CRITICAL_DATA label=modules|ima_policy \nmeasure func=KEXEC_CMDLINE \nmeasure func=MODULE_CHECK \n", bufOf(records[1]))
	assert.Equal(t, "early key", bufOf(records[2]))
	assert.Equal(t, "quiet", bufOf(records[4]))
	// A hashed buffer shows H(buf), and its digest is H(H(buf)).
	assert.Equal(t, sha256Of("ELF"), bufOf(records[5]))
	digest, _ := records[5].FileDigest()
	assert.Equal(t, sha256Of(sha256Of("ELF")), string(digest.Sum))
	digest, _ = records[6].FileDigest()
	assert.Equal(t, sha256Of("in memory"), string(digest.Sum))
	assertConsistent(t, m, tpm)
}

func bufOf(r *ima.Record) string {
	b, _ := r.Field("buf")
	return string(b)
}

func sha256Of(s string) string {
	h := fakeHashes[ima.SHA256]()
	io.WriteString(h, s)
	return string(h.Sum(nil))
}

func TestKeyQueueExpires(t *testing.T) {
	t.Parallel()
	config := debian(t, "")
	config.MeasureKeys = true
	m := start(t, config, nil)
	m.KeyCreateOrUpdate(".ima", rootCred, []byte("early"))
	m.KeyQueueExpired()
	require.NoError(t, m.WritePolicy(rootCred, "measure func=KEY_CHECK\n"))
	m.KeyCreateOrUpdate(".ima", rootCred, []byte("late"))
	require.Equal(t, []string{"boot_aggregate", ".ima"}, names(m))
	assert.Equal(t, "late", bufOf(m.Records()[1]))
}

func TestSlots(t *testing.T) {
	t.Parallel()
	// Only a sha384 bank: files for it and for sha1, none for ima_hash; the
	// boot aggregate is zero and the bank is extended all the same.
	config := debian(t, "ima_policy=tcb")
	config.Kernel = kernel(t, "6.12")
	config.Unavailable = nil
	tpm := newFakeTPM(ima.SHA384)
	m := start(t, config, tpm)
	assert.Equal(t, []string{"ascii_runtime_measurements_sha384", "binary_runtime_measurements_sha384",
		"ascii_runtime_measurements_sha1", "binary_runtime_measurements_sha1"}, fileNames(m)[:4])
	digest, _ := m.Records()[0].FileDigest()
	assert.True(t, digest.Zero())
	assert.Equal(t, ima.SHA256, digest.Algo)
	assert.False(t, m.Bypass())
	assertConsistent(t, m, tpm)
	links := map[string]string{}
	for _, f := range m.SecurityFiles() {
		if f.Link != "" {
			links[f.Name] = f.Link
		}
	}
	assert.Equal(t, map[string]string{
		"ascii_runtime_measurements":  "ascii_runtime_measurements_sha1",
		"binary_runtime_measurements": "binary_runtime_measurements_sha1",
	}, links)
	list, err := m.ReadSecurityFile("binary_runtime_measurements_sha384")
	require.NoError(t, err)
	rec := readBinary(t, list, ima.Format{Digest: ima.SHA384})[0]
	want, err := rec.TemplateDigest(ima.SHA384)
	require.NoError(t, err)
	assert.Equal(t, want, rec.Digest)
}

// A bank that the kernel does not know gets padded sha1 digests, also of a
// violation.
func TestUnmappedBank(t *testing.T) {
	t.Parallel()
	config := debian(t, "ima_policy=tcb")
	config.Kernel = kernel(t, "6.12")
	tpm := &recordingTPM{banks: []ima.Bank{ima.BankOf(ima.SHA3_256), ima.BankOf(ima.SHA384)}}
	m, err := measure.New(config)
	require.NoError(t, err)
	require.NoError(t, m.Init(func() measure.TPM { return tpm }))
	sha1 := m.Records()[0].Digest
	require.Len(t, tpm.digests, 2)
	assert.Equal(t, append(slices.Clone(sha1), make([]byte, 12)...), tpm.digests[0])
	assert.Equal(t, append(slices.Clone(sha1), make([]byte, 28)...), tpm.digests[1], "sha384 is known, but not allocated")
	f := file("/x", "x")
	m.Open(f, rootCred, measure.MayRead)
	m.Open(openWrite(f), rootCred, measure.MayWrite)
	ones := []byte(strings.Repeat("\xff", 48))
	assert.Equal(t, append(slices.Clone(ones[:20]), make([]byte, 12)...), tpm.digests[0])
	assert.Equal(t, ones, tpm.digests[1])
	assert.Contains(t, fileNames(m), "ascii_runtime_measurements_tpm_alg_27")
}

// recordingTPM keeps the digests of the last extend.
type recordingTPM struct {
	banks   []ima.Bank
	digests [][]byte
}

func (r *recordingTPM) Banks() []ima.Bank { return r.banks }
func (r *recordingTPM) ReadPCR(b ima.Bank, _ int) ([]byte, error) {
	return make([]byte, b.DigestSize), nil
}
func (r *recordingTPM) PCRExtend(_ int, digests [][]byte) error {
	r.digests = nil
	for _, d := range digests {
		r.digests = append(r.digests, slices.Clone(d))
	}
	return nil
}

func TestLateSyncName(t *testing.T) {
	t.Parallel()
	config := debian(t, "ima_policy=critical_data")
	config.InitLateSync = true
	_, err := measure.New(config)
	require.Error(t, err, "6.1 has no such option")
	config.Kernel = kernel(t, "7.3")
	config.Template = "ima-ng"
	m := start(t, config, nil)
	assert.Equal(t, []string{"boot_aggregate_late", "kernel_version"}, names(m))
	assert.Equal(t, "4e5d73ebadfd8f850cb93ce4de755ba148a9a7d5", hex.EncodeToString(m.Records()[0].Digest))
	require.NoError(t, m.AddBootAggregate(ima.BootAggregateName))
	assert.Equal(t, "boot_aggregate", names(m)[2])
	assert.ErrorIs(t, m.AddBootAggregate(ima.BootAggregateName), measure.EEXIST)
}

// The ima template recomputes the boot aggregate for sha1, and hashes files anew.
func TestLegacyTemplate(t *testing.T) {
	t.Parallel()
	tpm, _ := debianTPM(t, "exec")
	config := debian(t, "ima_template=ima ima_policy=tcb")
	m := start(t, config, tpm)
	m.BprmCheck(file("/bin/x", "x"), rootCred)
	digest, _ := m.Records()[0].FileDigest()
	want, err := ima.CalcBootAggregate(ima.BankOf(ima.SHA1), tpm.pcrs)
	require.NoError(t, err)
	assert.Equal(t, ima.FileDigest{Algo: ima.SHA1, Sum: want}, digest)
	assertConsistent(t, m, tpm)

	config.CommandLine = "ima_template_fmt=d|n-ng ima_policy=tcb"
	tpm.pcrs[ima.SHA1][10] = make([]byte, 20)
	tpm.pcrs[ima.SHA256][10], tpm.pcrs[ima.SHA384][10], tpm.pcrs[ima.SHA512][10] = make([]byte, 32), make([]byte, 48), make([]byte, 64)
	m = start(t, config, tpm)
	signed := file("/bin/x", "x")
	m.BprmCheck(signed, rootCred)
	digest, _ = m.Records()[1].FileDigest()
	h := fakeHashes[ima.SHA1]()
	io.WriteString(h, "x")
	assert.Equal(t, ima.Hex(h.Sum(nil)), digest.Sum)
	assertConsistent(t, m, tpm)
}

func TestBigEndianHost(t *testing.T) {
	t.Parallel()
	config := debian(t, "ima_policy=critical_data")
	config.HostOrder = ima.BigEndian
	m := start(t, config, nil)
	list, err := m.ReadSecurityFile("binary_runtime_measurements")
	require.NoError(t, err)
	assert.Equal(t, []byte{0, 0, 0, 10}, list[:4])
	assert.Equal(t, []string{"boot_aggregate", "kernel_version"}, names(m))
	config.CommandLine += " ima_canonical_fmt"
	m = start(t, config, nil)
	list, err = m.ReadSecurityFile("binary_runtime_measurements")
	require.NoError(t, err)
	assert.Equal(t, []byte{10, 0, 0, 0}, list[:4])
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*measure.Config){
		"template": func(c *measure.Config) { c.Template = "ima-foo" },
		"hash":     func(c *measure.Config) { c.DefaultHash = 99 },
		"PCR":      func(c *measure.Config) { c.MeasurePCR = 7 },
		"staging":  func(c *measure.Config) { c.Staging = true },
	} {
		config := debian(t, "")
		edit(&config)
		_, err := measure.New(config)
		assert.Error(t, err, name)
	}
}

// A hash that cannot be had, sha1 above all, stops IMA where the kernel stops.
func TestInitFails(t *testing.T) {
	t.Parallel()
	config := debian(t, "ima_policy=tcb")
	config.Unavailable = []ima.HashAlgo{ima.SHA1}
	for _, lookup := range []func() measure.TPM{noTPM, newFakeTPM(ima.SHA256).lookup, newFakeTPM(ima.SHA1, ima.SHA256).lookup} {
		m, err := measure.New(config)
		require.NoError(t, err)
		err = m.Init(lookup)
		var unavailable *measure.AllocationError
		require.ErrorAs(t, err, &unavailable)
		assert.Equal(t, ima.SHA1, unavailable.Algo)
		assert.ErrorIs(t, err, measure.ENOENT)
		assert.Empty(t, m.SecurityFiles())
		m.BprmCheck(file("/x", "x"), rootCred)
		assert.Zero(t, m.Count())
		assert.False(t, m.Bypass())
	}
}

// openFile is content that counts how often it was closed.
type openFile struct {
	io.Reader
	closed *int
}

func (f openFile) Close() error { *f.closed++; return nil }

func TestContentIsClosed(t *testing.T) {
	t.Parallel()
	m := start(t, debian(t, "ima_policy=tcb"), nil)
	opened, closed := 0, 0
	f := file("/bin/x", "")
	f.Inode.Content = func() (io.Reader, error) {
		opened++
		return openFile{strings.NewReader("x"), &closed}, nil
	}
	m.BprmCheck(f, rootCred)
	assert.Equal(t, 1, opened)
	assert.Equal(t, 1, closed)

	f = file("/bin/y", "")
	f.Inode.Content = func() (io.Reader, error) {
		return openFile{iotest.ErrReader(io.ErrUnexpectedEOF), &closed}, nil
	}
	m.BprmCheck(f, rootCred)
	assert.Equal(t, 2, closed, "after an error too")
}
