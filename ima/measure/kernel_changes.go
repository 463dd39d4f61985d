package measure

import (
	"fmt"

	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/internal/release"
)

// kernelChange is a change of the kernel's IMA, or of the TPM core below it, that
// somebody can notice.
type kernelChange struct {
	// since is the first mainline release with it. A release without -rcN
	// stands for its first candidate, as changes come in the merge window.
	since string
	// stable are the first releases of older series with it.
	stable []string
	// commit is that of the mainline, file the one it is about; a name without
	// a directory is in security/integrity/ima.
	commit, file string
	// what it is, for the table of docs/measure.md.
	what string
	set  func(*Kernel)
}

// kernelChanges is the table of what changed after the oldest profile, oldest
// first.
var kernelChanges = []kernelChange{
	{"6.3", nil, "4958db3245fa", "ima_main.c", "hook MMAP_CHECK_REQPROT", func(k *Kernel) { k.MmapReqprot = true }},
	{"6.5", nil, "db1d1e8b9867", "ima_main.c", "a changed file is known by the change cookie of statx(2)", func(k *Kernel) { k.ChangeCookie = true }},
	{"6.6", nil, "f20765fdfdc2", "ima_policy.c", "`appraise_flag=` is read and means nothing; each signature is checked against the blacklist", func(k *Kernel) { k.BlacklistAlways = true }},
	{"6.7", nil, "4b057654ebc3", "crypto/hash_info.c", "SHA-3 by name and number", func(k *Kernel) { k.SHA3 = true }},
	{"6.10", nil, "9fa8e7625008", "ima_fs.c", "list files for each bank", func(k *Kernel) { k.PerBankFiles = true }},
	{"6.10", nil, "cc293c846662", "ima_main.c", "critical data `init_module`", func(k *Kernel) { k.InitModuleData = true }},
	{"6.10", nil, "d2add27cf2b8", "drivers/char/tpm/tpm2-sessions.c", "`CONFIG_TCG_TPM2_HMAC`: a null primary shows that the TPM was reset without the kernel", func(k *Kernel) { k.NullPrimary = true }},
	{"6.14", nil, "7eef7c8bac9a", "ima_policy.c", "the built-in rule on tmpfs is limited to FILE_CHECK", func(k *Kernel) { k.TmpfsFileCheckOnly = true }},
	{"6.14", nil, "4785ed362a24", "ima_policy.c", "a comment may follow a rule", func(k *Kernel) { k.RuleComments = true }},
	{"6.14", nil, "254ef9541d68", "ima_queue.c", "measuring is suspended at a reboot", func(k *Kernel) { k.SuspendAtReboot = true }},
	{"6.15", []string{"6.6.107", "6.12.24", "6.13.12", "6.14.3"}, "a414016218ca", "ima_main.c", "violations are not repeated (5b3cd801155f, a414016218ca)", func(k *Kernel) { k.LimitViolations = true }},
	{"6.16", []string{"6.12.94"}, "9f0ec4b16f2b", "ima_kexec.c", "the list is copied when kexec executes", func(k *Kernel) { k.KexecAtExecute = true }},
	{"6.16", nil, "0ad93987c9c1", "Kconfig", "`CONFIG_IMA_KEXEC_EXTRA_MEMORY_KB`", func(k *Kernel) { k.KexecExtraMemory = true }},
	{"6.16", nil, "591683d3944c", "ima_kexec.c", "critical data `kexec_load` and `kexec_execute`", func(k *Kernel) { k.KexecRecords = true }},
	{"6.16", []string{"6.12.84"}, "fe3aebf27dc1", "ima_kexec.c", "a crash kernel gets no list", func(k *Kernel) { k.NoKdumpList = true }},
	{"6.19", nil, "345123d650db", "ima_policy.c", "action `dont_audit`", func(k *Kernel) { k.DontAudit = true }},
	{"6.19", nil, "43369273518f", "ima_policy.c", "condition `fs_subtype=`", func(k *Kernel) { k.FSSubtype = true }},
	{"6.19", nil, "8f3fc4f3f8aa", "ima_main.c", "CREDS_CHECK for the program that runs, not for scripts on the way", func(k *Kernel) { k.CredsCheckLast = true }},
	{"6.19", nil, "c200892b46ba", "ima_policy.c", "`secure_boot` takes modules with an appended signature", func(k *Kernel) { k.SecureBootModsig = true }},
	{"7.1", nil, "01baa39cf55f", "ima_main.c", "… and by i_version where there is no cookie", func(k *Kernel) { k.IVersionFallback = true }},
	{"7.1", nil, "de4c44a7f559", "ima_policy.c", "`appraise_type=sigv3` without `digest_type=verity`", func(k *Kernel) { k.SigV3 = true }},
	{"7.2", nil, "398ee113f15c", "ima_policy.c", "`appraise_type=sigv3` for modules and kexec; the hash of a version 3 signature is that of its header", func(k *Kernel) { k.SigV3Modules = true }},
	{"7.2", nil, "e9b491e27bf6", "ima_fs.c", "staged lists, with `CONFIG_IMA_STAGING`", func(k *Kernel) { k.Staging = true }},
	{"7.3", nil, "fd88b5cb8b58", "ima_init.c", "`CONFIG_IMA_INIT_LATE_SYNC`, record `boot_aggregate_late`", func(k *Kernel) { k.InitLateSync = true }},
	{"7.3", nil, "f83a9cd96513", "ima_policy.c", "records `ima_policy_loaded` and `ima_policy_written` (f83a9cd96513, f1e10b108740)", func(k *Kernel) { k.PolicyRecords = true }},
	{"7.3", nil, "015fb29a7483", "drivers/char/tpm/tpm2-sessions.c", "a null primary of another name switches the TPM off", func(k *Kernel) { k.DisableOnNullChange = true }},
	{"7.3-rc2", nil, "8e22ce504f8a", "ima_policy.c", "configfs is neither measured nor appraised by the built-in policies", func(k *Kernel) { k.SpareConfigfs = true }},
	{"7.3-rc2", nil, "6903878d4654", "Kconfig", "`CONFIG_IMA_MEASURE_PCR_IDX` can be chosen, 8 to 14", func(k *Kernel) { k.ChooseMeasurePCR = true }},
	{"7.4", nil, "c680e7e7ce4e", "drivers/char/tpm/tpm2-cmd.c", "a TPM that lists a PCR bank twice does not register", func(k *Kernel) { k.RefuseDuplicateBanks = true }},
}

