package options

import (
	"errors"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/words"
	"github.com/swtpmd/swtpmd/transport/dial"
)

// setBackend reads the value of --backend.
func (s *Set) setBackend(text string) error {
	if s.Backend != nil {
		return words.Wrong("backend", text, "there is one already, "+s.Backend.String())
	}
	a, err := dial.Parse(text)
	if err != nil {
		return err
	}
	s.Backend = &a
	return nil
}

// checkBackend refuses what only our own TPM has.
func (s *Set) checkBackend() error {
	switch {
	case s.Backend == nil:
		return nil
	case s.State.Dir != "":
		return cli.Usage(errors.New("--state and --tpmstate keep swtpmd's own TPM, and --backend names another one, which keeps its state itself"), "leave out one of the two")
	case s.Profile.Given():
		return cli.Usage(errors.New("--profile is for swtpmd's own TPM, and --backend names another one"), "leave out one of the two")
	}
	return nil
}
