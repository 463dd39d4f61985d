package emulator

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// MaxProfile bounds the text of a profile in bytes.
const MaxProfile = 1 << 16

// ParseProfile reads a profile and checks that it makes a TPM. name is the
// file's, for messages. Errors are of type *ProfileError.
//
// A profile is text of at most 65,536 bytes. A line is a directive followed by
// words or key=value pairs; double quotes keep blanks together, a # that begins
// a word begins a comment. Numbers are decimal, or hexadecimal with 0x. The
// directives:
//
//	profile NAME [title="…"]           comes first
//	identity [manufacturer=] [vendor=] [type=] [firmware=A.B.C.D]
//	specification [revision=] [year=] [day=] [errata=]
//	platform [family=] [level=] [revision=] [year=] [day=]
//	limits [buffer=] [input-buffer=] [transient=] [persistent=]
//	       [loaded-sessions=] [active-sessions=] [nv-index=] [nv-buffer=]
//	       [nv-memory=] [nv-orderly-memory=] [object-context=] [session-context=]
//	algorithms NAME…                   instead of the default ones
//	curves NAME…                       instead of the default ones
//	bits rsa|aes N…                    key sizes, instead of the default ones
//	parameter-sets mlkem|mldsa N…      those of ML-KEM and ML-DSA, instead of all
//	external-mu no                     no key may have allowExternalMu
//	bank HASH [unallocated]            a PCR bank, instead of the default ones
//	commands NAME…                     these, and no other ones
//	omit NAME…                         all but these
//	testing needs-test                 TPM2_GetTestResult knows what has not been tested
//
// errata is the name of day since version 185 of the library. Parameter sets are 512,
// 768 and 1024, and 44, 65 and 87.
//
// Those with names add to what earlier lines of the same kind have named. What
// a profile does not say is as in the zero Config. Names are those of the TCG
// without their prefixes: SHA256, NIST_P256, PCR_Extend.
func ParseProfile(name string, text []byte) (*Profile, error) {
	p := &profileParser{file: name, lines: make(map[string]int)}
	p.profile.Config = Config{Identity: DefaultIdentity(), Limits: DefaultLimits()}
	if len(text) > MaxProfile {
		return nil, p.fail("the text", "it has %d bytes: at most %d", len(text), MaxProfile)
	}
	for line := range strings.Lines(string(text)) {
		p.line++
		if err := p.directive(strings.TrimRight(line, "\r\n")); err != nil {
			return nil, err
		}
	}
	return p.end()
}

type profileParser struct {
	file    string
	line    int
	profile Profile
	lines   map[string]int // where a field of Config was set last
	omitted []wire.CC      // commands that omit has named
}

func (p *profileParser) fail(item, format string, args ...any) *ProfileError {
	return &ProfileError{File: p.file, Line: p.line, Item: item, Reason: fmt.Sprintf(format, args...)}
}

// profileDirective reads the words of a line, the directive itself left out.
type profileDirective func(p *profileParser, words []string) error

// profileDirectives is the table of directives.
var profileDirectives = map[string]profileDirective{
	"profile":        (*profileParser).name,
	"identity":       (*profileParser).identity,
	"specification":  (*profileParser).specification,
	"platform":       (*profileParser).platform,
	"limits":         (*profileParser).limits,
	"algorithms":     (*profileParser).algorithms,
	"curves":         (*profileParser).curves,
	"bits":           (*profileParser).bits,
	"bank":           (*profileParser).bank,
	"external-mu":    (*profileParser).externalMu,
	"parameter-sets": (*profileParser).parameterSets,
	"commands":       (*profileParser).commands,
	"omit":           (*profileParser).omit,
	"testing":        (*profileParser).testing,
}

func (p *profileParser) directive(line string) error {
	words, err := p.words(line)
	if err != nil || len(words) == 0 {
		return err
	}
	read, ok := profileDirectives[words[0]]
	switch {
	case !ok:
		return p.fail(fmt.Sprintf("directive %q", clip(words[0])), "there is no such directive: choose %s", known(profileDirectives))
	case (words[0] == "profile") != (p.profile.Name == ""):
		return p.fail("directive "+words[0], "a file begins with its one profile line")
	}
	return read(p, words[1:])
}