// profiles are the releases that Kernels lists, oldest first: the long-term ones
// and the newest.
var profiles = []string{"6.1", "6.6", "6.12", "6.18", "7.3"}

// kernelOf returns the profile of a version; ok is false if it is older than the
// oldest one.
func kernelOf(v release.Version) (k Kernel, ok bool) {
	k, newest := behaviorsOf(v)
	if newest == (release.Version{}) {
		return Kernel{}, false
	}
	last := v
	last.RC = release.Released
	if whole, _ := behaviorsOf(last); whole != k {
		// A candidate that does not have all of its release.
		k.Release = fmt.Sprintf("%d.%d-rc%d", v.Major, v.Minor, v.RC)
		return k, true
	}
	k.Release = newest.String()
	return k, true
}

// behaviorsOf returns what a version has, and the newest release, not newer than
// it, at which something changed or a profile begins.
func behaviorsOf(v release.Version) (k Kernel, newest release.Version) {
	note := func(since string) {
		if first := mustVersion(since); first.After(newest) {
			newest = first
		}
	}
	for _, since := range profiles {
		if v.Reaches(mustVersion(since)) {
			note(since)
		}
	}
	if newest == (release.Version{}) {
		return k, newest
	}
	for i := range kernelChanges {
		c := &kernelChanges[i]
		if v.Reaches(mustVersion(c.since)) {
			note(c.since)
			c.set(&k)
		}
		for _, since := range c.stable {
			if first := mustVersion(since); v.SameSeries(first) && v.Reaches(first) {
				note(since)
				c.set(&k)
			}
		}
	}
	return k, newest
}

// Kernels lists the profiles of the long-term kernels and of the newest one,
// oldest first. KernelByRelease has those between as well.
func Kernels() []Kernel {
	list := make([]Kernel, len(profiles))
	for i, since := range profiles {
		list[i], _ = kernelOf(mustVersion(since))
	}
	return list
}

// hash finds the algorithm of a name as the kernel spells it (crypto/hash_info.c,
// hash_algo_name).
func (k *Kernel) hash(name string) (ima.HashAlgo, bool) {
	h, err := ima.ParseHashAlgo(name)
	return h, err == nil && h.String() == name && k.knows(h)
}

// knows reports whether the kernel has a number for the algorithm.
func (k *Kernel) knows(h ima.HashAlgo) bool { return h < ima.SHA3_256 || k.SHA3 }

// mustVersion is for the releases of this package's tables.
func mustVersion(name string) release.Version {
	v, ok := release.Parse(name)
	if !ok {
		panic("internal error: release " + name)
	}
	return v
}
