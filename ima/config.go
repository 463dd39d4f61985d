package ima

import "strings"

// Config says how the kernel was built and booted. The zero value, with a
// Kernel, is a kernel of Kconfig's defaults that hashes with sha256.
type Config struct {
	Kernel Kernel

	// Template is CONFIG_IMA_DEFAULT_TEMPLATE, ima-ng if empty.
	Template string
	// DefaultHash is CONFIG_IMA_DEFAULT_HASH, sha256 if zero.
	DefaultHash HashAlgo
	// MeasurePCR is CONFIG_IMA_MEASURE_PCR_IDX, 10 if zero; otherwise 8 to 14.
	MeasurePCR int
	// Unavailable lists the hashes that the kernel cannot allocate when IMA
	// starts, because they are modules or not built. Hashes that this
	// package cannot compute count as such anyway.
	Unavailable []HashAlgo
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
	// KexecExtraKB is CONFIG_IMA_KEXEC_EXTRA_MEMORY_KB.
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
	// SecureBoot is what the log says of secure boot: "enabled", "disabled",
	// "unknown"; if empty nothing is logged.
	SecureBoot string
	// HostOrder is the machine's byte order; ima_canonical_fmt on the command
	// line overrides it.
	HostOrder ByteOrder
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
	return PolicyConfig{Kernel: c.Kernel, MeasureKeys: c.MeasureKeys, Modsig: c.Modsig, LSM: c.LSM, Unavailable: c.Unavailable}
}

// lookupTemplate finds the template of ima_template_fmt= too.
func (m *IMA) lookupTemplate(name string) (*Template, bool) {
	t, ok := LookupTemplate(name)
	if !ok && m.custom != nil && m.custom.format == name {
		return m.custom, true
	}
	return t, ok
}

// commandLine handles IMA's options in the order in which they stand.
func (m *IMA) commandLine() {
	templateSet := false
	for _, word := range splitCommandLine(m.config.CommandLine) {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "ima_policy":
			m.setup.setup(value, m.logf)
		case "ima_tcb":
			if m.setup.tcb == noTCB {
				m.setup.tcb = originalTCB
			}
		case "ima_appraise_tcb":
			m.setup.appraiseTCB = true
		case "ima_canonical_fmt":
			m.order = Canonical
		case "ima_flush_htable":
			m.flush = true
		case "ima_hash":
			m.hashSetup(value)
		case "ima_template":
			templateSet = templateSet || m.templateSetup(value)
		case "ima_template_fmt":
			templateSet = templateSet || m.templateFormatSetup(value)
		}
	}
}

// splitCommandLine splits at blanks outside of double quotes, which are dropped
// (lib/cmdline.c, next_arg).
func splitCommandLine(line string) (words []string) {
	quoted := false
	for word := range strings.FieldsFuncSeq(line, func(c rune) bool {
		if c == '"' {
			quoted = !quoted
		}
		return !quoted && (c == ' ' || c == '\t' || c == '\n')
	}) {
		words = append(words, strings.ReplaceAll(word, `"`, ""))
	}
	return words
}

// hashSetup follows hash_setup: the first algorithm that is accepted holds.
func (m *IMA) hashSetup(name string) {
	if m.hashSet {
		return
	}
	if m.template.legacy {
		switch {
		case strings.HasPrefix(name, "sha1"):
			m.hash = SHA1
		case strings.HasPrefix(name, "md5"):
			m.hash = MD5
		default:
			m.logf("invalid hash algorithm \"%s\" for template \"%s\"", name, m.template.name)
			return
		}
	} else {
		h, ok := hashByName(name)
		if !ok {
			m.logf("invalid hash algorithm \"%s\"", name)
			return
		}
		m.hash = h
	}
	m.hashSet = true
}

// templateSetup follows ima_template_setup. Before ima_hash= has been read the
// kernel's ima_hash_algo is sha1, with which the ima template is accepted.
func (m *IMA) templateSetup(name string) (set bool) {
	t, ok := m.lookupTemplate(name)
	if !ok {
		m.logf("template %s not found, using %s", name, m.config.Template)
		return false
	}
	if name == "ima" && m.hashSet && m.hash != SHA1 && m.hash != MD5 {
		m.logf("template does not support hash alg")
		return false
	}
	m.template = t
	return true
}

func (m *IMA) templateFormatSetup(format string) (set bool) {
	t, err := ParseTemplateFormat(format)
	if err != nil {
		m.logf("format string '%s' not valid, using template %s", format, m.config.Template)
		return false
	}
	m.template, m.custom = t, t
	return true
}
