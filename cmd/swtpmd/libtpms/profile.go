// Package libtpms reads the profiles of libtpms, which swtpm's --profile takes as JSON
// (swtpm(8), "--profile"), and writes them as profiles of package emulator. What such a
// TPM cannot be is refused.
package libtpms

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Names are the profiles that libtpms 0.10 has, in its order. A profile "custom" may say
// what it consists of, and so may one whose name begins with "custom:".
var Names = []string{"default-v1", "null", "custom"}

// titles are what each of them is.
var titles = map[string]string{
	"default-v1": "the newest of swtpm 0.10, as far as this TPM has it",
	"null":       "like swtpm 0.9 and older",
	"custom":     "of one's own, all of it without further words",
}

// levels are StateFormatLevel, that of a profile that is not custom.
var levels = map[string]int{"default-v1": 7, "null": 1}

// maxLevel is the highest level of libtpms 0.10.
const maxLevel = 7

// Error says what is wrong with a profile, or what of it this TPM cannot be.
type Error struct {
	Member string // of the JSON object
	Word   string // in it, "" for all of it
	Reason string
}

func (e *Error) Error() string {
	text := "profile: " + e.Member
	if e.Word != "" {
		text += ": " + strconv.Quote(clip(e.Word))
	}
	return text + ": " + e.Reason
}

// clip shortens a word of unknown origin for a message.
func clip(s string) string {
	const most = 40
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// document is the JSON object.
type document struct {
	Name             string
	StateFormatLevel *int
	Commands         *string
	Algorithms       *string
	Attributes       *string
	Description      string
}

// MaxSize bounds the text of a profile, in bytes.
const MaxSize = 1 << 16

// Parse reads a profile and returns its name, and the text of a profile of package
// emulator. A name that libtpms does not have is returned without a text: it may be one
// of the emulator's. The errors are *Error.
func Parse(text []byte) (name string, profile []byte, err error) {
	if len(text) > MaxSize {
		return "", nil, &Error{"the text", "", fmt.Sprintf("it has %d bytes, and at most %d are taken", len(text), MaxSize)}
	}
	var d document
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&d); err != nil {
		return "", nil, &Error{"the text", "", "it is no profile in JSON: " + err.Error()}
	}
	if decoder.More() {
		return "", nil, &Error{"the text", "", "there is something after the JSON object"}
	}
	profile, err = d.profile()
	return d.Name, profile, err
}

// Named returns the text of the profile of a name; nil for one that libtpms does not have.
func Named(name string) ([]byte, error) { return (&document{Name: name}).profile() }

func (d *document) profile() ([]byte, error) {
	custom := d.Name == "custom" || strings.HasPrefix(d.Name, "custom:")
	level, builtIn := levels[d.Name]
	switch {
	case d.Name == "":
		return nil, &Error{"Name", "", "it is missing"}
	case strings.ContainsAny(d.Name, "\" \t\r\n=#"):
		return nil, &Error{"Name", d.Name, "it has a character that no name has"}
	case !custom && (d.Algorithms != nil || d.Commands != nil || d.Attributes != nil || d.StateFormatLevel != nil):
		return nil, &Error{"Name", d.Name, "only the profile custom, or custom:NAME, says what it consists of"}
	case !custom && !builtIn:
		return nil, nil
	case d.Attributes != nil && *d.Attributes != "":
		return nil, &Error{"Attributes", *d.Attributes, "this TPM has no such restrictions: leave them out"}
	}
	if custom {
		level = maxLevel
		if d.StateFormatLevel != nil {
			level = *d.StateFormatLevel
		}
		if level < 1 || level > maxLevel {
			return nil, &Error{"StateFormatLevel", strconv.Itoa(level), fmt.Sprintf("the levels are 1 to %d", maxLevel)}
		}
	}
	c, err := d.config(level)
	if err != nil {
		return nil, err
	}
	base, _, _ := strings.Cut(d.Name, ":")
	profile := write(d.Name, titles[base], c)
	if _, err := emulator.ParseProfile("profile", profile); err != nil {
		return nil, &Error{"Algorithms", "", err.Error()}
	}
	return profile, nil
}

// newer are the commands and key sizes that a state format level has first.
var newerCommands = map[wire.CC]int{
	wire.CCECCEncrypt: 3, wire.CCECCDecrypt: 3, wire.CCPolicyCapability: 5, wire.CCPolicyParameters: 5,
}

// last is the last command that libtpms has.
const last = wire.CCPolicyParameters

// config is the kind of TPM.
func (d *document) config(level int) (c emulator.Config, err error) {
	c = emulator.Config{}.Full()
	slices.Sort(c.Algorithms)
	c.Algorithms = slices.Compact(c.Algorithms)
	c.AESBits = []uint16{128, 256}
	if level >= 4 && slices.Contains(emulator.Offered().AESBits, 192) {
		c.AESBits = []uint16{128, 192, 256}
	}
	offered := slices.DeleteFunc(c.Commands, func(code wire.CC) bool { return code > last || newerCommands[code] > level })
	c.Commands = slices.Clone(offered)
	if d.Commands != nil {
		if c.Commands, err = commands(*d.Commands, offered, level); err != nil {
			return c, err
		}
	}
	if d.Algorithms != nil {
		err = (&selection{from: c, to: &c}).read(*d.Algorithms)
	}
	return c, err
}

