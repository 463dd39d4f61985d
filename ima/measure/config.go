package measure

import (
	"errors"
	"iter"
	"slices"
	"strings"

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
	// SecureBoot is what the log says of secure boot: "enabled", "disabled",
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

// lookupTemplate finds the template of ima_template_fmt= too.
func (m *IMA) lookupTemplate(name string) (*ima.Template, bool) {
	t, ok := ima.LookupTemplate(name)
	if !ok && m.custom != nil && m.custom.Format() == name {
		return m.custom, true
	}
	return t, ok
}

// descriptorName is the name of struct ima_template_desc, which a custom format
// does not have.
func descriptorName(t *ima.Template) string {
	if t.Name() == t.Format() {
		return ""
	}
	return t.Name()
}

// initOption is an option of IMA on the kernel's command line (__setup). A name
// that ends in = is one with a value; of others whatever begins like them is
// taken, as the kernel compares no more (init/main.c, obsolete_checksetup).
type initOption struct {
	name  string
	setup func(m *IMA, value string)
}

// initOptions are those of ima_policy.c, ima_init.c, ima_main.c, ima_template.c
// and ima_queue.c. The list of templates is set once.
var initOptions = []initOption{
	{"ima_policy=", func(m *IMA, value string) { m.setup.setup(value, m.logf) }},
	{"ima_tcb", func(m *IMA, _ string) {
		if m.setup.tcb == noTCB {
			m.setup.tcb = originalTCB
		}
	}},
	{"ima_appraise_tcb", func(m *IMA, _ string) { m.setup.appraiseTCB = true }},
	{"ima_canonical_fmt", func(m *IMA, _ string) { m.order = ima.Canonical }},
	{"ima_flush_htable", func(m *IMA, _ string) { m.flush = m.config.Staging }},
	{"ima_hash=", (*IMA).hashSetup},
	{"ima_template=", (*IMA).templateSetup},
	{"ima_template_fmt=", (*IMA).templateFormatSetup},
}

// commandLine handles IMA's options in the order in which they stand.
func (m *IMA) commandLine() {
	for word := range CommandLineWords(m.config.CommandLine) {
		for _, option := range initOptions {
			if value, ok := strings.CutPrefix(word, option.name); ok {
				option.setup(m, value)
				break
			}
		}
	}
}

// CommandLineWords iterates over the words of a command line that are the
// kernel's, as it splits them (lib/cmdline.c, next_arg): at white space outside
// of double quotes, up to the word "--", after which stand those of init. Quotes
// are dropped. In the name of a parameter, up to the first =, dashes are written
// as underscores, which mean the same (kernel/params.c, parameq).
func CommandLineWords(line string) iter.Seq[string] {
	return func(yield func(string) bool) {
		quoted := false
		for word := range strings.FieldsFuncSeq(line, func(c rune) bool {
			if c == '"' {
				quoted = !quoted
			}
			return !quoted && (c == ' ' || c == '\t' || c == '\n' || c == '\v' || c == '\f' || c == '\r')
		}) {
			if word == "--" {
				return
			}
			name, value, hasValue := strings.Cut(strings.ReplaceAll(word, `"`, ""), "=")
			name = strings.ReplaceAll(name, "-", "_")
			if hasValue {
				name += "=" + value
			}
			if !yield(name) {
				return
			}
		}
	}
}

// hashSetup follows hash_setup: the first algorithm that is accepted holds.
func (m *IMA) hashSetup(name string) {
	if m.hashSet {
		return
	}
	if m.template.Legacy() {
		switch {
		case strings.HasPrefix(name, "sha1"):
			m.hash = ima.SHA1
		case strings.HasPrefix(name, "md5"):
			m.hash = ima.MD5
		default:
			m.logf("invalid hash algorithm \"%s\" for template \"%s\"", name, descriptorName(m.template))
			return
		}
	} else {
		h, ok := m.config.Kernel.hash(name)
		if !ok {
			m.logf("invalid hash algorithm \"%s\"", name)
			return
		}
		m.hash = h
	}
	m.hashSet = true
}

// templateSetup follows ima_template_setup: the first template that is accepted
// holds. Before ima_hash= has been read the kernel's ima_hash_algo is sha1, with
// which the ima template is accepted. The empty name is that of the entry which
// ima_template_fmt= fills in, so it is accepted too, and IMA does not start with
// it.
func (m *IMA) templateSetup(name string) {
	if m.templateSet {
		return
	}
	t, ok := m.lookupTemplate(name)
	if !ok && name == "" {
		t, ok = emptyTemplate, true
	}
	if !ok {
		m.logf("template %s not found, using %s", name, m.config.Template)
		return
	}
	if name == "ima" && m.hashSet && m.hash != ima.SHA1 && m.hash != ima.MD5 {
		m.logf("template does not support hash alg")
		return
	}
	m.template, m.templateSet = t, true
}

// emptyTemplate is the last entry of builtin_templates before it has a format.
var emptyTemplate = &ima.Template{}

// templateFormatSetup follows ima_template_fmt_setup.
func (m *IMA) templateFormatSetup(format string) {
	if m.templateSet {
		return
	}
	t, err := ima.ParseTemplateFormat(format)
	if err != nil {
		m.logFormatError(err)
		m.logf("format string '%s' not valid, using template %s", format, m.config.Template)
		return
	}
	m.template, m.custom, m.templateSet = t, t, true
}

// logFormatError logs what template_desc_init_fields does.
func (m *IMA) logFormatError(err error) {
	var format *ima.TemplateFormatError
	if errors.As(err, &format) && format.Log != "" {
		m.logf("%s", format.Log)
	}
}

// initTemplate follows ima_init_template.
func (m *IMA) initTemplate() error {
	if m.template != emptyTemplate {
		return nil
	}
	_, err := ima.ParseTemplateFormat("")
	m.logFormatError(err)
	m.logf("template %s init failed, result: %d", "", errnoOf(EINVAL))
	return EINVAL
}
