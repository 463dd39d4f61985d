package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/swtpmd/swtpmd/emulator"
)

// kindWords say what kind of TPM is emulated.
type kindWords struct {
	profile *emulator.Profile // nil without a word about it
	text    []byte            // the profile's file
}

// define binds --profile.
func (k *kindWords) define(f *flag.FlagSet) { f.Func("profile", "", k.set) }

// set takes the name of a profile or a file, or says so in swtpm's words, name=
// and file=.
func (k *kindWords) set(text string) error {
	if k.profile != nil {
		return fmt.Errorf("there is one already, %s", k.profile.Name)
	}
	name, isName := strings.CutPrefix(text, "name=")
	file, isFile := strings.CutPrefix(text, "file=")
	var err error
	switch {
	case isName:
		err = k.named(name)
	case isFile:
		err = k.read(file)
	case strings.ContainsAny(text, "./\\"):
		err = k.read(text)
	default:
		if err = k.named(text); err != nil {
			if _, statErr := os.Stat(text); statErr == nil {
				err = fmt.Errorf("%w; did you mean ./%s?", err, text)
			}
		}
	}
	return err
}

func (k *kindWords) named(name string) (err error) {
	if k.text, err = emulator.ProfileFile(name); err != nil {
		return err
	}
	k.profile, err = emulator.ProfileByName(name)
	return err
}

// read takes a profile of the user's own. More than a profile may have is not
// taken into memory.
func (k *kindWords) read(name string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	if k.text, err = io.ReadAll(io.LimitReader(file, emulator.MaxProfile+1)); err != nil {
		return err
	}
	k.profile, err = emulator.ParseProfile(name, k.text)
	return err
}

// config is what to make a TPM with.
func (k *kindWords) config() emulator.Config {
	if k.profile == nil {
		return emulator.Config{}
	}
	return k.profile.Config
}

// name is that of the profile, empty without one.
func (k *kindWords) name() string {
	if k.profile == nil {
		return ""
	}
	return k.profile.Name
}

// print writes the profile as a file, to start your own from.
func (k *kindWords) print(out io.Writer) error {
	if k.profile == nil {
		if err := k.named("default"); err != nil {
			return err
		}
	}
	_, err := out.Write(k.text)
	return err
}

func listProfiles(out io.Writer) error {
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
