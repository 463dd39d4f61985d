package ima

import (
	"fmt"
	"strings"

	"github.com/swtpmd/swtpmd/ima/internal/clip"
)

// Limits of ima_template.c and ima_template.h.
const (
	fieldIDMax = 16 // IMA_TEMPLATE_FIELD_ID_MAX_LEN
	fieldsMax  = 15 // IMA_TEMPLATE_NUM_FIELDS_MAX
	// templateNameMax bounds the name in a record: the longest custom
	// format there can be.
	templateNameMax = fieldsMax*(fieldIDMax+1) - 1
)

// Template is a template descriptor: which fields a record has, in which order
// (struct ima_template_desc). Templates are constant; the table's are compared
// by pointer, a custom one by its Format.
type Template struct {
	name   string
	format string
	fields []*field
	legacy bool // the ima template, which has its own rules in list and digest
}

// builtinTemplates is the table of ima_template.c in its order, which is the
// order of the lookup.
var builtinTemplates = []*Template{
	builtin("ima", "d|n"),
	builtin("ima-ng", "d-ng|n-ng"),
	builtin("ima-sig", "d-ng|n-ng|sig"),
	builtin("ima-ngv2", "d-ngv2|n-ng"),
	builtin("ima-sigv2", "d-ngv2|n-ng|sig"),
	builtin("ima-buf", "d-ng|n-ng|buf"),
	builtin("ima-modsig", "d-ng|n-ng|sig|d-modsig|modsig"),
	builtin("evm-sig", "d-ng|n-ng|evmsig|xattrnames|xattrlengths|xattrvalues|iuid|igid|imode"),
}

func builtin(name, format string) *Template {
	t, err := ParseTemplateFormat(format)
	if err != nil {
		panic("internal error: " + err.Error())
	}
	t.name = name
	t.legacy = name == "ima"
	return t
}

// Templates lists the kernel's built-in templates in the kernel's order.
func Templates() []*Template {
	return append([]*Template(nil), builtinTemplates...)
}

// LookupTemplate finds a built-in template by its name or by its format string,
// as ima_template= and a rule's template= do (lookup_template_desc).
func LookupTemplate(name string) (*Template, bool) {
	if name == "" {
		return nil, false
	}
	for _, t := range builtinTemplates {
		if t.name == name || t.format == name {
			return t, true
		}
	}
	return nil, false
}

// ParseTemplateFormat makes the nameless template of a format string such as
// "d-ng|n-ng|sig", as ima_template_fmt= does (template_desc_init_fields): 1 to
// 15 field identifiers of at most 16 bytes. The error is a TemplateFormatError.
func ParseTemplateFormat(format string) (*Template, error) {
	if n := strings.Count(format, "|") + 1; n > fieldsMax {
		return nil, &TemplateFormatError{
			Format: clip.String(format), Reason: fmt.Sprintf("has %d fields, at most %d are allowed", n, fieldsMax),
			Log: fmt.Sprintf("format string '%s' contains too many fields", format),
		}
	}
	t := &Template{format: format}
	for id := range strings.SplitSeq(format, "|") {
		if len(id) == 0 || len(id) > fieldIDMax {
			return nil, &TemplateFormatError{
				Format: clip.String(format), Field: clip.String(id), Reason: fmt.Sprintf("a field identifier has 1 to %d bytes, this one has %d", fieldIDMax, len(id)),
				Log: fmt.Sprintf("Invalid field with length %d", len(id)),
			}
		}
		f := lookupField(id)
		if f == nil {
			return nil, &TemplateFormatError{
				Format: clip.String(format), Field: id, Reason: "no such field; the fields are " + fieldIDs(),
				Log: fmt.Sprintf("field '%s' not found", id),
			}
		}
		t.fields = append(t.fields, f)
	}
	return t, nil
}

// templateOfRecord finds the template of the name in a record. A name that is
// a built-in format string stands for the nameless template of that format: to
// take it for the named one would change the list when it is written again.
func templateOfRecord(name string) (*Template, error) {
	for _, t := range builtinTemplates {
		if t.name == name {
			return t, nil
		}
	}
	return ParseTemplateFormat(name)
}

// Name returns what a list calls the template: its name or, for a custom format,
// the format string.
func (t *Template) Name() string {
	if t.name == "" {
		return t.format
	}
	return t.name
}

// Format returns the format string.
func (t *Template) Format() string { return t.format }

// Fields returns the identifiers of the fields in order.
func (t *Template) Fields() []string {
	ids := make([]string, len(t.fields))
	for i, f := range t.fields {
		ids[i] = f.id
	}
	return ids
}

func (t *Template) String() string { return t.Name() }

// HasField reports whether the template has a field with the identifier id.
func (t *Template) HasField(id string) bool { return t.index(id) >= 0 }

// Legacy reports whether t is the template ima, whose records have no length of
// the data and whose digest is sha1 or md5.
func (t *Template) Legacy() bool { return t.legacy }

// index returns the place of the first field with identifier id, -1 if none.
func (t *Template) index(id string) int {
	for i, f := range t.fields {
		if f.id == id {
			return i
		}
	}
	return -1
}

// TemplateFormatError names what the kernel would refuse in a format string.
type TemplateFormatError struct {
	Format string
	Field  string // the offending identifier, if it is one field's fault
	Reason string
	// Log is what the kernel logs of it, without "ima: ".
	Log string
}

func (e *TemplateFormatError) Error() string {
	if e.Field == "" {
		return fmt.Sprintf("template format %q: %s", e.Format, e.Reason)
	}
	return fmt.Sprintf("template format %q: field %q: %s", e.Format, e.Field, e.Reason)
}
