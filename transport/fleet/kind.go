package fleet

import (
	"os"
	"path/filepath"

	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/transport/swtpm"
)

// kind is what TPMs of one profile share.
type kind struct {
	tpm         *emulator.TPM // one without power, with the tables that all of them use
	description *swtpm.Description
}

// kind returns the kind with a profile.
func (f *Fleet) kind(profile string) (*kind, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if k := f.kinds[profile]; k != nil && !filepath.IsAbs(profile) { // a file may have changed
		return k, nil
	}
	k := new(kind)
	p, err := readProfile(profile)
	if err != nil {
		return nil, &ConfigError{Word: "profile", Err: err}
	}
	if k.tpm, err = emulator.New(emulator.Platform{}, p.Config); err != nil {
		return nil, &ConfigError{Word: "profile", Err: err}
	}
	if f.options.Describe != nil {
		if k.description, err = f.options.Describe(p); err != nil {
			return nil, err
		}
	}
	f.kinds[profile] = k
	return k, nil
}

func readProfile(name string) (*emulator.Profile, error) {
	switch {
	case name == "":
		return new(emulator.Profile), nil
	case filepath.IsAbs(name):
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		return emulator.ParseProfile(name, text)
	}
	return emulator.ProfileByName(name)
}
