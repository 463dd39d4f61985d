package measure_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/measure"
)

func policyConfig(t testing.TB) measure.PolicyConfig {
	return measure.PolicyConfig{Kernel: kernel(t, "7.3"), MeasureKeys: true, Modsig: true, LSM: true}
}

// What the kernel takes, and how it shows it. A blank follows each word.
func TestParsePolicy(t *testing.T) {
	t.Parallel()
	for rule, want := range map[string]string{
		"measure":                                                   "measure ",
		"  measure\tfunc=FILE_CHECK ":                               "measure func=FILE_CHECK ",
		"func=FILE_CHECK measure":                                   "measure func=FILE_CHECK ",
		"measure func=PATH_CHECK":                                   "measure func=FILE_CHECK ",
		"measure func=FILE_MMAP":                                    "measure func=MMAP_CHECK ",
		"measure func=MMAP_CHECK_REQPROT":                           "measure func=MMAP_CHECK_REQPROT ",
		"measure mask=MAY_READ uid=0":                               "measure mask=MAY_READ uid=0 ",
		"measure mask=^MAY_APPEND euid>1000":                        "measure mask=^MAY_APPEND euid>1000 ",
		"audit gid<5 fowner=1 fgroup>2":                             "audit gid<5 fowner=1 fgroup>2 ",
		"hash egid=4294967294":                                      "hash egid=-2 ",
		"dont_hash fsname=ext4":                                     "dont_hash fsname=ext4 ",
		"dont_measure fsmagic=9FA0":                                 "dont_measure fsmagic=0x9fa0 ",
		"dont_measure fsmagic=0x9fa0":                               "dont_measure fsmagic=0x9fa0 ",
		"measure fsuuid=6ba7b810-9dad-11d1-80b4-00c04fd430c8":       "measure fsuuid=6ba7b810-9dad-11d1-80b4-00c04fd430c8 ",
		"measure pcr=11 template=ima-ng":                            "measure pcr=11 template=ima-ng ",
		"measure template=d-ng|n-ng":                                "measure template=ima-ng ",
		"measure func=KEY_CHECK keyrings=.ima|.evm":                 "measure func=KEY_CHECK keyrings=.ima|.evm ",
		"measure func=CRITICAL_DATA label=selinux":                  "measure func=CRITICAL_DATA label=selinux ",
		"measure obj_type=etc_t subj_user=root":                     "measure obj_type=etc_t subj_user=root ",
		"dont_appraise fsmagic=0x1":                                 "dont_appraise fsmagic=0x1 ",
		"appraise func=MODULE_CHECK appraise_type=imasig|modsig":    "appraise func=MODULE_CHECK appraise_type=imasig|modsig ",
		"appraise digest_type=verity appraise_type=sigv3":           "appraise appraise_type=sigv3 digest_type=verity ",
		"appraise permit_directio appraise_type=imasig":             "appraise appraise_type=imasig permit_directio ",
		"appraise func=SETXATTR_CHECK appraise_algos=sha512,sha256": "appraise func=SETXATTR_CHECK appraise_algos=sha256,sha512 ",
		"measure digest_type=verity":                                "measure digest_type=verity ",
		"appraise func=KEXEC_KERNEL_CHECK appraise_type=imasig|modsig appraise_flag=check_blacklist": "appraise func=KEXEC_KERNEL_CHECK appraise_type=imasig|modsig ",
		"dont_audit fsname=fuse fs_subtype=sshfs":                                                    "dont_audit fsname=fuse fs_subtype=sshfs ",
		"measure func=BPRM_CHECK # programs":                                                         "measure func=BPRM_CHECK ",
		"appraise func=BPRM_CHECK appraise_type=sigv3":                                               "appraise func=BPRM_CHECK appraise_type=sigv3 ",
		"appraise appraise_type=sigv3 digest_type=verity":                                            "appraise appraise_type=sigv3 digest_type=verity ",
		"appraise func=KEXEC_KERNEL_CHECK appraise_type=sigv3":                                       "appraise func=KEXEC_KERNEL_CHECK appraise_type=sigv3 ",
		"appraise appraise_type=imasig appraise_flag=foo":                                            "appraise appraise_type=imasig ",
	} {
		rules, err := measure.ParsePolicy("# a comment\n\n"+rule+"\n", policyConfig(t))
		require.NoError(t, err, rule)
		require.Len(t, rules, 1)
		assert.Equal(t, want, rules[0].String(), rule)
		again, err := measure.ParsePolicy(rules[0].String(), policyConfig(t))
		if !strings.Contains(want, "-2") { // the kernel shows what it does not take
			require.NoError(t, err, "%q is not taken again", want)
			assert.Equal(t, want, again[0].String())
		}
	}
}

