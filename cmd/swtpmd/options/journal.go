package options

import (
	"errors"
	"strconv"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/words"
)

// JournalWords are --journal, and what a run needs to be repeated from it.
type JournalWords struct {
	File     string
	Commands bool    // are in the journal
	TPMSeed  *uint64 // nil: the TPM's entropy and clock are real
}

func (j *JournalWords) setFile(text string) error {
	if text == "" {
		return words.Wrong("journal", text, "it needs a file")
	}
	j.File = text
	return nil
}

func (j *JournalWords) setSeed(text string) error {
	seed, err := strconv.ParseUint(text, 0, 64)
	if err != nil {
		return words.Wrong("tpm-seed", text, "it is a number of 64 bits")
	}
	j.TPMSeed = &seed
	return nil
}

// checkJournal refuses a run that could not be repeated.
func (s *Set) checkJournal() error {
	switch {
	case s.Journal.Commands && s.Journal.File == "":
		return cli.Usage(errors.New("--journal-commands without a journal"), "add --journal=FILE")
	case s.Journal.TPMSeed == nil:
		return nil
	case s.Backend != nil:
		return cli.Usage(errors.New("--tpm-seed is for swtpmd's own TPM, and --backend names another one"), "leave out one of the two")
	case s.State.Dir != "":
		return cli.Usage(errors.New("--tpm-seed makes a new TPM for a run that can be repeated, and there is one kept in "+s.State.Dir), "leave out one of the two")
	}
	return nil
}
