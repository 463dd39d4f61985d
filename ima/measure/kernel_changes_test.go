package measure_test

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/measure"
)

// takes reports whether a kernel takes a rule.
func takes(t *testing.T, k measure.Kernel, rule string) bool {
	_, err := measure.ParsePolicy(rule, measure.PolicyConfig{Kernel: k, MeasureKeys: true, Modsig: true, LSM: true})
	return err == nil
}

// newKernel is a kernel without a TPM.
func newKernel(t *testing.T, k measure.Kernel, commandLine string) *measure.IMA {
	return start(t, measure.Config{Kernel: k, CommandLine: commandLine, ReadPolicy: true}, nil)
}

// of gives a file another file system.
func of(f *measure.File, sb measure.Superblock) *measure.File {
	f.Inode.Superblock = &sb
	return f
}

// builds reports whether a kernel has an option.
func builds(k measure.Kernel, edit func(*measure.Config)) bool {
	config := measure.Config{Kernel: k}
	edit(&config)
	_, err := measure.New(config)
	return err == nil
}

// xattrHash is the hash that a file's security.ima chooses.
func xattrHash(t *testing.T, k measure.Kernel, value []byte) string {
	m := newKernel(t, k, "ima_policy=tcb")
	f := file("/f", "x")
	f.Inode.Xattrs = []ima.Xattr{{Name: "security.ima", Value: value}}
	m.BprmCheck(f, rootCred)
	records := m.Records()
	digest, ok := records[len(records)-1].FileDigest()
	require.True(t, ok)
	return digest.Algo.String()
}

// kexeced measures a program between the loading of the next kernel and its
// start, and one after that.
func kexeced(t *testing.T, k measure.Kernel) (m *measure.IMA, carried string) {
	m = newKernel(t, k, "ima_policy=tcb|critical_data")
	require.NoError(t, m.KexecLoad())
	m.BprmCheck(file("/sbin/kexec", "x"), rootCred)
	carried = string(m.KexecExecute())
	m.BprmCheck(file("/sbin/late", "y"), rootCred)
	return m, carried
}

func violations(t *testing.T, k measure.Kernel) int {
	m := newKernel(t, k, "ima_policy=tcb")
	f := file("/f", "x")
	m.Open(f, rootCred, measure.MayRead)
	for range 2 {
		w := openWrite(f)
		m.Open(w, rootCred, measure.MayWrite)
		m.Release(w)
	}
	n := 0
	for _, r := range m.Records() {
		if r.Violation() {
			n++
		}
	}
	return n
}