// What the kernel refuses: with the line and the token, or no token for what is
// wrong with the rule as a whole.
func TestParsePolicyRefuses(t *testing.T) {
	t.Parallel()
	for rule, token := range map[string]string{
		"func=FILE_CHECK":                                          "",
		"measure measure":                                          "measure",
		"measure dont_measure":                                     "dont_measure",
		"measure foo":                                              "foo",
		"measure foo=bar":                                          "foo=bar",
		"measure func=":                                            "func=",
		"measure func=NONE":                                        "func=NONE",
		"measure func=POST_SETATTR":                                "func=POST_SETATTR",
		"measure func=file_check":                                  "func=file_check",
		"measure func=FILE_CHECK func=FILE_CHECK":                  "func=FILE_CHECK",
		"measure func>FILE_CHECK":                                  "func>FILE_CHECK",
		"measure mask=MAY_FOO":                                     "mask=MAY_FOO",
		"measure mask=MAY_READ mask=MAY_EXEC":                      "mask=MAY_EXEC",
		"measure fsmagic=xyz":                                      "fsmagic=xyz",
		"measure fsmagic=1 fsmagic=2":                              "fsmagic=2",
		"measure fsmagic=10000000000000000":                        "fsmagic=10000000000000000",
		"measure uid=-1":                                           "uid=-1",
		"measure uid=4294967295":                                   "uid=4294967295",
		"measure uid=4294967296":                                   "uid=4294967296",
		"measure uid=0 euid=0":                                     "euid=0",
		"measure gid=0 gid>1":                                      "gid>1",
		"measure uid=0x0":                                          "uid=0x0",
		"measure fsuuid=6ba7b810":                                  "fsuuid=6ba7b810",
		"measure fsuuid=6ba7b8109dad-11d1-80b4-00c04fd430c8-":      "fsuuid=6ba7b8109dad-11d1-80b4-00c04fd430c8-",
		"measure fsuuid=zba7b810-9dad-11d1-80b4-00c04fd430c8":      "fsuuid=zba7b810-9dad-11d1-80b4-00c04fd430c8",
		"measure pcr=64":                                           "pcr=64",
		"measure pcr=-1":                                           "pcr=-1",
		"dont_measure pcr=10":                                      "",
		"template=ima measure":                                     "template=ima",
		"measure template=ima-foo":                                 "template=ima-foo",
		"measure template=ima template=ima-ng":                     "template=ima-ng",
		"measure func=KEY_CHECK keyrings=a||b":                     "keyrings=a||b",
		"measure func=KEY_CHECK keyrings=a keyrings=b":             "keyrings=b",
		"measure keyrings=.ima":                                    "",
		"measure func=FILE_CHECK label=x":                          "",
		"measure func=KEY_CHECK fs_subtype=a":                      "",
		"measure func=CRITICAL_DATA fs_subtype=a":                  "",
		"measure fs_subtype=a fs_subtype=a":                        "fs_subtype=a",
		"measure fs_subtype=":                                      "fs_subtype=",
		"dont_audit audit":                                         "audit",
		"measure appraise_type=sigv3":                              "",
		"appraise digest_type=verity appraise_type=imasig":         "appraise_type=imasig",
		"appraise appraise_type=sigv3 appraise_type=imasig|modsig": "appraise_type=imasig|modsig",
		"appraise appraise_algos=sm3-256":                          "appraise_algos=sm3-256",
		"measure func=CRITICAL_DATA mask=MAY_READ":                 "",
		"measure func=CRITICAL_DATA obj_user=x":                    "",
		"audit func=CRITICAL_DATA":                                 "",
		"measure func=KEXEC_CMDLINE mask=MAY_READ":                 "",
		"measure appraise_type=imasig":                             "",
		"appraise appraise_type=foo":                               "appraise_type=foo",
		"appraise digest_type=verity":                              "",
		"appraise digest_type=sha1":                                "digest_type=sha1",
		"appraise appraise_type=imasig|modsig":                     "",
		"appraise appraise_algos=sha257":                           "appraise_algos=sha257",
		"appraise func=SETXATTR_CHECK":                             "",
		"measure func=SETXATTR_CHECK":                              "",
		"measure obj_user=a obj_user=b":                            "obj_user=b",
	} {
		_, err := measure.ParsePolicy("measure\n#\n"+rule+"\nmeasure\n", policyConfig(t))
		var refused *measure.RuleError
		require.ErrorAs(t, err, &refused, rule)
		assert.Equal(t, 3, refused.Line, rule)
		assert.Equal(t, token, refused.Token, rule)
		assert.NotEmpty(t, refused.Reason)
		assert.ErrorIs(t, err, measure.EINVAL)
	}
}

