package emulator

import (
	"fmt"
	"slices"
	"strconv"
	"sync"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// The directives of a profile that name things.

// names takes words as names of what value finds, each named for the first
// time.
func names[T comparable](p *profileParser, directive string, words []string, to *[]T, value func(string) (T, bool), hint string) error {
	if len(words) == 0 {
		return p.fail(directive, "it needs names: %s", hint)
	}
	for _, word := range words {
		v, ok := value(word)
		switch {
		case !ok:
			return p.fail(fmt.Sprintf("%s: %q", directive, clip(word)), "there is none of that name: %s", hint)
		case slices.Contains(*to, v):
			return p.fail(fmt.Sprintf("%s: %q", directive, word), "it comes twice")
		}
		*to = append(*to, v)
	}
	return nil
}

// algorithmNamed finds a supported algorithm.
func algorithmNamed(name string) (wire.AlgID, bool) {
	id, ok := supported()[name]
	return id, ok
}

// supported has the supported algorithms by their names.
var supported = sync.OnceValue(func() map[string]wire.AlgID {
	byName := map[string]wire.AlgID{}
	for _, a := range crypt.Algorithms() {
		if a.Supported {
			byName[a.ID.String()] = a.ID
		}
	}
	return byName
})

func (p *profileParser) algorithms(words []string) error {
	p.lines["Algorithms"] = p.line
	return names(p, "algorithms", words, &p.profile.Config.Algorithms, algorithmNamed, "the default profile names most of them")
}

func (p *profileParser) curves(words []string) error {
	p.lines["Curves"] = p.line
	find := func(name string) (wire.Curve, bool) {
		for _, c := range crypt.Curves() {
			if c.String() == name {
				return c, true
			}
		}
		return wire.CurveNone, false
	}
	return names(p, "curves", words, &p.profile.Config.Curves, find, fmt.Sprint("choose among ", crypt.Curves()))
}

func (p *profileParser) bits(words []string) error {
	c := &p.profile.Config
	fields := map[string]struct {
		name string
		to   *[]uint16
	}{"rsa": {"RSABits", &c.RSABits}, "aes": {"AESBits", &c.AESBits}}
	if len(words) == 0 || fields[words[0]].to == nil {
		return p.fail("bits", "it begins with %s", known(fields))
	}
	f := fields[words[0]]
	p.lines[f.name] = p.line
	size := func(word string) (uint16, bool) {
		n, err := strconv.ParseUint(word, 10, 16)
		return uint16(n), err == nil
	}
	return names(p, "bits "+words[0], words[1:], f.to, size, "key sizes such as 256 or 2048")
}

// parameterSets takes those of ML-KEM or of ML-DSA by their names in FIPS 203 and FIPS
// 204.
func (p *profileParser) parameterSets(words []string) error {
	c := &p.profile.Config
	kind := ""
	if len(words) > 0 {
		kind = words[0]
	}
	switch kind {
	case "mlkem":
		p.lines["MLKEMSets"] = p.line
		return names(p, "parameter-sets mlkem", words[1:], &c.MLKEMSets, setNamed[wire.MLKEMParameterSet]("512", "768", "1024"), "choose among 512, 768, 1024")
	case "mldsa":
		p.lines["MLDSASets"] = p.line
		return names(p, "parameter-sets mldsa", words[1:], &c.MLDSASets, setNamed[wire.MLDSAParameterSet]("44", "65", "87"), "choose among 44, 65, 87")
	}
	return p.fail("parameter-sets", "it begins with mldsa, mlkem")
}

// setNamed finds a parameter set among all, which are numbered from 1.
func setNamed[S ~uint16](all ...string) func(string) (S, bool) {
	return func(name string) (S, bool) {
		i := slices.Index(all, name)
		return S(i + 1), i >= 0
	}
}

// externalMu takes the one word there is: without it keys may have allowExternalMu.
func (p *profileParser) externalMu(words []string) error {
	if len(words) != 1 || words[0] != "no" {
		return p.fail("external-mu", "it has one word: no")
	}
	p.profile.Config.NoExternalMu = true
	return nil
}

func (p *profileParser) bank(words []string) error {
	p.lines["Banks"] = p.line
	if len(words) == 0 || len(words) > 2 || len(words) == 2 && words[1] != "unallocated" {
		return p.fail("bank", "it has the name of a hash, and may say unallocated after it")
	}
	alg, ok := algorithmNamed(words[0])
	if !ok {
		return p.fail(fmt.Sprintf("bank %q", clip(words[0])), "there is no algorithm of that name: choose a hash such as SHA256")
	}
	p.profile.Config.Banks = append(p.profile.Config.Banks, Bank{Alg: alg, Unallocated: len(words) == 2})
	return nil
}

func (p *profileParser) commands(words []string) error {
	if p.lines["omit"] != 0 {
		return p.fail("commands", "omit in line %d has named others: a profile has one of the two", p.lines["omit"])
	}
	p.lines["Commands"] = p.line
	find := func(name string) (wire.CC, bool) {
		row := commandNamed(name)
		if row == nil {
			return 0, false
		}
		return row.Code, row.Implemented()
	}
	return names(p, "commands", words, &p.profile.Config.Commands, find, "swtpmd commands lists those that are implemented")
}

func (p *profileParser) omit(words []string) error {
	if p.lines["Commands"] != 0 && p.lines["omit"] == 0 {
		return p.fail("omit", "commands in line %d has named others: a profile has one of the two", p.lines["Commands"])
	}
	p.lines["Commands"], p.lines["omit"] = p.line, p.line
	var list []wire.CC // another line may have named them too
	find := func(name string) (wire.CC, bool) {
		row := commandNamed(name)
		if row == nil {
			return 0, false
		}
		return row.Code, true
	}
	if err := names(p, "omit", words, &list, find, "swtpmd commands lists all"); err != nil {
		return err
	}
	p.omitted = append(p.omitted, list...)
	return nil
}

// omitCommands leaves out what omit has named of the commands that there are without it.
func (p *profileParser) omitCommands() {
	if p.lines["omit"] == 0 {
		return
	}
	c := &p.profile.Config
	c.Commands = slices.DeleteFunc(defaultCommands(c.hasVersion185()), func(code wire.CC) bool { return slices.Contains(p.omitted, code) })
}

// testing takes the one word there is: without it TPM2_GetTestResult is content
// from the start on.
func (p *profileParser) testing(words []string) error {
	if len(words) != 1 || words[0] != "needs-test" {
		return p.fail("testing", "it has one word: needs-test")
	}
	p.profile.Config.NeedsTest = true
	return nil
}

func commandNamed(name string) *Command {
	for i := range commandTable {
		if commandTable[i].Name == name {
			return &commandTable[i]
		}
	}
	return nil
}
