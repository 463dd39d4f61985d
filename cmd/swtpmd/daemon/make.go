package daemon

import (
	"log/slog"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/options"
)

// MakeTPM starts the TPM once, which makes it where there is none, and lets go of it.
func MakeTPM(s *options.Set) error {
	if err := s.Keys.Read(); err != nil {
		return err
	}
	d := &daemon{set: s, log: slog.New(slog.DiscardHandler)}
	defer d.services.cleanUp()
	tpm, err := d.newTPM()
	if err != nil {
		return err
	}
	return tryOn(tpm)
}