// What depends on how the kernel was built.
func TestPolicyConfig(t *testing.T) {
	t.Parallel()
	plain := measure.PolicyConfig{Kernel: kernel(t, "6.1"), Unavailable: []ima.HashAlgo{ima.SHA512}}
	for _, rule := range []string{
		"measure func=KEY_CHECK", "measure func=KEY_CHECK keyrings=a", "measure func=MMAP_CHECK_REQPROT",
		"appraise func=MODULE_CHECK appraise_type=imasig|modsig", "appraise appraise_algos=sha512",
		"measure template=n-ng|d-ng",
	} {
		_, err := measure.ParsePolicy(rule, plain)
		assert.Error(t, err, rule)
	}
	custom, err := ima.ParseTemplateFormat("n-ng|d-ng")
	require.NoError(t, err)
	plain.Custom = custom
	_, err = measure.ParsePolicy("measure template=n-ng|d-ng", plain)
	require.NoError(t, err)

	// A label that no LSM knows: the rule is not shown and never matches.
	rules, err := measure.ParsePolicy("measure obj_type=etc_t", plain)
	require.NoError(t, err)
	assert.Empty(t, rules[0].String())
}

// fs_subtype= is the whole name of the subtype, with fsname= or without; a file
// system without a subtype never matches.
func TestFSSubtype(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		rule, fsName, subtype string
		match                 bool
	}{
		{"measure fs_subtype=sshfs", "fuse", "sshfs", true},
		{"measure fs_subtype=sshfs", "fuseblk", "sshfs", true},
		{"measure fsname=fuse fs_subtype=sshfs", "fuse", "sshfs", true},
		{"measure fsname=fuse fs_subtype=sshfs", "fuseblk", "sshfs", false},
		{"measure fs_subtype=sshfs", "fuse", "sshfs2", false},
		{"measure fs_subtype=sshfs", "fuse", "", false},
		{"measure fs_subtype=sshfs", "sshfs", "", false},
	} {
		m := start(t, measure.Config{Kernel: kernel(t, "6.19")}, nil)
		require.NoError(t, m.WritePolicy(rootCred, tc.rule))
		m.BprmCheck(of(file("/x", "x"), measure.Superblock{FSName: tc.fsName, Subtype: tc.subtype}), rootCred)
		assert.Equal(t, tc.match, m.Count() == 2, "%+v", tc)
	}
}

// policyShown is what a kernel with IMA_READ_POLICY shows.
func policyShown(t *testing.T, edit func(*measure.Config)) string {
	t.Helper()
	config := debian(t, "")
	config.ReadPolicy = true
	edit(&config)
	text, err := start(t, config, nil).ReadSecurityFile("policy")
	require.NoError(t, err)
	return string(text)
}