// commands reads ranges of command codes.
func commands(text string, offered []wire.CC, level int) (list []wire.CC, err error) {
	for word := range strings.SplitSeq(text, ",") {
		first, end, isRange := strings.Cut(word, "-")
		if !isRange {
			end = first
		}
		from, err1 := strconv.ParseUint(first, 0, 16)
		to, err2 := strconv.ParseUint(end, 0, 16)
		if err1 != nil || err2 != nil || from > to {
			return nil, &Error{"Commands", word, "no code of a command, nor two with a - between them"}
		}
		for code := wire.CC(from); code <= wire.CC(to); code++ {
			switch {
			case slices.Contains(list, code):
				return nil, &Error{"Commands", word, fmt.Sprintf("%#x is there twice", uint32(code))}
			case newerCommands[code] > level:
				return nil, &Error{"Commands", word, fmt.Sprintf("%#x takes the StateFormatLevel %d", uint32(code), newerCommands[code])}
			case !slices.Contains(offered, code):
				return nil, &Error{"Commands", word, fmt.Sprintf("this TPM does not have the command %#x", uint32(code))}
			}
			list = append(list, code)
		}
	}
	return list, nil
}

// selection reads the words of Algorithms.
type selection struct {
	from emulator.Config // what there is
	to   *emulator.Config
}

// curves are the elliptic curves by their words, groups included.
func (s *selection) curves(word string) (list []wire.Curve) {
	for _, c := range s.from.Curves {
		name := "ecc-" + spelled(c)
		if name == word || word == "ecc-nist" && strings.HasPrefix(name, "ecc-nist-p") || word == "ecc-bn" && strings.HasPrefix(name, "ecc-bn-p") {
			list = append(list, c)
		}
	}
	return list
}

// spelled is how libtpms spells a name of the TCG.
func spelled(name fmt.Stringer) string {
	return strings.ToLower(strings.ReplaceAll(name.String(), "_", "-"))
}

// fixed are words with a value that this TPM has anyway.
var fixed = []string{"null", "hmac-min-key-size=1"}

func (s *selection) read(text string) error {
	s.to.Algorithms, s.to.Curves = []wire.AlgID{}, nil
	for word := range strings.SplitSeq(text, ",") {
		if err := s.take(word); err != nil {
			return err
		}
	}
	// A curve without ECC is none.
	if !slices.Contains(s.to.Algorithms, wire.AlgECC) {
		s.to.Curves = nil
	}
	s.to.Banks = slices.DeleteFunc(slices.Clone(s.from.Banks), func(b emulator.Bank) bool { return !slices.Contains(s.to.Algorithms, b.Alg) })
	return nil
}

func (s *selection) take(word string) error {
	for _, alg := range s.from.Algorithms {
		if spelled(alg) == word {
			if slices.Contains(s.to.Algorithms, alg) {
				return &Error{"Algorithms", word, "it is there twice"}
			}
			s.to.Algorithms = append(s.to.Algorithms, alg)
			return nil
		}
	}
	if curves := s.curves(word); len(curves) > 0 {
		for _, c := range curves {
			if !slices.Contains(s.to.Curves, c) {
				s.to.Curves = append(s.to.Curves, c)
			}
		}
		return nil
	}
	if name, value, ok := strings.Cut(word, "-min-size="); ok {
		return s.least(word, name, value)
	}
	if slices.Contains(fixed, word) {
		return nil
	}
	return &Error{"Algorithms", word, "this TPM does not have it: leave it out"}
}

// least takes the smallest size of a key.
func (s *selection) least(word, name, value string) error {
	bits, err := strconv.ParseUint(value, 10, 16)
	if err != nil {
		return &Error{"Algorithms", word, "no number of bits"}
	}
	small := func(n uint16) bool { return uint64(n) < bits }
	switch name {
	case "rsa":
		s.to.RSABits = slices.DeleteFunc(slices.Clone(s.from.RSABits), small)
	case "aes":
		s.to.AESBits = slices.DeleteFunc(slices.Clone(s.from.AESBits), small)
	case "ecc":
		s.to.Curves = slices.DeleteFunc(s.to.Curves, func(c wire.Curve) bool { return small(curveBits[c]) })
		s.from.Curves = slices.DeleteFunc(slices.Clone(s.from.Curves), func(c wire.Curve) bool { return small(curveBits[c]) })
	default:
		return &Error{"Algorithms", word, "this TPM does not have it: leave it out"}
	}
	return nil
}

// curveBits are the sizes of keys.
var curveBits = map[wire.Curve]uint16{
	wire.CurveNISTP192: 192, wire.CurveNISTP224: 224, wire.CurveNISTP256: 256, wire.CurveNISTP384: 384,
	wire.CurveNISTP521: 521, wire.CurveBNP256: 256, wire.CurveBNP638: 638, wire.CurveSM2P256: 256,
}

// write writes a profile of package emulator.
func write(name, title string, c emulator.Config) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# A profile of libtpms.\nprofile %s title=%q\n", name, title)
	list := func(directive string, words []string) {
		if len(words) > 0 {
			fmt.Fprintf(&b, "%s %s\n", directive, strings.Join(words, " "))
		}
	}
	list("algorithms", names(c.Algorithms))
	list("curves", names(c.Curves))
	list("bits rsa", sizes(c.RSABits))
	list("bits aes", sizes(c.AESBits))
	for _, bank := range c.Banks {
		list("bank", []string{bank.Alg.String()})
	}
	var words []string
	for _, row := range emulator.Commands() {
		if slices.Contains(c.Commands, row.Code) {
			words = append(words, row.Name)
		}
	}
	list("commands", words)
	return b.Bytes()
}

func names[T fmt.Stringer](values []T) (words []string) {
	for _, v := range values {
		words = append(words, v.String())
	}
	return words
}

func sizes(bits []uint16) (words []string) {
	for _, n := range bits {
		words = append(words, strconv.Itoa(int(n)))
	}
	return words
}
