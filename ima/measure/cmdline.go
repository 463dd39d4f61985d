package measure

import (
	"errors"
	"iter"
	"strings"

	"github.com/swtpmd/swtpmd/ima"
)

// lookupTemplate finds the template of ima_template_fmt= too.
func (m *IMA) lookupTemplate(name string) (*ima.Template, bool) {
	t, ok := ima.LookupTemplate(name)
	if !ok && m.custom != nil && m.custom.Format() == name {
		return m.custom, true
	}
	return t, ok
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
