package measure

// Kernel is a profile of the behaviors in which kernel releases differ. What no
// field names is the same in all of them. The table of kernel_changes.go gives
// the release and the commit of each. A caller may change fields of its copy:
// distributions carry patches back.
type Kernel struct {
	// Release names the profile by the first release that has all of it, such
	// as "6.1", "7.3-rc2" or "6.12.94". KernelByRelease finds the profile by it
	// again.
	Release string
	// MmapReqprot: mmap is also checked with the protection asked for, as
	// MMAP_CHECK_REQPROT.
	MmapReqprot bool
	// ChangeCookie: what tells that a file has changed is the change cookie of
	// statx(2), which not all file systems with i_version give.
	ChangeCookie bool
	// BlacklistAlways: each rule that asks for a signature checks the
	// blacklist; appraise_flag= is read and means nothing.
	BlacklistAlways bool
	// SHA3: the kernel knows the SHA-3 algorithms by name and number.
	SHA3 bool
	// PerBankFiles: securityfs has list files for each bank, and the old
	// names are symbolic links.
	PerBankFiles bool
	// InitModuleData: the buffer of init_module(2) is critical data.
	InitModuleData bool
	// TmpfsFileCheckOnly: the built-in rule that spares tmpfs is limited to
	// FILE_CHECK, so what is executed from an initramfs on tmpfs is measured.
	TmpfsFileCheckOnly bool
	// RuleComments: a word that begins with # ends a rule.
	RuleComments bool
	// SuspendAtReboot: measuring is suspended when the machine reboots, by
	// kexec as well.
	SuspendAtReboot bool
	// LimitViolations: one ToMToU violation for each reader measured, one
	// open_writers violation until the last writer closes.
	LimitViolations bool
	// KexecAtExecute: the list for the next kernel is copied when kexec
	// executes, not when it loads.
	KexecAtExecute bool
	// KexecRecords: the loading and the execution of a kernel are critical
	// data.
	KexecRecords bool
	// KexecExtraMemory: CONFIG_IMA_KEXEC_EXTRA_MEMORY_KB exists.
	KexecExtraMemory bool
	// NoKdumpList: a crash kernel gets no list.
	NoKdumpList bool
	// DontAudit: the action dont_audit exists.
	DontAudit bool
	// FSSubtype: the condition fs_subtype= exists.
	FSSubtype bool
	// CredsCheckLast: CREDS_CHECK is for the program that will run, not for
	// the scripts on the way to it.
	CredsCheckLast bool
	// SecureBootModsig: the built-in policy secure_boot takes modules with an
	// appended signature.
	SecureBootModsig bool
	// IVersionFallback: without a change cookie i_version is looked at.
	IVersionFallback bool
	// SigV3: appraise_type=sigv3 is not for fs-verity alone.
	SigV3 bool
	// SigV3Modules: appraise_type=sigv3 is for modules and kexec too, and the
	// hash of a signature of version 3 is read from its header.
	SigV3Modules bool
	// Staging: a kernel built with CONFIG_IMA_STAGING can stage and delete
	// its list.
	Staging bool
	// InitLateSync: a kernel can be built with CONFIG_IMA_INIT_LATE_SYNC,
	// which names the record of the boot aggregate boot_aggregate_late.
	InitLateSync bool
	// PolicyRecords: policies that are loaded and written become records
	// ima_policy_loaded and ima_policy_written.
	PolicyRecords bool
	// SpareConfigfs: the built-in policies neither measure nor appraise
	// configfs.
	SpareConfigfs bool
	// NullPrimary: a kernel can be built with CONFIG_TCG_TPM2_HMAC, which
	// notices by the primary of the null hierarchy that the TPM was reset
	// without it.
	NullPrimary bool
	// DisableOnNullChange: then it switches the TPM off. Before, it only said
	// so and went on without a key.
	DisableOnNullChange bool
	// RefuseDuplicateBanks: a TPM that lists a PCR bank twice does not register.
	RefuseDuplicateBanks bool
	// ChooseMeasurePCR: CONFIG_IMA_MEASURE_PCR_IDX has a prompt. In other
	// kernels a PCR that is not 10 means that Kconfig was edited.
	ChooseMeasurePCR bool
}
