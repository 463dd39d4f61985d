package daemon

import (
	"bytes"
	"fmt"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/options"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/statedir"
	"github.com/swtpmd/swtpmd/emulator"
)

// secondProfileError is a profile for a TPM that has another one.
type secondProfileError struct{ dir, has, given string }

func (e *secondProfileError) Error() string {
	return fmt.Sprintf("--profile: the TPM in %s was made with the profile %s, and swtpm takes another one, such as %s, at the first start only: leave --profile out", e.dir, e.has, e.given)
}

// keptProfile takes the profile with which the TPM was made, unless the command line
// has one. first says that another one than that is refused, as by swtpm.
func keptProfile(w *options.StateWords, p *cli.Profile, isNew, first bool) error {
	if isNew || p.Given() && !first {
		return nil
	}
	var kept cli.Profile
	has, err := statedir.TakeProfile(statedir.ProfileFile(w.Dir, w.Name), &kept)
	switch {
	case err != nil:
		return err
	case !p.Given() && has:
		*p = kept
		return nil
	case !p.Given():
		return nil
	case !has:
		text, err := emulator.ProfileFile(defaultProfile)
		if err == nil {
			err = kept.Take(defaultProfile, text)
		}
		if err != nil {
			return err
		}
	}
	if !bytes.Equal(kept.Text(), p.Text()) {
		return &secondProfileError{w.Dir, kept.Name(), p.Name()}
	}
	return nil
}

// keepProfile keeps the profile of the command line beside the state, or that there is
// none.
func keepProfile(w *options.StateWords, p *cli.Profile) error {
	return statedir.KeepProfile(statedir.ProfileFile(w.Dir, w.Name), p, !w.NoSync)
}