// A change is in the first release that has it, carried back or not, and not in
// the one before.
func TestKernelChanges(t *testing.T) {
	t.Parallel()
	sigV3 := append([]byte{3, 3, 6}, make([]byte, 20)...) // EVM_IMA_XATTR_DIGSIG, version 3, sha512
	for name, tc := range map[string]struct {
		without, with string // releases, blanks in between
		has           func(*testing.T, measure.Kernel) bool
	}{
		"MMAP_CHECK_REQPROT": {"6.1 6.2.16", "6.3 6.3-rc1 6.6", func(t *testing.T, k measure.Kernel) bool {
			return takes(t, k, "measure func=MMAP_CHECK_REQPROT")
		}},
		"no change cookie": {"6.1 6.4.16 7.1 7.3", "6.5 6.12 6.18 7.0", func(t *testing.T, k measure.Kernel) bool {
			m := newKernel(t, k, "ima_policy=tcb")
			reads := 0
			f := of(file("/f", "x"), measure.Superblock{IVersion: true, NoChangeCookie: true})
			f.Inode.Content = func() (io.Reader, error) { reads++; return strings.NewReader("x"), nil }
			m.BprmCheck(f, rootCred)
			w := openWrite(f)
			m.Open(w, rootCred, measure.MayWrite)
			m.Release(w) // nothing was written
			m.BprmCheck(f, rootCred)
			return reads == 2 // hashed again
		}},
		"blacklist": {"6.1 6.5.13", "6.6 6.12 7.3", func(t *testing.T, k measure.Kernel) bool {
			if takes(t, k, "appraise appraise_flag=foo") != takes(t, k, "measure appraise_flag=check_blacklist") {
				return false
			}
			rules, err := measure.ParsePolicy("appraise func=MODULE_CHECK appraise_type=imasig|modsig appraise_flag=check_blacklist", measure.PolicyConfig{Kernel: k, Modsig: true})
			require.NoError(t, err)
			return takes(t, k, "appraise appraise_flag=foo") && !strings.Contains(rules[0].String(), "appraise_flag")
		}},
		"SHA-3": {"6.1 6.6.90", "6.7 6.12", func(t *testing.T, k measure.Kernel) bool {
			named := xattrHash(t, k, append([]byte{4, 20}, make([]byte, 32)...)) == "sha3-256"
			m := newKernel(t, k, "ima_policy=tcb ima_hash=sha3-256")
			assert.Equal(t, named, m.Records()[0].FieldText("d-ng") == "sha3-256:"+strings.Repeat("00", 32))
			return named && takes(t, k, "appraise appraise_algos=sha3-256")
		}},
		"files of banks": {"6.1 6.9.3", "6.10 6.12", func(t *testing.T, k measure.Kernel) bool {
			_, err := newKernel(t, k, "").ReadSecurityFile("ascii_runtime_measurements_sha1")
			return err == nil
		}},
		"init_module": {"6.1 6.6 6.9", "6.10 6.12", func(t *testing.T, k measure.Kernel) bool {
			m := newKernel(t, k, "ima_policy=critical_data")
			require.NoError(t, m.PostLoadModule([]byte("module")))
			return names(m)[m.Count()-1] == "init_module"
		}},
		"tmpfs": {"6.1 6.12.100 6.13", "6.14 6.18", func(t *testing.T, k measure.Kernel) bool {
			m := newKernel(t, k, "ima_policy=tcb")
			m.Open(of(file("/run/x", "x"), measure.Superblock{Magic: 0x01021994}), rootCred, measure.MayRead)
			require.Equal(t, 1, m.Count(), "reading is never measured")
			m.BprmCheck(of(file("/run/x", "x"), measure.Superblock{Magic: 0x01021994}), rootCred)
			return m.Count() == 2
		}},
		"comments": {"6.1 6.12.100 6.13", "6.14 6.18", func(t *testing.T, k measure.Kernel) bool {
			return takes(t, k, "measure func=BPRM_CHECK # programs appraise")
		}},
		"suspended at a reboot": {"6.1 6.12.100 6.13", "6.14 6.15 6.16", func(t *testing.T, k measure.Kernel) bool {
			m, _ := kexeced(t, k)
			return names(m)[m.Count()-1] != "/sbin/late"
		}},
		"violations": {"6.1.160 6.6.106 6.12.23 6.13.11 6.14.2 6.6.0-rt 6.12-rc7", "6.6.107 6.12.24 6.13.12 6.14.3 6.15", func(t *testing.T, k measure.Kernel) bool {
			return violations(t, k) == 1
		}},
		"list copied at execute": {"6.1.170 6.6.140 6.12.93 6.13 6.15.9", "6.12.94 6.12.117 6.16 7.3", func(t *testing.T, k measure.Kernel) bool {
			_, carried := kexeced(t, k)
			require.Contains(t, carried, "boot_aggregate")
			return strings.Contains(carried, "/sbin/kexec")
		}},
		"records of kexec": {"6.1 6.12.117 6.15", "6.16 7.3", func(t *testing.T, k measure.Kernel) bool {
			m, _ := kexeced(t, k)
			list := strings.Join(names(m), " ")
			require.Equal(t, strings.Contains(list, "kexec_load"), strings.Contains(list, "kexec_execute"))
			return strings.Contains(list, "kexec_load")
		}},
		"room for kexec": {"6.1 6.12.117 6.15", "6.16 7.3", func(_ *testing.T, k measure.Kernel) bool {
			return builds(k, func(c *measure.Config) { c.KexecExtraKB = 4 })
		}},
		"no list for a crash kernel": {"6.1 6.12.83 6.15", "6.12.84 6.12.117 6.16", func(t *testing.T, k measure.Kernel) bool {
			buffer, err := newKernel(t, k, "").KexecLoadCrash()
			require.NoError(t, err)
			return buffer == nil
		}},
		"dont_audit": {"6.1 6.12 6.18.37", "6.19 7.0", func(t *testing.T, k measure.Kernel) bool {
			return takes(t, k, "dont_audit func=FILE_CHECK")
		}},
		"fs_subtype": {"6.1 6.12 6.18.37", "6.19 7.0", func(t *testing.T, k measure.Kernel) bool {
			return takes(t, k, "measure fsname=fuse fs_subtype=sshfs")
		}},
		"CREDS_CHECK for the program": {"6.1 6.18.37", "6.19 7.0", func(t *testing.T, k measure.Kernel) bool {
			m := newKernel(t, k, "")
			require.NoError(t, m.WritePolicy(rootCred, "measure func=CREDS_CHECK"))
			m.Exec(file("/usr/bin/script", "#!/bin/sh"), rootCred, rootCred, false)
			m.Exec(file("/bin/sh", "ELF"), rootCred, rootCred, true)
			require.Contains(t, names(m), "/bin/sh")
			return !strings.Contains(strings.Join(names(m), " "), "/usr/bin/script")
		}},
		"secure_boot": {"6.1 6.18.37", "6.19 7.0", func(t *testing.T, k measure.Kernel) bool {
			text, err := newKernel(t, k, "ima_policy=secure_boot").ReadSecurityFile("policy")
			require.NoError(t, err)
			return strings.HasPrefix(string(text), "appraise func=MODULE_CHECK appraise_type=imasig|modsig \n")
		}},
		"sigv3": {"6.1 6.12 6.18 7.0", "7.1 7.2", func(t *testing.T, k measure.Kernel) bool {
			require.True(t, takes(t, k, "appraise digest_type=verity appraise_type=sigv3"))
			require.Equal(t, takes(t, k, "appraise appraise_type=sigv3"), takes(t, k, "appraise func=BPRM_CHECK appraise_type=sigv3"))
			return takes(t, k, "appraise appraise_type=sigv3")
		}},
		"sigv3 for modules": {"6.1 6.18 7.1.5", "7.2 7.3-rc1", func(t *testing.T, k measure.Kernel) bool {
			for _, hook := range []string{"KEXEC_KERNEL_CHECK", "KEXEC_INITRAMFS_CHECK"} {
				require.Equal(t, takes(t, k, "appraise func=MODULE_CHECK appraise_type=sigv3"), takes(t, k, "appraise func="+hook+" appraise_type=sigv3"))
			}
			require.Equal(t, takes(t, k, "appraise func=MODULE_CHECK appraise_type=sigv3"), xattrHash(t, k, sigV3) == "sha512")
			return takes(t, k, "appraise func=MODULE_CHECK appraise_type=sigv3")
		}},
		"staging": {"6.1 6.18 7.1", "7.2 7.3", func(_ *testing.T, k measure.Kernel) bool {
			return builds(k, func(c *measure.Config) { c.Staging = true })
		}},
		"late_sync": {"6.18 7.2.9", "7.3 7.3-rc1", func(_ *testing.T, k measure.Kernel) bool {
			return builds(k, func(c *measure.Config) { c.InitLateSync = true })
		}},
		"records of the policy": {"6.18 7.2.9", "7.3 7.3-rc1", func(t *testing.T, k measure.Kernel) bool {
			m := newKernel(t, k, "")
			require.NoError(t, m.WritePolicy(rootCred, "measure func=CRITICAL_DATA"))
			return names(m)[m.Count()-1] == "ima_policy_loaded"
		}},
		"configfs": {"6.1 6.18 7.2 7.3-rc1 7.3.0-rc1+", "7.3-rc2 7.3.0-rc2 7.3.0-rc6-next-20261005 7.3 7.4", func(t *testing.T, k measure.Kernel) bool {
			m := newKernel(t, k, "ima_policy=tcb")
			m.Open(of(file("/sys/kernel/config/x", "x"), measure.Superblock{Magic: 0x62656570}), rootCred, measure.MayRead)
			return m.Count() == 1
		}},
		"a prompt for the PCR": {"6.18 7.2 7.3-rc1", "7.3-rc2 7.3", func(_ *testing.T, k measure.Kernel) bool { return k.ChooseMeasurePCR }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, release := range strings.Fields(tc.without) {
				assert.False(t, tc.has(t, kernel(t, release)), "%s does not have it", release)
			}
			for _, release := range strings.Fields(tc.with) {
				assert.True(t, tc.has(t, kernel(t, release)), "%s has it", release)
			}
		})
	}
}

