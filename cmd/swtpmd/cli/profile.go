package cli

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/swtpmd/swtpmd/emulator"
)

// Profile is --profile, the kind of TPM that is emulated. The zero value is the
// default one.
type Profile struct {
	profile *emulator.Profile // nil without the flag
	text    []byte            // the profile's file
	swtpm   bool              // given in swtpm's words
}

// Define defines --profile.
func (p *Profile) Define(f *flag.FlagSet) { f.Func("profile", "", p.set) }

// Given reports whether the command line has the flag.
func (p *Profile) Given() bool { return p.profile != nil }

// Swtpm reports whether the flag was given in swtpm's words.
func (p *Profile) Swtpm() bool { return p.swtpm }

// set takes the name of a profile or a file, or says so in swtpm's words, name=
// and file=.
func (p *Profile) set(text string) error {
	if p.profile != nil {
		return fmt.Errorf("there is one already, %s", p.profile.Name)
	}
	name, isName := strings.CutPrefix(text, "name=")
	file, isFile := strings.CutPrefix(text, "file=")
	p.swtpm = isName || isFile
	var err error
	switch {
	case isName:
		err = p.named(name)
	case isFile:
		err = p.read(file)
	case strings.ContainsAny(text, "./\\"):
		err = p.read(text)
	default:
		if err = p.named(text); err != nil {
			if _, statErr := os.Stat(text); statErr == nil {
				err = fmt.Errorf("%w; did you mean ./%s?", err, text)
			}
		}
	}
	return err
}

func (p *Profile) named(name string) (err error) {
	if p.text, err = emulator.ProfileFile(name); err != nil {
		return err
	}
	p.profile, err = emulator.ProfileByName(name)
	return err
}

// read takes a profile of the user's own. More than a profile may have is not
// taken into memory.
func (p *Profile) read(name string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	if p.text, err = io.ReadAll(io.LimitReader(file, emulator.MaxProfile+1)); err != nil {
		return err
	}
	p.profile, err = emulator.ParseProfile(name, p.text)
	return err
}

// Config returns the configuration of such a TPM.
func (p *Profile) Config() emulator.Config {
	if p.profile == nil {
		return emulator.Config{}
	}
	return p.profile.Config
}

// Title returns what the profile is, in a few words; it is empty without the flag.
func (p *Profile) Title() string {
	if p.profile == nil {
		return ""
	}
	return p.profile.Title
}

// Name returns the name of the profile, which is empty without the flag.
func (p *Profile) Name() string {
	if p.profile == nil {
		return ""
	}
	return p.profile.Name
}

// Print writes the profile as a file, to start your own from.
func (p *Profile) Print(out io.Writer) error {
	if p.profile == nil {
		if err := p.named("default"); err != nil {
			return err
		}
	}
	_, err := out.Write(p.text)
	return err
}

// ListProfiles writes the profiles that come with the program, one a line.
func ListProfiles(out io.Writer) error {
	for _, name := range emulator.Profiles() {
		profile, err := emulator.ProfileByName(name)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(out, "%-16s %s\n", name, profile.Title); err != nil {
			return err
		}
	}
	return nil
}
