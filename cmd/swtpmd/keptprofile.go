package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/emulator"
)

// profileSuffix ends the name of the file beside the state that has the profile with
// which the TPM was made: swtpm is told it at the first start alone.
const profileSuffix = ".profile"

// profileFile is that file.
func (w *stateWords) profileFile() string {
	return filepath.Join(w.dir, cmp.Or(w.name, "tpm2")+profileSuffix)
}

// secondProfileError is a profile for a TPM that has another one.
type secondProfileError struct{ dir, has, given string }

func (e *secondProfileError) Error() string {
	return fmt.Sprintf("--profile: the TPM in %s was made with the profile %s, and swtpm takes another one, such as %s, at the first start only: leave --profile out", e.dir, e.has, e.given)
}

// keptProfile takes the profile with which the TPM was made, unless the command line
// has one. first says that another one than that is refused, as by swtpm.
func (w *stateWords) keptProfile(p *cli.Profile, isNew, first bool) error {
	if isNew {
		return nil
	}
	file := w.profileFile()
	text, err := os.ReadFile(file)
	none := errors.Is(err, fs.ErrNotExist)
	switch {
	case err != nil && !none:
		return err
	case !p.Given() && none:
		return nil
	case !p.Given():
		return p.Take(file, text)
	case !first:
		return nil
	}
	has := defaultProfile
	if none {
		if text, err = emulator.ProfileFile(defaultProfile); err != nil {
			return err
		}
	} else if kept, err := emulator.ParseProfile(file, text); err == nil {
		has = kept.Name
	}
	if !bytes.Equal(text, p.Text()) {
		return &secondProfileError{w.dir, has, p.Name()}
	}
	return nil
}

// keepProfile keeps the profile of the command line beside the state, or that there is
// none. It is done before a TPM is made: killed in between, the next start finds no
// state, and does it again.
func (w *stateWords) keepProfile(p *cli.Profile) error {
	file := w.profileFile()
	if !p.Given() {
		// On a file system that is read-only the answer to Remove would be that.
		if _, err := os.Lstat(file); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return os.Remove(file)
	}
	if before, err := os.ReadFile(file); err == nil && bytes.Equal(before, p.Text()) {
		return nil
	}
	f, err := os.CreateTemp(w.dir, filepath.Base(file)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(p.Text())
	if err == nil && !w.noSync {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