// A profile is found again by the name that it has, whatever it was asked for.
func TestProfilesAreFoundByTheirNames(t *testing.T) {
	t.Parallel()
	for _, release := range []string{
		"6.1", "6.1.0-56-amd64", "6.6.107", "6.7", "6.8.0-31-generic", "6.12", "6.12.38+deb13-amd64", "6.12.90", "6.12.117",
		"6.13-rc3", "6.18.37", "7.0", "7.1.4", "7.2", "7.3-rc1", "7.3.0-rc1+", "7.3-rc2", "7.3-rc6", "7.3", "7.4.0-rc1", "99.1.0",
	} {
		k := kernel(t, release)
		assert.Equal(t, k, kernel(t, k.Release), "%s is of profile %s", release, k.Release)
	}
	var listed []string
	for _, k := range measure.Kernels() {
		assert.Equal(t, k, kernel(t, k.Release))
		listed = append(listed, k.Release)
	}
	assert.Equal(t, []string{"6.1", "6.6", "6.12", "6.18", "7.3"}, listed)
}

// The parameters of asynchronous hashing went in 7.1; no kernel says a word of a
// module's parameter that it does not have, and nothing is hashed otherwise.
func TestAhashParametersMeanNothing(t *testing.T) {
	t.Parallel()
	for _, release := range []string{"7.0", "7.1"} {
		var log logLines
		m := start(t, measure.Config{Kernel: kernel(t, release), CommandLine: "ima.ahash_minsize=1 ima_policy=tcb ima.ahash_bufsize=4096", Log: log.log}, nil)
		m.BprmCheck(file("/bin/x", "x"), rootCred)
		assert.Equal(t, []string{"boot_aggregate", "/bin/x"}, names(m), release)
		assert.NotContains(t, strings.Join(log.lines, "\n"), "ahash")
	}
}