// known lists the keys of a table for messages.
func known[V any](table map[string]V) string {
	var names []string
	for name := range table {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// words splits a line at blanks. Double quotes keep blanks together and vanish;
// a # that begins a word begins a comment.
func (p *profileParser) words(line string) (words []string, err error) {
	var word strings.Builder
	quoted, inWord := false, false
	for _, c := range line {
		switch {
		case c == '"':
			quoted, inWord = !quoted, true
		case !quoted && (c == ' ' || c == '\t'):
			if inWord {
				words = append(words, word.String())
				word.Reset()
			}
			inWord = false
		case c == '#' && !inWord:
			return words, nil
		case c != '\t' && (c < ' ' || c == 0x7F || c == 0xFFFD):
			return nil, p.fail("line", "it has a character that is no text: %q", c)
		default:
			word.WriteRune(c)
			inWord = true
		}
	}
	if quoted {
		return nil, p.fail("line", "a quotation mark is not closed")
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}

// end fills in what depends on the whole file, and checks it.
func (p *profileParser) end() (*Profile, error) {
	if p.profile.Name == "" {
		return nil, &ProfileError{File: p.file, Item: "the text", Reason: "there is no profile line, such as: profile mine"}
	}
	p.omitCommands()
	c := p.profile.Config.withDefaults()
	if _, err := c.check(); err != nil {
		out := &ProfileError{File: p.file, Item: "what it says", Err: err}
		var bad *ConfigError
		if errors.As(err, &bad) {
			out.Line, out.Item = p.lines[bad.Field], profileItem(bad.Field)
			out.Reason, out.Err = fmt.Sprintf("%v makes no TPM: %s", bad.Value, bad.Hint), bad.Err
			if bad.Err != nil {
				out.Reason = ""
			}
		}
		return nil, out
	}
	return &p.profile, nil
}

// pairs takes words as key=value, and gives each to the key's function.
func (p *profileParser) pairs(directive string, words []string, keys map[string]func(string) error) error {
	seen := make(map[string]bool)
	for _, word := range words {
		key, value, ok := strings.Cut(word, "=")
		item := fmt.Sprintf("%s: key %q", directive, clip(key))
		set := keys[key]
		switch {
		case !ok:
			return p.fail(fmt.Sprintf("%s: word %q", directive, clip(word)), "it is no key=value")
		case set == nil:
			return p.fail(item, "there is no such key: choose %s", known(keys))
		case seen[key]:
			return p.fail(item, "it comes twice")
		}
		seen[key] = true
		if err := set(value); err != nil {
			return p.fail(item, "%v", err)
		}
	}
	return nil
}

// number sets a field of up to 32 bits, whose path in Config is given.
func (p *profileParser) number(field string, to *uint32) func(string) error {
	return func(value string) error {
		n, err := strconv.ParseUint(value, 0, 32)
		if err != nil {
			return fmt.Errorf("%q is no number from 0 to %d", clip(value), uint32(1<<32-1))
		}
		*to = uint32(n)
		p.lines[field] = p.line
		return nil
	}
}

// text sets a field to printable ASCII.
func (p *profileParser) text(field string, to *string) func(string) error {
	return func(value string) error {
		for _, c := range value {
			if c < ' ' || c > '~' {
				return fmt.Errorf("%q has a character that is not ASCII", clip(value))
			}
		}
		*to = value
		p.lines[field] = p.line
		return nil
	}
}

func (p *profileParser) name(words []string) error {
	if len(words) == 0 || words[0] == "" || strings.Contains(words[0], "=") {
		return p.fail("profile", "it needs a name, such as: profile mine")
	}
	p.profile.Name = words[0]
	return p.pairs("profile", words[1:], map[string]func(string) error{
		"title": func(value string) error { p.profile.Title = value; return nil },
	})
}

func (p *profileParser) identity(words []string) error {
	id := &p.profile.Config.Identity
	return p.pairs("identity", words, map[string]func(string) error{
		"manufacturer": p.text("Identity.Manufacturer", &id.Manufacturer),
		"vendor":       p.text("Identity.Vendor", &id.Vendor),
		"type":         p.number("Identity.TPMType", &id.TPMType),
		"firmware":     func(value string) error { return parseFirmware(value, &id.Firmware) },
	})
}

// parseFirmware reads a version of four numbers of 16 bits, which is how tools
// show the two halves of TPM_PT_FIRMWARE_VERSION.
func parseFirmware(value string, to *uint64) error {
	parts := strings.Split(value, ".")
	if len(parts) != 4 {
		return fmt.Errorf("%q is no version such as 7.63.3353.0", clip(value))
	}
	version := uint64(0)
	for _, part := range parts {
		n, err := strconv.ParseUint(part, 10, 16)
		if err != nil {
			return fmt.Errorf("%q is no version such as 7.63.3353.0: each part is from 0 to 65535", clip(value))
		}
		version = version<<16 | n
	}
	*to = version
	return nil
}

func (p *profileParser) specification(words []string) error {
	id := &p.profile.Config.Identity
	return p.pairs("specification", words, map[string]func(string) error{
		"revision": p.number("Identity.Revision", &id.Revision),
		"year":     p.number("Identity.Year", &id.Year),
		"day":      p.number("Identity.DayOfYear", &id.DayOfYear),
		"errata":   p.number("Identity.DayOfYear", &id.DayOfYear),
	})
}

func (p *profileParser) platform(words []string) error {
	id := &p.profile.Config.Identity
	return p.pairs("platform", words, map[string]func(string) error{
		"family":   p.number("Identity.PSFamily", &id.PSFamily),
		"level":    p.number("Identity.PSLevel", &id.PSLevel),
		"revision": p.number("Identity.PSRevision", &id.PSRevision),
		"year":     p.number("Identity.PSYear", &id.PSYear),
		"day":      p.number("Identity.PSDayOfYear", &id.PSDayOfYear),
	})
}

// limitKeys are the keys of limits with the fields that they set.
var limitKeys = map[string]struct {
	field string
	of    func(*Limits) *uint32
}{
	"buffer":            {"Buffer", func(l *Limits) *uint32 { return &l.Buffer }},
	"input-buffer":      {"InputBuffer", func(l *Limits) *uint32 { return &l.InputBuffer }},
	"transient":         {"Transient", func(l *Limits) *uint32 { return &l.Transient }},
	"persistent":        {"Persistent", func(l *Limits) *uint32 { return &l.Persistent }},
	"loaded-sessions":   {"LoadedSessions", func(l *Limits) *uint32 { return &l.LoadedSessions }},
	"active-sessions":   {"ActiveSessions", func(l *Limits) *uint32 { return &l.ActiveSessions }},
	"nv-index":          {"NVIndexSize", func(l *Limits) *uint32 { return &l.NVIndexSize }},
	"nv-buffer":         {"NVBuffer", func(l *Limits) *uint32 { return &l.NVBuffer }},
	"nv-memory":         {"NVMemory", func(l *Limits) *uint32 { return &l.NVMemory }},
	"nv-orderly-memory": {"NVOrderlyMemory", func(l *Limits) *uint32 { return &l.NVOrderlyMemory }},
	"object-context":    {"ObjectContext", func(l *Limits) *uint32 { return &l.ObjectContext }},
	"session-context":   {"SessionContext", func(l *Limits) *uint32 { return &l.SessionContext }},
}

func (p *profileParser) limits(words []string) error {
	keys := make(map[string]func(string) error)
	for key, row := range limitKeys {
		keys[key] = p.number("Limits."+row.field, row.of(&p.profile.Config.Limits))
	}
	return p.pairs("limits", words, keys)
}

// profileItem names a field of Config as a profile has it.
func profileItem(field string) string {
	for key, row := range limitKeys {
		if "Limits."+row.field == field {
			return "limits: key " + key
		}
	}
	switch field {
	case "Identity.Manufacturer":
		return "identity: key manufacturer"
	case "Identity.Vendor":
		return "identity: key vendor"
	case "RSABits":
		return "bits rsa"
	case "AESBits":
		return "bits aes"
	case "MLKEMSets":
		return "parameter-sets mlkem"
	case "MLDSASets":
		return "parameter-sets mldsa"
	case "Banks":
		return "bank"
	}
	return strings.ToLower(field)
}
