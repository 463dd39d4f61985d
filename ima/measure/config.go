package measure

import (
	"slices"

	"github.com/swtpmd/swtpmd/ima"
)

// Config says how the kernel was built and booted. The zero value, with a
// Kernel, is a kernel of Kconfig's defaults that hashes with sha256.
type Config struct {
	Kernel Kernel

	// Template is CONFIG_IMA_DEFAULT_TEMPLATE, ima-ng if empty.
	Template string
	// DefaultHash is CONFIG_IMA_DEFAULT_HASH, sha256 if zero.
	DefaultHash ima.HashAlgo
	// MeasurePCR is CONFIG_IMA_MEASURE_PCR_IDX, 10 if zero; otherwise 8 to 14.
	// Only kernels with Kernel.ChooseMeasurePCR ask for it; in others somebody
	// has edited Kconfig.
	MeasurePCR int
	// Unavailable lists the hashes that the kernel cannot allocate when IMA
	// starts, because they are modules or not built. Hashes that this
	// package cannot compute count as such anyway.
	Unavailable []ima.HashAlgo
	// HashModules are those of Unavailable that are modules: they can be
	// allocated later, for the hash of a file, and policies may name them.
	HashModules []ima.HashAlgo
	// InitLateSync is CONFIG_IMA_INIT_LATE_SYNC; kernels without
	// Kernel.InitLateSync do not have it.
	InitLateSync bool
	// DisableHTable is CONFIG_IMA_DISABLE_HTABLE: records may repeat.
	DisableHTable bool
	// WritePolicy and ReadPolicy are CONFIG_IMA_WRITE_POLICY and
	// CONFIG_IMA_READ_POLICY.
	WritePolicy, ReadPolicy bool
	// MeasureKeys, Modsig and LSM are as in PolicyConfig.
	MeasureKeys, Modsig, LSM bool
	// Staging is CONFIG_IMA_STAGING; kernels without Kernel.Staging do not
	// have it.
	Staging bool
	// KexecExtraKB is CONFIG_IMA_KEXEC_EXTRA_MEMORY_KB; kernels without
	// Kernel.KexecExtraMemory do not have it.
	KexecExtraKB int
	// PageSize is the machine's, 4,096 bytes if zero.
	PageSize int
	// AppraiseSignedInit is CONFIG_IMA_APPRAISE_SIGNED_INIT.
	AppraiseSignedInit bool
	// BuildAppraiseRules is the policy text of the CONFIG_IMA_APPRAISE_BUILD
	// rules.
	BuildAppraiseRules string
	// ArchPolicy has the rules of the architecture, one each
	// (arch_get_ima_policy).
	ArchPolicy []string
	// SecureBoot is the state of secure boot that is logged: "enabled", "disabled",
	// "unknown"; if empty nothing is logged.
	SecureBoot string
	// HostOrder is the machine's byte order; ima_canonical_fmt on the command
	// line overrides it.
	HostOrder ima.ByteOrder
	// Release is the kernel's UTS_RELEASE, the kernel_version record's
	// content; Kernel.Release if empty.
	Release string

	// CommandLine is the kernel's. IMA reads its own options from it.
	CommandLine string
	// KexecBuffer is the list that the kernel before handed over, nil if
	// there was none.
	KexecBuffer []byte

	// Log gets each line that the kernel prints, with its prefix "ima: ".
	Log func(line string)
	// Audit gets what the kernel sends to the audit log (integrity_audit_msg).
	Audit func(AuditMessage)
}

// AuditMessage is a message of integrity_audit_msg.
type AuditMessage struct {
	Op     string // such as "add_template_measure"
	Cause  string // such as "hash_added", "hash_exists", "TPM_error(-62)"
	Name   string // the file or event
	Result int    // 0 or a negative errno
}

func (c *Config) policyConfig() PolicyConfig {
	return PolicyConfig{Kernel: c.Kernel, MeasureKeys: c.MeasureKeys, Modsig: c.Modsig, LSM: c.LSM, Unavailable: c.notBuilt()}
}

// notBuilt lists the hashes that no module has either.
func (c *Config) notBuilt() (algos []ima.HashAlgo) {
	for _, h := range c.Unavailable {
		if !slices.Contains(c.HashModules, h) {
			algos = append(algos, h)
		}
	}
	return algos
}
