package options

import (
	"github.com/swtpmd/swtpmd/cmd/swtpmd/words"
	"github.com/swtpmd/swtpmd/transport/swtpm"
)

// migrationWords say how the state directory goes from one daemon to another on a file
// system that they share (swtpm(8), "--migration").
type migrationWords struct {
	// Incoming: another daemon still has the directory.
	Incoming bool
	// Release: the directory is given away when the state has been fetched.
	Release bool
}

// set reads --migration.
func (m *migrationWords) set(text string) error {
	const option = "migration"
	w, err := words.Parse(option, text, "incoming", "release-lock-outgoing")
	if err != nil {
		return err
	}
	if m.Incoming, err = w.Yes(option, "incoming"); err != nil {
		return err
	}
	m.Release, err = w.Yes(option, "release-lock-outgoing")
	return err
}

// autoShutdown reports whether TPM2_Shutdown is sent before the TPM loses its power.
// swtpm sends it; a TPM in a machine gets none from the machine, so that the daemon
// sends it only where it is asked to, and the socket command unless it is asked not to.
type autoShutdown struct {
	Usual       bool // without a word
	wanted, not bool
}

// On reports whether it is sent; swtpm has done it since 0.8.
func (a *autoShutdown) On(like swtpm.Version) bool {
	return a.wanted || a.Usual && !a.not && like != swtpm.V0_7
}

// set takes the two words for it from --flags.
func (a *autoShutdown) set(w words.Values) error {
	const option = "flags"
	var err error
	if a.wanted, err = w.Yes(option, "auto-shutdown"); err != nil {
		return err
	}
	if a.not, err = w.Yes(option, "disable-auto-shutdown"); err == nil && a.wanted && a.not {
		err = words.Wrong(option, "auto-shutdown", "disable-auto-shutdown says the contrary")
	}
	return err
}
