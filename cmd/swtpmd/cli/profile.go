package cli

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/libtpms"
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

// set takes the name of a profile or a file, or swtpm's words: name=, profile= with
// JSON, file= and fd=, and remove-disabled= (swtpm(8), "--profile").
func (p *Profile) set(text string) error {
	if p.profile != nil {
		return fmt.Errorf("there is one already, %s", p.profile.Name)
	}
	for word, take := range map[string]func(string) error{
		"name=": p.libtpms, "profile=": func(text string) error { return p.parse("profile", []byte(text)) }, "file=": p.read, "fd=": p.descriptor,
	} {
		value, ok := strings.CutPrefix(text, word)
		if !ok {
			continue
		}
		p.swtpm = true
		value, err := removeDisabled(value)
		if err != nil {
			return err
		}
		return take(value)
	}
	if strings.ContainsAny(text, "./\\") {
		return p.read(text)
	}
	err := p.named(text)
	if err != nil {
		if _, statErr := os.Stat(text); statErr == nil {
			err = fmt.Errorf("%w; did you mean ./%s?", err, text)
		}
	}
	return err
}

// removeDisabled takes remove-disabled= off a value. With check it removes what the
// host's cryptography has disabled, which is nothing: that of the TPM is its own.
func removeDisabled(text string) (rest string, err error) {
	rest, how, said := strings.Cut(text, ",remove-disabled=")
	if said && how != "check" {
		return "", fmt.Errorf("remove-disabled=%s: not offered: it is remove-disabled=check, and a profile of one's own leaves out what FIPS does not approve", how)
	}
	return rest, nil
}

// libtpms takes the name of a profile of libtpms or of the emulator.
func (p *Profile) libtpms(name string) error {
	text, err := libtpms.Named(name)
	if err != nil {
		return err
	}
	if text == nil {
		return p.named(name)
	}
	return p.Take(name, text)
}

// parse takes JSON of libtpms, or the text of a profile.
func (p *Profile) parse(file string, text []byte) error {
	if !bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		return p.Take(file, text)
	}
	name, profile, err := libtpms.Parse(text)
	switch {
	case err != nil:
		return err
	case profile == nil:
		return p.named(name)
	}
	return p.Take(file, profile)
}

// Take takes the text of a profile, of a file of this name.
func (p *Profile) Take(file string, text []byte) (err error) {
	p.text = text
	p.profile, err = emulator.ParseProfile(file, text)
	return err
}

// Text returns the profile as a file, nil without the flag.
func (p *Profile) Text() []byte { return p.text }

// descriptor takes a profile from an inherited descriptor. A file is read from its
// beginning and keeps its offset, so that it can be read again.
func (p *Profile) descriptor(number string) error {
	fd, err := strconv.Atoi(number)
	if err != nil || fd < 0 {
		return fmt.Errorf("fd=%s: not the number of a descriptor", number)
	}
	file := os.NewFile(uintptr(fd), "descriptor "+number)
	text, err := io.ReadAll(io.NewSectionReader(file, 0, emulator.MaxProfile+1))
	if errors.Is(err, syscall.ESPIPE) {
		text, err = io.ReadAll(io.LimitReader(file, emulator.MaxProfile+1))
	}
	if err != nil {
		return err
	}
	return p.parse(file.Name(), text)
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
	text, err := io.ReadAll(io.LimitReader(file, emulator.MaxProfile+1))
	if err != nil {
		return err
	}
	return p.parse(name, text)
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