func TestBuiltinPolicies(t *testing.T) {
	t.Parallel()
	tcb := policyShown(t, func(c *measure.Config) { c.CommandLine = "ima_policy=tcb" })
	lines := strings.Split(strings.TrimSuffix(tcb, "\n"), "\n")
	require.Len(t, lines, 20)
	assert.Equal(t, "dont_measure fsmagic=0x9fa0 ", lines[0])
	assert.Equal(t, "dont_measure fsmagic=0x1021994 ", lines[3])
	assert.Equal(t, []string{
		"measure func=MMAP_CHECK mask=MAY_EXEC ",
		"measure func=BPRM_CHECK mask=MAY_EXEC ",
		"measure func=FILE_CHECK mask=^MAY_READ euid=0 ",
		"measure func=FILE_CHECK mask=^MAY_READ uid=0 ",
		"measure func=MODULE_CHECK ",
		"measure func=FIRMWARE_CHECK ",
		"measure func=POLICY_CHECK ",
	}, lines[13:])

	newer := policyShown(t, func(c *measure.Config) { c.CommandLine, c.Kernel = "ima_policy=tcb", kernel(t, "6.18") })
	assert.Equal(t, strings.Replace(tcb, "dont_measure fsmagic=0x1021994", "dont_measure func=FILE_CHECK fsmagic=0x1021994", 1), newer)
	newest := policyShown(t, func(c *measure.Config) { c.CommandLine, c.Kernel = "ima_policy=tcb", kernel(t, "7.3") })
	assert.Equal(t, newer, strings.Replace(newest, "dont_measure fsmagic=0x62656570 \n", "", 1))
	spared := policyShown(t, func(c *measure.Config) { c.CommandLine, c.Kernel = "ima_policy=appraise_tcb", kernel(t, "7.3") })
	assert.Contains(t, spared, "dont_appraise fsmagic=0x62656570 \n")

	old := policyShown(t, func(c *measure.Config) { c.CommandLine = "ima_tcb ima_policy=tcb" })
	assert.Contains(t, old, "measure func=FILE_CHECK mask=MAY_READ uid=0 \n")
	assert.NotContains(t, old, "POLICY_CHECK")

	assert.Equal(t, "measure func=CRITICAL_DATA \n", policyShown(t, func(c *measure.Config) { c.CommandLine = "ima_policy=critical_data" }))
	assert.Empty(t, policyShown(t, func(*measure.Config) {}))
	assert.Len(t, strings.Split(policyShown(t, func(c *measure.Config) { c.CommandLine = "ima_policy=secure_boot" }), "\n"), 5)
	appraise := policyShown(t, func(c *measure.Config) { c.CommandLine, c.WritePolicy = "ima_policy=appraise_tcb", true })
	assert.True(t, strings.HasSuffix(appraise, "appraise func=POLICY_CHECK appraise_type=imasig \nappraise fowner=0 \n"))
	assert.Contains(t, appraise, "dont_appraise fsmagic=0x858458f6 \n")
	signed := policyShown(t, func(c *measure.Config) { c.CommandLine, c.AppraiseSignedInit = "ima_appraise_tcb", true })
	assert.True(t, strings.HasSuffix(signed, "appraise fowner=0 appraise_type=imasig \n"))

	arch := policyShown(t, func(c *measure.Config) {
		c.CommandLine = "ima_policy=tcb|critical_data|secure_boot"
		c.ArchPolicy = []string{"measure func=KEXEC_KERNEL_CHECK", "not a rule"}
		c.BuildAppraiseRules = "appraise func=FIRMWARE_CHECK appraise_type=imasig"
	})
	lines = strings.Split(arch, "\n")
	assert.Equal(t, "measure func=KEXEC_KERNEL_CHECK ", lines[20], "dont_measure, tcb, arch, secure_boot, critical_data")
	assert.Equal(t, "measure func=CRITICAL_DATA ", lines[25])
}

// The rules of tmpfs, of an initramfs that is, and of ramfs.
func TestInitramfsIsMeasured(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		release string
		magic   uint64
		want    []string
	}{
		{"6.1", 0x01021994, nil},
		{"6.1", 0x858458f6, []string{"/init", "/etc/x"}},
		{"7.3", 0x01021994, []string{"/init"}},
	} {
		config := debian(t, "ima_policy=tcb")
		config.Kernel = kernel(t, c.release)
		m := start(t, config, nil)
		sb := &measure.Superblock{Magic: c.magic}
		exe, data := file("/init", "x"), file("/etc/x", "y")
		exe.Inode.Superblock, data.Inode.Superblock = sb, sb
		m.BprmCheck(exe, rootCred)
		m.Open(data, rootCred, measure.MayRead)
		assert.Equal(t, append([]string{"boot_aggregate"}, c.want...), names(m), "%s %x", c.release, c.magic)
	}
}

