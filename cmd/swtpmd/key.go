package main

import (
	"fmt"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/keys"
	"github.com/swtpmd/swtpmd/emulator/state"
)

// keyWords are --key and --migration-key, and the keys once they are read.
type keyWords struct {
	file, migration keys.Words
	// fileKey seals the state that is kept, migrationKey what is handed over; nil
	// for none.
	fileKey, migrationKey *state.Key
}

// setKey names the key of the state that is kept.
func (s *settings) setKey(text string) (err error) {
	s.keys.file, err = named("key", s.keys.file, text)
	return err
}

// setMigrationKey names the key of state that is handed over.
func (s *settings) setMigrationKey(text string) (err error) {
	s.keys.migration, err = named("migration-key", s.keys.migration, text)
	return err
}

// named takes the one answer to which key it is.
func named(option string, before keys.Words, text string) (keys.Words, error) {
	if before.Given() {
		return before, &wordError{option, text, "there is a key already; name one"}
	}
	return keys.Parse(option, text)
}

// read reads the keys. It is done once, in the process that serves: a descriptor has
// them once, and a file may have to be removed.
func (w *keyWords) read() (err error) {
	if w.fileKey, err = readKey("key", w.file); err != nil {
		return err
	}
	w.migrationKey, err = readKey("migration-key", w.migration)
	return err
}

func readKey(option string, w keys.Words) (*state.Key, error) {
	if !w.Given() {
		return nil, nil
	}
	secret, err := w.Read()
	if err != nil {
		return nil, err
	}
	key, err := state.NewKey(secret)
	if err != nil {
		return nil, fmt.Errorf("--%s: %w", option, err)
	}
	return key, nil
}