func TestMatching(t *testing.T) {
	t.Parallel()
	user := &measure.Cred{UID: 1000, EUID: 1000, SUID: 1000, GID: 100, EGID: 100, SGID: 100}
	setuid := &measure.Cred{UID: 1000, EUID: 0, SUID: 5, GID: 100, EGID: 0, SGID: 6, CapSetUID: true, CapSetGID: true}
	setuidNoCap := &measure.Cred{UID: 1000, EUID: 0, SUID: 5, GID: 100, EGID: 0, SGID: 6}
	for _, c := range []struct {
		policy string
		cred   *measure.Cred
		mask   measure.Mask
		want   bool
	}{
		{"measure", user, measure.MayRead, true},
		{"audit", user, measure.MayRead, false},
		{"dont_measure uid=1000\nmeasure", user, measure.MayRead, false},
		{"measure\ndont_measure uid=1000", user, measure.MayRead, true},
		{"dont_appraise\nmeasure", user, measure.MayRead, true},
		{"appraise\ndont_measure\nmeasure", user, measure.MayRead, false},
		{"measure func=BPRM_CHECK", user, measure.MayRead, false},
		{"measure func=FILE_CHECK", user, measure.MayRead, true},
		{"measure mask=MAY_READ", user, measure.MayRead, true},
		{"measure mask=MAY_READ", user, measure.MayRead | measure.MayWrite, false},
		{"measure mask=^MAY_READ", user, measure.MayRead | measure.MayWrite, true},
		{"measure mask=^MAY_READ", user, measure.MayWrite, false},
		{"measure mask=^MAY_APPEND", user, measure.MayWrite | measure.MayAppend, true},
		{"measure uid=0", user, measure.MayRead, false},
		{"measure uid>999", user, measure.MayRead, true},
		{"measure uid<1000", user, measure.MayRead, false},
		{"measure uid<1001", user, measure.MayRead, true},
		{"measure euid=0", setuid, measure.MayRead, true},
		{"measure euid=1000", setuid, measure.MayRead, true},
		{"measure euid=5", setuid, measure.MayRead, true},
		{"measure euid=1000", setuidNoCap, measure.MayRead, false},
		{"measure uid=0", setuid, measure.MayRead, false},
		{"measure gid=100", setuid, measure.MayRead, true},
		{"measure egid=6", setuid, measure.MayRead, true},
		{"measure egid=6", setuidNoCap, measure.MayRead, false},
		{"measure egid=0", setuidNoCap, measure.MayRead, true},
		{"measure fowner=7", user, measure.MayRead, true},
		{"measure fowner>7", user, measure.MayRead, false},
		{"measure fgroup=8", user, measure.MayRead, true},
		{"measure fgroup<8", user, measure.MayRead, false},
		{"measure fsmagic=ef53", user, measure.MayRead, true},
		{"measure fsmagic=0xef54", user, measure.MayRead, false},
		{"measure fsname=ext4", user, measure.MayRead, true},
		{"measure fsname=xfs", user, measure.MayRead, false},
		{"measure fsuuid=01020304-0506-0708-090a-0b0c0d0e0f10", user, measure.MayRead, true},
		{"measure fsuuid=01020304-0506-0708-090a-0b0c0d0e0f11", user, measure.MayRead, false},
		{"measure obj_type=etc_t", user, measure.MayRead, true},
		{"measure obj_user=u subj_role=r", user, measure.MayRead, false},
		{"measure obj_user=", user, measure.MayRead, false},
	} {
		config := debian(t, "")
		config.LSM = true
		m := start(t, config, nil)
		if err := m.WritePolicy(rootCred, c.policy); err != nil {
			require.Contains(t, c.policy, "obj_user=")
		}
		f := file("/x", "x")
		f.Inode.UID, f.Inode.GID, f.Inode.Label = 7, 8, measure.Label{User: "u", Type: "etc_t"}
		f.Inode.Superblock = &measure.Superblock{Magic: 0xef53, FSName: "ext4", UUID: [16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}}
		m.Open(f, c.cred, c.mask)
		assert.Equal(t, c.want, m.Count() == 2, "%q mask %d", c.policy, c.mask)
	}
}

// What a kernel's own policy file depends on: its custom template, an LSM, its
// build-time rules.
func TestWritePolicyConfig(t *testing.T) {
	t.Parallel()
	config := debian(t, "ima_template_fmt=n-ng|d-ng")
	config.ReadPolicy, config.WritePolicy = true, true
	config.BuildAppraiseRules = "appraise func=FIRMWARE_CHECK appraise_type=imasig"
	m := start(t, config, nil)
	assert.Error(t, m.WritePolicy(rootCred, "measure obj_user=x\n"), "no LSM, and the built-in policy is in force")
	require.NoError(t, m.WritePolicy(rootCred, "measure template=n-ng|d-ng pcr=11\x00rubbish\n"))
	require.NoError(t, m.WritePolicy(rootCred, "measure obj_user=x\n"), "now a custom one is")
	text, err := m.ReadSecurityFile("policy")
	require.NoError(t, err)
	assert.Equal(t, "appraise func=FIRMWARE_CHECK appraise_type=imasig \nmeasure pcr=11 template= \n", string(text),
		"the kernel shows no name of a custom template, and no rule whose label is undefined")
}

func TestWritePolicy(t *testing.T) {
	t.Parallel()
	var log logLines
	config := debian(t, "ima_policy=tcb")
	config.Log = log.log
	config.ArchPolicy = []string{"measure func=KEXEC_KERNEL_CHECK"}
	config.WritePolicy, config.ReadPolicy = true, true
	m := start(t, config, nil)
	before, err := m.ReadSecurityFile("policy")
	require.NoError(t, err)
	for _, bad := range []string{"measure\nmeasure foo\n", "", "# nothing\n"} {
		assert.ErrorIs(t, m.WritePolicy(rootCred, bad), measure.EINVAL)
		after, err := m.ReadSecurityFile("policy")
		require.NoError(t, err)
		assert.Equal(t, string(before), string(after))
	}
	require.NoError(t, m.WritePolicy(rootCred, "measure func=BPRM_CHECK\n"))
	require.NoError(t, m.WritePolicy(rootCred, "audit func=BPRM_CHECK\n"))
	text, err := m.ReadSecurityFile("policy")
	require.NoError(t, err)
	assert.Equal(t, "measure func=KEXEC_KERNEL_CHECK \nmeasure func=BPRM_CHECK \naudit func=BPRM_CHECK \n", string(text))
	assert.Equal(t, []string{"ima: policy update failed", "ima: policy update failed", "ima: policy update failed",
		"ima: policy update completed", "ima: policy update completed"}, log.lines[len(log.lines)-5:])

	// Without IMA_WRITE_POLICY one policy can be loaded, and the file is gone
	// or can only be read.
	config.WritePolicy = false
	m = start(t, config, nil)
	require.NoError(t, m.WritePolicy(rootCred, "measure\n"))
	files := m.SecurityFiles()
	assert.Equal(t, "-r--------", files[len(files)-1].Mode.String())
	config.ReadPolicy = false
	m = start(t, config, nil)
	_, err = m.ReadSecurityFile("policy")
	assert.Error(t, err)
	require.NoError(t, m.WritePolicy(rootCred, "measure\n"))
	assert.NotContains(t, fileNames(m), "policy")
	assert.Error(t, m.WritePolicy(rootCred, "measure\n"))
}

// Kernels since 7.3 record what is written and what is in force then.
func TestPolicyRecords(t *testing.T) {
	t.Parallel()
	config := debian(t, "ima_policy=tcb|critical_data")
	config.Kernel = kernel(t, "7.3")
	m := start(t, config, nil)
	require.NoError(t, m.WritePolicy(rootCred, "measure func=CRITICAL_DATA\n"))
	assert.Equal(t, []string{"boot_aggregate", "kernel_version", "ima_policy_written", "ima_policy_loaded"}, names(m))
	assert.Equal(t, "measure func=CRITICAL_DATA\n", bufOf(m.Records()[2]))
	assert.Equal(t, "measure func=CRITICAL_DATA \n", bufOf(m.Records()[3]))
}
